# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Straight lines between the points of a curve that is known more coarsely than it is used."""

from __future__ import annotations

from functools import lru_cache

import torch


def between(points: torch.Tensor, step: int) -> torch.Tensor:
    """Points [..., P + 1] -> [..., P step]: each point and what lies straight between it and the next."""
    ends = torch.stack([points[..., :-1], points[..., 1:]], -1)
    return (ends @ _shares(step, points.dtype, points.device)).flatten(-2)


def stretch(points: torch.Tensor, step: int, first: int, last: int) -> torch.Tensor:
    """`between(points, step)[first:last]`, of which no more than that is worked out."""
    low = first // step
    return between(points[low : -(-last // step) + 1], step)[first - low * step : last - low * step]


@lru_cache(maxsize=64)
def _shares(step: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """What each of `step` values between two points has of either: [2, step], of the next 0 to 1 - 1 / step."""
    share = torch.arange(step, dtype=torch.float64) / step
    return torch.stack([1 - share, share]).to(dtype).to(device)
