# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""NR's numbers: carrier widths, symbol times, places of sync blocks and DM-RS (TS 38.104, 38.211, 38.213)."""

from __future__ import annotations

import numpy as np
import torch

from training.errors import DataError

# Transmission bandwidth N_RB by subcarrier spacing (Hz) and channel bandwidth (MHz): TS 38.104 table 5.3.2-1.
N_RB: dict[int, dict[int, int]] = {
    15000: {5: 25, 10: 52, 15: 79, 20: 106, 25: 133, 30: 160, 35: 188, 40: 216, 45: 242, 50: 270},
    30000: {5: 11, 10: 24, 15: 38, 20: 51, 25: 65, 30: 78, 35: 92, 40: 106, 45: 119, 50: 133,
            60: 162, 70: 189, 80: 217, 90: 245, 100: 273},
    60000: {10: 11, 15: 18, 20: 24, 25: 31, 30: 38, 35: 44, 40: 51, 45: 58, 50: 65,
            60: 79, 70: 93, 80: 107, 90: 121, 100: 135},
}  # fmt: skip

SYMBOLS = 14  # OFDM symbols in a slot, normal cyclic prefix
TS = 1 / 30.72e6  # s; T_s of TS 38.211 4.1 (64 T_c), in which every FR1 length below is a whole number

# First symbols of the sync blocks in a half frame, in symbols of the block's own spacing, by case and L_max:
# TS 38.213 4.1. Case A is 15 kHz, B and C are 30 kHz; L_max is 4 up to 3 GHz (C unpaired: 1.88 GHz), then 8.
SSB_SYMBOLS: dict[str, dict[int, tuple[int, ...]]] = {
    "A": {l_max: tuple(s + 14 * n for n in range(l_max // 2) for s in (2, 8)) for l_max in (4, 8)},
    "B": {l_max: tuple(s + 28 * n for n in range(l_max // 4) for s in (4, 8, 16, 20)) for l_max in (4, 8)},
    "C": {l_max: tuple(s + 14 * n for n in range(l_max // 2) for s in (2, 8)) for l_max in (4, 8)},
}
SSB_SCS = {"A": 15000, "B": 30000, "C": 30000}
SSB_PERIODS = (0.005, 0.010, 0.020, 0.040, 0.080, 0.160)  # s; TS 38.331 ssb-periodicityServingCell

# CORESET 0: blocks, symbols it may take, and the blocks from its first to the one under the sync block's first, by the
# spacings of sync block and carrier; TS 38.213 tables 13-1 to 13-4, and, of bands whose carriers are 40 MHz or wider,
# 13-5 and 13-6.
CORESET_0: dict[tuple[int, int], tuple[tuple[int, tuple[int, ...], tuple[int, ...]], ...]] = {
    (15000, 15000): ((24, (2, 3), (0, 2, 4)), (48, (1, 2, 3), (12, 16)), (96, (1, 2, 3), (38,))),
    (15000, 30000): ((24, (2, 3), (5, 6, 7, 8)), (48, (1, 2, 3), (18, 20))),
    (30000, 15000): ((48, (1, 2, 3), (2, 6)), (96, (1, 2, 3), (28,))),
    (30000, 30000): ((24, (2, 3), (0, 1, 2, 3, 4)), (48, (1, 2), (12, 14, 16))),
}
CORESET_0_WIDE: dict[tuple[int, int], tuple[tuple[int, tuple[int, ...], tuple[int, ...]], ...]] = {
    (30000, 15000): ((48, (1, 2, 3), (4,)), (96, (1, 2, 3), (0, 56))),
    (30000, 30000): ((24, (2, 3), (0, 4)), (48, (1, 2, 3), (0, 28))),
}


def n_rb(bandwidth: float, scs: float) -> int:
    """Resource blocks of a channel `bandwidth` Hz wide at spacing `scs` Hz; DataError where there is none."""
    try:
        return N_RB[round(scs)][round(bandwidth / 1e6)]
    except KeyError:
        raise DataError(f"TS 38.104 has no NR carrier of {bandwidth / 1e6:g} MHz at {scs / 1e3:g} kHz") from None


def slot_length(scs: float) -> float:
    """Length of a slot, s."""
    return 15 / scs


def symbol_times(scs: float, first_slot: int, slots: int, start: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Start and cyclic prefix of each symbol: (float64 [slots * 14], s after `start`; float64 [slots * 14], s).

    `first_slot` counts from the timeline's zero, which is a frame boundary. The first prefix of every half
    millisecond is 16 T_s longer than the others (TS 38.211 5.3.1).
    """
    per_ms = round(scs / 15000)
    l = np.arange(SYMBOLS * per_ms)  # noqa: E741 - TS 38.211's name for the symbol in the subframe
    cp = np.full(l.shape, 144 // per_ms)
    cp[l % (7 * per_ms) == 0] += 16
    length = cp + 2048 // per_ms
    begin = np.cumsum(length) - length
    subframe, within = np.divmod(np.arange(SYMBOLS * slots) + SYMBOLS * first_slot, len(l))
    ts = subframe * 30720 + begin[within]
    return torch.from_numpy(ts * TS - start), torch.from_numpy(cp[within] * TS)


# Additional DM-RS symbols after l0, by the duration l_d, for positions pos0..pos3: TS 38.211 table 7.4.1.1.2-3.
_SINGLE_A = (
    (8, ((), (), (), ())), (10, ((), (7,), (7,), (7,))), (12, ((), (9,), (6, 9), (6, 9))),
    (13, ((), (9,), (6, 9), (5, 8, 11))), (15, ((), (11,), (7, 11), (5, 8, 11))),
)  # fmt: skip
_SINGLE_B = (
    (5, ((), (), (), ())), (8, ((), (4,), (4,), (4,))), (9, ((), (6,), (3, 6), (3, 6))),
    (11, ((), (7,), (4, 7), (4, 7))), (12, ((), (8,), (4, 8), (3, 6, 9))), (14, ((), (9,), (5, 9), (3, 6, 9))),
)  # fmt: skip
# Two-symbol DM-RS: table 7.4.1.1.2-4 (pos0, pos1).
_DOUBLE_A = ((10, ((), ())), (13, ((), (8,))), (15, ((), (10,))))
_DOUBLE_B = ((8, ((), ())), (10, ((), (5,))), (12, ((), (7,))), (14, ((), (8,))))


def dmrs_symbols(
    mapping: str, start: int, length: int, additional: int = 0, l0: int = 2, double: bool = False, l1: int = 11
) -> tuple[int, ...]:
    """Symbols of the slot that carry PDSCH DM-RS (TS 38.211 7.4.1.1.2).

    mapping: "A" (l0 = 2 or 3 from the slot's start) or "B" (from the PDSCH's own first symbol). l1: 12 where LTE's
    CRS are matched around.
    """
    table = {("A", False): _SINGLE_A, ("B", False): _SINGLE_B, ("A", True): _DOUBLE_A, ("B", True): _DOUBLE_B}
    duration = start + length if mapping == "A" else length
    rows = next(extra for below, extra in table[mapping, double] if duration < below)
    more = rows[min(additional, len(rows) - 1)]
    if more == (11,):  # l_1, of 13 and of 14 symbols
        more = (l1,)
    base = 0 if mapping == "A" else start
    first = [l0 if mapping == "A" else start, *(base + m for m in more)]
    return tuple(s + d for s in first for d in range(2 if double else 1))
