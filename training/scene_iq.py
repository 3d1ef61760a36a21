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


def scene_iq(scene: Scene, device: str | torch.device = "cpu") -> torch.Tensor:
    """-> complex64 [count]; white noise of density 1 per Hz in front of the receiver, seeded by the scene."""
    device = torch.device(device)
    rate = scene.samp_rate
    span = math.ceil((scene.duration + 2 * LEAD) / SPAN_STEP) * SPAN_STEP
    bins = round(span * rate)
    spectrum = torch.zeros(bins, dtype=torch.complex64, device=device)
    for emitter in scene.emitters:
        _add(spectrum, emitter, scene, span)
    iq = torch.fft.ifft(spectrum, norm="forward")[round(LEAD * rate) :][: scene.count]
    del spectrum
    noise = torch.Generator(device).manual_seed(scene.seed % 2**62)
    iq = iq + math.sqrt(rate / 2) * torch.view_as_complex(
        torch.randn(scene.count, 2, generator=noise, device=device))
    return scene.receiver.apply(iq, rate) if scene.receiver else iq


def _add(spectrum: torch.Tensor, emitter: Emitter, scene: Scene, span: float) -> None:
    """Adds an emitter's Fourier coefficients (amplitude per bin) to the scene's, in place."""
    waveform, device = emitter.waveform, spectrum.device
    count = round(waveform.native_rate * span)
    rate = count / span  # the native rate, to a part in a million where it does not divide the span
    own = _samples(waveform, count, rate).to(device)
    channel = emitter.channel
    steady = channel is None or len(response_times(channel, scene.duration)) == 1
    if not steady:
        own = channel.apply(own, rate)
    whole = round(emitter.center * span)
    turn = emitter.center - whole / span  # what is left of the shift after whole bins
    if abs(turn) > 1e-6:
        phase = (2 * math.pi * turn / rate) * torch.arange(count, dtype=torch.float64, device=device)
        own = own * torch.polar(torch.ones_like(phase), phase).to(torch.complex64)
    own = torch.fft.fft(own, norm="forward")
    first, last = _kept(count, whole, len(spectrum))
    index = torch.arange(first, last, device=device)
    freqs = index / span
    gain = emitter.filter_gain(freqs) * _edge(freqs, rate)
    part = own[index % count] * (gain * math.sqrt(emitter.gain(scene.duration))).float()
    if steady and channel is not None:
        part = part * _response(channel, freqs, scene.duration)
    target = (index + whole) % len(spectrum)
    spectrum.index_add_(0, target, part)


def _samples(waveform: object, count: int, rate: float) -> torch.Tensor:
    """The waveform from LEAD before the frame on. What a grid holds of that is sent; others start that much earlier."""
    if not isinstance(waveform, OfdmWaveform):
        return waveform.iq(count)
    return sum(modulate(replace(g, start=g.start + LEAD), waveform.native_rate, count) for g in waveform.grids)


def _kept(count: int, shift: int, bins: int) -> tuple[int, int]:
    """First and last + 1 of an emitter's bins that lie within the sampled band once shifted."""
    return max(-(count // 2), -(bins // 2) - shift), min((count + 1) // 2, (bins + 1) // 2 - shift)


def _edge(freqs: torch.Tensor, rate: float) -> torch.Tensor:
    """The digital filter at the ends of the native band: down over its last 2 %, so that nothing rings for long."""
    inward = (rate / 2 - freqs.abs()) / (0.02 * rate)
    return torch.sin(inward.clamp(0, 1) * (math.pi / 2)).square()


def _response(channel: object, freqs: torch.Tensor, duration: float) -> torch.Tensor:
    """A steady channel's response at evenly spaced frequencies, interpolated: complex64 like `freqs`."""
    low, high = float(freqs[0]), float(freqs[-1])
    points = max(2, math.ceil((high - low) / RESPONSE_STEP) + 1)
    coarse = channel.response(response_times(channel, duration), torch.linspace(low, high, points, dtype=torch.float64))
    parts = torch.view_as_real(coarse[0].to(torch.complex64)).T[None].to(freqs.device)
    fine = torch.nn.functional.interpolate(parts, size=len(freqs), mode="linear", align_corners=True)[0]
    return torch.complex(fine[0], fine[1])
