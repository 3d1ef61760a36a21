# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""NR carriers by chance: every choice of an `NrConfig`, the extremes (idle, full) often enough to be learnt."""

from __future__ import annotations

import math
from itertools import pairwise

import torch

from training.errors import DataError
from training.waveforms.draw import Draw
from training.waveforms.grants import LOADS, SHARED_OUT, TDD_SHARE, UPLINK_DB
from training.waveforms.nr_config import Coreset, CsiRs, NrConfig, Pdsch, Ssb, Tdd
from training.waveforms.nr_coresets import random_coresets
from training.waveforms.nr_tables import N_RB, SSB_PERIODS, SSB_SCS, n_rb

# MHz: as often where LTE lives as where only NR does.
_BANDWIDTHS = {5: 2, 10: 4, 15: 3, 20: 5, 25: 1, 30: 1.5, 35: 0.5, 40: 2, 45: 0.5, 50: 1.5,
               60: 1, 70: 0.5, 80: 1, 90: 0.5, 100: 2}  # fmt: skip
_SCS = {15000: 1.0, 30000: 1.2, 60000: 0.25}
# Of idle and lightly loaded carriers: terminals that connect are in the initial bandwidth part, which CORESET 0 spans
# (TS 38.213 12), and need neither TRS nor CSI-RS.
QUIET_SHARE = 0.5
_PATTERNS = ("DDDSU", "DDDDDDDSUU", "DDSU", "DDDSUUDDDD", "DSUUU", "DDDDDDDDSU", "DSUU", "DDDSUDDSUU")


def random_nr(rng: torch.Generator, **fixed) -> NrConfig:
    """A random FR1 carrier. `fixed` sets fields of `NrConfig` outright, or narrows what is drawn:

    load: "idle" (sync blocks, now and then system information), "light" (short bursts), "bursty" (by slots and
        groups of blocks), "partial" (a part of the band, always) or "full"; duplex: "fdd" or "tdd".
    DataError for a name that is neither.
    """
    d = Draw(rng)
    load = fixed.pop("load", None) or d.pick(LOADS)
    duplex = fixed.pop("duplex", None) or ("tdd" if d.chance(TDD_SHARE) else "fdd")
    unknown = set(fixed) - set(NrConfig.__dataclass_fields__)
    if unknown:
        raise DataError(f"random_nr has no parameter {sorted(unknown)[0]!r}")
    if load not in LOADS or duplex not in ("fdd", "tdd"):
        raise DataError(f"no NR carrier is {load} and {duplex}: choose one of {', '.join(LOADS)}, and fdd or tdd")
    if "bandwidth" in fixed:
        bandwidth = fixed["bandwidth"]
    else:
        known = N_RB[round(fixed["scs"])] if "scs" in fixed else _BANDWIDTHS
        bandwidth = 1e6 * d.pick({mhz: w for mhz, w in _BANDWIDTHS.items() if mhz in known})
    spacings = {s: w for s, w in _SCS.items() if round(bandwidth / 1e6) in N_RB[s]}
    scs = fixed.get("scs") or (d.pick(spacings) if spacings else 15000)
    blocks = n_rb(bandwidth, scs)
    config = NrConfig(bandwidth, scs, pci=d.integer(0, 1007), start=d.uniform(0, 0.16))
    config.tdd = random_tdd(d, scs) if duplex == "tdd" else None
    config.ssb = random_ssb(d, scs, blocks) if not d.chance(0.04) else None
    l0 = d.pick((2, 3))
    quiet = load in ("idle", "light") and d.chance(QUIET_SHARE)
    control = random_coresets(d, config, blocks, load, l0, quiet)
    region = (control[0].prb_start, control[0].prbs) if quiet else (0, blocks)
    users = random_users(d, region, load, l0, control[-1].symbols if d.chance(0.8) else d.integer(0, 3))
    if quiet and d.chance(0.5):  # while a terminal connects, slot after slot
        for user in users:
            user.activity, user.burst, user.fill = d.log_uniform(0.2, 1.0), d.log_uniform(2, 20), d.uniform(0.1, 1.0)
    if control[0].zero and d.chance(0.6):
        users.insert(0, _system_information(d, control[0], scs, l0))
    config.coresets, config.pdsch = tuple(control), tuple(users)
    config.csi_rs = () if quiet else random_csi_rs(d, blocks, scs)
    for name, value in fixed.items():
        setattr(config, name, value)
    return config


