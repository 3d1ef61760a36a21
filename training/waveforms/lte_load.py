# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of an LTE carrier's PRB pairs carry data in each subframe, and how strongly."""

from __future__ import annotations

import torch

from training.waveforms.grants import on_and_off, shared_out
from training.waveforms.lte_config import LteConfig


def allocation(config: LteConfig, index: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Amplitude of the data of each PRB pair, 0 where idle, float32 [subframes, n_rb].

    index: int64 [subframes], subframes since the even frame at which the broadcast period began.
    """
    count, n_rb = len(index), config.n_rb
    used = torch.zeros(count, n_rb, dtype=torch.bool)
    version, versions = torch.zeros(count, dtype=torch.long), 1
    part = torch.arange(n_rb) // (n_rb if config.contiguous else config.block)
    if config.load > 0:
        hold = {"steady": float("inf"), "subframe": 1.0, "held": config.hold}[config.scheduling]
        version = torch.cumsum((torch.rand(count, generator=rng) < 1 / hold).long(), 0)
        versions = int(version[-1]) + 1
        if config.shared:
            drawn, part = shared_out(versions, n_rb, config.load, rng)
        elif config.contiguous:
            wide = (config.load * n_rb * (0.7 + 0.6 * torch.rand(versions, generator=rng))).clamp(1, n_rb).round()
            low = (torch.rand(versions, generator=rng) * (n_rb - wide + 1)).floor()
            prb = torch.arange(n_rb)
            drawn = (prb >= low[:, None]) & (prb < (low + wide)[:, None])
            if config.load >= 1:
                drawn[:] = True
        else:
            groups = -(-n_rb // config.block)
            drawn = torch.rand(versions, groups, generator=rng) < config.load
            drawn = drawn.repeat_interleave(config.block, 1)[:, :n_rb]
        used = drawn[version] & on_and_off(count, config.activity, config.burst, rng)[:, None]
        used[torch.isin(index % 10, torch.tensor(config.unused))] = False
    part = part.expand(versions, -1)
    level = torch.randn(versions, int(part.max()) + 1, generator=rng).gather(1, part)[version]
    if config.system_info:
        # SIB1: subframe 5 of even frames, TS 36.331 5.2.1.2
        low = int(torch.rand(1, generator=rng) * (n_rb - config.system_info + 1))
        used[index % 20 == 5, low : low + config.system_info] = True
    return used * 10 ** ((config.pdsch_db + config.spread_db * level) / 20)
