# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a TDD carrier's terminals send between its downlink slots: PUSCH, PUCCH and SRS on the carrier's own grid."""

from __future__ import annotations

import torch

from training.waveforms.nr_config import NrConfig
from training.waveforms.nr_tables import SYMBOLS
from training.waveforms.ofdm import Grid
from training.waveforms.sequences import qam


def uplink_grid(config: NrConfig, main: Grid, slot: torch.Tensor, rng: torch.Generator) -> Grid:
    """A grid of the uplink symbols alone, with the same subcarriers as the downlink's `main`.

    Each uplink slot holds up to three terminals' contiguous PUSCH (DFT-s-OFDM or CP-OFDM, DM-RS on two symbols),
    PUCCH at the carrier's edges in the last two symbols and now and then an SRS comb; special slots only SRS.
    """
    tdd, subcarriers, device = config.tdd, main.subcarriers, main.re.device
    blocks = subcarriers // 12
    symbols = {"D": 0, "S": tdd.uplink, "U": SYMBOLS}
    count = torch.tensor([symbols[c] for c in tdd.pattern])[slot % len(tdd.pattern)]
    rows = (torch.arange(SYMBOLS) >= SYMBOLS - count[:, None]).reshape(-1)
    index = torch.full((len(rows),), -1)
    index[rows] = torch.arange(int(rows.sum()))
    re = torch.zeros(int(rows.sum()), subcarriers, dtype=torch.complex64, device=device)
    scale = 10 ** (tdd.uplink_db / 20)

    def draw(n: int) -> list[float]:
        return torch.rand(n, generator=rng, device=device).tolist()

    firsts, lasts = index[::SYMBOLS].tolist(), index[SYMBOLS - 1 :: SYMBOLS].tolist()
    for row, last in zip(firsts, lasts, strict=True):
        full = row >= 0
        on, srs, pucch, transform, split, *users = draw(8)
        if last < 0:
            continue
        if full and on < min(1.0, 2 * tdd.uplink_load):
            low = 0
            for u in range(1 + int(split * 3)):
                high = min(blocks, low + max(1, round(users[u] * 2 * tdd.uplink_load * blocks)))
                if high > low:
                    width = (high - low) * 12
                    data = qam(16, SYMBOLS * width, rng).view(SYMBOLS, width)
                    if transform < 0.5:
                        data = torch.fft.fft(data, norm="ortho")
                    data[[2, 11]] = qam(4, 2 * width, rng).view(2, width)
                    re[row : row + SYMBOLS, low * 12 : high * 12] = data * scale
                low = high + int(on * 4)
        if full and pucch < 0.5:
            edge = slice(0, 12) if pucch < 0.25 else slice(subcarriers - 12, subcarriers)
            re[last - 1 : last + 1, edge] = qam(4, 24, rng).view(2, 12) * scale
        if srs < 0.15:
            re[last] = 0
            comb = torch.arange(int(split * 4) % 2, subcarriers // 4 * 4, 2 if transform < 0.5 else 4, device=device)
            re[last, comb] = qam(4, len(comb), rng) * scale
    return Grid(re, main.scs, main.first_subcarrier, main.start[rows], main.cp[rows])
