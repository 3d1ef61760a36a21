# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Training as its user runs it, a few steps long."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from training import data, train, writing
from training.data import CLASSES, Batches, Drawn, Stored
from training.errors import DataError
from training.initial import begin_with
from training.models import SEGMENTERS, build
from training.scene_images import write_images

ROOT = Path(__file__).resolve().parent.parent.parent
SHIPPED = max((ROOT / "python/ata/models").glob("*.onnx"))
SMALL = ["--batch", "2", "--validation", "2", "--workers", "0", "--threads", "1", "--device", "cpu"]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """Validation scenes are kept for the tests alone."""
    monkeypatch.setattr(data, "CACHE", tmp_path_factory.getbasetemp() / "validation")


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("set") / "images"
    for _ in write_images("wideband", 10, 3, folder, samp_rate=3.84e6, frame_ms=1.0):
        pass
    return folder


def stop_after(steps: int, monkeypatch) -> None:
    """Ctrl-C while step number `steps` is at work."""
    plain = train.Trainer.train_step

    def step(self, *batch):
        if self.step + 1 == steps:
            signal.raise_signal(signal.SIGINT)
        return plain(self, *batch)

    monkeypatch.setattr(train.Trainer, "train_step", step)


def weights(folder: Path) -> dict:
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    return {**state["net"], **{f"average.{k}": v for k, v in state["average"].items()},
            **{f"d.{k}": v for k, v in state["adversary"].get("net", {}).items()}}  # fmt: skip


def test_by_its_path_to_a_model_that_runs(tmp_path, images):
    """As a command, on a stored set: the ONNX file gives scores for every pixel."""
    out = tmp_path / "run"
    command = [sys.executable, "-W", "ignore", "training/train.py", *SMALL, "--out", out, "--steps", "2", "--data", images]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    assert f"{out}/model.onnx: 2 steps" in made.stdout
    session = onnxruntime.InferenceSession(out / "model.onnx", providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"spectrogram": np.zeros((1, 1, 256, 256), np.float32)})
    assert logits.shape == (1, len(CLASSES), 256, 256) and np.isfinite(logits).all()
    assert list(out.glob("events.out.tfevents.*"))


def dropping(classes: int) -> torch.nn.Module:
    """A segmenter with dropout."""
    return torch.nn.Sequential(torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.Dropout(0.5), torch.nn.Conv2d(8, classes, 1))


@pytest.mark.parametrize(("segmenter", "variant"), [("ata_net", "none"), ("ata_net", "conditional"), ("dropping", "none")])
def test_stopped_and_resumed_equals_never_stopped(tmp_path, images, monkeypatch, segmenter, variant):
    monkeypatch.setitem(SEGMENTERS, "dropping", dropping)
    asked = [*SMALL, "--steps", "5", "--segmenter", segmenter, "--variant", variant, "--data", str(images)]
    assert train.main([*asked, "--out", str(tmp_path / "whole")]) == 0
    with monkeypatch.context() as patch:
        stop_after(3, patch)
        assert train.main([*asked, "--out", str(tmp_path / "parts")]) == 0
    assert torch.load(tmp_path / "parts/checkpoint.pt", weights_only=True)["step"] == 3
    assert train.main(["--out", str(tmp_path / "parts"), "--resume"]) == 0
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_resumed_log_keeps_the_checkpoints_own_point(tmp_path, images):
    """And none of the steps that came after the checkpoint and are taken again."""
    asked = [*SMALL, "--variant", "none", "--data", str(images), "--out", str(tmp_path)]
    assert train.main([*asked, "--steps", "2"]) == 0
    kept = (tmp_path / "checkpoint.pt").read_bytes()
    assert train.main(["--out", str(tmp_path), "--resume", "--steps", "3"]) == 0
    (tmp_path / "checkpoint.pt").write_bytes(kept)
    assert train.main(["--out", str(tmp_path), "--resume", "--steps", "4"]) == 0
    log = EventAccumulator(str(tmp_path)).Reload()
    assert [point.step for point in log.Scalars("loss/segmenter")] == [1, 2, 3, 4]
    assert [point.step for point in log.Scalars("validation/miou")] == [2, 4]


