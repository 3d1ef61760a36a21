# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""LTE carriers by chance: every choice of an `LteConfig`, the extremes (idle, full) often enough to be learnt."""

from __future__ import annotations

import math

import torch

from training.errors import DataError
from training.waveforms.draw import Draw
from training.waveforms.grants import LOADS, SHARED_OUT, TDD_SHARE, UPLINK_DB
from training.waveforms.lte_config import DWPTS, MBSFN_ALLOWED, N_RB, PERIOD, PHICH_NG, RHO_B, TDD_PATTERNS, LteConfig

REFERENCE_SHARE = 0.3  # of full carriers: a generator's reference channel
_CONTROL_LOAD = {"idle": 0.03, "light": 0.1, "bursty": 0.35, "partial": 0.4, "full": 0.6}


def random_lte(rng: torch.Generator, load: str | None = None, duplex: str | None = None, **fixed: object) -> LteConfig:
    """Draws a configuration; `fixed` fields of `LteConfig` are kept. Full and idle cells are frequent, as off the air.

    load: "idle" (system information at most), "light" (short bursts), "bursty" (by subframes and groups of PRBs),
        "partial" (a part of the band, always) or "full"; duplex: "fdd" or "tdd". DataError for a name that is neither.
    """
    d = Draw(rng)
    unknown = set(fixed) - set(LteConfig.__dataclass_fields__)
    if unknown:
        raise DataError(f"random_lte has no parameter {sorted(unknown)[0]!r}")
    duplex = duplex or ("tdd" if d.chance(TDD_SHARE) else "fdd")
    load = load or d.pick(LOADS)
    if load not in LOADS or duplex not in MBSFN_ALLOWED:
        raise DataError(f"no LTE carrier is {load} and {duplex}: choose one of {', '.join(LOADS)}, and fdd or tdd")
    tdd = fixed.get("tdd", d.integer(0, 6) if duplex == "tdd" else None)
    normal = bool(fixed.get("normal_cp", d.chance(0.93)))
    bandwidth = fixed.get("bandwidth") or d.pick((1.4, 3, 5, 5, 10, 10, 10, 15, 15, 20, 20, 20, 20)) * 1e6
    ports = int(fixed.get("ports") or d.pick((1, 2, 2, 2, 4)))
    n_rb = N_RB[bandwidth]
    group = 1 if n_rb <= 10 else 2 if n_rb <= 26 else 3 if n_rb <= 63 else 4  # RBG, TS 36.213 table 7.1.6.1-1
    share = {"idle": 0.0, "light": d.log_uniform(0.01, 0.6), "bursty": d.uniform(0.1, 1), "partial": d.uniform(0.1, 0.9),
             "full": 1.0}  # fmt: skip
    activity = {"light": d.log_uniform(0.01, 0.2), "bursty": d.uniform(0.15, 0.9),
                "full": d.uniform(0.9, 1) if d.chance(0.3) else 1.0}  # fmt: skip
    burst = {"light": d.log_uniform(1, 4), "bursty": d.log_uniform(1, 40), "full": d.log_uniform(5, 100)}
    places = MBSFN_ALLOWED[duplex if tdd is None else "tdd"]
    if tdd is not None:  # the uplink keeps its own
        places = tuple(sf for sf in places if TDD_PATTERNS[tdd][sf] == "D")
    mbsfn = tuple(sf for sf in places if d.chance(0.4)) if d.chance(0.06) else ()
    config = LteConfig(
        cell_id=d.integer(0, 503),
        bandwidth=float(bandwidth),
        normal_cp=normal,
        ports=ports,
        tdd=tdd,
        special=d.integer(0, len(DWPTS[normal]) - 1),
        start=d.uniform(0, PERIOD),
        control=d.integer(1, 3),
        control_varies=d.chance(0.3),
        # one user may fill a band through a single grant
        control_load=d.log_uniform(0.005, 0.15) if d.chance(0.35) else min(1.0, _CONTROL_LOAD[load] * d.uniform(0.3, 1.7)),
        phich_ng=float(d.pick(PHICH_NG)),
        load=share[load],
        activity=activity.get(load, 1.0),
        burst=burst.get(load, 1.0),
        scheduling=str(d.pick(("steady", "held", "subframe"))),
        hold=d.log_uniform(1, 20),
        contiguous=d.chance(0.4),
        shared=load in ("light", "bursty") and d.chance(SHARED_OUT),
        block=int(d.pick((group, group, 2 * group, 4 * group))),
        orders=(4, 16, 64, 256)[: d.integer(1, 4)],
        system_info=min(n_rb, d.integer(3, 12)) if d.chance(0.6) else 0,
        pdsch_db=float(d.pick((0.0, 0.0, -3.0, -3.0, 3.0, d.uniform(-4, 2)))),
        crs_symbol_db=10 * math.log10(float(d.pick((1.0, *RHO_B[min(ports, 2)])))),
        spread_db=5 * d.uniform() ** 2,
        sync_db=d.uniform(-4, 3),
        control_db=d.uniform(-1.5, 1.5),
        mbsfn=mbsfn,
        pmch=bool(fixed.get("mbsfn", mbsfn)) and d.chance(0.5),
        uplink_db=d.uniform(*UPLINK_DB[d.chance(0.2)]) if tdd is not None and d.chance(0.65) else None,
        uplink_load=d.uniform(),
    )
    if load == "full" and d.chance(REFERENCE_SHARE):  # one grant a subframe, none in subframe 5. TS 36.101 A.3.3, A.3.4
        config.control_load, config.unused = d.log_uniform(0.005, 0.05), (5,)
    for name, value in fixed.items():
        setattr(config, name, value)
    return config
