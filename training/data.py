# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes as training examples: image float32 [1, T, F] and the class of each column, uint8 [F]."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from training.augment import second_look
from training.errors import DataError
from training.fast_mixing import Frame
from training.generator import generator
from training.scene_draw import draw_scene
from training.scene_images import (
    CLASSES,
    COLUMNS,
    ROWS,
    ImageSet,
    made_as_samples,
    open_images,
    read_truth,
    scene_power,
)
from training.scene_iq import scene_iq
from training.scene_model import Scene, mask_columns
from training.spectrogram import mathworks_image, normalise, with_legend
from training.workers import begin
from training.writing import save

Example = tuple[torch.Tensor, torch.Tensor]
FRONT_ENDS = ("ata", "mathworks")
VALIDATION_SEEDS = 1 << 40  # validation scenes count from here, far from any training seed
TEST_SEEDS = 1 << 41
MOST_SEED = (VALIDATION_SEEDS >> 32) - 1  # of a training, whose scenes count from its seed << 32
APART = 12  # batches between two looks of a scene; what most numbers of workers divide, so that the same one has both
MOST_SEEN = 1024  # scenes, 256 kB each
CACHE = Path(__file__).resolve().parent.parent / "data"


class Source(Protocol):
    """Examples by number: the same number is always the same example. looks: how many there are of each scene, one after
    the other."""

    looks: int

    def __getitem__(self, index: int) -> Example: ...


@dataclass
class Drawn:
    """Endless scenes of a preset.

    Args:
        first: seed of example 0.
        iq_share: how many scenes are made as samples (`made_as_samples`).
        front_end: `ata` as the block sees it, or `mathworks`, which needs samples.
        fixed: parameters of the preset.
        looks: 2 to use each scene twice, as it is and through another receiver (`augment`); only for `ata`.
        device: where samples are made and transformed; the images come back to the CPU.
    """

    preset: str
    first: int
    iq_share: float = 0.05
    front_end: str = "ata"
    fixed: dict = field(default_factory=dict)
    looks: int = 1
    device: str = "cpu"
    _seen: dict = field(default_factory=dict, repr=False)  # scenes of which another look is to come

    def __getitem__(self, index: int) -> Example:
        number, look = divmod(index, self.looks)
        if self.front_end == "mathworks":
            scene = self._scene(number)
            columns = torch.from_numpy(mask_columns(scene, COLUMNS, CLASSES))
            return mathworks_image(scene_iq(scene, self.device)[None], COLUMNS)[0].cpu(), columns
        if (seen := self._seen.pop(number, None)) is None:
            scene = self._scene(number)
            power = scene_power(scene, made_as_samples(scene, number, self.iq_share), self.device)
            frame = Frame(scene.samp_rate, scene.count, ROWS, COLUMNS)
            seen = frame, power, torch.from_numpy(mask_columns(scene, COLUMNS, CLASSES))
        if look + 1 < self.looks:
            keep(self._seen, number, seen)
        frame, power, columns = seen
        if look:
            power, columns = second_look(power, columns, frame, self.first + number)
        return with_legend(normalise(power[None]), frame.count, frame.samp_rate), columns

    def _scene(self, number: int) -> Scene:
        return draw_scene(self.preset, self.first + number, **self.fixed)


def keep(seen: dict, number: int, scene: tuple) -> None:
    """Keeps what another look at a scene is to come of; of more than `MOST_SEEN` the oldest go."""
    seen[number] = scene
    while len(seen) > MOST_SEEN:
        del seen[next(iter(seen))]


class Stored:
    """A folder written by `scene.py --images`, shuffled anew each time round; `info` is its set.json."""

    looks = 1

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder, seed
        self.info = info = open_images(folder).info
        if (info["rows"], info["columns"], tuple(info["classes"])) != (ROWS, COLUMNS, CLASSES):
            raise DataError(f"{folder} holds {info['rows']} x {info['columns']} frames of {info['classes']}")
        if info["done"] < 1:
            raise DataError(f"{folder} holds no complete frame")
        self.opened: ImageSet | None = None  # in the process that reads
        self.scales = [(line["count"], line["samp_rate"]) for line in read_truth(folder)]
        self.order: tuple[int, torch.Tensor] = (-1, torch.empty(0))

    def __getitem__(self, index: int) -> Example:
        turn, place = divmod(index, self.info["done"])
        if self.order[0] != turn:
            chance = torch.Generator().manual_seed(self.seed * 7919 + turn)
            self.order = turn, torch.randperm(self.info["done"], generator=chance)
        frame = int(self.order[1][place])
        if self.opened is None:
            self.opened = open_images(self.folder)
        level = torch.from_numpy(self.opened.level[frame].astype("float32"))
        image = with_legend(normalise(10 ** (level / 10)[None]), *self.scales[frame])
        return image, torch.from_numpy(self.opened.mask[frame].copy())


class Batches(IterableDataset):
    """Endless batches (images [B, 1, T, F], columns [B, F]); which examples are in batch n depends on nothing but n.

    A scene's looks are in different batches: gradients and batch norms of a batch are those of so many scenes.

    Args: batch: examples in each. start: number of the first. rank, ranks: this process among those that train.
    """

    def __init__(self, source: Source, batch: int, start: int = 0, rank: int = 0, ranks: int = 1) -> None:
        self.source, self.batch, self.start, self.rank, self.ranks = source, batch, start, rank, ranks

    def __iter__(self) -> Iterator[Example]:
        worker = get_worker_info()
        number, step = (self.start, 1) if worker is None else (self.start + worker.id, worker.num_workers)
        looks = self.source.looks
        while True:
            turn, place = divmod(number, APART * looks)
            look, place = divmod(place, APART)
            first = ((turn * APART + place) * self.ranks + self.rank) * self.batch
            examples = (self.source[(first + i) * looks + look] for i in range(self.batch))
            images, columns = zip(*examples, strict=True)
            yield torch.stack(images), torch.stack(columns)
            number += step

    def loader(self, workers: int) -> Iterator[Example]:
        """The same from worker processes, in order."""
        # CUDA does not outlive a fork
        afresh = workers and torch.device(getattr(self.source, "device", "cpu")).type != "cpu"
        return iter(DataLoader(self, None, num_workers=workers, worker_init_fn=begin if workers else None,
                               prefetch_factor=2 if workers else None,
                               multiprocessing_context="spawn" if afresh else None))  # fmt: skip


def fixed_set(
    preset: str, count: int, first_seed: int, workers: int = 0, front_end: str = "ata", batch: int = 16, **fixed: object
) -> list[Example]:
    """Batches of `count` scenes from `first_seed` on, always as samples: for validation and tests.

    They are kept under data/ in float32, for the legend tells frequencies, and under a name that `generator` is part of:
    another one never finds what this one made.
    """
    asked = f"{generator()} float32 {preset} {count} {first_seed} {front_end} {sorted(fixed.items())}".encode()
    path = CACHE / f"{preset}-{count}-{hashlib.sha256(asked).hexdigest()[:16]}.pt"
    if path.exists():
        kept = torch.load(path, weights_only=True)
    else:
        loader = Batches(Drawn(preset, first_seed, 1.0, front_end, fixed), 1).loader(workers)
        parts = [next(loader) for _ in range(count)]
        kept = {"images": torch.cat([p[0] for p in parts]), "columns": torch.cat([p[1] for p in parts])}
        path.parent.mkdir(exist_ok=True)
        save(kept, path)
    return list(zip(kept["images"].split(batch), kept["columns"].split(batch), strict=True))
