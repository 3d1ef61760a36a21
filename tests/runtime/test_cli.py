# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command as a user runs it."""

import errno
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gnuradio.ata.cli import main
from tiny_model import write_tiny_model

ROOT = Path(__file__).resolve().parents[2]


def ata_sense(*args: object, cwd: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "apps" / "ata-sense"), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=os.environ, check=False, timeout=120)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Four and a half frames of 1 ms of noise."""
    rng = np.random.default_rng(5)
    iq = rng.standard_normal(2 * 9000).astype("<f4")
    iq.tofile(tmp_path / "noise.sigmf-data")
    meta = {
        "global": {"core:datatype": "cf32_le", "core:sample_rate": 2e6, "core:version": "1.0.0"},
        "captures": [{"core:sample_start": 0, "core:frequency": 8e8, "core:datetime": "2026-11-23T21:07:00Z"}],
        "annotations": [],
    }
    path = tmp_path / "noise.sigmf-meta"
    path.write_text(json.dumps(meta))
    return path


def test_every_sample_is_analysed_and_the_last_frame_moves_back(recording: Path) -> None:
    ran = ata_sense("replay", recording, "--frame-ms", 1, "--jsonl", "-", cwd=recording.parent)
    assert ran.returncode == 0, ran.stderr
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [(x["sample_start"], x["sample_count"], x["tail"]) for x in lines] == [
        (0, 2000, False),
        (2000, 2000, False),
        (4000, 2000, False),
        (6000, 2000, False),
        (7000, 2000, True),
    ]
    assert lines[1]["time"] == "2026-11-23T21:07:00.001000Z"


def test_noise_is_neither_lte_nor_nr(recording: Path) -> None:
    ran = ata_sense("replay", recording, "--jsonl", "-", cwd=recording.parent)
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [b for x in lines for b in x["bands"] if b["label"] != "other"] == []


def test_a_recording_that_does_not_say_its_frequency_takes_it_from_the_user(recording: Path) -> None:
    meta = json.loads(recording.read_text())
    del meta["captures"][0]["core:frequency"]
    recording.write_text(json.dumps(meta))
    for given, freq in (((), 0.0), (("--freq", "806M"), 806e6)):
        ran = ata_sense("replay", recording, *given, "--jsonl", "-", "--sigmf", "x.sigmf-meta", cwd=recording.parent)
        assert ran.returncode == 0, ran.stderr
        assert {json.loads(line)["center_freq"] for line in ran.stdout.splitlines()} == {freq}


def test_a_recording_shorter_than_a_frame_is_one_frame(recording: Path) -> None:
    ran = ata_sense("replay", recording, "--jsonl", "-", cwd=recording.parent)
    assert [json.loads(x)["sample_count"] for x in ran.stdout.splitlines()] == [9000]


def test_a_real_carrier_is_found_where_it_is(captures: Path, tmp_path: Path) -> None:
    meta_path = captures / "real-lte" / "fdd20-a.sigmf-meta"
    assert ata_sense("replay", meta_path, "--jsonl", "out.jsonl", cwd=tmp_path).returncode == 0
    truth = json.loads(meta_path.read_text())["annotations"][0]
    low, high = truth["core:freq_lower_edge"], truth["core:freq_upper_edge"]
    for line in (tmp_path / "out.jsonl").read_text().splitlines():
        bands = json.loads(line)["bands"]
        lte = [(b["freq_lower_edge"], b["freq_upper_edge"]) for b in bands if b["label"] == "LTE"]
        assert max(((min(high, b) - max(low, a)) / (max(high, b) - min(low, a)) for a, b in lte), default=0) >= 0.7


def test_a_real_recording_gives_records_sigmf_and_a_picture(captures: Path, tmp_path: Path) -> None:
    meta_path = captures / "real-lte" / "fdd20-a.sigmf-meta"
    ran = ata_sense(
        "replay", meta_path, "--jsonl", "out.jsonl", "--sigmf", "out.sigmf-meta", "--png", "out.png", cwd=tmp_path
    )
    assert ran.returncode == 0, ran.stderr
    records = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert sum(r["sample_count"] for r in records) == 1_536_000
    validated = subprocess.run(
        [sys.executable, "-m", "sigmf.validate", "out.sigmf-meta"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert validated.returncode == 0, validated.stderr
    notes = json.loads((tmp_path / "out.sigmf-meta").read_text())["annotations"]
    assert [n["core:sample_start"] for n in notes] == sorted(n["core:sample_start"] for n in notes)
    assert (tmp_path / "out.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["replay", "absent.sigmf-meta"], "cannot be read"),
        (["replay", "absent.bin"], "there is no recording"),
        (["replay", "noise.sigmf-meta", "--frame-ms", "500"], "frame is 500 ms"),
        (["replay", "noise.sigmf-meta", "--engine", "abacus"], "no engine"),
        (["replay", "noise.sigmf-meta", "--model", "noise.sigmf-data"], "ONNX"),
        (["replay", "noise.sigmf-meta", "--jsonl", "no/such/folder.jsonl"], "cannot be written"),
        (["replay", "noise.sigmf-meta", "--png", "no/such/folder.png"], "cannot be written"),
        (["replay", "noise.sigmf-meta", "--jsonl", "/dev/full"], "No space"),
        (["replay", "noise.sigmf-meta", "--frame-ms", "0"], "frame is 0 ms"),
        (["replay", "."], "is a folder"),
        (["replay", "noise.sigmf-meta", "--png", "out", "--jsonl", "./out"], "one file"),
        (["replay", "noise.sigmf-meta", "--frame-ms", "long"], "invalid float value: 'long'"),
        (["replay", "noise.sigmf-data", "--rate", "2.4W"], "'2.4W' is no frequency"),
        (["replay", "noise.sigmf-meta", "--freq", "900M"], "800000000 Hz, which --freq 900000000 cannot change"),
        (["replay", "noise.sigmf-meta", "--rate", "1M"], "2000000 Hz, which --rate 1000000 cannot change"),
        (["replay", "noise.sigmf-data", "--format", "cu8"], "holds cf32_le, which --format cu8 cannot change"),
        (["replay", "n" * 300], "File name too long"),
        (["replay", "noise.sigmf-meta", "--jsonl", "n" * 300], "File name too long"),
        (["replay"], "recording"),
        (["label", "noise.sigmf-meta"], "invalid choice: 'label'"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_code_2(recording: Path, args: list[str], says: str) -> None:
    ran = ata_sense(*args, cwd=recording.parent)
    assert ran.returncode == 2
    said = [line for line in ran.stderr.splitlines() if not line.startswith("ata-sense: engine:")]
    assert len(said) == 1 and says in said[0]


def test_the_doctor_finds_everything_in_order(tmp_path: Path) -> None:
    ran = ata_sense("doctor", cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout
    for what in ("GNU Radio", "kernel", "model", "GRC blocks", "gr-uhd", "gr-soapy", "onnxruntime-cpu"):
        assert any(line.startswith("ok") and what in line for line in ran.stdout.splitlines()), ran.stdout


@pytest.mark.parametrize(
    ("package", "line"), [("onnx", "BAD  model"), ("onnxruntime", " -   onnxruntime-cpu")], ids=["onnx", "onnxruntime"]
)
def test_the_doctor_says_which_package_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, line: str
) -> None:
    (tmp_path / f"{package}.py").write_text("raise ModuleNotFoundError('not there')")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]]))
    ran = ata_sense("doctor", cwd=tmp_path)
    assert ran.returncode == 2
    said = next(said for said in ran.stdout.splitlines() if said.startswith(line))
    assert f"{package} does not load (not there)" in said and "-m pip install onnx onnxruntime" in said
    assert ran.stdout.splitlines()[-1].startswith("1 to mend")


def test_a_person_gets_a_table_and_how_fast_it_went(recording: Path) -> None:
    model = write_tiny_model(recording.parent / "tiny.onnx")
    data = recording.with_suffix(".sigmf-data")
    iq = np.fromfile(data, "<c8")
    spectrum = np.fft.fft(iq)
    spectrum[abs(np.fft.fftfreq(len(iq), 1 / 2e6) - 0.2e6) < 0.45e6] *= 10
    np.fft.ifft(spectrum).astype("<c8").tofile(data)
    ran = ata_sense("replay", recording, "--model", model, "--frame-ms", 2, cwd=recording.parent)
    header, line = ran.stdout.splitlines()
    assert header.split() == ["label", "from", "to", "width", "sure", "SNR", "on", "frames"]
    assert line.startswith("LTE") and line.endswith("3 of 3")
    assert float(line.split()[1]) == pytest.approx(799.75, abs=0.02)
    assert "3 frames, 4.5 ms" in ran.stderr and "x real time" in ran.stderr


@pytest.mark.parametrize("refused", ["--sigmf", "--png"])
def test_an_output_that_is_refused_costs_no_earlier_records(recording: Path, refused: str) -> None:
    kept, foreign = recording.with_name("kept.jsonl"), recording.with_name("foreign.sigmf-meta")
    kept.write_text("of a run before\n")
    foreign.write_text("{}")
    given = foreign if refused == "--sigmf" else "no/such/folder.png"
    ran = ata_sense("replay", recording, "--jsonl", kept, refused, given, cwd=recording.parent)
    assert ran.returncode == 2
    assert kept.read_text() == "of a run before\n"


@pytest.mark.parametrize("option", ["--jsonl", "--sigmf", "--png"])
@pytest.mark.parametrize("suffix", [".sigmf-meta", ".sigmf-data"])
def test_no_output_overwrites_the_recording(recording: Path, option: str, suffix: str) -> None:
    files = [recording, recording.with_suffix(".sigmf-data")]
    before = [f.read_bytes() for f in files]
    ran = ata_sense("replay", recording, option, recording.with_suffix(suffix), cwd=recording.parent)
    assert ran.returncode == 2
    assert "belongs to the recording" in ran.stderr
    assert [f.read_bytes() for f in files] == before


def test_raw_iq_gets_no_metadata_that_a_second_run_would_believe(recording: Path) -> None:
    raw = recording.with_name("dump.bin")
    recording.with_suffix(".sigmf-data").rename(raw)
    beside = recording.with_name("dump.bin.sigmf-meta")
    ran = ata_sense("replay", raw, "--rate", "2M", "--format", "cf32_le", "--sigmf", beside, cwd=recording.parent)
    assert ran.returncode == 2
    assert "belongs to the recording" in ran.stderr
    assert not beside.exists()


@pytest.fixture
def long_recording(tmp_path: Path) -> Path:
    """Some 1900 frames of 1 ms, whose records no pipe holds all at once."""
    np.zeros(2 * 2_000_000, np.int8).tofile(tmp_path / "long.iq")
    return tmp_path / "long.iq"


RAW = ("--rate", "1.05M", "--format", "ci8", "--frame-ms", "1")


def test_a_replay_that_is_killed_leaves_the_records_it_had(long_recording: Path) -> None:
    fifo = long_recording.parent / "records.jsonl"
    os.mkfifo(fifo)
    model = write_tiny_model(long_recording.parent / "tiny.onnx")
    command = [sys.executable, ROOT / "apps" / "ata-sense", "replay", long_recording, *RAW, "--model", model]
    with subprocess.Popen([*command, "--jsonl", fifo], stderr=subprocess.DEVNULL) as replay, fifo.open() as lines:
        assert [json.loads(next(lines))["frame"] for _ in range(5)] == [0, 1, 2, 3, 4]
        assert replay.poll() is None
        replay.kill()


def test_a_reader_that_has_seen_enough_is_no_fault(long_recording: Path) -> None:
    model = write_tiny_model(long_recording.parent / "tiny.onnx")
    command = [sys.executable, ROOT / "apps" / "ata-sense", "replay", long_recording, *RAW, "--model", model]
    with subprocess.Popen([*command, "--jsonl", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert json.loads(run.stdout.readline())["frame"] == 0
        run.stdout.close()
        assert all(line.startswith("ata-sense: ") for line in run.stderr.read().splitlines())
    assert run.returncode == 0


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("args", ["doctor", "replay noise.sigmf-meta", "replay noise.sigmf-meta --jsonl -"])
def test_a_full_disk_behind_standard_output_is_one_sentence(recording: Path, args: str, buffered: bool) -> None:
    env = {**os.environ, "PYTHONUNBUFFERED": "" if buffered else "1"}
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [sys.executable, ROOT / "apps" / "ata-sense", *args.split()], stdout=full, stderr=subprocess.PIPE, text=True,
            env=env, cwd=recording.parent, check=False, timeout=120,
        )  # fmt: skip
    assert ran.returncode == 2
    assert ran.stderr.splitlines()[-1].endswith("cannot be written: No space left on device")
    assert all(line.startswith("ata-sense: ") for line in ran.stderr.splitlines())


def test_a_terminal_that_is_closed_while_it_plays_costs_nothing(long_recording: Path) -> None:
    """One that is not its own: it hears no SIGHUP, and the bar is an error."""
    folder = long_recording.parent
    os.mkfifo(folder / "records.jsonl")
    model = write_tiny_model(folder / "tiny.onnx")
    command = [sys.executable, ROOT / "apps" / "ata-sense", "replay", long_recording, *RAW, "--model", model,
               "--jsonl", folder / "records.jsonl", "--sigmf", folder / "bands.sigmf-meta"]  # fmt: skip
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True) as replay:
        os.close(theirs)
        with (folder / "records.jsonl").open() as lines:
            shown = b""
            while b"MS/s" not in shown:
                shown += os.read(ours, 4096)
            os.close(ours)
            count = sum(1 for _ in lines)
        table = replay.stdout.read()
    assert replay.returncode == 0 and table
    assert count > 1900
    assert json.loads((folder / "bands.sigmf-meta").read_text())["annotations"] == []  # of silence, but written


def test_what_fails_beside_standard_output_is_not_blamed_on_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def refuse() -> int:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr("gnuradio.ata.cli.examine", refuse)
    assert main(["doctor"]) == 2
    assert capsys.readouterr().err == "ata-sense: Cannot allocate memory\n"


@pytest.mark.parametrize(("closed", "code"), [(">&-", 0), ("2>&-", 0), (">&- 2>&-", 0), ("--frame-ms 500 2>&-", 2)])
def test_outputs_that_the_shell_has_closed_are_no_fault(recording: Path, closed: str, code: int) -> None:
    model = write_tiny_model(recording.parent / "tiny.onnx")
    command = f"{sys.executable} {ROOT}/apps/ata-sense replay {recording} --model {model} --jsonl x.jsonl {closed}"
    ran = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=recording.parent, check=False, timeout=120)
    assert ran.returncode == code
    assert "Traceback" not in ran.stdout + ran.stderr
    if code == 0:  # and nothing but records comes into the first file that is opened
        assert json.loads((recording.parent / "x.jsonl").read_text())["frame"] == 0


def test_ctrl_c_while_modules_load_needs_no_traceback() -> None:
    """Python tells on stderr as each one is loaded: after numpy there are many to come."""
    command = [sys.executable, "-X", "importtime", ROOT / "apps" / "ata-sense", "doctor"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as ran:
        next(line for line in ran.stderr if line.endswith(" numpy\n"))
        ran.send_signal(signal.SIGINT)
        out, err = ran.communicate(timeout=60)
    assert ran.returncode == -signal.SIGINT
    assert out == "" and "Traceback" not in err and "make setup" not in err


def test_a_module_that_does_not_load_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "gnuradio").mkdir()
    (tmp_path / "gnuradio" / "__init__.py").touch()
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, ROOT / "apps" / "ata-sense", "doctor"]
    ran = subprocess.run(command, capture_output=True, text=True, env=env, cwd=tmp_path, check=False, timeout=60)
    assert ran.returncode == 2
    assert len(ran.stderr.splitlines()) == 1 and "make setup" in ran.stderr
