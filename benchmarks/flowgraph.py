# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The block in a flowgraph: throughput in both modes, a core's share at 61.44 MS/s, latency, memory, and where it goes.

vector source (noise, repeated) -> block -> null sink, each run in a process of its own; a throttle stands behind the
source where the flowgraph runs in real time. The shipped model, the CPU engine, frames of 40 ms.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

RATE, FRAME_MS = 61.44e6, 40.0
FRAME = round(RATE * FRAME_MS * 1e-3)
WARM_UP, FRAMES = 5, 100  # frames of a run before the clock starts, and after
ROUNDS = 3  # of each run at full speed; the fastest counts
PARTS = 15  # times that a part of a frame's work is measured; the fastest counts


def measure() -> dict[str, float]:
    """-> flowgraph_lossless_msps, flowgraph_live_msps (and the share of frames dropped at that speed),
    core_share_at_61_44 (the block's threads), stream_share_at_61_44 (of these the one that `work` runs in; the other
    analyses) and process_share_at_61_44 (with the source's and throttle's),
    latency_p50_ms, latency_p99_ms, rss_mb (the largest), and, of a core's time for each part of a frame, frame_..._ms
    where the other core idles and frame_..._beside_ms where the other thread of the flowgraph works there."""
    lossless = max((_apart("lossless", "fast") for _ in range(ROUNDS)), key=lambda r: r["msps"])
    live = max((_apart("live", "fast") for _ in range(ROUNDS)), key=lambda r: r["msps"])
    with tempfile.TemporaryDirectory() as folder:
        jsonl = Path(folder) / "records.jsonl"
        paced = _apart("live", "paced", str(jsonl))
        records = map(json.loads, jsonl.read_text().splitlines())
        latency = [record["latency_ms"] for record in records if record["frame"] >= WARM_UP]
    return {
        "flowgraph_lossless_msps": lossless["msps"],
        "flowgraph_live_msps": live["msps"],
        "flowgraph_live_dropped_share": live["dropped_share"],
        "core_share_at_61_44": paced["core_share"],
        "stream_share_at_61_44": paced["stream_share"],
        "process_share_at_61_44": paced["process_share"],
        "dropped_share_at_61_44": paced["dropped_share"],
        "latency_p50_ms": float(np.percentile(latency, 50)),
        "latency_p99_ms": float(np.percentile(latency, 99)),
        "rss_mb": paced["rss_mb"],
        **_parts(),
    }


def _apart(mode: str, pace: str, jsonl: str = "") -> dict[str, float]:
    """`_flowgraph` in a process of its own, so that memory and processor time are the run's alone."""
    command = [sys.executable, "-W", "ignore", __file__, mode, pace, jsonl]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(ran.stdout.splitlines()[-1])


def _flowgraph(mode: str, pace: str, jsonl: str) -> dict[str, float]:
    """One run in this process. pace: "fast" or "paced"; jsonl: file for the records, or empty."""
    from gnuradio import ata, blocks, gr

    noise = np.random.default_rng(1).standard_normal(2 << 20, np.float32).view(np.complex64)
    chain = [blocks.vector_source_c(noise, True)]
    if pace == "paced":
        chain.append(blocks.throttle(gr.sizeof_gr_complex, RATE, True))
    others = [f"{b.name()}{b.unique_id()}" for b in chain]  # what GNU Radio calls their threads
    block = ata.segmenter(RATE, mode=mode, engine="onnxruntime-cpu", frame_ms=FRAME_MS, jsonl=jsonl)
    top = gr.top_block()
    top.connect(*chain, block, blocks.null_sink(gr.sizeof_gr_complex))

    own = [f"{block.name()}{block.unique_id()}"]

    def reached(frames: int) -> tuple[int, float, float, float, float]:
        """Waits for that many frames -> samples read, time, and the processor's time for all threads, for those of the
        other blocks, and for the block's own."""
        while (read := block.nitems_read(0)) < frames * FRAME:
            time.sleep(1e-3)
        return read, time.perf_counter(), time.process_time(), _thread_time(others), _thread_time(own)

    top.start()
    first, last = reached(WARM_UP), reached(WARM_UP + FRAMES)
    top.stop()
    top.wait()
    samples, seconds, process, rest, stream = (b - a for a, b in zip(first, last, strict=True))
    return {
        "msps": samples / seconds / 1e6,
        "core_share": (process - rest) / (samples / RATE),
        "stream_share": stream / (samples / RATE),
        "process_share": process / (samples / RATE),
        "dropped_share": block.dropped_frames / (last[0] / FRAME),
        "rss_mb": largest_mb(),
    }


def largest_mb() -> float:
    """The most memory that this process has held; what `getrusage` says begins with what the one before it held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def _thread_time(names: list[str]) -> float:
    """Seconds of a core that the threads of these names took."""
    kept = [name[:15] for name in names]  # what Linux keeps of them
    threads = [t for t in Path("/proc/self/task").iterdir() if (t / "comm").read_text().strip() in kept]
    return sum(int((t / "schedstat").read_text().split()[0]) for t in threads) / 1e9


def _parts() -> dict[str, float]:
    """A core's milliseconds for each part of the work on a frame of noise."""
    from gnuradio.ata.bands import extract_bands
    from gnuradio.ata.frontend import network_image
    from gnuradio.ata.sensor import Sensor

    sensor = Sensor(RATE, engine="onnxruntime-cpu", frame_ms=FRAME_MS)
    stream, model = sensor.stream(), sensor.model
    chunk = np.random.default_rng(1).standard_normal(2 << 16, np.float32).view(np.complex64)
    copy = np.empty_like(chunk)
    chunks = -(-FRAME // len(chunk))

    def kernel() -> list:
        return [frame for at in range(chunks) for frame in stream.push(chunk, at * len(chunk))]

    def passing_on() -> None:
        for _ in range(chunks):
            copy[:] = chunk

    power = kernel()[0].power
    row, column = FRAME_MS * 1e-3 / model.rows, RATE / model.columns
    image = network_image(power, model, row, column)
    logits = sensor.engine.run(image)[0]

    def analysis() -> None:
        sensor.engine.run(image)

    # The other thread of the flowgraph does the kernel's work while this one analyses, and the other way round.
    parts = {
        "copy": (passing_on, analysis),
        "kernel": (kernel, analysis),
        "image": (lambda: network_image(power, model, row, column), kernel),
        "engine": (analysis, kernel),
        "bands": (lambda: extract_bands(logits, power, model.classes, 0.0, RATE), kernel),
    }
    found = {}
    for name, (part, other) in parts.items():
        turns = [(_fastest(part), _beside(part, other)) for _ in range(ROUNDS)]  # in turns: machines are not steady
        found[f"frame_{name}_ms"], found[f"frame_{name}_beside_ms"] = (min(times) for times in zip(*turns, strict=True))
    return found


def _fastest(part: Callable[[], object]) -> float:
    def once() -> float:
        begin = time.thread_time()
        part()
        return time.thread_time() - begin

    return 1e3 * min(once() for _ in range(PARTS))


def _beside(part: Callable[[], object], other: Callable[[], object]) -> float:
    """`_fastest` while a second thread does `other` without a pause."""
    done = threading.Event()

    def busy() -> None:
        while not done.is_set():
            other()

    neighbour = threading.Thread(target=busy)
    neighbour.start()
    try:
        return _fastest(part)
    finally:
        done.set()
        neighbour.join()


if __name__ == "__main__":
    print(json.dumps(_flowgraph(*sys.argv[1:4])))
