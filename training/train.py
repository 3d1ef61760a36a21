# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains a segmenter with the adversarial approach and exports it as the model file that `ata-sense --model` runs.

usage: python training/train.py [--out DIR] [--minutes M] [--resume] ...
       torchrun --nproc-per-node 2 training/train.py ...

Without arguments: ten minutes on a CPU, on scenes that it makes itself, into runs/ata. Every two minutes it writes a
checkpoint and the ONNX file; Ctrl-C does the same and ends, and --resume goes on exactly there. `--data DIR` trains on
a folder that `scene.py --images` wrote. Watch it with `tensorboard --logdir runs`.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from torch import distributed
from torch.nn import functional
from tqdm import tqdm

from training.ata import VARIANTS, Adversary, share_gradients
from training.data import CLASSES, FRONT_ENDS, VALIDATION_SEEDS, Batches, Drawn, Stored, fixed_set
from training.errors import DataError
from training.export import export, read_checkpoint, with_engine
from training.initial import begin_with
from training.metrics import Pixels
from training.models import NAMES, build
from training.scene_draw import PRESETS
from training.tensorrt_engine import import_tensorrt

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
    parser.add_argument("--segmenter", default="ata_net", help=NAMES)
    parser.add_argument("--variant", choices=VARIANTS, default="patch", help="adversarial variant")
    parser.add_argument("--weight", type=float, default=0.01, help="of the adversarial term")
    parser.add_argument("--width", type=int, help="channels of the segmenter's first layer (default: its own)")
    parser.add_argument("--preset", choices=PRESETS, default="wideband", help="scenes to train on")
    parser.add_argument("--data", type=Path, help="folder of `scene.py --images` to train on, instead of a preset")
    parser.add_argument("--front-end", choices=FRONT_ENDS, default="ata", help="how samples become images")
    parser.add_argument("--minutes", type=float, default=10.0, help="training time, over which the rate falls to zero")
    parser.add_argument("--steps", type=int, help="number of steps, instead of --minutes")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-3, help="highest learning rate")
    parser.add_argument("--iq-share", type=float, default=0.05, help="share of scenes made as samples")
    parser.add_argument("--validation", type=int, default=64, help="scenes of the validation set")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) // 2), help="that make scenes")
    parser.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 2) // 2), help="of the training itself")
    parser.add_argument("--amp", action="store_true", help="bfloat16 where precision allows")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--name", default="ata-1", help="name of the model, written into the file")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--initial", type=Path, help="checkpoint or model file whose weights to begin with")
    parser.add_argument("--engine", action="store_true", help="end with a TensorRT engine too (needs a GPU)")
    args = parser.parse_args(argv)
    for name in ("minutes", "steps", "batch", "rate", "validation", "threads", "width"):
        if (value := getattr(args, name)) is not None and value <= 0:
            parser.error(f"--{name} must be more than 0")
    if not 0 <= args.iq_share <= 1 or args.workers < 0 or args.seed < 0:
        parser.error("--iq-share lies between 0 and 1, --workers and --seed are not negative")
    if args.data and args.front_end != "ata":
        parser.error("--data holds images of the front end `ata`: leave --front-end out")
    if args.resume and args.initial:
        parser.error("--resume goes on with a run's own weights: --initial is for its beginning")
    return args


