# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures: what a perfect, a slightly wrong and a lying detector get."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from runtime.tiny_model import write_tiny_model

from training import data, evaluate
from training.detection import Carrier, carriers, compare
from training.metrics import Confusion, Pixels
from training.scene_draw import draw_scene

COLUMN = 240e3


def lte(**changes) -> Carrier:
    given = {"label": "LTE", "kind": "lte", "carrier": (-9e6, 9e6), "active": (-8e6, 9e6), "snr_db": 10.0,
             "samp_rate": 61.44e6, "frame_ms": 40.0, "counts": True}  # fmt: skip
    return Carrier(**{**given, **changes})


@pytest.mark.parametrize(
    ("band", "found", "false"),
    [
        (("LTE", -9e6, 9e6), True, 0),
        (("LTE", -8.5e6, 9e6), True, 0),  # between active and carrier
        (("LTE", -8e6, 9.2e6), True, 0),
        (("NR", -9e6, 9e6), False, 1),
        (("LTE", -9e6, 1e6), False, 0),  # a piece of it
        (("LTE", 12e6, 20e6), False, 1),
        (("other", 12e6, 20e6), False, 0),
    ],
)
def test_bands_are_held_to_the_contract(band, found, false):
    there = [lte()]
    assert compare(there, [band], COLUMN) == false
    assert there[0].found == found


def test_edges_count_from_the_allowed_range():
    for low, high, columns in ((-8.3e6, 9e6, 0.0), (-9e6 - 2 * COLUMN, 9e6, 2.0), (-8e6, 9e6 - COLUMN, 1.0)):
        there = [lte()]
        compare(there, [("LTE", low, high)], COLUMN)
        assert there[0].edge_columns == pytest.approx(columns)


def test_shared_spectrum_may_be_called_either():
    for label in ("LTE", "NR"):
        assert compare([lte(label="NR", kind="dss", counts=False)], [(label, -9e6, 9e6)], COLUMN) == 0


def test_carriers_of_a_scene_are_its_cellular_truth():
    seen = [c for seed in range(12) for c in carriers(draw_scene("wideband", seed))]
    assert seen and all(c.label in ("LTE", "NR") for c in seen)
    assert any(c.counts for c in seen)
    for c in seen:
        # active lies in the carrier, but for half a subcarrier of uplink and shoulders of rounding
        assert c.carrier[0] - 1e5 <= c.active[0] < c.active[1] <= c.carrier[1] + 1e5


def test_one_confusion_matrix_and_its_figures():
    counts = Confusion(("a", "b", "c"))
    counts.add(torch.tensor([0, 0, 0, 1, 1]), torch.tensor([0, 0, 1, 1, 1]))
    made = counts.figures()
    assert made["miou"] == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert made["mean_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert made["precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert made["f1"] == pytest.approx((2 * 2 / 5 + 2 * 2 / 5) / 2)
    assert set(made["iou"]) == {"a", "b"}


def test_column_mean_mends_ragged_rows():
    truth = torch.randint(0, 4, (2, 16), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    right = torch.nn.functional.one_hot(truth.long(), 4).permute(0, 2, 1)[:, :, None].float().expand(-1, -1, 9, -1).clone()
    right[:, :, 4] = right[:, :, 4].roll(1, 1)  # one row in nine is wrong
    pixels = Pixels(("noise", "LTE", "NR", "other"))
    pixels.add(right, truth)
    made = pixels.figures()
    assert made["column_mean"]["miou"] == 1.0 and made["pixels"]["miou"] < 0.9


def test_scenes_by_the_command(tmp_path, monkeypatch, capsys):
    """End to end with a network that calls whatever is bright LTE: through ata-sense, to figures on disk."""
    if not (Path(sys.executable).parent / "ata-sense").exists() and not shutil.which("ata-sense"):
        pytest.skip("ata-sense is not installed")
    monkeypatch.setattr(data, "CACHE", tmp_path / "cache")
    model = write_tiny_model(tmp_path / "tiny.onnx")
    assert evaluate.main([str(model), "--count", "2", "--workers", "0", "--json", str(tmp_path / "f.json")]) == 0
    made = json.loads((tmp_path / "f.json").read_text())
    assert made["scenes"] == made["bands"]["frames"] == 2
    rows = made["confusion"]
    assert all(sum(row) == pytest.approx(1, abs=1e-3) or sum(row) == 0 for row in rows)
    assert "column_mean" in capsys.readouterr().out


def test_paper_levels_are_pooled(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(evaluate, "PAPER_LEVELS", ("0", "none"))
    made = evaluate.pixel_figures(write_tiny_model(tmp_path / "tiny.onnx"), "paper-test", 1, 0)
    assert made["scenes"] == 2 and set(made["by_level_db"]) == {"0", "none"}
    assert made["pixels"]["iou"].keys() == {"noise", "LTE", "NR"}


def test_what_is_missing_is_one_sentence(tmp_path, capsys):
    model = write_tiny_model(tmp_path / "tiny.onnx")
    absent, empty = [str(tmp_path / "no.onnx")], [str(model), "--captures", str(tmp_path)]
    for argv, says in ((absent, "no model file"), (empty, "score.py")):
        assert evaluate.main(argv) == 2
        said = capsys.readouterr().err.strip()
        assert says in said and "\n" not in said
