# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Training sets on disk: spectrograms and masks as memory-mapped arrays.

A set is a folder of
  set.json     {"format": 1, "preset", "seed", "fixed", "count", "iq_share", "rows", "columns", "classes", "generator",
               "done"}: frame i is the scene of seed + i as that `generator` makes it; the first `done` of `count` frames
               are complete
  level.npy    float16 [count, rows, columns]: pixel powers in dB over the frame's 10th percentile, before normalisation
  mask.npy     uint8 [count, columns]: index into `classes` of each column
  truth.jsonl  one line a frame: {"seed", "samp_rate", "count", "iq", "truth": [{"label", "kind", "carrier", "active",
               "snr_db"}]}, bands in Hz from the frame's centre
set.json moves on only when the other files are on disk, so a set can be stopped at any time and gone on with.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from training.errors import DataError
from training.fastpath import fast_power
from training.generator import generator
from training.scene_draw import draw_scene
from training.scene_iq import scene_iq
from training.scene_model import Scene, mask_columns, truth
from training.spectrogram import pixel_power
from training.workers import begin
from training.writing import replacing

FORMAT = 1
ROWS = COLUMNS = 256
CLASSES = ("noise", "LTE", "NR", "other")
KEEP_EVERY = 64  # frames between two moves of set.json


@dataclass(frozen=True)
class ImageSet:
    """An opened set: level [done, T, F] and mask [done, F], read from disk as they are used; info is set.json."""

    level: np.ndarray
    mask: np.ndarray
    info: dict

    def __len__(self) -> int:
        return self.info["done"]


def open_images(folder: Path) -> ImageSet:
    """DataError where there is no set, one of another format, or a damaged one."""
    info = _read_info(folder)
    if info is None:
        raise DataError(f"{folder} holds no training set: set.json is missing")
    try:
        level, mask = (np.load(folder / name, mmap_mode="r") for name in ("level.npy", "mask.npy"))
        done, count, columns = info["done"], info["count"], info["columns"]
        whole = (*level.shape, *mask.shape) == (count, info["rows"], columns, count, columns) and 0 <= done <= count
        whole = whole and {"preset", "fixed", "classes"} <= info.keys()
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        whole = False
    if not whole:
        raise DataError(f"{folder} holds a damaged training set: its arrays are not what its set.json says")
    return ImageSet(level[:done], mask[:done], info)


def read_truth(folder: Path) -> list[dict]:
    """The lines of truth.jsonl that belong to complete frames; DataError where they are damaged."""
    done = open_images(folder).info["done"]
    try:
        with (folder / "truth.jsonl").open() as lines:
            found = [json.loads(line) for line, _ in zip(lines, range(done), strict=False)]
    except (OSError, ValueError):
        found = []
    if len(found) < done or not all({"count", "samp_rate"} <= line.keys() for line in found):
        raise DataError(f"{folder} holds a damaged training set: its truth.jsonl is not what its set.json says")
    return found


