# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pixel powers of a scene straight from its resource grids, without making IQ: linear faults only.

The expected power of a pixel is a mix of the resource elements' powers: over time by how much of each symbol the
row's windowed segments see (`time_weights`), over frequency by the window's lobe, widened by the symbols' finite
length (`Lobe`). Channel and receiver act on power; `fast_speckle` then adds what chance does to the mean of few looks.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch

from training.fast_speckle import NEXT_COLUMN, looks_variance, speckle
from training.scene_model import LEAD, Emitter, Scene, response_times
from training.spectrogram import frame_geometry
from training.waveforms.ofdm import Grid, OfdmWaveform

LOBE_STEPS = 32  # samples of the lobe per column
NEAR = 6  # columns beside a grid in which every subcarrier's lobe is drawn by itself


class Frame:
    """Geometry of a frame (DESIGN contract 2) and the spans of time its rows see."""

    def __init__(self, samp_rate: float, count: int, rows: int, columns: int):
        self.samp_rate, self.count, self.rows, self.columns = samp_rate, count, rows, columns
        self.hop, self.segments = frame_geometry(count, rows, columns)
        self.duration = count / samp_rate
        self.column_hz = samp_rate / columns
        bounds = -(-torch.arange(rows + 1) * self.segments // rows)  # row of segment k is (k T) // K
        self.first_segment = bounds[:-1]
        self.looks = bounds[1:] - bounds[:-1]
        self.window = torch.hann_window(columns, periodic=True, dtype=torch.float64)
        self.freqs = (torch.arange(columns, dtype=torch.float64) - columns // 2) * self.column_hz
        edges = (bounds * self.hop + (columns - self.hop) / 2) / samp_rate
        self.row_edges = edges.double()

    def segment_row(self, k: torch.Tensor) -> torch.Tensor:
        return k * self.rows // self.segments


def fast_power(scene: Scene, rows: int = 256, columns: int = 256, clean: bool = False) -> torch.Tensor:
    """Pixel powers of a scene as `spectrogram.pixel_power` would give them, float32 [rows, columns].

    clean: leave the speckle out: the expectation.
    """
    frame = Frame(scene.samp_rate, scene.count, rows, columns)
    total, steady = expected_density(scene, frame)
    if not clean:
        generator = torch.Generator().manual_seed(scene.seed % 2**62 + 1)
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
            power, calm = grid_density(emitter, frame, receiver)
        else:
            total += smooth_density(emitter, frame, response)
            continue
        total += power
        steady += calm
    if receiver:
        lines = receiver.line_density(frame.freqs / frame.samp_rate).float()
        total += lines + receiver.flicker_density(frame.freqs / frame.samp_rate, frame.samp_rate)
        steady[0] += lines.square() * looks_variance(frame)
        steady[1] += lines * lines.roll(-1) * looks_variance(frame) * NEXT_COLUMN
        if receiver.iq_db is not None:  # column c mirrors to F - c, the lowest column to itself
            total = total + 10 ** (-receiver.iq_db / 10) * total.flip(1).roll(1, 1)
    return total, steady


# --- emitters made of resource grids -------------------------------------------------------------------------------

def grid_density(emitter: Emitter, frame: Frame, receiver: object | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Density of one emitter's grids [T, F] and its calm squares, as `expected_density`."""
    total = torch.zeros(frame.rows, frame.columns)
    calm = torch.zeros(3, frame.rows, frame.columns)
    gain = emitter.gain(frame.duration)
    fading = _Fading(emitter, frame)
    for grid, power in zip(emitter.waveform.grids, emitter.grid_power, strict=True):
        used = power.sum(0).nonzero()
        if not len(used):
            continue
        first, last = int(used[0]), int(used[-1]) + 1
        density, shares = _mix(grid, power[:, first:last], first, emitter, frame, receiver, fading)
        density = density * gain
        if fading.rows is not None:
            density *= fading.rows
        total += density
        calm[0] += density.square() * shares[0]
        calm[1] += density * density.roll(-1, 1) * shares[1]
        calm[2] += density * density.roll(-1, 0) * shares[2]
    return total, calm


def _mix(grid: Grid, power: torch.Tensor, first: int, emitter: Emitter, frame: Frame, receiver: object | None,
         fading: _Fading) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Resource elements -> (density [T, F], calm shares as `expected_density`'s, 3 x [T, F])."""
    group = max(1, int(frame.column_hz / (6 * grid.scs)))  # subcarriers that one column cannot tell apart
    pad = -power.shape[1] % group
    if group > 1:
        power = torch.nn.functional.pad(power, (0, pad)).reshape(power.shape[0], -1, group).sum(-1)
    middle = first + (group - 1) / 2 + group * torch.arange(power.shape[1], dtype=torch.float64)
    own = grid.first_subcarrier + middle * grid.scs  # Hz from the emitter's centre
    sky = own + emitter.center
    passed = fading.mean(own) * (receiver.band_edge(sky / frame.samp_rate) if receiver
                                 else (sky.abs() < frame.samp_rate / 2).float())
    lobe = Lobe(frame, float(grid.cp.median()) + 1 / grid.scs)
    near, lobes = lobe.near(sky, grid.scs)
    lobes = lobes * passed[:, None].float()
    in_time, spread, along = time_weights(grid, frame)
    density = torch.zeros(frame.rows, frame.columns)
    if power.shape[0] > frame.rows // 2:
        mixed = in_time @ power
        density[:, near] = mixed @ lobes
        density += lobe.far(mixed * passed.float(), sky, near, grid.scs)
    else:
        density[:, near] = in_time @ (power @ lobes)
        density += in_time @ lobe.far(power * passed.float(), sky, near, grid.scs)
    own = _nearest(frame, emitter)
    density *= (emitter.filter_gain(own).square() * (own.abs() < emitter.waveform.native_rate / 2)).float()
    share, beside = _calm_shares(lobes, near, group, frame.columns)
    rest = 1 - _prefix_variance(grid, frame)
    spread, along = rest * spread[:, None], rest * along[:, None]
    return density, [spread * share, spread * beside, along * share]


def _calm_shares(lobes: torch.Tensor, near: torch.Tensor, group: int, columns: int) -> list[torch.Tensor]:
    """Sum of squared weights over the square of their sum, 1 / (resource elements that make the pixel), float32 [F],
    and the same for products of a column with the next one's."""
    total = lobes.sum(0)
    inside = ((total / total.max().clamp(min=1e-30) - 0.25) / 0.5).clamp(0, 1)  # tails come of symbol changes
    own, beside = torch.zeros(columns), torch.zeros(columns)
    scaled = lobes / total.clamp(min=1e-30) * inside / group**0.5
    own[near] = scaled.square().sum(0)
    beside[near] = (scaled * scaled.roll(-1, 1)).sum(0)
    return [own, beside]


def _prefix_variance(grid: Grid, frame: Frame) -> float:
    """What the cyclic prefixes, which repeat a symbol's end, add to the variance of rows longer than a symbol."""
    length = frame.columns / frame.samp_rate
    cp = float(grid.cp.median())
    begin = torch.linspace(-cp / length, 1, 200, dtype=torch.float64)
    both = _energy((begin + cp / length).clamp(0, 1)) - _energy(begin.clamp(0, 1))
    row = float(frame.looks.float().mean()) * frame.hop / frame.samp_rate
    symbol = cp + 1 / grid.scs
    return 2 * float(both.square().mean()) * (cp + length) / symbol * min(1.0, row / symbol)


def _nearest(frame: Frame, emitter: Emitter) -> torch.Tensor:
    """Columns' frequencies from the emitter's centre; float64 [F]. What folds back in counts where it was sent."""
    own = frame.freqs - emitter.center
    return own - frame.samp_rate * torch.round(own / frame.samp_rate)


class _Fading:
    """|H|^2 of an emitter's channel: its mean over the frame by frequency, and its course over the rows."""

    def __init__(self, emitter: Emitter, frame: Frame):
        self.channel, self.rows = emitter.channel, None
        if self.channel is None:
            return
        self.times = response_times(self.channel, frame.duration)
        if len(self.times) > 1 and emitter.waveform.active is not None:
            self.rows = self._course(emitter, frame)

    def mean(self, freqs: torch.Tensor) -> torch.Tensor:
        """Mean over the frame, float64 [K]; freqs from the emitter's centre, evenly spaced."""
        if self.channel is None:
            return torch.ones(len(freqs), dtype=torch.float64)
        step = max(1, int(30e3 / max(float(freqs[1] - freqs[0]), 1.0))) if len(freqs) > 1 else 1
        asked = torch.cat([freqs[::step], freqs[-1:]])
        few = self.times[:: -(-len(self.times) // 32)]
        power = self.channel.response(few, asked).abs().square().mean(0).double()
        if step == 1:
            return power[: len(freqs)]
        return _interp(freqs, asked, power)

    def _course(self, emitter: Emitter, frame: Frame) -> torch.Tensor:
        low, high = emitter.waveform.active
        own = _nearest(frame, emitter).clamp(low, high)
        points = min(8, max(2, math.ceil(frame.column_hz / 40e3)))
        within = (torch.arange(points, dtype=torch.float64) + 0.5) / points - 0.5
        fine = (own[:, None] + within * frame.column_hz).reshape(-1)
        power = self.channel.response(self.times, fine).abs().square().float()
        power = power.reshape(len(self.times), frame.columns, points).mean(-1)
        relative = power / power.mean(0).clamp(min=1e-12)
        return torch.nn.functional.interpolate(relative.T[None], size=frame.rows, mode="linear",
                                               align_corners=False)[0].T.contiguous()


def _interp(x: torch.Tensor, xp: torch.Tensor, fp: torch.Tensor) -> torch.Tensor:
    right = torch.searchsorted(xp, x).clamp(1, len(xp) - 1)
    left = right - 1
    share = ((x - xp[left]) / (xp[right] - xp[left]).clamp(min=1e-9)).clamp(0, 1)
    return fp[left] * (1 - share) + fp[right] * share


def time_weights(grid: Grid, frame: Frame) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """How much of each row's windowed looks falls on each symbol.

    -> float32 [T, symbols] (sparse where that pays; a row's weights sum to 1 where the grid sends without pause), the
    sum of their squares over the square of their sum, float32 [T], and the same for products with the next row's.
    """
    length = frame.columns / frame.samp_rate
    hop = frame.hop / frame.samp_rate
    symbols = len(grid.start)
    starts = grid.start.double()
    edges = torch.cat([starts, starts + grid.cp.double() + 1 / grid.scs])
    # seen(edge) of row r: share of the row's looks that lies before the edge
    straddling = -(-frame.columns // frame.hop)
    whole = torch.floor((edges - length) / hop).long() + 1  # segments k < whole end before the edge
    entries_row, entries_edge, entries_value = [], [], []
    for ahead in range(straddling + 1):
        k = whole + ahead
        part = _energy(((edges - k * hop) / length).clamp(0, 1))
        inside = (k >= 0) & (k < frame.segments) & (part > 0)
        row = frame.segment_row(k.clamp(0, frame.segments - 1))
        entries_row.append(row[inside])
        entries_edge.append(inside.nonzero()[:, 0])
        entries_value.append(part[inside] / frame.looks[row[inside]])
    seen = ((whole[None] - frame.first_segment[:, None]) / frame.looks[:, None]).clamp(0, 1).float()
    seen.index_put_((torch.cat(entries_row), torch.cat(entries_edge)), torch.cat(entries_value).float(), True)
    weights = seen[:, symbols:] - seen[:, :symbols]
    weights[weights < 1e-7] = 0
    total = weights.sum(1).clamp(min=1e-6)
    spread = weights.square().sum(1) / total.square()
    along = torch.zeros(frame.rows)
    along[:-1] = (weights[:-1] * weights[1:]).sum(1) / (total[:-1] * total[1:])
    return (weights.to_sparse() if symbols > frame.rows // 2 else weights), spread, along


def _energy(x: torch.Tensor) -> torch.Tensor:
    """Share of a Hann window's energy before the point x in [0, 1]."""
    turn = 2 * torch.pi * x
    return x - (4 * torch.sin(turn) - 0.5 * torch.sin(2 * turn)) / (6 * torch.pi)


class Lobe:
    """What a subcarrier puts into the columns: the window's lobe over symbols of a given length."""

    def __init__(self, frame: Frame, symbol: float):
        self.frame = frame
        self.table = _lobe_table(frame.columns, round(symbol * frame.samp_rate, 3))

    def at(self, columns: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        """Density per Hz and unit power, float32 [K, columns]; position: float64 [K], in columns."""
        steps = torch.round(position * LOBE_STEPS).to(torch.int32)
        index = (columns.to(torch.int32) * LOBE_STEPS)[None, :] - steps[:, None]
        return self.table[index.remainder_(len(self.table)).long()] / float(self.frame.samp_rate)

    def near(self, freqs: torch.Tensor, scs: float) -> tuple[torch.Tensor, torch.Tensor]:
        """-> (columns on and beside the subcarriers, float32 [K, those] times the power per density)."""
        frame = self.frame
        low = int(torch.floor(freqs[0] / frame.column_hz)) - NEAR + frame.columns // 2
        high = int(torch.ceil(freqs[-1] / frame.column_hz)) + NEAR + frame.columns // 2
        near = torch.arange(low, high + 1)[: frame.columns] % frame.columns
        return near, self.at(near, freqs / frame.column_hz + frame.columns // 2) * scs

    def far(self, power: torch.Tensor, freqs: torch.Tensor, near: torch.Tensor, scs: float) -> torch.Tensor:
        """What reaches the other columns, from subcarriers taken together in 32 parts; float32 [..., F]."""
        rest = torch.ones(self.frame.columns, dtype=torch.bool)
        rest[near] = False
        out = torch.zeros(power.shape[0], self.frame.columns)
        if not bool(rest.any()):
            return out
        parts = min(32, power.shape[1])
        size = -(-power.shape[1] // parts)
        pad = -power.shape[1] % size
        grouped = torch.nn.functional.pad(power, (0, pad)).reshape(power.shape[0], -1, size).sum(-1)
        middle = torch.nn.functional.pad(freqs, (0, pad), value=float(freqs[-1])).reshape(-1, size).mean(1)
        columns = rest.nonzero()[:, 0]
        position = middle / self.frame.column_hz + self.frame.columns // 2
        out[:, columns] = grouped @ (self.at(columns, position) * scs)
        return out


@lru_cache(maxsize=256)
def _lobe_table(columns: int, symbol_samples: float) -> torch.Tensor:
    """Mean |spectrum|^2 of the part of a Hann window that one symbol fills, over all positions of the symbol.

    The transform of the window's autocorrelation times the symbol's (a triangle); float32 [columns LOBE_STEPS],
    sampled LOBE_STEPS times a column, its mean is 1.
    """
    window = torch.hann_window(columns, periodic=True, dtype=torch.float64)
    own = torch.fft.irfft(torch.fft.rfft(window, 2 * columns).abs().square(), 2 * columns)
    lag = torch.minimum(torch.arange(2 * columns), 2 * columns - torch.arange(2 * columns))
    own = own * (1 - lag / symbol_samples).clamp(min=0)
    size = columns * LOBE_STEPS
    padded = torch.zeros(size, dtype=torch.float64)
    padded[:columns] = own[:columns]
    padded[-columns + 1 :] = own[columns + 1 :]
    table = torch.fft.fft(padded).real.clamp(min=0)
    return (table / table.mean()).float()


# --- emitters that know their own density ---------------------------------------------------------------------------

def smooth_density(emitter: Emitter, frame: Frame, response: torch.Tensor | None) -> torch.Tensor:
    """Density of an emitter with a `psd` of its own [T, F], seen through the window's lobe."""
    waveform = emitter.waveform
    own = frame.freqs - emitter.center
    density = waveform.psd(frame.row_edges + LEAD, own, frame.column_hz).float()
    fading = _Fading(emitter, frame)
    if emitter.channel is not None:
        density = density * fading.mean(own).float()
        if fading.rows is not None:
            density = density * fading.rows
    if response is not None:
        density = density * response.float()
    return _through_lobe(density) * emitter.gain(frame.duration)


def _through_lobe(density: torch.Tensor) -> torch.Tensor:
    """Densities that are flat within each column, seen through the Hann window's main lobe; circular as the DFT is."""
    own, next_, third = _column_lobe()
    return (own * density + next_ * (density.roll(1, 1) + density.roll(-1, 1))
            + third * (density.roll(2, 1) + density.roll(-2, 1)))


@lru_cache(maxsize=1)
def _column_lobe() -> tuple[float, float, float]:
    table = _lobe_table(256, 1e12).double()
    cells = [float(table[torch.arange(-LOBE_STEPS // 2, LOBE_STEPS // 2) + c * LOBE_STEPS].sum()) for c in range(3)]
    total = cells[0] + 2 * cells[1] + 2 * cells[2]
    return tuple(c / total for c in cells)
