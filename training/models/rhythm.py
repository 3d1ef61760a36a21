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
COMMON = 50.0  # Hz: synchronisation signals of 5 to 20 ms, subframes, slots and their harmonics
FAST = 250.0  # Hz: slots of 0.25 ms, symbols (TS 36.211 6.12, TS 38.211 5.3.1)
GSM = (216.7, 433.4, 1733.3)  # Hz: TDMA frames and bursts, 3GPP TS 45.002 4.3
FREQS = (*(COMMON * k for k in range(1, 84)), *(FAST * k for k in range(17, 121)), *GSM)
FAINTEST = 1e-3  # share of a group's variance under which a line is not told from chance


def legend(image: torch.Tensor) -> torch.Tensor:
    """The two numbers of an image's legend, [N, 1, T, F] -> [N, 1, 2, 1]: log10 of a row in us and of a column in kHz."""
    half, columns = int(image.shape[2]) // 2, int(image.shape[3])
    return functional.avg_pool2d(image, (half, 1), (half, columns))


class Rhythm(nn.Module):
    """How much of each group's variance over time lies at each of `FREQS`, as log10: float32 [N, 2, FREQS, F / 4].

    A Fourier transform over the image's rows at fixed frequencies in Hz, whatever a row lasts; channel 1 is of the mean
    of nine groups, weighed by the same variance. LTE's CRS stand in every slot, used or not; NR's control regions and
    synchronisation blocks have their own periods; WiFi has none. Above half the rows' rate a frequency is seen at its
    alias: the layers that follow know the scale, which tells.

    It stays in float32: the angles are up to 15,000 rad.
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
        rows = int(picture.shape[2])
        row = torch.exp(math.log(10) * functional.conv2d(legend(image), self.upper))  # us, [N, 1, 1, 1]
        turns = self.freqs * torch.arange(rows, device=picture.device) * row
        angle = 2 * math.pi * (turns + -1 * torch.floor(turns))
        level = functional.avg_pool2d(picture, (1, GROUP))
        level = level + -1 * level.mean(2, keepdim=True)
        variance = (level * level).mean(2, keepdim=True) + FAINTEST
        heard = []
        for part in (level, functional.avg_pool2d(level, (1, WIDER), 1, (0, WIDER // 2), count_include_pad=False)):
            real, imaginary = ((2 / rows) * (wave @ part) for wave in (angle.cos(), angle.sin()))
            heard.append(torch.log(0.5 * (real * real + imaginary * imaginary) + FAINTEST * variance))
        return (torch.cat(heard, 1) + -1 * torch.log(variance)) * (1 / math.log(10))
