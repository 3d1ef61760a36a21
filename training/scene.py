# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes: everything a user of the generator needs, by one name."""

from training.fastpath import fast_power
from training.scene_draw import PRESETS, draw_scene
from training.scene_iq import scene_iq
from training.scene_model import Emitter, Scene, Truth, mask_columns, truth

__all__ = ["PRESETS", "Emitter", "Scene", "Truth", "draw_scene", "fast_power", "mask_columns", "scene_iq", "truth"]
