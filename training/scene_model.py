# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scene is: emitters on a band, seen by one receiver, and the truth about them.

Levels: the noise in front of the receiver has density 1 per Hz, so an emitter's density is its in-band SNR.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch

from training.batches import AT_ONCE, batches
from training.waveforms.ofdm import OfdmWaveform

SHORTEST_FRAME = 0.5e-3  # s
LEAD = 100e-6  # s that an emitter without a grid has been on the air when the frame begins: its time 0 is this earlier


@dataclass
class Emitter:
    """One transmitter as the receiver gets it.

    center: Hz relative to the scene's centre frequency. snr_db: in-band SNR after the channel.
    channel: a `training.channel.Channel`, or None for a single steady path.
    shoulder_db: what the transmitter's filter takes from emissions outside its channel (0: no filter); it acts from
        `skirt` Hz outside the carrier on, fully at twice that.
    cell: emitters of one number are one carrier to the truth (several base stations on one frequency).
    """

    waveform: object
    center: float
    snr_db: float
    channel: object | None = None
    shoulder_db: float = 0.0
    cell: int | None = None

    @property
    def skirt(self) -> float:
        """Hz between the carrier's edge and the channel's: the guard bands are some 5 % each side."""
        low, high = self.waveform.carrier
        return 0.06 * (high - low)

    def filter_gain(self, freqs: torch.Tensor) -> torch.Tensor:
        """Amplitude of the transmitter's filters at `freqs` (Hz from the emitter's centre); the carrier passes whole. The
        digital one at the ends of the native band is down over its last 2 %, so that nothing rings for long."""
        inward = (0.5 - freqs.abs() / self.waveform.native_rate) / 0.02
        digital = torch.sin(inward.clamp(0, 1) * (math.pi / 2)).square()
        if not self.shoulder_db:
            return digital
        low, high = self.waveform.carrier
        outside = torch.maximum(low - freqs, freqs - high)
        depth = ((outside - self.skirt) / self.skirt).clamp(0, 1)
        return digital * 10 ** (-self.shoulder_db * depth / 20)

    def gain(self, duration: float) -> float:
        """Density to give a resource element of power 1, before the channel, so that `snr_db` is met after it."""
        return 10 ** (self.snr_db / 10) / self._mean_power(duration) / self.channel_power(duration)

    def set_density(self, density: float, duration: float) -> None:
        """Sets `snr_db` so that a resource element of power 1 arrives with `density`."""
        self.snr_db = 10 * math.log10(density * self._mean_power(duration))

    def mean_bandwidth(self, duration: float) -> float:
        """Hz: the mean power over the frame if a resource element of power 1 had density 1; grids only."""
        total = 0.0
        for grid in self.waveform.grids:
            end = grid.start + grid.cp + 1 / grid.scs
            on = (end.clamp(max=duration) - grid.start.clamp(min=0)).clamp(min=0)
            total += float((grid.power.sum(1).double() * on).sum()) * grid.scs
        return total / duration

    def _mean_power(self, duration: float) -> float:
        """Mean power of the resource elements that are sent in the frame. Each counts alike: it covers its spacing for one
        over its spacing. Of emitters without a grid their mean over the time on."""
        if not isinstance(self.waveform, OfdmWaveform):
            return self.waveform.mean_level(LEAD, LEAD + duration)
        total = used = 0.0
        for grid in self.waveform.grids:
            power = grid.power[grid.heard(duration)]
            parts = batches(len(power), power.shape[1], AT_ONCE, power.device)
            sent = sum((power[some].sign().sum() for some in parts), power.new_zeros(()))
            sums = torch.stack([power.sum(), sent]).cpu().tolist()
            total, used = total + sums[0], used + sums[1]
        return total / used if used else 1.0

    def channel_power(self, duration: float) -> float:
        """Mean |H|^2 over what is sent in the frame: each resource element counts with its power."""
        waveform = self.waveform
        if self.channel is None:
            return 1.0
        times, taps = response_times(self.channel, duration), response_taps(self.channel, duration)
        if not isinstance(waveform, OfdmWaveform):
            if waveform.active is None:
                return 1.0
            freqs = torch.linspace(*waveform.active, 129, dtype=torch.float64)
            return max(float(self.channel.power(taps, freqs).mean()), 1e-12)
        total = arrived = 0.0
        for grid in waveform.grids:
            middle = grid.start + grid.cp + 0.5 / grid.scs
            inside = ((middle > 0) & (middle < duration)).nonzero()[:, 0]
            if not len(inside):
                continue
            power = grid.power[int(inside[0]) : int(inside[-1]) + 1]
            if len(times) > 1:
                when = torch.bucketize(middle[inside], (times[1:] + times[:-1]) / 2).to(power.device, non_blocking=True)
                sent = power.new_zeros(len(times), power.shape[1]).index_add_(0, when, power)
            else:
                sent = power.sum(0, keepdim=True)
            group = max(1, int(60e3 / grid.scs), power.shape[1] // 400)  # subcarriers that fade alike
            sent = torch.nn.functional.pad(sent, (0, -sent.shape[1] % group)).reshape(len(times), -1, group).sum(-1)
            middles = (torch.arange(sent.shape[1], dtype=torch.float64) + 0.5) * group - 0.5
            heard = self.channel.power(taps, grid.first_subcarrier + middles * grid.scs)
            heard = heard.to(sent.device, non_blocking=True)
            sums = torch.stack([(sent * heard).sum(), sent.sum()]).cpu().tolist()
            arrived, total = arrived + sums[0], total + sums[1]
        return max(arrived / total, 1e-12) if total else 1.0


def response_times(channel: object, duration: float) -> torch.Tensor:
    """Instants at which to ask a channel for its response: sixteen to the fastest turn, 256 at most; float64 [S], s."""
    turns = float(channel.max_doppler) * duration
    count = 1 if turns < 0.02 else min(256, 8 + int(16 * turns))
    return (torch.arange(count, dtype=torch.float64) + 0.5) * (duration / count)


@lru_cache(maxsize=4)
def response_taps(channel: object, duration: float) -> torch.Tensor:
    """The channel's taps at `response_times`, complex64 [S, P]; kept, for an emitter's level, mean and course all ask."""
    return channel.taps(response_times(channel, duration))


@dataclass
class Scene:
    """A stretch of band: `count` samples at `samp_rate`, what is on it, and the receiver it is seen through.

    nominal: truth is the nominal channel throughout, as the paper protocol labels it. info: what was drawn, JSON types.
    """

    samp_rate: float
    count: int
    emitters: list[Emitter]
    receiver: object
    seed: int
    preset: str
    nominal: bool = False
    info: dict = field(default_factory=dict)

    @property
    def duration(self) -> float:
        return self.count / self.samp_rate


@dataclass(frozen=True)
class Truth:
    """One emitter's bands in Hz relative to the scene's centre, cut to the sampled band."""

    label: str
    kind: str
    carrier: tuple[float, float]
    active: tuple[float, float]
    snr_db: float
    info: dict = field(default_factory=dict)


def by_carrier(emitters: list[Emitter]) -> list[list[Emitter]]:
    """The base stations of one `cell` together, every other emitter by itself; in the order of each one's first."""
    found: dict[object, list[Emitter]] = {}
    for index, emitter in enumerate(emitters):
        found.setdefault(index if emitter.cell is None else ("cell", emitter.cell), []).append(emitter)
    return list(found.values())


def truth(scene: Scene) -> list[Truth]:
    """What is in the scene, strongest last; an emitter silent in the frame or wholly outside the band leaves none."""
    found = [entry for stations in by_carrier(scene.emitters) if (entry := _entry(scene, stations)) is not None]
    return sorted(found, key=lambda t: t.snr_db)


def heard_band(
    waveform: object, duration: float, least: float = -math.inf, most: float = math.inf
) -> tuple[float, float] | None:
    """Lowest to highest frequency that is sent in a frame of `duration` s, of a grid between `least` and `most`; Hz from the
    emitter's centre. None where nothing is."""
    if isinstance(waveform, OfdmWaveform):
        return waveform.active_in(duration, least, most)
    return waveform.carrier if waveform.sends(LEAD, LEAD + duration) else None


def _entry(scene: Scene, stations: list[Emitter]) -> Truth | None:
    """What the emitters of one carrier are together; None where none of them is heard."""
    half = scene.samp_rate / 2
    found: Truth | None = None
    for emitter in stations:
        waveform = emitter.waveform
        heard = heard_band(waveform, scene.duration, -half - emitter.center, half - emitter.center)
        if heard is None:
            continue
        bands = (_channel(waveform),) * 2 if scene.nominal else (heard, waveform.carrier)
        active, carrier = (tuple(min(max(f + emitter.center, -half), half) for f in band) for band in bands)
        if active[1] <= active[0]:
            continue
        entry = Truth(waveform.label, waveform.kind, carrier, active, emitter.snr_db, getattr(waveform, "info", {}))
        if found is not None:
            first = entry if entry.label == "NR" else found  # where spectrum is shared one cell may be without NR
            entry = Truth(first.label, first.kind, _hull(found.carrier, carrier), _hull(found.active, active),
                          _db_sum(found.snr_db, entry.snr_db), found.info)
        found = entry
    return found


def _channel(waveform: object) -> tuple[float, float]:
    """The nominal channel, guard bands included, around the carrier's centre."""
    return -waveform.info["bandwidth"] / 2, waveform.info["bandwidth"] / 2


def mask_columns(scene: Scene, columns: int, classes: tuple[str, ...] = ("noise", "LTE", "NR", "other"),
                 bands: str = "active") -> np.ndarray:
    """Class of each column, uint8 [columns]: the strongest emitter whose band covers at least half of the column.

    bands: which of a truth's bands is drawn, "active" or "carrier". A label that is not in `classes` counts as noise.
    """
    mask = np.zeros(columns, np.uint8)
    width = scene.samp_rate / columns
    middle = np.arange(columns) - columns / 2
    for entry in truth(scene):
        low, high = (f / width for f in getattr(entry, bands))
        covered = np.minimum(high, middle + 0.5) - np.maximum(low, middle - 0.5)
        mask[covered >= 0.5 - 1e-6] = classes.index(entry.label) if entry.label in classes else 0
    return mask


def _hull(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    return min(a[0], b[0]), max(a[1], b[1])


def _db_sum(a: float, b: float) -> float:
    return float(10 * np.log10(10 ** (a / 10) + 10 ** (b / 10)))
