# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A GSM carrier: GMSK bursts in the slots of a TDMA frame, or a beacon that never falls silent."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import torch

from training.waveforms.shaped import Shaped

SLOT = 15e-3 / 26  # s; 3GPP TS 45.002 4.3.1
SYMBOL_RATE = 1625e3 / 6  # symbols/s; 3GPP TS 45.004 2.1
BURST = 148 / SYMBOL_RATE  # s; 3GPP TS 45.002 5.2: the rest of the slot is guard
MULTIFRAME = 51  # frames, of which 0, 10, 20, 30 and 40 begin with a frequency correction burst; 3GPP TS 45.002 7
HALF_WIDTH = 115e3  # Hz; holds 98 % of the power
OVERSAMPLING = 4


@dataclass
class Gsm:
    """One carrier as the base station sends it. What it carries follows from `seed`, so that `replace(seed=...)` gives
    a neighbour carrier of the same station.

    start: s, when TDMA frame 0 of a multiframe began (0 or below). beacon_share: how likely this is the beacon (C0).
    """

    seed: int
    duration: float
    start: float = 0.0
    beacon_share: float = 0.35
    label: str = "other"
    kind: str = "gsm"
    info: dict = field(default_factory=dict)

    carrier = (-HALF_WIDTH, HALF_WIDTH)
    native_rate = OVERSAMPLING * SYMBOL_RATE

    @cached_property
    def _parts(self) -> tuple[Shaped, Shaped]:
        """Its modulated bursts, and its frequency correction bursts: a tone a quarter of the symbol rate up."""
        rng = torch.Generator().manual_seed(self.seed)
        draw = torch.rand(4, generator=rng).tolist()
        frames = int((self.duration - self.start) / (8 * SLOT)) + 2
        number = torch.arange(8 * frames)
        frame, slot = number // 8, number % 8
        begin = self.start + number * SLOT
        level = torch.ones(8 * frames)
        correction = torch.zeros(8 * frames, dtype=torch.bool)
        if draw[0] < self.beacon_share:
            sent = torch.ones(8 * frames, dtype=torch.bool)
            place = frame % MULTIFRAME
            correction = (slot == 0) & (place % 10 == 0) & (place < 50)
            length = SLOT  # a beacon keeps its power between bursts; 3GPP TS 45.008 7.1
        else:
            used = torch.rand(8, generator=rng) < (1.0 if draw[1] < 0.25 else draw[1])
            hopping = 1.0 if draw[2] < 0.5 else 0.1 + 0.8 * draw[3]  # the share of frames it spends on this carrier
            sent = used[slot] & (torch.rand(8 * frames, generator=rng) < hopping)
            level = 10 ** (-torch.randint(0, 8, (8,), generator=rng)[slot] * 2 / 10)  # 2 dB steps, TS 45.005 4.1.2
            level = level / level[sent].mean() if bool(sent.any()) else level
            length = BURST

        def bursts(which: torch.Tensor, shape: tuple, carrier: tuple[float, float]) -> Shaped:
            on = torch.stack([begin[which], begin[which] + length], 1)
            return Shaped(self.kind, carrier, self.native_rate, on, self.duration, shape, self.seed, level=level[which],
                          ramp=0.0 if length == SLOT else 4 / SYMBOL_RATE)

        return (bursts(sent & ~correction, ("gmsk", OVERSAMPLING), self.carrier),
                bursts(sent & correction, ("tone", 1 / (4 * OVERSAMPLING)), self.carrier))

    @property
    def active(self) -> tuple[float, float] | None:
        return next((part.active for part in self._parts if part.active), None)

    def sends(self, begin: float, end: float) -> bool:
        """Whether anything is sent between two times, s."""
        return any(part.sends(begin, end) for part in self._parts)

    def mean_level(self, begin: float, end: float) -> float:
        """As `Waveform.mean_level`."""
        heard, energy = map(sum, zip(*(part.heard(begin, end) for part in self._parts), strict=True))
        return energy / heard if heard else 1.0

    def iq(self, count: int) -> torch.Tensor:
        """-> complex64 [count] at `native_rate`."""
        bursts, correction = self._parts
        return bursts.iq(count) + correction.iq(count) if correction.active else bursts.iq(count)

    def psd(self, row_edges: torch.Tensor, freqs: torch.Tensor, column_hz: float) -> torch.Tensor:
        """-> float32 [T, F], as `Waveform.psd`."""
        bursts, correction = (part.psd(row_edges, freqs, column_hz) if part.active else 0.0 for part in self._parts)
        return bursts + correction


def random_gsm(rng: torch.Generator, duration: float) -> Gsm:
    """A beacon or a traffic carrier at any time of its multiframe."""
    seed, start = torch.rand(2, generator=rng, dtype=torch.float64).tolist()
    return Gsm(int(seed * 2**31), duration, -start * MULTIFRAME * 8 * SLOT)
