# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`ata-sense live` as its user runs it, with the real gr-osmosdr driver before a server that plays, stops and lies."""

import errno
import fcntl
import json
import os
import pty
import re
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from multiprocessing.context import SpawnProcess
from pathlib import Path

import numpy as np
import pytest
import sigmf
from gnuradio.ata import live_flowgraph
from gnuradio.ata.engines.choose import ENGINES
from gnuradio.ata.errors import AtaError
from gnuradio.ata.iq_files import IqCounts
from gnuradio.ata.isolated import Channel
from gnuradio.ata.live import Base, Live, LiveSettings, Lost, Opening, Progress, Streaming, Totals
from gnuradio.ata.model import read_model
from gnuradio.ata.pauses import STALL_LIMIT
from gnuradio.ata.radios import Radio
from gnuradio.ata.records import Record
from stand_ins import GatedEngine, Stepped
from tiny_model import write_tiny_model
from tools.live_run import PATIENCE, Collected, Quiet, command, lines, run
from tools.rtl_tcp_server import RtlTcpServer

RATE, FREQ = 2_000_000, 800_000_000
BAND = (799.7e6, 800.9e6)  # Hz
N = 20_000  # samples of a frame of 10 ms
TUNED = ("--rate", RATE, "--freq", FREQ, "--gain", 30, "--frame-ms", 10)


@pytest.fixture(scope="module", autouse=True)
def _driver() -> None:
    pytest.importorskip("osmosdr", reason="gr-osmosdr is not installed")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx", rows=16)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A strong band in noise, wider than the radio's own 2 MS/s."""
    rng = np.random.default_rng(1)
    count, rate = 1 << 19, 2 * RATE
    spectrum = np.fft.fft(rng.standard_normal((count, 2)) @ [1, 1j])
    at = FREQ + np.fft.fftfreq(count, 1 / rate)
    spectrum[(at < BAND[0]) | (at > BAND[1])] *= 0.05
    folder = tmp_path_factory.mktemp("scene")
    np.fft.ifft(spectrum).astype("<c8").tofile(folder / "scene.sigmf-data")
    head = {"core:datatype": "cf32_le", "core:sample_rate": rate, "core:version": "1.0.0"}
    meta = {"global": head, "captures": [{"core:sample_start": 0, "core:frequency": FREQ}], "annotations": []}
    (folder / "scene.sigmf-meta").write_text(json.dumps(meta))
    return folder / "scene.sigmf-meta"


