# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in for radios, slow machines and slow readers in flowgraph tests: everything waits for events, not clocks."""

from __future__ import annotations

import queue
import threading

import numpy as np
import pmt
from gnuradio import gr
from gnuradio.ata.model import ModelFile
from gnuradio.ata.records import utc

PATIENCE = 60  # s; only a test that fails waits so long


class GatedEngine:
    """An engine that runs only as often as it is let; it finds nothing in any image.

    Attributes: begun (a permit for every run that begins, the one that proves the engine left out), fails (raised by
    every run).
    """

    def __init__(self, model: ModelFile) -> None:
        self.name = "gated"
        self._shape = (len(model.classes), model.rows, model.columns)
        self._open = threading.Event()
        self._permits = threading.Semaphore(0)
        self._proved = False
        self.begun = threading.Semaphore(0)
        self.fails: Exception | None = None

    def run(self, images: np.ndarray) -> np.ndarray:
        if self._proved:
            self.begun.release()
            if not self._open.is_set():
                assert self._permits.acquire(timeout=PATIENCE), "the test forgot to let the engine run"
            if self.fails is not None:
                raise self.fails
        self._proved = True
        logits = np.zeros((len(images), *self._shape), np.float32)
        logits[:, 0] = 9
        return logits

    def close(self) -> None:
        """Nothing is held."""

    def let(self) -> None:
        """One run may end."""
        self._permits.release()

    def open(self) -> None:
        """From now on nothing waits."""
        self._open.set()
        self._permits.release()


class Stepped(gr.sync_block):
    """A radio that gives what the test hands it: `send` samples, with tags at their first one, and at last None."""

    def __init__(self) -> None:
        gr.sync_block.__init__(self, name="stepped", in_sig=None, out_sig=[np.complex64])
        self._queue: queue.Queue = queue.Queue()
        self._rest = np.zeros(0, np.complex64)

    def send(self, samples: np.ndarray | None, **tags: pmt.pmt_base) -> None:
        self._queue.put((samples, tags))

    def work(self, input_items: list[np.ndarray], output_items: list[np.ndarray]) -> int:
        if not len(self._rest):
            samples, tags = self._queue.get(timeout=PATIENCE)
            if samples is None:
                return -1
            self._rest = samples
            for key, value in tags.items():
                self.add_item_tag(0, self.nitems_written(0), pmt.intern(key), value)
        count = min(len(self._rest), len(output_items[0]))
        output_items[0][:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


class Counting(gr.sync_block):
    """A sink that keeps nothing and says when `enough` samples have come."""

    def __init__(self, enough: int) -> None:
        gr.sync_block.__init__(self, name="counting", in_sig=[np.complex64], out_sig=None)
        self._enough, self.count = enough, 0
        self.reached = threading.Event()

    def work(self, input_items: list[np.ndarray], output_items: list[np.ndarray]) -> int:
        self.count += len(input_items[0])
        if self.count >= self._enough:
            self.reached.set()
        return len(input_items[0])


def plain(value: pmt.pmt_base) -> object:
    """A PMT as Python has it; of a record, the time as its JSON has it."""
    found = pmt.to_python(value)
    if isinstance(found, dict) and found.get("time") is not None:
        found["time"] = utc(*found["time"])
    return found


class Reader(gr.basic_block):
    """Reads the messages `detects` into `records`; a permit of `came` for each. It waits in each until `go` is set."""

    def __init__(self) -> None:
        gr.basic_block.__init__(self, name="reader", in_sig=None, out_sig=None)
        self.records: queue.Queue = queue.Queue()
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()
        self.message_port_register_in(pmt.intern("in"))
        self.set_msg_handler(pmt.intern("in"), self._on_record)

    def _on_record(self, record: pmt.pmt_base) -> None:
        self.begun.release()
        assert self.go.wait(PATIENCE), "the test forgot to let the reader go on"
        self.records.put(plain(record))

    def waiting(self) -> int:
        """Messages that wait before the reader."""
        return self.gateway.nmsgs(pmt.intern("in"))


def ends(top: gr.top_block) -> bool:
    """Whether a started flowgraph comes to its end by itself."""
    waiting = threading.Thread(target=top.wait, daemon=True)
    waiting.start()
    waiting.join(PATIENCE)
    return not waiting.is_alive()
