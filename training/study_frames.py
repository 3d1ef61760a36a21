# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames of the study: the paper protocol as images of one size, made once for each front end and scene generator
(`generator`) and kept.

Seeds do not depend on the front end: both see the same scenes. Validation and test frames are made as samples; so are
all of MathWorks' images, while our training frames take the fast path.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from training.data import CLASSES, TEST_SEEDS, VALIDATION_SEEDS
from training.errors import DataError
from training.evaluate import PAPER_LEVELS
from training.fastpath import fast_power
from training.generator import generator
from training.scene_draw import draw_scene
from training.scene_iq import scene_iq
from training.scene_model import mask_columns
from training.spectrogram import mathworks_image, normalise, pixel_power, with_legend
from training.writing import save

TRAINING_SEEDS = 1 << 32
AT_ONCE = 50  # frames between two writes: what a stop loses


@dataclass(frozen=True)
class Maker:
    """Makes and keeps sets under `folder`. rows divides columns: MathWorks' image is a square whose rows are thinned."""

    folder: Path
    front_end: str
    rows: int = 128
    columns: int = 128

    def training(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self._set("training", "paper", count, TRAINING_SEEDS, fast=True)

    def validation(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self._set("validation", "paper", count, VALIDATION_SEEDS)

    def test(self, count: int) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        """`count` frames at each noise level: the same scenes at all of them."""
        return {level: self._set(f"test-{level}", "paper-test", count, TEST_SEEDS, level_db=level) for level in PAPER_LEVELS}

    def _set(
        self, name: str, preset: str, count: int, seed: int, fast: bool = False, **fixed: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """-> images float32 [count, 1, rows, columns] and columns uint8 [count, columns]."""
        folder = self.folder / f"{self.front_end}-{self.rows}x{self.columns}-float32-{generator()}"
        folder.mkdir(parents=True, exist_ok=True)
        parts = []
        for first in tqdm(range(0, count, AT_ONCE), desc=f"{self.front_end} {name}", unit="part", disable=None):
            last = min(first + AT_ONCE, count)
            path = folder / f"{name}-{first}-{last}.pt"
            if not path.exists():
                made = [self._frame(preset, seed + i, fast, fixed) for i in range(first, last)]
                save({"images": torch.stack([m[0] for m in made]), "columns": torch.stack([m[1] for m in made])}, path)
            parts.append(torch.load(path, weights_only=True))
        images, columns = (torch.cat([p[key] for p in parts]) for key in ("images", "columns"))
        return images, columns

    def _frame(self, preset: str, seed: int, fast: bool, fixed: dict) -> tuple[torch.Tensor, torch.Tensor]:
        if self.columns % self.rows:
            raise DataError(f"{self.columns} columns are no multiple of {self.rows} rows")
        scene = draw_scene(preset, seed, **fixed)

        def ours(power: torch.Tensor) -> torch.Tensor:
            return with_legend(normalise(power), scene.count, scene.samp_rate)

        if self.front_end == "mathworks":
            step = self.columns // self.rows
            image = mathworks_image(scene_iq(scene)[None], self.columns)[0, :, step // 2 :: step]
        elif fast:
            image = ours(fast_power(scene, self.rows, self.columns)[None])
        else:
            image = ours(pixel_power(scene_iq(scene)[None], self.rows, self.columns))
        return image, torch.from_numpy(mask_columns(scene, self.columns, CLASSES))
