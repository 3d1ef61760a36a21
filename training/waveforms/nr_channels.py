# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""NR's physical channels and reference signals, laid onto a carrier's grid: PDCCH, PDSCH, DM-RS, PT-RS, CSI-RS."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from training.waveforms.grants import on_and_off, shared_out
from training.waveforms.nr_config import Coreset, CsiRs, Pdsch
from training.waveforms.nr_tables import SYMBOLS, dmrs_symbols
from training.waveforms.sequences import gold_qpsk, qam


@dataclass
class Canvas:
    """A carrier's downlink grid while it fills: slots x 14 symbols x N_RB blocks x 12 subcarriers.

    re: complex64 [slots, 14, blocks, 12]. slot: int64 [slots], the slot's number from the timeline's zero.
    slots_per_frame: 10 x 2^mu. downlink: int64 [slots], how many of a slot's symbols (its first) are downlink.
    free: bool [slots, 14, blocks], where a channel may still be put. closed: the same shape, what CSI-RS must not
    overwrite (sync blocks, PDCCH, DM-RS).
    """

    re: torch.Tensor
    slot: torch.Tensor
    slots_per_frame: int
    downlink: torch.Tensor
    free: torch.Tensor
    closed: torch.Tensor
    pci: int

    @property
    def tiles(self) -> torch.Tensor:
        """The grid as one row for each block and symbol: a view, complex64 [slots * 14 * blocks, 12]."""
        return self.re.view(-1, 12)

    def sequence(self, rows: torch.Tensor, symbols: tuple[int, ...], c_init, length: int) -> torch.Tensor:
        """complex64 [rows, len(symbols), length]: the QPSK sequence of `c_init(slot in frame, symbol)` in each of the
        slots `rows` (int64, indices)."""
        numbers = (self.slot[rows.cpu()] % self.slots_per_frame).numpy()
        start = c_init(numbers[:, None], np.array(symbols)) % (1 << 31)
        return gold_qpsk(start.reshape(-1), length).view(len(rows), len(symbols), length).to(self.re.device)


def amplitude(db: float) -> float:
    return 10 ** (db / 20)


# --- PDCCH ---------------------------------------------------------------------------------------------------------


