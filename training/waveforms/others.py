# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The neighbours that must not be called LTE or NR: `random_other` draws any of them.

WiFi and GSM have files of their own; here are broadcast OFDM, WCDMA and other single carriers, FM, tones and radar.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch

from training.waveforms.gsm import Gsm, random_gsm
from training.waveforms.ofdm import Grid, OfdmWaveform
from training.waveforms.sequences import m_sequence, qam
from training.waveforms.shaped import Shaped
from training.waveforms.wifi import random_wifi, wifi

DVB_T = {"2k": 1705, "8k": 6817}  # carriers over the same band, ETSI EN 300 744 table 4
DVB_T_RATE = 64e6 / 7  # samples/s of an 8 MHz channel
# ETSI EN 300 744 table 7: the 2k mode's continual pilots; the 8k mode repeats them every 1704 carriers
_CONTINUAL = (0, 48, 54, 87, 141, 156, 192, 201, 255, 279, 282, 333, 432, 450, 483, 525, 531, 618, 636, 714, 759, 765,
              780, 804, 873, 888, 918, 939, 942, 969, 984, 1050, 1101, 1107, 1110, 1137, 1140, 1146, 1206, 1269, 1323,
              1377, 1491, 1683, 1704)  # fmt: skip
CHIP_RATE = 3.84e6  # chips/s of WCDMA; roll-off 0.22. 3GPP TS 25.104 6.8.1
KINDS = {"wifi": 10, "gsm": 5, "wcdma": 2, "dvb-t": 2, "linear": 4, "pulses": 1, "fm": 2, "fsk": 1, "tone": 2, "radar": 2}


def bursts(rng: torch.Generator, duration: float, length: float, busy: float) -> torch.Tensor:
    """Random on-times around [0, duration): float64 [n, 2] (begin, end) in s, ascending.

    length: s, their median; they are up to an octave longer or shorter. busy: share of the time, 1 being always.
    """
    if busy >= 1:
        return torch.tensor([[-1.0, duration + 1.0]], dtype=torch.float64)
    mean = length * 1.5 / math.log(4)  # of an octave up or down
    cycle = mean / busy
    count = int(2.5 * duration / cycle) + 12
    draw = torch.rand(2, count, generator=rng, dtype=torch.float64)
    lengths = length * 2 ** (2 * draw[0] - 1)
    pauses = -torch.log(1 - draw[1]) * (cycle - mean)
    begin = torch.cumsum(lengths + pauses, 0) - lengths - 3 * cycle  # the first ones are over or under way at 0
    return torch.stack([begin, begin + lengths], 1)