def write_images(preset: str, count: int, seed: int, out: Path, iq_share: float = 0.05, workers: int = 1,
                 **fixed) -> Iterator[int]:
    """Writes a set, or goes on with one that was stopped; yields how many frames are complete.

    iq_share: how many frames are made as samples with every fault (`made_as_samples`); the others take the fast path.
    """
    info = {"format": FORMAT, "preset": preset, "seed": seed, "fixed": fixed, "count": count, "iq_share": iq_share,
            "rows": ROWS, "columns": COLUMNS, "classes": list(CLASSES), "generator": generator()}
    out.mkdir(parents=True, exist_ok=True)
    found = _read_info(out)
    if found is None:
        draw_scene(preset, seed, **fixed)  # an unknown preset must not leave an empty set
        level = np.lib.format.open_memmap(out / "level.npy", "w+", np.float16, (count, ROWS, COLUMNS))
        mask = np.lib.format.open_memmap(out / "mask.npy", "w+", np.uint8, (count, COLUMNS))
        (out / "truth.jsonl").write_bytes(b"")
        done = 0
        _write_info(out, info, done)
    else:
        read_truth(out)  # of a file cut short, what is opened to write would be zeros
        done = found["done"]
        for name, value in info.items():
            if found.get(name) != value:
                raise DataError(f"{out} holds a set whose {name} is {found.get(name)!r}, not {value!r}")
        level, mask = (np.load(out / name, mmap_mode="r+") for name in ("level.npy", "mask.npy"))
    yield done
    with (out / "truth.jsonl").open("r+b") as lines:
        for _ in range(done):
            lines.readline()
        lines.truncate(lines.tell())
        lines.seek(0, os.SEEK_END)
        make = partial(_frame, preset=preset, seed=seed, iq_share=iq_share, fixed=fixed)
        with _pool(workers) as imap:
            for index, (frame_level, frame_mask, line) in enumerate(imap(make, range(done, count)), done):
                level[index], mask[index] = frame_level, frame_mask
                lines.write(line.encode() + b"\n")
                if (index + 1) % KEEP_EVERY == 0 or index + 1 == count:
                    level.flush()
                    mask.flush()
                    lines.flush()
                    os.fsync(lines.fileno())
                    _write_info(out, info, index + 1)
                    yield index + 1


def made_as_samples(scene: Scene, index: int, iq_share: float) -> bool:
    """Whether frame `index` of a set is made as samples: `iq_share` of them, spread evenly; every clean scene, for the
    fast path knows no floor under the noise; and all with a reference channel of LTE, whose full subframes and empty
    symbols side by side make pixels of few looks, which lean on their neighbours more than its own do."""
    if scene.info.get("clean", False) or any(getattr(e.waveform, "info", {}).get("unused") for e in scene.emitters):
        return True
    return int((index + 1) * iq_share) > int(index * iq_share)


def scene_power(scene: Scene, use_iq: bool, device: str = "cpu") -> torch.Tensor:
    """A scene's pixel powers float32 [T, F], from samples with every fault or from the fast path."""
    if use_iq:
        return pixel_power(scene_iq(scene, device)[None], ROWS, COLUMNS)[0].cpu()
    return fast_power(scene, ROWS, COLUMNS)


def _frame(index: int, preset: str, seed: int, iq_share: float, fixed: dict) -> tuple[np.ndarray, np.ndarray, str]:
    scene = draw_scene(preset, seed + index, **fixed)
    use_iq = made_as_samples(scene, index, iq_share)
    power = scene_power(scene, use_iq)
    level = 10 * torch.log10(power.clamp(min=torch.finfo(torch.float32).tiny)).numpy()
    level -= np.percentile(level, 10)
    line = {"seed": seed + index, "samp_rate": scene.samp_rate, "count": scene.count, "iq": use_iq,
            "truth": [{"label": t.label, "kind": t.kind, "carrier": t.carrier, "active": t.active,
                       "snr_db": round(t.snr_db, 2)} for t in truth(scene)]}
    return level.astype(np.float16), mask_columns(scene, COLUMNS, CLASSES), json.dumps(line)


class _pool:
    """`map` here, or an ordered one over processes that leave Ctrl-C to the parent."""

    def __init__(self, workers: int):
        self.pool = multiprocessing.get_context("spawn").Pool(workers, begin) if workers > 1 else None

    def __enter__(self):
        return partial(self.pool.imap, chunksize=4) if self.pool else map

    def __exit__(self, *_):
        if self.pool:
            self.pool.terminate()
            self.pool.join()


def _read_info(folder: Path) -> dict | None:
    path = folder / "set.json"
    try:
        info = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        raise DataError(f"{path} is not a training set's set.json") from None
    if not isinstance(info, dict) or info.get("format") != FORMAT:
        raise DataError(f"{path} is not of format {FORMAT}, the one this version reads and writes")
    return info


def _write_info(folder: Path, info: dict, done: int) -> None:
    with replacing(folder / "set.json") as part:
        part.write_text(json.dumps({**info, "done": done}, indent=1) + "\n")
