# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How strongly each group of columns beats at the frequencies at which standards repeat themselves."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

GROUP = 8  # columns that are heard together: what a carrier does, it does in all of its columns at once
COMMON = 50.0  # Hz: synchronisation signals of 5 to 20 ms, subframes, slots and their harmonics
FAST = 250.0  # Hz: slots of 0.25 ms, symbols (TS 36.211 6.12, TS 38.211 5.3.1)
GSM = (216.7, 433.4, 1733.3)  # Hz: TDMA frames and bursts, 3GPP TS 45.002 4.3
FREQS = (*(COMMON * k for k in range(1, 84)), *(FAST * k for k in range(17, 121)), *GSM)
FAINTEST = 1e-3  # share of a group's variance, under which a line is not told from chance


class Rhythm(nn.Module):
    """Image [N, 1, T, F] with its legend -> log10 of each frequency's share of the variance, [N, frequencies, 1, F / 8].

    A Fourier transform over time at fixed frequencies in Hz, whatever a row lasts. LTE's CRS stand in every slot, used or
    not; NR's control regions and synchronisation blocks have their own periods; WiFi has none. Above half the rows' rate
    a frequency is seen at its alias: the scale, which the layers that follow know, tells which.
    """

    freqs: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("freqs", torch.tensor(FREQS, dtype=torch.float32)[None, :, None], persistent=False)

    @torch.autocast("cpu", enabled=False)
    @torch.autocast("cuda", enabled=False)
    def forward(self, image: torch.Tensor, picture: torch.Tensor) -> torch.Tensor:
        """image: with its legend, which tells a row's duration; picture: the same without."""
        row = torch.exp(image[:, 0, :1, :1] * 2.302585093) * 1e-6  # s, [N, 1, 1]
        rows = int(image.shape[2])
        turns = self.freqs * row * torch.arange(rows, dtype=torch.float32, device=image.device)
        angle = (turns - torch.floor(turns)) * 6.283185307
        level = functional.avg_pool2d(picture, (1, GROUP))[:, 0]
        level = level + -1 * level.mean(1, keepdim=True)
        variance = (level * level).sum(1, keepdim=True) + FAINTEST
        real, imaginary = angle.cos() @ level, angle.sin() @ level
        share = (real * real + imaginary * imaginary) / variance / (rows / 2)
        return torch.log(share + FAINTEST)[:, :, None] / 2.302585093