def dvb_t(rng: torch.Generator, duration: float, mode: str) -> OfdmWaveform:
    """Continuous broadcast OFDM over 7.6 MHz with its scattered and continual pilots. ETSI EN 300 744 4.4 and 4.5."""
    carriers = DVB_T[mode]
    scs = DVB_T_RATE / (2048 if mode == "2k" else 8192)
    guard = 1 / scs / (4, 8, 16, 32)[int(torch.randint(4, (1,), generator=rng))]
    symbol = 1 / scs + guard
    count = int(duration / symbol) + 3
    start = (torch.arange(count, dtype=torch.float64) - 1 - float(torch.rand(1, generator=rng))) * symbol
    re = qam(64, count * carriers, rng).view(count, carriers)
    # 4.5.2: pilots are +-4/3 after the sequence of X^11 + X^2 + 1
    pilots = 4 / 3 * (1 - 2 * m_sequence((2, 0), (1,) * 11, carriers)).to(re.dtype)
    continual = [k + 1704 * part for part in range(carriers // 1704) for k in _CONTINUAL]
    re[:, continual] = pilots[continual]
    for s in range(count):
        re[s, 3 * (s % 4) :: 12] = pilots[3 * (s % 4) :: 12]
    half = carriers * scs / 2
    grid = Grid(re, scs, -(carriers - 1) / 2 * scs, start, torch.full_like(start, guard))
    return OfdmWaveform("other", "dvb-t", (-half, half), [grid], DVB_T_RATE, duration, {"mode": mode})


@dataclass
class Chirps:
    """Linear sweeps, back to back or as a pulsed radar sends them.

    width: Hz swept. length, period: s of a sweep and from one to the next. offset: s, when one begins. Its density over
    the band it sweeps is 1 while it sweeps.
    """

    width: float
    length: float
    period: float
    duration: float
    offset: float = 0.0
    label: str = "other"
    kind: str = "radar"
    info: dict = field(default_factory=dict)

    @property
    def carrier(self) -> tuple[float, float]:
        return -self.width / 2, self.width / 2

    @property
    def native_rate(self) -> float:
        return max(1.5 * self.width, 1e5)

    @property
    def active(self) -> tuple[float, float] | None:
        return self.carrier if self.sends(0.0, self.duration) else None

    def sends(self, begin: float, end: float) -> bool:
        """Whether anything is sent between two times, s."""
        first = math.ceil((begin - self.length - self.offset) / self.period) * self.period + self.offset
        return first < end

    def mean_level(self, begin: float, end: float) -> float:
        """As `Waveform.mean_level`: all sweeps are alike."""
        return 1.0

    def iq(self, count: int) -> torch.Tensor:
        """-> complex64 [count] at `native_rate`."""
        t = (torch.arange(count, dtype=torch.float64) / self.native_rate - self.offset) % self.period
        turn = (self.width / 2 * t * (t / self.length - 1)) % 1
        amplitude = math.sqrt(self.width) * (t < self.length).float()
        return torch.polar(amplitude, (2 * math.pi * turn).float())

    def psd(self, row_edges: torch.Tensor, freqs: torch.Tensor, column_hz: float) -> torch.Tensor:
        """-> float32 [T, F]: how long each row's sweeps stay in each column, times the density that gives."""
        enter, leave = (((freqs + side * column_hz / 2) / self.width + 0.5).clamp(0, 1) * self.length for side in (-1, 1))
        local = (row_edges - self.offset)[:, None]
        whole = torch.floor(local / self.period)
        inside = torch.minimum(torch.clamp(local - whole * self.period - enter, min=0), leave - enter)
        spent = torch.diff(whole * (leave - enter) + inside, dim=0) / torch.diff(row_edges)[:, None]
        return (spent * (self.width / column_hz)).float()


def random_other(
    rng: torch.Generator, duration: float, max_bandwidth: float, kind: str | None = None
) -> OfdmWaveform | Gsm | Shaped | Chirps:
    """Any neighbour that is not much wider than `max_bandwidth` Hz, or one of a `kind` of KINDS."""
    draw = torch.rand(8, generator=rng, dtype=torch.float64).tolist()
    least = {"wifi": 8e6, "dvb-t": 5e6, "wcdma": 3e6}  # Hz; narrower bands would show a part of it at best
    kinds = [kind for kind, weight in KINDS.items() for _ in range(weight) if max_bandwidth > least.get(kind, 0)]
    kind = kind or kinds[int(draw[0] * len(kinds))]
    seed = int(draw[1] * 2**31)
    if kind == "wifi":
        return wifi(random_wifi(rng, max_bandwidth), duration, rng)
    if kind == "gsm":
        return random_gsm(rng, duration)
    if kind == "dvb-t":
        return dvb_t(rng, duration, "2k" if draw[2] < 0.5 else "8k")
    if kind == "radar":
        width = min(max_bandwidth, 1e5 * 10 ** (2.5 * draw[2]))
        length = max(10 ** (-5.5 + 3 * draw[3]), 100 / width)  # a sweep of few turns has no edges to speak of
        period = length if draw[4] < 0.4 else length * (1 + 50 * draw[5])
        return Chirps(width, length, period, duration, draw[6] * period)
    always = bursts(rng, duration, 1.0, 1.0)
    if kind == "wcdma":
        half = CHIP_RATE / 2
        return Shaped(kind, (-half, half), 2 * CHIP_RATE, always, duration, ("linear", 2, 0.22, 4), seed)
    if kind == "tone":
        return Shaped(kind, (-500.0, 500.0), 8e3, always, duration, ("tone",), seed)
    if kind == "fm":  # broadcast or narrow-band
        rate = 4e5 if draw[2] < 0.5 else 4e4
        return Shaped(kind, (-0.3 * rate, 0.3 * rate), rate, always, duration, ("fm", 0.09, 0.035), seed)
    if kind == "pulses":  # phase-coded, regular: an emitter that measures range
        chips = min(max_bandwidth / 2, 10 ** (5.5 + 1.5 * draw[2]))
        length = 10 ** (1.3 + draw[3]) / chips
        begin = (torch.arange(-1, int(duration / (length * (3 + 40 * draw[4]))) + 2, dtype=torch.float64) + draw[5])
        begin = begin * length * (3 + 40 * draw[4])
        on = torch.stack([begin, begin + length], 1)
        return Shaped("radar", (-0.6 * chips, 0.6 * chips), 2 * chips, on, duration, ("linear", 2, 0.2, 4), seed,
                      ramp=2 / chips)
    on = bursts(rng, duration, 2e-4 * 100 ** draw[3], 1.0 if draw[4] < 0.5 else 0.05 + 0.9 * draw[5])
    if kind == "fsk":  # cordless phones, short-range radio: Gaussian, BT 0.5, index a half
        rate = min(max_bandwidth / 2, (50e3, 250e3, 1e6, 1.152e6)[int(4 * draw[2])])
        return Shaped(kind, (-0.45 * rate, 0.45 * rate), 4 * rate, on, duration, ("gmsk", 4, 0.5), seed, ramp=4 / rate)
    symbol_rate = min(max_bandwidth / 2, 10 ** (4 + 3 * draw[2]))
    rolloff = (0.1, 0.2, 0.35, 0.5)[int(4 * draw[6])]
    half = symbol_rate * (1 + rolloff) / 2
    order = (4, 4, 16, 64)[int(4 * draw[7])]
    return Shaped("linear", (-half, half), 2 * symbol_rate, on, duration, ("linear", 2, rolloff, order), seed,
                  ramp=8 / symbol_rate)
