# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""LTE's synchronisation and cell-specific reference signals, and where they stand in a subframe."""

from __future__ import annotations

import math
from functools import lru_cache

import torch

from training.waveforms.sequences import gold, m_sequence, qpsk

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


@lru_cache(maxsize=1008)
def sss(cell_id: int, second: bool) -> torch.Tensor:
    """-> float32 [62] of subframe 0, or of subframe 5 (`second`). TS 36.211 6.11.2.1."""
    n_id_1, n_id_2 = divmod(cell_id, 3)
    q = n_id_1 // 30
    q = (n_id_1 + q * (q + 1) // 2) // 30
    m = n_id_1 + q * (q + 1) // 2
    m0 = m % 31
    m1 = (m0 + m // 31 + 1) % 31
    start = (0, 0, 0, 0, 1)
    s = 1 - 2 * m_sequence((2, 0), start, 31)
    c = 1 - 2 * m_sequence((3, 0), start, 31)
    z = 1 - 2 * m_sequence((4, 2, 1, 0), start, 31)
    if second:
        m0, m1 = m1, m0
    out = torch.empty(SYNC)
    out[0::2] = s.roll(-m0) * c.roll(-n_id_2)
    out[1::2] = s.roll(-m1) * c.roll(-n_id_2 - 3) * z.roll(-(m0 % 8))
    return out


@lru_cache(maxsize=4096)
def crs_sequence(cell_id: int, slot: int, symbol: int, n_rb: int, normal_cp: bool) -> torch.Tensor:
    """Reference symbols of one port in one OFDM symbol -> complex64 [2 n_rb]. TS 36.211 6.10.1.1."""
    c_init = (1 << 10) * (7 * (slot + 1) + symbol + 1) * (2 * cell_id + 1) + 2 * cell_id + int(normal_cp)
    first = MAX_PRB - n_rb
    return qpsk(gold(c_init % (1 << 31), 4 * MAX_PRB))[first : first + 2 * n_rb]


def crs_places(port: int, slot: int, slot_symbols: int) -> list[tuple[int, int]]:
    """-> (symbol in the slot, v) wherever the port has reference symbols. TS 36.211 6.10.1.2."""
    if port < 2:
        late = slot_symbols - 3
        return [(0, 3 * port), (late, 3 - 3 * port)]
    return [(1, 3 * (slot % 2) if port == 2 else 3 + 3 * (slot % 2))]


@lru_cache(maxsize=64)
def crs_frame(cell_id: int, ports: int, n_rb: int, normal_cp: bool) -> torch.Tensor:
    """Reference symbols of a whole radio frame, complex64 [ports, 10, symbols, 12 n_rb], zero elsewhere."""
    slot_symbols = 7 if normal_cp else 6
    out = torch.zeros(ports, 20, slot_symbols, 12 * n_rb, dtype=torch.complex64)
    for port in range(ports):
        for slot in range(20):
            for symbol, v in crs_places(port, slot, slot_symbols):
                first = (v + cell_id % 6) % 6
                out[port, slot, symbol, first::6] = crs_sequence(cell_id, slot, symbol, n_rb, normal_cp)
    return out.view(ports, 10, 2 * slot_symbols, 12 * n_rb)
