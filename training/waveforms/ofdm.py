# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resource grids and CP-OFDM: the one way from resource elements to samples, for every OFDM waveform."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch

from training.waveforms.waveform import squared


@dataclass
class Grid:
    """Resource elements of one OFDM signal over a stretch of time.

    re: complex64 [symbols, subcarriers], lowest subcarrier first, 0 where nothing is sent. Mean |re|^2 over the
        non-zero elements of a nominal data symbol is 1.
    scs: subcarrier spacing, Hz.
    first_subcarrier: frequency of `re[:, 0]` relative to the carrier's centre, Hz. LTE downlink grids hold the
        empty DC subcarrier as a column of zeros.
    start: float64 [symbols], s, where each symbol's cyclic prefix begins; ascending, may be below 0 for the first.
    cp: float64 [symbols], s, length of each cyclic prefix. A useful part lasts 1 / scs.
    """

    re: torch.Tensor
    scs: float
    first_subcarrier: float
    start: torch.Tensor
    cp: torch.Tensor

    @property
    def subcarriers(self) -> int:
        return self.re.shape[1]

    @property
    def band(self) -> tuple[float, float]:
        """Edges of the whole grid, Hz."""
        low = self.first_subcarrier - self.scs / 2
        return low, low + self.subcarriers * self.scs

    def to(self, device: torch.device) -> Grid:
        """Its elements there; where they stand in time stays with who plans."""
        return replace(self, re=self.re.to(device, non_blocking=True))

    @cached_property
    def power(self) -> torch.Tensor:
        """|re|^2, float32 [symbols, subcarriers]; worked out once, when the grid is complete."""
        return squared(self.re)

    @cached_property
    def prefix(self) -> float:
        """Length of its usual cyclic prefix, s."""
        return float(self.cp.median())

    def heard(self, duration: float) -> slice:
        """The symbols that are on the air within [0, duration)."""
        start, cp = self.start.numpy(), self.cp.numpy()  # numpy: torch's dispatcher takes longer than so few numbers do
        inside = ((start < duration) & (start + cp + 1 / self.scs > 0)).nonzero()[0]
        return slice(int(inside[0]), int(inside[-1]) + 1) if len(inside) else slice(0, 0)

    def active_band(
        self, duration: float, least: float = -math.inf, most: float = math.inf
    ) -> tuple[float, float] | None:
        """Lowest to highest frequency sent in [0, duration) between `least` and `most`, Hz; None when nothing is."""
        low, high = self.band
        begin = max(0, math.floor((max(least, low) - low) / self.scs + 1e-6))
        end = min(self.subcarriers, math.ceil((min(most, high) - low) / self.scs - 1e-6))
        if end <= begin:
            return None
        used = self.power[self.heard(duration), begin:end].sum(0).nonzero()
        if not len(used):
            return None
        low += begin * self.scs
        return low + int(used[0]) * self.scs, low + (int(used[-1]) + 1) * self.scs


@dataclass
class OfdmWaveform:
    """A waveform made of resource grids (a TDD carrier has one for each direction).

    nfft: FFT size at `native_rate`, the same rate for every grid (nfft x scs of the first grid).
    info: what the generator chose (cell identity, bandwidth, load...), plain JSON types.
    uplinks: how many of the grids, the last ones, are what terminals send.
    """

    label: str
    kind: str
    carrier: tuple[float, float]
    grids: list[Grid]
    native_rate: float
    duration: float
    info: dict = field(default_factory=dict)
    uplinks: int = 0

    def to(self, device: torch.device) -> OfdmWaveform:
        """The same with its grids there; itself where they are, with what has been worked out of them."""
        if all(grid.re.device == device for grid in self.grids):
            return self
        return replace(self, grids=[grid.to(device) for grid in self.grids])

    @cached_property
    def active(self) -> tuple[float, float] | None:
        return self.active_in(self.duration)

    def active_in(
        self, duration: float, least: float = -math.inf, most: float = math.inf
    ) -> tuple[float, float] | None:
        """`Grid.active_band` of all grids together."""
        bands = [b for b in (g.active_band(duration, least, most) for g in self.grids) if b]
        return (min(b[0] for b in bands), max(b[1] for b in bands)) if bands else None

    @property
    def has_downlink(self) -> bool:
        """Whether the base station itself sends anything."""
        own = self.grids[: len(self.grids) - self.uplinks]
        return any(grid.active_band(self.duration) for grid in own)

    def iq(self, count: int) -> torch.Tensor:
        """-> complex64 [count] at `native_rate`; a resource element of power 1 carries power scs (density 1 per Hz)."""
        return sum(modulate(g, self.native_rate, count) for g in self.grids)