def cce_of_reg(coreset: Coreset, shift: int) -> torch.Tensor:
    """int64 [REGs]: the control channel element each REG belongs to; REGs number time first (TS 38.211 7.3.2.2)."""
    regs = coreset.prbs * coreset.symbols
    bundle = coreset.bundle or 6
    order = torch.arange(regs // bundle)
    if coreset.bundle:
        rows = next((r for r in ((2,) if coreset.zero else (6, 3, 2)) if len(order) % r == 0), 1)
        columns = len(order) // rows
        order = (order % rows * columns + order // rows + shift) % len(order)  # f(x), written x -> bundle
    owner = torch.empty(regs, dtype=torch.long)
    slots = order[:, None] * bundle + torch.arange(bundle)
    owner[slots.reshape(-1)] = torch.arange(len(order)).repeat_interleave(bundle) * bundle // 6
    return owner


def add_pdcch(canvas: Canvas, coreset: Coreset, rng: torch.Generator) -> None:
    """Random DCIs with their DM-RS in every monitored slot whose symbols are downlink and free."""
    slots, device = len(canvas.slot), canvas.re.device
    cces = coreset.prbs * coreset.symbols // 6
    levels = [level for level in coreset.levels if level <= cces] or [1]
    most = max(1, cces // min(levels))
    count = torch.poisson(torch.full((slots,), float(coreset.load), device=device), generator=rng).clamp(max=most)
    count[((canvas.slot - coreset.offset) % coreset.period != 0).to(device)] = 0
    level = torch.tensor(levels, device=device)[torch.randint(len(levels), (slots, most), generator=rng, device=device)]
    first = (torch.rand(slots, most, generator=rng, device=device) * (cces // level)).long() * level
    owner = cce_of_reg(coreset, canvas.pci % max(1, cces * 6 // (coreset.bundle or 6))).to(device)
    span = slice(coreset.first_symbol, coreset.first_symbol + coreset.symbols)
    blocks = slice(coreset.prb_start, coreset.prb_start + coreset.prbs)
    counted = slice(coreset.prbs) if coreset.zero else blocks  # TS 38.211 7.4.1.3.2: CORESET 0's DM-RS begin with it
    free = canvas.free[:, span, blocks]
    # a candidate that meets a sync block is not sent at all, TS 38.213 10.1
    shut = (~free).transpose(1, 2).reshape(slots, -1).int()
    met = shut.new_zeros(slots, cces + 1).index_add_(1, owner + 1, shut).cumsum(1)
    open_ = met.gather(1, first + level) == met.gather(1, first)
    sent = ((torch.arange(most, device=device) < count[:, None]) & open_).short()
    begun = sent.new_zeros(slots, cces + 1).scatter_add_(1, first, sent).scatter_add_(1, first + level, -sent)
    taken = begun.cumsum(1)[:, :cces] > 0
    used = taken[:, owner].view(slots, coreset.prbs, coreset.symbols).transpose(1, 2)
    held = used.any(1, keepdim=True).any(2, keepdim=True) & free if coreset.wideband else used

    busy = held.flatten(1).any(1).nonzero()[:, 0]
    if not len(busy):
        return
    used, held = used[busy], held[busy]
    pci, symbols = canvas.pci, tuple(range(span.start, span.stop))
    dmrs = canvas.sequence(
        busy,
        symbols,
        lambda n, symbol: (1 << 17) * (14 * n + symbol + 1) * (2 * pci + 1) + 2 * pci,  # TS 38.211 7.4.1.3.1
        3 * canvas.re.shape[2],
    ).view(len(busy), coreset.symbols, -1, 3)[:, :, counted]
    values = torch.zeros(*used.shape, 12, dtype=torch.complex64, device=device)
    values[used] = qam(4, int(used.sum()) * 12, rng).view(-1, 12)
    values[..., 1::4] = dmrs * held[..., None]
    put = used | held
    region = canvas.re[:, span, blocks]
    region[busy] = torch.where(put[..., None], values * amplitude(coreset.power_db), region[busy])
    free[busy] &= ~put
    closed = canvas.closed[:, span, blocks]
    closed[busy] |= put


# --- PDSCH ---------------------------------------------------------------------------------------------------------


def allocation(
    user: Pdsch, on: torch.Tensor, blocks: int, rng: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """-> the resource blocks of `user` in the slots that are on, bool [slots, blocks], and each slot's amplitude,
    float32 [slots]."""
    region = torch.zeros(blocks, dtype=torch.bool)
    for first, count in user.prbs:
        region[first : first + count] = True
    power = torch.full((len(on),), amplitude(user.power_db))
    if user.allocation == "fixed" and not user.spread_db:
        return on[:, None] & region, power
    redrawn = (torch.rand(len(on), generator=rng, device=rng.device) < 1 / max(user.hold, 1.0)).cpu()
    run = torch.cumsum(on & (redrawn | ~torch.cat([on.new_zeros(1), on[:-1]])), 0)
    runs = int(run[-1]) + 1 if len(run) else 1
    if user.spread_db:
        spread = torch.randn(runs, generator=rng, device=rng.device).cpu()
        power *= 10 ** (user.spread_db * spread.clamp(-2, 2)[run] / 20)
    if user.allocation == "fixed":
        return on[:, None] & region, power
    if user.allocation == "rbg":
        groups = -(-blocks // user.rbg)
        picked = (torch.rand(runs, groups, generator=rng, device=rng.device) < user.fill).cpu()
        chosen = picked.repeat_interleave(user.rbg, 1)[:, :blocks] & region
    elif user.allocation == "shared":
        chosen = shared_out(runs, blocks, user.fill, rng)[0] & region
    else:
        rank = torch.cumsum(region, 0) - 1
        total = int(region.sum())
        draw = torch.rand(runs, 2, generator=rng, device=rng.device).cpu()
        width = (total * user.fill * (0.5 + draw[:, :1])).round().clamp(1, max(total, 1))
        low = (draw[:, 1:] * (total - width + 1)).floor()
        chosen = region & (rank >= low) & (rank < low + width)
    return on[:, None] & chosen[run], power


def pdsch_slots(user: Pdsch, slot: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """bool [slots]: where `user` is scheduled."""
    if user.period:
        return (slot - user.offset) % user.period < user.burst
    return on_and_off(len(slot), user.activity, user.burst, rng)


# Subcarriers of a block that a CDM group's DM-RS takes: TS 38.211 7.4.1.1.2, types 1 and 2.
_CDM = {1: ((0, 2, 4, 6, 8, 10), (1, 3, 5, 7, 9, 11)), 2: ((0, 1, 6, 7), (2, 3, 8, 9), (4, 5, 10, 11))}


def add_pdsch(canvas: Canvas, user: Pdsch, rng: torch.Generator) -> None:
    """Random PDSCH with its DM-RS and PT-RS; slots with fewer downlink symbols carry a shorter one."""
    blocks, device = canvas.re.shape[2], canvas.re.device
    alloc, power = allocation(user, pdsch_slots(user, canvas.slot, rng), blocks, rng)
    for downlink in canvas.downlink.unique().tolist():
        symbols = min(user.symbols, downlink - user.start)
        # TS 38.214 table 5.1.2.1-1
        if symbols < 2 or (user.mapping == "A" and (symbols < 3 or user.start + symbols <= user.dmrs_l0 + 1)):
            continue
        here = alloc & (canvas.downlink == downlink)[:, None]
        if here.any():
            _fill_pdsch(canvas, user, here.to(device), power.to(device), symbols, rng)


def _fill_pdsch(
    canvas: Canvas, user: Pdsch, alloc: torch.Tensor, power: torch.Tensor, symbols: int, rng: torch.Generator
) -> None:
    """power: amplitude of each slot, float32 [slots]."""
    device, blocks = canvas.re.device, canvas.re.shape[2]
    cdm = _CDM[user.dmrs_type]
    double = user.dmrs_double and (user.mapping == "A" or symbols > 4)  # TS 38.211 table 7.4.1.1.2-4
    with_dmrs = dmrs_symbols(
        user.mapping, user.start, symbols, user.dmrs_additional, user.dmrs_l0, double, user.dmrs_l1
    )
    in_time = torch.zeros(SYMBOLS, dtype=torch.bool, device=device)
    in_time[user.start : user.start + symbols] = True
    mask = canvas.free & alloc[:, None] & in_time[:, None]
    tile = mask.view(-1).nonzero()[:, 0]
    if not len(tile):
        return
    level = power[tile // (SYMBOLS * blocks)]
    canvas.tiles.index_copy_(0, tile, qam(user.order, len(tile) * 12, rng).view(-1, 12).mul_(level[:, None]))

    pci, per_block = canvas.pci, len(cdm[0])
    busy = alloc.any(1).nonzero()[:, 0]
    dmrs = canvas.sequence(
        busy,
        with_dmrs,
        lambda n, symbol: (1 << 17) * (14 * n + symbol + 1) * (2 * pci + 1) + 2 * pci,  # TS 38.211 7.4.1.1.1
        per_block * blocks,
    ).view(len(busy), len(with_dmrs), blocks, per_block)
    dmrs = power[busy, None, None, None] * dmrs.roll(user.dmrs_origin, 2)
    if user.ptrs:
        _put_ptrs(canvas, user, busy, alloc[busy], mask[busy], symbols, with_dmrs, dmrs[:, 0, :, 0])
    dmrs *= (user.cdm_groups / user.cdm_used) ** 0.5  # TS 38.214 table 4.1-1
    for i, symbol in enumerate(with_dmrs):
        row, block = mask[busy, symbol].nonzero(as_tuple=True)
        tile, sent = (busy[row] * SYMBOLS + symbol) * blocks + block, dmrs[row, i, block]
        tiles = canvas.tiles.index_select(0, tile)
        for group in range(min(user.cdm_groups, len(cdm))):
            tiles[:, list(cdm[group])] = sent if group < user.cdm_used else 0
        canvas.tiles.index_copy_(0, tile, tiles)
        canvas.closed[:, symbol] |= mask[:, symbol]
    canvas.free &= ~mask


def _put_ptrs(canvas, user, busy, alloc, mask, symbols, with_dmrs, values) -> None:
    """PT-RS on subcarrier 0 of every K-th allocated block, every L symbols, counted anew from each DM-RS (TS 38.211
    7.4.1.2); alloc, mask and values of the slots `busy`. The cell's identity stands for the user's RNTI."""
    every_block, every_symbol = user.ptrs
    left_over = alloc.sum(1, keepdim=True) % every_block
    first = canvas.pci % torch.where(left_over == 0, every_block, left_over)  # k_ref^RB, TS 38.211 7.4.1.2.2
    comb = (torch.cumsum(alloc, 1) - 1) % every_block == first
    since = 0
    for symbol in range(user.start, user.start + symbols):
        if symbol in with_dmrs:
            since = 0
        elif since % every_symbol == 0:
            row, block = (mask[:, symbol] & comb).nonzero(as_tuple=True)
            canvas.re[busy[row], symbol, block, 0] = values[row, block]
        since += 1


# --- CSI-RS --------------------------------------------------------------------------------------------------------

# Subcarriers (re k0) and their symbols (re l0) of each row's elements, two neighbours being k' = 0 and 1, and how many
# ports share each pair of subcarriers: TS 38.211 table 7.4.1.5.3-1.
_CSI = {
    1: (((0, 0), (4, 0), (8, 0), (0, 4), (4, 4), (8, 4)), 1),
    2: (((0, 0),), 1),
    3: (((0, 0), (1, 0)), 2),
    4: (((0, 0), (1, 0), (2, 0), (3, 0)), 2),
    5: (((0, 0), (1, 0), (0, 1), (1, 1)), 2),
}


def add_csi_rs(canvas: Canvas, csi: CsiRs) -> None:
    """CSI-RS over whatever PDSCH stands there (which is matched around it), not over sync blocks or PDCCH."""
    elements, ports = _CSI[csi.row]
    device, blocks = canvas.re.device, canvas.re.shape[2]
    since = (canvas.slot - csi.offset) % csi.period
    on = (since < (2 if csi.row == 1 else 1)).nonzero()[:, 0].to(device)
    if not len(on):
        return
    block = torch.arange(csi.prb_start, min(csi.prb_start + csi.prbs, blocks), device=device)
    if csi.density < 1:
        block = block[block % 2 == csi.offset % 2]
    pci = canvas.pci
    alpha = csi.density * ports  # TS 38.211 7.4.1.5.3: 2 rho where there are more ports than one
    for symbol in sorted({csi.symbol + e[1] for e in elements}):
        if symbol >= SYMBOLS:
            continue
        r = canvas.sequence(
            on,
            (symbol,),
            lambda n, symbol: (1 << 10) * (14 * n + symbol + 1) * (2 * pci + 1) + pci,  # TS 38.211 7.4.1.5.2
            math.ceil(alpha * blocks) + 1,
        )[:, 0]
        open_ = (canvas.downlink.to(device)[on] > symbol)[:, None] & ~canvas.closed[on, symbol]
        row, where = open_[:, block].nonzero(as_tuple=True)
        slot, where = on[row], block[where]
        for i, k in enumerate(e[0] for e in elements if csi.symbol + e[1] == symbol):
            # two ports in one pair of subcarriers, one turned by j as two antennas are: [1, 1] + j [1, -1]
            pair = i % ports  # k'
            turn = 1.0 if ports == 1 else complex(0.5**0.5, 0.5**0.5 * (1 - 2 * pair))
            number = (where * alpha).long() + pair + int((csi.subcarrier + k - pair) * csi.density / 12)  # m'
            value = r[row, number] * (turn * amplitude(csi.power_db))
            canvas.re[slot, symbol, where, (csi.subcarrier + k) % 12] = value
