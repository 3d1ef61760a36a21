# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `ata-sense live` shows: a table that is redrawn on a terminal, else a line for what comes and goes."""

from __future__ import annotations

import io
import logging
import os
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TextIO

from .live import Streaming, Totals
from .presence import Presence, Present
from .records import Record

REDRAW_EVERY = 0.25  # s
STATUS_EVERY = 60.0  # s, where lines are printed
HOLD = 2.0  # s that a band may be away before it counts as gone
USUAL_SIZE = 80, 24  # columns and rows of a terminal that does not say
HEADER = f"{'label':6s} {'from':>12s} {'to':>12s} {'width':>9s}   {'sure':>5s} {'SNR':>8s} {'on':>5s}  since"


class LiveScreen:
    """Draws to `out`; on a terminal it redraws its own lines and lets log lines scroll above them."""

    def __init__(self, out: TextIO) -> None:
        if isinstance(out, io.TextIOWrapper):
            out.reconfigure(errors="backslashreplace")  # a device may be named in letters that the terminal has not
        self._out = out
        self._redraws = out.isatty() and os.environ.get("TERM") != "dumb"  # such a terminal cannot move its cursor
        self._presence = Presence(HOLD)
        self._streaming: Streaming | None = None
        self._away = False
        self._latency: float | None = None
        self._begun = self._drawn_at = self._said_at = time.monotonic()
        self._drawn = 0

    def started(self, streaming: Streaming) -> None:
        self._streaming, self._away = streaming, False
        s = streaming
        where = f"{s.center_freq / 1e6:.6g} MHz at {s.samp_rate / 1e6:.6g} MS/s"
        self.say(f"{s.device}: {where}, {s.model} on {s.engine}")

    def lost(self) -> None:
        """The radio is away: what is on the air is not known until it has started again."""
        self._away = True

    def show(self, record: Record) -> None:
        appeared, gone = self._presence.add(record)
        self._latency = record.latency_ms
        if not self._redraws:
            for band in appeared:
                self.say(f"{record.time}  + {_words(band)}")
            for band in gone:
                on = (band.last_sample - band.first_sample) / record.samp_rate
                self.say(f"{record.time}  - {_words(band)}, was there for {on:.3g} s")

    def tick(self, totals: Totals) -> None:
        now = time.monotonic()
        if self._redraws and now - self._drawn_at >= REDRAW_EVERY:
            self._draw(totals)
        elif not self._redraws and now - self._said_at >= STATUS_EVERY:
            self._said_at = now
            self.say(f"{datetime.now(UTC).strftime('%Y-%m-%dT%H:%M:%SZ')}  {self._status(totals)}")

    def say(self, line: str) -> None:
        """One line that stays."""
        self.clear()
        print(line, file=self._out, flush=True)

    def clear(self) -> None:
        if self._drawn:
            self._out.write(f"\033[{self._drawn}A\033[J")
            self._out.flush()
            self._drawn = 0

    def sum_up(self, totals: Totals) -> None:
        """The summary at the end, if the radio ever ran."""
        self.clear()
        if self._streaming is None:
            return
        bands = ", ".join(f"{label} {count}" for label, count in sorted(totals.labels.items())) or "none"
        line = f"{self._status(totals)} in {time.monotonic() - self._begun:.1f} s; bands: {bands}"
        if totals.iq.recordings:
            iq = totals.iq
            line += f"; IQ: {iq.recordings} recordings, {iq.samples} samples" + (f", {iq.lost} lost" if iq.lost else "")
        self.say(line)

    def _draw(self, totals: Totals) -> None:
        self.clear()
        late = "" if self._latency is None else f", {self._latency:.0f} ms behind"
        rows = [] if self._away else map(_row, self._presence.now)
        lines = [HEADER, *rows, f"{self._status(totals)}{', the radio is away' if self._away else late}"]
        columns, rows = self._room()
        lines = [line[: columns - 1] for line in lines[-(rows - 1) :]]
        self._out.write("".join(f"{line}\n" for line in lines))
        self._out.flush()
        self._drawn = len(lines)
        self._drawn_at = time.monotonic()

    def _room(self) -> tuple[int, int]:
        """-> columns and rows of the terminal that is drawn to, which need not be that of standard output."""
        try:
            size = os.get_terminal_size(self._out.fileno())
        except OSError:
            return USUAL_SIZE
        return (size.columns, size.lines) if size.columns > 1 and size.lines > 1 else USUAL_SIZE

    @staticmethod
    def _status(totals: Totals) -> str:
        again = f", {totals.reconnects} reconnects" if totals.reconnects else ""
        return f"{totals.records} frames, {totals.dropped} dropped{again}"


class LogLines(logging.Handler):
    """Log lines to a person, above the table where there is one."""

    def __init__(self, screen: LiveScreen | None, out: TextIO) -> None:
        super().__init__()
        self._screen, self._out = screen, out

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):  # a full disk behind the log, or nobody who reads it: the radio is watched all the same
            if self._screen is not None:
                self._screen.clear()
            print(f"ata-sense: {record.getMessage()}", file=self._out, flush=True)


def _row(band: Present) -> str:
    low, high = band.freq_lower_edge / 1e6, band.freq_upper_edge / 1e6
    snr = "-" if band.snr_db is None else f"{band.snr_db:5.1f} dB"
    return (
        f"{band.label:6s} {low:8.2f} MHz {high:8.2f} MHz {high - low:5.2f} MHz   {band.confidence:5.0%} {snr:>8s} "
        f"{band.duty_cycle:5.0%}  {_since(band)}"
    )


def _since(band: Present) -> str:
    """HH:MM:SS, UTC, or month, day, hour and minute where that is not today: 80 columns have no room for more."""
    if band.since is None:
        return ""
    date, _, clock = band.since.partition("T")
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    return clock[:8] if date == today else f"{date[5:]} {clock[:5]}"


def _words(band: Present) -> str:
    snr = "" if band.snr_db is None else f", {band.snr_db:.0f} dB"
    return f"{band.label} {band.freq_lower_edge / 1e6:.2f} to {band.freq_upper_edge / 1e6:.2f} MHz{snr}"
