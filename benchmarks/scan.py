# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a simulated dongle finds in one sweep over generated scenes, beside one frame of a radio that sees the whole band.

    python benchmarks/scan.py [--scenes 30] [--model FILE]

Scenes of `wideband` at 61.44 MS/s that no training uses; carriers that are wide and active enough, 5 dB and more in band.
Prints a table as Markdown.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "build" / "test_modules"), str(ROOT)]

from gnuradio.ata.recordings import open_recording  # noqa: E402
from gnuradio.ata.records import Band  # noqa: E402
from gnuradio.ata.scan import PERIOD, Scanner, make_plan  # noqa: E402
from gnuradio.ata.scan_cli import SIM_SETTLE_MS  # noqa: E402
from gnuradio.ata.sensor import Sensor, replay  # noqa: E402
from gnuradio.ata.sim_radio import SimRadio  # noqa: E402
from gnuradio.ata.stream import FrameStream  # noqa: E402
from tqdm import tqdm  # noqa: E402

from training.data import TEST_SEEDS  # noqa: E402
from training.detection import CELLULAR, Carrier, carriers, compare  # noqa: E402
from training.scene_draw import draw_scene  # noqa: E402
from training.scene_recordings import write_recordings  # noqa: E402
from training.scorecard import LEAST_SNR  # noqa: E402

RATE, SCENE_MS = 61.44e6, 80.0
DONGLE = 2.4e6
REACH = 29e6  # Hz from the centre, each way, that is swept


@dataclass
class Score:
    """Carriers found by their edges, those of them rightly named, edge errors in MHz, and false LTE and NR bands."""

    asked: int = 0
    found: int = 0
    named: int = 0
    false: int = 0
    errors: list[float] = field(default_factory=list)

    def add(self, there: list[Carrier], bands: list[Band]) -> None:
        shown = [(b.label, b.freq_lower_edge, b.freq_upper_edge) for b in bands]
        named, found = deepcopy(there), deepcopy(there)
        self.false += compare(named, shown, 1e6)
        compare(found, [(label, low, high) for _, low, high in shown for label in CELLULAR], 1e6)
        for name, edges in zip(named, found, strict=True):
            if name.counts and not name.overlapped and name.snr_db >= LEAST_SNR:
                self.asked += 1
                self.named += name.found
                self.found += edges.found
                self.errors += [edges.edge_columns] if edges.found else []

    def row(self, what: str) -> str:
        return f"| {what} | {self.found} | {self.named} | {self.false} | {median(self.errors or [0]):.3f} MHz |"


def looks(path: Path, sensor: Sensor) -> Iterator[list[Band]]:
    """The bands of a recording as the whole band's radio sees them, and as the dongle does, in step and at any time."""
    yield list(next(replay(sensor, open_recording(str(path)))).record.bands)
    plan = make_plan(-REACH, REACH, DONGLE, sensor.model)
    for period in (round(PERIOD * DONGLE), 1):
        stream = FrameStream(sensor.model, DONGLE, 0.0, plan.frame_ms, round(SIM_SETTLE_MS * 1e-3 * DONGLE), period)
        radio = SimRadio(str(path), stream)
        scanner = Scanner(plan, sensor.model, sensor.engine)
        sweep = scanner.sweep(radio)
        if scanner.failure is not None:
            raise scanner.failure
        yield list(sweep.bands)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=30)
    parser.add_argument("--model", help="model file (default: the shipped one)")
    args = parser.parse_args()
    sensor = Sensor(RATE, model=args.model, engine="onnxruntime-cpu")
    scores = {"the whole band at once": Score(), "swept, frames on the 20 ms grid": Score(),
              "swept, frames at any time": Score()}  # fmt: skip
    fixed = {"samp_rate": RATE, "frame_ms": SCENE_MS}
    for seed in tqdm(range(TEST_SEEDS, TEST_SEEDS + args.scenes), unit="scene", disable=None):
        there = carriers(draw_scene("wideband", seed, **fixed))
        with tempfile.TemporaryDirectory() as folder:
            (path,) = write_recordings("wideband", 1, seed, Path(folder), **fixed)
            for score, bands in zip(scores.values(), looks(path, sensor), strict=True):
                score.add(there, bands)
    print(f"{args.scenes} scenes, {next(iter(scores.values())).asked} carriers\n")
    print("| | carriers found, IoU >= 0.7 | named right | false LTE or NR | median error of the worse edge |")
    print("| --- | --- | --- | --- | --- |")
    for what, score in scores.items():
        print(score.row(what))
    return 0


if __name__ == "__main__":
    sys.exit(main())