def test_weights_of_another_run_are_a_beginning(tmp_path, images, capsys):
    """--initial: at a rate near zero they hardly move, whatever the seed; a network of another width is refused."""
    asked = [*SMALL, "--steps", "1", "--data", str(images), "--variant", "none"]
    assert train.main([*asked, "--out", str(tmp_path / "one"), "--seed", "5"]) == 0
    begin = ["--initial", str(tmp_path / "one/checkpoint.pt"), "--rate", "1e-9", "--seed", "6"]
    assert train.main([*asked, *begin, "--out", str(tmp_path / "two")]) == 0
    one, two = (torch.load(tmp_path / n / "checkpoint.pt", weights_only=True) for n in ("one", "two"))
    learnt = {name: one["average"][name] for name in one["average"] if name.endswith("weight")}
    assert all(torch.allclose(two["average"][name], value, atol=1e-6) for name, value in learnt.items())
    assert two["trained"]["initial"]["seed"] == 5 and "initial" not in one["trained"]
    capsys.readouterr()
    assert train.main([*asked, *begin, "--width", "8", "--out", str(tmp_path / "three")]) == 2
    assert "of the weights fit" in capsys.readouterr().err
    exported = ["--initial", str(tmp_path / "one/model.onnx"), "--width", "8"]
    assert train.main([*asked, *exported, "--out", str(tmp_path / "four")]) == 2
    assert "is of another network" in capsys.readouterr().err


def test_the_shipped_model_is_a_beginning():
    """Its batch norms are folded away, and become offsets."""
    net = build("ata_net", len(CLASSES))
    trained, settled = begin_with(net, SHIPPED, "cpu")
    assert len(settled) == sum(isinstance(layer, torch.nn.BatchNorm2d) for layer in net.modules())
    assert trained["taken"] == 1.0 and trained["data"] == "wideband"
    drawn = data.Drawn("wideband", data.VALIDATION_SEEDS)
    images = torch.stack([drawn[i][0] for i in range(8)])
    session = onnxruntime.InferenceSession(SHIPPED, providers=["CPUExecutionProvider"])
    shipped = torch.from_numpy(session.run(["logits"], {"spectrogram": images.numpy()})[0]).softmax(1)
    with torch.no_grad():
        assert (net.eval()(images).softmax(1) - shipped).abs().max() < 1e-3


def test_folded_norms_stay_folded_from_run_to_run(tmp_path, images):
    """A run that begins with a checkpoint whose own run began with a model file: its norms keep the statistics of a folded
    one. Where the network has grown, the new layer's norm takes those of batches."""
    asked = [*SMALL, "--steps", "1", "--data", str(images), "--variant", "none"]
    assert train.main([*asked, "--initial", str(SHIPPED), "--out", str(tmp_path / "one")]) == 0
    state = torch.load(tmp_path / "one/checkpoint.pt", weights_only=True)
    state["average"].pop("stem.1.running_var")
    torch.save(state, tmp_path / "grown.pt")
    assert train.main([*asked, "--initial", str(tmp_path / "grown.pt"), "--out", str(tmp_path / "two")]) == 0
    net = torch.load(tmp_path / "two/checkpoint.pt", weights_only=True)["net"]
    moved = {name for name, value in net.items() if name.endswith("running_mean") and value.any()}
    assert moved == {"stem.1.running_mean"}


def test_a_file_that_is_no_model_is_no_beginning(tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"no model")
    with pytest.raises(DataError, match="not a model file of this project"):
        begin_with(build("ata_net", len(CLASSES)), tmp_path / "x.onnx", "cpu")


