# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The neighbours that must not be called LTE or NR: WiFi, broadcast, GSM, WCDMA, single carriers, FM, radar, tones."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache

import torch

from training.waveforms.ofdm import Grid, OfdmWaveform
from training.waveforms.sequences import qam

# Used subcarriers each side of DC, spacing (Hz), prefix (s). IEEE 802.11-2020 tables 17-5, 19-6, 21-5 and 27-13
WIFI = {
    "11a": (26, 312.5e3, 0.8e-6),
    "11n": (28, 312.5e3, 0.8e-6),
    "11n-sgi": (28, 312.5e3, 0.4e-6),
    "11n-40": (58, 312.5e3, 0.8e-6),
    "11ax": (122, 78.125e3, 0.8e-6),
    "11ax-40": (244, 78.125e3, 1.6e-6),
}
DVB_T = {"2k": 1705, "8k": 6817}  # carriers over the same band, ETSI EN 300 744 table 4
DVB_T_RATE = 64e6 / 7  # samples/s of an 8 MHz channel


def bursts(rng: torch.Generator, duration: float, shortest: float, longest: float, busy: float) -> torch.Tensor:
    """Random on-times over [-1 ms, duration + 1 ms): float64 [n, 2] (begin, end) in s, `busy` of the time in the mean."""
    at, found = -1e-3, []
    while at < duration + 1e-3:
        length, gap = torch.rand(2, generator=rng).tolist()
        length = shortest * (longest / shortest) ** length
        pause = -math.log(max(gap, 1e-6)) * length * (1 - busy) / max(busy, 1e-3)
        at += pause
        found.append((at, at + length))
        at += length
        if busy < 1:
            at += 16e-6
    return torch.tensor(found, dtype=torch.float64)


def wifi(rng: torch.Generator, duration: float, kind: str) -> OfdmWaveform:
    """802.11 frames as CSMA sends them: a few short bursts to saturated traffic, the training field's symbols first."""
    side, scs, cp = WIFI[kind]
    busy = float(torch.rand(1, generator=rng)) ** 2 * 0.95 + 0.04
    on = bursts(rng, duration, 60e-6, 3e-3, busy)
    symbol = cp + 1 / scs
    start = torch.cat([torch.arange(float(a), float(b), symbol, dtype=torch.float64) for a, b in on])
    width = 2 * side + 1
    order = (2, 4, 16, 64)[int(torch.randint(4, (1,), generator=rng))]
    if order == 2:
        re = (torch.randint(0, 2, (len(start), width), generator=rng) * 2.0 - 1).to(torch.complex64)
    else:
        re = qam(order, len(start) * width, rng).view(len(start), width)
    first = torch.isin(start, on[:, 0])  # short training field: every fourth subcarrier, IEEE 802.11-2020 17.3.3
    comb = (torch.arange(width) - side) % (4 if scs > 1e5 else 16) == 0
    re[first] = torch.where(comb, re[first] * 2, torch.zeros_like(re[first]))
    re[:, side] = 0
    grid = Grid(re, scs, -side * scs, start, torch.full_like(start, cp))
    nfft = 1 << (width + 4).bit_length() if width < 2 ** (width.bit_length()) - 8 else 2 << width.bit_length()
    half = (side + 0.5) * scs
    return OfdmWaveform("other", "wifi", (-half, half), [grid], nfft * scs, duration, {"shape": kind})


def dvb_t(rng: torch.Generator, duration: float, mode: str) -> OfdmWaveform:
    """Continuous broadcast OFDM over 7.6 MHz with boosted scattered pilots. ETSI EN 300 744 4.4 and 4.5."""
    carriers = DVB_T[mode]
    nfft = 2048 if mode == "2k" else 8192
    scs = DVB_T_RATE / nfft
    guard = 1 / scs / (4, 8, 16, 32)[int(torch.randint(4, (1,), generator=rng))]
    symbol = 1 / scs + guard
    count = int(duration / symbol) + 3
    start = (torch.arange(count, dtype=torch.float64) - 1 - float(torch.rand(1, generator=rng))) * symbol
    re = qam(64, count * carriers, rng).view(count, carriers)
    for s in range(count):
        re[s, 3 * (s % 4) :: 12] = 4 / 3
    half = carriers * scs / 2
    grid = Grid(re, scs, -(carriers - 1) / 2 * scs, start, torch.full_like(start, guard))
    return OfdmWaveform("other", "dvb-t", (-half, half), [grid], DVB_T_RATE, duration, {"mode": mode})


