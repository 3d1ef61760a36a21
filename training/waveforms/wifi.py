# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""WiFi: 802.11a/g, n, ac and ax frames of 20, 40 and 80 MHz, as stations that listen before they talk send them.

The legacy training fields are the standard's; what follows them has its tones, lengths and spacing, and random contents.
Clauses are those of IEEE 802.11-2020; 27 is 802.11ax-2021.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, repeat

import torch

from training.waveforms.ofdm import Grid, OfdmWaveform
from training.waveforms.sequences import qam

SCS = 312.5e3  # Hz, of everything but 802.11ax data
HE_SCS = 78.125e3
SYMBOL = 4e-6  # s, with the usual prefix
SIFS, SLOT, DIFS = 16e-6, 9e-6, 34e-6  # s; table 17-21
BEACONS = 102.4e-3  # s between them
LONGEST = 5.484e-3  # s of a frame, table 27-55

# 17.3.3 (17-6): tones -24, -20 .. 24 times sqrt(13/6) (1 + j), without DC. 17.3.3 (17-8): tones -26 .. 26.
_STF = (1, -1, 1, -1, -1, 1, -1, -1, 1, 1, 1, 1)
_LTF = "++--++-+-++++++--++-+-++++0+--++-+-+-----++--+-+-++++"
# Phase of the legacy fields in each 20 MHz, 19.3.9.3 and 21.3.7.5
_ROTATION = {20: (1,), 40: (1, 1j), 80: (1, -1, -1, -1)}
# (highest tone, lowest positive tone) of the data, tables 19-6, 21-5 and 27-13
_TONES = {
    ("n", 20): (28, 1), ("n", 40): (58, 2), ("ac", 20): (28, 1), ("ac", 40): (58, 2), ("ac", 80): (122, 2),
    ("ax", 20): (122, 2), ("ax", 40): (244, 3), ("ax", 80): (500, 3),
}  # fmt: skip
_RATE = {20: 40e6, 40: 60e6, 80: 100e6}  # samples/s that hold the side lobes a radio nearby still hears
_STF_ROW, _LTF_ROW, _SIGNAL_ROW, _COMB_ROW, _TRAINING_ROW, _DATA_ROW = range(6)


@dataclass(frozen=True)
class WifiConfig:
    """A channel and its stations.

    standard: "a" (and g), "n", "ac" or "ax". width: MHz. guard: s, prefix of data symbols. order: points of the data's
    constellation. busy: share of the time on the air, 1 for a queue that never empties. length: s, typical frame.
    uplink: share of frames that come from the client, whose level is `client_db` re the access point's.
    units: share of 802.11ax frames that fill one resource unit only. burst: share of frames that follow the last one
    after SIFS, in the same transmission opportunity.
    """

    standard: str = "n"
    width: int = 20
    guard: float = 0.8e-6
    order: int = 16
    busy: float = 0.5
    length: float = 5e-4
    uplink: float = 0.3
    client_db: float = 0.0
    units: float = 0.0
    burst: float = 0.0


@dataclass
class _Rows:
    """Symbols of one spacing in runs. start: s, of each symbol. runs: how many each has and, of all of them, the kind of
    row, prefix (s), amplitude, tones lowest and highest in use."""

    start: list[float]
    runs: list[tuple[float, ...]]

    def add(self, kind: int, start: list[float], cp: float, gain: float, unit: tuple[int, int] = (-1000, 1000)) -> None:
        self.start += start
        self.runs.append((len(start), kind, cp, gain, *unit))


def random_wifi(rng: torch.Generator, max_bandwidth: float = math.inf) -> WifiConfig:
    """Any standard at a width near or below `max_bandwidth` Hz, from a sparse network to a saturated one."""
    draw = torch.rand(10, generator=rng).tolist()
    standard = ("a", "a", "n", "n", "n", "ac", "ac", "ax", "ax", "ax")[int(10 * draw[0])]
    widths = {"a": (20,), "n": (20, 20, 40)}.get(standard, (20, 20, 40, 80))
    widths = [w for w in widths if w * 1e6 <= 1.3 * max_bandwidth] or [20]
    guards = {"a": (0.8e-6,), "ax": (0.8e-6, 1.6e-6, 3.2e-6)}.get(standard, (0.8e-6, 0.4e-6))
    longest = 2e-3 if standard == "a" else LONGEST
    return WifiConfig(
        standard,
        widths[int(len(widths) * draw[1])],
        guards[int(len(guards) * draw[2])],
        (4, 16, 64, 256 if standard in ("ac", "ax") else 64)[int(4 * draw[3])],
        1.0 if draw[4] < 0.35 else 0.03 + 0.9 * ((draw[4] - 0.35) / 0.65) ** 2,
        6e-5 * (longest / 6e-5) ** draw[5],
        draw[6],
        0.0 if draw[7] < 0.3 else 25 * (draw[7] - 0.65),
        0.5 if standard == "ax" and draw[8] < 0.3 else 0.0,
        0.8 if draw[9] < 0.3 else 0.0,
    )


