# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The samples that a clock takes which runs at another rate than it should."""

from __future__ import annotations

import math
from functools import lru_cache

import torch

BLOCK = 512  # samples taken with one delay: 25 ppm move it by 0.013 of a sample meanwhile
GUARD = 32
STEPS = 256  # of a sample: finer than what the delay moves within a block


class Clock:
    """Takes samples of complex64 [N] too fast by `error`: sample n is the one at n / (1 + error).

    Blocks of samples, each delayed as its middle asks: whole samples by where it begins, the rest by a phase ramp.
    """

    def __init__(self, iq: torch.Tensor, error: float, blocks: int):
        self.iq, self.size = iq, BLOCK + 2 * GUARD
        first = torch.arange(blocks, dtype=torch.float64) * BLOCK
        late = (first + BLOCK / 2) * (1 / (1 + error) - 1)
        whole = late.round()
        begin = (first + whole).long() - GUARD
        # blocks from whole[0] to whole[1] are made of samples that there are
        self.whole = torch.searchsorted(begin, torch.tensor([0, len(iq) - self.size + 1])).tolist()
        self.begin = begin.to(iq.device, non_blocking=True)
        self.ramp = ((late - whole + 0.5) * STEPS).round().long().to(iq.device, non_blocking=True)

    def take(self, some: slice) -> torch.Tensor:
        """-> these of the blocks, complex64 [..., BLOCK]. What lies beyond either end is as its last sample."""
        begin, size, device = self.begin[some], self.size, self.iq.device
        if self.whole[0] <= some.start and some.stop <= self.whole[1]:
            pieces = self.iq.unfold(0, size, 1).index_select(0, begin)
        else:
            pieces = self.iq[(begin[:, None] + torch.arange(size, device=device)).clamp_(0, len(self.iq) - 1)]
        spectrum = torch.fft.fft(pieces).mul_(_ramps(size, device).index_select(0, self.ramp[some]))
        return torch.fft.ifft(spectrum)[:, GUARD : GUARD + BLOCK]


@lru_cache(maxsize=2)
def _ramps(size: int, device: torch.device) -> torch.Tensor:
    """Phase ramps that delay a block by -1/2 to 1/2 of a sample: complex64 [STEPS + 1, size]."""
    turns = (torch.arange(STEPS + 1) / STEPS - 0.5)[:, None] * torch.fft.fftfreq(size, dtype=torch.float64)
    return torch.polar(torch.ones_like(turns), 2 * math.pi * turns).to(torch.complex64).to(device)
