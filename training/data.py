# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes as training examples: image float32 [1, T, F] and the class of each column, uint8 [F]."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from training.fastpath import fast_power
from training.scene_draw import draw_scene
from training.scene_iq import scene_iq
from training.scene_model import Scene, mask_columns
from training.spectrogram import normalise, pixel_power

ROWS = COLUMNS = 256
CLASSES = ("noise", "LTE", "NR", "other")
VALIDATION_SEEDS = 1 << 40  # validation scenes count from here, far from any training seed
TEST_SEEDS = 1 << 41


def example(scene: Scene, use_iq: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """A scene's image and columns, from samples with every fault, or from the fast path."""
    power = pixel_power(scene_iq(scene)[None], ROWS, COLUMNS) if use_iq else fast_power(scene, ROWS, COLUMNS)[None]
    return normalise(power), torch.from_numpy(mask_columns(scene, COLUMNS, CLASSES))


class Scenes(IterableDataset):
    """Endless scenes of a preset, drawn on the fly; example i of a run is always the same scene.

    Args: preset: of `scene_draw`. seed: of the run. iq_share: how many are made as samples. start: first example.
    """

    def __init__(self, preset: str, seed: int, iq_share: float = 0.1, start: int = 0) -> None:
        self.preset, self.seed, self.iq_share, self.start = preset, seed, iq_share, start

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        torch.set_num_threads(1)
        worker = get_worker_info()
        index, step = (self.start, 1) if worker is None else (self.start + worker.id, worker.num_workers)
        period = round(1 / self.iq_share) if self.iq_share else 0
        while True:
            scene = draw_scene(self.preset, (self.seed << 32) + index)
            yield example(scene, bool(period) and (index // step) % period == 0)
            index += step


class FixedScenes(Dataset):
    """The first `count` scenes from `first_seed` on, always as samples: for validation and tests."""

    def __init__(self, preset: str, count: int, first_seed: int = VALIDATION_SEEDS) -> None:
        self.preset, self.count, self.first_seed = preset, count, first_seed

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        if not 0 <= index < self.count:
            raise IndexError(index)
        return example(draw_scene(self.preset, self.first_seed + index), True)
