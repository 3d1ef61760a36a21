# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""LTE downlink (TS 36.211): every reference and synchronisation signal is the real one, the payload is random."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch

from training.waveforms.lte_signals import SYNC, crs_frame, pss, sss
from training.waveforms.ofdm import Grid, OfdmWaveform
from training.waveforms.sequences import qam

SCS = 15e3
TS = 1 / 30.72e6  # s, TS 36.211 4
N_RB = {1.4e6: 6, 3e6: 15, 5e6: 25, 10e6: 50, 15e6: 75, 20e6: 100}  # TS 36.101 table 5.6-1
NFFT = {6: 128, 15: 256, 25: 512, 50: 1024, 75: 1536, 100: 2048}
# TS 36.211 table 4.2-2
TDD_PATTERNS = ("DSUUUDSUUU", "DSUUDDSUUD", "DSUDDDSUDD", "DSUUUDDDDD", "DSUUDDDDDD", "DSUDDDDDDD", "DSUUUDSUUD")
# Symbols of DwPTS by special subframe configuration, normal and extended prefix. TS 36.211 table 4.2-1
DWPTS = {True: (3, 9, 10, 11, 12, 3, 9, 10, 11, 6), False: (3, 8, 9, 10, 3, 8, 9, 5)}
MBSFN_ALLOWED = (1, 2, 3, 6, 7, 8)  # FDD, TS 36.331 MBSFN-SubframeConfig
PERIOD = 0.040  # s, PBCH's


@dataclass
class LteConfig:
    """Every choice that makes one LTE carrier.

    start: s into the 40 ms of a broadcast period at which the stretch begins. tdd: uplink-downlink configuration,
    None for FDD. control: symbols of the control region; control_load: share of its REGs in use.
    load: mean share of PRBs in use; scheduling: "steady" keeps one allocation, "subframe" draws one each subframe,
    "burst" switches whole subframes on and off. pdsch_db, sync_db, control_db: power of these resource elements re
    the reference signals' (P_A and its like). uplink_db: terminals' power re the downlink's; None: silent.
    """

    cell_id: int = 0
    bandwidth: float = 10e6
    normal_cp: bool = True
    ports: int = 1
    tdd: int | None = None
    special: int = 7
    start: float = 0.0
    control: int = 2
    control_load: float = 0.4
    load: float = 0.5
    scheduling: str = "subframe"
    block: int = 4
    orders: tuple[int, ...] = (4, 16, 64)
    pdsch_db: float = 0.0
    spread_db: float = 0.0
    sync_db: float = 0.0
    control_db: float = 0.0
    mbsfn: tuple[int, ...] = ()
    uplink_db: float | None = None
    uplink_load: float = 0.3

    @property
    def n_rb(self) -> int:
        return N_RB[self.bandwidth]


LOADS = {"idle": 0.2, "light": 0.2, "bursty": 0.2, "partial": 0.15, "full": 0.25}
TDD_SHARE = 0.4  # the same as NR's, so that duplexing tells nothing


def random_lte(rng: torch.Generator, load: str | None = None, duplex: str | None = None, **fixed: object) -> LteConfig:
    """Draws a configuration; `fixed` fields of `LteConfig` are kept. Full and idle cells are frequent, as off the air.

    load: "idle" (no data), "light", "bursty" (whole subframes on and off), "partial" or "full"; duplex: "fdd", "tdd".
    """

    def draw() -> float:
        return float(torch.rand(1, generator=rng))

    def among(values: tuple) -> object:
        return values[int(draw() * len(values)) % len(values)]

    duplex = duplex or ("tdd" if draw() < TDD_SHARE else "fdd")
    tdd = int(draw() * 7) if duplex == "tdd" else None
    normal = draw() < 0.93
    load = load or list(LOADS)[int(torch.multinomial(torch.tensor(list(LOADS.values())), 1, generator=rng))]
    share = {"idle": 0.0, "light": 0.02 + 0.1 * draw(), "full": 1.0}.get(load, draw())
    uplink = -25 + 40 * draw() if tdd is not None and draw() < 0.5 else None
    some = tuple(sf for sf in MBSFN_ALLOWED if draw() < 0.4) if tdd is None and draw() < 0.06 else ()
    config = LteConfig(
        cell_id=int(draw() * 504) % 504,
        bandwidth=float(among((1.4e6, 3e6, 5e6, 5e6, 10e6, 10e6, 10e6, 15e6, 15e6, 20e6, 20e6, 20e6, 20e6))),
        normal_cp=normal,
        ports=int(among((1, 2, 2, 2, 4))),
        tdd=tdd,
        special=int(draw() * len(DWPTS[normal])),
        start=draw() * PERIOD,
        control=1 + int(draw() * 3),
        control_load=float(draw() ** 1.5),
        load=share,
        scheduling="burst" if load == "bursty" else str(among(("steady", "subframe", "subframe"))),
        block=int(among((1, 2, 3, 4, 8, 16))),
        orders=(4, 16, 64, 256)[: 1 + int(4 * draw())],
        pdsch_db=float(among((0.0, 0.0, -3.0, -3.0, 3.0, 6 * draw() - 4))),
        spread_db=3 * draw() ** 2,
        sync_db=2 * draw() - 1,
        control_db=3 * draw() - 1.5,
        mbsfn=some,
        uplink_db=uplink,
        uplink_load=draw(),
    )
    for name, value in fixed.items():
        setattr(config, name, value)
    if config.special >= len(DWPTS[config.normal_cp]):
        config.special = 0
    return config


