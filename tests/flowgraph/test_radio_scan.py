# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scans with a real driver, and frames of radios whose samples come late."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pmt
import pytest
from gnuradio import blocks, gr
from gnuradio.ata.errors import AtaError
from gnuradio.ata.frame_sink import frame_sink
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


def scan(folder: Path, device: str, *args: str) -> subprocess.CompletedProcess:
    command = [sys.executable, ROOT / "apps" / "ata-sense", "scan", *SCAN, "--source", device, "--model", "tiny.onnx", *args]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=os.environ, check=False, timeout=300)


def test_a_carrier_wider_than_an_rtl_tcp_dongle_is_one_band(folder: Path) -> None:
    pytest.importorskip("osmosdr", reason="gr-osmosdr is not installed")
    with RtlTcpServer(folder / "band.sigmf-meta") as server:
        ran = scan(folder, server.device, "--jsonl", "-")
        tuned = [e["value"] for e in server.drain() if e.get("name") == "freq"]
    assert ran.returncode == 0, ran.stderr
    sweep = json.loads(ran.stdout)
    (band,) = sweep["bands"]
    assert (band["freq_lower_edge"], band["freq_upper_edge"]) == pytest.approx(CARRIER, abs=3 * 1e6 / 256)
    assert sweep["complete"] and len(set(tuned)) == sweep["steps"] and sorted(tuned) == tuned


def test_a_dongle_that_goes_in_mid_scan_is_one_sentence(folder: Path) -> None:
    pytest.importorskip("osmosdr", reason="gr-osmosdr is not installed")
    with RtlTcpServer(folder / "band.sigmf-meta", "close,200000") as server:
        ran = scan(folder, server.device)
    assert ran.returncode == 2
    said = [line for line in ran.stderr.splitlines() if not line.startswith("ata-sense: engine:")]
    assert len(said) == 1 and ("stream has ended" in said[0] or "no more samples" in said[0])


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
    with pytest.raises(AtaError, match="stream has ended"):
        sink.frame_at(100e6)
