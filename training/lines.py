# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Straight lines between the points of a curve that is known more coarsely than it is used."""

from __future__ import annotations

from functools import lru_cache

import torch


def between(points: torch.Tensor, step: int) -> torch.Tensor:
    """Points [..., P + 1] -> [..., P step]: each point and what lies straight between it and the next."""
    rise = (points[..., 1:] - points[..., :-1])[..., None]
    return torch.addcmul(points[..., :-1, None], rise, _shares(step, points.dtype, points.device)).flatten(-2)


def stretch(points: torch.Tensor, step: int, first: int, last: int) -> torch.Tensor:
    """`between(points, step)[first:last]`, of which no more than that is worked out."""
    low = first // step
    return between(points[low : -(-last // step) + 1], step)[first - low * step : last - low * step]


@lru_cache(maxsize=64)
def _shares(step: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """How far on the way to the next point each of `step` values is: [step], 0 to 1 - 1 / step."""
    return (torch.arange(step) / step).to(dtype).to(device)