def random_tdd(d: Draw, scs: float) -> Tdd:
    """A TDD pattern of up to 10 ms whose period divides 20 ms (TS 38.213 11.1; TS 38.331 dl-UL-TransmissionPeriodicity):
    a usual one, or one made up."""
    slots = round(0.020 * scs / 15)
    usual = [p for p in _PATTERNS if slots % len(p) == 0]
    if d.chance(0.7):
        pattern = d.pick(usual)
    else:
        length = d.pick([n for n in (2, 4, 5, 8, 10, 16, 20) if slots % n == 0 and 2 * n <= slots])
        up = d.integer(0, max(0, length - 2))
        pattern = "D" * (length - 1 - up) + "S" + "U" * up
    downlink, uplink = d.pick(((10, 2), (6, 4), (12, 1), (11, 1), (4, 4), (9, 2), (0, 0)))
    if (downlink, uplink) == (0, 0):
        downlink = d.integer(1, 12)
        uplink = d.integer(0, 13 - downlink)
    uplink_db = None if d.chance(0.35) else d.uniform(*UPLINK_DB[d.chance(0.2)])
    return Tdd(pattern, downlink, uplink, uplink_db, d.uniform(0, 1))


def random_ssb(d: Draw, scs: float, blocks: int) -> Ssb | None:
    """Sync blocks somewhere in the carrier, mostly at its own spacing; None where none fits."""
    cases = {"A": 0.85, "B": 0.1, "C": 0.05} if scs == 15000 else {"A": 0.1, "B": 0.4, "C": 0.5}
    carrier = blocks * 12 * scs
    cases = {c: w for c, w in cases.items() if 240 * SSB_SCS[c] <= carrier}
    if not cases:
        return None
    case = d.pick(cases)
    count = d.pick((4, 8))
    kind = d.uniform()
    if kind < 0.45:
        sent = {d.integer(0, count - 1) if d.chance(0.4) else 0}
    elif kind < 0.65:
        sent = set(range(count))
    else:
        sent = {i for i in range(count) if d.chance(0.5)} or {0}
    # k_SSB counts 15 kHz from subcarrier to subcarrier (TS 38.211 7.4.3.1); edges lie half a spacing below those
    lift = (SSB_SCS[case] - scs) / 2 / 15000
    least, most = math.ceil(lift), math.floor(lift + (carrier - 240 * SSB_SCS[case]) / 15000)
    place = d.pick({"any": 0.5, "middle": 0.2, "low": 0.15, "high": 0.15})
    step = {"any": d.integer(least, most), "middle": (least + most) // 2, "low": least, "high": most}[place]
    grid = round(scs / 15000)
    if d.chance(0.7) and step - step % grid >= least:  # on the carrier's own subcarriers
        step -= step % grid
    first = -6.0 * blocks * scs + 15000 * step
    period = d.pick(SSB_PERIODS, (0.12, 0.15, 0.55, 0.08, 0.05, 0.05))
    offset = 0.005 * d.integer(0, round(period / 0.005) - 1)
    power = 0.0 if d.chance(0.5) else d.uniform(-6, 10)
    return Ssb(case, tuple(i in sent for i in range(count)), first, period, offset, power)


def random_users(d: Draw, region: tuple[int, int], load: str, l0: int, first_symbol: int) -> list[Pdsch]:
    """One to three users who share the blocks `region` (first, how many), together making `load`."""
    if load == "idle":
        return []
    shared = load in ("light", "bursty") and d.chance(SHARED_OUT)
    count = 1 if shared else d.pick((1, 2, 3), (0.5, 0.3, 0.2))
    first, blocks = region
    cuts = sorted({first, first + blocks, *(first + d.integer(1, blocks - 1) for _ in range(count - 1))})
    users = []
    for low, high in pairwise(cuts):
        user = random_pdsch(d, ((low, high - low),), l0, first_symbol)
        width = high - low
        if load == "full":
            if d.chance(0.3):
                user.activity, user.burst = d.uniform(0.9, 1.0), d.log_uniform(5, 100)
        elif load == "partial":
            part = max(1, round(width * d.uniform(0.1, 0.9)))
            user.prbs = ((low + d.integer(0, width - part), part),)
        else:
            light = load == "light"
            user.activity = d.log_uniform(0.01, 0.2) if light else d.uniform(0.15, 0.9)
            user.burst = d.log_uniform(1, 4) if light else d.log_uniform(1, 40)
            user.allocation = "shared" if shared else d.pick(("contiguous", "rbg", "fixed"))
            user.fill = d.log_uniform(0.01, 0.6) if light else d.uniform(0.1, 1.0)
            user.hold = d.pick((1.0, d.log_uniform(1, 20)))
            user.rbg = d.pick((2, 4, 8, 16))
            if light and not shared and d.chance(0.5):
                user.prbs = ((low, max(1, width // d.integer(1, 8))),)
        users.append(user)
    return users


def random_pdsch(d: Draw, prbs: tuple[tuple[int, int], ...], l0: int, first_symbol: int) -> Pdsch:
    """The shape of one PDSCH: mapping, length, DM-RS, modulation, power; always on over all of `prbs`."""
    user = Pdsch(prbs, dmrs_l0=l0)
    if d.chance(0.2):
        user.mapping = "B"
        user.symbols = d.pick((2, 4, 7, d.integer(2, 13)))
        user.start = d.integer(0, 14 - user.symbols)
    else:
        user.start = min(first_symbol, l0)
        user.symbols = 14 - user.start if d.chance(0.75) else d.integer(max(3, l0 + 2 - user.start), 14 - user.start)
    user.order = d.pick((4, 16, 64, 256))
    user.dmrs_type = d.pick((1, 2), (0.75, 0.25))
    user.dmrs_additional = d.pick((0, 1, 2, 3), (0.2, 0.45, 0.25, 0.1))
    if user.mapping == "A" and l0 == 3:  # TS 38.211 7.4.1.1.2: three only after symbol 2
        user.dmrs_additional = min(user.dmrs_additional, 2)
    user.dmrs_double = user.symbols >= 5 and d.chance(0.1)
    user.cdm_groups = d.integer(1, user.dmrs_type + 1)
    user.cdm_used = d.integer(1, user.cdm_groups)
    user.ptrs = (d.pick((2, 4)), d.pick((1, 2, 4))) if d.chance(0.1) else None
    # beams that point at other terminals come in far below the sync blocks, which all are to hear
    user.power_db = 0.0 if d.chance(0.5) else d.uniform(-10, 3) if d.chance(0.7) else d.uniform(-20, -10)
    user.spread_db = 0.0 if d.chance(0.5) else d.uniform(0, 8)
    return user


def _system_information(d: Draw, control: Coreset, scs: float, l0: int) -> Pdsch:
    """SIB1: QPSK inside CORESET 0's blocks, one slot in each of its periods."""
    width = d.integer(min(6, control.prbs), control.prbs)
    low = control.prb_start + d.integer(0, control.prbs - width)
    start = min(control.symbols, l0)
    return Pdsch(
        ((low, width),), burst=1, period=control.period * d.pick((1, 2, 4)), offset=control.offset,
        start=start, symbols=d.pick((14, 12)) - start, dmrs_l0=l0, dmrs_additional=2, cdm_groups=2,
        dmrs_origin=control.prb_start,
    )  # fmt: skip


def random_csi_rs(d: Draw, blocks: int, scs: float) -> tuple[CsiRs, ...]:
    """Often a TRS, often a CSI-RS for channel feedback, sometimes nothing."""
    found = []
    if d.chance(0.55):
        period = round(d.pick((0.010, 0.020, 0.040, 0.080)) * scs / 15)
        prbs = blocks if d.chance(0.7) else min(blocks, 52)
        found.append(CsiRs(1, 0, prbs, period, d.integer(0, period - 1), d.integer(4, 6), d.integer(0, 3), 3.0))
    if d.chance(0.45):
        period = round(d.pick((0.005, 0.010, 0.020, 0.040)) * scs / 15)
        row = d.integer(2, 5)
        step, most = {2: (1, 11), 4: (4, 2)}.get(row, (2, 4))  # TS 38.211 7.4.1.5.3
        k0 = step * d.integer(0, most)
        density = 0.5 if row < 4 and d.chance(0.4) else 1.0
        found.append(CsiRs(row, 0, blocks, period, d.integer(0, period - 1), d.integer(5, 12), k0, density))
    return tuple(found)


def paper_nr(rng: torch.Generator, **fixed) -> NrConfig:
    """The paper protocol's NR (facts of MathWorks' spectrum sensing example): 10 to 50 MHz, 15 or 30 kHz, SSB every
    20 ms with a random bitmap, a CORESET over the whole band, QPSK PDSCH in 1-3 groups of blocks times bursts of slots.

    `fixed` sets fields of `NrConfig`. The widths follow TS 38.104, where its 30 MHz at 15 kHz is 160 blocks.
    """
    d = Draw(rng)
    bandwidth = fixed.get("bandwidth") or 1e6 * d.pick((10, 15, 20, 25, 30, 40, 50))
    scs = fixed.get("scs") or d.pick((15000, 30000))
    blocks = n_rb(bandwidth, scs)
    config = NrConfig(bandwidth, scs, pci=d.integer(0, 1007), start=d.uniform(0, 0.16))
    bitmap = tuple(d.chance(0.5) for _ in range(8))
    case = "A" if scs == 15000 else "B"
    middle = 12 * ((blocks - 20) // 2) * scs
    config.ssb = Ssb(case, bitmap, -6.0 * blocks * scs + middle, 0.020)
    config.coresets = (Coreset(0, blocks // 6 * 6, 2, load=0.5),)
    groups, cuts = d.integer(1, 3), []
    fill = d.uniform(0.2, 0.7)
    for g in range(groups):
        low, high = blocks * g // groups, blocks * (g + 1) // groups
        width = max(1, round((high - low) * fill))
        cuts.append((low + d.integer(0, high - low - width), width))
    activity = d.uniform(0.1, 0.8)
    burst = activity * 0.040 * scs / 15 / d.integer(1, 3)
    config.pdsch = (Pdsch(tuple(cuts), activity=activity, burst=burst, start=2, symbols=12),)
    for name, value in fixed.items():
        setattr(config, name, value)
    return config
