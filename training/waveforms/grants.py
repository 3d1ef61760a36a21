# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a scheduler of either standard shares one slot out among several terminals."""

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
