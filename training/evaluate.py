# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model file is worth: pixels and bands on test scenes that no training sees, and recordings.

usage: python training/evaluate.py MODEL.onnx [--preset wideband] [--count 200] [--json OUT]
       python training/evaluate.py MODEL.onnx --preset paper-test
       python training/evaluate.py MODEL.onnx --captures DIR [--frame-ms 40]

Pixels are the network's own, from one confusion matrix, with the column mean (each column's probabilities averaged over
the frame) beside them. Bands and captures go through `ata-sense replay`: what is measured is what a user gets.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import onnxruntime
import torch
from tqdm import tqdm

from training.data import CLASSES, COLUMNS, TEST_SEEDS, Example, fixed_set
from training.detection import CELLULAR, Carrier, carriers, compare
from training.errors import DataError
from training.metrics import Pixels
from training.scene_draw import PRESETS, draw_scene
from training.scene_iq import scene_iq

SNR_BINS = (-20, 0, 5, 10, 20, 60)  # dB
PAPER_LEVELS = ("-10", "0", "10", "20", "30", "none")  # dB over the whole band


def judge_pixels(session: onnxruntime.InferenceSession, batches: list[Example]) -> Pixels:
    """Runs a model over batches of images."""
    made = Pixels(CLASSES)
    for image, truth in batches:
        logits = session.run(["logits"], {"spectrogram": image.numpy()})[0]
        made.add(torch.from_numpy(logits).softmax(1), truth)
    return made


def pixel_figures(model: Path, preset: str, count: int, workers: int) -> dict:
    """Figures on `count` test scenes (paper-test: of each noise level), pooled and by level; images as it was trained."""
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    metadata = json.loads(session.get_modelmeta().custom_metadata_map["ata"])
    front_end = metadata["trained"].get("front_end", "ata")
    pooled, by_level = Pixels(CLASSES), {}
    fixed = [{"level_db": level} for level in PAPER_LEVELS] if preset.startswith("paper") else [{}]
    for more in fixed:
        made = judge_pixels(session, fixed_set(preset, count, TEST_SEEDS, workers, front_end, **more))
        pooled.merge(made)
        if more:
            by_level[more["level_db"]] = made.figures()
    return {"preset": preset, "scenes": count * len(fixed), **pooled.figures(), "by_level_db": by_level}


def band_figures(model: Path, preset: str, count: int) -> dict:
    """Carriers found, false bands and edge errors of `ata-sense replay` on `count` test scenes, one frame each."""
    rows: list[Carrier] = []
    false_frames = 0
    with tempfile.TemporaryDirectory() as folder:
        samples, records = Path(folder) / "scene.cf32", Path(folder) / "records.jsonl"
        for seed in tqdm(range(TEST_SEEDS, TEST_SEEDS + count), unit="scene", disable=None):
            scene = draw_scene(preset, seed)
            scene_iq(scene).numpy().tofile(samples)
            replay(samples, records, model, 1e3 * scene.duration,
                   "--rate", repr(scene.samp_rate), "--freq", "0", "--format", "cf32_le")  # fmt: skip
            record = json.loads(records.read_text().splitlines()[0])
            bands = [(b["label"], b["freq_lower_edge"], b["freq_upper_edge"]) for b in record["bands"]]
            there = carriers(scene)
            false_frames += compare(there, bands, scene.samp_rate / COLUMNS) > 0
            rows += there
    asked = [r for r in rows if r.counts]
    return {"frames": count, "false_share": false_frames / count, "snr_5_db_up": _found([r for r in asked if r.snr_db >= 5]),
            "by_snr_db": {f"{a} to {b}": _found([r for r in asked if a <= r.snr_db < b])
                          for a, b in zip(SNR_BINS, SNR_BINS[1:], strict=False)},
            "by_label": {label: _found([r for r in asked if r.label == label and r.snr_db >= 5]) for label in CELLULAR},
            "carriers": [r.to_dict() for r in rows]}  # fmt: skip


