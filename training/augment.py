# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second look at a scene: the same pixel powers as another receiver would have had them."""

from __future__ import annotations

from itertools import pairwise

import torch

from training.fast_mixing import Frame
from training.fast_speckle import hann_field, looks_variance, speckle
from training.scene_dice import stream

LIFT_SHARE = 0.5  # of the looks that come with a higher floor
LIFT_DB = (-6.0, 12.0)  # of the noise that is added, re the frame's floor
FLOOR = 0.1  # quantile of the pixels that is taken for the floor
HIGHEST = 4.0  # noise that is added, re the weakest emitter: what is under more is not to be told
LEAST = 1e-3  # of the weakest pixel, which the cross term leaves


def second_look(power: torch.Tensor, columns: torch.Tensor, frame: Frame, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixel powers float32 [T, F] and each column's class, uint8 [F] -> both, mirrored in frequency; half with more noise.

    The mirror image is what a receiver with I and Q exchanged has: column c goes to F - c, the lowest stays.
    """
    generator = stream("second look", seed)
    power, columns = power.flip(1).roll(1, 1), columns.flip(0).roll(1, 0)
    chance, lift = torch.rand(2, generator=generator).tolist()
    if chance < LIFT_SHARE and (floor := float(power.flatten().quantile(FLOOR))) > 0:
        level = floor * 10 ** ((LIFT_DB[0] + (LIFT_DB[1] - LIFT_DB[0]) * lift) / 10)
        level = min(level, HIGHEST * _weakest(power, columns))
        white = torch.ones(frame.rows, frame.columns)
        noise = level * speckle(frame, white, torch.zeros(3, frame.rows, frame.columns), generator)
        # |S + N|^2 is S^2 + N^2 and a cross term, whose mean is nothing and whose variance is not
        cross = power.sqrt() * (2 * level * looks_variance(frame)).sqrt() * hann_field(white.shape, generator)
        power = (power + noise + cross).clamp(min=LEAST * power.min())
    return power, columns


def _weakest(power: torch.Tensor, columns: torch.Tensor) -> float:
    """Mean power of the weakest stretch of columns of one class that is not noise; infinite where there is none."""
    level = power.mean(0)
    edges = [0, *(columns.diff().nonzero().flatten() + 1).tolist(), len(columns)]
    return min((float(level[a:b].mean()) for a, b in pairwise(edges) if columns[a]), default=float("inf"))
