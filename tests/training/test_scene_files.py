# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes on disk: recordings others can read, sets that survive being stopped, errors of one sentence."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sigmf
import torch
from sigmf.validate import validate

from training import scene_images
from training.data import VALIDATION_SEEDS, Drawn
from training.errors import DataError
from training.scene import draw_scene, fast_power, main, mask_columns, scene_iq, truth
from training.scene_images import made_as_samples, open_images, write_images
from training.spectrogram import normalise, pixel_power, with_legend

SCRIPT = Path(__file__).resolve().parents[2] / "training" / "scene.py"


def test_recordings_hold_the_scene_and_its_truth(tmp_path):
    assert main(["--preset", "wideband", "--count", "2", "--seed", "21", "--frame-ms", "2", "--out", str(tmp_path)]) == 0
    for seed in (21, 22):
        scene = draw_scene("wideband", seed, frame_ms=2.0)
        base = tmp_path / f"wideband-{seed}"
        recording = sigmf.sigmffile.fromfile(str(base) + ".sigmf-meta")  # checks the data's hash
        validate(recording._metadata)
        assert recording.get_global_field("core:sample_rate") == scene.samp_rate
        wanted = scene_iq(scene).numpy()
        found = recording.read_samples()
        likeness = abs(np.vdot(found, wanted)) / np.linalg.norm(found) / np.linalg.norm(wanted)
        assert likeness > 0.9999
        bands = [(a["core:label"], a["core:freq_lower_edge"], a["core:freq_upper_edge"], a["ata:active_lower_edge"])
                 for a in recording.get_annotations()]
        assert sorted(bands) == sorted((t.label, *t.carrier, t.active[0]) for t in truth(scene))
        assert (base.parent / (base.name + ".png")).read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.glob("*.part"))


