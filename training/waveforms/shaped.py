# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Emitters with one shape of spectrum that are on or off: single carriers, GMSK and FSK, FM, tones, pulses."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
import torch

from training.channel import good_size
from training.waveforms.sequences import qam

POINTS = 1024  # of a shape's spectrum over its native rate


@dataclass
class Shaped:
    """An emitter with one shape of spectrum that is on or off.

    shape: ("linear", samples to a symbol, roll-off, order), ("gmsk", samples to a symbol[, BT]), ("fm", deviation and
        audio bandwidth in cycles per sample) or ("tone"[, cycles per sample]).
    on: float64 [n, 2], s, when it sends; ascending, apart. level: float32 [n], power then, 1 if None.
    ramp: s it takes to rise within a burst and to fall, a quarter of the shortest burst at most.
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
    level: torch.Tensor | None = None
    ramp: float = 0.0

    @cached_property
    def active(self) -> tuple[float, float] | None:
        return self.carrier if self.sends(0.0, self.duration) else None

    def sends(self, begin: float, end: float) -> bool:
        """Whether anything is sent between two times, s."""
        return bool(((self.on[:, 0] < end) & (self.on[:, 1] > begin)).any())

    def mean_level(self, begin: float, end: float) -> float:
        """As `Waveform.mean_level`."""
        heard, energy = self.heard(begin, end)
        return energy / heard if heard else 1.0

    def heard(self, begin: float, end: float) -> tuple[float, float]:
        """-> s that it is on between two times, s, and the sum of that times the power then."""
        on = (self.on[:, 1].clamp(max=end) - self.on[:, 0].clamp(min=begin)).clamp(min=0)
        return float(on.sum()), float((on if self.level is None else on * self.level).sum())

    def iq(self, count: int) -> torch.Tensor:
        """-> complex64 [count] at `native_rate`."""
        if self.active is None:
            return torch.zeros(count, dtype=torch.complex64)
        samples = shape_samples(self.shape, count, self.seed)
        always = len(self.on) == 1 and self.on[0, 0] <= 0 and self.on[0, 1] * self.native_rate >= count
        return samples.mul_(math.sqrt(self._density) if always else self._envelope(count) * math.sqrt(self._density))

    @cached_property
    def _ramp(self) -> float:
        """`ramp`, s, but no longer than leaves half of the shortest burst at its level."""
        return min(self.ramp, float((self.on[:, 1] - self.on[:, 0]).min()) / 4) if len(self.on) else self.ramp

    @property
    def _density(self) -> float:
        return self.carrier[1] - self.carrier[0]

    def _envelope(self, count: int) -> torch.Tensor:
        """Amplitude of every sample, float32 [count], raised cosines at the bursts' ends."""
        edges = (self.on * self.native_rate).round().long().clamp(0, count)
        ascending = edges.reshape(-1).cummax(0).values  # bursts of different stations may meet within a sample
        runs = torch.diff(torch.cat([torch.zeros(1, dtype=torch.long), ascending,
                                     torch.tensor([count])]))
        power = torch.ones(len(self.on)) if self.level is None else self.level.float()
        amplitude = torch.zeros(len(runs))
        amplitude[1:-1:2] = power.sqrt()
        out = amplitude.repeat_interleave(runs)
        steps = round(self._ramp * self.native_rate)
        if steps > 1:
            rise = torch.sin((torch.arange(steps) + 0.5) / steps * math.pi / 2).square()
            begin, end = (self.on * self.native_rate).round().long().T
            for first, shape in ((begin, rise), (end - steps, rise.flip(0))):
                index = first[:, None] + torch.arange(steps)
                inside = (index >= 0) & (index < count)
                factor = shape.expand(index.shape)[inside]
                out[index[inside]] *= factor
        return out

    def psd(self, row_edges: torch.Tensor, freqs: torch.Tensor, column_hz: float) -> torch.Tensor:
        """-> float32 [T, F]: the shape's mean over each column, times the power each row hears."""
        if self.active is None:
            return torch.zeros(len(row_edges) - 1, len(freqs))
        table = shape_spectrum(self.shape).numpy() * self._density / self.native_rate  # numpy: as in `time_weights`
        total = np.append(0.0, np.cumsum(table))

        def below(f: np.ndarray) -> np.ndarray:
            x = np.clip((f / self.native_rate + 0.5) * POINTS, 0, POINTS)
            low = np.minimum(x.astype(np.int64), POINTS - 1)
            return total[low] + (x - low) * table[low]

        shape = below(freqs.numpy() + column_hz / 2) - below(freqs.numpy() - column_hz / 2)
        shape = (shape * (self.native_rate / POINTS / column_hz)).astype(np.float32)
        return torch.from_numpy(self._heard(row_edges.numpy())[:, None] * shape)

    def _heard(self, row_edges: np.ndarray) -> np.ndarray:
        """Mean power of the envelope in each row, float32 [T]."""
        begin, end = self.on.numpy().T
        power = 1.0 if self.level is None else self.level.numpy()
        length = np.maximum(end - begin, 1e-12)
        ramps = np.maximum(1 - 1 / length * (1.25 * self._ramp), 0)  # a raised cosine's ramp holds 3/8 of its power
        energies = torch.from_numpy(length * ramps * power)
        done = torch.nn.functional.pad(torch.cumsum(energies, 0), (1, 0)).numpy()  # up to each burst; added up in doubles
        index = np.searchsorted(begin, row_edges, side="right") - 1
        held = np.maximum(index, 0)
        part = np.clip((row_edges - begin[held]) / length[held], 0, 1)
        energy = np.where(index >= 0, done[held] + part * (done[held + 1] - done[held]), 0.0)
        return (np.diff(energy) / np.diff(row_edges)).astype(np.float32)


