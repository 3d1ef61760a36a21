# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The block in a flowgraph: throughput in both modes, a core's share at 61.44 MS/s, latency, memory."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

RATE = 61.44e6
FRAMES = 60


def _flowgraph(mode: str, jsonl: str, paced: bool) -> dict[str, float]:
    """One run in this process: noise in a vector, repeated, through the block at full speed or in real time."""
    from gnuradio import ata, blocks, gr

    count = int(FRAMES * 0.04 * RATE)
    noise = np.random.default_rng(1).standard_normal(2 * 4_000_000).astype(np.float32).view(np.complex64)
    with tempfile.NamedTemporaryFile(suffix=".cf32") as file:
        noise.tofile(file.name)
        source = blocks.file_source(gr.sizeof_gr_complex, file.name, True)
        source.set_min_output_buffer(1 << 18)
        head = blocks.head(gr.sizeof_gr_complex, count)
        block = ata.segmenter(RATE, mode=mode, engine="onnxruntime-cpu", jsonl=jsonl)
        top = gr.top_block()
        chain = [source, head, block, blocks.null_sink(gr.sizeof_gr_complex)]
        if paced:
            chain.insert(1, blocks.throttle(gr.sizeof_gr_complex, RATE, True))
        top.connect(*chain)
        begin, cpu = time.perf_counter(), time.process_time()
        top.run()
        seconds, busy = time.perf_counter() - begin, time.process_time() - cpu
    return {
        "msps": count / seconds / 1e6,
        "core_share": busy / (count / RATE),
        "dropped": block.dropped_frames,
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _apart(mode: str, paced: bool, jsonl: str = "") -> dict[str, float]:
    """The same in a process of its own, so that memory and processor time are the run's alone."""
    command = [sys.executable, "-W", "ignore", __file__, mode, "paced" if paced else "fast", jsonl]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(ran.stdout.splitlines()[-1])


def measure() -> dict[str, float]:
    """-> flowgraph_lossless_msps, flowgraph_live_msps (and the share of frames dropped at that speed),
    core_share_at_61_44, latency_p50_ms, latency_p99_ms, rss_mb."""
    lossless = max((_apart("lossless", False) for _ in range(3)), key=lambda r: r["msps"])
    live = max((_apart("live", False) for _ in range(3)), key=lambda r: r["msps"])
    with tempfile.TemporaryDirectory() as folder:
        jsonl = str(Path(folder) / "records.jsonl")
        paced = _apart("live", True, jsonl)
        latency = [json.loads(line)["latency_ms"] for line in Path(jsonl).read_text().splitlines()]
    return {
        "flowgraph_lossless_msps": lossless["msps"],
        "flowgraph_live_msps": live["msps"],
        "flowgraph_live_dropped_share": live["dropped"] / FRAMES,
        "core_share_at_61_44": paced["core_share"],
        "dropped_share_at_61_44": paced["dropped"] / FRAMES,
        "latency_p50_ms": float(np.percentile(latency, 50)),
        "latency_p99_ms": float(np.percentile(latency, 99)),
        "rss_mb": paced["rss_mb"],
    }


if __name__ == "__main__":
    print(json.dumps(_flowgraph(sys.argv[1], sys.argv[3], sys.argv[2] == "paced")))
