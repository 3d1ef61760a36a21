# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second look at a scene: the same pixel powers as another receiver would have had them."""

from __future__ import annotations

import torch

from training.fast_mixing import Frame
from training.fast_speckle import speckle

LIFT_SHARE = 0.5  # of the looks that come with a higher floor
LIFT_DB = (-6.0, 12.0)  # of the noise that is added, re the frame's floor
FLOOR = 0.1  # quantile of the pixels that is taken for the floor


def second_look(power: torch.Tensor, columns: torch.Tensor, frame: Frame, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixel powers float32 [T, F] and each column's class, uint8 [F] -> both, mirrored in frequency; half with more noise.

    The mirror image is what a receiver with I and Q exchanged has: column c goes to F - c, the lowest stays.
    """
    generator = torch.Generator().manual_seed(seed % 2**62 + 2)
    power, columns = power.flip(1).roll(1, 1), columns.flip(0).roll(1, 0)
    chance, lift = torch.rand(2, generator=generator).tolist()
    if chance < LIFT_SHARE and (floor := float(power.flatten().quantile(FLOOR))) > 0:
        level = floor * 10 ** ((LIFT_DB[0] + (LIFT_DB[1] - LIFT_DB[0]) * lift) / 10)
        white = torch.ones(frame.rows, frame.columns)
        power = power + level * speckle(frame, white, torch.zeros(3, frame.rows, frame.columns), generator)
    return power, columns
