# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pixel powers of a scene straight from its resource grids, without making IQ: linear faults only.

The expected power of a pixel is a mix of the resource elements' powers: over time by how much of each symbol the
row's windowed segments see (`time_weights`), over frequency by the window's lobe, widened by the symbols' finite
length (`Lobe`). Channel and receiver act on power; `fast_speckle` then adds what chance does to the mean of few looks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from training.fast_mixing import (
    ENDLESS,
    LOBE_STEPS,
    NEAR,
    Frame,
    Lobe,
    change_bursts,
    hann_energy,
    lobe_table,
    time_weights,
)
from training.fast_speckle import NEXT_COLUMN, looks_variance, speckle
from training.scene_dice import stream
from training.scene_model import LEAD, Emitter, Scene, response_taps
from training.waveforms.ofdm import Grid, OfdmWaveform

MOST_PARTS, LEAST_COLUMNS = 8, 4  # parts of a grid's band whose courses in time are told apart, and columns of each
LOBE_REACH = 2  # columns on either side that the window's main lobe reaches
MAIN_LOBE = 3  # columns on either side of a subcarrier; what it puts further away comes when symbols change


def fast_power(scene: Scene, rows: int = 256, columns: int = 256, clean: bool = False) -> torch.Tensor:
    """Pixel powers of a scene as `spectrogram.pixel_power` would give them, float32 [rows, columns].

    clean: leave the speckle out: the expectation.
    """
    frame = Frame(scene.samp_rate, scene.count, rows, columns)
    total, steady = expected_density(scene, frame)
    if not clean:
        generator = stream("speckle", scene.seed)
        total = total * speckle(frame, total, steady, generator)
    return total * float(scene.samp_rate * frame.window.square().sum())


def expected_density(scene: Scene, frame: Frame) -> tuple[torch.Tensor, torch.Tensor]:
    """-> expected density of each pixel [T, F], and the parts of its square, of its product with the next column's and
    with the next row's, that do not depend on the elements' phases, [3, T, F] (see `fast_speckle`)."""
    receiver = scene.receiver
    response = receiver.power_response(frame.freqs / frame.samp_rate) if receiver else None
    total = torch.ones(frame.rows, frame.columns)
    if response is not None:
        total = total * response.float()
    steady = torch.zeros(3, frame.rows, frame.columns)
    for emitter in scene.emitters:
        if isinstance(emitter.waveform, OfdmWaveform):
            add_grids(total, steady, emitter, frame, receiver)
        else:
            for here, density in smooth_densities(emitter, frame, receiver):
                total[:, here] += density
    if receiver:
        lines = flicker = 0.0
        if receiver.lines():
            lines = receiver.line_density(frame.freqs / frame.samp_rate).float()
            steady[0] += lines.square() * looks_variance(frame)
            steady[1] += lines * lines.roll(-1) * looks_variance(frame) * NEXT_COLUMN
        if receiver.flicker_db is not None:
            flicker = _through_lobe(receiver.flicker_density(frame.freqs / frame.samp_rate, frame.samp_rate)[None])
        total += lines + flicker
        if receiver.iq_db is not None:  # column c mirrors to F - c, the lowest column to itself
            total = total + 10 ** (-receiver.iq_db / 10) * total.flip(1).roll(1, 1)
    return total, steady


# --- emitters made of resource grids -------------------------------------------------------------------------------

