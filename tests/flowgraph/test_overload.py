# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Live mode with an analysis that is too slow, or stuck: the source never waits, whole frames are left out and counted."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pmt
import pytest
from gnuradio import ata, blocks, gr
from gnuradio.ata import message_port
from gnuradio.ata.engines.choose import ENGINES
from stand_ins import PATIENCE, Counting, GatedEngine, Reader, Stepped, ends
from tiny_model import write_tiny_model

RATE, FREQ, N = 2e6, 8e8, 2000  # N: samples of a frame of 1 ms
FRAME = np.zeros(N, np.complex64)


class Live:
    """The block with a gated engine, in live mode, and what it wrote."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.engines: list[GatedEngine] = []
        monkeypatch.setitem(ENGINES, "gated", lambda model, _: self.engines.append(GatedEngine(model)) or self.engines[-1])
        model = str(write_tiny_model(folder / "tiny.onnx"))
        self.jsonl = folder / "x.jsonl"
        self.block = ata.segmenter(
            RATE, FREQ, mode="live", frame_ms=1.0, model=model, engine="gated", jsonl=str(self.jsonl)
        )
        self.engine = self.engines[0]

    @property
    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.jsonl.read_text().splitlines()]

    def check(self, samples: int) -> None:
        """Nothing is lost that is not counted."""
        assert self.block.failure is None
        tally, lines = self.block.tally, self.lines
        assert tally.seen == samples == tally.framed + tally.discarded + tally.settled
        assert len(lines) + self.block.dropped_frames == self.block._stream.next_index
        assert all(b["frame"] > a["frame"] and b["sample_start"] >= a["sample_start"] + N for a, b in pairwise(lines))
        assert all(line["sample_count"] == N and line["sample_start"] == N * line["frame"] for line in lines)


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Live:
    return Live(tmp_path, monkeypatch)


def test_a_stuck_analysis_never_makes_the_source_wait(live: Live) -> None:
    frames = 500
    sink = Counting(frames * N)
    top = gr.top_block()
    top.connect(blocks.null_source(gr.sizeof_gr_complex), blocks.head(gr.sizeof_gr_complex, frames * N), live.block, sink)
    top.start()
    assert live.engine.begun.acquire(timeout=PATIENCE)
    assert sink.reached.wait(PATIENCE)  # the first frame is still being analysed
    assert not live.engine.begun.acquire(blocking=False)
    assert live.lines == []
    assert live.block.dropped_frames == frames - 2  # one in analysis, the newest waits
    live.engine.open()
    assert ends(top)
    live.check(frames * N)
    assert len(live.lines) == 2 and live.lines[-1]["frame"] == frames - 1
    assert live.lines[-1]["dropped_frames"] == live.block.dropped_frames == frames - 2


def test_analysis_catches_up_after_an_overload(live: Live) -> None:
    """One frame at a time: the gaps between the frames' indices are the frames dropped."""
    source, reader = Stepped(), Reader()
    reader.go.set()
    top = gr.top_block()
    sink = Counting(11 * N)
    top.connect(source, live.block, sink)
    top.msg_connect(live.block, "detects", reader, "in")
    top.start()
    source.send(FRAME)
    assert live.engine.begun.acquire(timeout=PATIENCE)
    source.send(np.zeros(9 * N, np.complex64))  # nine more while the first is analysed
    source.send(FRAME)  # and one that has to wait for them
    assert sink.reached.wait(PATIENCE)
    live.engine.open()
    assert [reader.records.get(timeout=PATIENCE)["frame"] for _ in range(2)] == [0, 10]
    for frame in range(11, 20):  # no overload any more
        source.send(FRAME)
        record = reader.records.get(timeout=PATIENCE)
        assert (record["frame"], record["dropped_frames"]) == (frame, 9)
    source.send(None)
    assert ends(top)
    live.check(20 * N)
    gaps = sum(b["frame"] - a["frame"] - 1 for a, b in pairwise(live.lines))
    assert gaps == live.block.dropped_frames == 9


