# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What terminals send: SC-FDMA of LTE (TS 36.211 5), DFT-s-OFDM and CP-OFDM of NR (TS 38.211 6). Alone it is no
downlink carrier and counts as "other"; in a TDD carrier it belongs to the carrier."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch

from training.errors import DataError
from training.waveforms.draw import Draw
from training.waveforms.grants import TDD_SHARE, on_and_off
from training.waveforms.lte_config import N_RB as LTE_N_RB
from training.waveforms.lte_config import NFFT, SCS, TDD_PATTERNS, symbol_times
from training.waveforms.nr_tables import N_RB as NR_N_RB
from training.waveforms.nr_tables import symbol_times as nr_symbol_times
from training.waveforms.ofdm import Grid, OfdmWaveform
from training.waveforms.sequences import qam, zadoff_chu

_DFT_PRBS = tuple(m for m in range(1, 276) if m in {2**a * 3**b * 5**c for a in range(9) for b in range(6)
                                                    for c in range(4)})  # TS 36.211 5.3.3, TS 38.211 6.3.1.4
_NR_PATTERNS = ("DDDSU", "DDSU", "DSUUU", "DDDDDDDSUU", "DSUU")
_LEVEL_DB = 6.0  # terminals' powers where they arrive, +-


@dataclass(frozen=True)
class _Layout:
    """Where a subframe or slot holds its DM-RS; comb: on every second subcarrier, as NR's; precoded: data go through a
    DFT, whose lengths are few."""

    dmrs: tuple[int, ...]
    comb: bool
    precoded: bool = True


@lru_cache(maxsize=256)
def base_sequence(u: int, length: int) -> torch.Tensor:
    """Reference sequence of group u, v = 0, at least 36 long -> complex64 [length]. TS 36.211 5.5.1.1."""
    prime = next(p for p in range(length - 1, 1, -1) if all(p % d for d in range(2, int(p**0.5) + 1)))
    root = int(prime * (u + 1) / 31 + 0.5)
    return zadoff_chu(root, prime)[torch.arange(length) % prime]


def lte_uplink(n_rb: int, up: torch.Tensor, load: float, rng: torch.Generator) -> torch.Tensor:
    """Terminals of an LTE carrier in the symbols that `up` names, bool [subframes, symbols].

    load: share of the band and of the time they use. -> complex64 [subframes x symbols, 12 n_rb], power 1 an element.
    """
    slot = up.shape[1] // 2
    reference = 3 if slot == 7 else 2  # TS 36.211 5.5.2.1.2
    return _terminals(n_rb, up, load, _Layout((reference, slot + reference), False), rng)


def nr_uplink(n_rb: int, up: torch.Tensor, load: float, rng: torch.Generator) -> torch.Tensor:
    """Terminals of an NR carrier, as `lte_uplink`: DM-RS of type 1, one of its two groups without data (TS 38.211
    6.4.1.1), in symbols 2 and 11. -> on `rng`'s device."""
    precoded = torch.rand(1, generator=rng, device=rng.device).item() < 0.5  # TS 38.331 transformPrecoder
    return _terminals(n_rb, up, load, _Layout((2, 11), True, precoded), rng)


