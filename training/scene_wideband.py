# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The preset `wideband`: any band a radio may show.

Class and nuisance are kept apart: duplexing, load, level, place, rate, frame length, channel and, where both
standards have it, bandwidth are drawn the same way for LTE and NR.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from training.channel import random_channel
from training.errors import DataError
from training.impairments import random_receiver
from training.scene_dice import Dice
from training.scene_model import LEAD, SHORTEST_FRAME, Emitter, Scene, by_carrier, heard_band
from training.scene_neighbours import neighbour
from training.scene_plan import SNR_DB, Plan, channel, find_place
from training.waveforms.grants import LOADS, TDD_SHARE
from training.waveforms.lte import lte_downlink
from training.waveforms.lte_random import random_lte
from training.waveforms.nr import Tdd, nr_downlink, random_nr
from training.waveforms.nr_dss import random_dss
from training.waveforms.nr_tables import N_RB
from training.waveforms.ofdm import OfdmWaveform
from training.waveforms.others import random_other

# MS/s: what radios and recordings use, and how often; the rest is spread evenly over the logarithm.
RATES = {1.92: 2, 2.4: 2, 2.56: 1, 3.84: 2, 5: 2, 7.68: 3, 10: 4, 11.52: 3, 15.36: 5, 19.2: 5, 20: 5, 23.04: 6, 25: 3,
         30.72: 7, 38.4: 2, 40: 3, 46.08: 3, 50: 2, 56: 2, 61.44: 8, 80: 1.5, 100: 1.5, 122.88: 3}  # fmt: skip
USUAL_RATE = 0.82
FRAME_MS = {1.0: 18, 2.0: 5, 5.0: 7, 10.0: 16, 20.0: 10, 40.0: 24}  # ms; the rest log-uniform
USUAL_FRAME = 0.62
CHANNEL_MHZ = {1.4: 1, 3: 1, 5: 3, 10: 5, 15: 3, 20: 6, 25: 1, 30: 1.5, 35: 0.3, 40: 2, 45: 0.3, 50: 1.5, 60: 1, 70: 0.5,
               80: 1, 90: 0.5, 100: 1.5}  # fmt: skip
SEVERAL_CELLS = 0.3  # of the carriers that fade: more base stations on the frequency
# Of the carriers in light use that fade: a base station nearby, and the traffic of those further away beneath it.
NEARBY = 0.4
NEARBY_DB = 10.0, 30.0  # by which theirs is weaker
BUSY = {name: LOADS[name] for name in ("bursty", "partial", "full")}
LATEST = 10e-6  # s by which a base station in step arrives after the first: 3 km further away
SLICED = 20e6  # Hz: much narrower bands are often a slice of something up to that wide, as an RTL-SDR sees it
FULL_OF_OTHERS = 0.35  # of the bands that one emitter fills: neither LTE nor NR
SHARED_SPECTRUM = 0.08  # of the NR carriers that LTE may share
GOOD_FILTER = 0.75  # share of receivers that let nothing fold in: what folds has no truth, and often no telling mark
CLEAN_SHARE = 0.04  # of the scenes: so far over the noise that what leaks and quantises is the floor, as in a simulator's
CLEAN_DB = (20.0, 60.0)  # by which those are raised
CLEAN_RECEIVERS = 0.3  # of those that keep their receiver
SHORTEST = 1024  # samples of a frame, as the block takes them
RATE_STEP = 5e3  # Hz; rates of a whole number of these let every standard's sample grid meet the scene's


def wideband(dice: Dice, samp_rate: float | None = None, frame_ms: float | None = None, crowded: float = 0.0) -> Scene:
    """A random scene at a random rate (Hz) and frame length (ms), or at those given.

    crowded: how often the band is one where carriers stand side by side with guards of a few columns, which takes more to
    learn than its share in other bands gives.
    """
    rate = samp_rate or _rate(dice)
    if not 0.5e6 <= rate <= 245.76e6:
        raise DataError(f"a sample rate of {rate:g} Hz is outside 0.5 to 245.76 MS/s")
    duration = (frame_ms or _frame_ms(dice)) * 1e-3
    if not SHORTEST_FRAME <= duration <= 0.1:
        raise DataError(f"a frame of {duration * 1e3:g} ms is outside 0.5 to 100 ms")
    count = max(SHORTEST, round(duration * rate))
    plan = Plan(rate, count / rate, [], crowded > 0 and dice.chance(crowded))
    story = "several" if plan.crowded else dice.pick({name: weight for name, (weight, _) in _STORIES.items()})
    emitters = _STORIES[story][1](dice, plan)
    _limit_range(dice, emitters)
    receiver = random_receiver(dice.torch) if dice.chance(0.85) else None
    if receiver and dice.chance(GOOD_FILTER):
        receiver.fold_db += 40.0
    clean = bool(emitters) and dice.chance(CLEAN_SHARE)
    if clean:
        raised = dice.uniform(*CLEAN_DB)
        for emitter in emitters:
            emitter.snr_db += raised
        receiver = receiver if dice.chance(CLEAN_RECEIVERS) else None
    return Scene(rate, count, emitters, receiver, dice.seed, dice.preset, info={"story": story, "clean": clean})