def test_a_record_counts_only_frames_before_it(live: Live) -> None:
    """The second frame waits for the first while a retune discards the third."""
    source, sink = Stepped(), Counting(3 * N)
    top = gr.top_block()
    top.connect(source, live.block, sink)
    top.start()
    source.send(FRAME)
    assert live.engine.begun.acquire(timeout=PATIENCE)
    source.send(np.zeros(N + N // 2, np.complex64))
    source.send(FRAME[: N // 2], rx_freq=pmt.from_double(FREQ + 1e6))
    assert sink.reached.wait(PATIENCE)
    live.engine.open()
    assert live.engine.begun.acquire(timeout=PATIENCE)
    source.send(FRAME)
    source.send(None)
    assert ends(top)
    assert [(line["frame"], line["dropped_frames"]) for line in live.lines] == [(0, 0), (1, 0), (3, 1)]


def test_memory_stays_flat_while_frames_are_dropped(live: Live) -> None:
    """A quarter of a megabyte a frame, 3000 frames: what is dropped is really gone."""
    frames = 3000
    sink = Counting(frames * N)
    top = gr.top_block()
    top.connect(blocks.null_source(gr.sizeof_gr_complex), blocks.head(gr.sizeof_gr_complex, frames * N), live.block, sink)
    before = resident()
    top.start()
    assert sink.reached.wait(PATIENCE)
    grown = resident() - before
    live.engine.open()
    assert ends(top)
    live.check(frames * N)
    assert grown < 100e6


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_a_reader_that_is_stuck_gets_a_bounded_queue(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_port, "MOST_WAITING", 5)
    source, slow, quick = Stepped(), Reader(), Reader()
    quick.go.set()
    top = gr.top_block()
    top.connect(source, live.block, blocks.null_sink(gr.sizeof_gr_complex))
    top.msg_connect(live.block, "detects", slow, "in")
    top.msg_connect(live.block, "detects", quick, "in")
    live.engine.open()
    top.start()
    source.send(FRAME)
    assert slow.begun.acquire(timeout=PATIENCE)
    quick.records.get(timeout=PATIENCE)
    for frame in range(1, 30):
        source.send(FRAME)
        assert quick.records.get(timeout=PATIENCE)["frame"] == frame  # the one beside it gets every record
        assert slow.waiting() == min(frame, 5)
    slow.go.set()
    assert [slow.records.get(timeout=PATIENCE)["frame"] for _ in range(6)] == [0, 1, 2, 3, 4, 5]
    source.send(FRAME)
    assert slow.records.get(timeout=PATIENCE)["frame"] == 30  # and goes on where it can
    source.send(None)
    assert ends(top)
    live.check(31 * N)
    assert live.block.unsent_messages == 29 - 5
    assert len(live.lines) == 31


def test_retunes_and_gaps_under_overload_lose_no_count(live: Live) -> None:
    """Retunes, jumps of the clock and dropped frames at once: indices, drops and samples still add up."""
    counts = np.random.default_rng(7).integers(1, 4 * N, 60).tolist()
    source, sink = Stepped(), Counting(sum(counts))
    top = gr.top_block()
    top.connect(source, live.block, sink)
    top.start()
    sent, tuned = 0, []
    for step, count in enumerate(counts):
        tags = {}
        if step % 3 == 0:
            tags["rx_freq"] = pmt.from_double(FREQ + 1e6 * step)
            tuned.append((sent, FREQ + 1e6 * step))
        if step % 7 == 6:
            tags["rx_time"] = pmt.make_tuple(pmt.from_uint64(1_700_000_000 + step), pmt.from_double(0.0))
        source.send(np.zeros(count, np.complex64), **tags)
        sent += count
        if step % 2:
            live.engine.let()
    source.send(None)
    assert sink.reached.wait(PATIENCE)
    live.engine.open()
    assert ends(top)
    tally, lines = live.block.tally, live.lines
    assert tally.seen == sent == tally.framed + tally.discarded
    assert len(lines) + live.block.dropped_frames == live.block._stream.next_index
    assert tally.framed // N - len(lines) <= live.block.dropped_frames
    for line in lines:
        ends_at = line["sample_start"] + line["sample_count"]
        within = {max((t for t in tuned if t[0] <= at), default=(0, FREQ)) for at in (line["sample_start"], ends_at - 1)}
        assert [freq for _, freq in within] == [line["center_freq"]]
