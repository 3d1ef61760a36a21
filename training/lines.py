# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Straight lines between the points of a curve that is known more coarsely than it is used."""

from __future__ import annotations

import torch


def between(points: torch.Tensor, step: int) -> torch.Tensor:
    """Points [..., P + 1] -> [..., P step]: each point and what lies straight between it and the next."""
    share = (torch.arange(step, device=points.device) / step).to(points.dtype)
    rise = (points[..., 1:] - points[..., :-1])[..., None]
    return torch.addcmul(points[..., :-1, None], rise, share).flatten(-2)