def symbol_times(config: LteConfig, subframes: int, first: int) -> tuple[torch.Tensor, torch.Tensor]:
    """-> (start of each cyclic prefix, its length), s, float64 [subframes x symbols], re the stretch's beginning.

    TS 36.211 table 6.12-1.
    """
    cp = torch.tensor([160, 144, 144, 144, 144, 144, 144] if config.normal_cp else [512] * 6, dtype=torch.float64) * TS
    lengths = cp + 1 / SCS
    slot = torch.cumsum(lengths, 0) - lengths
    slots = (first * 2 + torch.arange(2 * subframes, dtype=torch.float64)) * 0.5e-3 - config.start
    return (slots[:, None] + slot).reshape(-1), cp.repeat(2 * subframes)


def lte_downlink(config: LteConfig, duration: float, rng: torch.Generator) -> OfdmWaveform:
    """-> the carrier's waveform over `duration` s; a TDD carrier whose terminals speak has a second grid for them."""
    rate = NFFT[config.n_rb] * SCS
    config.start = round(config.start * rate) / rate  # symbols then begin on samples
    first = int(config.start / 1e-3)
    subframes = int((config.start + duration) / 1e-3) + 1 - first
    start, cp = symbol_times(config, subframes, first)
    number = (first + torch.arange(subframes)) % 10
    down, up = _directions(config, number)
    re = _downlink(config, number, rng) * down[:, :, None]
    width = 12 * config.n_rb
    middle = width // 2
    whole = torch.zeros(subframes * re.shape[1], width + 1, dtype=torch.complex64)
    whole[:, :middle] = re.view(-1, width)[:, :middle]
    whole[:, middle + 1 :] = re.view(-1, width)[:, middle:]
    grids = [Grid(whole, SCS, -middle * SCS, start, cp)]
    if config.uplink_db is not None and bool(up.any()):
        sent = _uplink(config, up, rng).view(-1, width)
        rows = up.reshape(-1)
        # SC-FDMA stands half a subcarrier off: TS 36.211 5.6
        grids.append(Grid(sent[rows], SCS, (0.5 - middle) * SCS, start[rows], cp[rows]))
    half = (middle + 0.5) * SCS
    return OfdmWaveform("LTE", "lte", (-half, half), grids, rate, duration, asdict(config))


