# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ATA gives: every variant with several segmenters and seeds on the paper protocol, and a table of differences.

usage: python training/study.py [--out runs/study] [--report runs/study/study.md]
       python training/study.py --front-ends ata mathworks --variants none patch --segmenters ata_net

Every run is a file in --out; what is there already is not run again, so the study can be stopped at any time. Of a
segmenter and a seed, all variants begin with the same weights and see the same frames in the same order, so differences
are paired. The checkpoint that is tested is the one with the best validation mIoU. `released` needs no runs: its
segmenter equals that of `none` bit for bit, which a test holds.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from itertools import product
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from torch.nn.functional import interpolate
from tqdm import tqdm

from training import study_report, train
from training.data import CLASSES, FRONT_ENDS, MOST_SEED
from training.errors import DataError, command
from training.generator import generator
from training.metrics import Pixels
from training.study_frames import Maker
from training.trainer import Trainer
from training.writing import replacing

SEGMENTERS = {"ata_net": [], "unetpp": ["--width", "8"]}  # a narrow U-Net++, for CPUs
# name: adversarial variant and its weight: the paper's 0.1 for its own figure, Hung's 0.01, and that ten times over
VARIANTS = {
    "none": ("none", 0.0),
    "figure": ("figure", 0.1),
    "patch": ("patch", 0.01),
    "conditional": ("conditional", 0.01),
    "patch-0.1": ("patch", 0.1),
    "conditional-0.1": ("conditional", 0.1),
}
LOOKS = 8  # validations in a run


