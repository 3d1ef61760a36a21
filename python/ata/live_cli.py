# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `ata-sense live`."""

from __future__ import annotations

import argparse
import logging
import math
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from .engines.choose import ENGINES
from .errors import AtaError
from .iq_files import DATATYPES, KeepIq
from .live import Live, LiveSettings, Totals
from .live_screen import LiveScreen, LogLines
from .model import read_model
from .publish import open_publishers
from .radios import parse_gain
from .recordings import NAMES, open_described
from .rotation import Rotating
from .sigmf_sink import SigmfAnnotations, ours
from .sinks import JsonLines, Sink, spare, writing
from .stopping import ended_by_signals
from .units import hertz

SIGMF_MB = 8  # a SigMF file is held in memory until it is set aside


def add_live(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    live = commands.add_parser("live", help="watch a radio")
    live.set_defaults(run=run_live)
    live.add_argument("--source", required=True, metavar="DEVICE",
                      help="gr-osmosdr string (rtl=0, hackrf=0, rtl_tcp=HOST:PORT), uhd:ARGS, soapy:ARGS, or "
                      "loop:RECORDING")  # fmt: skip
    live.add_argument("--freq", help="centre frequency, Hz (806M, 0.8G, 806e6)")
    live.add_argument("--rate", help="samples/s")
    live.add_argument("--gain", default="auto", help="dB, auto, or stages: RF=0,IF=24,BB=20 (default: %(default)s)")
    live.add_argument("--jsonl", help="write the records as JSON lines ('-': to standard output)")
    live.add_argument("--sigmf", help="write the bands as SigMF annotations (.sigmf-meta)")
    live.add_argument("--rotate-mb", type=float, default=100, help="set a file aside at this size (default: %(default)g)")
    live.add_argument("--rotate-minutes", type=float, default=1440, help="... and at this age (default: %(default)g)")
    live.add_argument("--keep-mb", type=float, help="what the files set aside may hold; the oldest go first (default: all)")
    live.add_argument("--zmq", metavar="[HOST:]PORT", help="publish the records as JSON over ZeroMQ PUB; without a host "
                      "for this machine alone")  # fmt: skip
    live.add_argument("--mqtt", metavar="URL", help="send them to a broker: mqtt://[USER:PASSWORD@]HOST[:PORT][/TOPIC]")
    live.add_argument("--metrics", metavar="[HOST:]PORT", help="serve Prometheus metrics")
    live.add_argument("--keep-iq", metavar="FOLDER", help="keep the IQ around bands that appear, as SigMF recordings")
    live.add_argument("--keep-iq-mb", type=float, default=1000,
                      help="what the samples in it may take; the oldest go first (default: %(default)g)")  # fmt: skip
    live.add_argument("--iq-format", choices=sorted(DATATYPES), default="ci16_le", help="default: %(default)s")
    live.add_argument("--pre-roll-ms", type=float, default=100, help="IQ from before a band (default: %(default)g)")
    live.add_argument("--post-roll-ms", type=float, default=400, help="IQ from after its first frame (%(default)g)")
    live.add_argument("--reconnect", action="store_true", help="wait for a radio that is missing or gone, and go on")
    live.add_argument("--frames", type=int, help="end after so many frames")
    live.add_argument("--seconds", type=float, help="end after so many seconds")
    live.add_argument("--model", help="model file (default: the shipped one)")
    live.add_argument("--engine", default="auto", help=f"auto, {', '.join(ENGINES)}")
    live.add_argument("--frame-ms", type=float, help="frame duration (default: the model's)")


def run_live(args: argparse.Namespace) -> int:
    """Watches until there is enough, or Ctrl-C, SIGTERM or SIGHUP; then sums up. The exit code is 0 in all these cases."""
    settings = _settings(args)
    piped = args.jsonl == "-"
    screen = LiveScreen(sys.stderr if piped else sys.stdout)
    logging.getLogger().handlers = [LogLines(screen, sys.stderr)]
    with ExitStack() as closing:
        totals = Totals()
        sinks = []
        for sink in _sinks(args, totals):
            sinks.append(sink)
            closing.callback(sink.close)
        live = Live(settings, sinks, screen, totals=totals, reconnect=args.reconnect, frames=args.frames,
                    seconds=args.seconds)  # fmt: skip
        with ended_by_signals(live.stop), writing("standard error" if piped else "standard output"):
            try:
                live.run()
            finally:
                screen.sum_up(totals)  # what was found before a failure was found all the same
    return 0


def _sinks(args: argparse.Namespace, totals: Totals) -> Iterator[Sink]:
    """Where the records go: one sink for each output that was asked for."""
    most_seconds, keep = 60 * args.rotate_minutes, 1e6 * (args.keep_mb or math.inf)
    if args.jsonl == "-":
        yield _Pipe()
    elif args.jsonl:
        yield Rotating(args.jsonl, JsonLines, 1e6 * args.rotate_mb, most_seconds, keep)
    if args.sigmf:
        if not ours(Path(args.sigmf)):
            raise AtaError(f"{args.sigmf} is there already, and gr-ata did not write it; name another file")
        annotations = partial(SigmfAnnotations, columns=read_model(args.model).columns)
        yield Rotating(args.sigmf, annotations, 1e6 * min(args.rotate_mb, SIGMF_MB), most_seconds, keep)
    yield from open_publishers(args.zmq or "", args.mqtt or "", args.metrics or "", lambda: totals.counters)


class _Pipe(JsonLines):
    """Standard output, which is not ours to close."""

    def __init__(self) -> None:
        super().__init__(sys.stdout)

    def close(self) -> None:
        self.flush()


def _settings(args: argparse.Namespace) -> LiveSettings:
    for name in ("frame_ms", "rotate_mb", "rotate_minutes", "keep_mb", "keep_iq_mb", "frames", "seconds"):
        value = getattr(args, name)
        if value is not None and not value > 0:
            raise AtaError(f"--{name.replace('_', '-')} is {value:g}; it has to be more than nothing")
    rate, freq = (hertz(text) if text is not None else None for text in (args.rate, args.freq))
    played: tuple[Path, ...] = ()
    if args.source.startswith("loop:"):
        recording = open_described(args.source.removeprefix("loop:"), rate, freq, NAMES)
        played = recording.files
        rate = recording.samp_rate if rate is None else rate
        freq = recording.center_freq if freq is None else freq
    for value, option, example in ((rate, "rate", "2.4M"), (freq, "freq", "806M")):
        if value is None:
            raise AtaError(f"{args.source} needs --{option} in Hz, such as --{option} {example}")
    spare(played, [args.jsonl, args.sigmf])
    keep = None
    if args.keep_iq:
        keep = KeepIq(args.keep_iq, 1e6 * args.keep_iq_mb, args.iq_format, 1e-3 * args.pre_roll_ms,
                      1e-3 * args.post_roll_ms)  # fmt: skip
        keep.check(rate)
        if any(file.exists() and file.parent.samefile(args.keep_iq) for file in played):
            raise AtaError(f"{args.keep_iq} holds the recording that is played; keep the IQ in another folder")
    return LiveSettings(args.source, rate, freq, parse_gain(args.gain), args.model or "", args.engine,
                        args.frame_ms or 0.0, keep)  # fmt: skip
