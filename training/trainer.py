# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One training run: networks, optimisers, a step, validation, and the checkpoint that holds all of it."""

from __future__ import annotations

import argparse
import math
import subprocess
import zlib
from pathlib import Path

import torch
from torch import distributed
from torch.nn import functional

from training.ata import Adversary, share_gradients
from training.data import CLASSES
from training.errors import DataError
from training.export import export, read_checkpoint, take_weights
from training.initial import begin_with
from training.metrics import Pixels
from training.models import build
from training.writing import save

RESUMED = ("net", "averaged", "settled", "optimizer", "adversary", "step", "seconds", "metrics")  # what a run goes on with
AVERAGE = 0.998  # decay of the weights' running average, which is what is exported
# Columns on either side of an edge, and how much more than others they count: guards are a few columns wide, and where
# they are lost two carriers become one band. A carrier of this many columns counts as much as each of its columns, a
# narrower one more and a wider one less: they are found or missed as wholes.
EDGE_REACH, EDGE_WEIGHT = 2, 4.0
EVEN_WIDTH, MOST_WEIGHT = 32, 2.0


def follow(average: list[torch.Tensor], current: list[torch.Tensor], averaged: torch.Tensor) -> None:
    """Moves the average towards the current weights, faster at first, so that no trace of the beginning stays."""
    decay = min(AVERAGE, (1 + int(averaged)) / (10 + int(averaged)))
    for mean, value in zip(average, current, strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)