@contextmanager
def running(*args: object) -> Iterator[subprocess.Popen]:
    """The command in a process group of its own, as a shell starts it."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command(*args), **pipes, start_new_session=True) as process:
        try:
            yield process
        finally:
            process.kill()


def check(records: list[dict]) -> None:
    """What holds for the records of any run, however often the radio was away: every frame has one or is counted."""
    for index, record in enumerate(records):
        assert record["frame"] == index + record["dropped_frames"]
        assert record["time"] is not None  # the driver gives none, this computer does
        (band,) = record["bands"]
        assert band["label"] == "LTE"
        assert (band["freq_lower_edge"], band["freq_upper_edge"]) == pytest.approx(BAND, abs=2 * RATE / 256)
    for before, after in pairwise(records):
        assert after["sample_start"] >= before["sample_start"] + before["sample_count"]
        assert after["time"] > before["time"]


def test_a_band_is_found_and_everything_is_written(scene: Path, model: Path, tmp_path: Path) -> None:
    with RtlTcpServer(scene) as server:
        ran = run("--source", server.device, *TUNED, "--model", model, "--frames", 30, "--jsonl", tmp_path / "r.jsonl",
                  "--sigmf", tmp_path / "r.sigmf-meta", "--keep-iq", tmp_path / "iq", "--rotate-mb", 0.004)  # fmt: skip
        server.wait_for("ended", connection=0)
        told = {e["name"]: e["value"] for e in server.events if e["event"] == "command"}
    assert ran.returncode == 0, ran.stderr
    assert (told["rate"], told["freq"], told["gain"]) == (RATE, FREQ, 297)
    files = sorted(tmp_path.glob("r-*.jsonl"), key=lambda p: lines(p)[0]["frame"]) + [tmp_path / "r.jsonl"]
    records = [record for path in files for record in lines(path)]
    assert len(records) == 30 and len(files) > 2
    check(records)
    assert f"{server.device}: 800 MHz at 2 MS/s, tiny-1" in ran.stdout
    assert re.search(r"\+ LTE 799\.(69|70) to 800\.9[01] MHz", ran.stdout)
    dropped = records[-1]["dropped_frames"]
    assert ran.stdout.splitlines()[-1].startswith(f"30 frames, {dropped} dropped in ")
    assert "bands: LTE 30; IQ: 1 recordings" in ran.stdout
    found = sigmf.fromfile(str(tmp_path / "r.sigmf-meta"))
    found.validate()
    assert found.get_annotations()[0]["core:label"] == "LTE"
    (kept,) = (tmp_path / "iq").glob("*.sigmf-meta")
    sigmf.fromfile(str(kept)).validate()


def test_the_output_is_json_alone(scene: Path, model: Path) -> None:
    with RtlTcpServer(scene) as server:
        ran = run("--source", server.device, *TUNED, "--model", model, "--frames", 3, "--jsonl", "-")
    assert ran.returncode == 0, ran.stderr
    assert len([json.loads(line) for line in ran.stdout.splitlines()]) == 3
    assert "3 frames, " in ran.stderr and "R820T" not in ran.stderr


def test_a_lost_radio_is_a_sentence_and_what_was_found_stays(scene: Path, model: Path, tmp_path: Path) -> None:
    with RtlTcpServer(scene, f"close,{10 * N}") as server:
        ran = run("--source", server.device, *TUNED, "--model", model, "--jsonl", tmp_path / "r.jsonl")
    assert ran.returncode == 2
    assert ran.stderr.splitlines()[-1] == (
        f"ata-sense: {server.device} gives no more samples: unplugged, or its server is gone"
    )
    assert "Traceback" not in ran.stderr
    records = lines(tmp_path / "r.jsonl")
    assert records
    check(records)
    assert f"{len(records)} frames, " in ran.stdout.splitlines()[-1]


def test_it_waits_for_a_radio_that_comes_back(scene: Path, model: Path, tmp_path: Path) -> None:
    with RtlTcpServer(scene, f"close,{20 * N}", "garbage", "play") as server:
        ran = run("--source", server.device, *TUNED, "--model", model, "--jsonl", tmp_path / "r.jsonl", "--reconnect",
                  "--frames", 40, "--keep-iq", tmp_path / "iq")  # fmt: skip
        assert server.wait_for("connected", connection=2)
    assert ran.returncode == 0, ran.stderr
    check(lines(tmp_path / "r.jsonl"))
    assert "gives no more samples: unplugged, or its server is gone; trying again in 1 s" in ran.stderr
    assert "no rtl_tcp server; trying again in 2 s" in ran.stderr
    assert f"{server.device} is back after" in ran.stderr
    assert ", 1 reconnects in " in ran.stdout.splitlines()[-1]
    kept = [sigmf.fromfile(str(path)) for path in (tmp_path / "iq").glob("*.sigmf-meta")]
    begins = sorted((r.get_captures()[0]["core:global_index"], r.sample_count) for r in kept)
    assert len(begins) == 2 and sum(begins[0]) <= begins[1][0]  # indices go on, and so do the counts
    assert f"IQ: 2 recordings, {sum(r.sample_count for r in kept)} samples" in ran.stdout.splitlines()[-1]


def test_faults_one_after_the_other_lose_nothing(
    scene: Path, model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Closed, reset, stalled, cut in a sample, no greeting, half of one, none ever, garbage: then it plays."""
    monkeypatch.setattr("gnuradio.ata.pauses.LONGEST_PAUSE", 0.1)
    monkeypatch.setattr("gnuradio.ata.pauses.FIRST_PAUSE", 0.1)
    cut = [f"{what},{8 * N}" for what in ("close", "reset", "stall", "odd")]
    others = ("noheader", "half", "silent", "garbage", "play")
    with RtlTcpServer(scene, *cut, *others, speed=0.5, tuned=(FREQ, RATE)) as server:
        settings = LiveSettings(server.device, RATE, FREQ, 30.0, model=str(model), frame_ms=10.0)
        sink = Collected()
        live = Live(settings, [sink], Quiet(), reconnect=True, frames=60, opening_limit=6, stall_limit=6)
        live.run()
        server.wait_for("connected", connection=8)
        events = [*server.events, server.wait_for("ended")]
    check(sink)
    totals = live.totals
    assert totals.records == len(sink) == 60
    assert totals.frames == totals.records + totals.dropped
    sent = [e["samples"] for e in events if e["event"] == "ended" and e["samples"]]
    assert sent[:4] == [8 * N] * 4
    assert totals.reconnects == len(sent) - 1
    # A driver keeps for itself what does not fill its next read when the server goes.
    assert sum(sent[:-1]) - len(sent) * N < totals.samples <= sum(sent)
    for how in ("gives no more samples", "ended its stream", "no rtl_tcp server", "says nothing for 6 s"):
        assert how in caplog.text