def test_a_device_that_is_not_here_is_one_sentence(capsys):
    for device in ("gpu", "cuda:99"):
        with pytest.raises(SystemExit) as end:
            train.arguments(["--device", device])
        assert end.value.code == 2 and f"--device {device}: PyTorch has no" in capsys.readouterr().err.splitlines()[-1]


def test_ctrl_c_before_the_first_step_is_one_sentence(tmp_path, images, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "fixed_set", interrupted)
    assert train.main([*SMALL, "--out", str(tmp_path), "--data", str(images)]) == 130
    assert capsys.readouterr().err.strip().splitlines()[-1] == "train: stopped"


def test_ctrl_c_leaves_a_model_file(tmp_path, images, monkeypatch):
    stop_after(1, monkeypatch)
    before = signal.getsignal(signal.SIGINT)
    assert train.main([*SMALL, "--out", str(tmp_path), "--minutes", "60", "--data", str(images)]) == 0
    assert signal.getsignal(signal.SIGINT) is before
    assert (tmp_path / "model.onnx").exists()


def test_ctrl_c_during_validation_ends_at_an_agreed_step(tmp_path, images, monkeypatch):
    """A process that left for itself would leave the others waiting for it in their next step."""
    plain, agreed = train.Ranks.agree, []

    def interrupted(*_):
        signal.raise_signal(signal.SIGINT)
        return {"pixels": {"miou": 0.0}, "column_mean": {"miou": 0.0}}

    def agree(self, device, seconds, stop):
        agreed.append(stop)
        return plain(self, device, seconds, stop)

    monkeypatch.setattr(train, "CHECKPOINT_S", -1)
    monkeypatch.setattr(train.Trainer, "validate", interrupted)
    monkeypatch.setattr(train.Trainer, "save", lambda _: None)
    monkeypatch.setattr(train.Ranks, "agree", agree)
    assert train.main([*SMALL, "--out", str(tmp_path), "--minutes", "60", "--data", str(images)]) == 0
    assert agreed == [0, 1]


def test_a_run_is_not_overwritten(tmp_path, images, capsys):
    (tmp_path / "checkpoint.pt").write_bytes(b"hours of work")
    assert train.main([*SMALL, "--steps", "1", "--out", str(tmp_path), "--data", str(images)]) == 2
    said = capsys.readouterr().err.strip()
    assert said == f"train: {tmp_path} holds a run: --resume goes on with it, another --out begins anew"
    assert (tmp_path / "checkpoint.pt").read_bytes() == b"hours of work"


def test_two_processes_train_one_network(tmp_path, images):
    """torchrun over gloo: the gradients are averaged, so both end with the same weights, and one of them writes. The clock
    of that one counts: the other's, which here runs 100 times as fast, does too while it waits for a validation."""
    script = tmp_path / "both.py"
    script.write_text(
        "import itertools, os, pathlib, sys, types, torch\nfrom training import data, train\n"
        f"data.CACHE = pathlib.Path(r'{data.CACHE}')\n"
        "ticks = itertools.count(step=1 + 99 * int(os.environ['RANK']))\n"
        "train.time = types.SimpleNamespace(monotonic=lambda: next(ticks))\n"
        "trainer = train.run(train.arguments(sys.argv[1:]))\n"
        "assert trainer.seconds == 2\n"
        f"torch.save(trainer.net.state_dict(), r'{tmp_path}/' + os.environ['RANK'] + '.weights')\n"
    )
    command = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
               script, *SMALL, "--out", tmp_path / "run", "--steps", "2", "--data", images]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    made = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    one, two = (torch.load(tmp_path / f"{rank}.weights", weights_only=True) for rank in (0, 1))
    for name in one:
        if "running" not in name:  # batch statistics are each process's own
            assert torch.equal(one[name], two[name]), name
    assert (tmp_path / "run/model.onnx").exists()


