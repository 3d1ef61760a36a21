# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `ata-sense`: `replay` and `doctor`; `live`, `scan` and `occupancy` have files of their own."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import NoReturn

from .doctor import examine
from .engines.choose import ENGINES
from .errors import AtaError
from .live_cli import add_live
from .occupancy_cli import add_occupancy
from .progress_bar import ProgressBar, tell
from .recordings import Recording, open_recording
from .scan_cli import add_scan
from .sensor import Analysis, Sensor, replay
from .sigmf_sink import SigmfAnnotations
from .sinks import JsonLines, spare, writing
from .units import hertz


def main(argv: list[str] | None = None) -> int:
    """-> exit code: 0, 2 for what the user can mend (one sentence on stderr), 130 after Ctrl-C."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the shell (>&-): what would go there goes nowhere
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - until the end
    args = _parser().parse_args(argv)
    logging.basicConfig(format="ata-sense: %(message)s", stream=sys.stderr)
    logging.getLogger("ata").setLevel(logging.INFO)
    try:
        code = args.run(args)
        with writing("standard output"):
            sys.stdout.flush()
        return code
    except AtaError as failure:
        tell(str(failure))
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader has seen enough
        return 0
    except OSError as failure:
        tell(f"{'' if failure.filename is None else f'{failure.filename}: '}{failure.strerror}")
        return 2
    finally:
        for output in (sys.stdout, sys.stderr):
            try:
                output.flush()
            except OSError:  # what it could not take before, Python would try again at the end, and change the exit code
                os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())
            except ValueError:  # closed by who could not write it
                pass


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="ata-sense", description="Names 5G NR and LTE in IQ samples.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    play = commands.add_parser("replay", help="label a recording")
    play.set_defaults(run=_replay)
    play.add_argument("recording", help="SigMF (.sigmf-meta or .sigmf-data) or raw IQ")
    play.add_argument("--jsonl", help="write the records as JSON lines ('-': to standard output)")
    play.add_argument("--sigmf", help="write the bands as SigMF annotations (.sigmf-meta)")
    play.add_argument("--png", help="draw the spectrogram with the bands")
    play.add_argument("--model", help="model file (default: the shipped one)")
    play.add_argument("--engine", default="auto", help=f"auto, {', '.join(ENGINES)}")
    play.add_argument("--frame-ms", type=float, help="frame duration (default: the model's)")
    play.add_argument("--rate", help="raw IQ, or SigMF that does not say it: samples/s (2.4M, 2400k, 2.4e6)")
    play.add_argument("--freq", help="raw IQ, or SigMF that does not say it: centre frequency, Hz (806M, 0.8G, 806e6)")
    play.add_argument("--format", help="raw IQ: SigMF data type, such as cu8 or ci16_le")
    add_live(commands)
    add_scan(commands)
    add_occupancy(commands)
    doctor = commands.add_parser("doctor", help="check GNU Radio, the module, the model and the engines")
    doctor.set_defaults(run=lambda args: examine())
    return parser


def _replay(args: argparse.Namespace) -> int:
    rate, freq = (hertz(text) if text is not None else None for text in (args.rate, args.freq))
    recording = open_recording(args.recording, rate, freq, args.format)
    spare(recording.files, [args.jsonl, args.sigmf, args.png])
    sensor = Sensor(recording.samp_rate, recording.center_freq, args.model, args.engine, args.frame_ms, alone=True)
    sinks: list[JsonLines | SigmfAnnotations] = []
    if args.sigmf:
        sinks.append(SigmfAnnotations(args.sigmf, recording, columns=sensor.model.columns))
    picture = None
    if args.png:
        from .plot import Spectrogram  # matplotlib takes a second to load

        picture = Spectrogram(f"{recording.path.name}, {recording.samp_rate / 1e6:g} MS/s, {sensor.model.name}")
        picture.check(args.png)
    if args.jsonl:  # last, for it begins the file anew
        sinks.append(JsonLines(sys.stdout if args.jsonl == "-" else args.jsonl))
    table = None if args.jsonl == "-" else Table()
    progress = Progress(recording)
    try:
        for analysis in replay(sensor, recording):
            for sink in sinks:
                sink.write(analysis.record)
            if table:
                table.add(analysis)
            if picture:
                picture.add(analysis)
            progress.show(analysis)
    finally:
        progress.clear()
        for sink in sinks:
            sink.flush()
    progress.sum_up()
    if picture:
        picture.save(args.png)
    if table:  # last, for its reader may have gone
        table.print()
    return 0


class Progress:
    """On stderr: a bar with the rate while it runs, on a terminal only; at the end what was done, and how fast."""

    def __init__(self, recording: Recording) -> None:
        self._total, self._rate = recording.samples, recording.samp_rate
        self._begun = time.monotonic()
        self._bar = ProgressBar(recording.samples)
        self._done = self._frames = 0

    def show(self, analysis: Analysis) -> None:
        self._done = analysis.record.sample_start + analysis.record.sample_count
        self._frames += 1
        self._bar.show(self._done, f"{100 * self._done // self._total:3d} %  {self._speed()}")

    def clear(self) -> None:
        self._bar.clear()

    def sum_up(self) -> None:
        took = time.monotonic() - self._begun
        signal = 1e3 * self._done / self._rate
        tell(f"{self._frames} frames, {signal:.6g} ms in {took:.2f} s: {self._speed()}")

    def _speed(self) -> str:
        per_second = self._done / max(time.monotonic() - self._begun, 1e-9)
        return f"{per_second / 1e6:.3g} MS/s, {per_second / self._rate:.2g} x real time"


class Table:
    """The bands of a whole recording, one line for each that stays, for a person."""

    def __init__(self) -> None:
        self._rows: list[dict] = []
        self._frames = 0

    def add(self, analysis: Analysis) -> None:
        self._frames += 1
        column = analysis.record.samp_rate / len(analysis.column_labels)
        for band in analysis.record.bands:
            for row in self._rows:
                near = abs(row["low"] - band.freq_lower_edge) + abs(row["high"] - band.freq_upper_edge) < 8 * column
                if row["label"] == band.label and near:
                    break
            else:
                row = {"label": band.label, "low": band.freq_lower_edge, "high": band.freq_upper_edge, "sums": Counter()}
                self._rows.append(row)
            row["sums"].update(low=band.freq_lower_edge, high=band.freq_upper_edge, sure=band.confidence,
                               on=band.duty_cycle, bands=1)  # fmt: skip
            if band.snr_db is not None:
                row["sums"].update(snr=band.snr_db, levels=1)

    @writing("standard output")
    def print(self) -> None:
        if not self._rows:
            print(f"no bands in {self._frames} frames")
            return
        print(f"{'label':6s} {'from':>11s} {'to':>11s} {'width':>8s}   {'sure':>5s} {'SNR':>7s} {'on':>5s}  frames")
        for row in sorted(self._rows, key=lambda r: r["low"]):
            sums, count = row["sums"], row["sums"]["bands"]
            snr = f"{sums['snr'] / sums['levels']:4.1f} dB" if sums["levels"] else "-"
            low, high = sums["low"] / count / 1e6, sums["high"] / count / 1e6
            sure, on = sums["sure"] / count, sums["on"] / count
            print(
                f"{row['label']:6s} {low:7.2f} MHz {high:7.2f} MHz {high - low:4.2f} MHz   {sure:4.0%} {snr:>7s} "
                f"{on:4.0%}  {count} of {self._frames}"
            )
