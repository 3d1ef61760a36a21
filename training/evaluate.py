# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model file is worth: pixels and bands on test scenes that no training sees, and recordings.

usage: python training/evaluate.py MODEL.onnx [--presets wideband paper-test] [--count 200] [--captures DIR]
                                   [--json OUT] [--markdown OUT]

Pixels are the network's own, from one confusion matrix, with the column mean (each column's probabilities averaged over
the frame) beside them. Bands and captures go through `ata-sense replay`: what is measured is what a user gets. The
Markdown is a model card's tables.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import onnxruntime
import torch

from training.card import markdown
from training.data import CLASSES, TEST_SEEDS, Example, fixed_set
from training.errors import DataError, command
from training.export import FRONT_END
from training.metrics import Pixels
from training.scene_draw import PRESETS
from training.scorecard import band_figures, captures

READ = ("classes", "shape", "window", "overlap", "normalise", "legend")  # of the metadata: what makes and reads an image
PAPER_LEVELS = ("-10", "0", "10", "20", "30", "none")  # dB over the whole band


def judge_pixels(session: onnxruntime.InferenceSession, batches: list[Example]) -> Pixels:
    """Runs a model over batches of images."""
    made = Pixels(CLASSES)
    for image, truth in batches:
        logits = session.run(["logits"], {"spectrogram": image.numpy()})[0]
        made.add(torch.from_numpy(logits).softmax(1), truth)
    return made


def open_model(path: Path) -> tuple[onnxruntime.InferenceSession, dict]:
    """-> session on the CPU and the metadata; DataError where the file is none of ours."""
    if not path.exists():
        raise DataError(f"there is no model file {path}")
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return session, json.loads(session.get_modelmeta().custom_metadata_map["ata"])
    except Exception as failure:  # ONNX Runtime has a dozen kinds
        raise DataError(f"{path} is not a model file of export.py") from failure


def pixel_figures(model: Path, preset: str, count: int, workers: int) -> dict:
    """Figures on `count` test scenes (paper-test: of each noise level), pooled and by level; images as it was trained."""
    session, metadata = open_model(model)
    front_end = metadata["trained"].get("front_end", "ata")
    for name in READ if front_end == "ata" else ():
        if (its := metadata.get(name)) != FRONT_END[name]:
            raise DataError(f"{model} reads images whose {name} is {its}, and those made here have {FRONT_END[name]}")
    pooled, by_level = Pixels(CLASSES), {}
    fixed = [{"level_db": level} for level in PAPER_LEVELS] if preset.startswith("paper") else [{}]
    for more in fixed:
        made = judge_pixels(session, fixed_set(preset, count, TEST_SEEDS, workers, front_end, **more))
        pooled.merge(made)
        if more:
            by_level[more["level_db"]] = made.figures()
    return {"preset": preset, "scenes": count * len(fixed), **pooled.figures(), "by_level_db": by_level}


def evaluate(args: argparse.Namespace) -> dict:
    """Everything asked for: {"model", "scenes": [of each preset], "captures": [of each frame length]}."""
    _, metadata = open_model(args.model)
    model = {"name": metadata["name"], "trained": metadata["trained"], "bytes": args.model.stat().st_size}
    scenes = []
    for preset in args.presets:
        made = pixel_figures(args.model, preset, args.count, args.workers)
        if preset == "wideband":
            made["bands"] = band_figures(args.model, preset, args.count)
        scenes.append(made)
    heard = [captures(args.model, args.captures, ms) for ms in args.frame_ms] if args.captures else []
    return {"model": model, "scenes": scenes, "captures": heard}


@command("evaluate")
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--presets", nargs="*", choices=PRESETS, help="scenes (default: wideband, none with --captures)")
    parser.add_argument("--count", type=int, default=200, help="scenes (paper-test: of each noise level)")
    parser.add_argument("--captures", type=Path, help="folder of recordings with truth and its score.py")
    parser.add_argument("--frame-ms", type=float, nargs="+", default=[40.0, 10.0], help="of --captures")
    parser.add_argument("--workers", type=int, default=1, help="processes that make scenes")
    parser.add_argument("--json", type=Path, help="write all figures here")
    parser.add_argument("--markdown", type=Path, help="write the tables here, not to standard output")
    args = parser.parse_args(argv)
    if args.presets is None:
        args.presets = [] if args.captures else ["wideband"]
    if args.count < 1 or min(args.frame_ms) <= 0:
        parser.error("--count and --frame-ms must be more than 0")
    if args.workers < 0:
        parser.error("--workers is not negative")
    for path in (args.json, args.markdown):
        if path and not path.parent.is_dir():  # not after hours of work
            parser.error(f"{path} cannot be written: there is no folder {path.parent}")
    figures = evaluate(args)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")
    if args.markdown:
        args.markdown.write_text(markdown(figures))
    else:
        print(markdown(figures), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
