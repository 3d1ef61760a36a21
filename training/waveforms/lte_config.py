# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""LTE carriers by choice and by chance: every field of an `LteConfig`, the extremes often enough to be learnt."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from training.errors import DataError
from training.waveforms.grants import SHARED_OUT

SCS = 15e3
TS = 1 / 30.72e6  # s, TS 36.211 4
N_RB = {1.4e6: 6, 3e6: 15, 5e6: 25, 10e6: 50, 15e6: 75, 20e6: 100}  # TS 36.101 table 5.6-1
NFFT = {6: 128, 15: 256, 25: 512, 50: 1024, 75: 1536, 100: 2048}
# TS 36.211 table 4.2-2
TDD_PATTERNS = ("DSUUUDSUUU", "DSUUDDSUUD", "DSUDDDSUDD", "DSUUUDDDDD", "DSUUDDDDDD", "DSUDDDDDDD", "DSUUUDSUUD")
# Symbols of DwPTS and of UpPTS by special subframe configuration, normal and extended prefix. TS 36.211 table 4.2-1
DWPTS = {True: (3, 9, 10, 11, 12, 3, 9, 10, 11, 6), False: (3, 8, 9, 10, 3, 8, 9, 5)}
UPPTS = {True: (1, 1, 1, 1, 1, 2, 2, 2, 2, 2), False: (1, 1, 1, 1, 2, 2, 2, 2)}
MBSFN_ALLOWED = {"fdd": (1, 2, 3, 6, 7, 8), "tdd": (3, 4, 7, 8, 9)}  # TS 36.331 6.3.7, MBSFN-SubframeConfig
RHO_B = {1: (1, 4 / 5, 3 / 5, 2 / 5), 2: (5 / 4, 1, 3 / 4, 1 / 2)}  # rho_B / rho_A by P_B, TS 36.213 table 5.2-1
PHICH_NG = (1 / 6, 1 / 2, 1, 2)  # TS 36.211 6.9
PERIOD = 0.040  # s, PBCH's


@dataclass
class LteConfig:
    """Every choice that makes one LTE carrier. Powers are re the reference signals'.

    start: s into the 40 ms of a broadcast period at which the stretch begins. tdd: uplink-downlink configuration,
    None for FDD; special: special subframe configuration.
    control: the greatest CFI (a carrier of 10 PRBs or fewer has a symbol more), drawn anew each subframe where
    control_varies; control_load: share of CCEs and PHICH groups in use; phich_ng: N_g.
    load: mean share of PRBs in use while there is data; activity: share of subframes with data, in runs of `burst`
    subframes in the mean; unused: subframes that never have data. scheduling: "steady" keeps one allocation,
    "subframe" draws one each subframe, "held" keeps one for `hold` subframes in the mean; an allocation is contiguous,
    made of groups of `block` PRBs, or `shared` among terminals with a run of PRBs each (`grants.shared_out`).
    orders: constellations of the data. system_info: PRBs of SIB1, 0 for none.
    pdsch_db, crs_symbol_db: data (P_A), and what is added in symbols with CRS (rho_B / rho_A); spread_db: standard
    deviation from user to user, a user being a group of PRBs, a run of them or a contiguous allocation; sync_db,
    control_db: PSS, SSS and PBCH; control region.
    mbsfn: MBSFN subframes, with PMCH (extended prefix) where pmch, else empty after their control region.
    uplink_db: terminals' power; None: silent. uplink_load: share of the uplink they use.
    """

    cell_id: int = 0
    bandwidth: float = 10e6
    normal_cp: bool = True
    ports: int = 1
    tdd: int | None = None
    special: int = 7
    start: float = 0.0
    control: int = 2
    control_varies: bool = False
    control_load: float = 0.4
    phich_ng: float = 1.0
    load: float = 0.5
    activity: float = 1.0
    burst: float = 1.0
    unused: tuple[int, ...] = ()
    scheduling: str = "subframe"
    hold: float = 1.0
    contiguous: bool = False
    shared: bool = False
    block: int = 4
    orders: tuple[int, ...] = (4, 16, 64)
    system_info: int = 0
    pdsch_db: float = 0.0
    crs_symbol_db: float = 0.0
    spread_db: float = 0.0
    sync_db: float = 0.0
    control_db: float = 0.0
    mbsfn: tuple[int, ...] = ()
    pmch: bool = False
    uplink_db: float | None = None
    uplink_load: float = 0.3

    @property
    def n_rb(self) -> int:
        return N_RB[self.bandwidth]

    @property
    def symbols(self) -> int:
        """OFDM symbols of a subframe."""
        return 14 if self.normal_cp else 12


def symbol_times(normal_cp: bool, subframes: int, begin: float) -> tuple[torch.Tensor, torch.Tensor]:
    """-> (start of each cyclic prefix, its length), s, float64 [subframes x symbols]; the first subframe starts at
    `begin`, s. TS 36.211 table 6.12-1."""
    cp = torch.tensor([160, 144, 144, 144, 144, 144, 144] if normal_cp else [512] * 6, dtype=torch.float64) * TS
    lengths = cp + 1 / SCS
    slot = torch.cumsum(lengths, 0) - lengths
    slots = begin + torch.arange(2 * subframes, dtype=torch.float64) * 0.5e-3
    return (slots[:, None] + slot).reshape(-1), cp.repeat(2 * subframes)


