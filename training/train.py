# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains a segmenter with the adversarial approach and exports it as the model file that `ata-sense --model` runs.

usage: python training/train.py [--out DIR] [--minutes M] [--resume] ...
       torchrun --nproc-per-node 2 training/train.py ...

Without arguments: ten minutes on a CPU, on scenes that it makes itself, into runs/ata. Every two minutes it writes a
checkpoint and the ONNX file; Ctrl-C does the same and ends, and --resume goes on exactly there; without it, a folder that
holds a run is refused. `--data DIR` trains on a folder that `scene.py --images` wrote. Watch it with
`tensorboard --logdir runs`.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from torch import distributed
from tqdm import tqdm

from training.ata import VARIANTS
from training.data import FRONT_ENDS, MOST_SEED, VALIDATION_SEEDS, Batches, Drawn, Source, Stored, fixed_set
from training.errors import DataError, command
from training.export import read_checkpoint, with_engine
from training.models import NAMES
from training.pairs import PRESET, Pairs
from training.scene_draw import PRESETS
from training.tensorrt_engine import import_tensorrt
from training.trainer import Trainer

CHECKPOINT_S = 120
CROWDED = 0.3  # of the bands that are drawn for training: what is learnt there, close neighbours, is what fails most


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("runs/ata"), help="folder for checkpoint, log and ONNX file")
    parser.add_argument("--segmenter", default="ata_net", help=NAMES)
    parser.add_argument("--variant", choices=VARIANTS, default="patch", help="adversarial variant")
    parser.add_argument("--weight", type=float, default=0.01, help="of the adversarial term")
    parser.add_argument("--width", type=int, help="channels of the segmenter's first layer (default: its own)")
    parser.add_argument("--preset", choices=PRESETS, default="wideband", help="scenes to train on")
    parser.add_argument("--pairs", action="store_true", help="frames of --preset paper also two and two, summed")
    parser.add_argument("--data", type=Path, help="folder of `scene.py --images` to train on, instead of a preset")
    parser.add_argument("--front-end", choices=FRONT_ENDS, default="ata", help="how samples become images")
    parser.add_argument("--minutes", type=float, default=10.0, help="training time, over which the rate falls to zero")
    parser.add_argument("--steps", type=int, help="number of steps, instead of --minutes")
    parser.add_argument("--batch", type=int, default=16, help="scenes in a step, of each process")
    parser.add_argument("--rate", type=float, default=1e-3, help="highest learning rate, reached after 200 steps")
    parser.add_argument("--iq-share", type=float, default=0.05,
                        help="share of scenes made as samples, beside those that always are")  # fmt: skip
    parser.add_argument("--validation", type=int, default=64, help="scenes of the validation set")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) // 2), help="processes that make scenes")
    parser.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 2) // 2), help="cores that train")
    parser.add_argument("--amp", action="store_true", help="bfloat16 where precision allows")
    parser.add_argument("--seed", type=int, default=1, help="of weights and scenes")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu",
                        help="where networks and the scenes' samples are computed")  # fmt: skip
    parser.add_argument("--name", help="what records call the model (default: the name of --out)")
    parser.add_argument("--resume", action="store_true",
                        help="go on from the checkpoint in --out, with its own arguments where none are given")  # fmt: skip
    parser.add_argument("--initial", type=Path, help="checkpoint or model file whose weights to begin with")
    parser.add_argument("--engine", action="store_true", help="end with a TensorRT engine too (needs a GPU)")
    args = parser.parse_args(argv)
    if args.resume and args.initial:
        parser.error("--resume goes on with a run's own weights: --initial is for its beginning")
    if args.resume:
        kept = read_checkpoint(args.out / "checkpoint.pt").get("arguments", {})
        parser.set_defaults(minutes=None)
        if parser.parse_args(argv).minutes is not None:  # --steps of the run before would come before it
            kept["steps"] = None
        parser.set_defaults(**kept)
        args = parser.parse_args(argv)
    args.name = args.name or args.out.resolve().name
    if args.device == "cuda" and "LOCAL_RANK" in os.environ:
        args.device = f"cuda:{os.environ['LOCAL_RANK']}"
    check_device(parser, args.device)
    for name in ("minutes", "steps", "batch", "rate", "validation", "threads", "width"):
        if (value := getattr(args, name)) is not None and value <= 0:
            parser.error(f"--{name} must be more than 0")
    if not 0 <= args.iq_share <= 1 or args.workers < 0:
        parser.error("--iq-share lies between 0 and 1, --workers is not negative")
    if not 0 <= args.seed <= MOST_SEED:
        parser.error(f"--seed lies between 0 and {MOST_SEED}: beyond are the scenes of validation and tests")
    if args.pairs and (args.preset, args.front_end, args.data) != (PRESET, "ata", None):
        parser.error(f"--pairs sums frames of --preset {PRESET}, as the front end `ata` sees them")
    if args.data and args.front_end != "ata":
        parser.error("--data holds images of the front end `ata`: leave --front-end out")
    return args


