# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a random band of the preset `wideband` settles first, and where on it a channel finds room."""

from __future__ import annotations

from dataclasses import dataclass

from training.channel import Channel, random_channel
from training.scene_dice import Dice

SNR_DB = (-4.0, 40.0)
NARROW_GAP = 0.5 / 256, 5 / 256  # of the band, between the channels of a crowded one; guards come on top


@dataclass
class Plan:
    """What `wideband` settles before it draws waveforms."""

    samp_rate: float
    duration: float
    taken: list[tuple[float, float]]  # channels on the band, Hz
    crowded: bool


def channel(dice: Dice, share: float) -> Channel | None:
    """A random channel, for this share of the emitters."""
    return random_channel(dice.torch) if dice.chance(share) else None


def find_place(dice: Dice, plan: Plan, width: float, adjacent: bool) -> float | None:
    """A centre for a channel of `width` Hz that meets no other; a fifth hangs over the band's edge."""
    half = plan.samp_rate / 2
    if dice.chance(0.03):
        return dice.uniform(-half, half)  # on top of what is there
    for _ in range(12):
        if adjacent and plan.taken:
            low, high = dice.pick(plan.taken)
            gap = dice.uniform(0, 0.02) * width
            if plan.crowded:
                gap = dice.log_uniform(*NARROW_GAP) * plan.samp_rate
            center = low - gap - width / 2 if dice.chance(0.5) else high + gap + width / 2
            if abs(center) > half + 0.3 * width:
                continue
        elif width >= 2 * half or dice.chance(0.2):
            center = dice.uniform(-half - 0.3 * width, half + 0.3 * width)
        else:
            center = dice.uniform(-half + width / 2, half - width / 2)
        if all(center + width / 2 <= low or center - width / 2 >= high for low, high in plan.taken):
            return center
    return None
