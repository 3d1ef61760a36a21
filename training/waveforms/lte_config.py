# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every choice that makes one LTE carrier; `lte_random.random_lte` draws them, `lte.lte_downlink` sends them."""

from __future__ import annotations

from dataclasses import dataclass

import torch

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
