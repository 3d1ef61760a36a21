# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scans with a real driver, and frames of radios whose samples come late."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pmt
import pytest
from gnuradio import blocks, gr
from gnuradio.ata import radio_tuner
from gnuradio.ata.errors import AtaError, RadioLost
from gnuradio.ata.frame_sink import frame_sink
from gnuradio.ata.radio_tuner import RadioSettings, RadioTuner
from gnuradio.ata.stream import FrameStream, Grid
from tiny_model import write_tiny_model
from tools.rtl_tcp_server import RtlTcpServer
from wide_recording import write_wide_recording

ROOT = Path(__file__).resolve().parents[2]
CARRIER = (798.6e6, 801.1e6)  # Hz, more than twice as wide as the radio's band
SCAN = ("--from", "797.1M", "--to", "802.9M", "--rate", "1M", "--step", "700k", "--gain", "20", "--frame-ms", "10")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scan")
    write_tiny_model(folder / "tiny.onnx")
    write_wide_recording(folder / "band.sigmf-meta", 800e6, 6e6, 0.02, [CARRIER])
    return folder


def command(device: str, *args: str) -> list[str]:
    sensor = str(ROOT / "apps" / "ata-sense")
    return [sys.executable, sensor, "scan", *SCAN, "--source", device, "--model", "tiny.onnx", *args]


def scan(folder: Path, device: str, *args: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        command(device, *args), capture_output=True, text=True, cwd=folder, env=os.environ, check=False, timeout=300
    )


def test_a_carrier_wider_than_an_rtl_tcp_dongle_is_one_band(folder: Path) -> None:
    pytest.importorskip("osmosdr", reason="gr-osmosdr is not installed")
    with RtlTcpServer(folder / "band.sigmf-meta") as server:
        ran = scan(folder, server.device, "--jsonl", "-")
        tuned = [e["value"] for e in server.drain() if e.get("name") == "freq"]
    assert ran.returncode == 0, ran.stderr
    sweep = json.loads(ran.stdout)
    (band,) = sweep["bands"]
    assert (band["freq_lower_edge"], band["freq_upper_edge"]) == pytest.approx(CARRIER, abs=4 * 1e6 / 256)
    assert sweep["complete"] and len(set(tuned)) == sweep["steps"] and sorted(tuned) == tuned


def test_a_dongle_that_goes_in_mid_scan_is_one_sentence_and_what_it_gave_is_kept(folder: Path) -> None:
    pytest.importorskip("osmosdr", reason="gr-osmosdr is not installed")
    with RtlTcpServer(folder / "band.sigmf-meta", "close,800000") as server:
        ran = scan(folder, server.device, "--jsonl", "-")
    assert ran.returncode == 2
    swept, said = [line for line in ran.stderr.splitlines() if not line.startswith("ata-sense: engine:")]
    assert "stream has ended" in said or "no more samples" in said
    (sweep,) = map(json.loads, ran.stdout.splitlines())
    assert not sweep["complete"] and f"sweep 1: {sweep['steps']} steps of" in swept


def test_a_scan_waits_for_a_radio_that_comes_back_and_sweeps_anew(folder: Path) -> None:
    pytest.importorskip("osmosdr", reason="gr-osmosdr is not installed")
    with RtlTcpServer(folder / "band.sigmf-meta", "close,800000", "garbage", "play") as server:
        ran = scan(folder, server.device, "--reconnect", "--jsonl", "-")
    assert ran.returncode == 0, ran.stderr
    *cut, whole = map(json.loads, ran.stdout.splitlines())
    assert [sweep["complete"] for sweep in cut] == [False] and whole["complete"]
    assert whole["freq_lower_edge"] == cut[0]["freq_lower_edge"]  # from its beginning
    first, second = [line for line in ran.stderr.splitlines() if "trying again in" in line]
    assert first.endswith(" in 1 s") and second.endswith("no rtl_tcp server; trying again in 2 s")


