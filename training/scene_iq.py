# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene as samples, put together in the frequency domain.

Every emitter is made at its own small rate, goes through its channel, and its spectrum's bins are added to the
scene's: that resamples it to any rate, moves it to its frequency and filters it, for one transform more. One
inverse transform later noise and the receiver's faults join.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import torch

from training.batches import AT_ONCE, most
from training.lines import stretch
from training.scene_dice import stream
from training.scene_model import LEAD, Emitter, Scene, response_times
from training.transforms import transform
from training.waveforms.ofdm import OfdmWaveform, modulate

SPAN_STEP = 200e-6  # s; over spans of whole steps the standards' rates have whole numbers of samples
CURVE_POINTS = 4096  # at which filters are worked out over a spectrum, straight lines between them
SYMBOL_TURN = 0.01  # of the fastest path within a symbol: 34 dB or more of error, as `Channel.apply` has
CURVE_TURN = 0.03  # turns of a channel's latest path from point to point: -48 dB of error


def scene_iq(scene: Scene, device: str | torch.device = "cpu") -> torch.Tensor:
    """-> complex64 [count]; white noise of density 1 per Hz in front of the receiver, seeded by the scene."""
    device = torch.device(device)
    # grids go there before anything else is asked of the device, so that they wait for nothing
    emitters = [replace(e, waveform=e.waveform.to(device)) if isinstance(e.waveform, OfdmWaveform) else e
                for e in scene.emitters]
    levels = [math.sqrt(e.gain(scene.duration)) for e in emitters]
    rate = scene.samp_rate
    span = _smooth(math.ceil((scene.duration + 2 * LEAD) / SPAN_STEP)) * SPAN_STEP
    bins = round(span * rate)
    source = stream("noise", scene.seed, device)
    spectrum = torch.view_as_complex(torch.randn(bins, 2, generator=source, device=device))
    receiver = scene.receiver
    step = -(-bins // CURVE_POINTS)
    freqs = (torch.arange(CURVE_POINTS + 1) * step - bins // 2) / bins
    gain = receiver.power_response(freqs).sqrt() if receiver else torch.ones(CURVE_POINTS + 1)
    gain = (gain * math.sqrt(rate / bins / 2)).to(device, non_blocking=True)
    for first, last, at, _ in _runs(-(bins // 2), bins - bins // 2, 0, bins, bins, device):
        spectrum[at : at + last - first] *= stretch(gain, step, first + bins // 2, last + bins // 2)
    offset = receiver.carrier_offset if receiver else 0.0
    for emitter, level in zip(emitters, levels, strict=True):
        _add(spectrum, replace(emitter, center=emitter.center + offset), level, scene, span)
    iq = transform(spectrum, 1)[round(LEAD * rate) :][: scene.count]
    if not receiver:
        return iq
    # offset and filter are in the spectrum already
    return replace(receiver, carrier_offset=0.0, tilt_db=0.0, ripple_db=0.0, edge_db=0.0).apply(iq, rate)


def _add(spectrum: torch.Tensor, emitter: Emitter, level: float, scene: Scene, span: float) -> None:
    """Adds an emitter's Fourier coefficients (amplitude per bin) to the scene's, in place; level: of its amplitude."""
    waveform, device = emitter.waveform, spectrum.device
    count = round(waveform.native_rate * span)
    rate = count / span  # the native rate, to a part in a million where it does not divide the span
    moving = emitter.channel is not None and not _stands_still(emitter, scene)
    by_symbol = moving and _fades_by_symbol(emitter)
    own = _samples(waveform, count, device, emitter.channel if by_symbol else None)
    if moving and not by_symbol:
        own = emitter.channel.apply(own, rate, start=-LEAD)
    whole = round(emitter.center * span)
    turn = emitter.center - whole / span  # what is left of the shift after whole bins
    if abs(turn) > 1e-6:
        phase = torch.linspace(0, 2 * math.pi * turn * (count - 1) / rate, count, device=device)  # less than pi in all
        own = own * torch.polar(torch.ones_like(phase), phase)
    own = transform(own, -1)
    first, last = _kept(count, whole, len(spectrum), 1.0 if scene.receiver else 0.5)
    if last <= first:
        return
    step = _curve_step(emitter, scene, last - first, span)
    freqs = (first + torch.arange(-(-(last - first) // step) + 1, dtype=torch.float64) * step) / span
    curve = _curve(emitter, level / count, scene, freqs).to(device, non_blocking=True)
    for low, high, at, source in _runs(first, last, whole, len(spectrum), count, device):
        line = stretch(curve, step, low - first, high - first)
        spectrum[at : at + high - low].addcmul_(own[source : source + high - low], line)


def _runs(first: int, last: int, shift: int, bins: int, count: int, device: torch.device) -> Iterator[tuple[int, ...]]:
    """Bins first to last of a spectrum of `count` bins in runs (low, high, at, source) of at most `AT_ONCE`: where each
    begins in the spectrum of `bins` bins to which they are shifted, and in its own. What lies beyond an end of the band
    comes in at the other."""
    while first < last:
        at, source = (first + shift) % bins, first % count
        high = min(last, first + bins - at, first + count - source, first + most(AT_ONCE, device))
        yield first, high, at, source
        first = high


def _stands_still(emitter: Emitter, scene: Scene) -> bool:
    return emitter.channel is not None and len(response_times(emitter.channel, scene.duration)) == 1


def _curve_step(emitter: Emitter, scene: Scene, bins: int, span: float) -> int:
    """Bins from one point of `_curve` to the next."""
    step = -(-bins // CURVE_POINTS)
    if _stands_still(emitter, scene):
        step = min(step, int(CURVE_TURN / max(float(emitter.channel.delay.max()), 1e-9) * span))
    return max(1, step)


def _curve(emitter: Emitter, level: float, scene: Scene, freqs: torch.Tensor) -> torch.Tensor:
    """What an emitter's spectrum is multiplied by at freqs [K], Hz from its centre, complex64 [K]: its level, its
    filters, the receiver's, and its channel where that stands still.

    So few points are the CPU's on any device: to one of many cores each of these steps is as long as one over all samples.
    """
    curve = emitter.filter_gain(freqs) * level
    if scene.receiver:
        curve = curve * scene.receiver.band_edge((freqs + emitter.center) / scene.samp_rate).sqrt()
    curve = curve.to(torch.complex64)
    if not _stands_still(emitter, scene):
        return curve
    return curve * emitter.channel.response(response_times(emitter.channel, scene.duration), freqs)[0]


def _fades_by_symbol(emitter: Emitter) -> bool:
    """Whether a moving channel may act on resource elements: every path within the prefixes, so that a symbol's useful
    part comes out the same, and so slow that a symbol turns by SYMBOL_TURN at most."""
    waveform, channel = emitter.waveform, emitter.channel
    return isinstance(waveform, OfdmWaveform) and all(
        len(g.cp) and float(channel.delay.max()) <= float(g.cp.min()) and channel.max_doppler / g.scs <= SYMBOL_TURN
        for g in waveform.grids)


def _samples(waveform: object, count: int, device: torch.device, channel: object | None) -> torch.Tensor:
    """The waveform from LEAD before the frame on. What a grid holds of that is sent; others start that much earlier.

    channel: acts on the resource elements, each symbol through the response in its middle."""
    if not isinstance(waveform, OfdmWaveform):
        return waveform.iq(count).to(device, non_blocking=True)
    total = None
    for grid in waveform.grids:
        re = grid.re
        if channel is not None:
            freqs = grid.first_subcarrier + torch.arange(grid.subcarriers, dtype=torch.float64, device=device) * grid.scs
            middles = (grid.start + grid.cp + 0.5 / grid.scs).to(device, non_blocking=True)
            re = re * channel.response(middles, freqs)
        sent = modulate(replace(grid, re=re, start=grid.start + LEAD), waveform.native_rate, count)
        total = sent if total is None else total.add_(sent)
    return total


def _smooth(steps: int) -> int:
    """The next number of steps without a prime factor beyond 7: the sizes of the Fourier transforms are its multiples."""
    while math.gcd(steps, (2 * 3 * 5 * 7) ** 10) < steps:
        steps += 1
    return steps


def _kept(count: int, shift: int, bins: int, reach: float) -> tuple[int, int]:
    """First and last + 1 of an emitter's bins that are within `reach` sample rates of the centre once shifted."""
    end = int(bins * reach)
    first = max(-(count // 2), -end - shift)
    return first, max(first, min((count + 1) // 2, end - shift))
