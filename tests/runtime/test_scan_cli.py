# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`ata-sense scan` and `ata-sense occupancy` as a user runs them, with a simulated dongle on a wide recording."""

import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from gnuradio.ata.cli import main
from gnuradio.ata.errors import AtaError, RadioLost
from gnuradio.ata.occupancy import Occupancy
from gnuradio.ata.radio_tuner import RadioSettings
from gnuradio.ata.stream import Frame
from tiny_model import write_tiny_model
from wide_recording import write_wide_recording

ROOT = Path(__file__).resolve().parents[2]
WIDE, NARROW = (797.8e6, 801.7e6), (802.4e6, 803.4e6)  # Hz; the first is four times as wide as the radio's band
SKIRT = 4e6 / 256  # Hz: the tiny model takes for carrier what the window makes of a strong one's edges
BAND = ("--from", "796.2M", "--to", "0.8038G")
RADIO = ("--source", "sim:band.sigmf-meta", "--rate", "1M", "--frame-ms", "10", "--model", "tiny.onnx",
         "--engine", "onnxruntime-cpu")  # fmt: skip


def command(*args: object) -> list[str]:
    return [sys.executable, str(ROOT / "apps" / "ata-sense"), *map(str, args)]


def ata_sense(*args: object, cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        command(*args), capture_output=True, text=True, cwd=cwd, env=os.environ, check=False, timeout=120
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scan")
    write_tiny_model(folder / "tiny.onnx")
    write_wide_recording(folder / "band.sigmf-meta", 800e6, 8e6, 0.06, [WIDE, NARROW])
    return folder


def begins(rows: list[str]) -> list[float]:
    """Where the bands of a table's rows begin, Hz."""
    return [1e6 * float(row.split()[1]) for row in rows]


def test_two_sweeps_give_lines_a_picture_a_table_and_a_file_that_is_shown(folder: Path) -> None:
    ran = ata_sense(
        "scan", *BAND, *RADIO, "--sweeps", 2, "--jsonl", "s.jsonl", "--png", "s.png", "--db", "s.db", cwd=folder
    )
    assert ran.returncode == 0, ran.stderr
    lines = [json.loads(line) for line in (folder / "s.jsonl").read_text().splitlines()]
    assert [(x["sweep"], x["complete"]) for x in lines] == [(0, True), (1, True)]
    for line in lines:
        found = [e for b in line["bands"] for e in (b["freq_lower_edge"], b["freq_upper_edge"])]
        assert found == pytest.approx([*WIDE, *NARROW], abs=SKIRT)
        assert [b["label"] for b in line["bands"]] == ["LTE", "LTE"]
    header, *rows = ran.stdout.splitlines()
    assert header.split()[:7] == ["label", "from", "to", "width", "sure", "SNR", "on"]
    assert begins(rows) == pytest.approx([WIDE[0], NARROW[0]], abs=SKIRT) and all("2 of 2" in row for row in rows)
    assert "sweep 2: " in ran.stderr and (folder / "s.png").read_bytes()[:4] == b"\x89PNG"

    shown = ata_sense("occupancy", "s.db", "--csv", "s.csv", "--png", "o.png", cwd=folder)
    assert shown.returncode == 0 and shown.stdout == ran.stdout
    with (folder / "s.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [(r["label"], r["seen"], r["sweeps"], r["votes"]) for r in table] == [("LTE", "2", "2", "LTE 2")] * 2
    assert float(table[0]["freq_lower_edge"]) == pytest.approx(WIDE[0], abs=SKIRT)
    assert table[0]["first_seen"] == lines[0]["time"] and table[0]["last_seen"] == lines[1]["time"]
    assert (folder / "o.png").read_bytes()[:4] == b"\x89PNG"


def test_a_second_scan_goes_on_in_the_same_file(folder: Path) -> None:
    for _ in range(2):
        assert ata_sense("scan", *BAND, *RADIO, "--db", "again.db", "--step", "700k", cwd=folder).returncode == 0
    assert ata_sense("occupancy", "again.db", cwd=folder).stdout.count("2 of 2") == 2


def test_lines_of_an_earlier_scan_are_set_aside(folder: Path) -> None:
    for _ in range(2):
        assert ata_sense("scan", *BAND, *RADIO, "--jsonl", "again.jsonl", cwd=folder).returncode == 0
    files = sorted(folder.glob("again*.jsonl"))
    assert len(files) == 2 and files[-1].name == "again.jsonl"
    first, second = (json.loads(path.read_text()) for path in files)
    assert first["time"] < second["time"]


def test_lines_to_a_pipe_come_alone(folder: Path) -> None:
    ran = ata_sense("scan", *BAND, *RADIO, "--jsonl", "-", cwd=folder)
    assert [json.loads(line)["sweep"] for line in ran.stdout.splitlines()] == [0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_a_scan_and_keeps_what_was_found(folder: Path, number: int) -> None:
    name = f"until-{number}"
    args = command("scan", *BAND, *RADIO, "--sweeps", 0, "--db", f"{name}.db", "--jsonl", f"{name}.jsonl")
    with subprocess.Popen(args, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as scan:
        for line in scan.stderr:
            if "sweep 2: " in line:
                break
        scan.send_signal(number)
        table, _ = scan.communicate(timeout=60)
    assert scan.returncode == 0
    lines = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
    assert len(lines) >= 2 and [x["complete"] for x in lines[:-1]] == [True] * (len(lines) - 1)
    kept = sqlite3.connect(folder / f"{name}.db").execute("SELECT COUNT(*) FROM sweeps").fetchone()
    assert kept == (len(lines),)
    header, *rows = table.splitlines()
    assert header.startswith("label") and begins(rows)[0] == pytest.approx(WIDE[0], abs=SKIRT)


@pytest.mark.parametrize(
    ("broken", "lines"), [({"stderr": "/dev/full"}, "l.jsonl"), ({"stdout": "/dev/full"}, "l.jsonl"), ({}, "/dev/full")]
)
def test_an_output_that_fails_takes_no_sweep_from_the_others(
    folder: Path, tmp_path: Path, broken: dict[str, str], lines: str
) -> None:
    named = ("--db", tmp_path / "a.db", "--png", tmp_path / "a.png", "--jsonl", tmp_path / lines)
    args = command("scan", *BAND, *RADIO, *named)
    with ExitStack() as files:
        outputs = {name: files.enter_context(Path(path).open("w")) for name, path in broken.items()}
        ran = subprocess.run(args, cwd=folder, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **outputs},
                             check=False, timeout=120)  # fmt: skip
    assert ran.returncode == (0 if "stderr" in broken else 2)
    assert Occupancy(tmp_path / "a.db", read_only=True).sweeps == 1
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    assert lines == "/dev/full" or len((tmp_path / lines).read_text().splitlines()) == 1


@pytest.mark.parametrize("table", [(), ("--csv", "-")])
def test_occupancy_is_drawn_though_nobody_reads_the_table(folder: Path, tmp_path: Path, table: tuple[str, ...]) -> None:
    assert ata_sense("scan", *BAND, *RADIO, "--db", tmp_path / "a.db", cwd=folder).returncode == 0
    with Path("/dev/full").open("w") as full:
        args = command("occupancy", tmp_path / "a.db", "--png", tmp_path / "a.png", *table)
        ran = subprocess.run(args, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=120)
    assert ran.returncode == 2 and "cannot be written" in ran.stderr
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--from", "960M", "--to", "700M"), "goes nowhere"),
        (("--from", "seven", "--to", "960M"), "'seven' is no frequency"),
        (("--from", "800M", "--to", "800.5M"), "no scan is needed"),
        ((*BAND, "--step", "2M"), "a step of 2 MHz does not fit"),
        ((*BAND, "--rate", "1k"), "the sample rate is"),
        ((*BAND, "--frame-ms", "500"), "frame is 500 ms"),
        ((*BAND, "--settle-ms", "-1"), "makes no sense"),
        ((*BAND, "--sweeps", "-1"), "-1 sweeps"),
        ((*BAND, "--source", "sim:absent.sigmf-meta"), "cannot be read"),
        ((*BAND, "--source", "sim:band.sigmf-meta", "--rate", "9M", "--to", "820M"), "fits in it"),
        (("--from", "780M", "--to", "803M"), "cannot be tuned to 780"),
        ((*BAND, "--db", "band.sigmf-meta"), "belongs to the recording itself"),
        ((*BAND, "--db", "tiny.onnx"), "not a database"),
        ((*BAND, "--db", "other.db"), "no occupancy file of gr-ata"),
        ((*BAND, "--png", "no/such/folder.png"), "cannot be written"),
        ((*BAND, "--jsonl", "no/such/folder.jsonl"), "cannot be written"),
        ((*BAND, "--jsonl", "/dev/full"), "No space"),
        ((*BAND, "--jsonl", "band.sigmf-data"), "belongs to the recording itself"),
        ((*BAND, "--db", "one.file", "--jsonl", "./one.file"), "two outputs cannot go into one file"),
        ((*BAND, "--source", "rtl_tcp=127.0.0.1:1"), "cannot be opened"),
        ((*BAND, "--source", "rtl_tcp=127.0.0.1:1", "--gain", "loud"), "is no gain"),
        ((*BAND, "--source", "loop:band.sigmf-meta"), "was recorded at"),
        ((*BAND, "--source", "sim:tiny.onnx"), "tiny.onnx is raw IQ; to be played here it needs a .sigmf-meta"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_code_2(
    folder: Path, args: tuple[str, ...], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    if "rtl_tcp" in " ".join(args):
        pytest.importorskip("osmosdr", reason="gr-osmosdr is not installed")
    if not (folder / "other.db").exists():
        sqlite3.connect(folder / "other.db").execute("CREATE TABLE birds (name TEXT)").connection.commit()
    monkeypatch.chdir(folder)
    assert main(["scan", *RADIO, *args]) == 2
    told = capsys.readouterr().err.splitlines()
    said = [line for line in told if not line.startswith(("ata-sense: engine:", "ata-sense: sweep"))]
    assert len(said) == 1 and says in said[0], told


@pytest.mark.parametrize("args", [("--engine", "abacus"), ("--gain", "loud"), ("--settle-ms", "-1")])
def test_what_cannot_be_done_leaves_the_lines_of_an_earlier_scan_where_they_are(
    folder: Path, tmp_path: Path, args: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (tmp_path / "week.jsonl").write_text("of an earlier scan\n")
    assert main(["scan", *BAND, *RADIO, "--jsonl", str(tmp_path / "week.jsonl"), *args]) == 2
    assert [path.read_text() for path in tmp_path.iterdir()] == ["of an earlier scan\n"]
    assert (tmp_path / "week.jsonl").exists()


def test_a_gain_that_is_none_is_refused_before_an_engine_is_built(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(folder)
    assert main(["scan", *BAND, *RADIO, "--gain", "loud"]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "is no gain" in said


class Failing:
    """A radio that comes back each time for a single step."""

    def __init__(self, settings: RadioSettings, stopped: Callable[[], bool]) -> None:
        self._plan, self._steps = settings, 0

    def capture(self, center_freq: float) -> Frame:
        if self._steps:
            raise RadioLost("rtl=0 is gone")
        self._steps = 1
        return Frame(0, np.ones((self._plan.grid.rows, self._plan.grid.columns), np.float32), 0, 10_000, center_freq,
                     self._plan.samp_rate, None)  # fmt: skip

    def close(self) -> None: ...


def test_a_radio_that_took_a_step_was_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each pause is the first one again, though no sweep is ever complete."""
    monkeypatch.setattr("gnuradio.ata.pauses.FIRST_PAUSE", 0.1)
    monkeypatch.setattr("gnuradio.ata.scan_cli.RadioTuner", Failing)
    monkeypatch.chdir(folder)
    told = lambda: [r.getMessage() for r in caplog.records if "trying again" in r.getMessage()]  # noqa: E731
    stop = lambda said: len(told()) < 2 or signal.raise_signal(signal.SIGTERM) or True  # noqa: E731
    handler = caplog.handler  # of the whole session: what is added has to go again
    handler.addFilter(stop)
    try:
        assert main(["scan", *BAND, *RADIO, "--source", "rtl=0", "--reconnect"]) == 0
        assert set(told()) == {"rtl=0 is gone; trying again in 0.1 s"} and len(told()) >= 3
    finally:
        handler.removeFilter(stop)


def test_a_table_that_cannot_be_read_leaves_the_earlier_one_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise AtaError("a.db cannot be read: database disk image is malformed")

    Occupancy(tmp_path / "a.db").close()
    (tmp_path / "a.csv").write_text("of yesterday\n")
    monkeypatch.setattr(Occupancy, "bands", broken)
    assert main(["occupancy", str(tmp_path / "a.db"), "--csv", str(tmp_path / "a.csv")]) == 2
    assert (tmp_path / "a.csv").read_text() == "of yesterday\n"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("absent.db",), "there is no occupancy file absent.db"),
        (("tiny.onnx",), "not a database"),
        (("empty.db", "--png", "e.png"), "there is no sweep to draw"),
        (("empty.db", "--csv", "no/such/folder.csv"), "cannot be written"),
        (("empty.db", "--csv", "one.file", "--png", "./one.file"), "two outputs cannot go into one file"),
        (("empty.db", "--csv", "./empty.db"), "belongs to the occupancy itself"),
    ],
)
def test_occupancy_that_cannot_be_shown_is_one_sentence(
    folder: Path, args: tuple[str, ...], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    Occupancy(folder / "empty.db").close()
    monkeypatch.chdir(folder)
    assert main(["occupancy", *args]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert says in said
