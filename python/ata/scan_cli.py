# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `ata-sense scan`."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial

import numpy as np

from .engines.choose import ENGINES, open_engine
from .errors import AtaError, RadioLost
from .model import ModelFile, read_model
from .occupancy import Occupancy
from .occupancy_cli import print_table
from .pauses import Pauses
from .progress_bar import ProgressBar, tell
from .radio_tuner import RadioSettings, RadioTuner
from .radios import parse_gain
from .recordings import open_described
from .records import Record
from .rotation import Rotating
from .scan import PERIOD, Plan, Scanner, Sweep, Tuner, make_plan
from .sensor import Analysis
from .sim_radio import SimRadio
from .sinks import JsonLines, spare
from .stopping import ended_by_signals
from .stream import FrameStream, Grid
from .units import hertz

SIM = "sim:"
MOST_COLUMNS = 2048  # of a picture
# ms to skip after a retune: what a radio's and its driver's buffers still hold of the old frequency. rtl-sdr's hold
# 55 ms at 2.4 MS/s each.
SETTLE_MS, SIM_SETTLE_MS, LONGEST_SETTLE_MS = 100.0, 10.0, 10_000.0


def add_scan(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    scan = commands.add_parser("scan", help="step a radio across a band that is wider than its own")
    scan.set_defaults(run=run_scan)
    scan.add_argument("--from", dest="low", required=True, help="lower end, Hz (700M, 0.7G, 700e6)")
    scan.add_argument("--to", dest="high", required=True, help="upper end, Hz")
    scan.add_argument("--source", default="rtl=0", metavar="DEVICE",
                      help="as for live, or sim:RECORDING for a simulated radio (default: %(default)s)")  # fmt: skip
    scan.add_argument("--rate", default="2.4M", help="samples/s (default: %(default)s)")
    scan.add_argument("--gain", default="auto", help="auto, dB, or dB by stage: RF=0,IF=24,BB=20 (default: %(default)s)")
    scan.add_argument("--step", help="Hz between two tunings (default: three eighths of the rate)")
    scan.add_argument("--settle-ms", type=float, help="time to skip after a retune")
    scan.add_argument("--frame-ms", type=float, help="time to stay at each step (default: the model's frame)")
    scan.add_argument("--sweeps", type=int, default=1, help="how many; 0: until Ctrl-C (default: %(default)s)")
    scan.add_argument("--reconnect", action="store_true", help="wait for a radio that is missing or gone, and sweep anew")
    scan.add_argument("--db", help="keep the occupancy in this SQLite file")
    scan.add_argument("--jsonl", help="write a JSON line for each sweep ('-': to standard output)")
    scan.add_argument("--png", help="draw the stitched spectrogram with the bands")
    scan.add_argument("--model", help="model file (default: the shipped one)")
    scan.add_argument("--engine", default="auto", help=f"auto, {', '.join(ENGINES)}")


def run_scan(args: argparse.Namespace) -> int:
    """Sweeps until there are enough or Ctrl-C is pressed; what was found is kept and shown, however it ends.

    RadioLost where the radio is missing or goes, unless it is to be waited for.
    """
    if args.sweeps < 0:
        raise AtaError(f"{args.sweeps} sweeps cannot be made")
    model = read_model(args.model)
    step = hertz(args.step) if args.step else None
    plan = make_plan(hertz(args.low), hertz(args.high), hertz(args.rate), model, args.frame_ms, step)
    played = open_described(args.source.removeprefix(SIM)).files if args.source.startswith(SIM) else ()
    spare(played, [args.db, args.jsonl, args.png])
    settings = radio_settings(args, plan, model)
    scanner = Scanner(plan, model, open_engine(model, args.engine))
    outputs = Outputs(args, plan, model)  # last, for it sets aside what an earlier scan left
    pauses = Pauses(lambda: progress.stopped)
    progress = Progress(len(plan.centers), pauses.end)
    missing = args.sweeps or math.inf
    try:
        with ended_by_signals(progress.stop):
            while missing > 0 and not progress.stopped:
                try:
                    with closing(open_tuner(settings, lambda: progress.stopped)) as tuner:
                        while missing > 0 and not progress.stopped:
                            sweep_once(scanner, tuner, progress, outputs)
                            missing -= 1
                except RadioLost as loss:
                    if progress.stopped:
                        break
                    if not args.reconnect:
                        raise
                    pauses.wait(str(loss))
    finally:
        progress.clear()
        outputs.close()
    return 0


def sweep_once(scanner: Scanner, tuner: Tuner, progress: Progress, outputs: Outputs) -> None:
    """A sweep to its outputs, whole or as far as it went; after that AtaError where the tuner failed."""
    sweep = scanner.sweep(tuner, progress.goes_on)
    progress.clear()
    if sweep is not None:
        outputs.write(sweep)
    elif scanner.failure is None or progress.stopped:
        tell("stopped before anything was wide enough to analyse")
    if scanner.failure is not None:
        raise scanner.failure


class Outputs:
    """Where sweeps go. AtaError before anything is done if one of them cannot be written."""

    def __init__(self, args: argparse.Namespace, plan: Plan, model: ModelFile) -> None:
        self._png = args.png
        self._picture = None
        if args.png:
            from .plot import Spectrogram  # matplotlib takes a second to load

            title = f"{plan.low / 1e6:g} to {plan.high / 1e6:g} MHz in {len(plan.centers)} steps, {model.name}"
            self._picture = Spectrogram(title)
            self._picture.check(args.png)
        self._table = args.jsonl != "-"
        self._store = Occupancy(args.db or ":memory:")
        self._lines = None
        if args.jsonl:
            # Never full, never too old: what an earlier scan left is set aside, and that is all.
            self._lines = JsonLines(sys.stdout) if args.jsonl == "-" else Rotating(args.jsonl, JsonLines)
        self._sweeps = 0

    def write(self, sweep: Sweep) -> None:
        """To each output, the ones that fail included: the first failure is raised when all others have the sweep."""
        self._sweeps += 1
        writers = [self._store.add]
        if self._picture:
            writers.append(lambda sweep: self._picture.add(_analysis(sweep)))
        if self._lines:
            writers.append(self._lines.write)
        _each([partial(write, sweep) for write in (*writers, sum_up)])

    def close(self) -> None:
        """The picture and the table of all sweeps, where there was one; the table last, for its reader may have gone."""
        last = []
        if self._sweeps and self._picture:
            last.append(lambda: self._picture.save(self._png))
        if self._sweeps and self._table:
            last.append(lambda: print_table(self._store))
        _each([*last, self._store.close])


def _each(steps: list[Callable[[], None]]) -> None:
    """Takes every step, and raises the first failure afterwards."""
    failure: BaseException | None = None
    for step in steps:
        try:
            step()
        except BaseException as first:  # a second Ctrl-C too, where an output hangs
            failure = failure or first
    if failure is not None:
        raise failure


def radio_settings(args: argparse.Namespace, plan: Plan, model: ModelFile) -> RadioSettings:
    """What the radio is opened with, each time anew. AtaError for what no radio can be."""
    usual = SIM_SETTLE_MS if args.source.startswith(SIM) else SETTLE_MS
    settle_ms = usual if args.settle_ms is None else args.settle_ms
    if not 0 <= settle_ms <= LONGEST_SETTLE_MS:
        raise AtaError(f"a settling time of {settle_ms:g} ms makes no sense: 0 to {LONGEST_SETTLE_MS:g} ms does")
    settle, period = round(settle_ms * 1e-3 * plan.samp_rate), round(PERIOD * plan.samp_rate)
    grid = Grid(model.rows, model.columns, model.overlap)
    gain = parse_gain(args.gain)
    return RadioSettings(args.source, plan.samp_rate, plan.centers[0], gain, grid, plan.frame_ms, settle, period)


def open_tuner(settings: RadioSettings, stopped: Callable[[], bool]) -> Tuner:
    """The simulated radio or a real one, which is not waited for any more once it is `stopped`."""
    s = settings
    if s.device.startswith(SIM):
        stream = FrameStream(s.grid, s.samp_rate, 0.0, s.frame_ms, s.settle_samples, s.period)
        return SimRadio(s.device.removeprefix(SIM), stream)
    return RadioTuner(s, stopped)


def sum_up(sweep: Sweep) -> None:
    """A line on stderr: what a sweep did."""
    names = [b.label for b in sweep.bands]
    found = ", ".join(f"{names.count(label)} {label}" for label in sorted(set(names))) or "no bands"
    stopped = "" if sweep.complete else f" of {len(sweep.plan.centers)}, stopped at {sweep.wide.high / 1e6:.1f} MHz"
    tell(f"sweep {sweep.index + 1}: {sweep.steps} steps{stopped} in {sweep.ended - sweep.begun:.1f} s: {found}")


class Progress:
    """Between two steps: a bar, and whether to go on. taken: told after each step."""

    def __init__(self, steps: int, taken: Callable[[], None]) -> None:
        self.stopped = False
        self._steps, self._taken = steps, taken
        self._bar = ProgressBar(steps)

    def stop(self) -> None:
        self.stopped = True

    def goes_on(self, done: int) -> bool:
        """Shows how many steps are done -> whether to take the next."""
        if done:
            self._taken()
        self._bar.show(done, f"step {done} of {self._steps}")
        return not self.stopped

    def clear(self) -> None:
        self._bar.clear()


def _analysis(sweep: Sweep) -> Analysis:
    """A sweep as one frame of a radio as wide as the band, with no more columns than a picture has room for."""
    power = sweep.wide.power
    group = -(-power.shape[1] // MOST_COLUMNS)
    columns = power.shape[1] // group // 2 * 2
    power = power[:, : columns * group].reshape(len(power), columns, group).mean(2)
    column = group * sweep.wide.column
    count = round(1e-3 * sweep.plan.frame_ms * columns * column)
    record = Record(
        frame=sweep.index, sample_start=sweep.index * count, sample_count=count, time=None,
        center_freq=sweep.wide.low + (columns + 1) / 2 * column, samp_rate=columns * column, model=sweep.model,
        engine=sweep.engine, tail=False, dropped_frames=0, latency_ms=None, bands=sweep.bands,
    )  # fmt: skip
    return Analysis(record, np.zeros(columns, np.uint8), power)