def test_a_fault_in_the_radios_process_is_a_lost_radio(
    scene: Path, model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("gnuradio.ata.pauses.FIRST_PAUSE", 0.1)
    with RtlTcpServer(scene) as server:
        settings = LiveSettings(server.device, RATE, FREQ, "a slip", model=str(model), frame_ms=10.0)
        live = Live(settings, [], Quiet(), reconnect=True)
        caplog.handler.addFilter(lambda said: live.stop() if "trying again in 0.2 s" in said.getMessage() else True)
        live.run()
    assert caplog.text.count("is gone: its driver's process failed: TypeError: ") == 1
    assert "Traceback" in caplog.text and "in set_gain" in caplog.text


def test_an_engine_that_is_never_there_is_a_sentence(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gnuradio.ata.live.ENGINE_LIMIT", 0.1)  # less than it takes to start the process
    live = Live(LiveSettings("rtl_tcp=127.0.0.1:1", RATE, FREQ, 30.0, model=str(model)), [], Quiet())
    with pytest.raises(AtaError, match=r"does not answer: the engine says nothing for 0\.1 s"):
        live.run()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_an_orderly_way(scene: Path, model: Path, tmp_path: Path, number: int) -> None:
    with (
        RtlTcpServer(scene) as server,
        running("--source", server.device, *TUNED, "--model", model, "--jsonl", tmp_path / "r.jsonl",
                "--sigmf", tmp_path / "r.sigmf-meta") as live,
    ):  # fmt: skip
        for line in live.stdout:
            if "+ LTE" in line:
                break
        os.killpg(live.pid, number)  # a terminal, or systemd, tells all its processes
        out, err = live.communicate(timeout=PATIENCE)
        server.wait_for("ended", connection=0)  # nothing is left that holds the radio
    assert live.returncode == 0, err
    records = lines(tmp_path / "r.jsonl")
    check(records)
    assert f"{len(records)} frames, " in out.splitlines()[-1]
    assert sum(n["core:sample_count"] for n in json.loads((tmp_path / "r.sigmf-meta").read_text())["annotations"])


def test_who_stops_it_for_a_while_loses_no_radio(scene: Path, model: Path, tmp_path: Path) -> None:
    """Ctrl-Z, then `bg`: nobody was there to hear the radio's process, which stood still too."""
    with running("--source", f"loop:{scene}", "--model", model, "--frame-ms", 10, "--frames", 300, "--jsonl",
                 tmp_path / "r.jsonl") as live:  # fmt: skip
        for line in live.stdout:
            if "+ LTE" in line:
                break
        os.killpg(live.pid, signal.SIGSTOP)
        with pytest.raises(subprocess.TimeoutExpired):
            live.wait(STALL_LIMIT + 1)
        os.killpg(live.pid, signal.SIGCONT)
        _, err = live.communicate(timeout=PATIENCE)
    assert live.returncode == 0, err
    assert len(lines(tmp_path / "r.jsonl")) == 300


def test_a_signal_ends_it_while_it_waits_for_the_radio(model: Path) -> None:
    with running("--source", "rtl_tcp=127.0.0.1:1", *TUNED, "--model", model, "--reconnect") as live:
        for line in live.stderr:
            if "can't open TCP connection; trying again in 2 s" in line:
                break
        live.send_signal(signal.SIGTERM)
        live.communicate(timeout=PATIENCE)
    assert live.returncode == 0


def test_killed_it_leaves_its_records_and_lets_the_radio_go(scene: Path, model: Path, tmp_path: Path) -> None:
    with (
        RtlTcpServer(scene) as server,
        running("--source", server.device, *TUNED, "--model", model, "--jsonl", tmp_path / "r.jsonl") as live,
    ):
        for line in live.stdout:
            if "+ LTE" in line:
                break
        live.kill()
        server.wait_for("ended", connection=0)
    check(lines(tmp_path / "r.jsonl"))


def test_a_terminal_shows_a_table_that_is_redrawn(scene: Path, model: Path) -> None:
    ours, theirs = pty.openpty()
    with RtlTcpServer(scene) as server:
        shown = b""
        args = command("--source", server.device, *TUNED, "--model", model)
        with subprocess.Popen(args, stdout=theirs, stderr=subprocess.DEVNULL, close_fds=True) as live:
            os.close(theirs)
            while shown.count(b"\033[J") < 3 or b"LTE" not in shown:
                shown += os.read(ours, 4096)
            live.send_signal(signal.SIGINT)
            with suppress(OSError):  # which is how a terminal says that its last program has ended
                while got := os.read(ours, 4096):
                    shown += got
    os.close(ours)
    assert live.returncode == 0
    text = shown.decode()
    assert "label          from           to     width    sure      SNR    on  since" in text
    assert re.search(r"LTE      799\.(69|70) MHz   800\.9[01] MHz  1\.2[0-2] MHz", text)
    assert "bands: LTE " in text.splitlines()[-1]


def _own_terminal() -> None:
    """In a new process: standard input becomes its terminal, and SIGHUP does what it usually does, under nohup too."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def test_a_closed_terminal_loses_nothing(scene: Path, model: Path, tmp_path: Path) -> None:
    """The kernel sends SIGHUP to the command and to the radio's process, and then takes the screen away."""
    out = tmp_path / "out.jsonl"
    ours, theirs = pty.openpty()
    with RtlTcpServer(scene) as server:
        shown = b""
        args = command("--source", server.device, *TUNED, "--model", model, "--jsonl", out, "--sigmf",
                       tmp_path / "out.sigmf-meta")  # fmt: skip
        streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        with subprocess.Popen(args, **streams, start_new_session=True, preexec_fn=_own_terminal) as live:
            os.close(theirs)
            while shown.count(b"\033[J") < 3 or b"LTE" not in shown:
                shown += os.read(ours, 4096)
            os.close(ours)
            assert live.wait(PATIENCE) == 0
    check(lines(out))
    annotated = sigmf.fromfile(str(tmp_path / "out.sigmf-meta")).get_annotations()
    assert sum(a["core:sample_count"] for a in annotated) == sum(r["sample_count"] for r in lines(out))


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--source", "rtl=0", *TUNED), "rtl=0 cannot be opened"),
        (("--source", "rtl=0", "--freq", FREQ), "rtl=0 needs --rate"),
        (("--source", "rtl=0", *TUNED, "--gain", "loud"), "is no gain"),
        (("--source", "rtl=0", *TUNED, "--frames", 0), "--frames is 0"),
        (("--source", "rtl=0", *TUNED, "--frame-ms", 0), "--frame-ms is 0"),
        (("--source", "rtl=0", *TUNED, "--reconnect", "--engine", "abacus"), "no engine 'abacus'"),
        (("--source", "rtl=0", *TUNED, "--jsonl", "/dev/null/x"), "cannot be written"),
        (("--source", "loop:absent.sigmf-meta"), "absent.sigmf-meta cannot be read"),
        (("--source", f"loop:{__file__}", *TUNED), "test_live.py is raw IQ; to be played here it needs a .sigmf-meta"),
    ],
)
def test_what_cannot_work_is_one_sentence(args: tuple, says: str) -> None:
    ran = run(*args)
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert says in ran.stderr.splitlines()[-1]
    assert "Traceback" not in ran.stderr


