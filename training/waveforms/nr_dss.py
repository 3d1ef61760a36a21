# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dynamic spectrum sharing: an NR carrier at 15 kHz on an LTE carrier's frequency, matched around what LTE sends."""

from __future__ import annotations

from dataclasses import replace

import torch

from training.errors import DataError
from training.waveforms.draw import Draw
from training.waveforms.lte import lte_downlink
from training.waveforms.lte_random import random_lte
from training.waveforms.nr_config import Coreset, NrConfig, Ssb
from training.waveforms.nr_random import random_pdsch
from training.waveforms.nr_tables import SYMBOLS, n_rb
from training.waveforms.ofdm import OfdmWaveform

_BANDWIDTHS = (10e6, 15e6, 20e6)  # at 5 MHz both have 25 blocks, and LTE's empty DC subcarrier pushes it over NR's edge


def share_with_lte(config: NrConfig, wave: OfdmWaveform, rng: torch.Generator) -> OfdmWaveform:
    """Puts the LTE carrier `config.lte` over NR's grid; NR keeps off every element LTE uses (TS 38.214 5.1.4.2).

    Both stand on one 15 kHz raster with a common centre. The label is NR where NR is sent within the waveform's
    duration, else LTE. DataError where the two cannot share.
    """
    lte = config.lte
    if config.scs != 15e3 or lte.bandwidth != config.bandwidth or lte.bandwidth not in _BANDWIDTHS or not lte.normal_cp:
        raise DataError("LTE and NR share 10, 15 or 20 MHz at 15 kHz with the normal cyclic prefix")
    under = lte_downlink(replace(lte, start=config.start % 0.040), wave.duration, rng)
    main, theirs = wave.grids[0], under.grids[0]
    ours = bool(main.re[main.heard(wave.duration)].any())
    column = round((theirs.first_subcarrier - main.first_subcarrier) / main.scs)
    row = round(float(theirs.start[0] - main.start[0]) / 1e-3) * SYMBOLS
    first, last = max(0, row), min(len(main.re), row + len(theirs.re))
    shared = main.re[first:last, column : column + theirs.subcarriers]
    sent = theirs.re[first - row : last - row].to(shared)
    shared[:] = torch.where(sent != 0, sent, shared)
    wave.kind = "dss"
    if not ours:
        wave.label, wave.carrier = "LTE", under.carrier
    return wave


def random_dss(rng: torch.Generator, **fixed) -> NrConfig:
    """A random shared FDD carrier: LTE with some load of its own, NR's users in what it leaves.

    NR's sync block stands in an MBSFN subframe, whose symbols from the third on carry no CRS; its control follows
    LTE's; DM-RS stand on symbols 3 and 12, where no CRS are. `fixed` sets fields of `NrConfig`.
    """
    d = Draw(rng)
    bandwidth = fixed.get("bandwidth") or d.pick(_BANDWIDTHS)
    blocks = n_rb(bandwidth, 15e3)
    mbsfn = d.pick((1, 6))
    lte = random_lte(
        rng, duplex="fdd", bandwidth=bandwidth, normal_cp=True, mbsfn=(mbsfn,), pmch=False, control=d.integer(1, 2),
        load=d.pick(("idle", "light", "bursty", "partial")), ports=d.pick((1, 2, 4)),
    )  # fmt: skip
    config = NrConfig(bandwidth, 15e3, pci=d.integer(0, 1007), start=d.uniform(0, 0.16), lte=lte)
    block = d.pick((2, 3))  # of case A, the two in the second slot of a half frame
    place = -6.0 * blocks * 15e3 + 15e3 * d.integer(0, 12 * (blocks - 20))
    config.ssb = Ssb("A", tuple(i == block for i in range(4)), place, 0.020, 0.005 * (mbsfn // 5))
    config.coresets = (Coreset(0, blocks // 6 * 6, 1, 2, load=d.uniform(0.2, 3), levels=(2, 4, 8)),)
    users = []
    for _ in range(d.integer(0, 2)):
        width = d.integer(2, blocks)
        user = random_pdsch(d, ((d.integer(0, blocks - width), width),), 3, 3)
        user.mapping, user.start, user.symbols = "A", 3, 11
        user.dmrs_additional, user.dmrs_l1, user.dmrs_double, user.ptrs = d.integer(0, 1), 12, False, None
        user.activity, user.burst = d.pick((1.0, d.uniform(0.05, 0.9))), d.log_uniform(1, 10)
        # one radio sends both standards over one carrier's antennas: no beam that misses the receiver
        user.power_db, user.spread_db = 0.0 if d.chance(0.5) else d.uniform(-6, 6), 0.0
        users.append(user)
    config.pdsch = tuple(users)
    for name, value in fixed.items():
        setattr(config, name, value)
    return config