def cross_entropy(logits: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Of logits [B, C, T, F] and each column's class, int64 [B, F], with the weights of `column_weights`."""
    truth = columns[:, None, :].expand(-1, logits.shape[2], -1)
    loss = functional.cross_entropy(logits, truth, label_smoothing=0.02, reduction="none").mean(1)
    weight = column_weights(columns)
    return (weight * loss).sum() / weight.sum()


def column_weights(columns: torch.Tensor) -> torch.Tensor:
    """Classes int64 [B, F] -> how much each column counts: LTE and NR more at edges, and where they are narrow."""
    named = (columns == CLASSES.index("LTE")) | (columns == CLASSES.index("NR"))
    change = columns.diff() != 0
    first = columns.shape[1] * torch.arange(len(columns), device=columns.device)[:, None]
    run = first + functional.pad(change, (1, 0)).cumsum(1)
    width = run.flatten().bincount(minlength=columns.numel())[run]
    weight = torch.where(named, (EVEN_WIDTH / width).sqrt().clamp(max=MOST_WEIGHT), 1.0)
    edge = change & (named[:, 1:] | named[:, :-1])
    near = functional.max_pool1d(functional.pad(edge.float(), (EDGE_REACH, EDGE_REACH)), 2 * EDGE_REACH, 1)
    return weight * (1 + (EDGE_WEIGHT - 1) * near)


class Trainer:
    """A run: networks, optimisers, progress, and the checkpoint that holds all of it."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        torch.manual_seed(args.seed)
        self.options = {"width": args.width} if args.width else {}
        net = build(args.segmenter, len(CLASSES), **self.options)
        self.net = net.to(args.device, memory_format=torch.channels_last)
        self.initial, self.settled = begin_with(self.net, args.initial, args.device) if args.initial else (None, [])
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
        rank = distributed.get_rank() if distributed.is_initialized() else 0
        # what dropout draws depends on seed, process and step alone, so that a resumed run draws the same; CPU generators
        # look at 32 bits
        torch.manual_seed(zlib.crc32(f"{self.args.seed} {rank} {self.step}".encode()))
        self.net.train()
        for name in self.settled:
            self.net.get_submodule(name).eval()
        warm = min(1.0, (self.step + 1) / 200)
        for group in self.optimizer.param_groups:
            group["lr"] = self.args.rate * warm * 0.5 * (1 + math.cos(math.pi * self.progress))
        image = image.to(self.args.device)
        with torch.autocast(self.args.device.split(":")[0], torch.bfloat16, enabled=self.args.amp):
            try:
                logits = getattr(self.net, "coarse", self.net)(image).float()
            except ValueError as failure:
                if len(image) > 1:
                    raise
                # a batch norm behind a mean over the whole image, as in DeepLabV3+
                raise DataError(f"{self.args.segmenter} cannot learn from one scene: give --batch 2 or more") from failure
        columns = columns.to(self.args.device).long()
        loss = cross_entropy(logits, columns)
        total = loss + self.args.weight * self.adversary.segmenter_loss(logits, image)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        share_gradients(self.net)
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        self.adversary.discriminator_step(logits, columns[:, None, :].expand(-1, logits.shape[2], -1), image)
        self.average.update_parameters(self.net)
        self.step += 1
        if not math.isfinite(value := float(loss.detach())):
            raise DataError(f"the loss is no longer a number at step {self.step}: try a lower --rate")
        return value

    @torch.no_grad()
    def validate(self, batches: list) -> dict:
        """-> figures of the averaged network's pixels, and of its columns, each one's probabilities averaged over time."""
        self.average.eval()
        pixels = Pixels(CLASSES)
        for image, truth in batches:
            pixels.add(self.average(image.to(self.args.device)).softmax(1).cpu(), truth)
        return pixels.figures()

    def arguments(self) -> dict:
        """Those of the run itself, which `--resume` takes up: not where it runs and where it is kept."""
        here = ("out", "resume", "initial", "engine", "device", "workers", "threads")
        kept = {name: value for name, value in vars(self.args).items() if name not in here}
        return kept | {"data": str(self.args.data.resolve()) if self.args.data else None}

    def save(self) -> None:
        """Checkpoint and ONNX file, each replaced only once it is whole; DataError where they cannot be written."""
        args = self.args
        average = {k: v.cpu() for k, v in self.average.module.state_dict().items()}
        trained = {"data": str(args.data or args.preset), "front_end": args.front_end, "seed": args.seed,
                   "variant": args.variant, "weight": args.weight, "steps": self.step, "batch": args.batch,
                   "commit": commit()}  # fmt: skip
        trained |= ({"pairs": True} if args.pairs else {}) | ({"initial": self.initial} if self.initial else {})
        state = {
            "segmenter": args.segmenter, "options": self.options, "name": args.name, "trained": trained,
            "arguments": self.arguments(), "metrics": self.metrics, "net": self.net.state_dict(), "average": average,
            "averaged": int(self.average.n_averaged), "settled": self.settled, "optimizer": self.optimizer.state_dict(),
            "adversary": self.adversary.state_dict(), "step": self.step, "seconds": self.seconds,
        }  # fmt: skip
        net = build(args.segmenter, len(CLASSES), **self.options)
        net.load_state_dict(average)
        save(state, args.out / "checkpoint.pt")
        export(net, args.out / "model.onnx", args.name, trained, self.metrics)

    def load(self) -> None:
        """Goes on exactly where the checkpoint stands."""
        path = self.args.out / "checkpoint.pt"
        state = read_checkpoint(path, self.args.device, RESUMED)
        for name, here in (("segmenter", self.args.segmenter), ("options", self.options)):
            if state.get(name, {}) != here:
                raise DataError(f"{path} was trained with {name} {state.get(name)}, not {here}")
        for name in ("seed", "variant", "batch"):
            if (there := state["trained"].get(name)) != getattr(self.args, name):
                raise DataError(f"{path} was trained with --{name} {there}: give the same to resume")
        take_weights(self.net, state["net"], path)
        take_weights(self.average.module, state["average"], path)
        self.average.n_averaged.fill_(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.adversary.load_state_dict(state["adversary"])
        self.initial, self.settled = state["trained"].get("initial"), state["settled"]
        self.step, self.seconds, self.metrics = state["step"], state["seconds"], state["metrics"]


def commit() -> str:
    """The repository's commit, or an empty string outside one and where there is no git."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent, check=False)
    except OSError:
        return ""
    return asked.stdout.strip()
