# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model on what `ata-sense replay` makes of it: scenes with known carriers, and recordings with a score of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from training.data import COLUMNS, TEST_SEEDS
from training.detection import CELLULAR, Carrier, carriers, compare
from training.errors import DataError
from training.replays import Replays
from training.scene_draw import draw_scene
from training.scene_iq import scene_iq

LEAST_SNR = 5.0  # dB, in band: carriers above it are asked for
SHORTEST_MS = 5.0  # frames below it are shown by themselves only
SNR_DB = (-20, 0, 5, 10, 20, 40, 100)
WIDTH_MHZ = (0, 2, 5, 10, 20, 50, 400)  # of the whole carrier, whatever the band shows of it: N_RB x 12 x SCS
RATE_MSPS = (0, 4, 16, 32, 64, 128, 250)
FRAME_MS = (0, 2, 5, 10, 20, 40, 100)


def band_figures(model: Path, preset: str, count: int) -> dict:
    """Carriers found, false bands and edge errors on `count` test scenes, one frame each."""
    rows: list[Carrier] = []
    frames: list[dict] = []
    with tempfile.TemporaryDirectory() as folder, Replays(model) as replay:
        samples, records = Path(folder) / "scene.cf32", Path(folder) / "records.jsonl"
        for seed in tqdm(range(TEST_SEEDS, TEST_SEEDS + count), unit="scene", disable=None):
            scene = draw_scene(preset, seed)
            scene_iq(scene).numpy().tofile(samples)
            (record,) = replay(samples, records, 1e3 * scene.duration, "--rate", repr(scene.samp_rate), "--freq", "0",
                               "--format", "cf32_le")  # fmt: skip
            bands = [(b["label"], b["freq_lower_edge"], b["freq_upper_edge"]) for b in record["bands"]]
            there = carriers(scene)
            false = compare(there, bands, scene.samp_rate / COLUMNS)
            frames.append({"seed": seed, "samp_rate": scene.samp_rate, "frame_ms": 1e3 * scene.duration, "false": false})
            rows += there
    return summary(rows, frames)


def summary(rows: list[Carrier], frames: list[dict]) -> dict:
    """Figures of the carriers and frames in all and by what they are like; a group without either is left out.

    All but `by_frame_ms` leave frames under `SHORTEST_MS` out; all but `by_snr_db` leave carriers under `LEAST_SNR` out.
    """
    asked = [r for r in rows if r.counts]
    clear = [r for r in asked if r.snr_db >= LEAST_SNR]
    long = [r for r in clear if _within(r.frame_ms, SHORTEST_MS)]
    long_frames = [f for f in frames if _within(f["frame_ms"], SHORTEST_MS)]

    def by(bins: tuple, of: Callable, some: list[Carrier], own: Callable | None = None) -> dict:
        made = {}
        for low, high in zip(bins, bins[1:], strict=False):
            inside = [r for r in some if _within(of(r), low) and not _within(of(r), high)]
            seen = [f for f in (frames if bins is FRAME_MS else long_frames)
                    if own and _within(own(f), low) and not _within(own(f), high)]  # fmt: skip
            if inside or seen:
                made[f"{low} to {high}"] = {**_found(inside), **(_false(seen) if own else {})}
        return made

    return {
        "frames": len(frames),
        "all": {**_found(long), **_false(long_frames)},
        "alone": _found([r for r in long if not r.overlapped]),
        "by_label": {label: _found([r for r in long if r.label == label]) for label in CELLULAR},
        "by_snr_db": by(SNR_DB, lambda r: r.snr_db, [r for r in asked if _within(r.frame_ms, SHORTEST_MS)]),
        "by_width_mhz": by(WIDTH_MHZ, lambda r: r.width / 1e6, long),
        "by_rate_msps": by(RATE_MSPS, lambda r: r.samp_rate / 1e6, long, lambda f: f["samp_rate"] / 1e6),
        "by_frame_ms": by(FRAME_MS, lambda r: r.frame_ms, clear, lambda f: f["frame_ms"]),
        "carriers": [r.to_dict() for r in rows],
        "false_frames": [f for f in frames if f["false"]],
    }


def _within(value: float, low: float) -> bool:
    """value >= low, up to rounding to whole samples."""
    return value >= low * (1 - 1e-3) if low > 0 else value >= low


def _found(rows: list[Carrier]) -> dict:
    edges = [r.edge_columns for r in rows if r.found]
    made = {"carriers": len(rows), "found": round(len(edges) / len(rows), 4) if rows else None}
    near = [e <= 1 for e in edges]
    return {**made, "edges_within_a_column": round(sum(near) / len(near), 4) if near else None,
            "edge_columns_p95": round(float(np.percentile(edges, 95)), 2) if edges else None}  # fmt: skip


def _false(frames: list[dict]) -> dict:
    false = sum(f["false"] > 0 for f in frames)
    return {"frames": len(frames), "false_frames": round(false / len(frames), 4) if frames else None}


def captures(model: Path, folder: Path, frame_ms: float) -> dict:
    """Recordings with truth, by the folder's own `score.py`: as they are, and the noise-free ones again at 10 dB."""
    if not (folder / "score.py").exists():
        raise DataError(f"{folder} holds no score.py")
    figures = {}
    with tempfile.TemporaryDirectory() as scratch, Replays(model) as replay:
        figures["as they are"] = _score(folder, folder, Path(scratch) / "clean", replay, frame_ms)
        for group in sorted(folder.glob("generated-*")):
            noisy = Path(scratch) / "noisy" / group.name
            _run(sys.executable, folder / "add_noise.py", group, noisy, "--snr", "10", "--seed", "1")
        if (Path(scratch) / "noisy").exists():
            figures["10 dB"] = _score(folder, Path(scratch) / "noisy", Path(scratch) / "heard", replay, frame_ms)
    return {"frame_ms": frame_ms, **figures}


def _score(rules: Path, recordings: Path, records: Path, replay: Replays, frame_ms: float) -> dict:
    """-> {"groups": by group, "recordings": [each]}, as score.py writes them."""
    for meta in tqdm(sorted(recordings.rglob("*.sigmf-meta")), unit="recording", disable=None):
        out = (records / meta.relative_to(recordings)).with_suffix(".jsonl")
        out.parent.mkdir(parents=True, exist_ok=True)
        replay(meta, out, frame_ms)
    figures = records / "score.json"
    _run(sys.executable, rules / "score.py", recordings, records, "--json", figures)
    made = json.loads(figures.read_text())
    return {"groups": made["groups"], "recordings": made["recordings"]}


def _run(*command: object) -> None:
    made = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if made.returncode:
        raise DataError((made.stderr.strip() or made.stdout.strip() or f"{command[1]} failed").splitlines()[-1])