def _found(rows: list[Carrier]) -> dict:
    hits = [r for r in rows if r.found]
    near = sum(r.edge_columns <= 1 for r in hits)
    return {"carriers": len(rows), "found": round(len(hits) / len(rows), 4) if rows else None,
            "edges_within_a_column": round(near / len(hits), 4) if hits else None}  # fmt: skip


def captures(model: Path, folder: Path, frame_ms: float) -> dict:
    """The scorecard of recordings with truth: as they are, and the noise-free ones again at 10 dB."""
    if not (folder / "score.py").exists():
        raise DataError(f"{folder} holds no score.py")
    figures = {}
    with tempfile.TemporaryDirectory() as scratch:
        figures["as they are"] = _score(folder, folder, Path(scratch) / "clean", model, frame_ms)
        for group in sorted(folder.glob("generated-*")):
            noisy = Path(scratch) / "noisy" / group.name
            _run(sys.executable, folder / "add_noise.py", group, noisy, "--snr", "10", "--seed", "1")
        if (Path(scratch) / "noisy").exists():
            figures["10 dB"] = _score(folder, Path(scratch) / "noisy", Path(scratch) / "heard", model, frame_ms)
    return {"frame_ms": frame_ms, **figures}


def _score(rules: Path, recordings: Path, records: Path, model: Path, frame_ms: float) -> dict:
    for meta in tqdm(sorted(recordings.rglob("*.sigmf-meta")), unit="recording", disable=None):
        out = (records / meta.relative_to(recordings)).with_suffix(".jsonl")
        out.parent.mkdir(parents=True, exist_ok=True)
        replay(meta, out, model, frame_ms)
    figures = records / "score.json"
    print(_run(sys.executable, rules / "score.py", recordings, records, "--json", figures))
    return json.loads(figures.read_text())["groups"]


def replay(recording: Path, records: Path, model: Path, frame_ms: float, *more: str) -> None:
    """`ata-sense replay` on the CPU; DataError with what it said if it fails."""
    beside = Path(sys.executable).parent / "ata-sense"
    command = str(beside) if beside.exists() else shutil.which("ata-sense")
    if command is None:
        raise DataError("there is no ata-sense here to replay with: `make setup` installs it")
    _run(command, "replay", recording, "--jsonl", records, "--model", model, "--engine", "onnxruntime-cpu",
         "--frame-ms", repr(frame_ms), *more)  # fmt: skip


def _run(*command: object) -> str:
    made = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if made.returncode:
        raise DataError((made.stderr.strip() or made.stdout.strip()).splitlines()[-1])
    return made.stdout.rstrip()


def _print(figures: dict, indent: str = "") -> None:
    for name, value in figures.items():
        if name == "carriers" and isinstance(value, list):
            continue
        if isinstance(value, dict):
            print(f"{indent}{name}")
            _print(value, indent + "  ")
        else:
            print(f"{indent}{name:24s} {value:.4f}" if isinstance(value, float) else f"{indent}{name:24s} {value}")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--preset", choices=PRESETS, default="wideband")
    parser.add_argument("--count", type=int, default=200, help="scenes (paper-test: of each noise level)")
    parser.add_argument("--captures", type=Path, help="folder of recordings with truth and its score.py, instead of scenes")
    parser.add_argument("--frame-ms", type=float, default=40.0, help="of --captures")
    parser.add_argument("--workers", type=int, default=1, help="processes that make scenes")
    parser.add_argument("--json", type=Path, help="write all figures here")
    args = parser.parse_args(argv)
    try:
        if not args.model.exists():
            raise DataError(f"there is no model file {args.model}")
        if args.captures:
            figures = captures(args.model, args.captures, args.frame_ms)
        else:
            figures = pixel_figures(args.model, args.preset, args.count, args.workers)
            if args.preset == "wideband":
                figures["bands"] = band_figures(args.model, args.preset, args.count)
        if args.json:
            args.json.write_text(json.dumps(figures, indent=1) + "\n")
    except (DataError, OSError) as failure:
        print(f"evaluate: {failure}", file=sys.stderr)
        return 2
    _print(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
