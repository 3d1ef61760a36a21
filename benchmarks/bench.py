# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures every figure that needs no radio, prints a table of each part once it is done and writes build/bench.json.

usage: python benchmarks/bench.py [PART ...]   (kernel, engines, flowgraph, scenes; all without arguments)
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("kernel", "engines", "flowgraph", "scenes")
GOALS = {
    "kernel_vs_scipy": (">=", 5.0),
    "kernel_vs_fftw_loop": (">=", 0.8),
    "flowgraph_lossless_msps": (">=", 122.88),
    "core_share_at_61_44": ("<=", 0.6),
    "latency_p99_ms": ("<=", 25.0),
    "rss_mb": ("<=", 400.0),
    "scenes_per_second": (">=", 8.0),
    "scenes_rss_mb": ("<=", 3000.0),
    "fast_frames_per_second": (">=", 80.0),
    "gpu_scenes_per_second": (">=", 300.0),
}


def main() -> int:
    parts = sys.argv[1:] or PARTS
    unknown = [p for p in parts if p not in PARTS]
    if unknown:
        print(f"bench: there is no part {unknown[0]!r}: choose from {', '.join(PARTS)}", file=sys.stderr)
        return 2
    sys.path[:0] = [str(ROOT), str(ROOT / "build" / "test_modules")]
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:2])
    out = ROOT / "build" / "bench.json"
    out.parent.mkdir(exist_ok=True)
    figures: dict[str, object] = {"machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"}
    show(figures)
    for part in parts:
        print(f"measuring {part} ...", file=sys.stderr, flush=True)
        measured = importlib.import_module(f"benchmarks.{part}").measure()
        show(measured)
        figures |= measured
        out.write_text(json.dumps(figures, indent=1))
    return 0


def show(figures: dict[str, object]) -> None:
    for name, value in figures.items():
        shown = f"{value:10.3g}" if isinstance(value, float) else str(value)
        sign, goal = GOALS.get(name, ("", None))
        reached = "" if goal is None else f"  goal {sign} {goal:g}"
        print(f"{name:32s} {shown}{reached}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
