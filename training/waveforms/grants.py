# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What LTE and NR carriers have in common, so that it tells nothing: how often they are loaded and duplexed how, when a
scheduler has data to send, and how it shares one slot out among several terminals."""

from __future__ import annotations

import torch

PARTS = 6  # runs of blocks that a band is cut into
LOADS = {"idle": 0.12, "light": 0.22, "bursty": 0.24, "partial": 0.16, "full": 0.26}
TDD_SHARE = 0.4
UPLINK_DB = ((-25.0, 10.0), (10.0, 25.0))  # terminals re the downlink; the second one time in five: one is near
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
