# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes generated scenes to disk: SigMF recordings with annotations and pictures, or a training set.

usage: python training/scene.py --preset wideband --count 20 --seed 1 --out DIR [--images]

Recordings of the same preset and seed are the same. Stopped, it goes on where it was when it is started again.
As a module it gathers the names of the scene generator.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from training.data import VALIDATION_SEEDS
from training.errors import command
from training.fastpath import fast_power
from training.scene_draw import PRESETS, draw_scene
from training.scene_iq import scene_iq
from training.scene_model import Emitter, Scene, Truth, mask_columns, truth

__all__ = ["PRESETS", "Emitter", "Scene", "Truth", "draw_scene", "fast_power", "mask_columns", "scene_iq", "truth"]


@command("scene", "stopped; the same command goes on from here")
def main(argv: list[str] | None = None) -> int:
    args = _arguments(argv)
    named = {"samp_rate": args.samp_rate, "frame_ms": args.frame_ms, "level_db": args.level_db}
    fixed = {name: value for name, value in named.items() if value is not None}
    return _images(args, fixed) if args.images else _recordings(args, fixed)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scene.py", description=__doc__.split("\n")[0])
    parser.add_argument("--preset", default="wideband", choices=PRESETS, help="what to draw")
    parser.add_argument("--count", type=_positive, default=20, help="number of scenes")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first scene; the next ones count up")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--images", action="store_true", help="a training set of spectrograms and masks, no recordings")
    parser.add_argument("--iq-share", type=_share, default=0.05, help="share of --images made as samples, all faults")
    parser.add_argument("--workers", type=_positive, default=os.cpu_count() or 1, help="processes for --images")
    parser.add_argument("--samp-rate", type=_above_zero, help="fixed sample rate, Hz (wideband)")
    parser.add_argument("--frame-ms", type=_above_zero, help="fixed length, ms (wideband, demo)")
    parser.add_argument("--level-db", help="-10, 0, 10, 20, 30 or none (paper, paper-test)")
    args = parser.parse_args(argv)
    if args.seed < 0:
        parser.error("--seed must not be negative")
    if args.seed + args.count > VALIDATION_SEEDS:
        parser.error(f"--seed and --count lead beyond {VALIDATION_SEEDS - 1}, to the scenes of validation and tests")
    return args


def _positive(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return value


def _above_zero(text: str) -> float:
    if not 0 < (value := float(text)) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def _share(text: str) -> float:
    if not 0 <= (value := float(text)) <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def _recordings(args: argparse.Namespace, fixed: dict) -> int:
    from tqdm import tqdm

    from training.scene_recordings import write_recordings

    made = write_recordings(args.preset, args.count, args.seed, args.out, **fixed)
    for _ in tqdm(made, total=args.count, unit="scene", disable=None):
        pass
    print(f"{args.count} recordings of preset {args.preset} in {args.out}")
    return 0


def _images(args: argparse.Namespace, fixed: dict) -> int:
    from tqdm import tqdm

    from training.scene_images import write_images

    with tqdm(total=args.count, unit="frame", disable=None) as bar:
        for done in write_images(args.preset, args.count, args.seed, args.out, args.iq_share, args.workers, **fixed):
            bar.update(done - bar.n)
    print(f"{args.count} frames of preset {args.preset} in {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