def modulate(grid: Grid, rate: float, count: int) -> torch.Tensor:
    """CP-OFDM samples of a grid: complex64 [count] at `rate`, which must be a whole multiple of the spacing.

    Symbols start on the nearest sample; between symbols there is silence. ValueError if the grid is wider than the rate.
    """
    nfft = round(rate / grid.scs)
    if abs(nfft * grid.scs - rate) > 1e-6 * rate:
        raise ValueError(f"{rate} Hz is no multiple of the subcarrier spacing {grid.scs} Hz")
    first = grid.first_subcarrier / grid.scs
    shift = round(first)
    if grid.subcarriers > nfft:
        raise ValueError(f"{grid.subcarriers} subcarriers do not fit into {nfft}")
    device = grid.re.device
    symbols = grid.re.shape[0]
    if not symbols:
        return torch.zeros(count, dtype=torch.complex64, device=device)
    spectrum = torch.zeros(symbols + 1, nfft, dtype=torch.complex64, device=device)  # the last: silence
    lowest = shift % nfft
    below = min(grid.subcarriers, nfft - lowest)
    spectrum[:-1, lowest : lowest + below] = grid.re[:, :below]
    spectrum[:-1, : grid.subcarriers - below] = grid.re[:, below:]
    useful = torch.fft.ifft(spectrum, norm="forward").mul_(grid.scs**0.5)
    # every symbol is three pieces of the output: its prefix, its useful part, silence until the next begins
    start = torch.round(grid.start * rate).long()
    middle = start + torch.round(grid.cp * rate).long()
    until = torch.cat([start[1:], start.new_tensor([count])])[:, None]
    edges = torch.minimum(torch.stack([start, middle, middle + nfft], 1), until).clamp(0, count).flatten()
    first_sample = int(edges[0])
    length = count - first_sample
    edges = (edges - first_sample).to(device, non_blocking=True)

    def counted(of_piece: torch.Tensor) -> torch.Tensor:
        """n + of_piece, int32, for each sample n of the output: its pieces' jumps, summed up."""
        jumps = torch.diff(of_piece + first_sample - 1, prepend=of_piece.new_zeros(1)).int().to(device, non_blocking=True)
        steps = torch.ones(length + 1, dtype=torch.int32, device=device).index_add_(0, edges, jumps)
        return torch.cumsum(steps[:length], 0, dtype=torch.int32)

    # sample n of the output is sample n + offset of all useful parts in a row; beyond their end there is silence
    offset = torch.arange(symbols) * nfft - middle
    offset = torch.stack([offset + nfft, offset, torch.full_like(offset, useful.numel())], 1).flatten()
    place = counted(offset).clamp_(max=useful.numel() - 1)
    sample = useful.flatten().index_select(0, place)
    fraction = first - shift
    if fraction:  # an uplink grid stands half a subcarrier off, its phase reset at each useful part (TS 36.211 5.6)
        turn = (2 * torch.pi * fraction / nfft) * counted(-middle.repeat_interleave(3)).float()
        sample *= torch.polar(torch.ones_like(turn), turn)
    return torch.nn.functional.pad(sample, (first_sample, 0)) if first_sample else sample
