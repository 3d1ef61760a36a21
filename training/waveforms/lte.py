# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""LTE downlink (TS 36.211): every reference and synchronisation signal is the real one, the payload is random."""

from __future__ import annotations

import numpy as np
import torch

from training.waveforms.lte_config import DWPTS, NFFT, SCS, TDD_PATTERNS, TS, UPPTS, LteConfig, symbol_times
from training.waveforms.lte_control import add_control, control_symbols
from training.waveforms.lte_load import allocation
from training.waveforms.lte_signals import SYNC, crs_places, crs_sequences, mbsfn_rs, pbch_reserved, pss, sss
from training.waveforms.ofdm import Grid, OfdmWaveform
from training.waveforms.sequences import qam
from training.waveforms.uplink import lte_uplink
from training.waveforms.waveform import described

ADVANCE = 624 * TS  # s by which TDD uplink frames come early, TS 36.211 8.1


def lte_downlink(config: LteConfig, duration: float, rng: torch.Generator) -> OfdmWaveform:
    """-> the carrier's waveform over `duration` s, whose first grid holds whole subframes of the downlink.

    Further grids: PMCH, and what terminals send in a TDD carrier. Symbols begin on samples of the native rate.
    """
    rate = NFFT[config.n_rb] * SCS
    into = round(config.start * rate) / rate  # s
    first = int(into / 1e-3)
    index = torch.arange(first, int((into + duration) / 1e-3) + 1)
    begin = first * 1e-3 - into
    start, cp = symbol_times(config.normal_cp, len(index), begin)
    down, up = _directions(config, index % 10)
    re = _downlink(config, index, down, rng)
    middle = 6 * config.n_rb
    grids = [Grid(_with_dc(re), SCS, -middle * SCS, start, cp)]
    if config.pmch:
        grids += _pmch(config, index, begin, rng)
    uplinks = int(config.uplink_db is not None and bool(up.any()))
    if uplinks:
        rows = up.reshape(-1)
        sent = lte_uplink(config.n_rb, up, config.uplink_load, rng)[rows] * 10 ** (config.uplink_db / 20)
        early = round(ADVANCE * rate * float(torch.rand(1, generator=rng))) / rate
        # SC-FDMA stands half a subcarrier off: TS 36.211 5.6
        grids.append(Grid(sent, SCS, (0.5 - middle) * SCS, start[rows] - early, cp[rows]))
    half = (middle + 0.5) * SCS
    return OfdmWaveform("LTE", "lte", (-half, half), grids, rate, duration, described(config), uplinks)


def _with_dc(re: torch.Tensor) -> torch.Tensor:
    """[..., 12 n_rb] -> [symbols, 12 n_rb + 1] with the empty DC subcarrier. TS 36.211 6.12."""
    re = re.flatten(0, -2)
    middle = re.shape[1] // 2
    return torch.cat([re[:, :middle], re.new_zeros(len(re), 1), re[:, middle:]], 1)