def batch_order(frames: int, batch: int, steps: int, seed: int) -> torch.Tensor:
    """int64 [steps, batch]: which frames each step sees, every frame once a turn; the same for all of a seed's runs."""
    rng = torch.Generator().manual_seed(seed)
    turns = -(-steps * batch // frames)
    return torch.cat([torch.randperm(frames, generator=rng) for _ in range(turns)])[: steps * batch].view(steps, batch)


@torch.no_grad()
def judge(net: torch.nn.Module, images: torch.Tensor, columns: torch.Tensor, device: str) -> Pixels:
    """Runs a network over images [N, 1, T, F] and columns [N, F]."""
    net.eval()
    made = Pixels(CLASSES)
    for image, truth in zip(images.split(16), columns.split(16), strict=True):
        made.add(net(image.to(device)).float().softmax(1).cpu(), truth)
    return made


def one_run(args: argparse.Namespace, maker: Maker, segmenter: str, variant: str, seed: int) -> dict:
    """Trains and tests one network -> its figures on the protocol's test frames, and how the training went."""
    images, columns = maker.training(args.frames)
    validation = maker.validation(args.validation)
    kind, weight = VARIANTS[variant]
    asked = ["--segmenter", segmenter, *SEGMENTERS[segmenter], "--variant", kind, "--weight", weight, "--seed", seed,
             "--steps", args.steps, "--batch", args.batch, "--device", args.device]  # fmt: skip
    trainer = Trainer(train.arguments([*(str(a) for a in asked), *(["--amp"] if args.amp else [])]))
    if (coarse := getattr(trainer.net, "coarse", None)) is not None:
        # the discriminator judges whole maps, as the paper's does
        trainer.net.coarse = lambda image: interpolate(coarse(image), image.shape[2:], mode="bilinear")
    curve, best, began = [], (-1.0, {}), time.process_time()
    for step, chosen in enumerate(batch_order(len(images), args.batch, args.steps, seed), 1):
        with torch.autocast(args.device.split(":")[0], torch.bfloat16, enabled=args.amp):
            loss = trainer.train_step(images[chosen], columns[chosen])
        if step * LOOKS // args.steps > (step - 1) * LOOKS // args.steps:
            made = judge(trainer.average.module, *validation, args.device).figures()
            health = trainer.adversary.health if trainer.adversary.net is not None else None
            curve.append({"step": step, "loss": loss, "miou": made["pixels"]["miou"],
                          "miou_column_mean": made["column_mean"]["miou"], "discriminator": health})  # fmt: skip
            if made["pixels"]["miou"] > best[0]:
                best = made["pixels"]["miou"], {k: v.clone() for k, v in trainer.average.module.state_dict().items()}
    trainer.average.module.load_state_dict(best[1])
    pooled, by_level = Pixels(CLASSES), {}
    for level, frames in maker.test(args.test).items():
        made = judge(trainer.average.module, *frames, args.device)
        pooled.merge(made)
        by_level[level] = made.figures()
    return {**pooled.figures(), "by_level_db": by_level, "curve": curve, "cpu_s": round(time.process_time() - began, 1)}


def setting(args: argparse.Namespace) -> dict:
    """What all runs of a study share: arguments, and the scene generator."""
    names = ("frames", "validation", "test", "steps", "batch", "rows", "columns", "amp")
    return {name: getattr(args, name) for name in names} | {"generator": generator()}


def kept_at(args: argparse.Namespace, front_end: str, segmenter: str, variant: str, seed: int) -> Path:
    return args.out / f"{front_end}-{segmenter}-{variant}-{seed}.json"


def kept_run(args: argparse.Namespace, maker: Maker, segmenter: str, variant: str, seed: int) -> dict:
    """A run's figures, from its file where it has been made before."""
    path = kept_at(args, maker.front_end, segmenter, variant, seed)
    if not path.exists():
        made = {"setting": setting(args), **one_run(args, maker, segmenter, variant, seed)}
        with replacing(path) as part:
            part.write_text(json.dumps(made) + "\n")
    made = json.loads(path.read_text())
    for name, value in setting(args).items():
        if made["setting"].get(name) != value:
            there = made["setting"].get(name)
            raise DataError(f"{path} was run with {name} {there}, not {value}: give this study another --out")
    return made


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/study"), help="folder of the frames and runs")
    parser.add_argument("--report", type=Path, help="Markdown file for the tables, plots beside it (default: in --out)")
    parser.add_argument("--segmenters", nargs="+", choices=SEGMENTERS, default=list(SEGMENTERS))
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=["none", "figure", "patch", "conditional"])
    parser.add_argument("--front-ends", nargs="+", choices=FRONT_ENDS, default=["ata"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--frames", type=int, default=1200, help="training frames")
    parser.add_argument("--validation", type=int, default=120, help="validation frames")
    parser.add_argument("--test", type=int, default=60, help="test frames of each noise level")
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--columns", type=int, default=128)
    parser.add_argument("--amp", action="store_true", help="bfloat16 where precision allows")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args(argv)
    for name in ("seeds", "steps", "batch", "frames", "validation", "test", "threads"):
        if getattr(args, name) <= 0:
            parser.error(f"--{name} must be more than 0")
    for name in ("rows", "columns"):
        if getattr(args, name) < 16 or getattr(args, name) % 16:
            parser.error(f"--{name} must be a multiple of 16")
    train.check_device(parser, args.device)
    if args.seeds > MOST_SEED:
        parser.error(f"--seeds is at most {MOST_SEED}")
    return args


@command("study", "stopped; the same command goes on from here")
def main(argv: list[str] | None = None) -> int:
    args = arguments(argv)
    torch.set_num_threads(args.threads)
    results: study_report.Results = {}
    path = args.report or args.out / "study.md"
    args.out.mkdir(parents=True, exist_ok=True)
    # seeds outermost: a study that is stopped early has whole pairs; what is there comes first, for the report
    runs = list(product(range(1, args.seeds + 1), args.front_ends, args.segmenters, args.variants))
    runs.sort(key=lambda run: not kept_at(args, *run[1:], run[0]).exists())
    for seed, front_end, segmenter, variant in tqdm(runs, unit="run", disable=None):
        maker = Maker(args.out / "frames", front_end, args.rows, args.columns)
        results[front_end, segmenter, variant, seed] = kept_run(args, maker, segmenter, variant, seed)
        study_report.write(results, setting(args), path)
    print(path.read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
