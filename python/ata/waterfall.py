# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The waterfall as a GNU Radio block: a thin skin that hands rows and records to the screen and never waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pmt
from gnuradio import gr

from .errors import WORK_DONE, AtaError, stops_on_failure
from .frontend import FRAME_MS, SHORTEST_FRAME
from .pmt_records import record_from_pmt, shown
from .stream import FrameStream, Grid
from .thread_state import KeepsThreadState
from .tuning import SAMPLE_INDEX, RadioTuning
from .waterfall_picture import COLUMNS, ROWS, Inbox

if TYPE_CHECKING:
    from PyQt5 import QtWidgets

CHUNK = 65536  # see segmenter.py
LONGEST_S = ROWS * FRAME_MS[1] / 1e3


class waterfall(KeepsThreadState, gr.sync_block):
    """A waterfall of the stream in a Qt window, with the bands that the segmenter finds drawn over it.

    Input: complex64 samples, the same that the segmenter gets or gives: records and rows are aligned by sample index.
    Message ports: `detects` (in: the segmenter's records), `freq` (in: `cons('freq', Hz)`, tells of a retune that no
    tag announces). Tags read: `rx_freq`, `rx_rate`, `rx_time`, as by the segmenter.

    Every sample is looked at, by the C++ kernel and in no thread of Qt's; the screen takes the newest rows at up to 25
    a second, whenever it has time, and the stream never waits for it.

    Args:
        samp_rate: sample rate, Hz (0.5e6 to 245.76e6).
        center_freq: frequency of 0 Hz in the samples, Hz.
        seconds: time from top to bottom, up to 60; a row has to last for 1024 samples.
        title: stands above the picture.

    Attribute: failure (what ended the flowgraph, which is logged too; else None).

    Raises AtaError, with a sentence, for values that cannot work, without PyQt5 and pyqtgraph, and outside a Qt program.
    """

    def __init__(self, samp_rate: float, center_freq: float = 0.0, seconds: float = 10.0, title: str = "") -> None:
        gr.sync_block.__init__(self, name="ata.waterfall", in_sig=[np.complex64], out_sig=None)
        self._seconds = float(seconds)
        self._check(samp_rate)
        self._inbox = Inbox()
        self._widget = _widget(self._inbox, self._seconds, title)
        row_ms = 1e3 * self._seconds / ROWS
        self._stream = FrameStream(Grid(1, COLUMNS, 0.5), samp_rate, center_freq, row_ms)
        self._tuning = RadioTuning(self._stream, self.logger)
        self._seen = 0
        self.failure: Exception | None = None
        self.set_history(CHUNK)
        for port, handler in (("detects", self._on_detects), ("freq", self._on_freq)):
            self.message_port_register_in(pmt.intern(port))
            self.set_msg_handler(pmt.intern(port), handler)

    def qwidget(self) -> QtWidgets.QWidget:
        """-> the widget, to be put into a window."""
        return self._widget

    def set_center_freq(self, center_freq: float) -> None:
        """Tells the block that the radio was tuned to `center_freq`, Hz; takes effect at the next samples.

        One that no radio has changes nothing, and the log says so.
        """
        self._tuning.ask_by_setter(center_freq)

    def set_samp_rate(self, samp_rate: float) -> None:
        """Tells the block that the radio's rate became `samp_rate`, Hz; at one that is not accepted the picture stands still
        until another comes, and the log says so.
        """
        self._tuning.ask(samp_rate=samp_rate)

    def stop(self) -> bool:
        self._stream.end()
        return super().stop()

    def work(self, input_items: list[np.ndarray], output_items: list[np.ndarray]) -> int:
        """One chunk: the rows that it completes go to the screen's inbox."""
        with stops_on_failure(self):
            if self.failure is None:
                return self._take(input_items[0][self.history() - 1 :])
        return WORK_DONE

    def _take(self, samples: np.ndarray) -> int:
        count = len(samples)
        tags = self.get_tags_in_window(0, 0, count)
        for tag in tags:
            if pmt.eqv(tag.key, SAMPLE_INDEX) and pmt.is_uint64(tag.value):
                self._seen = pmt.to_uint64(tag.value) - (tag.offset - self.nitems_read(0))
        for row in self._tuning.frames(samples, self._seen, tags, self.nitems_read(0)):
            self._inbox.put_row(row)
        self._seen += count
        return count

    def _check(self, samp_rate: float) -> None:
        shortest = ROWS * max(FRAME_MS[0] / 1e3, SHORTEST_FRAME / samp_rate) if samp_rate > 0 else 0.0
        if not shortest <= self._seconds <= LONGEST_S:
            raise AtaError(
                f"the waterfall is {self._seconds:g} s long; at {samp_rate / 1e6:g} MS/s it has to be between "
                f"{shortest:.3g} and {LONGEST_S:g} s"
            )

    def _on_freq(self, message: pmt.pmt_base) -> None:
        with stops_on_failure(self):
            self._tuning.ask_by_message(message)

    def _on_detects(self, message: pmt.pmt_base) -> None:
        record = record_from_pmt(message)
        if record is None:
            self.logger.error(f"message on detects is no detection record: {shown(message)}")
        else:
            self._inbox.put_record(record)


def _widget(inbox: Inbox, seconds: float, title: str) -> QtWidgets.QWidget:
    """Qt is asked for here, so that the module works where there is none."""
    try:
        from PyQt5 import QtWidgets

        from .waterfall_widget import WaterfallWidget
    except ImportError as failure:
        raise AtaError(f"the waterfall needs PyQt5 and pyqtgraph ({failure}): "
                       "apt install python3-pyqt5 python3-pyqtgraph") from failure  # fmt: skip
    if QtWidgets.QApplication.instance() is None:
        raise AtaError("the waterfall needs a Qt program around it; in GNU Radio Companion: Options, QT GUI")
    return WaterfallWidget(inbox, seconds, title)
