# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a receiver does to the band: each fault is off by default and drawn by `random_receiver`.

`Receiver.apply` runs the samples through them in the order a radio has them: filter and clocks, mixer, lines, gain
steps, saturation, converter, bus. Frequencies are in cycles per sample, -0.5 to 0.5 over the sampled band.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from training.batches import AT_ONCE, batches
from training.clock import BLOCK, Clock
from training.lines import between
from training.waveforms.waveform import squared

LINE = 1 / 256  # of the band: levels of lines and 1/f noise are relative to the noise in this much of it
TILE = 1024  # samples; work goes on in rows of this many
COURSE_RATE = 250e3  # points a second of slow courses (phase noise, 1/f), straight between them
PLL_BANDWIDTH = 30e3  # Hz, up to which a synthesiser's phase noise is flat


@dataclass
class Receiver:
    """Faults of one receiver.

    tilt_db: gain at the band's upper edge re its lower one.
    ripple_db, ripple: the passband's ripple, up to so much either way: its periods over the band, and its phase, turns.
    edge, edge_db: the filter falls from `edge` (cycles per sample) to -edge_db at 0.5.
    fold_db: what the filter takes from a signal at the band's edge before it folds back in, twice as much an eighth of
        a band further out. `apply` cannot know what lies outside; a scene folds with `band_edge`.
    carrier_offset: Hz the band appears too high. clock_ppm: how much too fast the sampling clock runs.
    phase_noise: rad rms.
    iq_db, iq_angle: image rejection and the image's phase, rad.
    dc_db, spurs: lines, dB re the noise in a 256th of the band; spurs as (frequency, dB).
    flicker_db: 1/f noise around DC as dense as `dc_db` would be if spread over a 256th of the band, 1/f beyond.
    agc: gain steps (instant as a share of the frame, step in dB).
    compression_db: amplitude at which the amplifier saturates, re the rms amplitude.
    bits, headroom_db: the converter's resolution, and its full scale re the rms amplitude of I or Q, where it clips.
    gaps: stretches without samples (begin and length as shares of the frame), filled with zeros.
    splices: stretches lost without trace (the same): what follows moves up, and they come at the end.
    seed: of phase and 1/f noise.
    """

    tilt_db: float = 0.0
    ripple_db: float = 0.0
    ripple: tuple[float, float] = (1.0, 0.0)
    edge: float = 0.5
    edge_db: float = 0.0
    fold_db: float = 300.0
    carrier_offset: float = 0.0
    clock_ppm: float = 0.0
    phase_noise: float = 0.0
    iq_db: float | None = None
    iq_angle: float = 0.0
    dc_db: float | None = None
    spurs: tuple[tuple[float, float], ...] = ()
    flicker_db: float | None = None
    agc: tuple[tuple[float, float], ...] = ()
    compression_db: float | None = None
    bits: int | None = None
    headroom_db: float = 12.0
    gaps: tuple[tuple[float, float], ...] = ()
    splices: tuple[tuple[float, float], ...] = ()
    seed: int = 0

    def power_response(self, freqs: torch.Tensor) -> torch.Tensor:
        """Power gain of filter and tilt inside the band, at freqs [F]."""
        return self.band_edge(freqs.clamp(-0.499999, 0.499999))

    def band_edge(self, freqs: torch.Tensor) -> torch.Tensor:
        """Power gain at freqs [K] that may lie outside the band, whence they fold back in."""
        away = freqs.abs()
        inside = -self.edge_db * ((away - self.edge) / max(0.5 - self.edge, 1e-3)).clamp(0, 1) ** 2
        outside = -self.edge_db - self.fold_db * (1 + 8 * (away - 0.5))
        held = freqs.clamp(-0.5, 0.5)
        level = torch.where(away < 0.5, inside, outside) + self.tilt_db * held
        if self.ripple_db:
            level += self.ripple_db * torch.sin(2 * math.pi * (self.ripple[0] * held + self.ripple[1]))
        return 10 ** (level / 10)

    def lines(self) -> list[tuple[float, float]]:
        """The DC line and the spurs: (cycles per sample, dB re the noise in a 256th of the band)."""
        return [*self.spurs, (0.0, self.dc_db)] if self.dc_db is not None else list(self.spurs)

    def line_density(self, freqs: torch.Tensor) -> torch.Tensor:
        """Density of the lines in columns at freqs [F], re the noise's; the Hann window's three bins."""
        step = float(freqs[1] - freqs[0])
        place, level = torch.tensor(self.lines(), dtype=torch.float64).view(-1, 2).T[..., None]
        distance = ((freqs - place) / step).abs().clamp(max=2)
        shape = torch.cos(distance * (math.pi / 4)) ** 4
        return (2 / 3 * LINE / step * (10 ** (level / 10) * shape).sum(0)).float()

    def flicker_density(self, freqs: torch.Tensor, samp_rate: float) -> torch.Tensor:
        """Density of the 1/f noise in columns at freqs [F], re the noise's; it ends where `apply` ends it."""
        if self.flicker_db is None:
            return torch.zeros(len(freqs))
        step = float(freqs[1] - freqs[0])
        points = 64 * len(freqs) + 1  # the course's own spectrum, as wide as the band
        fine = (torch.arange(points, dtype=torch.float64) - points // 2) / (points - 1)
        shape = self._flicker_shape(fine * samp_rate, samp_rate) * torch.sinc(fine * _course_step(samp_rate)) ** 4
        total = torch.cumsum(torch.nn.functional.pad(shape, (1, 0)), 0)
        low = ((freqs - step / 2 + 0.5) * (points - 1) + 0.5).round().long().clamp(0, points)
        high = ((freqs + step / 2 + 0.5) * (points - 1) + 0.5).round().long().clamp(0, points)
        return ((total[high] - total[low]) / (step * (points - 1))).float()

    def apply(self, iq: torch.Tensor, samp_rate: float) -> torch.Tensor:
        """complex64 [N], noise included, its density 1 per Hz -> complex64 [N] with every fault; folding apart.

        `iq` itself is left as it is.
        """
        count = len(iq)
        if not count:
            return iq.clone()
        if self.tilt_db or self.ripple_db or self.edge_db or self.carrier_offset:
            iq = self._filter(iq, samp_rate)
        work = self._mixed(iq, samp_rate)
        if self.compression_db is not None or self.bits is not None:
            self._saturate(work)
        for begin, length in self.gaps:
            work[int(begin * count) : int((begin + length) * count)] = 0
        for begin, length in self.splices:
            first, last = int(begin * count), int(min(begin + length, 1.0) * count)
            work = torch.cat([work[:first], work[last:], work[first:last]])
        return work

    def _mixed(self, iq: torch.Tensor, samp_rate: float) -> torch.Tensor:
        """What comes out of clock, mixer, lines and gain steps. Some tiles go through all of them before the next."""
        count, tiles, device, step = len(iq), -(-len(iq) // TILE), iq.device, _course_step(samp_rate)
        work = torch.empty(tiles * TILE, dtype=iq.dtype, device=device)
        clock = Clock(iq, self.clock_ppm * 1e-6, len(work) // BLOCK) if self.clock_ppm else None
        phase = self._phase(len(work), samp_rate).to(device, non_blocking=True) if self.phase_noise else None
        flicker = self._flicker(len(work), samp_rate).to(device, non_blocking=True) if self.flicker_db is not None else None
        tones = self._tones(tiles, samp_rate, device) if self.lines() else None
        for some in batches(tiles, TILE, AT_ONCE, device):
            first, last = some.start * TILE, some.stop * TILE
            part, course = work[first:last], slice(first // step, last // step + 1)
            if clock:
                part.view(-1, BLOCK).copy_(clock.take(slice(first // BLOCK, last // BLOCK)))
            else:
                part[: count - first] = iq[first:last]
                part[count - first :] = 0
            if phase is not None:
                part *= between(phase[course], step)
            if self.iq_db is not None:
                part.add_(part.conj().resolve_conj(), alpha=cmath.rect(10 ** (-self.iq_db / 20), self.iq_angle))
            if flicker is not None:
                part += between(flicker[course], step)
            if tones is not None:
                part.view(-1, TILE).addmm_(tones[0][some], tones[1])
            for instant, gain in self.agc:
                torch.view_as_real(part)[max(int(instant * count) - first, 0) :] *= 10 ** (gain / 20)
        return work[:count]

    def _filter(self, iq: torch.Tensor, samp_rate: float) -> torch.Tensor:
        """Carrier offset to the nearest bin of the frame's transform, filter and tilt; circular over the frame."""
        spectrum = torch.fft.fft(iq)
        shift = round(self.carrier_offset * len(iq) / samp_rate)
        if shift:
            spectrum = spectrum.roll(shift)
        freqs = torch.fft.fftfreq(len(iq), device=iq.device)
        return torch.fft.ifft(spectrum * self.power_response(freqs).sqrt())

    def _tones(self, tiles: int, samp_rate: float, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """All lines as a rank-by-lines product, complex64 [tiles, lines] and [lines, TILE]: over rows of samples a tone is
        an outer product."""
        place, level = torch.tensor(self.lines(), dtype=torch.float64).T
        amplitude = (samp_rate * LINE * 10 ** (level / 10)).sqrt()
        row = (place[None] * TILE * torch.arange(tiles, dtype=torch.float64)[:, None]) % 1 * 2 * math.pi
        along = place[:, None] * torch.arange(TILE, dtype=torch.float64)[None] % 1 * 2 * math.pi
        outer = torch.polar(torch.ones_like(row), row)
        inner = torch.polar(amplitude[:, None].expand_as(along).contiguous(), along)
        return tuple(factor.to(torch.complex64).to(device, non_blocking=True) for factor in (outer, inner))

    def _saturate(self, work: torch.Tensor) -> None:
        """Amplifier and converter, in place."""
        # of I and Q each: a number that stays on the device
        rms = torch.linalg.vector_norm(torch.view_as_real(work)).double() / math.sqrt(2 * len(work))
        rms = torch.where(rms > 0, rms, 1.0)
        limit = (2 * rms**2 * 10 ** ((self.compression_db or 0.0) / 10)).float()
        levels = 2 ** ((self.bits or 1) - 1)
        scale = levels / (rms * 10 ** (self.headroom_db / 20))
        scale, back = scale.float(), (1 / scale).float()
        for some in batches(len(work), 1, AT_ONCE, work.device):
            part = work[some]
            if self.compression_db is not None:  # C. Rapp's solid-state amplifier with p = 1
                part *= squared(part).div_(limit).add_(1).rsqrt_()
            if self.bits is not None:
                torch.view_as_real(part).mul_(scale).round_().clamp_(-levels, levels - 1).mul_(back)

    def _phase(self, count: int, samp_rate: float) -> torch.Tensor:
        """Rotations complex64 [points] of a synthesiser: phase noise flat to PLL_BANDWIDTH, then falling as 1/f^2."""
        step = _course_step(samp_rate)
        freqs = torch.fft.rfftfreq(count // step, step / samp_rate, dtype=torch.float64)
        shape = 1 / (1 + (freqs / PLL_BANDWIDTH) ** 2).sqrt()
        shape[0] = 0  # a constant phase is none
        course = torch.fft.irfft(_gauss(len(freqs), self.seed) * shape, count // step)
        between = (2 * course.square() + course * course.roll(1)).mean() / 3  # power of the lines between the points
        course *= self.phase_noise / between.clamp(min=1e-60).sqrt()
        course = torch.cat([course, course[:1]])
        return torch.polar(torch.ones_like(course), course).to(torch.complex64)

    def _flicker(self, count: int, samp_rate: float) -> torch.Tensor:
        """1/f noise complex64 [points]."""
        step = _course_step(samp_rate)
        points = count // step
        freqs = torch.fft.fftfreq(points, step / samp_rate, dtype=torch.float64)
        density = self._flicker_shape(freqs, samp_rate)
        noise = torch.fft.ifft(_gauss(points, self.seed + 1) * (density * points * samp_rate / step).sqrt())
        return torch.cat([noise, noise[:1]]).to(torch.complex64)

    def _flicker_shape(self, freqs: torch.Tensor, samp_rate: float) -> torch.Tensor:
        """Density per Hz before interpolation, at freqs in Hz: flat in the middle 256th of the band, 1/f outside."""
        half = samp_rate * LINE / 2
        inside = freqs.abs() <= samp_rate / _course_step(samp_rate) / 2
        return 10 ** (self.flicker_db / 10) / (freqs.abs() / half).clamp(min=1) * inside


def _course_step(samp_rate: float) -> int:
    """Samples from one point of a slow course to the next, a power of two."""
    return 1 << min(10, max(2, round(math.log2(samp_rate / COURSE_RATE))))


def _gauss(count: int, seed: int) -> torch.Tensor:
    """Complex white noise of power 1, the same on every device: complex128 [count]."""
    drawn = torch.randn(count, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.view_as_complex(drawn) / math.sqrt(2)


def random_receiver(rng: torch.Generator) -> Receiver:
    """A receiver as one meets them: most have a filter's edge and a tilt, many a DC line, few anything worse.

    The carrier offset stays 0: a scene's emitters stand at any frequency already. The clock's is drawn: over the whole
    band it moves nothing by more than 0.3 % of a column.
    """
    draw = iter(torch.rand(128, generator=rng).tolist())

    def chance(p: float) -> bool:
        return next(draw) < p

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * next(draw)

    tilted, dropping, lossy = chance(0.5), chance(0.6), chance(0.03)
    bits = (8, 8, 12, 16)[int(uniform(0, 4))]
    return Receiver(
        tilt_db=uniform(-3, 3) if tilted else 0.0,
        ripple_db=uniform(0, 3) if chance(0.3) else 0.0,
        ripple=(uniform(0.5, 4), uniform(0, 1)),
        edge=uniform(0.36, 0.49),
        edge_db=30 * uniform(0, 1) ** 2 if dropping else 0.0,
        fold_db=uniform(3, 43),
        clock_ppm=uniform(-25, 25) if chance(0.15) else 0.0,
        phase_noise=10 ** uniform(-2.5, -0.5) if chance(0.3) else 0.0,
        iq_db=uniform(20, 60) if chance(0.5) else None,
        iq_angle=uniform(0, 2 * math.pi),
        dc_db=uniform(-3, 35) if chance(0.45) else None,
        spurs=_comb(uniform) if chance(0.08) else tuple((uniform(-0.5, 0.5), uniform(0, 30)) for _ in range(3)
                                                        if chance(0.12)),
        flicker_db=uniform(-3, 20) if chance(0.15) else None,
        agc=tuple((uniform(0.02, 0.98), uniform(-6, 6)) for _ in range(2) if chance(0.03)),
        compression_db=uniform(6, 20) if chance(0.1) else None,
        bits=bits,
        headroom_db=uniform(4, 10) if chance(0.1) else uniform(10, 16 if bits == 8 else 30),
        gaps=((uniform(0, 0.95), 10 ** uniform(-3, -1)),) if lossy and chance(0.5) else (),
        splices=((uniform(0, 0.95), 10 ** uniform(-3, -1)),) if lossy and chance(0.7) else (),
        seed=int(uniform(0, 2**31)),
    )


def _comb(uniform: Callable[[float, float], float]) -> tuple[tuple[float, float], ...]:
    """Spurs at regular distances, as a clock's harmonics make them; their levels wander by 10 dB."""
    step, first, level = 10 ** uniform(-1.6, -0.7), uniform(-0.5, 0.5), uniform(-5, 20)
    places = [first + step * n for n in range(-40, 41) if abs(first + step * n) < 0.5]
    return tuple((place, level + uniform(-10, 10)) for place in places)