def test_no_output_takes_the_place_of_the_recording(scene: Path) -> None:
    data = scene.with_suffix(".sigmf-data")
    before = data.read_bytes()
    ran = run("--source", f"loop:{scene}", "--jsonl", data)
    assert ran.returncode == 2
    assert "belongs to the recording itself" in ran.stderr
    assert data.read_bytes() == before


def test_a_recording_that_is_played_does_not_make_room_for_others(scene: Path) -> None:
    ran = run("--source", f"loop:{scene}", "--keep-iq", scene.parent)
    assert ran.returncode == 2
    assert "holds the recording that is played" in ran.stderr.splitlines()[-1]
    assert scene.with_suffix(".sigmf-data").exists()


def test_a_file_that_is_played_is_the_end(scene: Path, model: Path) -> None:
    device = f"file={scene.with_suffix('.sigmf-data')},rate={2 * RATE},freq={FREQ},repeat=false"
    ran = run("--source", device, "--rate", "4M", "--freq", "0.8G", "--model", model, "--frame-ms", 10)
    assert ran.returncode == 0, ran.stderr
    analysed, _, dropped, _ = ran.stdout.splitlines()[-1].split(maxsplit=3)
    assert int(analysed) + int(dropped) == -(-(1 << 19) // 40_000)


def test_a_rate_that_the_radio_does_not_have_is_refused(scene: Path) -> None:
    ran = run("--source", f"loop:{scene}", "--rate", 3e6)
    assert ran.returncode == 2
    assert "was recorded at 4000000 Hz, which --rate 3000000 cannot change" in ran.stderr


@pytest.mark.parametrize("frame_ms", [40, 1])  # at 1 ms more records are on their way when the first cannot be written
def test_a_full_disk_ends_it_with_a_sentence(scene: Path, model: Path, tmp_path: Path, frame_ms: int) -> None:
    ran = run("--source", f"loop:{scene}", "--model", model, "--frame-ms", frame_ms, "--jsonl", "/dev/full",
              "--sigmf", tmp_path / "r.sigmf-meta")  # fmt: skip
    assert ran.returncode == 2
    assert ran.stderr.splitlines()[-1] == "ata-sense: /dev/full cannot be written: No space left on device"


def six_records(channel: Channel, *_: object) -> None:
    """What the radio's process sends, three records of it after it was asked to stop."""
    channel.send(Streaming("rtl=0", RATE, FREQ, "m", "e"))
    for frame in range(6):
        channel.send(Record(frame, frame * N, N, None, FREQ, RATE, "m", "e", False, 0, None, ()))
        if frame == 2:
            channel.receive()


@pytest.mark.parametrize("reconnect", [False, True])
def test_a_machine_without_room_for_the_radios_process_is_a_lost_radio(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, reconnect: bool
) -> None:
    """As by the fault of another program, which may mend."""
    monkeypatch.setattr("gnuradio.ata.pauses.FIRST_PAUSE", 0.1)
    monkeypatch.setattr("gnuradio.ata.live_flowgraph.run_flowgraph", six_records)
    start = SpawnProcess.start

    def refuse(process: SpawnProcess) -> None:
        monkeypatch.setattr(SpawnProcess, "start", start)
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(SpawnProcess, "start", refuse)
    kept = Collected()
    live = Live(LiveSettings("rtl=0", RATE, FREQ), [kept], Quiet(), reconnect=reconnect, frames=3)
    says = "rtl=0 cannot be opened: its driver's process cannot be started: Resource temporarily unavailable"
    if reconnect:
        live.run()
        assert f"{says}; trying again in 0.1 s" in caplog.text
    else:
        with pytest.raises(AtaError, match=f"^{says}$"):
            live.run()
    assert len(kept) == (3 if reconnect else 0)


def opens_for_ever(channel: Channel, *_: object) -> None:
    channel.send(Opening())
    signal.pause()


def test_who_ends_it_while_a_driver_hangs_in_opening_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process cannot have found anything that it has to finish."""
    monkeypatch.setattr("gnuradio.ata.live_flowgraph.run_flowgraph", opens_for_ever)
    monkeypatch.setattr("gnuradio.ata.live.GRACE", PATIENCE)
    screen, begun = Quiet(), time.monotonic()
    live = Live(LiveSettings("rtl=0", RATE, FREQ), [], screen)
    monkeypatch.setattr(screen, "tick", lambda totals: live.stop())
    live.run()
    assert time.monotonic() - begun < PATIENCE / 2


class Sent(list):
    """What the radio's process sends; `asked` says each time, and then for ever not, whether it is to stop."""

    send = list.append

    def __init__(self, asked: Iterator[bool]) -> None:
        super().__init__()
        self._asked = asked

    def stop_asked(self, timeout: float) -> bool:
        return next(self._asked, False)


def test_a_frame_that_is_being_analysed_is_not_dropped(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, source = GatedEngine(read_model(model)), Stepped()
    monkeypatch.setitem(ENGINES, "gated", lambda *_: engine)
    radio = Radio("rtl=0", source, RATE, FREQ, lambda freq: freq, lambda gain: None)
    monkeypatch.setattr(live_flowgraph, "open_radio", lambda *_: radio)
    source.send(np.zeros(N, np.complex64))

    def asked() -> Iterator[bool]:
        yield not engine.begun.acquire(timeout=PATIENCE)
        engine.open()
        source.send(None)
        yield True

    sent = Sent(asked())
    settings = LiveSettings("rtl=0", RATE, FREQ, model=str(model), engine="gated", frame_ms=10.0)
    live_flowgraph.run_flowgraph(sent, settings, Base())
    live, shown = Live(settings, [], Quiet()), []
    for message in sent:
        live._take(message)
        shown.append((type(message), live.totals.records, live.totals.dropped))
    assert shown == [(Opening, 0, 0), (Streaming, 0, 0), (Progress, 0, 0), (Record, 1, 0), (Progress, 1, 0)]


def dies_in_analysis(channel: Channel, *_: object) -> None:
    channel.send(Streaming("rtl=0", RATE, FREQ, "m", "e"))
    channel.send(Progress(2 * N, 2, 1, 0, 0, time.monotonic(), IqCounts()))


def test_a_frame_whose_analysis_the_process_did_not_survive_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gnuradio.ata.live_flowgraph.run_flowgraph", dies_in_analysis)
    live = Live(LiveSettings("rtl=0", RATE, FREQ), [], Quiet())
    with pytest.raises(AtaError, match="is gone"):
        live.run()
    assert (live.totals.frames, live.totals.records, live.totals.dropped) == (2, 0, 2)


def test_a_recording_that_breaks_while_it_plays_says_so(model: Path, tmp_path: Path) -> None:
    meta, data = tmp_path / "r.sigmf-meta", tmp_path / "r.sigmf-data"
    head = {"core:datatype": "cf32_le", "core:sample_rate": RATE, "core:version": "1.0.0"}
    meta.write_text(json.dumps({"global": head, "captures": [{"core:sample_start": 0, "core:frequency": FREQ}]}))
    np.zeros(N, np.complex64).tofile(data)

    def asked() -> Iterator[bool]:
        os.truncate(data, 8)
        yield False

    sent = Sent(asked())
    live_flowgraph.run_flowgraph(sent, LiveSettings(f"loop:{meta}", RATE, FREQ, model=str(model), frame_ms=10.0), Base())
    assert sent[-1] == Lost(f"{data} became shorter while it was read")


class Full:
    """A sink that takes so many records."""

    def __init__(self, name: str, room: int) -> None:
        self._name, self._room = name, room

    def write(self, record: Record) -> None:
        if record.frame >= self._room:
            raise AtaError(f"{self._name} is full")


def test_sinks_that_fail_cost_the_others_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gnuradio.ata.live_flowgraph.run_flowgraph", six_records)
    kept = Collected()
    sinks = [Full("the first", 2), Full("the second", 2), Full("the third", 4), kept]
    live = Live(LiveSettings("rtl=0", RATE, FREQ), sinks, Quiet())
    with pytest.raises(AtaError, match="the first is full"):
        live.run()
    assert [record["frame"] for record in kept] == list(range(6))
    assert live.totals.records == 6


@pytest.mark.parametrize("during", ["started", "show", "tick"])
def test_a_screen_that_fails_costs_the_files_nothing(monkeypatch: pytest.MonkeyPatch, during: str) -> None:
    """`| head` has seen enough, or the disk behind the output is full."""
    monkeypatch.setattr("gnuradio.ata.live_flowgraph.run_flowgraph", six_records)
    screen, kept = Quiet(), Collected()

    def gone(about: object) -> None:
        if not isinstance(about, Totals) or about.records:
            raise BrokenPipeError

    monkeypatch.setattr(screen, during, gone)
    live = Live(LiveSettings("rtl=0", RATE, FREQ), [kept], screen)
    with pytest.raises(BrokenPipeError):
        live.run()
    assert [record["frame"] for record in kept] == list(range(6))


def test_a_screen_that_is_closed_while_it_is_written_to_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The write fails first, and SIGHUP stops the watch before it has ended."""
    monkeypatch.setattr("gnuradio.ata.live_flowgraph.run_flowgraph", six_records)
    screen, kept = Quiet(), Collected()
    live = Live(LiveSettings("rtl=0", RATE, FREQ), [kept], screen)

    def closed(*_: object) -> None:
        monkeypatch.setattr(live, "_end", lambda process: (end(process), live.stop()))
        raise OSError(errno.EIO, "Input/output error")

    end = live._end
    monkeypatch.setattr(screen, "show", closed)
    live.run()
    assert [record["frame"] for record in kept] == list(range(6))


def test_a_real_carrier_through_the_real_driver(captures: Path, tmp_path: Path) -> None:
    """5 MHz of LTE off the air, played at 9.6 MS/s, named and placed by the shipped model."""
    recording = captures / "real-lte" / "fdd5-among-gsm.sigmf-meta"
    truth = next(a for a in json.loads(recording.read_text())["annotations"] if a["core:label"] == "LTE")
    freq = round(json.loads(recording.read_text())["captures"][0]["core:frequency"])
    # The R820T ends at 1766 MHz: the recording is played as if it had been made 200 MHz below.
    meta = json.loads(recording.read_text())
    meta["captures"][0]["core:frequency"] = freq - 200e6
    (tmp_path / "low.sigmf-meta").write_text(json.dumps(meta))
    (tmp_path / "low.sigmf-data").symlink_to(recording.with_suffix(".sigmf-data"))
    with RtlTcpServer(tmp_path / "low.sigmf-meta") as server:
        ran = run("--source", server.device, "--rate", 9.6e6, "--freq", freq - 200e6, "--frames", 10,
                  "--jsonl", tmp_path / "r.jsonl")  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    low, high = truth["core:freq_lower_edge"] - 200e6, truth["core:freq_upper_edge"] - 200e6
    found = 0
    for record in lines(tmp_path / "r.jsonl"):
        for band in record["bands"]:
            shared = min(high, band["freq_upper_edge"]) - max(low, band["freq_lower_edge"])
            union = max(high, band["freq_upper_edge"]) - min(low, band["freq_lower_edge"])
            found += band["label"] == "LTE" and shared / union >= 0.7
    assert found >= 9
