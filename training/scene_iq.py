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
RESPONSE_TURN = 0.03  # turns of the longest path between two of the channel's responses
RESPONSE_POINTS = 4097  # at which the receiver's filter is worked out


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
        freqs = torch.linspace(-0.5, 0.5, RESPONSE_POINTS, device=device)
        gain = receiver.power_response(freqs).sqrt()[None, None]
        gain = torch.nn.functional.interpolate(gain, size=bins, mode="linear", align_corners=True)[0, 0]
        spectrum *= torch.fft.ifftshift(gain)
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
        own = channel.apply(own, rate, start=-LEAD)
    whole = round(emitter.center * span)
    turn = emitter.center - whole / span  # what is left of the shift after whole bins
    if abs(turn) > 1e-6:
        phase = torch.linspace(0, 2 * math.pi * turn * (count - 1) / rate, count, device=device)  # less than pi in all
        own = own * torch.polar(torch.ones_like(phase), phase)
    own = torch.fft.fft(own, norm="forward")
    first, last = _kept(count, whole, len(spectrum), 1.0 if scene.receiver else 0.5)
    index = torch.arange(first, last, device=device)
    freqs = index / span
    gain = emitter.filter_gain(freqs) * _edge(freqs, rate)
    part = own[index % count] * (gain * math.sqrt(emitter.gain(scene.duration))).float()
    if scene.receiver:
        part = part * scene.receiver.band_edge(((freqs + emitter.center) / scene.samp_rate).float()).sqrt()
    if steady and channel is not None:
        part = part * _response(channel, freqs, scene.duration)
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


def _response(channel: object, freqs: torch.Tensor, duration: float) -> torch.Tensor:
    """A steady channel's response at evenly spaced frequencies, interpolated between coarser ones; complex64 [K]."""
    step = RESPONSE_TURN / max(float(channel.delay.max()), 1e-7)
    low, high = float(freqs[0]), float(freqs[-1])
    points = min(len(freqs), math.ceil((high - low) / step) + 2)
    coarse = channel.response(response_times(channel, duration), torch.linspace(low, high, points, dtype=torch.float64))
    parts = torch.view_as_real(coarse[0]).T[None].to(freqs.device)
    fine = torch.nn.functional.interpolate(parts, size=len(freqs), mode="linear", align_corners=True)[0]
    return torch.complex(fine[0], fine[1])
