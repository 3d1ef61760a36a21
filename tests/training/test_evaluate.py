# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures: what a perfect, a slightly wrong and a lying detector get."""

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_model import write_tiny_model

from training import data, evaluate, replays, scorecard
from training.detection import Carrier, carriers, compare
from training.errors import DataError
from training.export import FRONT_END
from training.metrics import Confusion, Pixels
from training.scene_draw import draw_scene
from training.scene_iq import scene_iq
from training.scene_model import Emitter, Scene
from training.waveforms.ofdm import Grid, OfdmWaveform

COLUMN = 240e3
SEES = {name: FRONT_END[name] for name in evaluate.READ}  # a tiny model whose images are made as training makes them


def lte(**changes) -> Carrier:
    given = {"label": "LTE", "kind": "lte", "carrier": (-9e6, 9e6), "active": (-8e6, 9e6), "snr_db": 10.0,
             "samp_rate": 61.44e6, "frame_ms": 40.0, "counts": True}  # fmt: skip
    low, high = changes.get("carrier", given["carrier"])
    return Carrier(**{**given, "width": high - low, **changes})


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


def test_what_two_carriers_hold_together_counts_once():
    """Half of the band is in carriers, not three quarters: a little more of it, and it is false."""
    there = [lte(carrier=(0.0, 4e6)), lte(carrier=(1e6, 5e6))]
    assert compare(there, [("LTE", 0.0, 9.9e6)], COLUMN) == 0
    assert compare(there, [("LTE", 0.0, 10.1e6)], COLUMN) == 1


def test_edges_count_from_the_allowed_range():
    for low, high, columns in ((-8.3e6, 9e6, 0.0), (-9e6 - 2 * COLUMN, 9e6, 2.0), (-8e6, 9e6 - COLUMN, 1.0)):
        there = [lte()]
        compare(there, [("LTE", low, high)], COLUMN)
        assert there[0].edge_columns == pytest.approx(columns)


def test_of_several_bands_on_a_carrier_the_best_tells_its_edges():
    """Where little of a wide carrier is active, two bands side by side may both be right."""
    exact, beside = ("LTE", -0.5e6, 0.5e6), ("LTE", 0.6e6, 9e6)
    for bands in ([exact], [exact, beside], [beside, exact]):
        there = [lte(active=(-0.5e6, 0.5e6))]
        compare(there, bands, COLUMN)
        assert there[0].found and there[0].edge_columns == 0


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


def one_carrier(samp_rate: float, busy: int, kind: str = "nr") -> Scene:
    """A carrier of 1.2 MHz that sends in so many of 100 symbols."""
    re = torch.zeros(100, 80, dtype=torch.complex64)
    re[:busy] = 1
    start = torch.arange(100, dtype=torch.float64) / 15e3
    grid = Grid(re, 15e3, -600e3 + 7.5e3, start, torch.zeros_like(start))
    waveform = OfdmWaveform("NR", kind, (-0.7e6, 0.7e6), [grid], 1.92e6, 100 / 15e3)
    return Scene(samp_rate, round(samp_rate * 100 / 15e3), [Emitter(waveform, 0.0, 10.0)], None, 1, "test")


def test_carriers_that_are_asked_for_are_wide_and_active_and_no_shared_spectrum():
    """At least 8 columns of 256, in a tenth of the frame at least."""
    eight = 32 * 1.2e6
    for scene, counts in ((one_carrier(0.99 * eight, 100), True), (one_carrier(1.01 * eight, 100), False),
                          (one_carrier(20e6, 11), True), (one_carrier(20e6, 9), False),
                          (one_carrier(20e6, 100, "dss"), False)):  # fmt: skip
        (found,) = carriers(scene)
        assert found.active == pytest.approx((-0.6e6, 0.6e6)) and found.counts == counts


def test_the_width_is_the_whole_carriers():
    """Of its widest station, where the band shows a part of it."""
    scene = one_carrier(20e6, 100)
    scene.emitters[0].center, scene.emitters[0].cell = 9.8e6, 1
    wider = replace(scene.emitters[0].waveform, carrier=(-1.5e6, 1.5e6))
    scene.emitters.append(replace(scene.emitters[0], waveform=wider))
    (found,) = carriers(scene)
    assert found.width == 3e6 and found.carrier == pytest.approx((8.3e6, 10e6))
    cut = lte(carrier=(-0.5e6, 0.5e6), width=18e6)
    assert list(scorecard.summary([cut], [])["by_width_mhz"]) == ["10 to 20"]


def test_a_carrier_under_another_is_told_apart():
    scene = draw_scene("paper-test", 3)
    assert [c.overlapped for c in carriers(scene)] == [False, False]
    scene.emitters[1].center = scene.emitters[0].center
    assert [c.overlapped for c in carriers(scene)] == [True, True]


