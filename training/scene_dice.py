# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The random streams of one scene."""

from __future__ import annotations

import zlib

import numpy as np
import torch


def stream(use: str, seed: int, device: str | torch.device = "cpu") -> torch.Generator:
    """Random numbers for one use of a scene's seed, on a device.

    torch's generators on a CPU look at 32 bits of a seed: without mixing them, scenes of a training, of validation and of
    the tests, which are counted from multiples of 2^32, would have the same noise one by one.
    """
    return torch.Generator(device).manual_seed(zlib.crc32(f"{use} {seed}".encode()))


class Dice:
    """The random streams of one scene: numpy for its plan, torch for what the waveforms hold."""

    def __init__(self, preset: str, seed: int):
        self.preset, self.seed = preset, seed
        self.plan = np.random.default_rng([zlib.crc32(preset.encode()), seed])
        self.torch = torch.Generator().manual_seed(int(self.plan.integers(2**62)))

    def chance(self, p: float) -> bool:
        return bool(self.plan.random() < p)

    def uniform(self, low: float, high: float) -> float:
        return float(self.plan.uniform(low, high))

    def log_uniform(self, low: float, high: float) -> float:
        return float(np.exp(self.plan.uniform(np.log(low), np.log(high))))

    def pick(self, values: dict | tuple | list):
        if isinstance(values, dict):
            weights = np.array(list(values.values()), float)
            return list(values)[int(self.plan.choice(len(values), p=weights / weights.sum()))]
        return values[int(self.plan.integers(len(values)))]
