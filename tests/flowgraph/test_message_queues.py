# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lossless runs with readers of the block's messages that are slow, stand still, or have finished."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pmt
import pytest
from gnuradio import ata, blocks, gr, pdu
from gnuradio.ata import message_port
from gnuradio.ata.message_port import BoundedPort
from stand_ins import PATIENCE, Reader, ends

RATE = 2e6
N = 2000  # samples of a frame of 1 ms
FRAMES = 40
WAITING = 8


class Run:
    """Frames of noise through the block to readers of `detects`."""

    def __init__(self, folder: Path, *readers: Reader) -> None:
        self.jsonl, self.readers = folder / "out.jsonl", readers
        self.block = ata.segmenter(RATE, 8e8, mode="lossless", frame_ms=1.0, jsonl=str(self.jsonl))
        noise = np.random.default_rng(1).standard_normal(2 * N * FRAMES).astype(np.float32)
        self.sink = blocks.vector_sink_c()
        self.top = gr.top_block()
        self.top.connect(blocks.vector_source_c(noise.view(np.complex64).tolist()), self.block, self.sink)
        for reader in readers:
            self.top.msg_connect(self.block, "detects", reader, "in")

    def check(self) -> None:
        """Every frame is in the file and among the tags."""
        lines = [json.loads(line)["frame"] for line in self.jsonl.read_text().splitlines()]
        tags = [t.value for t in self.sink.tags() if pmt.symbol_to_string(t.key) == "ata_frame"]
        assert lines == [pmt.to_python(value)["frame"] for value in tags] == list(range(FRAMES))


def read(reader: Reader) -> list[int]:
    return [reader.records.get_nowait()["frame"] for _ in range(reader.records.qsize())]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Run]]:
    monkeypatch.setattr(message_port, "MOST_WAITING", WAITING)
    made: list[Run] = []

    def make(*readers: Reader) -> Run:
        made.append(Run(tmp_path, *readers))
        return made[-1]

    yield make
    for one in made:
        for reader in one.readers:
            reader.go.set()


def test_a_slow_reader_is_waited_for(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_port, "STUCK_S", 10 * PATIENCE)
    full, plain = threading.Event(), BoundedPort._wait

    def wait(port: BoundedPort, *subscriber: pmt.pmt_base) -> bool:
        full.set()
        return plain(port, *subscriber)

    monkeypatch.setattr(BoundedPort, "_wait", wait)
    slow = Reader()
    flow = run(slow)
    flow.top.start()
    assert full.wait(PATIENCE)
    assert slow.waiting() == WAITING and not slow.records.qsize()
    slow.go.set()
    assert ends(flow.top)
    flow.check()
    assert flow.block.unsent_messages == 0
    frames = read(slow)  # GNU Radio may lose what is published at the end of a stream; until then nothing is left out
    assert frames == list(range(len(frames))) and len(frames) >= FRAMES - WAITING - 1


def test_a_reader_that_stands_still_is_left_behind(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_port, "STUCK_S", 0.1)
    still, quick = Reader(), Reader()
    quick.go.set()
    flow = run(still, quick)
    flow.top.start()
    assert [quick.records.get(timeout=PATIENCE)["frame"] for _ in range(FRAMES - 1)] == list(range(FRAMES - 1))
    assert still.waiting() == WAITING
    still.go.set()
    assert ends(flow.top)
    flow.check()
    assert FRAMES - WAITING - 2 <= flow.block.unsent_messages <= FRAMES - WAITING - 1


def test_a_subscriber_that_has_finished_is_not_waited_for(run) -> None:
    flow = run()
    to_stream = pdu.pdu_to_tagged_stream(gr.types.byte_t, "length")
    labels = blocks.vector_sink_b()
    flow.top.msg_connect(flow.block, "labels", to_stream, "pdus")
    flow.top.connect(to_stream, blocks.head(1, 256), labels)
    flow.top.start()
    assert ends(flow.top)
    flow.check()
    assert len(labels.data()) == 256
    assert flow.block.unsent_messages == 0
