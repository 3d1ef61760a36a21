# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The study's arithmetic on figures known beforehand, and one whole study of the smallest kind."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from training import study, study_frames, study_report
from training.data import CLASSES, VALIDATION_SEEDS
from training.evaluate import PAPER_LEVELS
from training.fastpath import fast_power
from training.metrics import Pixels
from training.scene_draw import draw_scene
from training.scene_iq import scene_iq
from training.spectrogram import normalise, pixel_power, with_legend
from training.study_frames import TRAINING_SEEDS, Maker


def figures(miou: float) -> dict:
    one = {"miou": miou, "mean_accuracy": miou, "f1": miou}
    both = {"pixels": one, "column_mean": {**one, "miou": miou + 0.01}}
    return {**both, "by_level_db": dict.fromkeys(PAPER_LEVELS, both)}


def test_interval_of_paired_differences():
    mean, half = study_report.interval(np.array([0.01, 0.02, 0.03]))
    assert mean == pytest.approx(0.02)
    assert half == pytest.approx(4.3027 * 0.01 / 3**0.5, rel=1e-4)  # Student's t, two degrees of freedom
    assert np.isnan(study_report.interval(np.array([0.1]))[1])


def test_differences_are_paired_by_seed():
    """Seeds differ by far more than variants do; the pairs show the gain all the same."""
    results = {}
    for seed, base in ((1, 0.2), (2, 0.5), (3, 0.8)):
        results["ata", "ata_net", "none", seed] = figures(base)
        results["ata", "ata_net", "patch", seed] = figures(base + 0.01)
    results["ata", "ata_net", "patch", 4] = figures(0.99)  # has no partner
    (row,) = study_report.differences(results).splitlines()[2:]
    assert row.startswith("| ata | ata_net | patch | 3 | +0.0100 ± 0.0000 |")
    rows = study_report.table(results).splitlines()[2:]
    assert len(rows) == 4 and "| patch | 3 | pixels | 0.510 ± 0.300 |" in rows[2]
    assert study_report.baseline(results).splitlines()[2:] == ["| ata | ata_net | 3 | +0.0100 ± 0.0000 |"]


def test_every_frame_once_a_turn_and_the_same_for_every_variant():
    order = study.batch_order(10, 4, 6, seed=3)
    assert order.shape == (6, 4) and torch.equal(order, study.batch_order(10, 4, 6, seed=3))
    for turn in order.flatten()[:20].view(2, 10):
        assert sorted(turn.tolist()) == list(range(10))
    assert not torch.equal(order, study.batch_order(10, 4, 6, seed=4))


def test_both_front_ends_see_the_same_scenes(tmp_path):
    ours, theirs = (Maker(tmp_path, front_end, 32, 64).validation(1) for front_end in ("ata", "mathworks"))
    assert ours[0].shape == theirs[0].shape == (1, 1, 32, 64)
    assert torch.equal(ours[1], theirs[1]) and not torch.equal(ours[0], theirs[0])
    assert theirs[0].min() >= 0 and theirs[0].max() <= 1


def test_only_training_frames_take_the_fast_path(tmp_path):
    maker = Maker(tmp_path, "ata", 32, 64)
    scene = draw_scene("paper", VALIDATION_SEEDS)
    sampled = with_legend(normalise(pixel_power(scene_iq(scene)[None], 32, 64)), scene.count, scene.samp_rate)
    assert torch.equal(maker.validation(1)[0][0], sampled)
    scene = draw_scene("paper", TRAINING_SEEDS)
    expected = with_legend(normalise(fast_power(scene, 32, 64)[None]), scene.count, scene.samp_rate)
    assert torch.equal(maker.training(1)[0][0], expected)


def test_frames_of_another_generator_are_not_taken(tmp_path, monkeypatch):
    maker = Maker(tmp_path, "ata", 32, 64)
    ours = maker.training(1)
    monkeypatch.setattr(study_frames, "generator", lambda: "another")
    monkeypatch.setattr(study_frames, "fast_power", lambda *_: torch.ones(32, 64))
    assert not torch.equal(maker.training(1)[0], ours[0])


def test_the_best_of_a_runs_looks_is_tested(tmp_path, monkeypatch):
    """The weights that validated best, neither the first nor the last."""
    validated, tested, scores = [], [], iter((0.2, 0.6, 0.4))
    frames = torch.rand(2, 1, 32, 64), torch.randint(0, 4, (2, 64), dtype=torch.uint8)

    def judge(net, images, columns, device):
        weights = torch.cat([p.detach().flatten() for p in net.parameters()])
        if images is not None:
            validated.append(weights)
            look = {"miou": next(scores)}
            return SimpleNamespace(figures=lambda: {"pixels": look, "column_mean": look})
        tested.append(weights)
        return Pixels(CLASSES)

    monkeypatch.setattr(study, "judge", judge)
    monkeypatch.setattr(Pixels, "figures", lambda _: {})
    maker = SimpleNamespace(training=lambda _: frames, validation=lambda _: frames, test=lambda _: {"0": (None, None)})
    args = study.arguments(["--out", str(tmp_path), "--steps", "3", "--batch", "2", "--frames", "2", "--device", "cpu"])
    made = study.one_run(args, maker, "ata_net", "none", 1)
    assert torch.equal(tested[0], validated[1])
    assert not torch.equal(validated[1], validated[0]) and not torch.equal(validated[1], validated[2])
    assert [look["miou"] for look in made["curve"]] == [0.2, 0.6, 0.4]


def test_a_whole_study_and_again(tmp_path, capsys, monkeypatch):
    asked = ["--out", str(tmp_path / "runs"), "--segmenters", "ata_net", "--variants", "none", "patch", "--seeds", "1",
             "--steps", "2", "--batch", "2", "--frames", "2", "--test", "1", "--validation", "1", "--rows", "32",
             "--columns", "64", "--device", "cpu"]  # fmt: skip
    assert study.main(asked) == 0
    said = (tmp_path / "runs/study.md").read_text()
    assert "| ata | ata_net | patch | 1 | column mean |" in said and "nan" not in said.split("paired by seed")[0]
    for picture in ("snr", "training"):
        assert (tmp_path / f"runs/study-{picture}.png").stat().st_size > 1000
    kept = {p: p.stat().st_mtime_ns for p in (tmp_path / "runs").rglob("*") if p.suffix in (".json", ".pt")}
    assert sum(p.suffix == ".json" for p in kept) == 2
    assert study.main(asked) == 0  # finds its frames and runs
    assert kept == {p: p.stat().st_mtime_ns for p in kept}
    asked[asked.index("--steps") + 1] = "3"
    capsys.readouterr()
    assert study.main(asked) == 2
    assert "was run with steps 2, not 3" in capsys.readouterr().err
    asked[asked.index("--steps") + 1] = "2"
    monkeypatch.setattr(study, "generator", lambda: "another")
    assert study.main(asked) == 2
    assert "not another" in capsys.readouterr().err
