# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fuzzed targets with the seeds, with what hypothesis thinks of, and for some seconds with the fuzzer itself."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz import targets
from hypothesis import given, settings
from hypothesis import strategies as st

WHOLE = ("recording_meta", "model_metadata", "model_file", "engine_sidecar")  # their first seed is a right one


@pytest.mark.parametrize("name", targets.TARGETS)
def test_seeds_are_taken_or_refused(name: str) -> None:
    taken = [targets.run(name, seed) for seed in targets.seeds(name)]
    assert taken[0] or name not in WHOLE


@pytest.mark.parametrize("name", targets.TARGETS)
@settings(max_examples=25, deadline=None)
@given(data=st.binary(max_size=300))
def test_anything_is_taken_or_refused(name: str, data: bytes) -> None:
    targets.run(name, data)


def test_the_fuzzer_runs_and_finds_nothing() -> None:
    pytest.importorskip("atheris", reason="atheris is not installed")
    command = [sys.executable, Path(__file__).with_name("run.py"), "tuning", "recording", "--seconds", "2"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    total = json.loads(ran.stdout.splitlines()[-1])
    assert total["findings"] == 0 and total["inputs"] > 20 and total["accepted"] > 0
