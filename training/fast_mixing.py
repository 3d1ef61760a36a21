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
    length, hop = frame.columns / frame.samp_rate, frame.hop / frame.samp_rate
    starts = grid.start.double()
    edges = torch.stack([starts, starts + grid.cp.double() + 1 / grid.scs])
    # the few symbols that a row sees anything of: from the first that ends in it to the last that begins in it
    first, looks = frame.first_segment, frame.looks
    low = torch.searchsorted(edges[1], first * hop, right=True)
    count = torch.searchsorted(starts, (first + looks - 1) * hop + length) - low
    width = max(int(count.max()), 1)
    near = torch.arange(width)
    symbol = (low[:, None] + near).clamp(max=len(starts) - 1)
    # seen: share of the row's looks before each symbol's start and end; segments wholly before an edge, then those
    # that it cuts
    whole = torch.floor((edges - length) / hop).long() + 1
    seen = (whole[:, symbol] - first[:, None]).clamp(min=0).minimum(looks[:, None]) / looks[:, None].double()
    segment = whole[..., None] + torch.arange(-(-frame.columns // frame.hop) + 1)
    part = hann_energy(((edges[..., None] - segment * hop) / length).clamp(0, 1))
    row = frame.segment_row(segment.clamp(0, frame.segments - 1))
    place = torch.arange(len(starts))[:, None] - low[row]
    inside = (segment >= 0) & (segment < frame.segments) & (part > 0) & (place >= 0) & (place < width)
    cell = (torch.arange(2)[:, None, None] * frame.rows + row) * width + place
    seen.view(-1).index_add_(0, cell[inside], (part / looks[row])[inside])
    weights = (seen[1] - seen[0]).float() * (near < count[:, None])
    weights = torch.where(weights < 1e-7, 0.0, weights)
    total = weights.sum(1).clamp(min=1e-6)
    spread = weights.square().sum(1) / total.square()
    along = torch.zeros(frame.rows)
    later = near - torch.diff(low)[:, None]  # the same symbols among the next row's
    both = weights[:-1] * weights[1:].gather(1, later.clamp(min=0)) * (later >= 0)
    along[:-1] = both.sum(1) / (total[:-1] * total[1:])
    used = weights > 0
    index = torch.stack([torch.arange(frame.rows)[:, None].expand_as(symbol)[used], symbol[used]])
    shape = (frame.rows, len(starts))
    if len(starts) > frame.rows // 2:
        return torch.sparse_coo_tensor(index, weights[used], shape, is_coalesced=True, check_invariants=False), spread, along
    return torch.zeros(shape).index_put_(tuple(index), weights[used]), spread, along


def hann_energy(x: torch.Tensor) -> torch.Tensor:
    """Share of a Hann window's energy before the point x in [0, 1]."""
    turn = 2 * torch.pi * x
    return x - (4 * torch.sin(turn) - 0.5 * torch.sin(2 * turn)) / (6 * torch.pi)


class Lobe:
    """What a subcarrier puts into the columns: the window's lobe over symbols of a given length."""

    def __init__(self, frame: Frame, symbol: float):
        self.frame = frame
        self.key = frame.columns, round(symbol * frame.samp_rate, 3)

    def near(self, freqs: torch.Tensor, gain: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """-> (columns on and beside the subcarriers, density in them float32 [K, those]); gain: float32 [K], each
        subcarrier's power for a resource element of power 1. What passes one end of the band comes in at the other."""
        columns = self.frame.columns
        low = int(torch.floor(freqs[0] / self.frame.column_hz)) - NEAR + columns // 2
        high = int(torch.ceil(freqs[-1] / self.frame.column_hz)) + NEAR + columns // 2
        count = min(high + 1 - low, columns)
        steps = torch.round((freqs / self.frame.column_hz + columns // 2) * LOBE_STEPS).long()
        begin = low + (-steps).div(LOBE_STEPS, rounding_mode="floor")
        begin = (-steps) % LOBE_STEPS * (2 * columns) + begin % columns
        lobes = _lobe_phases(*self.key).unfold(0, count, 1).index_select(0, begin)
        return torch.arange(low, low + count) % columns, lobes.mul_((gain / self.frame.samp_rate)[:, None])

    def far(self, power: torch.Tensor, freqs: torch.Tensor, near: torch.Tensor) -> torch.Tensor:
        """What reaches the other columns, from subcarriers taken together in 32 parts; float32 [..., F]. A distant tail
        ends at the band's edge."""
        columns = self.frame.columns
        out = torch.zeros(power.shape[0], columns)
        if len(near) == columns:
            return out
        rest = torch.ones(columns, dtype=torch.bool)
        rest[near] = False
        size = -(-power.shape[1] // min(32, power.shape[1]))
        pad = -power.shape[1] % size
        grouped = torch.nn.functional.pad(power, (0, pad)).reshape(power.shape[0], -1, size).sum(-1)
        middle = torch.nn.functional.pad(freqs, (0, pad), value=float(freqs[-1])).reshape(-1, size).mean(1)
        steps = torch.round((middle / self.frame.column_hz + columns // 2) * LOBE_STEPS).int()
        table, others = lobe_table(*self.key), rest.nonzero()[:, 0]
        away = (others.int() * LOBE_STEPS - steps[:, None]).abs_().clamp_(max=len(table) // 2)  # a lobe is even
        lobes = table.index_select(0, away.view(-1)).view(away.shape) / float(self.frame.samp_rate)
        out[:, others] = grouped @ lobes
        return out


@lru_cache(maxsize=256)
def _lobe_phases(columns: int, symbol_samples: float) -> torch.Tensor:
    """`lobe_table` sorted into LOBE_STEPS phases of one sample a column, each twice round: float32 [64 columns]."""
    phases = lobe_table(columns, symbol_samples).view(columns, LOBE_STEPS).T
    return torch.cat([phases, phases], 1).reshape(-1)


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
