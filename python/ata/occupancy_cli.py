# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `ata-sense occupancy`, and the table that scans end with."""

from __future__ import annotations

import argparse
import csv
import sys
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

from .errors import AtaError
from .occupancy import Occupancy, Occupied
from .sinks import spare, writing


def add_occupancy(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    occupancy = commands.add_parser("occupancy", help="show what scans have kept in a file")
    occupancy.set_defaults(run=run_occupancy)
    occupancy.add_argument("db", help="file that `ata-sense scan --db` wrote")
    occupancy.add_argument("--csv", help="write the table as CSV ('-': to standard output)")
    occupancy.add_argument("--png", help="draw frequency, time and who was on")


def run_occupancy(args: argparse.Namespace) -> int:
    """The table, and files where they are asked for."""
    outputs = [output for output in (None if args.csv == "-" else args.csv, args.png) if output]
    spare([Path(args.db)], outputs, "occupancy")
    store = Occupancy(args.db, read_only=True)
    if args.png:  # before anything is printed, whose reader may have gone
        from .occupancy_plot import draw_occupancy  # matplotlib takes a second to load

        draw_occupancy(store, args.png)
    if args.csv:
        write_csv(store, args.csv)
    if args.csv != "-":
        print_table(store)
    store.close()
    return 0


@writing("standard output")
def print_table(store: Occupancy) -> None:
    """For a person: every band that was ever seen, lowest first."""
    bands = store.bands()
    if not bands:
        print(f"no bands in {store.sweeps} sweeps")
        return
    print(f"{'label':6s} {'from':>12s} {'to':>12s} {'width':>10s} {'sure':>5s} {'SNR':>8s} {'on':>5s}  {'seen':>11s}  "
          f"{'first seen (UTC)':19s}  last seen")  # fmt: skip
    for b in bands:
        low, high = b.freq_lower_edge / 1e6, b.freq_upper_edge / 1e6
        snr = "-" if b.snr_db is None else f"{b.snr_db:.1f} dB"
        others = ", ".join(f"{label} {n}" for label, n in b.votes.items() if label != b.label)
        print(
            f"{b.label:6s} {low:8.2f} MHz {high:8.2f} MHz {high - low:6.2f} MHz {b.confidence:5.0%} {snr:>8s} "
            f"{b.duty_cycle:5.0%}  {b.seen:>4d} of {b.sweeps:<4d} {_clock(b.first_seen)}  {_clock(b.last_seen)}"
            + (f"  (also called {others})" if others else "")
        )


def _clock(text: str) -> str:
    return text[:19].replace("T", " ")


def write_csv(store: Occupancy, path: str) -> None:
    """The table for programs; the columns are the fields of `Occupied`, votes as `LTE 9 NR 1`."""
    bands = store.bands()  # before the file is begun anew
    names = [name for name in Occupied.__dataclass_fields__ if name != "id"]
    try:
        with nullcontext(sys.stdout) if path == "-" else Path(path).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, names, extrasaction="ignore")
            writer.writeheader()
            for band in bands:
                writer.writerow({**asdict(band), "votes": " ".join(f"{k} {n}" for k, n in band.votes.items())})
    except BrokenPipeError:
        raise
    except OSError as failure:
        raise AtaError(f"{path} cannot be written: {failure.strerror}") from failure
