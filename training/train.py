# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains a segmenter with the adversarial approach and exports it as the model file that `ata-sense --model` runs.

usage: python training/train.py [--out DIR] [--minutes M] [--resume] ...

Without arguments: ten minutes on a CPU, on scenes that it makes itself, into runs/ata. Every two minutes it writes a
checkpoint and the ONNX file; Ctrl-C does the same and ends. Watch it with `tensorboard --logdir runs`.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import time
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from torch.nn import functional
from torch.utils.data import DataLoader
from tqdm import tqdm

from training.ata import VARIANTS, Adversary
from training.data import CLASSES, FixedScenes, Scenes
from training.errors import DataError
from training.export import export
from training.metrics import Confusion
from training.models import SEGMENTERS, build

CHECKPOINT_S = 120
AVERAGE = 0.998  # decay of the weights' running average, which is what is exported


def follow(average: list[torch.Tensor], current: list[torch.Tensor], averaged: torch.Tensor) -> None:
    """Moves the average towards the current weights, faster at first, so that no trace of the beginning stays."""
    decay = min(AVERAGE, (1 + int(averaged)) / (10 + int(averaged)))
    for mean, value in zip(average, current, strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/ata"), help="folder for checkpoint, log and ONNX file")
    parser.add_argument("--segmenter", choices=SEGMENTERS, default="ata_net")
    parser.add_argument("--variant", choices=VARIANTS, default="patch", help="adversarial variant")
    parser.add_argument("--weight", type=float, default=0.01, help="of the adversarial term")
    parser.add_argument("--preset", default="wideband", help="scenes to train on")
    parser.add_argument("--minutes", type=float, default=10.0, help="training time, over which the rate falls to zero")
    parser.add_argument("--steps", type=int, help="number of steps, instead of --minutes")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--iq-share", type=float, default=0.05, help="share of scenes made as samples")
    parser.add_argument("--validation", type=int, default=64, help="scenes of the validation set")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) // 2))
    parser.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 2) // 2))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--name", default="ata-1", help="name of the model, written into the file")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    return parser.parse_args(argv)


class Trainer:
    """A run: networks, optimisers, progress, and the checkpoint that holds all of it."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        torch.manual_seed(args.seed)
        self.net = build(args.segmenter, len(CLASSES)).to(args.device, memory_format=torch.channels_last)
        self.average = torch.optim.swa_utils.AveragedModel(self.net, multi_avg_fn=torch.no_grad()(follow), use_buffers=True)
        self.adversary = Adversary(args.variant, len(CLASSES), seed=args.seed)
        if self.adversary.net is not None:
            self.adversary.net.to(args.device)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), args.rate, weight_decay=1e-4)
        self.step, self.seconds, self.metrics = 0, 0.0, {}

    @property
    def progress(self) -> float:
        """0 at the beginning, 1 at the end."""
        if self.args.steps:
            return min(1.0, self.step / self.args.steps)
        return min(1.0, self.seconds / (60 * self.args.minutes))

    def train_step(self, image: torch.Tensor, columns: torch.Tensor) -> float:
        """Image [B, 1, T, F] and columns [B, F] -> loss."""
        warm = min(1.0, (self.step + 1) / 200)
        for group in self.optimizer.param_groups:
            group["lr"] = self.args.rate * warm * 0.5 * (1 + math.cos(math.pi * self.progress))
        image = image.to(self.args.device, memory_format=torch.channels_last)
        truth = columns.to(self.args.device)[:, None, :].expand(-1, image.shape[2], -1)
        logits = self.net(image)
        loss = functional.cross_entropy(logits, truth.long(), label_smoothing=0.02)
        total = loss + self.args.weight * self.adversary.segmenter_loss(logits, image)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        self.adversary.discriminator_step(logits, truth, image)
        self.average.update_parameters(self.net)
        self.step += 1
        return float(loss.detach())

    @torch.no_grad()
    def validate(self, batches: list) -> dict:
        """-> figures of the averaged network, and of the same with each column's mean over time in every row."""
        self.average.eval()
        pixels, columns = Confusion(CLASSES), Confusion(CLASSES)
        for image, truth in batches:
            probability = self.average(image.to(self.args.device)).softmax(1).cpu()
            pixels.add(truth[:, None, :].expand(-1, probability.shape[2], -1), probability.argmax(1))
            columns.add(truth, probability.mean(2).argmax(1))
        return {"pixels": pixels.figures(), "column_mean": columns.figures()}

    def save(self) -> None:
        """Checkpoint and ONNX file, each replaced only once it is whole."""
        args = self.args
        args.out.mkdir(parents=True, exist_ok=True)
        average = {k: v.cpu() for k, v in self.average.module.state_dict().items()}
        trained = {"preset": args.preset, "seed": args.seed, "variant": args.variant, "weight": args.weight,
                   "steps": self.step, "batch": args.batch, "commit": commit()}  # fmt: skip
        state = {
            "segmenter": args.segmenter, "name": args.name, "trained": trained, "metrics": self.metrics,
            "net": self.net.state_dict(), "average": average, "averaged": int(self.average.n_averaged),
            "optimizer": self.optimizer.state_dict(), "adversary": self.adversary.state_dict(),
            "step": self.step, "seconds": self.seconds, "random": torch.get_rng_state(),
        }  # fmt: skip
        torch.save(state, args.out / "checkpoint.part")
        (args.out / "checkpoint.part").replace(args.out / "checkpoint.pt")
        net = build(args.segmenter, len(CLASSES))
        net.load_state_dict(average)
        export(net, args.out / "model.part.onnx", args.name, trained, self.metrics)
        (args.out / "model.part.onnx").replace(args.out / "model.onnx")

    def load(self) -> None:
        """Goes on exactly where the checkpoint stands."""
        path = self.args.out / "checkpoint.pt"
        if not path.exists():
            raise DataError(f"there is no checkpoint at {path} to resume from")
        state = torch.load(path, map_location=self.args.device, weights_only=True)
        if state["segmenter"] != self.args.segmenter:
            raise DataError(f"{path} holds a {state['segmenter']}, not a {self.args.segmenter}")
        self.net.load_state_dict(state["net"])
        self.average.module.load_state_dict(state["average"])
        self.average.n_averaged.fill_(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.adversary.load_state_dict(state["adversary"])
        self.step, self.seconds, self.metrics = state["step"], state["seconds"], state["metrics"]
        torch.set_rng_state(state["random"].cpu())


def commit() -> str:
    """The repository's commit, or an empty string outside one."""
    asked = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent, check=False
    )
    return asked.stdout.strip()


