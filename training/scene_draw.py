# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes by chance: `draw_scene` is the way in, `PRESETS` lists what it draws."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from training.errors import DataError
from training.scene_dice import Dice
from training.scene_model import Scene
from training.scene_presets import demo, paper, paper_test
from training.scene_wideband import wideband

PRESETS: dict[str, Callable[..., Scene]] = {
    "wideband": wideband,
    "paper": paper,
    "paper-test": paper_test,
    "demo": demo,
}


def draw_scene(preset: str, seed: int, **fixed) -> Scene:
    """The scene of a preset and a seed, the same on every CPU.

    fixed: parameters of the preset's own function, such as `samp_rate` (Hz) and `frame_ms`. DataError for an unknown
    preset or parameter.
    """
    if preset not in PRESETS:
        raise DataError(f"no preset is called {preset!r}: choose one of {', '.join(PRESETS)}")
    for name in fixed:
        known = list(inspect.signature(PRESETS[preset]).parameters)[1:]
        if name not in known:
            raise DataError(f"preset {preset!r} has no parameter {name!r}: {', '.join(known)} can be set")
    return PRESETS[preset](Dice(preset, seed), **fixed)
