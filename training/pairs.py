# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of the paper protocol as training examples: one signal each, and sums of two such frames.

The protocol trains on frames that hold one signal and tests on frames that hold two. What it trains on stays that; but
powers of signals that do not overlap add up, so two of its frames make one that looks like a frame of both.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from training.data import Example, keep
from training.scene_dice import stream
from training.scene_draw import draw_scene
from training.scene_images import CLASSES, COLUMNS, made_as_samples, scene_power
from training.scene_model import mask_columns
from training.scene_presets import PAPER_MS, PAPER_RATE
from training.spectrogram import normalise, with_legend

PRESET = "paper"


@dataclass
class Pairs:
    """Endless frames: each as it is, and then together with its neighbour's, where both find room.

    Both signals of a sum leave their transmitters with one density, as in a frame of the protocol's test; there it is what
    arrives, through fading, that is equal. The noise is that of both frames, so a sum's level is about the lower one.

    Args: first: seed of frame 0. iq_share, device: as for `data.Drawn`. looks: examples of a frame, always two.
    """

    first: int
    iq_share: float = 0.05
    device: str = "cpu"
    looks: int = field(default=2, init=False)
    _seen: dict = field(default_factory=dict, repr=False)  # what another example is to come of

    def __getitem__(self, index: int) -> Example:
        number, look = divmod(index, self.looks)
        power, columns, density = self._frame(number)
        if look:
            other = number ^ 1
            its_power, its_columns, its_density = self._frame(other)
            power, columns = together(power, columns, its_power * (density / its_density), its_columns, self.first + number)
            if other < number:  # the pair's second sum: nothing more is to come of either
                for done in (number, other):  # one may have gone to make room for the other
                    self._seen.pop(done, None)
        return with_legend(normalise(power[None]), round(PAPER_RATE * PAPER_MS * 1e-3), PAPER_RATE), columns

    def _frame(self, number: int) -> tuple[torch.Tensor, torch.Tensor, float]:
        """-> pixel powers float32 [T, F], classes uint8 [F], and the density, re the noise, with which a resource element
        of power 1 leaves its transmitter."""
        if number not in self._seen:
            scene = draw_scene(PRESET, self.first + number)
            power = scene_power(scene, made_as_samples(scene, number, self.iq_share), self.device)
            density = scene.emitters[0].gain(scene.duration)
            keep(self._seen, number, (power, torch.from_numpy(mask_columns(scene, COLUMNS, CLASSES)), density))
        return self._seen[number]


def together(
    power: torch.Tensor, columns: torch.Tensor, its_power: torch.Tensor, its_columns: torch.Tensor, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixel powers float32 [T, F] and classes uint8 [F] of two frames -> of their sum, the second moved in frequency to
    where nothing of the first is; the first frame alone where it does not fit."""
    own, its = columns > 0, (its_columns > 0).nonzero().flatten()
    if not len(its):
        return power, columns
    low, width = int(its[0]), int(its[-1] - its[0]) + 1
    taken = torch.nn.functional.pad(own.long().cumsum(0), (1, 0))
    free = (taken[width:] == taken[:-width]).nonzero().flatten()  # first columns of stretches that are wide enough
    if not len(free):
        return power, columns
    chance = stream("shift", seed)
    shift = int(free[torch.randint(len(free), (), generator=chance)]) - low
    return power + its_power.roll(shift, 1), torch.maximum(columns, its_columns.roll(shift, 0))