def test_one_confusion_matrix_and_its_figures():
    counts = Confusion(("a", "b", "c"))
    counts.add(torch.tensor([0, 0, 0, 1, 1]), torch.tensor([0, 0, 1, 1, 1]))
    made = counts.figures()
    assert made["miou"] == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert made["mean_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert made["precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert made["f1"] == pytest.approx((2 * 2 / 5 + 2 * 2 / 5) / 2)
    assert set(made["classes"]) == {"a", "b"}
    assert made["classes"]["a"] == {"iou": 0.6667, "recall": 0.6667, "precision": 1.0, "f1": 0.8}


def test_column_mean_mends_ragged_rows():
    truth = torch.randint(0, 4, (2, 16), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    right = torch.nn.functional.one_hot(truth.long(), 4).permute(0, 2, 1)[:, :, None].float().expand(-1, -1, 9, -1).clone()
    right[:, :, 4] = right[:, :, 4].roll(1, 1)  # one row in nine is wrong
    pixels = Pixels(("noise", "LTE", "NR", "other"))
    pixels.add(right, truth)
    made = pixels.figures()
    assert made["column_mean"]["miou"] == 1.0 and made["pixels"]["miou"] < 0.9


def test_figures_by_what_carriers_are_like():
    """Weak carriers count by SNR only, short frames by length only, and those not asked for nowhere."""
    rows = [lte(found=True, edge_columns=0.5, overlapped=True), lte(carrier=(-1e6, 1e6), found=True, edge_columns=3.0),
            lte(snr_db=1.0), lte(label="NR", samp_rate=7.68e6), lte(frame_ms=1.0), lte(counts=False)]  # fmt: skip
    frames = [{"samp_rate": 61.44e6, "frame_ms": 40.0, "false": 0}, {"samp_rate": 61.44e6, "frame_ms": 40.0, "false": 2},
              {"samp_rate": 61.44e6, "frame_ms": 1.0, "false": 1}]  # fmt: skip
    made = scorecard.summary(rows, frames)
    assert made["all"] == {"carriers": 3, "found": 0.6667, "edges_within_a_column": 0.5, "edge_columns_p95": 2.88,
                           "frames": 2, "false_frames": 0.5}  # fmt: skip
    assert made["alone"]["carriers"] == 2 and made["alone"]["found"] == 0.5
    assert {name: g["carriers"] for name, g in made["by_snr_db"].items()} == {"0 to 5": 1, "10 to 20": 3}
    assert {name: g["carriers"] for name, g in made["by_width_mhz"].items()} == {"2 to 5": 1, "10 to 20": 2}
    rates = {name: (g["carriers"], g["frames"]) for name, g in made["by_rate_msps"].items()}
    assert rates == {"4 to 16": (1, 0), "32 to 64": (2, 2)}
    lengths = {name: (g["carriers"], g["false_frames"]) for name, g in made["by_frame_ms"].items()}
    assert lengths == {"0 to 2": (1, 1.0), "40 to 100": (3, 0.5)}
    assert made["by_label"]["NR"]["found"] == 0 and len(made["false_frames"]) == 2


@pytest.fixture
def installed() -> None:
    if not (Path(sys.executable).parent / "ata-sense").exists() and not shutil.which("ata-sense"):
        pytest.skip("ata-sense is not installed")


def test_many_replays_by_one_process(tmp_path, installed):
    """The same records as the command gives by itself, its sentence where it fails, and it goes on after that."""
    model = write_tiny_model(tmp_path / "tiny.onnx")
    scene = draw_scene("wideband", 5, samp_rate=7.68e6, frame_ms=10.0)
    recording, raw = tmp_path / "x.cf32", ("--rate", "7.68e6", "--freq", "0", "--format", "cf32_le")
    scene_iq(scene).numpy().tofile(recording)
    with replays.Replays(model) as replay:
        first = replay(recording, tmp_path / "1.jsonl", 5.0, *raw)
        with pytest.raises(DataError, match="nowhere"):
            replay(tmp_path / "nowhere.cf32", tmp_path / "2.jsonl", 5.0, *raw)
        again = replay(recording, tmp_path / "3.jsonl", 5.0, *raw)
        command = [replay.command, "replay", recording, "--jsonl", tmp_path / "4.jsonl", "--model", model,
                   "--engine", "onnxruntime-cpu", "--frame-ms", "5.0", *raw]  # fmt: skip
        subprocess.run([str(part) for part in command], check=True, capture_output=True)
        alone = [json.loads(line) for line in (tmp_path / "4.jsonl").read_text().splitlines()]
        assert first == again == alone and len(alone) == 2
        replay.process.kill()
        replay.process.wait()
        with pytest.raises(DataError, match="ended"):
            replay(recording, tmp_path / "5.jsonl", 5.0, *raw)


def test_ctrl_c_ends_the_process_that_replays_without_a_word(tmp_path):
    command = tmp_path / "command.py"
    command.write_text("print('replayed')\n")
    asked, piped = [sys.executable, replays.AGAIN, command], subprocess.PIPE
    with subprocess.Popen(asked, text=True, stdin=piped, stdout=piped, stderr=piped) as process:
        process.stdin.write("[]\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline()) == [0, "replayed\n"]
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == ""


def test_a_whole_card(tmp_path, monkeypatch, captures, installed):
    """End to end with a network that calls whatever is bright LTE: scenes and recordings, through ata-sense, to a card."""
    monkeypatch.setattr(data, "CACHE", tmp_path / "cache")
    few = tmp_path / "few"
    for name in ("generated-lte/srsran-6prb-full", "other/noise-2646", "real-lte/fdd20-a"):
        for end in ("meta", "data"):
            link = few / f"{name}.sigmf-{end}"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(captures / f"{name}.sigmf-{end}")
    for script in ("score.py", "add_noise.py"):
        (few / script).symlink_to(captures / script)
    model = write_tiny_model(tmp_path / "tiny.onnx", **SEES)
    asked = [str(model), "--presets", "wideband", "--count", "2", "--workers", "0", "--captures", str(few),
             "--frame-ms", "40", "--json", str(tmp_path / "f.json"), "--markdown", str(tmp_path / "card.md")]  # fmt: skip
    assert evaluate.main(asked) == 0
    made = json.loads((tmp_path / "f.json").read_text())
    (scenes,), (heard,) = made["scenes"], made["captures"]
    assert scenes["scenes"] == scenes["bands"]["frames"] == 2
    assert all(sum(row) == pytest.approx(1, abs=1e-3) or sum(row) == 0 for row in scenes["confusion"])
    assert heard["as they are"]["groups"].keys() == {"generated-lte", "other", "real-lte"}
    assert heard["10 dB"]["groups"].keys() == {"generated-lte"}
    card = (tmp_path / "card.md").read_text()
    for words in ("column mean", "| rate, MS/s |", "| frame, ms |", "| generated-lte | 10 dB | 40 ms | 1 |"):
        assert words in card
    tables = [block.splitlines() for block in card.split("\n\n") if block.startswith("|")]
    assert tables and all(len({line.count("|") for line in table}) == 1 for table in tables)


def test_paper_levels_are_pooled(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(evaluate, "PAPER_LEVELS", ("0", "none"))
    made = evaluate.pixel_figures(write_tiny_model(tmp_path / "tiny.onnx", **SEES), "paper-test", 1, 0)
    assert made["scenes"] == 2 and set(made["by_level_db"]) == {"0", "none"}
    assert made["pixels"]["classes"].keys() == {"noise", "LTE", "NR"}


def test_ctrl_c_is_one_sentence(tmp_path, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluate, "fixed_set", interrupted)
    assert evaluate.main([str(write_tiny_model(tmp_path / "tiny.onnx", **SEES))]) == 130
    assert capsys.readouterr().err.strip() == "evaluate: stopped"


def test_what_is_missing_is_one_sentence(tmp_path, capsys):
    model = write_tiny_model(tmp_path / "tiny.onnx")
    (tmp_path / "noise.onnx").write_bytes(b"no model")
    absent, wrong = [str(tmp_path / "no.onnx")], [str(tmp_path / "noise.onnx")]
    empty = [str(model), "--captures", str(tmp_path)]
    for argv, says in ((absent, "no model file"), (wrong, "not a model file"), (empty, "score.py")):
        assert evaluate.main(argv) == 2
        said = capsys.readouterr().err.strip()
        assert says in said and "\n" not in said


@pytest.mark.parametrize("name", evaluate.READ)
def test_a_model_of_other_images_is_one_sentence(tmp_path, capsys, name):
    """Its pixel figures would be wrong in silence."""
    others = {"classes": ["noise", "LTE", "NR"], "shape": [16, 256], "window": "boxcar", "overlap": 0.0, "legend": False,
              "normalise": {**FRONT_END["normalise"], "floor_db": -80}}  # fmt: skip
    model = write_tiny_model(tmp_path / "tiny.onnx", **{**SEES, name: others[name]})
    assert evaluate.main([str(model)]) == 2
    said = capsys.readouterr().err.strip()
    assert f"reads images whose {name} is" in said and "\n" not in said


def test_figures_that_cannot_be_kept_are_refused_before_the_work(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(evaluate, "evaluate", None)
    for option in ("--json", "--markdown"):
        with pytest.raises(SystemExit) as end:
            evaluate.main([str(tmp_path / "m.onnx"), option, str(tmp_path / "no/figures")])
        assert end.value.code == 2 and f"there is no folder {tmp_path}/no" in capsys.readouterr().err.splitlines()[-1]