def add_grids(total: torch.Tensor, steady: torch.Tensor, emitter: Emitter, frame: Frame, receiver: object | None) -> None:
    """Adds one emitter's grids to `expected_density`'s two results, in place."""
    level = emitter.gain(frame.duration)
    fading = _Fading(emitter, frame)
    beside = emitter.filter_gain(frame.freqs - emitter.center).square()
    if receiver:
        beside *= receiver.power_response(frame.freqs / frame.samp_rate)
    for grid in emitter.waveform.grids:
        used = grid.power.sum(0).nonzero()
        if not len(used):
            continue
        span = slice(int(used[0]), int(used[-1]) + 1)
        mixed = _mix(grid, span, emitter.center, level, frame, receiver, fading, beside.numpy(),
                     emitter.waveform.native_rate)
        density = mixed.density
        if fading.rows is not None:
            density *= fading.rows
        total += density
        next_ = density.roll(-1, 1)
        uneven = mixed.uneven * looks_variance(frame)
        here = slice(mixed.low, mixed.low + len(mixed.own))
        own, after = density[:, here], next_[:, here]
        shared = own * mixed.own
        steady[0, :, here].addcmul_(shared, own * mixed.spread)
        steady[2, :-1, here].addcmul_(shared[:-1], density[1:, here] * mixed.along[:-1])
        steady[1, :, here].addcmul_(own * mixed.beside, after * mixed.spread)
        # looks at a row that is loud for a part of it are fewer than they seem: the opposite of calm
        fewer = own * uneven
        steady[0, :, here].addcmul_(fewer, own, value=-1)
        steady[1, :, here].addcmul_(fewer, after, value=-NEXT_COLUMN)


@dataclass
class _Mixed:
    """A grid's density [T, F], and what does not depend on phases of its square and of its products with its
    neighbours, as shares of those: from column `low` on `own` and, for the next column, `beside`, float32
    [columns], times `spread`, for the next row `along`, float32 [T, columns]. uneven: `time_weights`', of the same shape."""

    density: torch.Tensor
    low: int
    own: torch.Tensor
    beside: torch.Tensor
    spread: torch.Tensor
    along: torch.Tensor
    uneven: torch.Tensor


