# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shipped model on LTE and NR carriers that a simulated dongle of 2.4 MS/s sees an eighth of at once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FROM, TO = -21e6, 13e6  # Hz; a generated scene has no centre frequency


def run(*command: object, cwd: Path) -> str:
    command = [sys.executable, *map(str, command)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=os.environ, check=True, timeout=300).stdout


def test_carriers_of_10_and_20_mhz_have_their_true_edges_and_names(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch, which makes the scene, is not installed")
    run(ROOT / "training" / "scene.py", "--preset", "demo", "--count", 1, "--seed", 1, "--frame-ms", 40, "--out", tmp_path,
        cwd=tmp_path)  # fmt: skip
    truth = json.loads((tmp_path / "demo.sigmf-meta").read_text())["annotations"]
    inside = [a for a in truth if a["core:freq_lower_edge"] > FROM and a["core:freq_upper_edge"] < TO]
    carriers = sorted((a["core:freq_lower_edge"], a["core:freq_upper_edge"], a["core:label"]) for a in inside)
    assert [label for *_, label in carriers] == ["LTE", "NR"]

    sweep = json.loads(run(ROOT / "apps" / "ata-sense", "scan", "--source", "sim:demo.sigmf-meta", f"--from={FROM}",
                           "--to", TO, "--jsonl", "-", cwd=tmp_path))  # fmt: skip
    assert sweep["steps"] > 30 and sweep["samp_rate"] == 2.4e6
    for low, high, label in carriers:
        there = [b for b in sweep["bands"] if b["freq_upper_edge"] > low and b["freq_lower_edge"] < high]
        ends = min(b["freq_lower_edge"] for b in there), max(b["freq_upper_edge"] for b in there)
        assert ends == pytest.approx((low, high), abs=0.1e6)
        widest = max(there, key=lambda b: b["freq_upper_edge"] - b["freq_lower_edge"])
        assert widest["label"] == label
        assert widest["freq_upper_edge"] - widest["freq_lower_edge"] > 0.75 * (high - low)  # idle blocks may lie beside it
