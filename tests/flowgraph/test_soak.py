# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The soak of benchmarks/soak.py in short: retunes by tag and by message, gaps and stalls, nothing lost uncounted."""

from pathlib import Path

import pytest
from gnuradio.ata import tuning
from tiny_model import write_tiny_model

from benchmarks import soak


@pytest.fixture
def plan(tmp_path: Path) -> soak.Plan:
    model = str(write_tiny_model(tmp_path / "tiny.onnx"))
    return soak.Plan(
        samples=60_000_000, rate=8e6, frame_ms=5.0, paced=False, retune=(0.3, 0.6), stall=(0.5, 1.0), gap=(0.5, 1.5),
        longest_stall=0.02, analysis_stalls=0.1, model=model,
    )  # fmt: skip


def test_everything_is_accounted_for(plan: soak.Plan) -> None:
    figures = soak.soak(plan)
    assert figures["wrong"] == []
    assert figures["retunes_by_tag"] >= 3 and figures["retunes_by_message"] >= 3
    assert figures["gaps"] >= 3 and figures["radio_stalls"] >= 3
    assert figures["records"] >= 10 and figures["dropped"] >= 10
    assert figures["tally"]["settled"] > 0 and figures["tally"]["discarded"] > 0


def test_frames_that_mix_two_frequencies_would_be_seen(plan: soak.Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block that is told of a retune too early, and does not wait, analyses old samples under the new frequency."""
    monkeypatch.setattr(soak, "SETTLE", 0)
    monkeypatch.setattr(tuning, "CONFIRMED_WITHIN", 0.0)
    figures = soak.soak(plan)
    assert {"no frame mixes two frequencies"} == set(figures["wrong"])
    assert figures["mixed_by_tone"] > 0 and figures["mixed_by_sample"] > 0
