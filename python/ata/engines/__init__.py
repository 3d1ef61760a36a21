# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inference engines behind one small protocol."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Engine(Protocol):
    """Runs a model file's network."""

    name: str

    def run(self, images: np.ndarray) -> np.ndarray:
        """float32 [N, 1, T, F] -> float32 logits [N, C, T, F]; one thread at a time."""
        ...

    def close(self) -> None:
        """Frees what the engine holds; it cannot run again."""
        ...