def test_finished_recordings_are_kept_and_broken_ones_made_again(tmp_path):
    command = ["--preset", "wideband", "--count", "2", "--seed", "5", "--frame-ms", "1", "--out", str(tmp_path)]
    assert main(command) == 0
    kept, broken = tmp_path / "wideband-5.sigmf-data", tmp_path / "wideband-6.sigmf-meta"
    before, text = kept.stat().st_mtime_ns, broken.read_text()
    broken.write_text(text[: len(text) // 2])
    assert main(command) == 0
    assert kept.stat().st_mtime_ns == before
    assert broken.read_text() == text


def test_one_scene_is_named_after_its_preset(tmp_path):
    assert main(["--preset", "demo", "--count", "1", "--frame-ms", "2", "--out", str(tmp_path)]) == 0
    assert {p.name for p in tmp_path.iterdir()} == {"demo.sigmf-meta", "demo.sigmf-data", "demo.png"}


def test_a_set_holds_images_and_masks_of_its_seeds(tmp_path):
    *_, done = write_images("wideband", 4, 100, tmp_path, iq_share=0.25, frame_ms=1.0)
    found = open_images(tmp_path)
    assert done == len(found) == 4 and found.level.shape == (4, 256, 256)
    lines = [json.loads(line) for line in (tmp_path / "truth.jsonl").read_text().splitlines()]
    assert [line["seed"] for line in lines] == [100, 101, 102, 103]
    assert [line["iq"] for line in lines] == [False, False, False, True]
    scene = draw_scene("wideband", 101, frame_ms=1.0)
    assert np.array_equal(found.mask[1], mask_columns(scene, 256))
    stored = normalise(10 ** (torch.from_numpy(found.level[1].astype(np.float32))[None] / 10))
    assert (stored - normalise(fast_power(scene)[None])).abs().max() < 0.003


def test_one_frame_in_twenty_is_made_as_samples_unless_told_otherwise(tmp_path):
    assert main(["--images", "--count", "20", "--samp-rate", "3.84e6", "--frame-ms", "0.5", "--workers", "1", "--out",
                 str(tmp_path)]) == 0  # fmt: skip
    lines = [json.loads(line) for line in (tmp_path / "truth.jsonl").read_text().splitlines()]
    scenes = [draw_scene("wideband", line["seed"], samp_rate=3.84e6, frame_ms=0.5) for line in lines]
    always = [made_as_samples(scene, 0, 0.0) for scene in scenes]
    assert [line["iq"] for line in lines] == [*always[:19], True] and sum(always) < 10


def test_a_clean_scene_is_made_as_samples_on_every_way_to_training(tmp_path):
    """The fast path would show a floor that is not there."""
    small = {"samp_rate": 3.84e6, "frame_ms": 1.0}
    seed = next(seed for seed in range(500) if draw_scene("wideband", seed, **small).info["clean"])
    list(write_images("wideband", 1, seed, tmp_path, iq_share=0.0, **small))
    (line,) = map(json.loads, (tmp_path / "truth.jsonl").read_text().splitlines())
    assert line["iq"]
    scene = draw_scene("wideband", seed, **small)
    image, _ = Drawn("wideband", seed, 0.0, fixed=small)[0]
    assert torch.equal(image, with_legend(normalise(pixel_power(scene_iq(scene)[None])), scene.count, scene.samp_rate))


def test_a_stopped_set_goes_on_and_ends_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(scene_images, "KEEP_EVERY", 2)
    list(write_images("wideband", 7, 3, tmp_path / "whole", frame_ms=1.0))
    part = tmp_path / "part"
    made = write_images("wideband", 7, 3, part, frame_ms=1.0)
    while next(made) < 4:
        pass
    made.close()
    with (part / "truth.jsonl").open("a") as lines:  # what a killed process leaves behind
        lines.write('{"seed": 7, "trut')
    assert len(open_images(part)) == 4
    assert next(iter(write_images("wideband", 7, 3, part, frame_ms=1.0))) == 4
    list(write_images("wideband", 7, 3, part, frame_ms=1.0))
    for name in ("level.npy", "mask.npy", "truth.jsonl", "set.json"):
        assert (part / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_ctrl_c_keeps_what_is_done(tmp_path):
    command = [sys.executable, str(SCRIPT), "--images", "--count", "5000", "--frame-ms", "0.5", "--workers", "2", "--out"]
    process = subprocess.Popen([*command, str(tmp_path)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    state = tmp_path / "set.json"
    while process.poll() is None and not (state.exists() and json.loads(state.read_text())["done"]):
        os.sched_yield()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in said
    done = len(open_images(tmp_path))
    assert done >= 64 and len((tmp_path / "truth.jsonl").read_text().splitlines()) >= done


def test_killed_at_any_time_a_set_goes_on_and_ends_the_same(tmp_path):
    """SIGKILL before the first frames are kept and after them; the processes that make frames end too."""
    count, part = 120, tmp_path / "part"
    command = [sys.executable, str(SCRIPT), "--images", "--count", str(count), "--samp-rate", "3.84e6", "--frame-ms", "0.5",
               "--workers", "2", "--out", str(part)]  # fmt: skip
    state, makers = part / "set.json", []
    for least in (0, 64):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while not (state.exists() and json.loads(state.read_text())["done"] >= least):
            assert process.poll() is None
            os.sched_yield()
        makers += Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.kill()
        process.wait()
    assert len(open_images(part)) >= 64
    assert subprocess.run(command, capture_output=True).returncode == 0
    list(write_images("wideband", count, 1, tmp_path / "whole", samp_rate=3.84e6, frame_ms=0.5))
    for name in ("level.npy", "mask.npy", "truth.jsonl", "set.json"):
        assert (part / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert makers and not [pid for pid in makers if Path(f"/proc/{pid}").exists()]


@pytest.mark.parametrize("arguments, words", [
    (["--count", "0"], "less than 1"),
    (["--preset", "nowhere"], "invalid choice"),
    (["--samp-rate", "1000"], "outside 0.5 to 245.76 MS/s"),
    (["--preset", "paper", "--level-db", "7"], "no noise level 7"),
    (["--preset", "paper", "--level-db", "ten"], "no noise level ten"),
    (["--preset", "demo", "--frame-ms", "0.005"], "shorter than 0.5 ms"),
    (["--preset", "paper", "--frame-ms", "7"], "no parameter 'frame_ms'"),
    (["--seed", "-1"], "negative"),
    (["--seed", str(VALIDATION_SEEDS - 2), "--count", "3"], "validation and tests"),
    (["--seed", "one"], "invalid int"),
])  # fmt: skip
def test_errors_are_one_sentence_and_exit_2(tmp_path, capsys, arguments, words):
    try:
        code = main([*arguments, "--out", str(tmp_path)])
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    assert words in capsys.readouterr().err.splitlines()[-1]


def test_a_set_of_other_scenes_is_not_overwritten(tmp_path, capsys):
    list(write_images("wideband", 2, 1, tmp_path, frame_ms=1.0))
    before = (tmp_path / "level.npy").read_bytes()
    other = ["--images", "--count", "2", "--seed", "2", "--frame-ms", "1", "--workers", "1", "--out", str(tmp_path)]
    assert main(other) == 2
    assert "seed is 1, not 2" in capsys.readouterr().err
    assert (tmp_path / "level.npy").read_bytes() == before
    (tmp_path / "set.json").write_text("{}")
    with pytest.raises(DataError, match="format"):
        open_images(tmp_path)


@pytest.mark.parametrize("damage", ["level.npy", "mask.npy", "truth.jsonl", "count"])
def test_a_damaged_set_is_not_gone_on_with(tmp_path, monkeypatch, damage):
    """A file cut short would be mended with zeros."""
    monkeypatch.setattr(scene_images, "KEEP_EVERY", 1)
    small = {"samp_rate": 3.84e6, "frame_ms": 0.5}
    made = write_images("wideband", 4, 3, tmp_path, **small)
    while next(made) < 3:
        pass
    made.close()
    if damage == "count":
        np.save(tmp_path / "mask.npy", np.load(tmp_path / "mask.npy")[:3])
    else:
        os.truncate(tmp_path / damage, (tmp_path / damage).stat().st_size // 2)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(DataError, match="damaged training set"):
        list(write_images("wideband", 4, 3, tmp_path, **small))
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def test_a_set_of_another_generator_is_not_gone_on_with(tmp_path, monkeypatch):
    next(iter(write_images("wideband", 2, 1, tmp_path, frame_ms=1.0)))
    monkeypatch.setattr(scene_images, "generator", lambda: "another")
    with pytest.raises(DataError, match=r"whose generator is '\w{16}', not 'another'"):
        list(write_images("wideband", 2, 1, tmp_path, frame_ms=1.0))
