# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Presets with a fixed band: the frames of the paper protocol (Dang et al., IEEE WCL 2025), and the demo's scene."""

from __future__ import annotations

from contextlib import suppress

import torch

from training.channel import make_channel
from training.errors import DataError
from training.impairments import Receiver
from training.scene_dice import Dice
from training.scene_model import SHORTEST_FRAME, Emitter, Scene
from training.waveforms.lte import lte_downlink
from training.waveforms.lte_random import random_lte
from training.waveforms.nr import NrConfig, Pdsch, Ssb, nr_downlink, random_nr
from training.waveforms.nr_random import paper_nr
from training.waveforms.others import Shaped

PAPER_RATE = 61.44e6  # samples/s
PAPER_MS = 40.0
PAPER_LEVELS_DB = (-10.0, 0.0, 10.0, 20.0, 30.0, None)  # signal over noise in the whole sampled band; None: no noise
PAPER_DOPPLER = (0.0, 10.0, 500.0)  # Hz
NOISELESS_DB = 100.0


def paper(dice: Dice, level_db: float | str | None = None) -> Scene:
    """A training frame of the paper protocol: one signal, LTE or NR, with nominal labels.

    level_db: one of the six levels ("none": without noise), else drawn.
    """
    return _paper_scene(dice, [dice.pick(("LTE", "NR"))], level_db)


def paper_test(dice: Dice, level_db: float | str | None = None) -> Scene:
    """A test frame of the paper protocol: LTE and NR together, a random gap between them."""
    return _paper_scene(dice, ["LTE", "NR"] if dice.chance(0.5) else ["NR", "LTE"], level_db)


def _paper_scene(dice: Dice, labels: list[str], level_db: float | str | None) -> Scene:
    drawn = dice.pick(PAPER_LEVELS_DB)
    if level_db is not None:
        drawn = _level(level_db)
    duration = PAPER_MS * 1e-3
    while True:  # an NR channel of 50 MHz leaves no room for LTE of 15 or 20
        waveforms = [_paper_waveform(dice, label, duration) for label in labels]
        widths = [w.info["bandwidth"] for w in waveforms]
        if (free := PAPER_RATE - sum(widths)) >= 0:
            break
    # the free band is cut at random places: before, between and after the channels
    cuts = sorted(dice.uniform(0, free) for _ in widths)
    centers, low = [], -PAPER_RATE / 2
    for width, cut, last in zip(widths, cuts, [0.0, *cuts], strict=False):
        low += cut - last
        centers.append(low + width / 2)
        low += width
    emitters = [Emitter(w, c, 0.0, make_channel("flat", 0.0, dice.pick(PAPER_DOPPLER), dice.torch))
                for w, c in zip(waveforms, centers, strict=True)]
    level = NOISELESS_DB if drawn is None else drawn
    # both at the power their generator gives them: one density for all, set by their sum over the whole band
    density = 10 ** (level / 10) * PAPER_RATE / sum(e.mean_bandwidth(duration) for e in emitters)
    for emitter in emitters:
        emitter.set_density(density, duration)
    return Scene(PAPER_RATE, round(PAPER_RATE * duration), emitters, None, dice.seed, dice.preset, nominal=True,
                 info={"level_db": drawn})


def _level(asked: float | str) -> float | None:
    """One of PAPER_LEVELS_DB as a number or text; DataError for any other."""
    if asked == "none":
        return None
    with suppress(ValueError):
        if (level := float(asked)) in PAPER_LEVELS_DB:
            return level
    raise DataError(f"the paper protocol has no noise level {asked}: -10, 0, 10, 20, 30 dB or none")


def _paper_waveform(dice: Dice, label: str, duration: float):
    if label == "NR":
        while True:  # a frame in which an SSB-less bitmap meets no data holds nothing
            waveform = nr_downlink(paper_nr(dice.torch), duration, dice.torch)
            if waveform.active is not None:
                return waveform
    config = random_lte(dice.torch, load="partial", duplex="fdd", bandwidth=1e6 * dice.pick((5, 10, 15, 20)), mbsfn=(),
                        normal_cp=True, scheduling="steady", pdsch_db=0.0, spread_db=0.0)
    config.load = dice.uniform(0.3, 1.0)
    return lte_downlink(config, duration, dice.torch)


DEMO_RATE = 61.44e6


def demo(dice: Dice, frame_ms: float = 200.0) -> Scene:
    """What a busy band looks like: two LTE carriers, two NR carriers and a WCDMA neighbour cut by the band's edge."""
    duration = frame_ms * 1e-3
    if duration < SHORTEST_FRAME:
        raise DataError(f"a frame of {frame_ms:g} ms is shorter than {SHORTEST_FRAME * 1e3:g} ms")
    rng = dice.torch
    always = torch.tensor([[-1.0, duration + 1.0]], dtype=torch.float64)
    wcdma = Shaped("wcdma", (-1.92e6, 1.92e6), 7.68e6, always, duration, ("linear", 2, 0.22, 4), dice.seed)
    lte_10 = random_lte(rng, load="bursty", duplex="fdd", bandwidth=10e6, normal_cp=True, ports=2, mbsfn=())
    lte_20 = random_lte(rng, load="partial", duplex="tdd", bandwidth=20e6, normal_cp=True, ports=2, tdd=2, special=7)
    nr_10 = random_nr(rng, load="bursty", duplex="fdd", bandwidth=10e6, scs=15e3)
    nr_10.ssb = Ssb("A", (True, False, False, False), -120 * 15e3, 0.020)
    nr_15 = NrConfig(15e6, 30e3, pci=dice.pick(tuple(range(1008))), ssb=Ssb("C", (True,) * 4, -120 * 30e3, 0.020),
                     pdsch=(Pdsch(((0, 38),), activity=0.4, burst=3.0, allocation="rbg", fill=0.6),),
                     coresets=random_nr(rng, load="bursty", bandwidth=15e6, scs=30e3).coresets,
                     tdd=random_nr(rng, duplex="tdd", bandwidth=15e6, scs=30e3).tdd)
    emitters = [
        Emitter(lte_downlink(lte_10, duration, rng), -25.0e6, 18.0, make_channel("EVA", 0.0, 5.0, rng), 20.0),
        Emitter(lte_downlink(lte_20, duration, rng), -9.5e6, 24.0, make_channel("C", 1e-7, 5.0, rng), 20.0),
        Emitter(nr_downlink(nr_10, duration, rng), 6.5e6, 15.0, make_channel("A", 1e-7, 5.0, rng), 20.0),
        Emitter(nr_downlink(nr_15, duration, rng), 19.5e6, 21.0, make_channel("C", 2e-7, 5.0, rng), 20.0),
        Emitter(wcdma, 29.4e6, 12.0, make_channel("EPA", 0.0, 5.0, rng)),
    ]
    receiver = Receiver(tilt_db=1.0, edge=0.46, edge_db=6.0, dc_db=8.0, iq_db=55.0, bits=12)
    return Scene(DEMO_RATE, round(DEMO_RATE * duration), emitters, receiver, dice.seed, dice.preset)
