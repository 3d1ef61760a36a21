# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table on a terminal."""

import io

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
