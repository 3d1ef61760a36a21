# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fading channels: the delay profiles of TR 38.901 and TS 36.101 with Doppler, as taps that both renderers can use."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch

from training.batches import batches
from training.errors import DataError
from training.lines import between
from training.waveforms.waveform import squared

# TR 38.901 tables 7.7.2-1 to 7.7.2-5: (delay in delay spreads, power in dB); D and E begin with a line-of-sight tap.
# fmt: off
TDL = {
    "A": ((0.0, 0.3819, 0.4025, 0.5868, 0.4610, 0.5375, 0.6708, 0.5750, 0.7618, 1.5375, 1.8978, 2.2242, 2.1718, 2.4942,
           2.5119, 3.0582, 4.0810, 4.4579, 4.5695, 4.7966, 5.0066, 5.3043, 9.6586),
          (-13.4, 0, -2.2, -4, -6, -8.2, -9.9, -10.5, -7.5, -15.9, -6.6, -16.7, -12.4, -15.2, -10.8, -11.3, -12.7, -16.2,
           -18.3, -18.9, -16.6, -19.9, -29.7)),
    "B": ((0.0, 0.1072, 0.2155, 0.2095, 0.2870, 0.2986, 0.3752, 0.5055, 0.3681, 0.3697, 0.5700, 0.5283, 1.1021, 1.2756,
           1.5474, 1.7842, 2.0169, 2.8294, 3.0219, 3.6187, 4.1067, 4.2790, 4.7834),
          (0, -2.2, -4, -3.2, -9.8, -1.2, -3.4, -5.2, -7.6, -3, -8.9, -9, -4.8, -5.7, -7.5, -1.9, -7.6, -12.2, -9.8, -11.4,
           -14.9, -9.2, -11.3)),
    "C": ((0.0, 0.2099, 0.2219, 0.2329, 0.2176, 0.6366, 0.6448, 0.6560, 0.6584, 0.7935, 0.8213, 0.9336, 1.2285, 1.3083,
           2.1704, 2.7105, 4.2589, 4.6003, 5.4902, 5.6077, 6.3065, 6.6374, 7.0427, 8.6523),
          (-4.4, -1.2, -3.5, -5.2, -2.5, 0, -2.2, -3.9, -7.4, -7.1, -10.7, -11.1, -5.1, -6.8, -8.7, -13.2, -13.9, -13.9,
           -15.8, -17.1, -16, -15.7, -21.6, -22.8)),
    "D": ((0.0, 0.0, 0.035, 0.612, 1.363, 1.405, 1.804, 2.596, 1.775, 4.042, 7.937, 9.424, 9.708, 12.525),
          (-0.2, -13.5, -18.8, -21, -22.8, -17.9, -20.1, -21.9, -22.9, -27.8, -23.6, -24.8, -30.0, -27.7)),
    "E": ((0.0, 0.0, 0.5133, 0.5440, 0.5630, 0.5440, 0.7112, 1.9092, 1.9293, 1.9589, 2.6426, 3.7136, 5.4524, 12.0034,
           20.6519),
          (-0.03, -22.03, -15.8, -18.1, -19.8, -22.9, -22.4, -18.6, -20.8, -22.6, -22.3, -25.6, -20.2, -29.8, -29.2)),
}
# TS 36.101 tables B.2.1-2 to B.2.1-4: (delay in ns, power in dB)
LTE_PROFILES = {
    "EPA": ((0, 30, 70, 90, 110, 190, 410), (0, -1, -2, -3, -8, -17.2, -20.8)),
    "EVA": ((0, 30, 150, 310, 370, 710, 1090, 1730, 2510), (0, -1.5, -1.4, -3.6, -0.6, -9.1, -7, -12, -16.9)),
    "ETU": ((0, 50, 120, 200, 230, 500, 1600, 2300, 5000), (-1, -1, -1, 0, 0, 0, -3, -5, -7)),
}
# fmt: on
PROFILES = (*TDL, *LTE_PROFILES, "flat")
SINUSOIDS = 8  # to a fading tap
STEADY = 0.02  # turns of the fastest sinusoid within a stretch that counts as standing still
STRETCHES = 16  # to the fastest turn: gains interpolated linearly between them are 34 dB or more from wrong
SHORTEST_STRETCH = 64  # samples: shorter ones are mostly what a filter rings for
RESPONSE_TURN = 0.03  # turns of the latest path between two computed responses, straight lines between them: -48 dB
BATCH = {"cpu": 1 << 18}  # samples of stretches transformed together


