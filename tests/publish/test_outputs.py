# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The publishers where people meet them: parameters of the block, options of `ata-sense live`, the example."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pmt
import pytest
import zmq
from gnuradio import ata, blocks, gr
from gnuradio.ata.cli import main
from stand_ins import PATIENCE, Reader, Stepped, ends
from tiny_model import write_tiny_model

ROOT = Path(__file__).resolve().parents[2]
RATE, FREQ, N = 2e6, 8e8, 2000  # N: samples of a frame of 1 ms


@pytest.fixture
def context():
    made = zmq.Context()
    yield made
    made.destroy(linger=0)


def metrics(address: str) -> str:
    with urlopen(f"http://{address}/metrics") as answer:
        return answer.read().decode()


def test_the_block_publishes_what_its_messages_say(tmp_path: Path, context: zmq.Context) -> None:
    model = str(write_tiny_model(tmp_path / "tiny.onnx"))
    block = ata.segmenter(RATE, FREQ, frame_ms=1.0, model=model, zmq="0", metrics="0")
    publisher, server = block._sinks
    sub = context.socket(zmq.SUB)
    sub.subscribe("")
    sub.connect(f"tcp://{publisher.address}")
    source, reader = Stepped(), Reader()
    reader.go.set()
    top = gr.top_block()
    top.connect(source, block, blocks.null_sink(gr.sizeof_gr_complex))
    top.msg_connect(block, "detects", reader, "in")
    top.start()
    sent = 0
    while not sub.poll(20):
        source.send(np.ones(N, np.complex64))
        assert reader.records.get(timeout=PATIENCE)["frame"] == sent
        sent += 1
    while json.loads(sub.recv())["frame"] < sent - 1:
        pass
    source.send(np.ones(N, np.complex64), rx_freq=pmt.from_double(9e8))
    message, published = reader.records.get(timeout=PATIENCE), json.loads(sub.recv())
    assert published["frame"] == message["frame"] == sent and published["center_freq"] == 9e8
    assert [band["label"] for band in published["bands"]] == [band["label"] for band in message["bands"]]
    told = metrics(server.address)
    assert f'ata_frames_total{{engine="onnxruntime-cpu",model="tiny-1"}} {sent + 1}.0' in told
    assert f"ata_samples_total {N * (sent + 1)}.0" in told
    assert "ata_retunes_total 1.0" in told and "ata_unsent_messages_total 0.0" in told
    source.send(None)
    assert ends(top)
    block.close()
    with pytest.raises(OSError):
        metrics(server.address)


def test_no_output_changes_a_lossless_record(tmp_path: Path, captures: Path) -> None:
    """What `ata-sense replay` finds in a recording, the block finds with every output on and a subscriber that reads."""
    path = captures / "real-lte" / "fdd20-a.sigmf-meta"
    source = ata.recording_source(str(path))
    block = ata.segmenter(
        source.samp_rate, source.center_freq, frame_ms=15.0, jsonl=str(tmp_path / "block.jsonl"), dataset=str(path),
        sigmf=str(tmp_path / "block.sigmf-meta"), zmq="0", metrics="0", mqtt="mqtt://127.0.0.1:9",
    )  # fmt: skip
    reader = Reader()
    reader.go.set()
    top = gr.top_block()
    top.connect(source, block, blocks.null_sink(gr.sizeof_gr_complex))
    top.msg_connect(block, "detects", reader, "in")
    top.start()
    assert ends(top)
    block.close()
    assert main(["replay", str(path), "--frame-ms", "15", "--jsonl", str(tmp_path / "replay.jsonl")]) == 0
    streamed, replayed = ([json.loads(line) for line in (tmp_path / f"{by}.jsonl").read_text().splitlines()]
                          for by in ("block", "replay"))  # fmt: skip
    assert streamed == [record for record in replayed if not record["tail"]] and streamed[0]["bands"]


@pytest.mark.parametrize(
    ("options", "says"),
    [({"zmq": "5556x"}, "no address"), ({"mqtt": "localhost"}, "MQTT URL"), ({"metrics": ":x"}, "no address")],
)
def test_an_output_that_cannot_be_is_said_at_once(tmp_path: Path, options: dict, says: str) -> None:
    with pytest.raises(ata.AtaError, match=says):
        ata.segmenter(RATE, FREQ, model=str(write_tiny_model(tmp_path / "tiny.onnx")), **options)


def live(*args: object) -> list[str]:
    return [sys.executable, str(ROOT / "apps" / "ata-sense"), "live", *map(str, args)]


@contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.timeout(120)
def test_live_publishes_and_the_example_subscribes(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "tiny.onnx", rows=16)
    spectrum = np.random.default_rng(1).standard_normal((200_000, 2)) @ [1, 1j]
    at = np.fft.fftfreq(200_000, 1 / RATE)
    spectrum[(at < -0.3e6) | (at > 0.6e6)] *= 0.05
    np.fft.ifft(spectrum).astype("<c8").tofile(tmp_path / "scene.sigmf-data")
    meta = {
        "global": {"core:datatype": "cf32_le", "core:sample_rate": RATE, "core:version": "1.0.0"},
        "captures": [{"core:sample_start": 0, "core:frequency": FREQ}],
        "annotations": [],
    }
    (tmp_path / "scene.sigmf-meta").write_text(json.dumps(meta))
    source = f"loop:{tmp_path / 'scene.sigmf-meta'}"
    command = live("--source", source, "--model", model, "--frame-ms", 20, "--zmq", "0", "--metrics", "0")
    with running(command) as watching:
        port = re.search(r"tcp://127.0.0.1:(\d+)", watching.stderr.readline()).group(1)
        served = re.search(r"http://(127.0.0.1:\d+)/metrics", watching.stderr.readline()).group(1)
        example = [sys.executable, str(ROOT / "examples" / "subscribe_zmq.py"), f"127.0.0.1:{port}"]
        with running(example) as subscriber:
            line = subscriber.stdout.readline()
            subscriber.send_signal(signal.SIGINT)
            assert subscriber.wait(PATIENCE) == 0
        told = metrics(served)
        watching.send_signal(signal.SIGINT)
        assert watching.wait(PATIENCE) == 0
    assert re.match(r"20\d\d-.*Z  LTE   799.[67]\d to 800.[56]\d MHz, \d+%", line), line
    assert re.search(r"^ata_samples_total [1-9]", told, re.MULTILINE)
    assert re.search(r"^ata_latency_seconds_count [1-9]", told, re.MULTILINE)
    assert "ata_reconnects_total 0.0" in told and "ata_dropped_frames_total" in told


def test_live_says_what_is_wrong_with_an_address(tmp_path: Path) -> None:
    command = live("--source", "rtl=0", "--freq", 8e8, "--rate", 2e6, "--zmq", "everywhere")
    ran = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, timeout=PATIENCE)
    assert ran.returncode == 2
    assert ran.stderr == (
        "ata-sense: 'everywhere' is no address to listen on; write PORT for this machine alone, or HOST:PORT\n"
    )


def test_the_doctor_names_what_an_output_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "paho.py").write_text("raise ModuleNotFoundError('not there')")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]]))
    doctor = [sys.executable, str(ROOT / "apps" / "ata-sense"), "doctor"]
    ran = subprocess.run(doctor, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, timeout=PATIENCE)
    assert ran.returncode == 0  # the block runs without it
    said = {line[4:].split()[0]: line for line in ran.stdout.splitlines()}
    assert said["ZeroMQ"].startswith("ok") and said["metrics"].startswith("ok")
    assert said["MQTT"].startswith(" - ") and said["MQTT"].endswith("-m pip install 'paho-mqtt>=2'")
