# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain numbers by chance, for whatever draws a waveform's choices."""

from __future__ import annotations

from collections.abc import Sequence

import torch


class Draw:
    """Plain Python draws from a torch generator."""

    def __init__(self, rng: torch.Generator):
        self.rng = rng

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        return low + (high - low) * torch.rand(1, generator=self.rng, device=self.rng.device).item()

    def log_uniform(self, low: float, high: float) -> float:
        return low * (high / low) ** self.uniform()

    def integer(self, low: int, high: int) -> int:
        """low to high, both included."""
        return low + int(self.uniform() * (high - low + 1))

    def chance(self, p: float) -> bool:
        return self.uniform() < p

    def pick(self, values: Sequence | dict, weights: Sequence[float] | None = None):
        if isinstance(values, dict):
            values, weights = list(values), list(values.values())
        if weights is None:
            return values[self.integer(0, len(values) - 1)]
        mark = self.uniform(0, sum(weights))
        for value, weight in zip(values, weights, strict=True):
            mark -= weight
            if mark < 0:
                return value
        return values[-1]
