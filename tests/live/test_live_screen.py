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
        screen.tick(Totals(records=1, frames=1))
        drawn = os.read(ours, 65536).decode().replace("\r", "").rpartition("\033[J")[2].splitlines()
    os.close(ours)
    assert len(drawn) == 7 and max(map(len, drawn)) == 49


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
    screen.tick(Totals(records=1, frames=1))
    assert "LTE      800.00 MHz" in out.drawn and "3 ms behind" in out.drawn
    screen.lost()
    screen.tick(Totals(records=1, frames=1))
    assert "LTE" not in out.drawn and "1 frames, 0 dropped, the radio is away" in out.drawn
    screen.started(Streaming("rtl=0", 1e6, 8e8, "m-1", "e"))
    screen.tick(Totals(records=1, frames=1))
    assert "LTE" in out.drawn
