# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fourier transforms as long as a frame."""

from __future__ import annotations

import math
from functools import lru_cache, partial

import torch

LEAST = 1 << 19  # samples; a shorter transform stays near enough to a CPU by itself
ROWS = (64, 32, *range(40, 128))  # the quickest first


def transform(values: torch.Tensor, sign: int) -> torch.Tensor:
    """Of complex64 [N] the sum over n of values[n] exp(sign j 2 pi k n / N) for each k: `torch.fft`'s without its factors.

    On a CPU long ones go in two steps of short transforms, which its cache holds: a quarter to two fifths off their time.
    """
    step = torch.fft.fft if sign < 0 else partial(torch.fft.ifft, norm="forward")
    rows = _rows(len(values)) if values.device.type == "cpu" else 1
    if rows == 1:
        return step(values)
    coarse, fine = _turns(rows, len(values) // rows, sign)
    part = step(values.view(rows, -1), dim=0)
    part.T.unflatten(0, (len(coarse), -1)).mul_(coarse).mul_(fine)
    return step(part.contiguous()).T.reshape(-1)


def _rows(count: int) -> int:
    """Rows in which a transform of `count` samples is quickest, 1 where in one go."""
    return next((rows for rows in ROWS if count % rows == 0), 1) if count >= LEAST else 1


@lru_cache(maxsize=16)
def _turns(rows: int, columns: int, sign: int) -> tuple[torch.Tensor, torch.Tensor]:
    """exp(sign j 2 pi row column / (rows columns)) as a product: complex64 [A, 1, rows] of each B columns' first, and
    [B, rows] of those after it."""
    fine = min((n for n in range(1, columns + 1) if columns % n == 0), key=lambda n: n + columns // n)
    row = torch.arange(rows, dtype=torch.float64)

    def turned(column: torch.Tensor) -> torch.Tensor:
        phase = (column[:, None] * row) % (rows * columns) * (sign * 2 * math.pi / (rows * columns))
        return torch.complex(torch.cos(phase), torch.sin(phase)).to(torch.complex64)

    return turned(torch.arange(columns // fine) * fine)[:, None], turned(torch.arange(fine))
