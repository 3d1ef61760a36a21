# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""NR control regions by chance: CORESET 0 where TS 38.213 has it for the sync block's place, and the users'."""

from __future__ import annotations

import math

from training.waveforms.draw import Draw
from training.waveforms.nr_config import Coreset, NrConfig
from training.waveforms.nr_tables import CORESET_0, CORESET_0_WIDE, SSB_SCS


def random_coreset_0(d: Draw, config: NrConfig, blocks: int, l0: int, widest: int) -> tuple[int, int, int] | None:
    """-> first block, blocks and symbols of a CORESET 0 that TS 38.213 13 has for the sync block's place; None where it
    has none of up to `widest` blocks, and the cell is one that terminals are sent to by another."""
    ssb, scs = config.ssb, config.scs
    if ssb is None:
        return None
    own = SSB_SCS[ssb.case]
    # the block under the sync block's lower edge
    under = math.floor((ssb.first_subcarrier + 6 * blocks * scs - (own - scs) / 2) / (12 * scs) + 1e-9)
    known = CORESET_0.get((own, round(scs)), ())
    if config.bandwidth >= 40e6 and d.chance(0.3):  # as carriers of that width are in bands of either kind
        known = CORESET_0_WIDE.get((own, round(scs)), known)
    fit = {}
    for size, symbols, offsets in known:
        starts = [under - offset for offset in offsets if 0 <= under - offset <= blocks - size]
        if size <= widest and starts:
            fit[size] = (starts, [n for n in symbols if n <= l0])
    if not fit:
        return None
    size = d.pick(list(fit))
    starts, symbols = fit[size]
    return d.pick(starts), size, d.pick(symbols)


def random_coresets(d: Draw, config: NrConfig, blocks: int, load: str, l0: int, quiet: bool) -> list[Coreset]:
    """CORESET 0, or another where the cell has none, and, often, one for the users; of a quiet carrier the first alone,
    and narrow. Three symbols only where the DM-RS of PDSCH begin on the fourth (TS 38.211 7.3.2.2)."""
    scs = config.scs
    zero = random_coreset_0(d, config, blocks, l0, 48 if quiet else 96)
    if zero is None:
        size = d.pick([n for n in ((24, 48) if quiet else (24, 48, 96)) if n <= blocks] or [blocks // 6 * 6])
        start, symbols = d.integer(0, blocks - size), d.integer(1, l0)
    else:
        start, size, symbols = zero
    period = round(d.pick((0.005, 0.010, 0.020, 0.020, 0.040)) * scs / 15)
    control = [
        Coreset(start, size, symbols, 0, period, d.integer(0, period - 1), 1.0, (4, 8, 16), zero=zero is not None),
    ]
    if quiet or (load == "idle" and d.chance(0.6)):
        return control
    wide = blocks // 6 * 6
    prbs = wide if d.chance(0.6) else 6 * d.integer(1, wide // 6)
    mean = {"idle": 0.05, "light": 0.4, "bursty": 1.0, "partial": 1.5, "full": 3.0}[load] * d.uniform(0.3, 1.7)
    symbols = d.integer(1, l0)
    bundle = d.pick((0, 6, 3 if symbols == 3 else 2))
    levels = d.pick(((1, 2, 4), (2, 4, 8), (4,), (2, 4, 8, 16)))
    start = d.integer(0, blocks - prbs)
    power = 0.0 if d.chance(0.6) else d.uniform(-4, 8)
    control.append(
        Coreset(start, prbs, symbols, 0, d.pick((1, 1, 1, 2, 4)), 0, mean, levels, bundle, d.chance(0.2), power)
    )
    return control
