# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The study's arithmetic on figures known beforehand, and one whole study of the smallest kind."""

import numpy as np
import pytest

from training import study
from training.evaluate import PAPER_LEVELS


def figures(miou: float) -> dict:
    both = {"pixels": {"miou": miou}, "column_mean": {"miou": miou + 0.01}}
    return {**both, "by_level_db": dict.fromkeys(PAPER_LEVELS, both)}


def test_interval_of_paired_differences():
    mean, half = study.interval(np.array([0.01, 0.02, 0.03]))
    assert mean == pytest.approx(0.02)
    assert half == pytest.approx(4.3027 * 0.01 / 3**0.5, rel=1e-4)  # Student's t, two degrees of freedom
    assert np.isnan(study.interval(np.array([0.1]))[1])


def test_differences_are_paired_by_seed():
    """Seeds differ by far more than variants do; the pairs show the gain all the same."""
    results = {}
    for seed, base in ((1, 0.2), (2, 0.5), (3, 0.8)):
        results["ata_net", "none", seed] = figures(base)
        results["ata_net", "patch", seed] = figures(base + 0.01)
    results["ata_net", "patch", 4] = figures(0.99)  # has no partner yet
    row = next(line for line in study.table(results).splitlines() if "| patch | pixels" in line)
    assert "| 3 |" in row and "+0.0100 ± 0.0000" in row


def test_a_whole_study_and_again(tmp_path, capsys):
    asked = ["--out", str(tmp_path / "runs"), "--report", str(tmp_path / "study.md"), "--segmenters", "ata_net",
             "--variants", "none", "patch", "--seeds", "1", "--steps", "1", "--batch", "1", "--test", "1",
             "--validation", "1", "--workers", "0"]  # fmt: skip
    assert study.main(asked) == 0
    assert "| ata_net | patch | column_mean | 1 |" in (tmp_path / "study.md").read_text()
    assert (tmp_path / "study.png").stat().st_size > 1000
    kept = {p: p.stat().st_mtime_ns for p in (tmp_path / "runs").rglob("*.onnx")}
    assert len(kept) == 2
    assert study.main(asked) == 0  # finds its runs
    assert kept == {p: p.stat().st_mtime_ns for p in (tmp_path / "runs").rglob("*.onnx")}
    asked[asked.index("--steps") + 1] = "2"
    assert study.main(asked) == 2
    assert "--steps 1, not 2" in capsys.readouterr().err
