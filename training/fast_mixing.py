# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How resource elements mix into pixels: over time through the rows' windowed looks, over frequency through a lobe."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch

from training.spectrogram import frame_geometry
from training.waveforms.ofdm import Grid

LOBE_STEPS = 32  # samples of the lobe per column
MOST_UNEVEN = 8.0  # a row that is loud for a ninth of its time
ENDLESS = 1e12  # samples of a symbol without a change: what is left is the window's own lobe
REACH = 2  # bands on either side of a subcarrier in which its symbols' changes are followed
NEAR = 6  # columns beside a grid in which every subcarrier's lobe is drawn by itself

# PyTorch's default, said aloud: until it is, 2.11 and 2.12 warn in every process, `check_invariants` or not
torch.sparse.check_sparse_tensor_invariants.disable()


@lru_cache(maxsize=16)
def hann(columns: int) -> torch.Tensor:
    """The looks' window, float64 [columns]."""
    return torch.hann_window(columns, periodic=True, dtype=torch.float64)


class Frame:
    """Geometry of a frame and the spans of time its rows see."""

    def __init__(self, samp_rate: float, count: int, rows: int, columns: int):
        self.samp_rate, self.count, self.rows, self.columns = samp_rate, count, rows, columns
        self.hop, self.segments = frame_geometry(count, rows, columns)
        self.duration = count / samp_rate
        self.column_hz = samp_rate / columns
        bounds = -(-torch.arange(rows + 1) * self.segments // rows)  # row of segment k is (k T) // K
        self.first_segment = bounds[:-1]
        self.looks = bounds[1:] - bounds[:-1]
        self.window = hann(columns)
        self.freqs = (torch.arange(columns, dtype=torch.float64) - columns // 2) * self.column_hz
        edges = (bounds * self.hop + (columns - self.hop) / 2) / samp_rate
        self.row_edges = edges.double()

    def segment_row(self, k):
        return k * self.rows // self.segments


def time_weights(
    grid: Grid, frame: Frame, power: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """How much of each row's windowed looks falls on each symbol.

    power: of each symbol in some parts of the band, float32 [P, symbols].
    -> float32 [T, symbols] (sparse where that pays; a row's weights sum to 1 where the grid sends without pause). Of
    what the row gets from each symbol, weight times the symbol's power, for each part of the band, float32 [T, P]: the
    sum of the squares over the square of the sum, the same for products with the next row's, and the variance of the
    power over the row's looks as a share of its mean's square.
    """
    # numpy: so many steps over so few numbers would mostly wait for torch's dispatcher
    length, hop = frame.columns / frame.samp_rate, frame.hop / frame.samp_rate
    starts = grid.start.double().numpy()
    edges = np.stack([starts, starts + grid.cp.double().numpy() + 1 / grid.scs])
    # the few symbols that a row sees anything of: from the first that ends in it to the last that begins in it
    first, looks = frame.first_segment.numpy(), frame.looks.numpy()
    low = np.searchsorted(edges[1], first * hop, side="right")
    count = np.searchsorted(starts, (first + looks - 1) * hop + length) - low
    width = max(int(count.max()), 1)
    near = np.arange(width)[:, None]  # arrays are [..., width, T]: the rows are many, and numpy is quick along the last
    symbol = np.minimum(low + near, len(starts) - 1)
    # seen: share of the row's looks before each symbol's start and end; segments wholly before an edge, then those
    # that it cuts
    whole = np.floor((edges - length) / hop).astype(np.int64) + 1
    seen = (whole.take(symbol, 1) - first).clip(0, looks) / looks
    segment = whole[..., None] + np.arange(-(-frame.columns // frame.hop) + 1)
    part = hann_energy(((edges[..., None] - segment * hop) / length).clip(0, 1))
    row = frame.segment_row(segment.clip(0, frame.segments - 1))
    place = np.arange(len(starts))[:, None] - low[row]
    inside = (segment >= 0) & (segment < frame.segments) & (part > 0) & (place >= 0) & (place < width)
    cell = (np.arange(2)[:, None, None] * width + place) * frame.rows + row
    seen += np.bincount(cell[inside], (part / looks[row])[inside], seen.size).reshape(seen.shape)
    weights = (seen[1] - seen[0]).astype(np.float32) * (near < count)
    weights[weights < 1e-7] = 0
    of_symbol = power.numpy()
    of_symbol = (of_symbol / np.maximum(of_symbol.max(1, keepdims=True), 1e-30)).take(symbol, 1)
    heard = weights * of_symbol
    total = np.maximum(heard.sum(1), 1e-6)
    spread = np.square(heard).sum(1) / np.square(total)
    uneven = ((heard * of_symbol).sum(1) / np.square(total) - 1).clip(0, MOST_UNEVEN)
    uneven *= _left_by_a_look(round((grid.prefix + 1 / grid.scs) / length, 3))
    along = np.zeros_like(spread)
    later = near - np.diff(low)  # the same symbols among the next row's
    both = heard[..., :-1] * heard[:, np.maximum(later, 0), np.arange(1, frame.rows)] * (later >= 0)
    along[:, :-1] = both.sum(1) / (total[:, :-1] * total[:, 1:])
    row, place = np.nonzero(weights.T)
    index = torch.from_numpy(np.stack([row, symbol[place, row]]))
    values, shape = torch.from_numpy(weights[place, row]), (frame.rows, len(starts))
    if len(starts) > frame.rows // 2:
        mix = torch.sparse_coo_tensor(index, values, shape, is_coalesced=True)
    else:
        mix = torch.zeros(shape).index_put_(tuple(index), values)
    return mix, *(torch.from_numpy(course).T.contiguous() for course in (spread, along, uneven))


@lru_cache(maxsize=256)
def _left_by_a_look(symbol: float) -> float:
    """What is left of symbols' variance in power after a Hann window takes its mean: 1 where it is far shorter than a
    symbol, whose length is `symbol` windows, and 0 where it is far longer."""
    phase = (np.arange(64) + 0.5) / 64 * symbol
    edges = phase[:, None] + symbol * np.arange(-1, int(1 / symbol) + 2)
    shares = np.diff(hann_energy(edges.clip(0, 1)), axis=1)
    return float(np.square(shares).sum(1).mean())


@lru_cache(maxsize=256)
def change_bursts(symbol: float) -> float:
    """Variance over looks of what symbols' changes put far from their subcarriers, as a share of its mean's square: a look
    gets it by its window's square at each change, and changes are `symbol` windows apart."""
    steps = 64 * math.ceil(symbol)
    phase = (np.arange(steps) + 0.5) / steps * symbol
    place = (phase[:, None] + symbol * np.arange(int(1 / symbol) + 1)).clip(max=1)
    energy = (np.sin(np.pi * place) ** 4).sum(1)
    return min(float(np.square(energy).mean() / energy.mean() ** 2) - 1, MOST_UNEVEN)


def hann_energy(x: np.ndarray) -> np.ndarray:
    """Share of a Hann window's energy before the point x in [0, 1]."""
    turn = 2 * np.pi * x
    return x - (4 * np.sin(turn) - 0.5 * np.sin(2 * turn)) / (6 * np.pi)


class Lobe:
    """What a subcarrier puts into the columns: the window's lobe over symbols of a given length, s, made at native_rate."""

    def __init__(self, frame: Frame, symbol: float, native_rate: float):
        self.frame = frame
        self.key = frame.columns, round(symbol * frame.samp_rate, 3), round(native_rate / frame.samp_rate, 4)

    def near(self, freqs: np.ndarray, sent: np.ndarray, heard: np.ndarray, passes: np.ndarray) -> tuple[int, torch.Tensor]:
        """Subcarriers at freqs [K], Hz -> (first of the columns on and beside them, density in those float32 [K, ...]).

        sent: [K], a subcarrier's power in front of the receiver for a resource element of power 1; heard: what the receiver
        lets through there, and, beyond the band, lets fold in. The window's own lobe comes with the subcarrier; what
        symbols' changes put beside that is in the air, and has the power gain of its own place: passes, [F]. Of subcarriers
        that reach beyond the band these columns are all."""
        columns, rate = self.frame.columns, np.float32(self.frame.samp_rate)
        position = freqs / self.frame.column_hz + columns // 2
        low, high = math.floor(position[0]) - NEAR, math.ceil(position[-1]) + NEAR
        if low < 0 or high >= columns:
            low, high = 0, columns - 1
        count = high + 1 - low
        turns, phase = np.divmod(-np.rint(position * LOBE_STEPS).astype(np.int64), LOBE_STEPS)
        begin = torch.from_numpy(phase * (2 * columns) + (low + turns) % columns)
        lobes = _window_phases(columns).unfold(0, count, 1).index_select(0, begin).mul_(_column(sent * heard / rate))
        wide = 2 * REACH * columns
        begin = torch.from_numpy(phase * wide + (low + turns + REACH * columns).clip(0, wide - count))
        beside = _beside_phases(*self.key).unfold(0, count, 1).index_select(0, begin).mul_(_column(sent / rate))
        beside.mul_(torch.from_numpy(passes[low : high + 1].astype(np.float32)))
        return low, lobes.add_(beside).clamp_(min=0)

    def far(
        self, freqs: np.ndarray, sent: np.ndarray, passes: np.ndarray, others: np.ndarray
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What reaches the columns `others` from subcarriers taken together in up to 32 parts: float32 [K, parts], and
        their density [parts, others]. A distant tail ends at the band's edge."""
        count = len(freqs)
        size = -(-count // min(32, count))
        part = np.arange(count) // size
        join = np.zeros((count, part[-1] + 1), np.float32)
        join[np.arange(count), part] = sent
        members = np.minimum(np.arange(size * (part[-1] + 1)), count - 1).reshape(-1, size)
        position = freqs[members].mean(1) / self.frame.column_hz + self.frame.columns // 2
        away = np.abs(others * LOBE_STEPS - np.rint(position * LOBE_STEPS).astype(np.int64)[:, None])  # a lobe is even
        tails = _line(*self.key).numpy().take(away, mode="clip") * (passes[others] / self.frame.samp_rate).astype(np.float32)
        return torch.from_numpy(join), torch.from_numpy(tails)


def _column(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.float32))[:, None]


@lru_cache(maxsize=128)
def _line(columns: int, symbol_samples: float, native: float) -> torch.Tensor:
    """`lobe_table` before it comes in at the band's other end, as it does at those of the native rate, which is `native`
    times the band's: float32 by distance, LOBE_STEPS a column, up to REACH F."""
    finer = 2 * REACH
    line = lobe_table(finer * columns, finer * symbol_samples)[: REACH * columns * LOBE_STEPS + 1] / finer
    turn = (torch.arange(len(line)) * (math.pi / (native * columns * LOBE_STEPS))).clamp(max=0.95 * math.pi)
    return line / torch.sinc(turn / math.pi).square()  # tails fall with the square of the distance, and so add up to this


@lru_cache(maxsize=128)
def _beside_phases(columns: int, symbol_samples: float, native: float) -> torch.Tensor:
    """What symbols' changes add to the window's own lobe, or take from it, by columns from -REACH F to REACH F, sorted
    into LOBE_STEPS phases of one sample a column: float32 [64 REACH F]."""
    half = _line(columns, symbol_samples, native) - _line(columns, ENDLESS, native)
    return torch.cat([half[1:].flip(0), half[:-1]]).view(-1, LOBE_STEPS).T.reshape(-1)


@lru_cache(maxsize=16)
def _window_phases(columns: int) -> torch.Tensor:
    """The window's own lobe sorted into LOBE_STEPS phases of one sample a column, each twice round: float32 [64 F]."""
    phases = lobe_table(columns, ENDLESS).view(columns, LOBE_STEPS).T
    return torch.cat([phases, phases], 1).reshape(-1)


@lru_cache(maxsize=256)
def lobe_table(columns: int, symbol_samples: float) -> torch.Tensor:
    """Mean |spectrum|^2 of the part of a Hann window that one symbol fills, over all positions of the symbol.

    The transform of the window's autocorrelation times the symbol's (a triangle); float32 [columns LOBE_STEPS],
    sampled LOBE_STEPS times a column, its mean is 1.
    """
    own = torch.fft.irfft(torch.fft.rfft(hann(columns), 2 * columns).abs().square(), 2 * columns)
    lag = torch.minimum(torch.arange(2 * columns), 2 * columns - torch.arange(2 * columns))
    own = own * (1 - lag / symbol_samples).clamp(min=0)
    padded = torch.zeros(columns * LOBE_STEPS, dtype=torch.float64)
    padded[:columns] = own[:columns]
    padded[-columns + 1 :] = own[columns + 1 :]
    half = torch.fft.rfft(padded).real.clamp(min=0)
    table = torch.cat([half, half[1:-1].flip(0)])
    return (table / table.mean()).float()
