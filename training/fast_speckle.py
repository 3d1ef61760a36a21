# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Speckle: what chance makes of a pixel that is the mean of few looks at a noise-like signal.

Gaussian noise seen through M overlapping looks spreads like a gamma variable with the looks' effective number of
degrees of freedom. A resource grid is calmer: given its elements' powers only their phases are left to chance, which
takes the sum over elements of (weight x power)^2 off the variance. `calm` is that sum, so a pixel's relative variance
is 1 / looks_eff - calm / total^2.
"""

from __future__ import annotations

from functools import lru_cache

import torch

from training.fast_mixing import MOST_UNEVEN, Frame, hann
from training.waveforms.waveform import squared

FEW_LOOKS = 4.0  # up to so many looks a pixel the speckle is that of real noise, drawn and transformed
NEXT_COLUMN = 4 / 9  # correlation in power of a Hann window's neighbouring columns
# moving average whose output's neighbours correlate as a Hann window's columns do in power: 4/9, 1/36
COLUMN_TAPS = (0.8694, 0.4930, 0.0320)


def speckle(frame: Frame, total: torch.Tensor, calm: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Factors of mean 1 for the pixels of a frame, float32 [T, F].

    total, calm: `fastpath.expected_density`'s, float32 [T, F] and [3, T, F].
    """
    alone = looks_variance(frame)
    left = (1 - calm[0] / total.square() / alone).clamp(0.02, 1 + MOST_UNEVEN)
    beside = left * left.roll(-1, 1)
    together = (NEXT_COLUMN - calm[1] / (total * total.roll(-1, 1)) / alone) / beside.sqrt()
    apart = 1 - (together / NEXT_COLUMN).clamp(0, 1)  # share of the variance that neighbours do not have in common
    if frame.segments <= FEW_LOOKS * frame.rows:
        looks = _noise_looks(frame, generator) - 1
        looks = (1 - apart).sqrt() * looks + apart.sqrt() * _shuffled(looks, generator)
        return (1 + looks * left.sqrt()).clamp(min=1e-3)
    # what one row has of a symbol's fixed energy the next has not: neighbours in time lean against each other
    against = (calm[2] / (total * total.roll(-1, 0)) / alone / (left * left.roll(-1, 0)).sqrt()).clamp(0, 0.45)
    lean = (1 - (1 - 4 * against.square()).sqrt()) / (2 * against).clamp(min=1e-6)
    white = torch.randn(frame.rows, frame.columns, generator=generator)
    z = (1 - apart).sqrt() * _along(white) + apart.sqrt() * _shuffled(white, generator)
    z = (z - lean * z.roll(-1, 0)) / (1 + lean.square()).sqrt()
    ninth = alone * left / 9  # Wilson and Hilferty: the cube root of a gamma variable is nearly normal
    return (1 - ninth + z * ninth.sqrt()).clamp(min=0).pow(3)


def hann_field(shape: torch.Size, generator: torch.Generator) -> torch.Tensor:
    """Normal numbers, float32 [T, F], whose columns correlate as the powers in a Hann window's do."""
    return _along(torch.randn(shape, generator=generator))


def _along(white: torch.Tensor) -> torch.Tensor:
    a, b, c = COLUMN_TAPS
    return a * white.roll(1, 1) + b * white + c * white.roll(-1, 1)


def _shuffled(field: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The same field with rows and columns in another order: its spread without its neighbourhoods."""
    columns, rows = (torch.randperm(n, generator=generator) for n in field.T.shape)
    return field.index_select(0, rows).index_select(1, columns)


def _noise_looks(frame: Frame, generator: torch.Generator) -> torch.Tensor:
    """Pixel powers of white noise in the frame's own geometry, mean 1."""
    count = (frame.segments - 1) * frame.hop + frame.columns
    noise = torch.view_as_complex(torch.randn(count, 2, generator=generator))
    looks = noise.unfold(0, frame.columns, frame.hop) * frame.window.float()
    power = squared(torch.fft.fft(looks))
    row = frame.segment_row(torch.arange(frame.segments))
    pixels = torch.zeros(frame.rows, frame.columns).index_add_(0, row, power)
    return pixels / (2 * float(frame.window.square().sum()) * frame.looks[:, None])


@lru_cache(maxsize=1)
def looks_variance(frame: Frame) -> torch.Tensor:
    """Relative variance of each row's pixels where nothing but white noise is; float32 [T, 1]."""
    return _looks_variance(frame.columns, frame.hop, int(frame.looks.max()))[frame.looks - 1][:, None]


@lru_cache(maxsize=4096)
def _looks_variance(columns: int, hop: int, most: int) -> torch.Tensor:
    """Relative variance of the mean of 1..most looks at white noise, float32 [most]."""
    window = hann(columns)
    shared = torch.zeros(most, dtype=torch.float64)
    for lag in range(min(most, -(-columns // hop))):
        part = (window[: columns - lag * hop] * window[lag * hop :]).sum() / window.square().sum()
        shared[lag] = part.square()
    count = torch.arange(1, most + 1, dtype=torch.float64)
    lags = torch.arange(most, dtype=torch.float64)
    pairs = (count[:, None] - lags).clamp(min=0) * shared * torch.where(lags == 0, 1.0, 2.0)
    return (pairs.sum(1) / count.square()).float()