def _rate(dice: Dice) -> float:
    rate = dice.pick(RATES) * 1e6 if dice.chance(USUAL_RATE) else dice.log_uniform(0.5e6, 245.76e6)
    return round(rate / RATE_STEP) * RATE_STEP


def _frame_ms(dice: Dice) -> float:
    if dice.chance(USUAL_FRAME):
        return dice.pick(FRAME_MS)
    return dice.log_uniform(5, 40) if dice.chance(0.7) else dice.log_uniform(0.5, 80)


def _nothing(dice: Dice, plan: Plan) -> list[Emitter]:
    return []


def _neighbours(dice: Dice, plan: Plan) -> list[Emitter]:
    """Other systems alone: what must not be called LTE or NR."""
    return [e for _ in range(dice.pick({1: 4, 2: 3, 3: 2, 5: 1})) for e in neighbour(dice, plan)]


def _whole_band(dice: Dice, plan: Plan) -> list[Emitter]:
    """A carrier or a neighbour that nearly fills the band, or is cut by both its edges."""
    rate = plan.samp_rate
    if rate < 0.6 * SLICED and dice.chance(0.4):
        width = dice.log_uniform(1.1 * rate, SLICED)
        center = dice.uniform(-0.5, 0.5) * (width - 0.5 * rate)
    else:
        width = rate * dice.pick({1.0: 3, dice.uniform(0.72, 1.12): 5, dice.uniform(1.1, 3): 1})
        center = dice.uniform(-0.06, 0.06) * rate
    if width > 4e6 and dice.chance(FULL_OF_OTHERS):
        kind = "wcdma" if width < 6.5e6 else "dvb-t" if width < 12e6 else "wifi"
        waveform = random_other(dice.torch, plan.duration + 2 * LEAD, width, kind)
        if heard_band(waveform, plan.duration) is not None:
            return [Emitter(waveform, center, dice.uniform(*SNR_DB), channel(dice, 0.6))]
    found = _carrier(dice, plan, near=width, center=center)
    if dice.chance(0.2):
        found += neighbour(dice, plan)
    return found


def _one(dice: Dice, plan: Plan) -> list[Emitter]:
    """One carrier somewhere, often alone."""
    found = _carrier(dice, plan)
    for _ in range(dice.pick({0: 6, 1: 3, 2: 1})):
        found += neighbour(dice, plan)
    return found


def _several(dice: Dice, plan: Plan) -> list[Emitter]:
    """Carriers of both standards and neighbours, side by side."""
    found = []
    for _ in range(dice.pick({2: 5, 3: 4, 4: 3, 5: 2, 6: 1, 8: 0.7})):
        if dice.chance(0.7):
            found += _carrier(dice, plan, adjacent=dice.chance(0.8 if plan.crowded else 0.5))
        else:
            found += neighbour(dice, plan)
    return found


_STORIES: dict[str, tuple[float, Callable[[Dice, Plan], list[Emitter]]]] = {
    "nothing": (4, _nothing),
    "neighbours": (20, _neighbours),
    "whole band": (24, _whole_band),
    "one": (26, _one),
    "several": (26, _several),
}