def shape_samples(shape: tuple, count: int, seed: int) -> torch.Tensor:
    """complex64 [count], mean power 1, of a shape of `Shaped`."""
    kind = shape[0]
    if kind == "tone":
        turn = (shape[1] if len(shape) > 1 else 0.0) * torch.arange(count, dtype=torch.float64) % 1
        return torch.polar(torch.ones(count), (2 * math.pi * turn).float())
    rng = torch.Generator().manual_seed(seed)
    if kind == "linear":
        _, over, rolloff, order = shape
        symbols = good_size(-(-count // over))
        spectrum = torch.fft.fft(qam(order, symbols, rng)).repeat(over)
        away = torch.fft.fftfreq(symbols * over).abs() * over
        edge = ((away - (1 - rolloff) / 2) / rolloff).clamp(0, 1)
        return torch.fft.ifft(spectrum * torch.cos(edge * math.pi / 2))[:count] * over
    size = good_size(count)
    if kind == "gmsk":  # 3GPP TS 45.004 2.4 and 2.5: a Gaussian of BT 0.3, modulation index a half
        over, bandwidth = shape[1], (shape[2] if len(shape) > 2 else 0.3) / shape[1]
        bits = torch.randint(0, 2, (-(-size // over),), generator=rng) * 2.0 - 1
        drive = bits.repeat_interleave(over)[:size] / (4 * over)
        freqs = torch.fft.rfftfreq(size)
        drive = torch.fft.irfft(torch.fft.rfft(drive) * torch.exp(-math.log(2) / 2 * (freqs / bandwidth) ** 2), size)
    else:
        _, deviation, audio = shape
        freqs = torch.fft.rfftfreq(size)
        noise = torch.fft.irfft(torch.fft.rfft(torch.randn(size, generator=rng)) * (freqs < audio), size)
        drive = noise / noise.std() * deviation
    turn = torch.cumsum(drive[:count].double(), 0) % 1  # float32 would lose the phase in a second
    return torch.polar(torch.ones(count), (2 * math.pi * turn).float())


@lru_cache(maxsize=256)
def shape_spectrum(shape: tuple) -> torch.Tensor:
    """Density of a shape, float64 [POINTS] over -0.5 to 0.5 cycles per sample, mean 1."""
    if shape[0] == "linear":  # the pulse's: a raised cosine
        away = ((torch.arange(POINTS, dtype=torch.float64) + 0.5) / POINTS - 0.5).abs() * shape[1]
        edge = ((away - (1 - shape[2]) / 2) / shape[2]).clamp(0, 1)
        power = torch.cos(edge * math.pi / 2).square()
    elif shape[0] == "tone":
        power = torch.zeros(POINTS, dtype=torch.float64)
        power[math.floor(((shape[1] if len(shape) > 1 else 0.0) + 0.5) * POINTS)] = 1
    else:
        samples = shape_samples(shape, 1 << 18, 1).view(-1, POINTS)
        window = torch.hann_window(POINTS)
        power = torch.fft.fftshift(torch.fft.fft(samples * window).abs().square().mean(0)).double()
    return power / power.mean()