LOADS = {"idle": 0.12, "light": 0.22, "bursty": 0.24, "partial": 0.16, "full": 0.26}  # as NR's
TDD_SHARE = 0.4  # the same as NR's, so that duplexing tells nothing
UPLINK_DB = ((-25.0, 10.0), (10.0, 25.0))  # re the downlink; the second one time in five: a terminal is near
REFERENCE_SHARE = 0.3  # of full carriers: a generator's reference channel
_CONTROL_LOAD = {"idle": 0.03, "light": 0.1, "bursty": 0.35, "partial": 0.4, "full": 0.6}


def random_lte(rng: torch.Generator, load: str | None = None, duplex: str | None = None, **fixed: object) -> LteConfig:
    """Draws a configuration; `fixed` fields of `LteConfig` are kept. Full and idle cells are frequent, as off the air.

    load: "idle" (system information at most), "light" (short bursts), "bursty" (by subframes and groups of PRBs),
        "partial" (a part of the band, always) or "full"; duplex: "fdd" or "tdd". DataError for a name that is neither.
    """

    def draw(low: float = 0.0, high: float = 1.0) -> float:
        return low + (high - low) * float(torch.rand(1, generator=rng))

    def log_draw(low: float, high: float) -> float:
        return low * (high / low) ** draw()

    def among(values: tuple) -> object:
        return values[int(draw() * len(values)) % len(values)]

    unknown = set(fixed) - set(LteConfig.__dataclass_fields__)
    if unknown:
        raise DataError(f"random_lte has no parameter {sorted(unknown)[0]!r}")
    duplex = duplex or ("tdd" if draw() < TDD_SHARE else "fdd")
    load = load or list(LOADS)[int(torch.multinomial(torch.tensor(list(LOADS.values())), 1, generator=rng))]
    if load not in LOADS or duplex not in MBSFN_ALLOWED:
        raise DataError(f"no LTE carrier is {load} and {duplex}: choose one of {', '.join(LOADS)}, and fdd or tdd")
    tdd = fixed.get("tdd", int(draw(0, 7)) if duplex == "tdd" else None)
    normal = bool(fixed.get("normal_cp", draw() < 0.93))
    bandwidth = fixed.get("bandwidth") or among((1.4, 3, 5, 5, 10, 10, 10, 15, 15, 20, 20, 20, 20)) * 1e6
    ports = int(fixed.get("ports") or among((1, 2, 2, 2, 4)))
    n_rb = N_RB[bandwidth]
    group = 1 if n_rb <= 10 else 2 if n_rb <= 26 else 3 if n_rb <= 63 else 4  # RBG, TS 36.213 table 7.1.6.1-1
    share = {"idle": 0.0, "light": log_draw(0.01, 0.6), "bursty": draw(0.1, 1), "partial": draw(0.1, 0.9), "full": 1.0}
    activity = {"light": log_draw(0.01, 0.2), "bursty": draw(0.15, 0.9), "full": draw(0.9, 1) if draw() < 0.3 else 1.0}
    burst = {"light": log_draw(1, 4), "bursty": log_draw(1, 40), "full": log_draw(5, 100)}
    places = MBSFN_ALLOWED[duplex if tdd is None else "tdd"]
    if tdd is not None:  # the uplink keeps its own
        places = tuple(sf for sf in places if TDD_PATTERNS[tdd][sf] == "D")
    mbsfn = tuple(sf for sf in places if draw() < 0.4) if draw() < 0.06 else ()
    config = LteConfig(
        cell_id=int(draw(0, 504)) % 504,
        bandwidth=float(bandwidth),
        normal_cp=normal,
        ports=ports,
        tdd=tdd,
        special=int(draw(0, len(DWPTS[normal]))),
        start=draw(0, PERIOD),
        control=1 + int(draw(0, 3)),
        control_varies=draw() < 0.3,
        # one user may fill a band through a single grant
        control_load=log_draw(0.005, 0.15) if draw() < 0.35 else min(1.0, _CONTROL_LOAD[load] * draw(0.3, 1.7)),
        phich_ng=float(among(PHICH_NG)),
        load=share[load],
        activity=activity.get(load, 1.0),
        burst=burst.get(load, 1.0),
        scheduling=str(among(("steady", "held", "subframe"))),
        hold=log_draw(1, 20),
        contiguous=draw() < 0.4,
        shared=load in ("light", "bursty") and draw() < SHARED_OUT,
        block=int(among((group, group, 2 * group, 4 * group))),
        orders=(4, 16, 64, 256)[: 1 + int(draw(0, 4))],
        system_info=min(n_rb, int(draw(3, 13))) if draw() < 0.6 else 0,
        pdsch_db=float(among((0.0, 0.0, -3.0, -3.0, 3.0, draw(-4, 2)))),
        crs_symbol_db=10 * math.log10(float(among((1.0, *RHO_B[min(ports, 2)])))),
        spread_db=5 * draw() ** 2,
        sync_db=draw(-4, 3),
        control_db=draw(-1.5, 1.5),
        mbsfn=mbsfn,
        pmch=bool(fixed.get("mbsfn", mbsfn)) and draw() < 0.5,
        uplink_db=draw(*UPLINK_DB[draw() < 0.2]) if tdd is not None and draw() < 0.65 else None,
        uplink_load=draw(),
    )
    if load == "full" and draw() < REFERENCE_SHARE:  # one grant a subframe, none in subframe 5. TS 36.101 A.3.3, A.3.4
        config.control_load, config.unused = log_draw(0.005, 0.05), (5,)
    for name, value in fixed.items():
        setattr(config, name, value)
    return config