def _carrier(dice: Dice, plan: Plan, near: float | None = None, center: float | None = None,
             adjacent: bool = False) -> list[Emitter]:
    """One LTE or NR carrier, now and then from several base stations; none where nothing fits.

    near: Hz, the channel bandwidth to come close to. adjacent: beside a channel that is there already.
    """
    for _ in range(4):
        label, bandwidth, scs = _channel_width(dice, plan, near)
        place = center if center is not None else find_place(dice, plan, bandwidth, adjacent)
        if place is not None:
            break
    else:
        return []
    traits = {"duplex": "tdd" if dice.chance(TDD_SHARE) else "fdd", "load": dice.pick(LOADS)}
    waveform = _downlink(dice, plan, label, bandwidth, scs, traits)
    if waveform is None:
        return []
    plan.taken.append((place - bandwidth / 2, place + bandwidth / 2))
    level = dice.uniform(*SNR_DB)
    shoulder = dice.uniform(8, 30) if dice.chance(0.8) else 0.0
    found = [Emitter(waveform, place, level, channel(dice, 0.75), shoulder)]
    nearby = traits["load"] in ("idle", "light") and dice.chance(NEARBY)
    if found[0].channel is not None and (nearby or dice.chance(SEVERAL_CELLS)):
        cell = len(plan.taken)
        found[0].cell = cell
        for number in range(dice.pick({1: 3, 2: 2})):
            traits = {"duplex": traits["duplex"], "load": dice.pick(BUSY if nearby else LOADS)}
            in_step = traits["duplex"] == "tdd" or dice.chance(0.5)
            if in_step:
                traits |= _in_step(waveform)
            other = _downlink(dice, plan, label, bandwidth, scs, traits)
            if other is not None:
                if in_step:
                    other = _later(other, np.random.default_rng([dice.seed, cell, number]).uniform(0, LATEST))
                if nearby:
                    below = dice.uniform(*NEARBY_DB)
                else:
                    below = dice.log_uniform(1, 25) if dice.chance(0.5) else dice.uniform(10, 35)
                found.append(Emitter(other, place + dice.uniform(-300, 300), max(level - below, SNR_DB[0]),
                                     random_channel(dice.torch), shoulder, cell))
    return found


def _in_step(waveform: OfdmWaveform) -> dict:
    """What base stations in step have in common: where the frame begins, and the directions of a TDD carrier."""
    info, tdd = waveform.info, waveform.info["tdd"]
    if waveform.kind == "lte":
        shared = ("start", "normal_cp") if tdd is None else ("start", "normal_cp", "tdd", "special")
        return {name: info[name] for name in shared}
    return {"start": info["start"]} | ({"tdd": Tdd(**tdd)} if tdd else {})


def _later(waveform: OfdmWaveform, delay: float) -> OfdmWaveform:
    """The waveform as it arrives `delay` s later."""
    return replace(waveform, grids=[replace(grid, start=grid.start + delay) for grid in waveform.grids])


def _channel_width(dice: Dice, plan: Plan, near: float | None) -> tuple[str, float, float]:
    """-> label, channel bandwidth and spacing, Hz: the width first, then the class by a coin where both have it."""
    widths = CHANNEL_MHZ
    if near is not None:
        closeness = {w: float(np.exp(-((np.log(w * 1e6 / near) / 0.18) ** 2))) + 1e-6 for w in widths}
        widths = {w: widths[w] * c for w, c in closeness.items()}
    else:
        most = plan.samp_rate / 1e6 * dice.pick({1.0: 8, 1.6: 2, 4.0: 1})
        widths = {w: p for w, p in widths.items() if w <= most} or {1.4: 1, 5: 1}
    mhz = dice.pick(widths)
    label = "NR" if mhz > 20 else "LTE" if mhz < 5 else "LTE" if dice.chance(0.5) else "NR"
    if label == "LTE":
        return label, mhz * 1e6, 15e3
    spacings = {scs: w for scs, w in {15000: 10, 30000: 10, 60000: 2}.items() if mhz in N_RB[scs]}
    return label, mhz * 1e6, float(dice.pick(spacings))


def _downlink(dice: Dice, plan: Plan, label: str, bandwidth: float, scs: float, traits: dict):
    """The carrier's stretch; redrawn while its base station is silent: short frames are to be no less NR than LTE, and
    terminals alone are a neighbour like any other."""
    for _ in range(6):
        if label == "LTE":
            config = random_lte(dice.torch, bandwidth=bandwidth, **traits)
            waveform = lte_downlink(config, plan.duration, dice.torch)
        else:
            shareable = scs == 15e3 and bandwidth in (10e6, 15e6, 20e6) and traits["duplex"] == "fdd"
            if shareable and dice.chance(SHARED_SPECTRUM):
                started = {"start": traits["start"]} if "start" in traits else {}
                config = random_dss(dice.torch, bandwidth=bandwidth, **started)
            else:
                config = random_nr(dice.torch, bandwidth=bandwidth, scs=scs, **traits)
            waveform = nr_downlink(config, plan.duration, dice.torch)
        if waveform.has_downlink:
            return waveform
    return None


def _limit_range(dice: Dice, emitters: list[Emitter]) -> None:
    """No more than 40 dB between the strongest carrier and the weakest; several seldom differ so much. Base stations of one
    carrier are lifted together."""
    if not emitters:
        return
    strongest = max(e.snr_db for e in emitters)
    span = dice.uniform(0, 40) if dice.chance(0.7) else 40.0
    least = max(strongest - span, SNR_DB[0] - 6)
    for stations in by_carrier(emitters):
        lift = max(least - max(e.snr_db for e in stations), 0.0)
        for emitter in stations:
            emitter.snr_db += lift


