# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""5G NR downlink, FR1 (TS 38.211, 38.213, 38.104): from an `NrConfig` to resource grids.

Payload bits are random; every synchronisation and reference sequence is the standard's own. CRB 0 is taken to be
the carrier's lowest resource block; normal cyclic prefix. `random_nr` draws configurations.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from training.errors import DataError
from training.waveforms import nr_ssb
from training.waveforms.nr_channels import Canvas, add_csi_rs, add_pdcch, add_pdsch, amplitude
from training.waveforms.nr_config import Coreset, CsiRs, NrConfig, Pdsch, Ssb, Tdd
from training.waveforms.nr_dss import share_with_lte
from training.waveforms.nr_random import random_nr
from training.waveforms.nr_tables import SSB_SCS, SYMBOLS, n_rb, slot_length, symbol_times
from training.waveforms.ofdm import Grid, OfdmWaveform
from training.waveforms.uplink import nr_uplink
from training.waveforms.waveform import described

__all__ = ["Coreset", "CsiRs", "NrConfig", "Pdsch", "Ssb", "Tdd", "nr_downlink", "random_nr"]

ADVANCE = 25600 / (480e3 * 4096)  # s by which TDD uplink frames come early: N_TA,offset of FR1, TS 38.133 table 7.1.2-2
LTE_RATE, WIDEST_LTE = 1.536, 20e6  # samples/s re the channel bandwidth, from 5 MHz on; Hz
INSIDE = 0.96  # of the native band, its middle, passes `Emitter.filter_gain` whole
# FFT sizes at which every cyclic prefix is a whole number of samples (multiples of 128).
_NFFT = (128, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096)


def nr_downlink(config: NrConfig, duration: float, rng: torch.Generator) -> OfdmWaveform:
    """The stretch [config.start, config.start + duration) of the carrier, on `rng`'s device.

    Its grids: the downlink; the sync blocks, where they stand off the carrier's own subcarriers; the uplink of a
    TDD carrier. DataError where the configuration does not fit its carrier.
    """
    scs, blocks = config.scs, n_rb(config.bandwidth, config.scs)
    # up to 20 MHz as fast as LTE of the width, lest what a transmitter leaks should end where only one of them ends
    least = max(blocks * 12 / INSIDE, LTE_RATE * config.bandwidth / scs if config.bandwidth <= WIDEST_LTE else 0)
    rate = next(n for n in _NFFT if n >= least - 0.5) * scs
    config = replace(config, start=round(config.start * rate) / rate)  # symbols then begin on samples
    length = slot_length(scs)
    first = math.floor(config.start / length + 1e-9)
    slots = math.ceil((config.start + duration) / length - 1e-9) - first
    start, cp = symbol_times(scs, first, slots, config.start)
    lowest = -6.0 * blocks * scs  # TS 38.104 5.4.2.2: the raster stands on subcarrier 6 N_RB
    slot = torch.arange(first, first + slots)
    downlink = _downlink_symbols(config.tdd, slot)
    device = rng.device
    allowed = (torch.arange(SYMBOLS) < downlink[:, None]).to(device)
    canvas = Canvas(
        re=torch.zeros(slots, SYMBOLS, blocks, 12, dtype=torch.complex64, device=device),
        slot=slot,
        slots_per_frame=round(0.010 / length),
        downlink=downlink,
        free=allowed[..., None].repeat(1, 1, blocks),
        closed=torch.zeros(slots, SYMBOLS, blocks, dtype=torch.bool, device=device),
        pci=config.pci,
    )
    main = Grid(canvas.re.view(slots * SYMBOLS, blocks * 12), scs, lowest, start, cp)
    grids = [main]
    if config.ssb:
        sync = _sync_blocks(config, duration, main, canvas, rng)
        if sync:
            grids.append(sync)
    for coreset in config.coresets:
        add_pdcch(canvas, coreset, rng)
    for user in config.pdsch:
        add_pdsch(canvas, user, rng)
    for csi in config.csi_rs:
        add_csi_rs(canvas, csi)
    uplinks = int(config.tdd is not None and config.tdd.uplink_db is not None)
    if uplinks:
        grids.append(_uplink(config.tdd, main, slot, rate, rng))
    wave = OfdmWaveform("NR", "nr", main.band, grids, rate, duration, {"n_rb": blocks, **described(config)},
                        uplinks)
    return wave if config.lte is None else share_with_lte(config, wave, rng)