def wifi(config: WifiConfig, duration: float, rng: torch.Generator) -> OfdmWaveform:
    """The frames a receiver hears in `duration` s: data, acknowledgements and beacons of two stations."""
    legacy, he = _Rows([], []), _Rows([], [])
    for begin, length, gain, short, unit in _traffic(config, duration, rng):
        if begin + length + 1e-4 > 0:
            _frame(config, begin, length, gain, short, unit, legacy, he)
    grids = [_grid(config, legacy, SCS, duration, rng)]
    if config.standard == "ax":
        grids.append(_grid(config, he, HE_SCS, duration, rng))
    return OfdmWaveform("other", "wifi", _band(config), grids, _RATE[config.width], duration, vars(config).copy())


def _band(config: WifiConfig) -> tuple[float, float]:
    """Edges of the widest fields, Hz."""
    half = (config.width / 2 - 10) * 1e6 + 26.5 * SCS
    if config.standard != "a":
        scs = HE_SCS if config.standard == "ax" else SCS
        half = max(half, (_TONES[config.standard, config.width][0] + 0.5) * scs)
    return -half, half


def _uniforms(rng: torch.Generator) -> Iterator[float]:
    while True:
        yield from torch.rand(256, generator=rng).tolist()


def _traffic(config: WifiConfig, duration: float, rng: torch.Generator) -> list[tuple]:
    """Frames (begin, length, amplitude, is it a short control frame, tones in use), in order, until `duration`.

    Medium access as in 10.3: a frame, its acknowledgement after SIFS, then DIFS and a random back-off.
    """
    levels = (1.0, 10 ** (config.client_db / 20))
    uniform = _uniforms(rng).__next__
    highest = _TONES[config.standard, config.width][0] if config.standard == "ax" else 0
    frames, now = [], -LONGEST * (1 + uniform())
    beacon = uniform() * BEACONS
    while now < duration:
        length = min(max(config.length * math.exp(1.2 * (uniform() + uniform() - 1)), 5e-5), LONGEST)
        unit = (-1000, 1000)
        if uniform() < config.units:  # a half, a quarter or a ninth of the band: at 20 MHz, units of 106, 52 and 26 tones
            parts = (2, 4, 9)[int(3 * uniform())]
            low = -highest + 2 * highest * int(parts * uniform()) // parts
            unit = (low, low + 2 * highest // parts)
        station = int(uniform() < config.uplink)
        if beacon < now:
            frames.append((now, 3e-4, levels[0], True, (-1000, 1000)))
            now += 3e-4 + DIFS
            beacon += BEACONS
        frames.append((now, length, levels[station], False, unit))
        if uniform() < 0.9:
            frames.append((now + length + SIFS, 2.8e-5 + 4e-6 * int(3 * uniform()), levels[1 - station], True,
                           (-1000, 1000)))
        sent = length + SIFS + 4e-5
        now += sent
        if uniform() < config.burst:
            now += SIFS
            continue
        idle = -math.log(max(uniform(), 1e-6)) * sent * (1 / config.busy - 1) if config.busy < 1 else 0.0
        now += DIFS + SLOT * int(16 * uniform()) + idle
    return frames


def _frame(config: WifiConfig, begin: float, length: float, gain: float, short: bool, unit: tuple[int, int],
           legacy: _Rows, he: _Rows) -> None:
    """Adds the symbols of one frame of about `length` s."""
    kinds = {"a": 1, "n": 3, "ac": 3, "ax": 4}
    signals = 1 if short else kinds[config.standard]  # L-SIG and what announces the newer format
    legacy.add(_STF_ROW, [begin, begin + 4e-6], 0.8e-6, gain)
    legacy.add(_LTF_ROW, [begin + 8e-6], 1.6e-6, gain)  # 17.3.2.2: its prefix serves both its symbols
    legacy.add(_LTF_ROW, [begin + 12.8e-6], 0.0, gain)
    *announce, now = accumulate(repeat(SYMBOL, signals), initial=begin + 16e-6)
    legacy.add(_SIGNAL_ROW, announce, 0.8e-6, gain)
    end = begin + length
    if short or config.standard == "a":
        legacy.add(_SIGNAL_ROW if short else _DATA_ROW, _times(now, SYMBOL, end), 0.8e-6, gain)
        return
    legacy.add(_COMB_ROW, [now], 0.8e-6, gain)
    now += SYMBOL
    if config.standard == "ax":
        he.add(_DATA_ROW, _times(now, 1 / HE_SCS + config.guard, end), config.guard, gain, unit)
    else:
        legacy.add(_TRAINING_ROW, [now], 0.8e-6, gain)
        legacy.add(_DATA_ROW, _times(now + SYMBOL, 1 / SCS + config.guard, end), config.guard, gain, unit)


def _times(begin: float, step: float, end: float) -> list[float]:
    """Every `step` from `begin` until before `end`, s."""
    times = accumulate(repeat(step, max(0, math.ceil((end - begin) / step))), initial=begin)
    return [t for t in times if t < end]


def _grid(config: WifiConfig, rows: _Rows, scs: float, duration: float, rng: torch.Generator) -> Grid:
    start = torch.tensor(rows.start, dtype=torch.float64)
    runs = torch.tensor(rows.runs, dtype=torch.float64).view(-1, 6)
    each = runs[:, 1:].repeat_interleave(runs[:, 0].long(), 0)
    heard = (start < duration) & (start + each[:, 1] + 1 / scs > 0)
    start, (kind, cp, gain, *unit) = start[heard], each[heard].T
    low, high = _band(config)
    side = round((high - low) / 2 / scs - 0.5)
    tones = torch.arange(-side, side + 1)
    legacy, stf, ltf = _legacy_fields(config.width, side)
    data = legacy.abs()
    if scs == HE_SCS or config.standard in ("n", "ac"):
        highest, lowest = _TONES[config.standard, config.width]
        data = ((tones.abs() <= highest) & (tones.abs() >= lowest)).float()
    used = ((kind == _DATA_ROW) | (kind == _TRAINING_ROW))[:, None] & (data > 0)
    if config.units:
        used &= (tones >= unit[0][:, None]) & (tones <= unit[1][:, None])
    re = qam(config.order, used.numel(), rng).view(used.shape).mul_(used)
    plain = kind == _SIGNAL_ROW
    re[plain] = (torch.randint(0, 2, (int(plain.sum()), len(tones)), generator=rng) * 2.0 - 1) * legacy
    re[kind == _STF_ROW] = stf
    re[kind == _LTF_ROW] = ltf
    comb = (tones % 4 == 0) & (tones != 0)  # 19.3.9.4.5 and 27.3.11.9: as the legacy short field, over the data's tones
    widest = legacy.abs() if config.standard == "ax" else data
    re[kind == _COMB_ROW] = (2.0 * widest * comb).to(re) * torch.exp(0.5j * math.pi * (tones * tones % 7))
    return Grid(re.mul_(gain.float()[:, None]), scs, -side * scs, start, cp.contiguous())


def _legacy_fields(width: int, side: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """-> tones of a legacy symbol, the short and the long training symbol in every 20 MHz, complex64 [2 side + 1]."""
    ltf = torch.tensor([{"+": 1.0, "-": -1.0, "0": 0.0}[c] for c in _LTF])
    stf = torch.zeros(53, dtype=torch.complex64)
    stf[[k + 26 for k in range(-24, 25, 4) if k]] = torch.tensor(_STF) * math.sqrt(13 / 6) * (1 + 1j)
    fields = torch.zeros(3, 2 * side + 1, dtype=torch.complex64)
    for part, turn in enumerate(_ROTATION[width]):
        first = side + 64 * part - 32 * (width // 20 - 1) - 26
        if first >= 0 and first + 53 <= 2 * side + 1:
            fields[:, first : first + 53] = torch.stack([ltf.abs().to(stf), stf, ltf.to(stf)]) * turn
    return fields[0], fields[1], fields[2]