def check_device(parser: argparse.ArgumentParser, device: str) -> None:
    """Ends with one sentence where PyTorch does not have the device."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):  # the latter in a build without CUDA
        parser.error(f"--device {device}: PyTorch has no such device here")


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


def drawn(args: argparse.Namespace) -> Source:
    """Endless scenes of the preset; each is looked at twice where the front end has what that takes."""
    first = args.seed << 32
    if args.pairs:
        return Pairs(first, args.iq_share, args.device)
    looks = 2 if args.front_end == "ata" else 1
    crowd = {"crowded": CROWDED} if args.preset == "wideband" else {}
    return Drawn(args.preset, first, args.iq_share, args.front_end, crowd, looks, args.device)


def datasets(args: argparse.Namespace, first_batch: int, ranks: Ranks) -> tuple[Batches, list]:
    """-> training batches from `first_batch` on, and the validation set (only where it is used: rank 0), of the same preset
    and always made as samples."""
    if args.data:
        source = Stored(args.data, args.seed)
        preset, front_end, fixed = source.info["preset"], "ata", source.info["fixed"]
    else:
        preset, front_end, fixed = args.preset, args.front_end, {}
        source = drawn(args)
    validation = []
    if ranks.rank == 0:
        count, seeds = args.validation, VALIDATION_SEEDS
        validation = fixed_set(preset, count, seeds, args.workers, front_end, args.batch, **fixed)
    return Batches(source, args.batch, first_batch, ranks.rank, ranks.count), validation


def run(args: argparse.Namespace) -> Trainer:
    """Trains until time or steps are over or Ctrl-C comes."""
    from torch.utils.tensorboard import SummaryWriter

    if not args.resume and (args.out / "checkpoint.pt").exists():
        raise DataError(f"{args.out} holds a run: --resume goes on with it, another --out begins anew")
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    ranks = Ranks(args.device)
    if ranks.count > 1 and args.device.startswith("cuda"):
        torch.cuda.set_device(args.device)
    trainer = Trainer(args)
    if args.resume:
        trainer.load()
    batches, validation = datasets(args, trainer.step, ranks)
    first = ranks.rank == 0
    # what a run after its last checkpoint logged is taken again; the checkpoint's own step is not
    log = SummaryWriter(args.out, purge_step=trainer.step + 1) if first else None
    form = "{l_bar}{bar}| {elapsed}<{remaining}{postfix}"
    bar = tqdm(total=100, bar_format=form, mininterval=2, disable=None if first else True)  # None: where nobody looks
    stopped = []
    usual = {kind: signal.signal(kind, lambda *_: stopped.append(1)) for kind in (signal.SIGINT, signal.SIGTERM)}
    loader = batches.loader(args.workers)
    saved, warned, stop = trainer.seconds, False, 0.0
    try:
        # on what all have agreed: who left for a Ctrl-C of its own would leave the others waiting in their next step
        while trainer.progress < 1 and not stop:
            begin = time.monotonic()
            loss = trainer.train_step(*next(loader))
            # the first process's clock alone: the others' run on while they wait for it to validate and save
            seconds = trainer.seconds + time.monotonic() - begin if first else 0.0
            trainer.seconds, stop = ranks.agree(args.device, seconds, len(stopped))
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
            if trainer.seconds - saved > CHECKPOINT_S or trainer.progress >= 1 or stop:
                saved = trainer.seconds
                trainer.metrics = {"validation": trainer.validate(validation)}
                pixels, columns = (trainer.metrics["validation"][k]["miou"] for k in ("pixels", "column_mean"))
                log.add_scalar("validation/miou", pixels, trainer.step)
                log.add_scalar("validation/miou_column_mean", columns, trainer.step)
                bar.write(f"step {trainer.step}: validation mIoU {pixels:.3f}, of columns {columns:.3f}")
                trainer.save()
        if stop and first:
            bar.write("stopped; --resume goes on from here")
    finally:
        for kind, handler in usual.items():
            signal.signal(kind, handler)
        bar.close()
        if log:
            log.close()
        ranks.close()
    return trainer


@command("train")  # Ctrl-C comes as far as this where there is no step to end yet, or the engine is being built
def main(argv: list[str] | None = None) -> int:
    args = arguments(argv)
    if args.engine:
        import_tensorrt()  # not after hours of training
    trainer = run(args)
    if os.environ.get("RANK", "0") != "0":
        return 0
    if args.engine:
        with_engine(args.out / "model.onnx")
    figures = trainer.metrics.get("validation", {}).get("column_mean", {})
    print(f"{args.out}/model.onnx: {trainer.step} steps, validation mIoU {figures.get('miou', float('nan')):.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