def _terminals(n_rb: int, up: torch.Tensor, load: float, layout: _Layout, rng: torch.Generator) -> torch.Tensor:
    count, symbols = up.shape
    re = torch.zeros(count, symbols, 12 * n_rb, dtype=torch.complex64, device=rng.device)
    group, hold, edge, busy = torch.rand(4, generator=rng, device=rng.device).tolist()
    on = on_and_off(count, 0.3 + 0.7 * load, 1 + 10 * busy, rng).tolist()
    control = min(1 + int(3 * edge), n_rb // 3)  # PRBs of PUCCH at either edge
    users: list[tuple[int, int, float, int]] = []
    draws = torch.rand(count, 4, generator=rng, device=rng.device).tolist()
    for s, (renew, pucch, srs, comb) in enumerate(draws):
        sent = int(up[s].sum())
        if sent == symbols:
            if not users or renew < hold:
                users = _users(n_rb - 2 * control, load, layout.precoded, rng)
            for low, wide, level, order in users if on[s] else ():
                first = 12 * (control + low)
                re[s, :, first : first + 12 * wide] = level * _pusch(wide, symbols, order, int(30 * group), layout, rng)
            if pucch < 0.3 + 0.5 * load:  # one slot at one edge, the next at the other. TS 36.211 5.4.3
                prb = int(pucch * 97) % control
                edges = [slice(12 * p, 12 * p + 12) for p in (prb, n_rb - 1 - prb)]
                half = symbols // 2
                re[s, :half, edges[s % 2]] = qam(4, half * 12, rng).view(half, 12)
                re[s, half:, edges[1 - s % 2]] = qam(4, half * 12, rng).view(half, 12)
        if sent and srs < (0.1 if sent == symbols else 0.4 * load):  # SRS: a comb over all but the edges
            wide = max(1, (n_rb - 2 * control) // 4) * 4 if n_rb >= 4 + 2 * control else 0
            span = slice(12 * control + int(2 * comb), 12 * (control + wide), 2)
            re[s, symbols - 1] = 0
            re[s, symbols - 1, span] = qam(4, 6 * wide, rng)
    return re.view(-1, 12 * n_rb)


def _users(free: int, load: float, precoded: bool, rng: torch.Generator) -> list[tuple[int, int, float, int]]:
    """-> first PRB, PRBs, amplitude and constellation of each terminal scheduled together, in `free` PRBs."""
    found: list[tuple[int, int, float, int]] = []
    count, *draws = torch.rand(13, generator=rng, device=rng.device).tolist()
    low = 0
    for gap, share, order in zip(draws[0::3], draws[1::3], draws[2::3], strict=True):
        if len(found) > 3 * count:
            break
        low += int(gap**2 * free * (1 - load))
        most = min(free - low, max(1, round(2 * share * load * free)))
        if most < 1:
            break
        wide = max(m for m in _DFT_PRBS if m <= most) if precoded else most
        level = _LEVEL_DB * (2 * torch.rand(1, generator=rng, device=rng.device).item() - 1)
        found.append((low, wide, 10 ** (level / 20), (4, 16, 64)[int(3 * order)]))
        low += wide
    return found


def _pusch(wide: int, symbols: int, order: int, group: int, layout: _Layout, rng: torch.Generator) -> torch.Tensor:
    """complex64 [symbols, 12 wide]: data, DFT-precoded where the layout says so, and DM-RS."""
    width = 12 * wide
    re = qam(order, symbols * width, rng).view(symbols, width)
    if layout.precoded:
        re = torch.fft.fft(re, norm="ortho")
    for symbol in layout.dmrs:
        length = width // 2 if layout.comb else width
        # shorter sequences are tabled QPSK (TS 36.211 5.5.1.2; NR's of 30 a formula, TS 38.211 5.2.2.2), and QPSK is what
        # goes with data that are not precoded (6.4.1.1.1.1): any will do
        tabled = length < 36 or not layout.precoded
        sequence = qam(4, length, rng) if tabled else base_sequence(group, length).to(re.device)
        if layout.comb:
            re[symbol] = 0
            re[symbol, ::2] = sequence * 2**0.5
        else:
            re[symbol] = sequence
    return re


def random_uplink(
    rng: torch.Generator, duration: float, max_bandwidth: float = 20e6, label: str | None = "other"
) -> OfdmWaveform:
    """Terminals of an LTE or NR carrier no wider than `max_bandwidth` Hz, FDD or in the uplink part of a TDD pattern.

    A neighbour, of kind "uplink"; its info names the "standard". label: None for that of the standard, "LTE" or "NR".
    DataError where no carrier is that narrow.
    """
    d = Draw(rng)
    tdd = d.chance(TDD_SHARE)
    load = d.log_uniform(0.02, 1)
    standard = "LTE" if d.chance(0.5) else "NR"
    if standard == "LTE":
        usable = [n for bandwidth, n in LTE_N_RB.items() if bandwidth <= max_bandwidth]
        if not usable:
            raise DataError(f"no LTE carrier fits into {max_bandwidth:g} Hz")
        n_rb = d.pick(usable)
        subframes = int(duration / 1e-3) + 2
        normal = d.chance(0.93)
        start, cp = symbol_times(normal, subframes, -d.uniform() * 1e-3)
        symbols = 14 if normal else 12
        pattern = d.pick(TDD_PATTERNS) if tdd else "U"
        offset = d.integer(0, 9)
        whole = torch.tensor([pattern[(s + offset) % len(pattern)] == "U" for s in range(subframes)])
        up = whole[:, None].expand(-1, symbols)
        re = lte_uplink(n_rb, up, load, rng)
        scs, rate, first = SCS, NFFT[n_rb] * SCS, (0.5 - 6 * n_rb) * SCS
    else:
        usable = [(scs, n) for scs, widths in NR_N_RB.items() for mhz, n in widths.items() if mhz * 1e6 <= max_bandwidth]
        if not usable:
            raise DataError(f"no NR carrier fits into {max_bandwidth:g} Hz")
        scs, n_rb = d.pick(usable)
        slot = 15 / scs
        first_slot = d.integer(0, 39)
        slots = int(duration / slot) + 2
        start, cp = nr_symbol_times(scs, first_slot, slots, (first_slot + d.uniform()) * slot)
        pattern = d.pick(_NR_PATTERNS) if tdd else "U"
        whole = torch.tensor([pattern[(s + first_slot) % len(pattern)] == "U" for s in range(slots)])
        up = whole[:, None].expand(-1, 14)
        re = nr_uplink(n_rb, up, load, rng)
        rate, first = scs * (1 << (12 * n_rb).bit_length()), -6.0 * n_rb * scs
    sent = re != 0
    rows = up.reshape(-1)
    if bool(sent.any()):
        re = re / re[sent].abs().square().mean().sqrt()
    grid = Grid(re[rows], float(scs), first, start[rows], cp[rows])
    info = {"standard": standard, "prb": n_rb, "scs": float(scs), "tdd": tdd, "load": load}
    return OfdmWaveform(label or standard, "uplink", grid.band, [grid], float(rate), duration, info)
