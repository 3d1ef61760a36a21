# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands beside LTE and NR on a random band: other systems, and terminals whose downlink is elsewhere."""

from __future__ import annotations

from dataclasses import replace

from training.scene_dice import Dice
from training.scene_model import LEAD, Emitter, heard_band
from training.scene_plan import SNR_DB, Plan, channel, find_place
from training.waveforms.others import random_other
from training.waveforms.uplink import random_uplink

UPLINK_SHARE = 0.16  # of neighbours: terminals of a carrier whose downlink is elsewhere
GSM_STRETCH = 0.5  # of the GSM carriers with others beside them: many, channel by channel
GSM_STRETCH_HZ = 1.5e6, 12e6  # how wide that is


def neighbour(dice: Dice, plan: Plan) -> list[Emitter]:
    """One neighbour; a GSM carrier seldom comes alone. None where none fits."""
    for _ in range(4):
        if dice.chance(UPLINK_SHARE) and plan.samp_rate > 5e6:
            waveform = random_uplink(dice.torch, plan.duration, 1.2 * plan.samp_rate)
        else:
            waveform = random_other(dice.torch, plan.duration + 2 * LEAD, plan.samp_rate)
        if heard_band(waveform, plan.duration) is None:
            continue
        low, high = waveform.carrier
        place = find_place(dice, plan, high - low, adjacent=dice.chance(0.2))
        if place is not None:
            break
    else:
        return []
    plan.taken.append((place - (high - low) / 2, place + (high - low) / 2))
    level = dice.uniform(*SNR_DB)
    found = [Emitter(waveform, place - (low + high) / 2, level, channel(dice, 0.6))]
    if waveform.kind == "gsm" and dice.chance(0.7):
        found += _further_gsm(dice, plan, found[0])
    return found


def _further_gsm(dice: Dice, plan: Plan, first: Emitter) -> list[Emitter]:
    """More carriers on the raster of a GSM carrier, 200 kHz (3GPP TS 45.005 2): some, or a stretch in which the cells around
    use many channels, some of them several cells at once."""
    away = [(low, high) for low, high in plan.taken if not low < first.center < high]
    if dice.chance(GSM_STRETCH):
        channels = max(3, round(dice.log_uniform(*GSM_STRETCH_HZ) / 200e3))
        lowest, used = -int(dice.uniform(0, channels)), dice.uniform(0.3, 1.0)
        cells = dice.pick(((1,), (1, 1, 2), (1, 2, 3)))
        places = [n for n in range(lowest, lowest + channels) if n and dice.chance(used) for _ in range(dice.pick(cells))]
    else:
        places = dice.plan.permutation([n for n in range(-36, 37) if n])[: dice.pick((2, 4, 7))].tolist()
    found = []
    for number, place in enumerate(places):
        center = first.center + 200e3 * place
        if abs(center) >= plan.samp_rate / 2 or any(low - 1e5 < center < high + 1e5 for low, high in away):
            continue
        plan.taken.append((center - 1e5, center + 1e5))
        waveform = replace(first.waveform, seed=first.waveform.seed + number + 1)
        if heard_band(waveform, plan.duration) is not None:
            found.append(Emitter(waveform, center, first.snr_db - dice.uniform(0, 25), channel(dice, 0.6)))
    return found