def _mix(grid: Grid, used: slice, center: float, level: float, frame: Frame, receiver: object | None,
         fading: _Fading, passes: np.ndarray, native_rate: float) -> _Mixed:
    """Resource elements of the subcarriers `used` -> pixels. center: Hz; level: density of an element of power 1. passes:
    power gain at each column for what symbols' changes put there, by the transmitter's filter and the receiver's."""
    power = grid.power[:, used]
    group = max(1, int(frame.column_hz / (6 * grid.scs)))  # subcarriers that one column cannot tell apart
    if group > 1:
        power = torch.nn.functional.pad(power, (0, -power.shape[1] % group))
        power = sum((power[:, i::group] for i in range(1, group)), power[:, ::group])
    middle = used.start + (group - 1) / 2 + group * np.arange(power.shape[1])
    own = grid.first_subcarrier + middle * grid.scs  # Hz from the emitter's centre
    sky = own + center
    sent = fading.mean(torch.from_numpy(own)).numpy() * (grid.scs * level)
    if receiver:
        heard = receiver.band_edge(torch.from_numpy(sky / frame.samp_rate)).numpy()
    else:
        heard = (np.abs(sky) < frame.samp_rate / 2).astype(float)
    lobe = Lobe(frame, grid.prefix + 1 / grid.scs, native_rate)
    low, lobes = lobe.near(sky, sent, heard, passes)
    width = lobes.shape[1]
    join, tails = lobe.far(sky, sent, passes, np.arange(low + width, low + frame.columns) % frame.columns)
    # users side by side differ in level and in how it changes: a weak one is not to get the calm of a strong one
    size = -(-power.shape[1] // min(MOST_PARTS, max(1, (width - 2 * NEAR) // LEAST_COLUMNS)))
    by_part = torch.stack([part.sum(1) for part in power.split(size, 1)], 1)
    in_time, *courses = time_weights(grid, frame, by_part.T)
    place = sky / frame.column_hz + frame.columns // 2 - low  # of each subcarrier, in columns
    nearest = np.rint((np.arange(width) - place[0]) * (frame.column_hz / grid.scs / group))
    nearest = nearest.clip(0, power.shape[1] - 1).astype(np.int64)
    spread, along, uneven = (course.index_select(1, torch.from_numpy(nearest // size)) for course in courses)
    through = torch.cat([lobes, join], 1)
    mixed = (in_time @ power) @ through if power.shape[0] > frame.rows // 2 else in_time @ (power @ through)
    density = torch.cat([mixed[:, :width], mixed[:, width:] @ tails], 1).roll(low, 1)
    shares = _calm_shares(lobes, group)
    symbol = round(lobe.key[1] / frame.columns, 3)
    if symbol > 1:  # else every look sees changes: they come as steadily as the rest
        spilt = (in_time @ by_part) @ _spill(lobes, place, power, size) / mixed[:, :width].clamp(min=1e-30)
        spilt = spilt.clamp(max=1)
        stays = (1 - spilt).square()
        spread, along, uneven = spread * stays, along * stays, uneven * stays + spilt.square() * change_bursts(symbol)
    rest = 1 - _prefix_variance(grid.prefix, grid.prefix + 1 / grid.scs, frame)
    return _Mixed(density, low, *shares, rest * spread, rest * along, uneven)


def _spill(lobes: torch.Tensor, place: np.ndarray, power: torch.Tensor, size: int) -> torch.Tensor:
    """What each part of `size` subcarriers puts into columns far from them, where it comes of symbols' changes: density for
    a part's power of 1 [parts, columns]. lobes: [K, columns], which lose their middles; place: [K], at which of those
    columns a subcarrier is."""
    near = np.ceil(place)[:, None].astype(np.int64) + np.arange(-MAIN_LOBE, MAIN_LOBE)
    lobes.scatter_(1, torch.from_numpy(near.clip(0, lobes.shape[1] - 1)), 0.0)
    sent = power.sum(0)
    number = torch.arange(len(sent)) // size
    shares = sent / sent.new_zeros(int(number[-1]) + 1).index_add_(0, number, sent).clamp(min=1e-30)[number]
    return sent.new_zeros(int(number[-1]) + 1, len(sent)).scatter_(0, number[None], shares[None]) @ lobes


def _calm_shares(lobes: torch.Tensor, group: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Sum of squared weights over the square of their sum, 1 / (resource elements that make the pixel), for each of
    the lobes' columns, and the same for products of a column with the next one's."""
    total = lobes.sum(0)
    inside = ((total / total.max().clamp(min=1e-30) - 0.25) / 0.5).clamp(0, 1)  # tails come of symbol changes
    scale = inside / total.clamp(min=1e-30) / group**0.5
    pairs = torch.cat([(lobes[:, :-1] * lobes[:, 1:]).sum(0), torch.dot(lobes[:, -1], lobes[:, 0])[None]])
    return lobes.square().sum(0) * scale.square(), pairs * scale * scale.roll(-1)


def _prefix_variance(cp: float, symbol: float, frame: Frame) -> float:
    """What the cyclic prefixes, which repeat a symbol's end, add to the variance of rows longer than a symbol."""
    length = frame.columns / frame.samp_rate
    row = frame.segments / frame.rows * frame.hop / frame.samp_rate
    return 2 * _seen_twice(cp / length) * (cp + length) / symbol * min(1.0, row / symbol)


@lru_cache(maxsize=256)
def _seen_twice(cp: float) -> float:
    """Mean square of the share of a Hann window's energy that falls on a prefix of `cp` windows, wherever that meets it."""
    begin = np.linspace(-cp, 1, 200)
    both = hann_energy((begin + cp).clip(0, 1)) - hann_energy(begin.clip(0, 1))
    return float(np.square(both).mean())


def _nearest(frame: Frame, emitter: Emitter) -> torch.Tensor:
    """Columns' frequencies from the emitter's centre; float64 [F]. Where nothing of it stands, what folds back in counts as
    where it was sent."""
    own = frame.freqs - emitter.center
    folded = own - frame.samp_rate * torch.round(own / frame.samp_rate)
    return torch.where(own.abs() < emitter.waveform.native_rate / 2, own, folded)


class _Fading:
    """|H|^2 of an emitter's channel: its mean over the frame by frequency, and its course over the rows, of columns
    `here`."""

    def __init__(self, emitter: Emitter, frame: Frame, here: slice = slice(None)):
        self.channel, self.rows = emitter.channel, None
        if self.channel is None:
            return
        self.taps = response_taps(self.channel, frame.duration)
        if len(self.taps) > 1 and emitter.waveform.active is not None:
            self.rows = self._course(emitter, frame, here)

    def mean(self, freqs: torch.Tensor) -> torch.Tensor:
        """Mean over the frame, float64 [K]; freqs from the emitter's centre, evenly spaced."""
        if self.channel is None:
            return torch.ones(len(freqs), dtype=torch.float64)
        step = max(1, int(30e3 / max(float(freqs[1] - freqs[0]), 1.0))) if len(freqs) > 1 else 1
        asked = torch.cat([freqs[::step], freqs[-1:]])
        few = self.taps[:: -(-len(self.taps) // 32)]
        power = self.channel.power(few, asked).mean(0).double()
        if step == 1:
            return power[: len(freqs)]
        return _interp(freqs, asked, power)

    def _course(self, emitter: Emitter, frame: Frame, here: slice) -> torch.Tensor:
        low, high = emitter.waveform.active
        own, column = torch.unique(_nearest(frame, emitter).clamp(low, high), return_inverse=True)
        points = min(8, max(2, math.ceil(frame.column_hz / 40e3)))
        within = (torch.arange(points, dtype=torch.float64) + 0.5) / points - 0.5
        fine = (own[:, None] + within * frame.column_hz).reshape(-1)
        power = self.channel.power(self.taps, fine)
        power = power.reshape(len(self.taps), -1, points).mean(-1).index_select(1, column)
        relative = (power / power.mean(0).clamp(min=1e-12))[:, here]
        return torch.nn.functional.interpolate(relative.T[None], size=frame.rows, mode="linear",
                                               align_corners=False)[0].T.contiguous()


def _interp(x: torch.Tensor, xp: torch.Tensor, fp: torch.Tensor) -> torch.Tensor:
    right = torch.searchsorted(xp, x).clamp(1, len(xp) - 1)
    left = right - 1
    share = ((x - xp[left]) / (xp[right] - xp[left]).clamp(min=1e-9)).clamp(0, 1)
    return fp[left] * (1 - share) + fp[right] * share


# --- emitters that know their own density ---------------------------------------------------------------------------

def smooth_densities(emitter: Emitter, frame: Frame, receiver: object | None) -> Iterator[tuple[slice, torch.Tensor]]:
    """-> the columns where an emitter with a `psd` of its own shows, and its density there, float32 [T, ...], seen through
    the window's lobe: in the band, and where a receiver lets it fold in from either side."""
    waveform = emitter.waveform
    for turn in (0, -1, 1) if receiver else (0,):
        sky = frame.freqs + turn * frame.samp_rate
        own = sky - emitter.center
        sent = np.flatnonzero(np.abs(own.numpy()) < (waveform.native_rate + frame.column_hz) / 2)
        if not len(sent):
            continue
        low, high = int(sent[0]) - LOBE_REACH, int(sent[-1]) + LOBE_REACH + 1
        here = slice(low, high) if low >= 0 and high <= frame.columns else slice(frame.columns)
        density = waveform.psd(frame.row_edges + LEAD, own[here], frame.column_hz)
        fading = _Fading(emitter, frame, here)
        if emitter.channel is not None:
            density *= fading.mean(own).float()[here]
            if fading.rows is not None:
                density *= fading.rows
        if receiver:
            place = sky[here] / frame.samp_rate
            density *= (receiver.band_edge(place) if turn else receiver.power_response(place)).float()
        yield here, _through_lobe(density).mul_(emitter.gain(frame.duration))


def _through_lobe(density: torch.Tensor) -> torch.Tensor:
    """Densities that are flat within each column, seen through the Hann window's main lobe; circular as the DFT is."""
    own, next_, third = _column_lobe()
    return (own * density + next_ * (density.roll(1, 1) + density.roll(-1, 1))
            + third * (density.roll(2, 1) + density.roll(-2, 1)))


@lru_cache(maxsize=1)
def _column_lobe() -> tuple[float, float, float]:
    table = lobe_table(256, ENDLESS).double()
    cells = [float(table[torch.arange(-LOBE_STEPS // 2, LOBE_STEPS // 2) + c * LOBE_STEPS].sum()) for c in range(3)]
    total = cells[0] + 2 * cells[1] + 2 * cells[2]
    return tuple(c / total for c in cells)
