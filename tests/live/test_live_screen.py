# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table on a terminal."""

import errno
import fcntl
import io
import logging
import os
import pty
import struct
import termios
from datetime import datetime, tzinfo
from pathlib import Path

import pytest
from gnuradio.ata import live_screen
from gnuradio.ata.live import Streaming, Totals
from gnuradio.ata.records import Band, Record


class Terminal(io.StringIO):
    """A terminal; `drawn` is what stands on it since it was last cleared."""

    def isatty(self) -> bool:
        return True

    @property
    def drawn(self) -> str:
        return self.getvalue().rpartition("\033[J")[2]


def test_the_table_fits_the_terminal_that_it_is_drawn_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the records on standard output it is that of standard error."""
    monkeypatch.setattr(live_screen, "REDRAW_EVERY", 0.0)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 8, 50, 0, 0))
    with os.fdopen(theirs, "w") as out:
        screen = live_screen.LiveScreen(out)
        bands = tuple(Band("LTE", 8e8 + 1e6 * n, 8.005e8 + 1e6 * n, 0.8, 10.0, 1.0) for n in range(20))
        screen.show(Record(0, 0, 10_000, None, 8e8, 1e6, "m-1", "e", False, 0, 3.0, bands))
        screen.tick(Totals(records=1))
        drawn = os.read(ours, 65536).decode().replace("\r", "").rpartition("\033[J")[2].splitlines()
    os.close(ours)
    assert len(drawn) == 7 and max(map(len, drawn)) == 49


@pytest.mark.parametrize(("day", "shown"), [("today", "05:06:07"), ("2024-03-04", "03-04 05:06")])
def test_80_columns_show_since_when(day: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime(2026, 5, 2, 6, tzinfo=tz)

    monkeypatch.setattr(live_screen, "REDRAW_EVERY", 0.0)
    monkeypatch.setattr(live_screen, "datetime", Clock)
    out = Terminal()
    screen = live_screen.LiveScreen(out)
    time = f"{'2026-05-02' if day == 'today' else day}T05:06:07.123456Z"
    band = Band("other", 5.8e9, 5.9e9, 1.0, -10.0, 1.0)
    screen.show(Record(0, 0, 10_000, time, 5.85e9, 1e8, "m-1", "e", False, 0, 3.0, (band,)))
    screen.tick(Totals(records=1))
    row = out.drawn.splitlines()[1]
    assert row.startswith("other") and row.endswith(f"  {shown}") and len(row) < 80


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(live_screen, "REDRAW_EVERY", 0.0)
    out = Terminal()
    screen = live_screen.LiveScreen(out)
    bands = (Band("LTE", 8e8, 8.001e8, 0.8, 10.0, 1.0),)
    screen.show(Record(0, 0, 10_000, None, 8e8, 1e6, "m-1", "e", False, 0, 3.0, bands))
    screen.tick(Totals(records=1))
    screen.sum_up(Totals(records=1))
    assert "+ LTE" in out.getvalue() and "\033" not in out.getvalue()


def test_a_device_in_letters_that_the_output_has_not(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w", encoding="ascii") as out:
        live_screen.LiveScreen(out).started(Streaming("loop:日.sigmf-meta", 1e6, 8e8, "m-1", "e"))
    assert (tmp_path / "out").read_text().startswith("loop:\\u65e5.sigmf-meta: 800 MHz")


def test_a_log_that_cannot_be_written_is_nobodys_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    out = io.StringIO()
    monkeypatch.setattr(out, "write", full)
    live_screen.LogLines(None, out).emit(logging.makeLogRecord({"msg": "tuned"}))


def test_no_band_is_shown_while_the_radio_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_screen, "REDRAW_EVERY", 0.0)
    out = Terminal()
    screen = live_screen.LiveScreen(out)
    screen.started(Streaming("rtl=0", 1e6, 8e8, "m-1", "e"))
    bands = (Band("LTE", 8e8, 8.001e8, 0.8, 10.0, 1.0),)
    screen.show(Record(0, 0, 10_000, None, 8e8, 1e6, "m-1", "e", False, 0, 3.0, bands))
    screen.tick(Totals(records=1))
    assert "LTE      800.00 MHz" in out.drawn and "3 ms behind" in out.drawn
    screen.lost()
    screen.tick(Totals(records=1))
    assert "LTE" not in out.drawn and "1 frames, 0 dropped, the radio is away" in out.drawn
    screen.started(Streaming("rtl=0", 1e6, 8e8, "m-1", "e"))
    screen.tick(Totals(records=1))
    assert "LTE" in out.drawn