@dataclass
class Shaped:
    """An emitter with one shape of spectrum that is on or off.

    make: a cached function's arguments that give its samples' shape; on: float64 [n, 2], s, when it sends.
    """

    kind: str
    carrier: tuple[float, float]
    native_rate: float
    on: torch.Tensor
    duration: float
    shape: tuple = ()
    seed: int = 0
    label: str = "other"
    info: dict = field(default_factory=dict)

    @property
    def active(self) -> tuple[float, float] | None:
        sends = ((self.on[:, 0] < self.duration) & (self.on[:, 1] > 0)).any()
        return self.carrier if bool(sends) else None

    def iq(self, count: int) -> torch.Tensor:
        """-> complex64 [count] at `native_rate`."""
        samples = _samples(self.shape, count, self.seed) * math.sqrt(self.carrier[1] - self.carrier[0])
        times = torch.arange(count, dtype=torch.float64) / self.native_rate
        index = torch.searchsorted(self.on[:, 0].contiguous(), times, right=True) - 1
        return samples * ((index >= 0) & (times < self.on[index.clamp(min=0), 1]))

    def psd(self, row_edges: torch.Tensor, freqs: torch.Tensor, column_hz: float) -> torch.Tensor:
        """-> float32 [T, F]: the shape's mean over each column, times how long each row hears it."""
        table = _spectrum(self.shape) * (self.carrier[1] - self.carrier[0]) / self.native_rate
        total = torch.cat([torch.zeros(1, dtype=torch.float64), torch.cumsum(table, 0)])
        points = len(table)

        def below(f: torch.Tensor) -> torch.Tensor:
            x = ((f / self.native_rate + 0.5) * points).clamp(0, points)
            low = x.long().clamp(max=points - 1)
            return total[low] + (x - low) * table[low]

        upper, lower = below(freqs + column_hz / 2), below(freqs - column_hz / 2)
        shape = (upper - lower) * (self.native_rate / points) / column_hz
        begin, end = row_edges[:-1, None], row_edges[1:, None]
        heard = (torch.minimum(end, self.on[:, 1]) - torch.maximum(begin, self.on[:, 0])).clamp(min=0).sum(1)
        return ((heard / (end - begin)[:, 0])[:, None] * shape).float()