def _directions(config: LteConfig, number: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """-> which symbols of each subframe are downlink and which uplink, bool [subframes, symbols]."""
    symbols = config.symbols
    if config.tdd is None:
        down = torch.ones(len(number), symbols, dtype=torch.bool)
        return down, ~down
    special = (DWPTS[config.normal_cp][config.special], UPPTS[config.normal_cp][config.special])
    counts = {"D": (symbols, 0), "S": special, "U": (0, symbols)}
    count = torch.tensor([counts[c] for c in TDD_PATTERNS[config.tdd]])[number]
    place = torch.arange(symbols)
    return place < count[:, :1], place >= symbols - count[:, 1:]


def _downlink(config: LteConfig, index: torch.Tensor, down: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """-> complex64 [subframes, symbols, 12 n_rb]."""
    n_rb, symbols = config.n_rb, config.symbols
    number = index % 10
    mbsfn = torch.from_numpy(np.isin(number.numpy(), config.mbsfn))
    control = control_symbols(config, number.numpy(), rng)
    places = torch.arange(symbols)
    heard = down & ~(mbsfn[:, None] & (places >= torch.from_numpy(control)[:, None]))
    # PDSCH; none in a DwPTS of three symbols (TS 36.213 7.1.7) nor in MBSFN subframes
    data = heard & (down.sum(1) > 3)[:, None] & (places >= torch.from_numpy(control)[:, None])
    crs = [(port, half, symbol, v) for port in range(config.ports) for half in (0, 1)
           for symbol, v in crs_places(port, half, symbols // 2)]
    with_crs = sorted({half * symbols // 2 + symbol for _, half, symbol, _ in crs})
    share = data.float()
    share[:, with_crs] *= 10 ** (config.crs_symbol_db / 20)
    re = _data(config, allocation(config, index, rng), share, rng)
    add_control(config, re, number.numpy(), np.where(down[:, 0], control, 0), rng)
    # CRS, superposed as one antenna hears the ports; each port's places stay free of the others' signals
    turn = 2 * torch.pi * torch.rand(config.ports, generator=rng)
    level = 10 ** (1.5 * torch.randn(config.ports, generator=rng).clamp(-2, 2) / 20)
    sequences = crs_sequences(config.cell_id, n_rb, config.normal_cp)
    gain = torch.polar(level, turn)
    for port, half, symbol, v in crs:
        row = half * symbols // 2 + symbol
        sent = sequences[2 * number + half, min(symbol, 2)] * gain[port]
        places = re[:, row, (v + config.cell_id) % 6 :: 6]
        places[:] = torch.where(heard[:, row, None], sent, places)
    _add_sync(config, re, number, rng)
    return re


def _data(config: LteConfig, amplitude: torch.Tensor, share: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """PDSCH: amplitude [subframes, n_rb] times share [subframes, symbols]; each subframe has one constellation."""
    subframes, symbols = share.shape
    re = torch.zeros(subframes, symbols, config.n_rb, 12, dtype=torch.complex64)
    busy = amplitude.any(1).nonzero()[:, 0].tolist()
    picks = torch.randint(len(config.orders), (len(busy),), generator=rng).tolist()
    for s, pick in zip(busy, picks, strict=True):
        factor = share[s, :, None, None] * amplitude[s, None, :, None]
        torch.mul(qam(config.orders[pick], re[s].numel(), rng).view_as(re[s]), factor, out=re[s])
    return re.view(subframes, symbols, -1)


def _add_sync(config: LteConfig, re: torch.Tensor, number: torch.Tensor, rng: torch.Generator) -> None:
    """PSS, SSS (TS 36.211 6.11) and PBCH (6.6.4) in place, with the empty subcarriers beside the first two."""
    symbols, width = re.shape[1:]
    slot = symbols // 2
    low = width // 2 - 36
    gain = 10 ** (config.sync_db / 20)
    primary = torch.zeros(72, dtype=torch.complex64)
    primary[36 - SYNC // 2 : 36 + SYNC // 2] = pss(config.cell_id % 3) * gain
    tdd = config.tdd is not None
    for n in (1, 6) if tdd else (0, 5):
        re[number == n, 2 if tdd else slot - 1, low : low + 72] = primary
    for n in (0, 5):
        secondary = torch.zeros(72, dtype=torch.complex64)
        secondary[36 - SYNC // 2 : 36 + SYNC // 2] = sss(config.cell_id, n == 5) * gain
        re[number == n, symbols - 1 if tdd else slot - 2, low : low + 72] = secondary
    # PBCH leaves the places of four ports' CRS free, however many there are
    frames = int((number == 0).sum())
    reserved, own = (pbch_reserved(config.cell_id % 6, ports, config.normal_cp) for ports in (4, config.ports))
    broadcast = qam(4, frames * 4 * 72, rng).view(frames, 4, 72) * gain
    kept = re[number == 0, slot : slot + 4, low : low + 72] * own
    re[number == 0, slot : slot + 4, low : low + 72] = torch.where(reserved, kept, broadcast)


def _pmch(config: LteConfig, index: torch.Tensor, begin: float, rng: torch.Generator) -> list[Grid]:
    """The MBSFN region of each MBSFN subframe: extended prefix, full band. TS 36.211 6.5 and 6.10.2."""
    rows = torch.from_numpy(np.flatnonzero(np.isin((index % 10).numpy(), config.mbsfn)))
    if not len(rows):
        return []
    start, cp = (t.view(-1, 12)[rows] for t in symbol_times(False, len(index), begin))
    width = 12 * config.n_rb
    area = int(torch.randint(256, (1,), generator=rng))
    re = qam(config.orders[-1], len(rows) * 12 * width, rng).view(len(rows), 12, width)
    re *= 10 ** (config.pdsch_db / 20)
    for subframe in config.mbsfn:
        for symbol, first, values in mbsfn_rs(area, subframe, config.n_rb):
            re[index[rows] % 10 == subframe, symbol, first::2] = values
    middle = width // 2
    # after a non-MBSFN region of as many symbols as control may take, TS 36.211 table 6.7-1
    region = slice(1 if config.control == 1 and config.n_rb > 10 and config.ports < 4 else 2, 12)
    return [Grid(_with_dc(re[:, region]), SCS, -middle * SCS, start[:, region].reshape(-1), cp[:, region].reshape(-1))]
