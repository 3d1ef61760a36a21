# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a receiver does to the band: each fault is off by default and drawn by `random_receiver`.

Frequencies are in cycles per sample, -0.5 to 0.5 over the sampled band.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch


@dataclass
class Receiver:
    """Faults of one receiver.

    tilt_db: gain at the band's upper edge re its lower one. edge, edge_db: the filter falls from `edge` (cycles per
    sample) to -edge_db at 0.5. fold_db: how much a signal just outside the band is down when it folds back in, twice as
    much an eighth of a band further out. dc_db, spurs: lines, dB re the noise in one 256th of the band; spurs as
    (frequency, dB). iq_db: image rejection. phase_noise: rad rms. clip_db: limit re the rms amplitude. bits: of the
    converter, full scale 12 dB over rms. agc: (instant as a share of the frame, step in dB). gaps: stretches lost
    (begin and length as shares of the frame).
    """

    tilt_db: float = 0.0
    edge: float = 0.5
    edge_db: float = 0.0
    fold_db: float = 300.0
    dc_db: float | None = None
    spurs: tuple[tuple[float, float], ...] = ()
    iq_db: float | None = None
    phase_noise: float = 0.0
    clip_db: float | None = None
    bits: int | None = None
    agc: tuple[float, float] | None = None
    gaps: tuple[tuple[float, float], ...] = ()

    def power_response(self, freqs: torch.Tensor) -> torch.Tensor:
        """Power gain of filter and tilt inside the band, at freqs [F]."""
        return self.band_edge(freqs.clamp(-0.499999, 0.499999))

    def band_edge(self, freqs: torch.Tensor) -> torch.Tensor:
        """Power gain at freqs [K] that may lie outside the band, whence they fold back in."""
        away = freqs.abs()
        inside = -self.edge_db * ((away - self.edge) / max(0.5 - self.edge, 1e-3)).clamp(0, 1) ** 2
        outside = -self.edge_db - self.fold_db * (1 + 8 * (away - 0.5))
        level = torch.where(away < 0.5, inside + self.tilt_db * freqs, outside + self.tilt_db * freqs.clamp(-0.5, 0.5))
        return 10 ** (level / 10)

    def line_density(self, freqs: torch.Tensor) -> torch.Tensor:
        """Density of the DC line and the spurs in columns at freqs [F], re the noise's; the Hann window's three bins."""
        step = float(freqs[1] - freqs[0])
        lines = list(self.spurs) + ([(0.0, self.dc_db)] if self.dc_db is not None else [])
        density = torch.zeros(len(freqs))
        for place, level in lines:
            distance = ((freqs - place) / step).abs().float()
            density += 2 / 3 * 10 ** (level / 10) * torch.cos(distance.clamp(max=2) * math.pi / 4) ** 4 * (distance < 2)
        return density

    def apply(self, iq: torch.Tensor, samp_rate: float) -> torch.Tensor:
        """complex64 [N], noise included, its density 1 per Hz -> complex64 [N] with every fault; folding apart."""
        count = len(iq)
        if self.tilt_db or self.edge_db:
            freqs = torch.fft.fftfreq(count, device=iq.device)
            iq = torch.fft.ifft(torch.fft.fft(iq) * self.power_response(freqs).sqrt())
        n = torch.arange(count, device=iq.device, dtype=torch.float64)
        for place, level in list(self.spurs) + ([(0.0, self.dc_db)] if self.dc_db is not None else []):
            amplitude = math.sqrt(samp_rate / 256 * 10 ** (level / 10))
            turn = 2 * math.pi * ((place * n) % 1)
            iq = iq + torch.polar(torch.full_like(turn, amplitude), turn).to(torch.complex64)
        if self.phase_noise:
            walk = torch.cumsum(torch.sin(n * 1e-4) * 1e-4, 0).float() * self.phase_noise
            iq = iq * torch.polar(torch.ones_like(walk), walk)
        if self.iq_db is not None:
            iq = iq + 10 ** (-self.iq_db / 20) * iq.conj()
        for begin, length in self.gaps:
            iq = iq.clone()
            iq[int(begin * count) : int((begin + length) * count)] = 0
        if self.agc is not None:
            iq = iq.clone()
            iq[int(self.agc[0] * count) :] *= 10 ** (self.agc[1] / 20)
        rms = float(torch.view_as_real(iq).square().mean().sqrt()) or 1.0
        if self.clip_db is not None:
            limit = rms * 10 ** (self.clip_db / 20)
            iq = torch.view_as_complex(torch.view_as_real(iq).clamp(-limit, limit))
        if self.bits is not None:
            step = 4 * rms / 2 ** (self.bits - 1)
            iq = torch.view_as_complex((torch.view_as_real(iq) / step).round() * step)
        return iq


def random_receiver(rng: torch.Generator) -> Receiver:
    """A receiver as one meets them: most have a filter's edge and a tilt, many a DC line, few anything worse."""
    draw = torch.rand(24, generator=rng).tolist()
    spurs = tuple((draw[15 + i] - 0.5, 30 * draw[18 + i]) for i in range(3) if draw[21 + i] < 0.12)
    return Receiver(
        tilt_db=6 * (draw[0] - 0.5) if draw[1] < 0.5 else 0.0,
        edge=0.36 + 0.13 * draw[2],
        edge_db=(30 * draw[3] ** 2 if draw[4] < 0.6 else 0.0),
        fold_db=3 + 40 * draw[5],
        dc_db=-3 + 38 * draw[6] if draw[7] < 0.45 else None,
        spurs=spurs,
        iq_db=20 + 40 * draw[8] if draw[9] < 0.5 else None,
        phase_noise=0.5 * draw[10] if draw[11] < 0.3 else 0.0,
        clip_db=3 + 9 * draw[12] if draw[13] < 0.15 else None,
        bits=(8, 8, 12, 16)[int(4 * draw[14])],
    )
