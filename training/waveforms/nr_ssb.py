# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""NR's sync block: PSS, SSS, PBCH and its DM-RS (TS 38.211 7.4.2, 7.4.3), and when it is sent (TS 38.213 4.1)."""

from __future__ import annotations

import math
from functools import lru_cache

import torch

from training.waveforms.nr_config import Ssb
from training.waveforms.nr_tables import SSB_SCS, SSB_SYMBOLS, SYMBOLS, slot_length
from training.waveforms.sequences import gold, m_sequence, qam, qpsk

WIDTH = 240  # subcarriers of a block
HALF_FRAME = 0.005  # s


@lru_cache(maxsize=3)
def pss(n_id_2: int) -> torch.Tensor:
    """float32 [127] of +-1: TS 38.211 7.4.2.2.1."""
    x = m_sequence((4, 0), (0, 1, 1, 0, 1, 1, 1), 127)
    return 1.0 - 2.0 * x.roll(-43 * n_id_2).float()


@lru_cache(maxsize=1008)
def sss(pci: int) -> torch.Tensor:
    """float32 [127] of +-1: TS 38.211 7.4.2.3.1."""
    n_id_1, n_id_2 = divmod(pci, 3)
    one = (1, 0, 0, 0, 0, 0, 0)
    m0, m1 = 15 * (n_id_1 // 112) + 5 * n_id_2, n_id_1 % 112
    x0, x1 = m_sequence((4, 0), one, 127).roll(-m0).float(), m_sequence((1, 0), one, 127).roll(-m1).float()
    return (1 - 2 * x0) * (1 - 2 * x1)


def pbch_dmrs(pci: int, index: int, l_max: int, second_half: bool) -> torch.Tensor:
    """complex64 [144], in the order of its resource elements: TS 38.211 7.4.1.4.1."""
    i = index + 4 * second_half if l_max == 4 else index
    c_init = (1 << 11) * (i + 1) * (pci // 4 + 1) + (1 << 6) * (i + 1) + pci % 4
    return qpsk(gold(c_init, 288))


@lru_cache(maxsize=4)
def dmrs_mask(v: int) -> torch.Tensor:
    """bool [4, 240]: the PBCH DM-RS of a cell with pci % 4 == v (TS 38.211 table 7.4.3.1-1)."""
    mask = torch.zeros(4, WIDTH, dtype=torch.bool)
    mask[1::2, v::4] = True
    mask[2, v:48:4] = True
    mask[2, 192 + v :: 4] = True
    return mask


@lru_cache(maxsize=1)
def pbch_mask() -> torch.Tensor:
    """bool [4, 240]: PBCH with its DM-RS."""
    mask = torch.zeros(4, WIDTH, dtype=torch.bool)
    mask[1::2] = True
    mask[2, :48] = True
    mask[2, 192:] = True
    return mask


@lru_cache(maxsize=64)
def _known(pci: int, index: int, l_max: int, second_half: bool) -> torch.Tensor:
    """complex64 [4, 240]: what of a block is not payload."""
    re = torch.zeros(4, WIDTH, dtype=torch.complex64)
    re[0, 56:183] = pss(pci % 3).to(re)
    re[2, 56:183] = sss(pci).to(re)
    re[dmrs_mask(pci % 4)] = pbch_dmrs(pci, index, l_max, second_half)
    return re


@lru_cache(maxsize=4)
def _payload_places(v: int) -> torch.Tensor:
    """int64 [432]: PBCH without its DM-RS, in a block laid out flat."""
    return (pbch_mask() & ~dmrs_mask(v)).view(-1).nonzero()[:, 0]


def block(pci: int, index: int, l_max: int, second_half: bool, rng: torch.Generator) -> torch.Tensor:
    """One sync block, complex64 [4, 240] of unit-power elements; the PBCH payload is random."""
    re = _known(pci, index, l_max, second_half).to(rng.device, copy=True)
    re.view(-1)[_payload_places(pci % 4).to(rng.device)] = qam(4, 432, rng)
    return re


def occasions(ssb: Ssb, start: float, duration: float) -> list[tuple[int, int, bool]]:
    """Blocks that touch [start, start + duration): (index, first symbol counted from the timeline's zero at the
    block's spacing, whether in a frame's second half)."""
    per_half = round(HALF_FRAME / slot_length(SSB_SCS[ssb.case])) * SYMBOLS
    step = round(ssb.period / HALF_FRAME)
    offset = round(ssb.offset / HALF_FRAME)
    first = math.floor(start / HALF_FRAME)
    last = math.floor((start + duration) / HALF_FRAME)
    found = []
    for half in range(first, last + 1):
        if (half - offset) % step == 0:
            for index, symbol in enumerate(SSB_SYMBOLS[ssb.case][len(ssb.bitmap)]):
                if ssb.bitmap[index]:
                    found.append((index, half * per_half + symbol, half % 2 == 1))
    return found
