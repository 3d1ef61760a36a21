# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scene is: emitters on a band, seen by one receiver, and the truth about them.

Levels: the noise in front of the receiver has density 1 per Hz, so an emitter's density is its in-band SNR.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from training.waveforms.ofdm import OfdmWaveform

LEAD = 100e-6  # s that an emitter without a grid has been on the air when the frame begins: its time 0 is this earlier


@dataclass
class Emitter:
    """One transmitter as the receiver gets it.

    center: Hz relative to the scene's centre frequency. snr_db: in-band SNR after the channel (DESIGN contract 3).
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
    _power: list[torch.Tensor] | None = field(default=None, repr=False, compare=False)

    @property
    def grid_power(self) -> list[torch.Tensor]:
        """|re|^2 of each grid, float32 [symbols, subcarriers]; worked out once."""
        if self._power is None:
            self._power = [g.re.real.square() + g.re.imag.square() for g in self.waveform.grids]
        return self._power

    @property
    def skirt(self) -> float:
        """Hz between the carrier's edge and the channel's: the guard bands are some 5 % each side."""
        low, high = self.waveform.carrier
        return 0.06 * (high - low)

    def filter_gain(self, freqs: torch.Tensor) -> torch.Tensor:
        """Amplitude of the transmitter's filter at `freqs` (Hz from the emitter's centre); the carrier passes whole."""
        if not self.shoulder_db:
            return torch.ones_like(freqs)
        low, high = self.waveform.carrier
        outside = torch.maximum(low - freqs, freqs - high)
        depth = ((outside - self.skirt) / self.skirt).clamp(0, 1)
        return 10 ** (-self.shoulder_db * depth / 20)

    def gain(self, duration: float) -> float:
        """Power density an active resource element is to have before the channel, so that `snr_db` is met after it."""
        density = 1.0
        if isinstance(self.waveform, OfdmWaveform):
            total = used = 0.0
            for power, grid in zip(self.grid_power, self.waveform.grids, strict=True):
                inside = (grid.start < duration) & (grid.start + grid.cp + 1 / grid.scs > 0)
                if not bool(inside.all()):
                    power = power[inside]
                total += float(power.sum()) * grid.scs
                used += int(torch.count_nonzero(power)) * grid.scs
            density = total / used if used else 1.0
        return 10 ** (self.snr_db / 10) / density / self.channel_power(duration)

    def channel_power(self, duration: float) -> float:
        """Mean |H|^2 over the active band and the frame."""
        if self.channel is None or self.waveform.active is None:
            return 1.0
        low, high = self.waveform.active
        freqs = torch.linspace(low, high, 129, dtype=torch.float64)
        times = response_times(self.channel, duration)
        power = self.channel.response(times[:: -(-len(times) // 32)], freqs).abs().square().mean()
        return max(float(power), 1e-12)


def response_times(channel: object, duration: float) -> torch.Tensor:
    """Instants at which to ask a channel for its response: eight to the fastest fade, 256 at most; float64 [S], s."""
    turns = float(channel.max_doppler) * duration
    count = 1 if turns < 0.02 else min(256, 4 + int(8 * turns))
    return (torch.arange(count, dtype=torch.float64) + 0.5) * (duration / count)


@dataclass
class Scene:
    """A stretch of band: `count` samples at `samp_rate`, what is on it, and the receiver it is seen through."""

    samp_rate: float
    count: int
    emitters: list[Emitter]
    receiver: object
    seed: int
    preset: str
    info: dict = field(default_factory=dict)

    @property
    def duration(self) -> float:
        return self.count / self.samp_rate


@dataclass(frozen=True)
class Truth:
    """One emitter's bands in Hz relative to the scene's centre, cut to the sampled band (DESIGN contract 3)."""

    label: str
    kind: str
    carrier: tuple[float, float]
    active: tuple[float, float]
    snr_db: float
    info: dict = field(default_factory=dict)


def truth(scene: Scene) -> list[Truth]:
    """What is in the scene, strongest last; an emitter silent in the frame or wholly outside the band leaves none."""
    half = scene.samp_rate / 2
    found: dict[object, Truth] = {}
    for index, emitter in enumerate(scene.emitters):
        waveform = emitter.waveform
        if waveform.active is None:
            continue
        active = tuple(min(max(f + emitter.center, -half), half) for f in waveform.active)
        if active[1] <= active[0]:
            continue
        carrier = tuple(min(max(f + emitter.center, -half), half) for f in waveform.carrier)
        key = ("cell", emitter.cell) if emitter.cell is not None else index
        entry = Truth(waveform.label, waveform.kind, carrier, active, emitter.snr_db, getattr(waveform, "info", {}))
        if key in found:
            other = found[key]
            entry = Truth(entry.label, entry.kind, _hull(other.carrier, carrier), _hull(other.active, active),
                          _db_sum(other.snr_db, entry.snr_db), other.info)
        found[key] = entry
    return sorted(found.values(), key=lambda t: t.snr_db)


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