def _directions(config: LteConfig, number: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """-> which symbols of each subframe are downlink and which uplink, bool [subframes, symbols]."""
    symbols = 14 if config.normal_cp else 12
    if config.tdd is None:
        down = torch.ones(len(number), symbols, dtype=torch.bool)
        return down, ~down
    pattern = TDD_PATTERNS[config.tdd]
    downlink = {"D": symbols, "S": DWPTS[config.normal_cp][config.special], "U": 0}
    uplink = {"D": 0, "S": 1, "U": symbols}
    place = torch.arange(symbols)
    count = torch.tensor([[downlink[c], uplink[c]] for c in pattern])[number]
    return place < count[:, :1], place >= symbols - count[:, 1:]


def _downlink(config: LteConfig, number: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """-> complex64 [subframes, symbols, 12 N_RB], as if every subframe were downlink."""
    n_rb, ports = config.n_rb, config.ports
    slot_symbols = 7 if config.normal_cp else 6
    subframes, symbols, width = len(number), 2 * slot_symbols, 12 * n_rb
    re = _constellations(config, subframes * symbols * width, rng).view(subframes, symbols, n_rb, 12)
    re *= _allocation(config, subframes, rng)[:, None, :, None]
    re = re.view(subframes, symbols, width)
    mbsfn = torch.tensor([int(n) in config.mbsfn for n in number])
    re[mbsfn] = 0
    # Control region: PCFICH, PHICH and PDCCH fill REGs of four elements all over the band. TS 36.211 6.2.4
    control = min(config.control, 2) if config.mbsfn else config.control
    used = torch.rand(subframes, control, width // 4, generator=rng) < config.control_load
    power = used.float().repeat_interleave(4, -1) * 10 ** (config.control_db / 20)
    re[:, :control] = qam(4, subframes * control * width, rng).view(subframes, control, width) * power
    # Cell-specific reference signals; the other ports' places stay empty
    crs = crs_frame(config.cell_id, ports, n_rb, config.normal_cp)[:, number]
    taken = (crs != 0).any(0)
    only_control = mbsfn[:, None, None] & (torch.arange(symbols) >= control)[None, :, None]
    turn = torch.rand(ports, generator=rng) * 2 * torch.pi
    level = 10 ** ((2 * torch.rand(ports, generator=rng) - 1) / 20)
    mixed = (crs * torch.polar(level, turn)[:, None, None, None]).sum(0)
    re = torch.where(taken & ~only_control, mixed, re)
    _add_sync(config, re, number, taken, rng)
    return re


def _constellations(config: LteConfig, count: int, rng: torch.Generator) -> torch.Tensor:
    """Random symbols; each of the orders takes an equal share of the elements."""
    part = -(-count // len(config.orders))
    return torch.cat([qam(order, part, rng) for order in config.orders])[:count]


def _allocation(config: LteConfig, subframes: int, rng: torch.Generator) -> torch.Tensor:
    """Amplitude of the data of each PRB pair, 0 where idle, float32 [subframes, N_RB]."""
    groups = -(-config.n_rb // config.block)
    draws = torch.rand(subframes, groups, generator=rng)
    if config.scheduling == "steady":
        draws = draws[:1].expand(subframes, -1)
    used = draws < config.load
    if config.scheduling == "burst":
        on = torch.rand(subframes, 1, generator=rng) < 0.15 + 0.7 * config.load
        used = (used | (draws < 0.9)) & on & (config.load > 0)
    level = config.pdsch_db + config.spread_db * torch.randn(1, groups, generator=rng)
    amplitude = used.float() * 10 ** (level / 20)
    return amplitude.repeat_interleave(config.block, 1)[:, : config.n_rb]


def _add_sync(config: LteConfig, re: torch.Tensor, number: torch.Tensor, taken: torch.Tensor,
              rng: torch.Generator) -> None:
    """PSS, SSS (TS 36.211 6.11) and PBCH (6.6.4) in place, with the empty subcarriers beside them."""
    symbols, width = re.shape[1:]
    slot = symbols // 2
    centre = slice(width // 2 - 36, width // 2 + 36)
    sequence = slice(width // 2 - SYNC // 2, width // 2 + SYNC // 2)
    gain = 10 ** (config.sync_db / 20)
    for s, n in enumerate(number.tolist()):
        primary = slot - 1 if config.tdd is None else 2
        if n in ((0, 5) if config.tdd is None else (1, 6)):
            re[s, primary, centre] = 0
            re[s, primary, sequence] = pss(config.cell_id % 3) * gain
        if n in (0, 5):
            secondary = slot - 2 if config.tdd is None else symbols - 1
            re[s, secondary, centre] = 0
            re[s, secondary, sequence] = (sss(config.cell_id, n == 5) * gain).to(torch.complex64)
        if n == 0:
            part = re[s, slot : slot + 4, centre]
            data = qam(4, part.numel(), rng).view_as(part) * gain
            free = ~taken[s, slot : slot + 4, centre]
            part[free] = data[free]


def _uplink(config: LteConfig, up: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Terminals' PUSCH and PUCCH, complex64 [subframes, symbols, 12 N_RB]; SC-FDMA, TS 36.211 5.3 and 5.4."""
    n_rb = config.n_rb
    subframes, symbols = up.shape
    re = torch.zeros(subframes, symbols, 12 * n_rb, dtype=torch.complex64)
    scale = 10 ** (config.uplink_db / 20)
    draws = torch.rand(subframes, 4, generator=rng).tolist()
    for s, (low, wide, pucch, on) in enumerate(draws):
        if not bool(up[s].any()):
            continue
        if on < 0.2 + 0.8 * config.uplink_load and n_rb > 2:
            prbs = max(1, round(wide * config.uplink_load * (n_rb - 2)))
            first = 12 * (1 + int(low * (n_rb - 2 - prbs)))
            data = qam(16, symbols * 12 * prbs, rng).view(symbols, -1)
            re[s, :, first : first + 12 * prbs] = torch.fft.fft(data, norm="ortho") * scale
        if pucch < 0.5:
            half = symbols // 2
            edges = (slice(0, 12), slice(12 * n_rb - 12, 12 * n_rb))
            for part, edge in zip((slice(0, half), slice(half, symbols)), edges, strict=True):
                re[s, part, edge] = qam(4, half * 12, rng).view(half, 12) * scale
    return re * up[:, :, None]
