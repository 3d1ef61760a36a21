# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""LTE's control region: where PCFICH, PHICH and PDCCH stand (TS 36.211 6.7 to 6.9) and which of it is in use."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch

from training.waveforms.lte_config import LteConfig
from training.waveforms.sequences import qam

# PHICH groups' factor m_i by uplink-downlink configuration and subframe. TS 36.211 table 6.9-1
PHICH_TDD = ("2100021000", "0100101001", "0001000010", "1000000011", "0000000011", "0000000010", "1100011001")
# TS 36.212 table 5.1.4-2
_COLUMNS = np.array([1, 17, 9, 25, 5, 21, 13, 29, 3, 19, 11, 27, 7, 23, 15, 31,
                     0, 16, 8, 24, 4, 20, 12, 28, 2, 18, 10, 26, 6, 22, 14, 30])  # fmt: skip
_CCE = 9  # REGs, TS 36.211 6.8.1


def control_symbols(config: LteConfig, number: np.ndarray, rng: torch.Generator) -> np.ndarray:
    """-> OFDM symbols of the control region in each subframe, int64 [subframes]. TS 36.211 table 6.7-1."""
    cfi = np.full(len(number), config.control)
    if config.control_varies:
        cfi = torch.randint(1, config.control + 1, (len(number),), generator=rng).numpy()
    count = cfi + (config.n_rb <= 10)
    mbsfn = np.isin(number, config.mbsfn)
    short = mbsfn | (np.isin(number, (1, 6)) & (config.tdd is not None))
    return np.where(mbsfn & (config.ports == 4), 2, np.where(short, np.minimum(count, 2), count))


@lru_cache(maxsize=64)
def _places(cell_id: int, n_rb: int, ports: int, normal_cp: bool, symbols: int, units: int):
    """-> elements of PCFICH, of each PHICH unit and of each CCE: int64 [16], [units, 12], [CCEs, 36].

    An element counts as symbol x 12 n_rb + subcarrier. units: PHICH mapping units m' of TS 36.211 6.9.3.
    """
    starts, elements, symbol_of = [], [], []
    for symbol in range(symbols):
        # TS 36.211 6.2.4: a REG spans six subcarriers where CRS stand, as if there were at least two ports
        crs = symbol == 0 or (symbol == 1 and ports == 4) or (symbol == 3 and not normal_cp)
        span = np.array([k for k in range(6) if k % 3 != cell_id % 3]) if crs else np.arange(4)
        start = np.arange(0, 12 * n_rb, 6 if crs else 4)
        starts.append(start)
        elements.append(start[:, None] + span + symbol * 12 * n_rb)
        symbol_of.append(np.full(len(start), symbol))
    first, symbol = np.concatenate(starts), np.concatenate(symbol_of)
    order = np.lexsort((symbol, first))  # TS 36.211 6.8.5: time first
    regs, first, symbol = np.concatenate(elements)[order], first[order], symbol[order]
    left = np.ones(len(regs), bool)
    # TS 36.211 6.7.4
    pcfich = np.searchsorted(first, 6 * ((cell_id + np.arange(4) * n_rb // 2) % (2 * n_rb)))
    left[pcfich] = False
    # TS 36.211 6.9.3, normal PHICH duration
    free = np.flatnonzero(left & (symbol == 0))
    units = min(units, len(free) // 3)  # as many as 1.4 MHz has elements for
    phich = free[(cell_id + np.arange(units)[:, None] + np.arange(3) * len(free) // 3) % len(free)]
    left[phich] = False
    regs_left = regs[left]
    pdcch = np.empty_like(regs_left)
    pdcch[np.roll(_interleave(len(pdcch)), -cell_id)] = regs_left  # TS 36.211 6.8.5
    cces = len(pdcch) // _CCE
    return regs[pcfich].reshape(-1), regs[phich].reshape(units, 12), pdcch[: cces * _CCE].reshape(cces, 4 * _CCE)


def _interleave(count: int) -> np.ndarray:
    """Which input a sub-block interleaver puts at each place. TS 36.212 5.1.4.2.1."""
    rows = -(-count // len(_COLUMNS))
    source = np.arange(rows * len(_COLUMNS)) - (rows * len(_COLUMNS) - count)
    mixed = source.reshape(rows, -1)[:, _COLUMNS].T.reshape(-1)
    return mixed[mixed >= 0]


def add_control(config: LteConfig, re: torch.Tensor, number: np.ndarray, symbols: np.ndarray,
                rng: torch.Generator) -> None:
    """Puts PCFICH and what is in use of PHICH and PDCCH into complex64 [subframes, symbols, 12 n_rb], in place.

    symbols: the control region of each subframe; 0 where nothing is sent.
    """
    flat = re.view(len(re), -1)
    groups = math.ceil(config.phich_ng * config.n_rb / 8)
    level = 10 ** (config.control_db / 20)
    factor = np.array([1 if config.tdd is None else int(PHICH_TDD[config.tdd][n]) for n in number])
    for length, m in sorted(set(zip(symbols.tolist(), factor.tolist(), strict=True))):
        if not length:
            continue
        rows = torch.from_numpy(np.flatnonzero((symbols == length) & (factor == m)))
        pcfich, phich, pdcch = map(torch.from_numpy, _places(config.cell_id, config.n_rb, config.ports,
                                                             config.normal_cp, length, groups * m))
        for places, share in ((pcfich[None], 1.0), (phich, config.control_load), (pdcch, config.control_load)):
            used = torch.rand(len(rows), len(places), generator=rng) < share
            row, place = used.nonzero(as_tuple=True)
            sent = places[place]
            flat[rows[row][:, None], sent] = qam(4, sent.numel(), rng).view(sent.shape) * level