class Trainer:
    """A run: networks, optimisers, progress, and the checkpoint that holds all of it."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        torch.manual_seed(args.seed)
        self.options = {"width": args.width} if args.width else {}
        net = build(args.segmenter, len(CLASSES), **self.options)
        self.net = net.to(args.device, memory_format=torch.channels_last)
        self.initial = begin_with(self.net, args.initial, args.device) if args.initial else None
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
        with torch.autocast(self.args.device.split(":")[0], torch.bfloat16, enabled=self.args.amp):
            logits = getattr(self.net, "coarse", self.net)(image)
        logits = logits.float()
        truth = columns.to(self.args.device)[:, None, :].expand(-1, logits.shape[2], -1)
        loss = functional.cross_entropy(logits, truth.long(), label_smoothing=0.02)
        total = loss + self.args.weight * self.adversary.segmenter_loss(logits, image)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        share_gradients(self.net)
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        self.adversary.discriminator_step(logits, truth, image)
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

    def save(self) -> None:
        """Checkpoint and ONNX file, each replaced only once it is whole; DataError where they cannot be written."""
        args = self.args
        average = {k: v.cpu() for k, v in self.average.module.state_dict().items()}
        trained = {"data": str(args.data or args.preset), "front_end": args.front_end, "seed": args.seed,
                   "variant": args.variant, "weight": args.weight, "steps": self.step, "batch": args.batch,
                   "commit": commit()} | ({"initial": self.initial} if self.initial else {})  # fmt: skip
        state = {
            "segmenter": args.segmenter, "options": self.options, "name": args.name, "trained": trained,
            "metrics": self.metrics, "net": self.net.state_dict(), "average": average,
            "averaged": int(self.average.n_averaged), "optimizer": self.optimizer.state_dict(),
            "adversary": self.adversary.state_dict(), "step": self.step, "seconds": self.seconds,
        }  # fmt: skip
        net = build(args.segmenter, len(CLASSES), **self.options)
        net.load_state_dict(average)
        try:
            torch.save(state, args.out / "checkpoint.part")
            (args.out / "checkpoint.part").replace(args.out / "checkpoint.pt")
            export(net, args.out / "model.part.onnx", args.name, trained, self.metrics)
            (args.out / "model.part.onnx").replace(args.out / "model.onnx")
        except (OSError, RuntimeError) as failure:  # torch.save reports a full disk as RuntimeError
            raise DataError(f"cannot write to {args.out}: {failure}") from failure

    def load(self) -> None:
        """Goes on exactly where the checkpoint stands."""
        path = self.args.out / "checkpoint.pt"
        state = read_checkpoint(path, self.args.device)
        for name, here in (("segmenter", self.args.segmenter), ("options", self.options)):
            if state.get(name, {}) != here:
                raise DataError(f"{path} was trained with {name} {state.get(name)}, not {here}")
        for name in ("seed", "variant", "batch"):
            if (there := state["trained"][name]) != getattr(self.args, name):
                raise DataError(f"{path} was trained with --{name} {there}: give the same to resume")
        self.net.load_state_dict(state["net"])
        self.average.module.load_state_dict(state["average"])
        self.average.n_averaged.fill_(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.adversary.load_state_dict(state["adversary"])
        self.initial = state["trained"].get("initial")
        self.step, self.seconds, self.metrics = state["step"], state["seconds"], state["metrics"]


def commit() -> str:
    """The repository's commit, or an empty string outside one."""
    asked = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent, check=False
    )
    return asked.stdout.strip()


class Ranks:
    """The processes that train together: torchrun's, or this one alone."""

    def __init__(self, device: str) -> None:
        self.count, self.rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
        if self.count > 1:
            distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")

    def agree(self, device: str, *values: float) -> list[float]:
        """The largest of every process's values, so that all of them end and save at the same step."""
        if self.count > 1:
            shared = torch.tensor(values, dtype=torch.float64, device=device)
            distributed.all_reduce(shared, distributed.ReduceOp.MAX)
            return shared.tolist()
        return list(values)

    def close(self) -> None:
        if self.count > 1:
            distributed.destroy_process_group()