def test_batch_n_is_the_same_whoever_makes_it():
    source = Drawn("wideband", 11 << 32, iq_share=0.0)

    def first(number: int, workers: int, start: int = 0) -> list:
        loader = Batches(source, 2, start).loader(workers)
        return [next(loader) for _ in range(number)]

    alone, together, later = first(4, 0), first(4, 2), first(1, 0, start=3)
    for (a, b), (c, d) in zip(alone, together, strict=True):
        assert torch.equal(a, c) and torch.equal(b, d)
    assert torch.equal(alone[3][0], later[0][0])


def test_processes_share_out_the_examples():
    class Numbers:
        looks = 1

        def __getitem__(self, index):
            return torch.tensor([float(index)]), torch.tensor([index])

    seen = []
    for rank in range(2):
        batches = iter(Batches(Numbers(), 3, 0, rank, 2))
        seen += [int(i) for _ in range(2) for i in next(batches)[1]]
    assert sorted(seen) == list(range(12))


def test_validation_is_made_as_samples_whatever_is_trained_on(images, tmp_path):
    """--data: scenes of the folder's own preset and parameters, from seeds that no training has."""
    asked = train.arguments([*SMALL, "--data", str(images), "--out", str(tmp_path)])
    _, validation = train.datasets(asked, 0, train.Ranks("cpu"))
    wanted = Drawn("wideband", data.VALIDATION_SEEDS, 1.0, fixed={"samp_rate": 3.84e6, "frame_ms": 1.0})
    assert sum(len(image) for image, _ in validation) == 2
    for image, columns, index in zip(*validation[0], range(2), strict=True):
        assert torch.equal(image, wanted[index][0]) and torch.equal(columns, wanted[index][1])


@pytest.mark.parametrize("device", ["cpu", "cuda:1"])
def test_scenes_are_made_on_the_device_that_trains(device):
    other_rank = SimpleNamespace(rank=1, count=2)  # which has no validation set
    args = train.arguments(SMALL)
    args.device = device
    batches, _ = train.datasets(args, 0, other_rank)
    assert batches.source.device == device