def run(args: argparse.Namespace) -> Trainer:
    """Trains until time or steps are over or Ctrl-C comes."""
    from torch.utils.tensorboard import SummaryWriter

    torch.set_num_threads(args.threads)
    trainer = Trainer(args)
    if args.resume:
        trainer.load()
    validation = list(DataLoader(FixedScenes(args.preset, args.validation), args.batch, num_workers=args.workers))
    scenes = Scenes(args.preset, args.seed, args.iq_share, start=trainer.step * args.batch)
    loader = iter(DataLoader(scenes, args.batch, num_workers=args.workers, prefetch_factor=4 if args.workers else None))
    log = SummaryWriter(args.out)
    bar = tqdm(total=100, unit="%", bar_format="{l_bar}{bar}| {elapsed}<{remaining}{postfix}", mininterval=2)
    saved, warned = trainer.seconds, False
    try:
        while trainer.progress < 1:
            begin = time.monotonic()
            trainer.net.train()
            loss = trainer.train_step(*next(loader))
            trainer.seconds += time.monotonic() - begin
            log.add_scalar("loss/segmenter", loss, trainer.step)
            log.add_scalar("loss/discriminator", trainer.adversary.health, trainer.step)
            bar.n = round(100 * trainer.progress, 1)
            bar.set_postfix(step=trainer.step, loss=f"{loss:.3f}", d=f"{trainer.adversary.health:.2f}")
            if trainer.adversary.collapsed and not warned:
                warned = True
                bar.write("the discriminator has collapsed: its loss is near zero and teaches the segmenter nothing")
            if trainer.seconds - saved > CHECKPOINT_S or trainer.progress >= 1:
                saved = trainer.seconds
                trainer.metrics = {"validation": trainer.validate(validation)}
                miou = trainer.metrics["validation"]["column_mean"]["miou"]
                log.add_scalar("validation/miou", miou, trainer.step)
                bar.write(f"step {trainer.step}: {trainer.metrics['validation']}")
                trainer.save()
    except KeyboardInterrupt:
        bar.write("stopped; the checkpoint goes on with --resume")
        trainer.save()
    bar.close()
    log.close()
    return trainer


def main(argv: list[str] | None = None) -> int:
    args = arguments(argv)
    try:
        trainer = run(args)
    except (DataError, OSError) as failure:
        print(f"train: {failure}", file=sys.stderr)
        return 2
    figures = trainer.metrics.get("validation", {}).get("column_mean", {})
    print(f"{args.out}/model.onnx: {trainer.step} steps, validation mIoU {figures.get('miou', float('nan')):.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