def datasets(args: argparse.Namespace, first_batch: int, ranks: Ranks) -> tuple[Batches, list]:
    """-> training batches from `first_batch` on, and the validation set (only where it is used: rank 0), of the same preset
    and always made as samples."""
    if args.data:
        source = Stored(args.data, args.seed)
        preset, front_end, fixed = source.info["preset"], "ata", source.info["fixed"]
    else:
        preset, front_end, fixed = args.preset, args.front_end, {}
        looks = 2 if front_end == "ata" else 1
        source = Drawn(preset, args.seed << 32, args.iq_share, front_end, looks=looks, device=args.device)
    validation = []
    if ranks.rank == 0:
        count, seeds = args.validation, VALIDATION_SEEDS
        validation = fixed_set(preset, count, seeds, args.workers, front_end, args.batch, **fixed)
    return Batches(source, args.batch, first_batch, ranks.rank, ranks.count), validation


def run(args: argparse.Namespace) -> Trainer:
    """Trains until time or steps are over or Ctrl-C comes."""
    from torch.utils.tensorboard import SummaryWriter

    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    ranks = Ranks(args.device)
    if ranks.count > 1 and args.device == "cuda":
        args.device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(args.device)
    trainer = Trainer(args)
    if args.resume:
        trainer.load()
    batches, validation = datasets(args, trainer.step, ranks)
    first = ranks.rank == 0
    log = SummaryWriter(args.out, purge_step=trainer.step) if first else None
    form = "{l_bar}{bar}| {elapsed}<{remaining}{postfix}"
    bar = tqdm(total=100, bar_format=form, mininterval=2, disable=None if first else True)  # None: where nobody looks
    stopped = []
    usual = {kind: signal.signal(kind, lambda *_: stopped.append(1)) for kind in (signal.SIGINT, signal.SIGTERM)}
    loader = batches.loader(args.workers)
    saved, warned = trainer.seconds, False
    try:
        while trainer.progress < 1 and not stopped:
            begin = time.monotonic()
            trainer.net.train()
            loss = trainer.train_step(*next(loader))
            seconds, stop = ranks.agree(args.device, trainer.seconds + time.monotonic() - begin, len(stopped))
            trainer.seconds = seconds
            if stop and not stopped:
                stopped.append(1)
            if not first:
                continue
            health = trainer.adversary.health
            log.add_scalar("loss/segmenter", loss, trainer.step)
            log.add_scalar("loss/discriminator", health, trainer.step)
            bar.n = round(100 * trainer.progress, 1)
            bar.set_postfix(step=trainer.step, loss=f"{loss:.3f}", d=f"{health:.2f}")
            if trainer.adversary.collapsed and not warned:
                warned = True
                bar.write("the discriminator has collapsed: its loss is near zero and teaches the segmenter nothing")
            if trainer.seconds - saved > CHECKPOINT_S or trainer.progress >= 1 or stopped:
                saved = trainer.seconds
                trainer.metrics = {"validation": trainer.validate(validation)}
                pixels, columns = (trainer.metrics["validation"][k]["miou"] for k in ("pixels", "column_mean"))
                log.add_scalar("validation/miou", pixels, trainer.step)
                log.add_scalar("validation/miou_column_mean", columns, trainer.step)
                bar.write(f"step {trainer.step}: validation mIoU {pixels:.3f}, of columns {columns:.3f}")
                trainer.save()
        if stopped and first:
            bar.write("stopped; --resume goes on from here")
    finally:
        for kind, handler in usual.items():
            signal.signal(kind, handler)
        bar.close()
        if log:
            log.close()
        ranks.close()
    return trainer


def main(argv: list[str] | None = None) -> int:
    args = arguments(argv)
    try:
        if args.engine:
            import_tensorrt()  # not after hours of training
        trainer = run(args)
        if args.engine and os.environ.get("RANK", "0") == "0":
            with_engine(args.out / "model.onnx")
    except (DataError, OSError) as failure:
        print(f"train: {failure}", file=sys.stderr)
        return 2
    figures = trainer.metrics.get("validation", {}).get("column_mean", {})
    print(f"{args.out}/model.onnx: {trainer.step} steps, validation mIoU {figures.get('miou', float('nan')):.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
