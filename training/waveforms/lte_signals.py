# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""LTE's synchronisation, cell-specific and MBSFN reference signals, and where they stand in a subframe."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch

from training.waveforms.sequences import gold_qpsk, m_sequence

MAX_PRB = 110  # N_RB^max,DL, TS 36.211 6.2.1
PSS_ROOTS = (25, 29, 34)  # by N_ID^(2), TS 36.211 table 6.11.1.1-1
SYNC = 62  # subcarriers of PSS and SSS


@lru_cache(maxsize=3)
def pss(n_id_2: int) -> torch.Tensor:
    """-> complex64 [62], lowest subcarrier first. TS 36.211 6.11.1.1."""
    n = torch.arange(SYNC, dtype=torch.float64)
    upper = (n > 30).double()
    phase = -math.pi * PSS_ROOTS[n_id_2] * (n + upper) * (n + upper + 1) / 63
    return torch.polar(torch.ones_like(phase), phase).to(torch.complex64)


@lru_cache(maxsize=1)
def _sss_parts() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The m-sequences s, c and z, +-1. TS 36.211 6.11.2.1."""
    start = (0, 0, 0, 0, 1)
    s, c, z = (1 - 2 * m_sequence(taps, start, 31) for taps in ((2, 0), (3, 0), (4, 2, 1, 0)))
    return s, c, z


@lru_cache(maxsize=1008)
def sss(cell_id: int, second: bool) -> torch.Tensor:
    """-> float32 [62] of subframe 0, or of subframe 5 (`second`). TS 36.211 6.11.2.1."""
    n_id_1, n_id_2 = divmod(cell_id, 3)
    q = n_id_1 // 30
    q = (n_id_1 + q * (q + 1) // 2) // 30
    m = n_id_1 + q * (q + 1) // 2
    m0 = m % 31
    m1 = (m0 + m // 31 + 1) % 31
    s, c, z = _sss_parts()
    if second:
        m0, m1 = m1, m0
    out = torch.empty(SYNC)
    out[0::2] = s.roll(-m0) * c.roll(-n_id_2)
    out[1::2] = s.roll(-m1) * c.roll(-n_id_2 - 3) * z.roll(-(m0 % 8))
    return out


def crs_places(port: int, slot: int, slot_symbols: int) -> list[tuple[int, int]]:
    """-> (symbol in the slot, v) wherever the port has reference symbols. TS 36.211 6.10.1.2."""
    if port < 2:
        late = slot_symbols - 3
        return [(0, 3 * port), (late, 3 - 3 * port)]
    return [(1, 3 * (slot % 2) if port == 2 else 3 + 3 * (slot % 2))]


@lru_cache(maxsize=128)
def crs_sequences(cell_id: int, n_rb: int, normal_cp: bool) -> torch.Tensor:
    """Reference symbols of a radio frame, the same for every port -> complex64 [20 slots, 3, 2 n_rb].

    The three are a slot's symbols 0, 1 and that of its second half. TS 36.211 6.10.1.1.
    """
    slot = np.arange(20)[:, None]
    symbol = np.array([0, 1, 4 if normal_cp else 3])
    c_init = (1 << 10) * (7 * (slot + 1) + symbol + 1) * (2 * cell_id + 1) + 2 * cell_id + int(normal_cp)
    first = MAX_PRB - n_rb
    return gold_qpsk(c_init.reshape(-1), first + 2 * n_rb)[:, first:].view(20, 3, 2 * n_rb)


def crs_frame(cell_id: int, ports: int, n_rb: int, normal_cp: bool) -> torch.Tensor:
    """Reference symbols of a whole radio frame, complex64 [ports, 10, symbols, 12 n_rb], zero elsewhere."""
    slot_symbols = 7 if normal_cp else 6
    sequences = crs_sequences(cell_id, n_rb, normal_cp)
    out = torch.zeros(ports, 20, slot_symbols, 12 * n_rb, dtype=torch.complex64)
    for port in range(ports):
        for parity in (0, 1):
            for symbol, v in crs_places(port, parity, slot_symbols):
                first = (v + cell_id) % 6
                out[port, parity::2, symbol, first::6] = sequences[parity::2, min(symbol, 2)]
    return out.view(ports, 10, 2 * slot_symbols, 12 * n_rb)


@lru_cache(maxsize=64)
def pbch_reserved(shift: int, ports: int, normal_cp: bool) -> torch.Tensor:
    """Where CRS stand in the broadcast channel's symbols and subcarriers, bool [4, 72]; shift: cell identity mod 6."""
    slot = 7 if normal_cp else 6
    return (crs_frame(shift, ports, 6, normal_cp)[:, 0, slot : slot + 4] != 0).any(0)


def mbsfn_rs(area_id: int, subframe: int, n_rb: int) -> list[tuple[int, int, torch.Tensor]]:
    """Reference signals of an MBSFN subframe -> (symbol of its twelve, first subcarrier, complex64 [6 n_rb]), on every
    second subcarrier. TS 36.211 6.10.2."""
    slot = 2 * subframe + np.array([0, 1, 1])
    symbol = np.array([2, 0, 4])
    c_init = (1 << 9) * (7 * (slot + 1) + symbol + 1) * (2 * area_id + 1) + area_id
    first = 3 * (MAX_PRB - n_rb)
    values = gold_qpsk(c_init, first + 6 * n_rb)[:, first:]
    return [(2, 0, values[0]), (6, 1, values[1]), (10, 0, values[2])]
