# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Milliseconds of one inference, one image a call as in a flowgraph, by every engine that works here.

usage: python benchmarks/engines.py [MODEL.onnx]   (the shipped model without an argument)
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import numpy as np

RUNS, WARM_UP = 200, 10


def measure(path: str | Path | None = None) -> dict[str, dict[str, float]]:
    """-> {"engine_ms": {engine: median ms}}; the CPU engine beside a radio, on one thread, and alone, as
    for recordings."""
    from gnuradio.ata.engines.choose import engine_report, open_engine
    from gnuradio.ata.engines.onnxruntime_engine import OnnxRuntime
    from gnuradio.ata.model import read_model

    model = read_model(path)
    image = np.random.default_rng(1).uniform(-1, 3, (1, 1, model.rows, model.columns)).astype(np.float32)
    engines = {name: lambda name=name: open_engine(model, name) for name, works, _ in engine_report(model) if works}
    engines["onnxruntime-cpu, alone"] = lambda: OnnxRuntime(model, "onnxruntime-cpu", alone=True)
    figures = {}
    for name, opened in engines.items():
        engine = opened()
        times = []
        for _ in range(WARM_UP + RUNS):
            begin = time.perf_counter()
            engine.run(image)
            times.append(time.perf_counter() - begin)
        engine.close()
        figures[name] = round(1e3 * statistics.median(times[WARM_UP:]), 3)
    return {"engine_ms": figures}


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "build" / "test_modules"))
    for name, value in measure(*sys.argv[1:2])["engine_ms"].items():
        print(f"{name:28s} {value:8.2f} ms")