def _samples(shape: tuple, count: int, seed: int) -> torch.Tensor:
    """complex64 [count], mean power 1. Shapes: ("linear", oversampling, roll-off, order), ("gmsk", oversampling),
    ("fm", deviation and audio bandwidth in cycles per sample), ("tone",)."""
    rng = torch.Generator().manual_seed(seed)
    if shape[0] == "tone":
        return torch.ones(count, dtype=torch.complex64)
    if shape[0] == "linear":
        _, over, rolloff, order = shape
        spectrum = torch.fft.fft(qam(order, -(-count // over), rng)).repeat(over)[:count]
        spectrum = spectrum if len(spectrum) == count else torch.nn.functional.pad(spectrum, (0, count - len(spectrum)))
        away = torch.fft.fftfreq(count).abs() * over
        edge = ((away - (1 - rolloff) / 2) / rolloff).clamp(0, 1)
        out = torch.fft.ifft(spectrum * torch.cos(edge * math.pi / 2))
    else:
        if shape[0] == "gmsk":  # 3GPP TS 45.004 2: BT 0.3
            over = shape[1]
            bits = torch.randint(0, 2, (-(-count // over),), generator=rng) * 2.0 - 1
            drive = bits.repeat_interleave(over)[:count] / (4 * over)
            bandwidth = 0.3 / over
            freqs = torch.fft.rfftfreq(count)
            drive = torch.fft.irfft(torch.fft.rfft(drive) * torch.exp(-math.log(2) / 2 * (freqs / bandwidth) ** 2), count)
        else:
            _, deviation, audio = shape
            freqs = torch.fft.rfftfreq(count)
            noise = torch.fft.irfft(torch.fft.rfft(torch.randn(count, generator=rng)) * (freqs < audio), count)
            drive = noise / noise.std() * deviation
        turn = 2 * math.pi * torch.cumsum(drive.double(), 0)
        out = torch.polar(torch.ones_like(turn), turn).to(torch.complex64)
    return (out / out.abs().square().mean().sqrt()).to(torch.complex64)


@lru_cache(maxsize=64)
def _spectrum(shape: tuple) -> torch.Tensor:
    """Density of a shape, float64 [1024] over -0.5 to 0.5 cycles per sample, mean 1."""
    samples = _samples(shape, 1 << 18, 1).view(-1, 1024)
    window = torch.hann_window(1024)
    power = torch.fft.fftshift(torch.fft.fft(samples * window).abs().square().mean(0)).double()
    return power / power.mean()


@dataclass
class Chirps:
    """Linear sweeps, back to back or as a pulsed radar sends them.

    width: Hz swept. length, period: s of a sweep and from one to the next.
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
        return max(2 * self.width, 1e6)

    @property
    def active(self) -> tuple[float, float] | None:
        first = math.ceil((-self.length - self.offset) / self.period) * self.period + self.offset
        return self.carrier if first < self.duration else None

    def iq(self, count: int) -> torch.Tensor:
        """-> complex64 [count] at `native_rate`."""
        t = (torch.arange(count, dtype=torch.float64) / self.native_rate - self.offset) % self.period
        turn = 2 * math.pi * (-self.width / 2 * t + self.width / (2 * self.length) * t * t)
        return torch.polar(torch.full_like(turn, math.sqrt(self.width)), turn).to(torch.complex64) * (t < self.length)

    def psd(self, row_edges: torch.Tensor, freqs: torch.Tensor, column_hz: float) -> torch.Tensor:
        """-> float32 [T, F]: each row's share of every sweep, over the columns it crosses meanwhile."""
        rows, cols = len(row_edges) - 1, len(freqs)
        steps = max(4, min(64, int(4 * float(row_edges[1] - row_edges[0]) / self.length * cols)))
        share = (torch.arange(steps, dtype=torch.float64) + 0.5) / steps
        t = row_edges[:-1, None] + share * (row_edges[1:] - row_edges[:-1])[:, None]
        local = (t - self.offset) % self.period
        place = (local / self.length - 0.5) * self.width
        column = torch.round((place - freqs[0]) / column_hz).long()
        on = (local < self.length) & (column >= 0) & (column < cols)
        out = torch.zeros(rows, cols)
        out.scatter_add_(1, column.clamp(0, cols - 1), on.float())
        return out * (self.width / column_hz / steps)


def random_other(rng: torch.Generator, duration: float, max_bandwidth: float) -> OfdmWaveform | Shaped | Chirps:
    """Any neighbour that is not much wider than `max_bandwidth` Hz."""
    kinds = ("wifi", "wifi", "wifi", "gsm", "gsm", "wcdma", "dvb-t", "linear", "linear", "fm", "tone", "radar")
    draw = torch.rand(8, generator=rng).tolist()
    kind = kinds[int(draw[0] * len(kinds))]
    seed = int(draw[1] * 2**31)
    always = torch.tensor([[-1.0, duration + 1.0]], dtype=torch.float64)
    if kind == "wifi" and max_bandwidth > 8e6:
        return wifi(rng, duration, tuple(WIFI)[int(draw[2] * (len(WIFI) if max_bandwidth > 30e6 else 5))])
    if kind == "dvb-t" and max_bandwidth > 5e6:
        return dvb_t(rng, duration, "2k" if draw[2] < 0.5 else "8k")
    if kind == "wcdma" and max_bandwidth > 3e6:  # 3GPP TS 25.104 6.8.1: roll-off 0.22
        return Shaped(kind, (-1.92e6, 1.92e6), 7.68e6, always, duration, ("linear", 2, 0.22, 4), seed)
    if kind == "radar":
        width = min(max_bandwidth, 1e5 * 10 ** (2.5 * draw[2]))
        length = 10 ** (-5.5 + 3 * draw[3])
        return Chirps(width, length, length if draw[4] < 0.4 else length * (1 + 50 * draw[5]), duration, draw[6] * length)
    if kind == "tone":
        return Shaped(kind, (-500.0, 500.0), 8e3, always, duration, ("tone",), seed)
    if kind == "fm":
        rate = 4e5 if draw[2] < 0.5 else 4e4
        return Shaped(kind, (-0.3 * rate, 0.3 * rate), rate, always, duration, ("fm", 0.09, 0.035), seed)
    if kind == "gsm":  # 3GPP TS 45.002 5.2: slots of 15/26 ms, TS 45.004: 1625/6 kb/s
        slot = 15e-3 / 26
        frame = int(duration / (8 * slot)) + 3
        used = torch.rand(8, generator=rng) < (1.0 if draw[2] < 0.4 else draw[3])
        begin = (torch.arange(8 * frame, dtype=torch.float64) - 8 + 8 * draw[4]) * slot
        begin = begin[used.repeat(frame)]
        on = torch.stack([begin, begin + 0.95 * slot], 1) if len(begin) else always[:0]
        rate = 1625e3 / 6
        return Shaped(kind, (-rate / 2.4, rate / 2.4), 4 * rate, on, duration, ("gmsk", 4), seed)
    symbol_rate = min(max_bandwidth / 2, 10 ** (4 + 3 * draw[2]))
    rolloff = (0.1, 0.2, 0.35, 0.5)[int(4 * draw[3])]
    on = always if draw[4] < 0.5 else bursts(rng, duration, 1e-4, 2e-2, 0.1 + 0.8 * draw[5])
    half = symbol_rate * (1 + rolloff) / 2
    order = (4, 4, 16, 64)[int(4 * draw[6])]
    return Shaped("linear", (-half, half), 4 * symbol_rate, on, duration, ("linear", 4, rolloff, order), seed)
