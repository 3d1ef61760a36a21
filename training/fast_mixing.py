# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How resource elements mix into pixels: over time through the rows' windowed looks, over frequency through a lobe."""

from __future__ import annotations

from functools import lru_cache

import torch

from training.spectrogram import frame_geometry
from training.waveforms.ofdm import Grid

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
        part = hann_energy(((edges - k * hop) / length).clamp(0, 1))
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


def hann_energy(x: torch.Tensor) -> torch.Tensor:
    """Share of a Hann window's energy before the point x in [0, 1]."""
    turn = 2 * torch.pi * x
    return x - (4 * torch.sin(turn) - 0.5 * torch.sin(2 * turn)) / (6 * torch.pi)


class Lobe:
    """What a subcarrier puts into the columns: the window's lobe over symbols of a given length."""

    def __init__(self, frame: Frame, symbol: float):
        self.frame = frame
        self.table = lobe_table(frame.columns, round(symbol * frame.samp_rate, 3))

    def at(self, columns: torch.Tensor, position: torch.Tensor, around: bool) -> torch.Tensor:
        """Density per Hz and unit power, float32 [K, columns]; position: float64 [K], in columns.

        around: what passes one end of the band comes in at the other, as it does in a DFT; not so a distant tail.
        """
        steps = torch.round(position * LOBE_STEPS).to(torch.int32)
        index = (columns.to(torch.int32) * LOBE_STEPS)[None, :] - steps[:, None]
        if not around:
            index.clamp_(-len(self.table) // 2, len(self.table) // 2)
        return self.table[index.remainder_(len(self.table)).long()] / float(self.frame.samp_rate)

    def near(self, freqs: torch.Tensor, scs: float) -> tuple[torch.Tensor, torch.Tensor]:
        """-> (columns on and beside the subcarriers, float32 [K, those] times the power per density)."""
        frame = self.frame
        low = int(torch.floor(freqs[0] / frame.column_hz)) - NEAR + frame.columns // 2
        high = int(torch.ceil(freqs[-1] / frame.column_hz)) + NEAR + frame.columns // 2
        near = torch.arange(low, high + 1)[: frame.columns] % frame.columns
        return near, self.at(near, freqs / frame.column_hz + frame.columns // 2, around=True) * scs

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
        out[:, columns] = grouped @ (self.at(columns, position, around=False) * scs)
        return out


@lru_cache(maxsize=256)
def lobe_table(columns: int, symbol_samples: float) -> torch.Tensor:
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
