# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A GNU Radio sink that hands out one frame at each frequency that its radio is sent to."""

from __future__ import annotations

import threading
import time
from collections import deque

import numpy as np
from gnuradio import gr

from .errors import WORK_DONE, AtaError, RadioLost, first_line, stops_on_failure
from .stream import Frame, FrameStream
from .thread_state import KeepsThreadState
from .tuning import RadioTuning

CHUNK = 65536  # as in the segmenter: history is what makes a Python block's chunks large
WINDOW = 5.0  # s in which samples have come at least once without delay


class frame_sink(KeepsThreadState, gr.sync_block):
    """Input: complex64 samples of a radio, with its tags.

    Samples wait in the buffers of USB, network and GNU Radio, on a busy machine for seconds, and most drivers do not tag
    where a new frequency begins. How many wait is known from the clock: what the radio has sampled since the moment of
    least delay, less what has come.

    Args:
        stream: makes the frames; its settling time counts from the last sample that was waiting at a retune.

    Attributes: ended (no more samples come), failure (of its own work, which ended the flowgraph; else None).
    """

    def __init__(self, stream: FrameStream) -> None:
        gr.sync_block.__init__(self, name="ata.frame_sink", in_sig=[np.complex64], out_sig=None)
        self.failure: Exception | None = None
        self.ended = False
        self._stream = stream
        self._tuning = RadioTuning(stream, self.logger)
        self._changed = threading.Condition()
        self._wanted: tuple[float, int] | None = None  # frequency, Hz, and the first sample that may be of it
        self._frame: Frame | None = None
        self._seen = 0
        self._delays: deque[tuple[float, float]] = deque()  # (time, delay), each less than all that follow
        self.set_history(CHUNK)

    def frame_at(self, center_freq: float) -> Frame:
        """Waits, for ever if need be, for a frame at the frequency to which the radio has just been tuned, Hz.

        RadioLost where the stream has ended, AtaError where making frames has failed.
        """
        with self._changed:
            self._frame = None
            self._wanted = center_freq, self._seen + self._waiting() + self._stream.settle_samples
            self._tuning.ask(center_freq=center_freq)
            self._changed.wait_for(lambda: self._frame or self.ended)
            self._wanted = None
            if self._frame is None and self.failure is not None:
                raise AtaError(f"the radio's frames cannot be made: {first_line(self.failure)}")
            if self._frame is None:
                raise RadioLost("the radio's stream has ended")
            return self._frame

    def stop(self) -> bool:
        with self._changed:
            self.ended = True
            self._changed.notify()
        return super().stop()

    def work(self, input_items: list[np.ndarray], output_items: list[np.ndarray]) -> int:
        """One chunk, cut where the radio was retuned."""
        with stops_on_failure(self):
            return self._take(input_items[0][self.history() - 1 :])
        return WORK_DONE

    def _take(self, samples: np.ndarray) -> int:
        count = len(samples)
        tags = self.get_tags_in_window(0, 0, count)
        for frame in self._tuning.frames(samples, self._seen, tags, self.nitems_read(0)):
            self._offer(frame)
        with self._changed:
            self._seen += count
            self._note_delay()
        return count

    def _delay(self, now: float) -> float:
        """Samples by which what has come is late, from an arbitrary zero."""
        return now * self._stream.samp_rate - self._seen

    def _note_delay(self) -> None:
        now = time.monotonic()
        delay = self._delay(now)
        while self._delays and self._delays[-1][1] >= delay:
            self._delays.pop()
        self._delays.append((now, delay))
        while self._delays[0][0] < now - WINDOW:
            self._delays.popleft()

    def _waiting(self) -> int:
        return max(0, round(self._delay(time.monotonic()) - self._delays[0][1])) if self._delays else 0

    def _offer(self, frame: Frame) -> None:
        """Tags may give the frequency a little differently from the driver's own answer."""
        with self._changed:
            if self._wanted is None or self._frame is not None:
                return
            freq, first = self._wanted
            if frame.sample_start >= first and abs(frame.center_freq - freq) < frame.samp_rate / frame.power.shape[1]:
                self._frame = frame
                self._changed.notify()
