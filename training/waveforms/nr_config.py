# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every choice that makes one NR carrier; `nr_random.random_nr` draws them, `nr.nr_downlink` sends them."""

from __future__ import annotations

from dataclasses import dataclass

from training.waveforms.lte import LteConfig


@dataclass
class Ssb:
    """A burst set of sync blocks. TS 38.213 4.1.

    case: "A" (15 kHz), "B" or "C" (30 kHz). bitmap: which of the L_max (4 or 8) positions are sent.
    first_subcarrier: frequency of the block's subcarrier 0 relative to the carrier's centre, Hz; a multiple of
        15 kHz away from the carrier's lowest subcarrier (k_SSB), whatever the carrier's own spacing.
    period, offset: s, the half frame that holds the burst begins at offset + n * period. power_db: re PDSCH.
    """

    case: str
    bitmap: tuple[bool, ...]
    first_subcarrier: float
    period: float = 0.020
    offset: float = 0.0
    power_db: float = 0.0


@dataclass
class Coreset:
    """A control resource set and the PDCCH in it. TS 38.211 7.3.2.

    prb_start, prbs: its resource blocks (prbs a multiple of 6). period: slots between monitoring occasions.
    load: mean number of DCIs in an occasion; levels: the aggregation levels they use. bundle: REGs in a bundle
    when interleaved (0: not interleaved). wideband: DM-RS over the whole set wherever it is used at all.
    zero: it is CORESET 0, which the PBCH configures.
    """

    prb_start: int
    prbs: int
    symbols: int = 2
    first_symbol: int = 0
    period: int = 1
    offset: int = 0
    load: float = 1.0
    levels: tuple[int, ...] = (2, 4, 8)
    bundle: int = 6
    wideband: bool = False
    power_db: float = 0.0
    zero: bool = False


@dataclass
class Pdsch:
    """One user's (or SIB's) shared channel. TS 38.211 7.3.1, 7.4.1.1.

    prbs: the runs (first, count) of resource blocks it may use. allocation: "fixed" fills them; "contiguous",
    "rbg" (groups of `rbg` blocks) and "shared" (runs of any length, each another terminal's, `grants.shared_out`) draw the
    share `fill` of them anew for every burst and, within one, every `hold` slots on average.
    power_db: its mean level; spread_db: standard deviation of a grant's level around it, which a slot of a burst starts anew
    every `hold` slots on average (each terminal has its own beam).
    activity: share of slots it is on; burst: mean slots of a burst; period: when set, on for `burst` slots in
    every `period` slots, from `offset`. start, symbols: the symbols it takes in a full downlink slot.
    order: 4, 16, 64 or 256. dmrs_*: mapping A or B, type 1 or 2, additional positions 0-3, l0 (2 or 3), l1 (11; 12
    beside LTE), one or two symbols, origin: the block they count from (SIB1's: CORESET 0's first); cdm_groups: groups
    without data, cdm_used: those that carry DM-RS.
    ptrs: (every K blocks, every L symbols) or None.
    """

    prbs: tuple[tuple[int, int], ...]
    activity: float = 1.0
    burst: float = 4.0
    period: int = 0
    offset: int = 0
    allocation: str = "fixed"
    fill: float = 1.0
    rbg: int = 4
    hold: float = 1.0
    start: int = 2
    symbols: int = 12
    order: int = 4
    mapping: str = "A"
    dmrs_type: int = 1
    dmrs_additional: int = 1
    dmrs_l0: int = 2
    dmrs_l1: int = 11
    dmrs_double: bool = False
    dmrs_origin: int = 0
    cdm_groups: int = 1
    cdm_used: int = 1
    ptrs: tuple[int, int] | None = None
    power_db: float = 0.0
    spread_db: float = 0.0


@dataclass
class CsiRs:
    """NZP CSI-RS: rows 1 (the TRS), 2, 3, 4 and 5 of TS 38.211 table 7.4.1.5.3-1.

    period, offset: slots. symbol: first symbol; row 1 also stands 4 symbols later and again in the next slot.
    subcarrier: k0. density: 3 (row 1), 1 or 0.5.
    """

    row: int
    prb_start: int
    prbs: int
    period: int = 20
    offset: int = 0
    symbol: int = 4
    subcarrier: int = 0
    density: float = 1.0
    power_db: float = 0.0


@dataclass
class Tdd:
    """Slots of a TDD carrier: `pattern` of D, S, U; an S slot has `downlink` symbols first and `uplink` last.

    Without `uplink_db` (power re PDSCH) nothing is received from the terminals. uplink_load: share of the uplink
    blocks in use.
    """

    pattern: str
    downlink: int = 10
    uplink: int = 2
    uplink_db: float | None = None
    uplink_load: float = 0.5


@dataclass
class NrConfig:
    """One NR FR1 carrier. bandwidth, scs: Hz. start: s, where in the 160 ms timeline the stretch begins.

    lte: the LTE carrier that shares the spectrum (DSS); its `start` follows this one.
    """

    bandwidth: float
    scs: float
    pci: int
    start: float = 0.0
    ssb: Ssb | None = None
    tdd: Tdd | None = None
    coresets: tuple[Coreset, ...] = ()
    pdsch: tuple[Pdsch, ...] = ()
    csi_rs: tuple[CsiRs, ...] = ()
    lte: LteConfig | None = None
