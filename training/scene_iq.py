# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene as samples, put together in the frequency domain.

Every emitter is made at its own small rate, goes through its channel, and its spectrum's bins are added to the
scene's: that resamples it to any rate, moves it to its frequency and filters it, for one transform more. One
inverse transform later noise and the receiver's faults join.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from training.scene_model import LEAD, Emitter, Scene, response_times
from training.waveforms.ofdm import OfdmWaveform, modulate

SPAN_STEP = 200e-6  # s; over spans of whole steps the standards' rates have whole numbers of samples
RESPONSE_STEP = 2e3  # Hz between the channel's responses; delays of FR1 channels turn by < 0.2 rad over it
FADE_STEPS = 16  # stretches to the fastest fade
FADE_BATCH = 1 << 18  # samples of stretches transformed together


def scene_iq(scene: Scene, device: str | torch.device = "cpu") -> torch.Tensor:
    """-> complex64 [count]; white noise of density 1 per Hz in front of the receiver, seeded by the scene."""
    device = torch.device(device)
    rate = scene.samp_rate
    span = math.ceil((scene.duration + 2 * LEAD) / SPAN_STEP) * SPAN_STEP
    bins = round(span * rate)
    source = torch.Generator(device).manual_seed(scene.seed % 2**62)
    noise = torch.randn(bins, 2, generator=source, device=device) * math.sqrt(rate / bins / 2)
    spectrum = torch.view_as_complex(noise)
    receiver = scene.receiver
    if receiver:
        freqs = torch.fft.fftfreq(bins, dtype=torch.float64, device=device)
        spectrum *= receiver.power_response(freqs).sqrt().float()
    for emitter in scene.emitters:
        _add(spectrum, emitter, scene, span)
    iq = torch.fft.ifft(spectrum, norm="forward")[round(LEAD * rate) :][: scene.count]
    # filter and tilt are in the spectrum already
    return replace(receiver, tilt_db=0.0, edge_db=0.0).apply(iq, rate) if receiver else iq


def _add(spectrum: torch.Tensor, emitter: Emitter, scene: Scene, span: float) -> None:
    """Adds an emitter's Fourier coefficients (amplitude per bin) to the scene's, in place."""
    waveform, device = emitter.waveform, spectrum.device
    count = round(waveform.native_rate * span)
    rate = count / span  # the native rate, to a part in a million where it does not divide the span
    own = _samples(waveform, count, rate).to(device)
    channel = emitter.channel
    steady = channel is None or len(response_times(channel, scene.duration)) == 1
    if not steady:
        own = _fade(own, channel, rate)
    whole = round(emitter.center * span)
    turn = emitter.center - whole / span  # what is left of the shift after whole bins
    if abs(turn) > 1e-6:
        phase = (2 * math.pi * turn / rate) * torch.arange(count, dtype=torch.float64, device=device)
        own = own * torch.polar(torch.ones_like(phase), phase).to(torch.complex64)
    own = torch.fft.fft(own, norm="forward")
    first, last = _kept(count, whole, len(spectrum), 1.0 if scene.receiver else 0.5)
    index = torch.arange(first, last, device=device)
    freqs = index / span
    gain = emitter.filter_gain(freqs) * _edge(freqs, rate)
    part = own[index % count] * (gain * math.sqrt(emitter.gain(scene.duration))).float()
    if scene.receiver:
        part = part * scene.receiver.band_edge((freqs + emitter.center) / scene.samp_rate).sqrt().float()
    if steady and channel is not None:
        part = part * _response(channel, response_times(channel, scene.duration), freqs, device)[0]
    target = (index + whole) % len(spectrum)
    spectrum.index_add_(0, target, part)


def _samples(waveform: object, count: int, rate: float) -> torch.Tensor:
    """The waveform from LEAD before the frame on. What a grid holds of that is sent; others start that much earlier."""
    if not isinstance(waveform, OfdmWaveform):
        return waveform.iq(count)
    return sum(modulate(replace(g, start=g.start + LEAD), waveform.native_rate, count) for g in waveform.grids)


def _kept(count: int, shift: int, bins: int, reach: float) -> tuple[int, int]:
    """First and last + 1 of an emitter's bins that are within `reach` sample rates of the centre once shifted."""
    end = int(bins * reach)
    first = max(-(count // 2), -end - shift)
    return first, max(first, min((count + 1) // 2, end - shift))


def _edge(freqs: torch.Tensor, rate: float) -> torch.Tensor:
    """The digital filter at the ends of the native band: down over its last 2 %, so that nothing rings for long."""
    inward = (rate / 2 - freqs.abs()) / (0.02 * rate)
    return torch.sin(inward.clamp(0, 1) * (math.pi / 2)).square()


def _fade(iq: torch.Tensor, channel: object, rate: float) -> torch.Tensor:
    """A moving channel: overlapping triangular stretches, each through the response of its middle, added up again."""
    half = max(64, min(len(iq) // 2, int(rate / (FADE_STEPS * channel.max_doppler))))
    room = math.ceil(float(channel.delay.max()) * rate) + 32
    blocks = len(iq) // half + 2
    padded = torch.nn.functional.pad(iq, (half, blocks * half - len(iq)))
    ramp = (torch.arange(half, device=iq.device) + 0.5) / half
    ramp = torch.cat([ramp, ramp.flip(0)])
    size = _good_size(2 * half + room)
    freqs = (torch.arange(size, dtype=torch.float64) - size // 2) * (rate / size)
    middles = torch.arange(blocks, dtype=torch.float64) * half / rate - LEAD
    out = torch.zeros((blocks + 1) * half + size, dtype=iq.dtype, device=iq.device)
    batch = max(1, FADE_BATCH // size)
    for first in range(0, blocks, batch):
        some = slice(first, min(first + batch, blocks))
        response = torch.fft.ifftshift(_response(channel, middles[some], freqs, iq.device), dim=1)
        pieces = torch.fft.ifft(torch.fft.fft(padded.unfold(0, 2 * half, half)[some] * ramp, size) * response)
        for j, piece in enumerate(pieces, first):
            out[j * half : j * half + size] += piece
    return out[half : half + len(iq)]


def _response(channel: object, times: torch.Tensor, freqs: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A channel's responses at evenly spaced frequencies, interpolated between coarser ones: complex64 [S, K]."""
    points = math.ceil(float(freqs[-1] - freqs[0]) / RESPONSE_STEP) + 1
    if points >= len(freqs):
        return channel.response(times, freqs).to(device)
    coarse = torch.linspace(float(freqs[0]), float(freqs[-1]), points, dtype=torch.float64)
    parts = torch.view_as_real(channel.response(times, coarse)).movedim(-1, 1).to(device)
    fine = torch.nn.functional.interpolate(parts, size=len(freqs), mode="linear", align_corners=True)
    return torch.complex(fine[:, 0], fine[:, 1])


def _good_size(least: int) -> int:
    """The smallest number of samples >= least whose only factors are 2, 3 and 5."""
    return min(2**a * 3**b * 5**c for c in range(4) for b in range(4)
               for a in [max(0, math.ceil(math.log2(least / 3**b / 5**c)))] if 2**a * 3**b * 5**c >= least)
