# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same values in the form that is computed soonest: one while training, another in the exported file.

On CPUs ONNX Runtime keeps the features of convolutions in blocks of channels, and takes pools, resizes and sums of equal
shapes that way too. Means, and sums that repeat one side, it computes only in the plain order, with a copy there and one
back; so they are pools and resizes in the file. In training a mean takes a fifth of a pool's time. `export.check` compares
the two.
"""

from __future__ import annotations

import torch
from torch.nn import functional

STEP = 4  # rows of a single channel that are merged first: it has no blocks, and a step at a time is quicker


def mean_over_time(x: torch.Tensor) -> torch.Tensor:
    """[N, C, T, F] -> [N, C, 1, F]; T a multiple of `STEP`."""
    if not torch.onnx.is_in_onnx_export():
        return x.mean(2, keepdim=True)
    if x.shape[1] == 1:
        return functional.avg_pool2d(x, (STEP, 1)).mean(2, keepdim=True)
    return functional.avg_pool2d(x, (int(x.shape[2]), 1))


def max_over_time(x: torch.Tensor) -> torch.Tensor:
    """[N, C, T, F] -> [N, C, 1, F]; T a multiple of `STEP`."""
    if x.shape[1] == 1:
        x = functional.max_pool2d(x, (STEP, 1))
    return functional.max_pool2d(x, (int(x.shape[2]), 1))


def mean_over_frequency(x: torch.Tensor) -> torch.Tensor:
    """[N, C, T, F] -> [N, C, T, 1]."""
    if not torch.onnx.is_in_onnx_export():
        return x.mean(3, keepdim=True)
    return functional.avg_pool2d(x, (1, int(x.shape[3])))


def spread(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """[N, C, 1 or T, 1 or F] as a term of a sum with `like`, [N, C, T, F]."""
    if not torch.onnx.is_in_onnx_export():
        return x
    factor = (float(like.shape[2] // x.shape[2]), float(like.shape[3] // x.shape[3]))
    return functional.interpolate(x, scale_factor=factor, mode="nearest")


def in_blocks(x: torch.Tensor) -> torch.Tensor:
    """x, in the exported file after a pool over single pixels: in blocks, and so are the sums with it that follow."""
    return functional.max_pool2d(x, 1) if torch.onnx.is_in_onnx_export() else x