def test_a_signal_ends_a_scan_that_waits_for_its_radio(folder: Path) -> None:
    pytest.importorskip("osmosdr", reason="gr-osmosdr is not installed")
    args = command("rtl_tcp=127.0.0.1:1", "--reconnect")
    with subprocess.Popen(args, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as waiting:
        for line in waiting.stderr:
            if "trying again in 2 s" in line:
                break
        waiting.send_signal(signal.SIGTERM)
        waiting.communicate(timeout=60)
    assert waiting.returncode == 0


def test_a_signal_ends_a_scan_whose_driver_hangs_while_it_opens(folder: Path) -> None:
    pytest.importorskip("osmosdr", reason="gr-osmosdr is not installed")
    with RtlTcpServer(folder / "band.sigmf-meta", "silent") as server:
        args = command(server.device)
        with subprocess.Popen(args, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as opening:
            server.wait_for("connected", connection=0)
            opening.send_signal(signal.SIGTERM)
            _, said = opening.communicate(timeout=25)  # less than a radio has to open
    assert opening.returncode == 0, said


def test_a_driver_that_hangs_while_it_opens_is_ended(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("osmosdr", reason="gr-osmosdr is not installed")
    with RtlTcpServer(folder / "band.sigmf-meta", "silent") as server:
        connected = lambda: any(e["event"] == "connected" for e in server.drain())  # noqa: E731
        monkeypatch.setattr(radio_tuner, "OPENING_LIMIT", 60.0)
        settings = RadioSettings(server.device, 1e6, 800e6, None, Grid(16, 256, 0.5), 10.0, 100_000, 20_000)
        with pytest.raises(RadioLost, match="does not answer"):
            RadioTuner(settings, connected)
        server.wait_for("ended", connection=0)  # nothing is left that holds it, or that Python would wait for


class late_radio(gr.sync_block):
    """Gives samples in real time, as a throttle does, an amplitude that tells their frequency; they come `late` s late."""

    RATE = 1e6

    def __init__(self, tag_error: float | None = None) -> None:
        gr.sync_block.__init__(self, name="late radio", in_sig=[np.complex64], out_sig=[np.complex64])
        self.late = 0.0
        self._begun = time.monotonic()
        self._tuned = [(0, 100e6)]  # from which sample on, Hz
        self._tag_error = tag_error

    def set_center_freq(self, freq: float) -> None:
        self._tuned.append((round((time.monotonic() - self._begun) * self.RATE), freq))

    def work(self, input_items: list[np.ndarray], output_items: list[np.ndarray]) -> int:
        out, done = output_items[0], self.nitems_written(0)
        count = min(len(out), round((time.monotonic() - self._begun - self.late) * self.RATE) - done)
        if count <= 0:
            return 0
        for first, freq in self._tuned:
            out[max(0, first - done) : count] = freq / 100e6
            if self._tag_error is not None and done <= first < done + count:
                self.add_item_tag(0, first, pmt.intern("rx_freq"), pmt.from_double(freq + self._tag_error))
        return count


@pytest.mark.parametrize("tag_error", [None, 0.0, 11.0])
def test_what_still_waits_in_buffers_at_a_retune_is_not_taken_for_the_new_frequency(tag_error: float | None) -> None:
    """Half a second waits, five times the time that the radio is given to settle."""
    radio = late_radio(tag_error)
    sink = frame_sink(FrameStream(Grid(16, 256, 0.5), radio.RATE, 100e6, 10.0, settle_samples=100_000, period=20_000))
    flowgraph = gr.top_block()
    pace = blocks.throttle(gr.sizeof_gr_complex, radio.RATE)
    pace.set_max_noutput_items(2000)
    pace.set_min_output_buffer(1 << 20)  # holds what is late
    flowgraph.connect(blocks.null_source(gr.sizeof_gr_complex), pace, radio, sink)
    flowgraph.start()
    amplitudes = [np.sqrt(sink.frame_at(100e6).power[:, 128])]
    radio.late = 0.5
    for freq in (200e6, 300e6, 200e6):
        radio.set_center_freq(freq)
        frame = sink.frame_at(freq)
        assert frame.sample_start % 20_000 == 0 and frame.center_freq == pytest.approx(freq, abs=20)
        amplitudes.append(np.sqrt(frame.power[:, 128]))
    flowgraph.stop()
    flowgraph.wait()
    np.testing.assert_allclose(amplitudes / amplitudes[0][0], np.repeat([[1], [2], [3], [2]], 16, 1), rtol=1e-3)
    with pytest.raises(RadioLost, match="stream has ended"):
        sink.frame_at(100e6)


def test_a_fault_in_making_frames_is_not_taken_for_a_lost_radio() -> None:
    class broken(FrameStream):
        def push(self, *_: object) -> None:
            raise ValueError("a slip")

    sink = frame_sink(broken(Grid(16, 256, 0.5), 1e6, 100e6, 10.0))
    flowgraph = gr.top_block()
    flowgraph.connect(blocks.null_source(gr.sizeof_gr_complex), sink)
    flowgraph.start()
    with pytest.raises(AtaError, match="frames cannot be made: a slip") as failure:
        sink.frame_at(100e6)
    flowgraph.wait()
    assert not isinstance(failure.value, RadioLost)
