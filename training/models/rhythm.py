# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How strongly each group of columns beats at the frequencies at which standards repeat themselves."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

GROUP = 4  # columns that are heard together: what a carrier does, it does in all of its columns at once
WIDER = 9  # groups, for what is faint in one of them
# Hz. Up to 4150 every 50, for synchronisation signals of 5 and 20 ms (TS 36.211 6.11, TS 38.213 4.1) with their harmonics,
# subframes and slots (TS 36.211 4.1, TS 38.211 4.3.2); up to 30000 every 250, for symbols, whose prefixes of two lengths
# smear them (TS 36.211 6.12, TS 38.211 5.3.1); GSM's TDMA frames, their second harmonic, and bursts (TS 45.002 4.3).
FREQS = (*(50.0 * k for k in range(1, 84)), *(250.0 * k for k in range(17, 121)), 216.7, 433.4, 1733.3)
FAINTEST = 1e-3  # share of a group's variance under which a line is not told from chance
FLATTEST = 1e-3  # variance, (20 dB)^2, under which a group does not beat


def legend(image: torch.Tensor) -> torch.Tensor:
    """The two numbers of an image's legend, [N, 1, T, F] -> [N, 1, 2, 1]: log10 of a row in us and of a column in kHz."""
    half, columns = int(image.shape[2]) // 2, int(image.shape[3])
    return functional.avg_pool2d(image, (half, 1), (half, columns))


class Rhythm(nn.Module):
    """How much of each group's variance over time lies at each of `FREQS`, as log10: float32 [N, 2, FREQS, F / 4].

    A Fourier transform over the image's rows at fixed frequencies in Hz, whatever a row lasts; channel 1 is of the mean
    of nine groups, weighed by the same variance. LTE's CRS stand in every slot, used or not; NR's control regions and
    synchronisation blocks have their own periods; WiFi has none. Above half the rows' rate a frequency is seen at its
    alias: the layers that follow know the scale, which tells. Time is counted from the middle of the frame, so that half the
    rows' cosines and sines do for both halves, and groups are averaged after the transform, which is linear.

    It stays in float32: the angles are up to 7,500 rad.
    """

    freqs: torch.Tensor
    upper: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("freqs", torch.tensor(FREQS)[None, None, :, None] * 1e-6, persistent=False)  # MHz
        self.register_buffer("upper", torch.tensor([1.0, 0.0])[None, None, :, None], persistent=False)

    @torch.autocast("cpu", enabled=False)
    @torch.autocast("cuda", enabled=False)
    def forward(self, image: torch.Tensor, picture: torch.Tensor) -> torch.Tensor:
        """image: with its legend; picture: without, both [N, 1, T, F]."""
        half = int(picture.shape[2]) // 2
        # a mean over [log10, 0] and not a convolution, which GPUs round to 10 bits
        row = torch.exp(2 * math.log(10) * (legend(image) * self.upper).mean(2, keepdim=True))  # us, [N, 1, 1, 1]
        turns = self.freqs * (torch.arange(half, device=picture.device) + 0.5) * row
        angle = 2 * math.pi * (turns + -1 * torch.floor(turns))
        level = functional.avg_pool2d(picture, (1, GROUP))
        level = level + -1 * level.mean(2, keepdim=True)
        variance = (level * level).mean(2, keepdim=True) + FLATTEST
        later = torch.eye(half, device=picture.device)
        even, odd = (torch.cat([sign * later.flip(0), later], 1) @ level for sign in (1, -1))
        narrow = (1 / half) * (angle.cos() @ even), (1 / half) * (angle.sin() @ odd)
        wide = (functional.avg_pool2d(p, (1, WIDER), 1, (0, WIDER // 2), count_include_pad=False) for p in narrow)
        heard = [
            torch.log(0.5 * (real * real + imaginary * imaginary) + FAINTEST * variance)
            for real, imaginary in (narrow, wide)
        ]
        return (torch.cat(heard, 1) + -1 * torch.log(variance)) * (1 / math.log(10))