@dataclass(eq=False)
class Channel:
    """Taps of a fading channel, mean power 1 over realisations.

    delay: s [P]. gain: complex128 [P, S], the sinusoids that make each tap. doppler: Hz [P, S], their frequencies.
    """

    delay: torch.Tensor
    gain: torch.Tensor
    doppler: torch.Tensor

    @cached_property
    def max_doppler(self) -> float:
        """Hz, the fastest sinusoid."""
        return float(self.doppler.abs().max())

    def taps(self, times: torch.Tensor) -> torch.Tensor:
        """Times [T], s -> the taps' gains, complex64 [T, P]."""
        gain, doppler = (x.to(times.device, non_blocking=True) for x in (self.gain.to(torch.complex64), self.doppler))
        return (gain * _turned(times.double()[:, None, None] * doppler)).sum(-1)

    def response(self, times: torch.Tensor, freqs: torch.Tensor) -> torch.Tensor:
        """Times [T], s, and baseband frequencies [K], Hz, on one device -> complex64 [T, K]."""
        return self.taps(times) @ self._paths(freqs)

    def power(self, taps: torch.Tensor, freqs: torch.Tensor) -> torch.Tensor:
        """|`response`|^2 where the taps are those given, complex64 [T, P]; float32 [T, K]."""
        return squared(taps @ self._paths(freqs))

    def _paths(self, freqs: torch.Tensor) -> torch.Tensor:
        """Response of each path alone, complex64 [P, K]."""
        delay = self.delay.to(freqs.device, non_blocking=True)
        return _turned(-delay[:, None] * freqs.double())

    def apply(self, iq: torch.Tensor, rate: float, start: float = 0.0) -> torch.Tensor:
        """complex64 [N] at `rate`, whose first sample is at `start` s -> the same through the channel, silence before.

        A steady channel is its response in the middle, one multiplication over frequency. A moving one cuts the
        samples into overlapping triangular stretches, each through the response of its middle: every tap's gain is
        then interpolated linearly from middle to middle. Where such stretches would be few samples, each path is delayed
        by itself and multiplied by its gain at every sample.
        """
        room = math.ceil(float(self.delay.max()) * rate) + 32
        if self.max_doppler * len(iq) / rate < STEADY:
            size = good_size(len(iq) + room)
            middle = torch.tensor([start + len(iq) / rate / 2], dtype=torch.float64)
            response = self._over(self._coarse(middle.to(iq.device), size, rate), size, rate)[0]
            return torch.fft.ifft(torch.fft.fft(iq, size) * response)[: len(iq)]
        half = int(rate / (STRETCHES * self.max_doppler))
        if half < SHORTEST_STRETCH:
            return self._by_path(iq, rate, start, room)
        half = max(SHORTEST_STRETCH, min(len(iq) // 2, half))
        blocks = len(iq) // half + 2
        padded = torch.nn.functional.pad(iq, (half, blocks * half - len(iq)))
        ramp = (torch.arange(half, device=iq.device) + 0.5) / half
        ramp = torch.cat([ramp, ramp.flip(0)])
        size = good_size(2 * half + room)
        middles = start + torch.arange(blocks, dtype=torch.float64, device=iq.device) * half / rate
        coarse = self._coarse(middles, size, rate)
        halves = -(-size // half)
        out = torch.zeros(blocks + halves, half, dtype=iq.dtype, device=iq.device)
        for some in batches(blocks, size, BATCH, iq.device):
            response = self._over(coarse[some], size, rate)
            pieces = torch.fft.ifft(torch.fft.fft(padded.unfold(0, 2 * half, half)[some] * ramp, size).mul_(response))
            for late in reversed(range(halves)):  # each half of all the pieces at once
                part = pieces[:, late * half : (late + 1) * half]
                out[some.start + late : some.stop + late, : part.shape[1]] += part
        return out.view(-1)[half : half + len(iq)]

    def _by_path(self, iq: torch.Tensor, rate: float, start: float, room: int) -> torch.Tensor:
        """`apply`, one path after the other; `room` samples for the latest to ring in."""
        size = good_size(len(iq) + room)
        spectrum = torch.fft.fft(iq, size)
        freqs = torch.fft.fftfreq(size, 1 / rate, dtype=torch.float64, device=iq.device)
        times = start + torch.arange(len(iq), dtype=torch.float64, device=iq.device) / rate
        out = torch.zeros_like(iq)
        for one in zip(self.delay, self.gain, self.doppler, strict=True):
            path = Channel(*(values[None] for values in one))
            out += torch.fft.ifft(spectrum * path._paths(freqs)[0])[: len(iq)] * path.taps(times)[:, 0]
        return out

    def _step(self, size: int, rate: float) -> int:
        """Bins of an FFT of `size` samples from one computed response to the next, no denser than paths need."""
        return max(1, int(RESPONSE_TURN / max(float(self.delay.max()), 1e-7) * size / rate))

    def _coarse(self, times: torch.Tensor, size: int, rate: float) -> torch.Tensor:
        """Responses every `_step` bins, from the lowest frequency on: complex64 [T, K]."""
        step = self._step(size, rate)
        bins = torch.arange(-(-size // step) + 1, dtype=torch.float64, device=times.device) * step - size // 2
        return self.response(times, bins * rate / size)

    def _over(self, coarse: torch.Tensor, size: int, rate: float) -> torch.Tensor:
        """`_coarse`'s responses interpolated and in an FFT's order: complex64 [T, size]."""
        return torch.fft.ifftshift(between(coarse, self._step(size, rate))[:, :size], dim=1)


def _turned(turns: torch.Tensor) -> torch.Tensor:
    """exp(j 2 pi turns) of float64 as complex64; torch.polar in double precision takes six times as long."""
    phase = (turns - turns.round()).float() * (2 * math.pi)
    return torch.complex(torch.cos(phase), torch.sin(phase))


def make_channel(profile: str, delay_spread: float, doppler: float, rng: torch.Generator) -> Channel:
    """A realisation of "A" to "E" (TR 38.901 7.7.2, scaled to `delay_spread` s), "EPA", "EVA", "ETU" or "flat".

    Taps fade with the Jakes spectrum of `doppler` Hz, each a sum of sinusoids from random directions. The line of sight
    of D and E stands at 0.7 of it (TR 38.901 7.7.2), as does a flat path that does not move. DataError for another
    profile, a negative spread or a negative Doppler.
    """
    if profile not in PROFILES:
        raise DataError(f"there is no channel profile {profile!r}: choose one of {', '.join(PROFILES)}")
    if delay_spread < 0 or doppler < 0:
        raise DataError("a channel's delay spread and Doppler cannot be negative")
    delay, power = _profile(profile)
    delay = delay * (delay_spread if profile in TDL else 1e-9)
    angle = torch.rand(len(delay), SINUSOIDS, generator=rng, dtype=torch.float64) * 2 * math.pi
    speed = torch.cos(torch.rand(len(delay), SINUSOIDS, generator=rng, dtype=torch.float64) * 2 * math.pi) * doppler
    gain = torch.polar((power[:, None] / SINUSOIDS).sqrt().expand_as(angle).contiguous(), angle)
    if profile in ("D", "E") or (profile == "flat" and doppler == 0):  # one sinusoid
        speed[0] = 0.7 * doppler
        gain[0, 0] = torch.polar(power[0].sqrt(), angle[0, 0])
        gain[0, 1:] = 0
    return Channel(delay, gain, speed)


@lru_cache(maxsize=len(PROFILES))
def _profile(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Its paths' delays as the tables have them, and their shares of the power: float64 [P] each."""
    delay, level = TDL.get(name) or LTE_PROFILES.get(name) or ((0.0,), (0.0,))
    power = 10 ** (torch.tensor(level, dtype=torch.float64) / 10)
    return torch.tensor(delay, dtype=torch.float64), power / power.sum()


def random_channel(rng: torch.Generator) -> Channel:
    """Any profile, delay spreads of 10 ns to 1 us (TR 38.901 table 7.7.3-1), Doppler 0 to 500 Hz."""
    draw = torch.rand(4, generator=rng).tolist()
    profiles = ("A", "B", "C", "C", "D", "E", "EPA", "EVA", "ETU", "ETU", "flat")
    profile = profiles[int(draw[0] * len(profiles))]
    spread = 10 ** (-8 + 2 * draw[1])
    doppler = 0.0 if draw[2] < 0.4 else 500 * draw[3] ** 3
    return make_channel(profile, spread, doppler, rng)


def good_size(least: int) -> int:
    """The smallest whole number >= least whose only factors are 2, 3 and 5, neither more than five times."""
    odd = [3**b * 5**c for b in range(6) for c in range(6)]
    return min(n << max(0, math.ceil(math.log2(least / n))) for n in odd)