def test_validation_scenes_are_kept(monkeypatch):
    fresh = data.fixed_set("paper", 2, data.VALIDATION_SEEDS)
    monkeypatch.setattr(data, "Drawn", None)
    kept = data.fixed_set("paper", 2, data.VALIDATION_SEEDS)
    assert torch.equal(fresh[0][0], kept[0][0]) and torch.equal(fresh[0][1], kept[0][1])


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--data", "/nowhere"], "holds no training set"),
        (["--resume"], "no checkpoint"),
        (["--initial", "/nowhere/checkpoint.pt"], "no checkpoint"),
        (["--initial", "/nowhere/model.onnx"], "no model file"),
        (["--out", "/proc/forbidden"], "/proc/forbidden"),
        (["--width", "1"], "--width of 2 at least"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(tmp_path, capsys, argv, says):
    assert train.main([*SMALL, "--steps", "1", "--out", str(tmp_path), *argv]) == 2
    said = capsys.readouterr().err.strip()
    assert says in said and "\n" not in said


def test_a_full_disk_is_one_sentence(tmp_path, images, capsys):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    for name in ("checkpoint.pt", "model.onnx"):
        (tmp_path / f"{name}.{os.getpid()}.part").symlink_to("/dev/full")
        assert train.main([*SMALL, "--steps", "1", "--out", str(tmp_path), "--data", str(images)]) == 2
        said = capsys.readouterr().err.strip()
        assert f"cannot write {tmp_path / name}" in said and "\n" not in said
    assert not (tmp_path / "model.onnx").exists() and not list(tmp_path.glob("*.part"))


def test_validation_scenes_that_cannot_be_kept_are_one_sentence(tmp_path, images, monkeypatch, capsys):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    monkeypatch.setattr(data, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(writing.os, "getpid", lambda: 1)
    asked = [*SMALL, "--steps", "1", "--out", str(tmp_path / "run"), "--data", str(images)]
    assert train.main(asked) == 0
    (kept,) = (tmp_path / "cache").iterdir()
    kept.unlink()
    Path(f"{kept}.1.part").symlink_to("/dev/full")
    capsys.readouterr()
    assert train.main([*asked, "--out", str(tmp_path / "again")]) == 2
    said = capsys.readouterr().err.strip()
    assert f"cannot write {kept}" in said and "\n" not in said


def test_a_checkpoint_without_what_resume_needs_is_one_sentence(tmp_path, capsys):
    torch.save({"segmenter": "ata_net", "average": {}, "trained": {}}, tmp_path / "checkpoint.pt")
    assert train.main([*SMALL, "--resume", "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err.strip()
    assert "checkpoint.pt is not a checkpoint of train.py" in said and "\n" not in said


@pytest.mark.parametrize("damage", ["cut short", "no array", "no level.npy", "no done", "done is a word"])
def test_a_damaged_set_is_one_sentence(tmp_path, images, capsys, damage):
    copy = Path(shutil.copytree(images, tmp_path / "set"))
    level, info = copy / "level.npy", json.loads((copy / "set.json").read_text())
    if damage == "cut short":
        os.truncate(level, level.stat().st_size // 2)
    elif damage == "no array":
        level.write_bytes(200 * b"x")
    elif damage == "no level.npy":
        level.unlink()
    elif damage == "no done":
        del info["done"]
    else:
        info["done"] = "ten"
    (copy / "set.json").write_text(json.dumps(info))
    assert train.main([*SMALL, "--steps", "1", "--out", str(tmp_path / "run"), "--data", str(copy)]) == 2
    said = capsys.readouterr().err.strip()
    assert "damaged training set" in said and "\n" not in said


def test_a_set_stopped_before_its_first_frame(tmp_path):
    next(iter(write_images("wideband", 10, 3, tmp_path)))
    with pytest.raises(DataError, match="no complete frame"):
        Stored(tmp_path, seed=1)


def test_what_is_given_to_resume_wins(tmp_path):
    """Over the run's own arguments; minutes over its steps, and the other way round."""
    state = {"segmenter": "ata_net", "average": {}, "trained": {}}
    for kept, given, steps, minutes in (({"steps": 9, "minutes": 10.0}, ["--minutes", "3"], None, 3.0),
                                        ({"steps": None, "minutes": 10.0}, ["--steps", "4"], 4, 10.0),
                                        ({"steps": 9, "minutes": 10.0}, [], 9, 10.0)):  # fmt: skip
        torch.save({**state, "arguments": {**kept, "batch": 3}}, tmp_path / "checkpoint.pt")
        args = train.arguments(["--out", str(tmp_path), "--resume", *given])
        assert (args.steps, args.minutes, args.batch) == (steps, minutes, 3)


def test_no_training_sees_a_validation_scene():
    last = train.drawn(train.arguments(["--seed", str(data.MOST_SEED)]))
    assert last.first + (1 << 32) <= data.VALIDATION_SEEDS


def test_bad_numbers_are_refused(capsys):
    for bad in (["--batch", "0"], ["--steps", "-1"], ["--iq-share", "2"], ["--preset", "nothing"],
                ["--seed", "256"], ["--resume", "--initial", "x.pt"], ["--data", "x", "--front-end", "mathworks"]):
        with pytest.raises(SystemExit):
            train.arguments(bad)
    capsys.readouterr()


def test_a_network_that_needs_two_scenes_says_so(images, tmp_path, capsys):
    """DeepLabV3+ has a batch norm behind a mean over the whole image."""
    asked = [*SMALL, "--segmenter", "deeplabv3plus", "--width", "8", "--data", str(images), "--steps", "1"]
    asked += ["--out", str(tmp_path)]
    assert train.main([*asked, "--batch", "1"]) == 2
    assert "--batch 2 or more" in capsys.readouterr().err
    assert train.main(asked) == 0
