# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Python's state of the block's thread: one for all calls of a run, and none left of runs that ended."""

import ctypes
import threading

import numpy as np
import pytest
from gnuradio import ata, blocks, gr
from gnuradio.ata.thread_state import KeepsThreadState
from stand_ins import ends
from tiny_model import write_tiny_model

SAMPLES = 4_000_000  # several calls of work


def thread_state() -> int:
    """A number that no two states of a process share."""
    api = ctypes.pythonapi
    api.PyThreadState_Get.restype = ctypes.c_void_p
    api.PyThreadState_GetID.argtypes, api.PyThreadState_GetID.restype = [ctypes.c_void_p], ctypes.c_uint64
    return api.PyThreadState_GetID(api.PyThreadState_Get())


class Watched(ata.segmenter):
    """Notes the state in which each call finds itself."""

    def work(self, input_items: list[np.ndarray], output_items: list[np.ndarray]) -> int:
        self.states.append(thread_state())
        return super().work(input_items, output_items)


@pytest.mark.parametrize("mode", ["lossless", "live"])
def test_one_state_serves_all_calls_of_a_run(tmp_path_factory: pytest.TempPathFactory, mode: str) -> None:
    model = write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")
    block = Watched(2e6, mode=mode, model=str(model), engine="onnxruntime-cpu", frame_ms=50.0)
    block.states = []
    source = blocks.vector_source_c(np.zeros(SAMPLES, np.complex64), False)
    top = gr.top_block()
    top.connect(source, block, blocks.null_sink(gr.sizeof_gr_complex))
    seen: set[int] = set()
    for _ in range(3):
        source.rewind()
        block.states.clear()
        top.start()
        assert ends(top)
        assert len(block.states) > 1 and len(set(block.states)) == 1
        assert seen.isdisjoint(block.states)
        seen.update(block.states)
    block.close()


def test_only_the_thread_that_holds_lets_go() -> None:
    block = KeepsThreadState()
    assert block.stop() and block.start() and block.start()
    other = threading.Thread(target=block.stop)
    other.start()
    other.join()
    assert block.stop() and block.stop()
    assert thread_state()
