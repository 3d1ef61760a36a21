# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ATA gives: every variant with several segmenters and seeds on the paper protocol, and a table of differences.

usage: python training/study.py [--steps 1500] [--seeds 5] [--out runs/study] [--report docs/study.md]

Every run is a folder in --out; what is there already is not run again, so the study can be stopped at any time. Of a
segmenter and a seed, all variants begin with the same weights and see the same frames, so differences are paired.
`released` needs no runs: its segmenter equals that of `none` bit for bit, which a test holds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from itertools import product
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from scipy import stats
from tqdm import tqdm

from training.data import FRONT_ENDS
from training.errors import DataError
from training.evaluate import PAPER_LEVELS, pixel_figures

SEGMENTERS = {"ata_net": [], "unetpp": ["--width", "8"]}  # a narrow U-Net++, for CPUs
VARIANTS = ("none", "figure", "patch", "conditional")
TRAIN = Path(__file__).with_name("train.py")


def one_run(args: argparse.Namespace, segmenter: str, variant: str, seed: int) -> dict:
    """Trains and tests one network where that has not been done -> its figures on the paper protocol's test frames."""
    out = args.out / f"{args.front_end}-{segmenter}-{variant}-{seed}"
    figures = out / "test.json"
    if not figures.exists():
        command = [sys.executable, "-W", "ignore", TRAIN, "--out", out, "--preset", "paper", "--segmenter", segmenter,
                   *SEGMENTERS[segmenter], "--variant", variant, "--seed", seed, "--steps", args.steps,
                   "--batch", args.batch, "--validation", args.validation, "--workers", args.workers,
                   "--threads", args.threads, "--front-end", args.front_end]  # fmt: skip
        if (out / "checkpoint.pt").exists():
            command.append("--resume")
        if subprocess.run([str(part) for part in command], check=False).returncode:
            raise DataError(f"the run {out} failed")
        made = pixel_figures(out / "model.onnx", "paper-test", args.test, args.workers)
        figures.write_text(json.dumps({**made, "steps": args.steps}) + "\n")
    made = json.loads(figures.read_text())
    if made["steps"] != args.steps:
        raise DataError(f"{out} was run with --steps {made['steps']}, not {args.steps}")
    return made


def score(figures: dict, level: str | None, kind: str) -> float:
    """mIoU of a run: kind `pixels` or `column_mean`; of one noise level, or pooled (None)."""
    return (figures["by_level_db"][level] if level else figures)[kind]["miou"]


def interval(differences: np.ndarray) -> tuple[float, float]:
    """Mean of paired differences and half its 95 % confidence interval (Student's t); NaN for a single pair."""
    if len(differences) < 2:
        return float(differences.mean()), float("nan")
    error = float(differences.std(ddof=1)) / len(differences) ** 0.5
    return float(differences.mean()), float(stats.t.ppf(0.975, len(differences) - 1)) * error


def table(results: dict[tuple[str, str, int], dict]) -> str:
    """(segmenter, variant, seed) -> figures, as Markdown: mean, spread, and the paired difference to `none`."""
    lines = ["| segmenter | variant | output | seeds | mIoU pooled | mIoU at -10 dB | mIoU at 0 dB | pooled, over none |",
             "| --- | --- | --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    for segmenter, variant, kind in product(SEGMENTERS, VARIANTS, ("pixels", "column_mean")):
        seeds = sorted(s for g, v, s in results if (g, v) == (segmenter, variant) and (g, "none", s) in results)
        if not seeds:
            continue
        mine = [results[segmenter, variant, s] for s in seeds]
        cells = []
        for level in (None, "-10", "0"):
            values = np.array([score(f, level, kind) for f in mine])
            spread = f" ± {values.std(ddof=1):.4f}" if len(values) > 1 else ""
            cells.append(f"{values.mean():.4f}{spread}")
        pairs = [score(results[segmenter, variant, s], None, kind) - score(results[segmenter, "none", s], None, kind)
                 for s in seeds]  # fmt: skip
        mean, half = interval(np.array(pairs))
        gain = "-" if variant == "none" else f"{mean:+.4f} ± {half:.4f}"
        lines.append(f"| {segmenter} | {variant} | {kind} | {len(seeds)} | {' | '.join(cells)} | {gain} |")
    return "\n".join(lines)


def plot(results: dict[tuple[str, str, int], dict], path: Path) -> None:
    """mIoU over the noise levels, one panel a segmenter, one line a variant."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [s for s in SEGMENTERS if any(key[0] == s for key in results)]
    figure = Figure(figsize=(5 * len(names), 4), layout="constrained")
    for axes, segmenter in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for variant in VARIANTS:
            runs = [f for (g, v, _), f in results.items() if (g, v) == (segmenter, variant)]
            if runs:
                means = [np.mean([score(f, level, "pixels") for f in runs]) for level in PAPER_LEVELS]
                axes.plot(PAPER_LEVELS, means, marker="o", label=variant)
        axes.set(title=segmenter, xlabel="SNR over the whole band, dB", ylabel="mIoU", ylim=(0, 1))
        axes.grid(alpha=0.3)
        axes.legend()
    FigureCanvasAgg(figure).print_png(str(path))


def report(args: argparse.Namespace, results: dict[tuple[str, str, int], dict]) -> str:
    """The study as Markdown."""
    return "\n".join([
        "# What the adversarial term gives", "",
        f"Paper protocol, front end `{args.front_end}`, {args.steps} steps of {args.batch} frames, {args.test} test "
        "frames at each of six noise levels; mean ± standard deviation over seeds; differences are paired by seed, with "
        "their 95 % confidence interval. `column_mean` averages each column's probabilities over the frame. "
        "`released` is not in the table: its segmenter equals `none` bit for bit.", "",
        table(results), "", f"![mIoU by noise level]({args.report.stem}.png)", "",
    ])  # fmt: skip


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/study"), help="folder of the runs")
    parser.add_argument("--report", type=Path, default=Path("docs/study.md"))
    parser.add_argument("--segmenters", nargs="+", choices=SEGMENTERS, default=list(SEGMENTERS))
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--test", type=int, default=100, help="test frames of each noise level")
    parser.add_argument("--validation", type=int, default=32)
    parser.add_argument("--front-end", choices=FRONT_ENDS, default="ata")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = arguments(argv)
    results = {}
    try:
        # seeds outermost: a study that is stopped early has whole pairs
        runs = list(product(range(1, args.seeds + 1), args.segmenters, args.variants))
        for seed, segmenter, variant in tqdm(runs, unit="run", disable=None):
            results[segmenter, variant, seed] = one_run(args, segmenter, variant, seed)
        args.report.parent.mkdir(parents=True, exist_ok=True)
        args.report.write_text(report(args, results))
        plot(results, args.report.with_suffix(".png"))
    except (DataError, OSError) as failure:
        print(f"study: {failure}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("study: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
