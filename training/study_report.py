# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The study's runs as tables with paired differences and their confidence intervals, and as plots over the noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import stats

from training.evaluate import PAPER_LEVELS

Results = dict[tuple[str, str, str, int], dict]  # (front end, segmenter, variant, seed) -> figures
KINDS = {"pixels": "pixels", "column_mean": "column mean"}


def score(figures: dict, level: str | None, kind: str, name: str = "miou") -> float:
    """A figure of a run: kind `pixels` or `column_mean`; of one noise level, or pooled (None)."""
    return (figures["by_level_db"][level] if level else figures)[kind][name]


def interval(differences: np.ndarray) -> tuple[float, float]:
    """Mean of paired differences and half its 95 % confidence interval (Student's t); NaN for a single pair."""
    if len(differences) < 2:
        return float(differences.mean()), float("nan")
    error = float(differences.std(ddof=1)) / len(differences) ** 0.5
    return float(differences.mean()), float(stats.t.ppf(0.975, len(differences) - 1)) * error


def with_interval(differences: np.ndarray) -> str:
    mean, half = interval(differences)
    return f"{mean:+.4f} (one only)" if np.isnan(half) else f"{mean:+.4f} ± {half:.4f}"


def groups(results: Results) -> list[tuple[str, str, str]]:
    """(front end, segmenter, variant) in the order of the runs."""
    return list(dict.fromkeys(key[:3] for key in results))


def seeds_of(results: Results, group: tuple[str, str, str]) -> list[int]:
    """The seeds of a group whose run without an adversary is there too: only they make pairs."""
    return sorted(s for *g, s in results if tuple(g) == group and (*group[:2], "none", s) in results)


def gain(results: Results, group: tuple[str, str, str], level: str | None, kind: str) -> np.ndarray:
    """mIoU over that of `none`, seed by seed."""
    return np.array([score(results[*group, s], level, kind) - score(results[*group[:2], "none", s], level, kind)
                     for s in seeds_of(results, group)])  # fmt: skip


def spread(values: list[float]) -> str:
    deviation = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{deviation}"


