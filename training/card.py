# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of `evaluate.py` as Markdown, for a model card."""

from __future__ import annotations

from collections.abc import Iterable

WORST = 0.9  # recordings with less of their frames found are named
FALSE = 0.01  # and those with more false frames


def markdown(figures: dict) -> str:
    """What `evaluate.py` measured, as sections of tables."""
    parts = [_model(figures["model"])]
    for made in figures["scenes"]:
        parts.append(_scenes(made))
    if figures["captures"]:
        parts.append(_captures(figures["captures"]))
    return "\n\n".join(parts) + "\n"


def _model(model: dict) -> str:
    parts, trained = [], model["trained"]
    while trained:
        parts.append(", ".join(f"{k} {v}" for k, v in trained.items() if k != "initial" and v not in ("", None)))
        trained = trained.get("initial")
    return f"# {model['name']}\n\nTrained with: {'; before that: '.join(parts)}. File: {model['bytes'] / 1e6:.2f} MB."


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    lines = [list(head), *rows]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(_cell(c) for c in line)} |" for line in lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return "-" if value is None else str(value)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _scenes(made: dict) -> str:
    titles = {"wideband": "Wideband test scenes", "paper-test": "Paper protocol"}
    parts = [f"## {titles.get(made['preset'], made['preset'])}", f"{made['scenes']} scenes that no training saw."]
    names = ("miou", "mean_accuracy", "f1", "precision")
    rows = [(kind.replace("_", " "), *(made[kind][n] for n in names)) for kind in ("pixels", "column_mean")]
    parts.append(_table(("output", "mIoU", "mean accuracy", "F1", "precision"), rows))
    of = ("iou", "recall", "precision", "f1")
    classes = made["pixels"]["classes"]
    parts.append(_table(("class (pixels)", "IoU", "recall", "precision", "F1"),
                        [(name, *(c[n] for n in of)) for name, c in classes.items()]))  # fmt: skip
    if made["by_level_db"]:
        rows = [(level, *(m[kind][n] for kind in ("pixels", "column_mean") for n in ("miou", "f1")))
                for level, m in made["by_level_db"].items()]  # fmt: skip
        parts.append(_table(("SNR over the whole band, dB", "mIoU, pixels", "F1, pixels", "mIoU, column mean",
                             "F1, column mean"), rows))  # fmt: skip
    if "bands" in made:
        parts += _bands(made["bands"])
    return "\n\n".join(parts)


def _bands(bands: dict) -> list[str]:
    whole, alone = bands["all"], bands["alone"]
    parts = [f"Bands of `ata-sense replay`, LTE and NR. In frames of 5 ms and more, carriers of 5 dB in-band SNR and more: "
             f"**{_share(whole['found'])}** of {whole['carriers']} found and rightly named "
             f"({_share(alone['found'])} of the {alone['carriers']} on which no other carrier stands), "
             f"**{_share(whole['edges_within_a_column'])}** of those with both edges within a column; a false band in "
             f"**{_share(whole['false_frames'])}** of {whole['frames']} frames."]  # fmt: skip
    titles = {"by_label": "label", "by_snr_db": "in-band SNR, dB", "by_width_mhz": "carrier, MHz",
              "by_rate_msps": "rate, MS/s", "by_frame_ms": "frame, ms"}  # fmt: skip
    for key, title in titles.items():
        rows = [(name, g["carriers"], _share(g["found"]), _share(g["edges_within_a_column"]), g["edge_columns_p95"],
                 g.get("frames"), _share(g.get("false_frames"))) for name, g in bands[key].items()]  # fmt: skip
        head = (title, "carriers", "found and named", "edges within a column", "95 % of edges within, columns", "frames",
                "with a false band")  # fmt: skip
        shown = len(head) if any(row[5] is not None for row in rows) else 5
        parts.append(_table(head[:shown], [row[:shown] for row in rows]))
    return parts


def _captures(runs: list[dict]) -> str:
    rows, failures = [], []
    for run in runs:
        for state in ("as they are", "10 dB"):
            for group, g in run.get(state, {}).get("groups", {}).items():
                cellular = group != "other"
                rows.append((group, state, f"{run['frame_ms']:g} ms", g["recordings"], g["frames"],
                             _share(g["found"]) if cellular else "-", _share(g["false"])))  # fmt: skip
            for r in run.get(state, {}).get("recordings", ()):
                missed = r["group"] != "other" and r["found"] < WORST
                if missed or r["false"] > FALSE:
                    found = "-" if r["group"] == "other" else _share(r["found"])
                    failures.append((r["name"], state, f"{run['frame_ms']:g} ms", r["frames"], found, _share(r["false"])))
    head = ("group", "noise", "frames of", "recordings", "frames", "every carrier found", "a false LTE/NR band")
    parts = ["## Recordings", "Means over recordings; those shorter than the frame are one frame of their own length.",
             _table(head, rows)]  # fmt: skip
    if failures:
        parts += [f"Those with less than {WORST:.0%} found, or more than {FALSE:.0%} of frames with a false band:",
                  _table(("recording", "noise", "frames of", "frames", "found", "false"), failures)]  # fmt: skip
    return "\n\n".join(parts)
