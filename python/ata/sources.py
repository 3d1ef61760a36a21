# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings as a GNU Radio source."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
import pmt
from gnuradio import gr

from .errors import WORK_DONE, stops_on_failure
from .recordings import open_recording
from .thread_state import KeepsThreadState

CHUNK = 65536


class recording_source(KeepsThreadState, gr.sync_block):
    """Plays a SigMF recording or raw IQ.

    Output: complex64 samples, with tags as a USRP would set them: `rx_freq` and `rx_rate` at every start and wherever the
    recording was retuned (no `rx_freq` where nobody says at what frequency it was made), and `rx_time` where any capture
    says when: its date, else its `core:global_index` divided by the rate, as a radio counts from its own start, else zero.

    Args:
        path: a .sigmf-meta or .sigmf-data file, or raw IQ.
        repeat: start again at the end, for ever.
        samp_rate, center_freq, datatype: Hz, Hz and a SigMF data type ("ci16_le"), for raw IQ; SigMF says them itself, but
            for a rate or frequency that it leaves open.

    Raises AtaError with a sentence for a file that cannot be read; one that becomes so later ends the flowgraph, and
    `failure` holds why.
    """

    def __init__(self, path: str, repeat: bool = False, samp_rate: float = 0.0, center_freq: float = 0.0,
                 datatype: str = "") -> None:
        gr.sync_block.__init__(self, name="ata.recording_source", in_sig=None, out_sig=[np.complex64])
        names = ("samp_rate", "center_freq", "datatype")
        self._recording = open_recording(path, samp_rate or None, center_freq or None, datatype or None, names)
        self._repeat = repeat
        self._at = 0
        self._resumed = False
        self.failure: Exception | None = None
        self.set_min_output_buffer(2 * CHUNK)

    @property
    def samp_rate(self) -> float:
        """Sample rate of the recording, Hz."""
        return self._recording.samp_rate

    @property
    def center_freq(self) -> float:
        """Centre frequency of the recording's first capture, Hz."""
        return self._recording.center_freq

    def start(self) -> bool:
        """What was told before is told again, as radios do: tags that wait in buffers are lost at lock() and stop()."""
        self._resumed = True
        return super().start()

    def stop(self) -> bool:
        self.set_max_output_buffer(-1)  # see segmenter.py
        return super().stop()

    def work(self, input_items: list[np.ndarray], output_items: list[np.ndarray]) -> int:
        with stops_on_failure(self):
            return self._play(output_items[0])
        return WORK_DONE

    def _play(self, out: np.ndarray) -> int:
        if self._at == self._recording.samples:
            if not self._repeat:
                return WORK_DONE
            self._at = 0
        count = min(len(out), self._recording.samples - self._at)
        out[:count] = self._recording.read(self._at, count)
        self._tag(count)
        self._at += count
        return count

    def _tag(self, count: int) -> None:
        written = self.nitems_written(0)
        captures = self._recording.captures
        timed = any(capture.began or capture.global_index is not None for capture in captures)
        first, last = (bisect_left(captures, at, key=lambda c: c.start) for at in (self._at, self._at + count))
        heard = captures[first:last]
        if self._resumed and first and (not heard or heard[0].start > self._at):
            heard = [captures[first - 1], *heard]
        self._resumed = False
        for capture in heard:
            at = max(capture.start, self._at)
            offset = written + at - self._at
            tags = {"rx_rate": pmt.from_double(self.samp_rate)}
            if self._recording.tuned:
                tags["rx_freq"] = pmt.from_double(capture.center_freq)
            # One without a date says what a radio does that counts from its own start: else its time would be counted on
            # from the date before, and samples missing before it would go unseen.
            seconds, part = divmod((capture.global_index or 0) + at - capture.start, self.samp_rate)
            when = capture.time(at - capture.start, self.samp_rate) or (int(seconds), part / self.samp_rate)
            if timed:
                tags["rx_time"] = pmt.make_tuple(pmt.from_uint64(when[0]), pmt.from_double(when[1]))
            for key, value in tags.items():
                self.add_item_tag(0, offset, pmt.intern(key), value, pmt.intern(self.alias()))
