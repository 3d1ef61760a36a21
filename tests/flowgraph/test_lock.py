# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""lock() and unlock(): GNU Radio loses what stands in its buffers, with any block; what reaches this one is counted."""

import json
import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pmt
import pytest
from gnuradio import ata, blocks, gr
from stand_ins import PATIENCE, ends
from tiny_model import write_tiny_model

RATE, FREQ, N = 2e6, 8e8, 2000  # N: samples of a frame of 1 ms
STEP = 100_000  # samples between two changes of the flowgraph
HALF = 4096  # a sample's number is real + HALF * imaginary


class Numbered(gr.sync_block):
    """Numbered samples until `last` is set; the time at the first one, as a radio gives it."""

    def __init__(self) -> None:
        gr.sync_block.__init__(self, name="numbered", in_sig=None, out_sig=[np.complex64])
        self.count = 0
        self.last = threading.Event()

    def work(self, input_items: list[np.ndarray], output_items: list[np.ndarray]) -> int:
        if self.last.is_set():
            return -1
        if self.count == 0:
            when = pmt.make_tuple(pmt.from_uint64(1_700_000_000), pmt.from_double(0.0))
            self.add_item_tag(0, 0, pmt.intern("rx_time"), when)
        numbers = np.arange(self.count, self.count + min(len(output_items[0]), 50_000))
        output_items[0][: len(numbers)] = numbers % HALF + 1j * (numbers // HALF)
        self.count += len(numbers)
        return len(numbers)


class Numbers(gr.sync_block):
    """Reads them: `jumps` holds how many were missing wherever some were."""

    def __init__(self) -> None:
        gr.sync_block.__init__(self, name="numbers", in_sig=[np.complex64], out_sig=None)
        self.count, self._last, self.jumps = 0, -1, []
        self._wanted, self._reached = 0, threading.Event()

    def work(self, input_items: list[np.ndarray], output_items: list[np.ndarray]) -> int:
        numbers = (input_items[0].real + HALF * input_items[0].imag.astype(np.int64)).astype(np.int64)
        missing = np.diff(numbers, prepend=self._last) - 1
        self.jumps += missing[missing != 0].tolist()
        self._last = int(numbers[-1])
        self.count += len(numbers)
        if self.count >= self._wanted:
            self._reached.set()
        return len(numbers)

    def wait_for_more(self, samples: int) -> None:
        self._reached.clear()
        self._wanted = self.count + samples
        assert self._reached.wait(PATIENCE)


@pytest.mark.parametrize("kind", ["lossless", "live", "GNU Radio's own copy"])
def test_what_a_change_of_the_flowgraph_loses(tmp_path: Path, kind: str) -> None:
    ours = kind in ("lossless", "live")
    jsonl = tmp_path / "x.jsonl"
    model = str(write_tiny_model(tmp_path / "tiny.onnx"))
    block = (
        ata.segmenter(RATE, FREQ, mode=kind, frame_ms=1.0, model=model, engine="onnxruntime-cpu", jsonl=str(jsonl))
        if ours
        else blocks.copy(gr.sizeof_gr_complex)
    )
    source, sink, changes, restarts = Numbered(), Numbers(), 3, [0]
    top = gr.top_block()
    top.connect(source, block, sink)
    top.start()
    for _ in range(changes):
        sink.wait_for_more(STEP)
        top.lock()
        top.connect(block, blocks.null_sink(gr.sizeof_gr_complex))
        top.unlock()
        restarts.append(block._base if ours else 0)
    sink.wait_for_more(STEP)
    source.last.set()
    assert ends(top)
    # All that is missing is missing at the changes, and nothing comes twice or out of order.
    assert len(sink.jumps) <= changes and min(sink.jumps, default=1) > 0
    assert sum(sink.jumps) == source.count - sink.count
    if not ours:
        return
    tally, lines = block.tally, [json.loads(line) for line in jsonl.read_text().splitlines()]
    assert block.failure is None
    assert source.count >= tally.seen >= sink.count
    assert tally.seen == tally.framed + tally.discarded
    assert len(lines) + block.dropped_frames == block.frames
    assert all(b["frame"] > a["frame"] and b["sample_start"] >= a["sample_start"] + N for a, b in pairwise(lines))
    assert lines[-1]["sample_start"] + N <= tally.seen
    assert restarts == sorted(set(restarts))
    for line in lines:  # no frame holds samples from before and after a change, nor a time that may be wrong after it
        parts = np.searchsorted(restarts, [line["sample_start"], line["sample_start"] + N - 1], "right")
        assert parts[0] == parts[1]
        assert (line["time"] is not None) == (parts[0] == 1)
    if kind == "lossless":
        assert block.dropped_frames <= changes + 1  # those that were in hand


def test_a_second_run_is_as_quick_as_the_first(tmp_path: Path) -> None:
    """GNU Radio keeps the size of a run's buffers as the most for the next, whatever the block asks for."""
    largest = []

    class Watched(ata.segmenter):
        def work(self, input_items: list[np.ndarray], output_items: list[np.ndarray]) -> int:
            largest[-1] = max(largest[-1], len(output_items[0]))
            return super().work(input_items, output_items)

    model = str(write_tiny_model(tmp_path / "tiny.onnx"))
    block = Watched(RATE, FREQ, frame_ms=1.0, model=model, engine="onnxruntime-cpu")
    source, sink = Numbered(), Numbers()
    top = gr.top_block()
    top.connect(source, block, sink)
    for _ in range(3):
        largest.append(0)
        top.start()
        sink.wait_for_more(40 * STEP)
        top.stop()
        top.wait()
    assert block.failure is None
    assert min(largest) > 1 << 16


def test_a_recording_that_is_started_again_says_its_tuning_and_time_again(tmp_path: Path) -> None:
    meta = tmp_path / "two.sigmf-meta"
    captures = [{"core:sample_start": start, "core:frequency": freq, "core:datetime": f"2026-01-01T00:00:0{start}Z"}
                for start, freq in ((0, 8e8), (5, 9e8))]  # fmt: skip
    meta.write_text(json.dumps({"global": {"core:datatype": "ci8", "core:sample_rate": 1e6, "core:version": "1.0.0"},
                                "captures": captures, "annotations": []}))  # fmt: skip
    meta.with_suffix(".sigmf-data").write_bytes(bytes(4_000_000))
    source, head, sink = ata.recording_source(str(meta)), blocks.head(8, 1000), blocks.vector_sink_c()
    top = gr.top_block()
    top.connect(source, head, blocks.null_sink(8))
    top.run()
    reached = source._at
    assert 1000 <= reached < 2_000_000
    top.disconnect_all()
    top.connect(source, blocks.head(8, 1000), sink)
    top.run()
    told = {pmt.symbol_to_string(tag.key): pmt.to_python(tag.value) for tag in sink.tags() if tag.offset == 0}
    assert told["rx_freq"] == 9e8 and told["rx_rate"] == 1e6
    seconds, fraction = told["rx_time"]
    assert seconds + fraction - 1_767_225_605 == pytest.approx((reached - 5) / 1e6, abs=1e-6)
    assert len(sink.tags()) == 3