def _downlink_symbols(tdd: Tdd | None, slot: torch.Tensor) -> torch.Tensor:
    """int64 [slots]: how many symbols of each slot are downlink."""
    if tdd is None:
        return torch.full_like(slot, SYMBOLS)
    counts = {"D": SYMBOLS, "S": tdd.downlink, "U": 0}
    return torch.tensor([counts[c] for c in tdd.pattern])[slot % len(tdd.pattern)]


def _uplink(tdd: Tdd, main: Grid, slot: torch.Tensor, rate: float, rng: torch.Generator) -> Grid:
    """The uplink symbols alone, on the downlink's subcarriers and early by up to N_TA,offset (TS 38.211 4.3.1)."""
    counts = {"D": 0, "S": tdd.uplink, "U": SYMBOLS}
    count = torch.tensor([counts[c] for c in tdd.pattern])[slot % len(tdd.pattern)]
    up = torch.arange(SYMBOLS) >= SYMBOLS - count[:, None]
    rows = up.view(-1)
    sent = nr_uplink(main.subcarriers // 12, up, tdd.uplink_load, rng)[rows.to(rng.device)] * amplitude(tdd.uplink_db)
    early = round(ADVANCE * rate * torch.rand(1, generator=rng, device=rng.device).item()) / rate
    return Grid(sent, main.scs, main.first_subcarrier, main.start[rows] - early, main.cp[rows])


def _sync_blocks(config: NrConfig, duration: float, main: Grid, canvas: Canvas, rng) -> Grid | None:
    """Sends the sync blocks and closes the resource blocks under them (TS 38.214 5.1.4).

    They go straight onto the carrier's grid where they fit it, else onto the grid that is returned. Blocks that
    would meet a symbol which is not downlink are not sent.
    """
    ssb = config.ssb
    scs = SSB_SCS[ssb.case]
    width = nr_ssb.WIDTH * scs
    offset = ssb.first_subcarrier - main.first_subcarrier
    low = (offset - (scs - main.scs) / 2) / (12 * main.scs)  # of the block's lower edge, in resource blocks
    high = low + width / (12 * main.scs)
    if low < -1e-9 or high > canvas.re.shape[2] + 1e-9:
        raise DataError(f"a sync block at {ssb.first_subcarrier:g} Hz does not fit into {config.bandwidth:g} Hz")
    under = slice(math.floor(low + 1e-9), math.ceil(high - 1e-9))
    sent = nr_ssb.occasions(ssb, config.start, duration)
    if not sent:
        return None
    aligned = scs == main.scs and abs(offset / scs - round(offset / scs)) < 1e-6
    begins, ends = main.start.numpy(), (main.start + main.cp + 1 / main.scs).numpy()
    downlink = (torch.arange(SYMBOLS) < canvas.downlink[:, None]).view(-1).numpy()
    free, closed = (t.view(-1, t.shape[-1]) for t in (canvas.free, canvas.closed))
    first = sent[0][1] // SYMBOLS
    times, cp = symbol_times(scs, first, sent[-1][1] // SYMBOLS + 2 - first, config.start)
    rows, starts, prefixes = [], [], []
    for index, symbol, second_half in sent:
        own = slice(symbol - first * SYMBOLS, symbol - first * SYMBOLS + 4)
        end = float(times[own][3] + cp[own][3]) + 1 / scs
        met = slice(int(ends.searchsorted(float(times[own][0]) + 1e-9, "right")), int(begins.searchsorted(end - 1e-9)))
        if met.start >= met.stop or not downlink[met].all():
            continue
        free[met, under] = False
        closed[met, under] = True
        re = nr_ssb.block(config.pci, index, len(ssb.bitmap), second_half, rng) * amplitude(ssb.power_db)
        if aligned:
            column = round(offset / scs)
            main.re[met.start : met.start + 4, column : column + nr_ssb.WIDTH] = re
        else:
            rows.append(re)
            starts.append(times[own])
            prefixes.append(cp[own])
    if not rows:
        return None
    return Grid(torch.cat(rows), scs, ssb.first_subcarrier, torch.cat(starts), torch.cat(prefixes))
