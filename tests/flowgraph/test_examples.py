# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example flowgraph compiles; the ones that need no radio run to their end."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.grc"))


def compiled(example: Path, folder: Path) -> Path:
    """Compiles a flowgraph with grcc -> the Python program."""
    grcc = shutil.which("grcc")
    if grcc is None:
        pytest.skip("grcc is not installed")
    env = {**os.environ, "GRC_BLOCKS_PATH": str(ROOT / "grc"), "HOME": str(folder)}
    ran = subprocess.run(
        [grcc, "-o", str(folder), str(example)], capture_output=True, text=True, env=env, check=False, timeout=120
    )
    program = folder / f"{example.stem}.py"
    assert ran.returncode == 0 and program.exists(), ran.stdout + ran.stderr
    return program


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Three frames of 40 ms and a bit of noise at 2 MS/s."""
    iq = np.random.default_rng(2).standard_normal(2 * 250_000).astype("<f4")
    iq.tofile(tmp_path / "noise.sigmf-data")
    meta = {
        "global": {"core:datatype": "cf32_le", "core:sample_rate": 2e6, "core:version": "1.0.0"},
        "captures": [{"core:sample_start": 0, "core:frequency": 8e8}],
        "annotations": [],
    }
    (tmp_path / "noise.sigmf-meta").write_text(json.dumps(meta))
    return tmp_path / "noise.sigmf-meta"


def run(program: Path, *args: object) -> subprocess.CompletedProcess:
    command = [sys.executable, str(program), *map(str, args)]
    return subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=program.parent, check=False, timeout=120
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda p: p.stem)
def test_it_compiles(example: Path, tmp_path: Path) -> None:
    compiled(example, tmp_path)


def test_replay_writes_the_records_of_the_recording(recording: Path, tmp_path: Path) -> None:
    program = compiled(ROOT / "examples" / "replay.grc", tmp_path)
    ran = run(program, "--recording", recording, "--records", tmp_path / "out.jsonl")
    assert ran.returncode == 0, ran.stderr
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(x["sample_start"], x["center_freq"], x["samp_rate"]) for x in lines] == [
        (80_000 * i, 8e8, 2e6) for i in range(3)
    ]


def test_osmocom_sources_feed_the_block(recording: Path, tmp_path: Path) -> None:
    pytest.importorskip("osmosdr", reason="gr-osmosdr is not installed")
    program = compiled(ROOT / "examples" / "live_rtlsdr.grc", tmp_path)
    device = f"file={recording.with_suffix('.sigmf-data')},rate=2.4e6,repeat=false,throttle=false,freq=806e6"
    ran = run(program, "--device", device)
    assert ran.returncode == 0, ran.stderr
    assert "ata.segmenter" in ran.stdout and " frames, " in ran.stdout


def test_a_missing_usrp_is_said(tmp_path: Path) -> None:
    program = compiled(ROOT / "examples" / "live_usrp.grc", tmp_path)
    ran = run(program, "--device", "addr=127.0.0.1,type=usrp2")
    assert ran.returncode != 0
    assert "No devices found" in ran.stderr