def table(results: Results) -> str:
    """Markdown: mean and standard deviation over seeds of every group, from pixels and from column means."""
    lines = ["| front end | segmenter | variant | seeds | output | mIoU, all levels | -10 dB | 0 dB | mean accuracy | F1 |",
             "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    for group in groups(results):
        seeds = seeds_of(results, group)
        for kind, words in KINDS.items() if seeds else ():
            runs = [results[*group, s] for s in seeds]
            cells = [spread([score(f, level, kind) for f in runs]) for level in (None, "-10", "0")]
            cells += [spread([score(f, None, kind, name) for f in runs]) for name in ("mean_accuracy", "f1")]
            lines.append(f"| {' | '.join(group)} | {len(seeds)} | {words} | {' | '.join(cells)} |")
    return "\n".join(lines)


def differences(results: Results) -> str:
    """Markdown: mIoU over `none` with its 95 % confidence interval, paired by seed, and what the column mean gives."""
    lines = ["| front end | segmenter | variant | pairs | pixels | column mean | pixels at -10 dB | pixels at 0 dB |",
             "| --- | --- | --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    for group in groups(results):
        if group[2] == "none" or not (pairs := len(seeds_of(results, group))):
            continue
        asked = ((None, "pixels"), (None, "column_mean"), ("-10", "pixels"), ("0", "pixels"))
        cells = [with_interval(gain(results, group, *a)) for a in asked]
        lines.append(f"| {' | '.join(group)} | {pairs} | {' | '.join(cells)} |")
    return "\n".join(lines)


def baseline(results: Results) -> str:
    """Markdown: what averaging each column over the frame gives to networks trained without an adversary."""
    lines = ["| front end | segmenter | runs | column mean over pixels, mIoU |", "| --- | --- | --- | --- |"]
    for group in groups(results):
        if group[2] == "none":
            runs = [results[*group, s] for s in seeds_of(results, group)]
            given = np.array([score(f, None, "column_mean") - score(f, None, "pixels") for f in runs])
            lines.append(f"| {' | '.join(group[:2])} | {len(runs)} | {with_interval(given)} |")
    return "\n".join(lines)


def health(results: Results) -> str:
    """Markdown: the discriminators' loss during training (0.69 judges by chance, 0 has won)."""
    lines = ["| front end | segmenter | variant | D's loss at a quarter | half | end | lowest |",
             "| --- | --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    for group in groups(results):
        curves = [[c["discriminator"] for c in f["curve"]] for (*g, _), f in results.items() if tuple(g) == group]
        if curves[0][0] is None:
            continue
        looks = np.array(curves)
        at = [looks[:, max(0, looks.shape[1] * share // 4 - 1)].mean() for share in (1, 2, 4)]
        lines.append(f"| {' | '.join(group)} | {' | '.join(f'{v:.3f}' for v in (*at, looks.min()))} |")
    return "\n".join(lines)


def plot(results: Results, path: Path) -> None:
    """mIoU over the noise levels, and the difference to `none`; one column of panels a front end and segmenter."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(g[:2] for g in groups(results)))
    figure = Figure(figsize=(4.2 * len(names), 6), layout="constrained")
    panels = figure.subplots(2, len(names), squeeze=False, sharex=True, sharey="row")
    for (upper, lower), name in zip(panels.T, names, strict=True):
        for group in groups(results):
            seeds = seeds_of(results, group) if group[:2] == name else []
            if not seeds:
                continue
            means = [np.mean([score(results[*group, s], level, "pixels") for s in seeds]) for level in PAPER_LEVELS]
            upper.plot(PAPER_LEVELS, means, marker="o", ms=3, label=group[2])
            given = [interval(gain(results, group, level, "pixels")) for level in PAPER_LEVELS]
            lower.errorbar(PAPER_LEVELS, [g[0] for g in given], [np.nan_to_num(g[1]) for g in given], marker="o", ms=3,
                           capsize=2)  # fmt: skip
        upper.set_title(", ".join(name))
        upper.legend(fontsize=8)
        lower.set_xlabel("SNR over the whole band, dB")
        for axes in (upper, lower):
            axes.grid(alpha=0.3)
    panels[0][0].set_ylabel("mIoU of pixels")
    panels[1][0].set_ylabel("over none, 95 % interval")
    FigureCanvasAgg(figure).print_png(str(path))


def plot_curves(results: Results, path: Path) -> None:
    """Validation mIoU over the steps, mean over seeds: whether the runs were long enough."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(g[:2] for g in groups(results)))
    figure = Figure(figsize=(4.2 * len(names), 3.2), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False, sharey=True)[0], names, strict=True):
        for group in groups(results):
            curves = [f["curve"] for (*g, _), f in results.items() if tuple(g) == group and group[:2] == name]
            if curves:
                axes.plot([c["step"] for c in curves[0]], np.mean([[c["miou"] for c in curve] for curve in curves], 0),
                          marker="o", ms=3, label=group[2])  # fmt: skip
        axes.set(title=", ".join(name), xlabel="step")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.axes[0].set_ylabel("validation mIoU")
    FigureCanvasAgg(figure).print_png(str(path))


def write(results: Results, setting: dict, path: Path) -> None:
    """The tables as Markdown at `path`, the plots beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plot(results, path.with_name(f"{path.stem}-snr.png"))
    plot_curves(results, path.with_name(f"{path.stem}-training.png"))
    asked = ", ".join(f"{name} {value}" for name, value in setting.items())
    path.write_text("\n\n".join([
        f"Setting: {asked}. Mean ± standard deviation over seeds.", table(results),
        "mIoU over `none`, paired by seed, ± half its 95 % confidence interval (Student's t):", differences(results),
        "What the column mean gives by itself:", baseline(results),
        "The discriminators:", health(results),
        f"![mIoU by noise level]({path.stem}-snr.png)", f"![Validation curves]({path.stem}-training.png)",
    ]) + "\n")  # fmt: skip
