# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a scheduler of either standard has data to send, and how it shares one slot out among several terminals."""

from __future__ import annotations

import torch

PARTS = 6  # runs of blocks that a band is cut into
SHARED_OUT = 0.3  # of the LTE and NR carriers whose data come in bursts


def shared_out(draws: int, blocks: int, fill: float, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Cuts `blocks` resource blocks anywhere, `draws` times, and grants each part with the chance `fill`.

    -> bool [draws, blocks], the blocks granted, and int64 [draws, blocks], the part that each is in.
    """
    cuts = torch.rand(draws, PARTS - 1, generator=rng, device=rng.device).cpu() * blocks
    part = (torch.arange(blocks) >= cuts[..., None]).sum(1)
    granted = (torch.rand(draws, PARTS, generator=rng, device=rng.device) < fill).cpu()
    return granted.gather(1, part), part


def on_and_off(count: int, activity: float, burst: float, rng: torch.Generator) -> torch.Tensor:
    """bool [count]: on for `activity` of the time in the mean, in runs of `burst` slots or subframes in the mean."""
    if activity >= 1:
        return torch.ones(count, dtype=torch.bool)
    if activity <= 0:
        return torch.zeros(count, dtype=torch.bool)
    burst = max(burst, activity / (1 - activity), 1.0)  # a pause lasts one slot at least
    end, begin = 1 / burst, activity / (1 - activity) / burst
    first, *draws = torch.rand(count + 1, generator=rng, device=rng.device).tolist()
    on, found = first < activity, []
    for draw in draws:
        found.append(on)
        on = draw >= end if on else draw < begin
    return torch.tensor(found, dtype=torch.bool)
