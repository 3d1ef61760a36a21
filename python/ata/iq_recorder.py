# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A GNU Radio sink that remembers the last moments, and keeps those around a band that appears."""

from __future__ import annotations

import threading
import time as clock
from collections import deque
from dataclasses import replace
from datetime import datetime

import numpy as np
from gnuradio import gr

from .errors import WORK_DONE, stops_on_failure
from .iq_files import IqCounts, IqFiles, KeepIq, Recording, Tuned
from .presence import Presence
from .records import Record
from .stream import RadioTime, is_utc
from .thread_state import KeepsThreadState
from .tuning import tagged

CHUNK = 65536
# What is remembered is much, and the radio waits where `work` does: samples that are handed over at once, and s in which
# `work` gets its turn before more are.
PIECE = 1 << 18
TURN = 1e-4
ANALYSIS = 0.3  # s between a frame's end and its record, at most, for the whole of the frame to be remembered
MOST_REMEMBERED = 1 << 26  # samples, 512 MB
HOLD = 1.0  # s that a band may be away without counting as new


class iq_recorder(KeepsThreadState, gr.sync_block):
    """Keeps IQ from before a new band's first frame until some time after it; a band that stays begins no other.

    Input: complex64 samples, with `rx_freq` and `rx_time` tags where the radio sets them. `write` takes the records
    of the same stream, from any thread, all of them dated: where no radio tells a date, theirs are the recordings' too.

    Args:
        keep: what, where, how much.
        samp_rate, center_freq: Hz.
        frame_seconds: duration of a frame, s.
        first_sample: index of the first sample to come, in the records' count.
        device: for the recordings' metadata.
        columns: F of the model.
    """

    def __init__(self, keep: KeepIq, samp_rate: float, center_freq: float, frame_seconds: float, first_sample: int,
                 device: str, columns: int) -> None:
        gr.sync_block.__init__(self, name="ata.iq_recorder", in_sig=[np.complex64], out_sig=None)
        self.failure: Exception | None = None
        self._keep, self._rate = keep, samp_rate
        self._before, self._after = round(keep.before * samp_rate), round(keep.after * samp_rate)
        # A frame may wait while another is analysed.
        remembered = round((keep.before + 3 * frame_seconds + ANALYSIS) * samp_rate)
        self._ring = np.zeros(min(max(remembered, 2 * CHUNK), MOST_REMEMBERED), np.complex64)
        self._files = IqFiles(keep, samp_rate, device, self._ring.nbytes, columns)
        self._first = self._seen = first_sample
        self._told: RadioTime | None = None  # by the newest record
        self._tunings = deque([Tuned(first_sample, center_freq, None)])
        self._clock: RadioTime | None = None
        self._records: deque[Record] = deque()
        self._presence = Presence(HOLD)
        self._open: Recording | None = None
        self._ending: list[tuple[int, Recording]] = []
        self._until = self._kept = first_sample
        self._lock = threading.Lock()
        self.set_history(CHUNK)

    @property
    def counts(self) -> IqCounts:
        return self._files.counts

    def write(self, record: Record) -> None:
        """A record of this stream: it is annotated in what is kept, and may be the reason to keep."""
        with self._lock:
            self._records.append(record)
            moment = datetime.fromisoformat(record.time)
            self._told = RadioTime(record.sample_start, int(moment.timestamp()), moment.microsecond / 1e6)
            appeared, _ = self._presence.add(record)
            if appeared:
                self._until = record.sample_start + record.sample_count + self._after
                start = max(record.sample_start - self._before, self._kept)
                if self._open is None and start < self._until:
                    self._begin(start)
        while self._keep_a_piece():
            clock.sleep(TURN)
        with self._lock:
            self._finish_those_before(record.sample_start)

    def finish(self) -> None:
        """Ends the recording in hand and waits until all is written; for after the flowgraph has stopped."""
        while self._keep_a_piece():
            pass
        with self._lock:
            self._end()
            self._finish_those_before(None)
        self._files.close()

    def work(self, input_items: list[np.ndarray], output_items: list[np.ndarray]) -> int:
        with stops_on_failure(self):
            samples = input_items[0][self.history() - 1 :]
            with self._lock:
                self._note_tunings(len(samples))
                self._remember(samples)
                self._keep_on()
                self._forget()
            return len(samples)
        return WORK_DONE

    def _remember(self, samples: np.ndarray) -> None:
        size = len(self._ring)
        newest = samples[-size:]
        at = (self._seen + len(samples) - len(newest)) % size
        before_end = min(len(newest), size - at)
        self._ring[at : at + before_end] = newest[:before_end]
        self._ring[: len(newest) - before_end] = newest[before_end:]
        self._seen += len(samples)

    def _recall(self, start: int, end: int) -> np.ndarray:
        """A copy of the samples [start, end), which the ring holds."""
        size = len(self._ring)
        at, count = start % size, end - start
        before_end = min(count, size - at)
        return np.concatenate([self._ring[at : at + before_end], self._ring[: count - before_end]])

    @property
    def _oldest(self) -> int:
        return max(self._first, self._seen - len(self._ring))

    def _begin(self, start: int) -> None:
        start = max(start, self._oldest)
        self._open = Recording(start, self._rate, self._tunings_of(start, start + 1, self._told.at(start, self._rate)))
        self._kept = start
        self._files.begin(self._open)

    def _keep_a_piece(self) -> bool:
        with self._lock:
            self._keep_on()
            return self._open is not None and self._kept < min(self._until, self._seen)

    def _keep_on(self) -> None:
        """Hands over a piece of what is wanted; ends the recording when it has all, or as much as one may."""
        if self._open is None:
            return
        if self._kept < (oldest := min(self._oldest, self._until)):  # the ring was overtaken
            self._files.lose(oldest - self._kept, "samples came faster than they could be handed over")
            self._end()
            self._kept = oldest
            if oldest == self._until:
                return
            self._begin(oldest)
        end = min(self._until, self._seen, self._kept + PIECE, self._open.start + self._files.most_samples)
        if self._kept < end:
            whole = self._files.add(self._open, self._recall(self._kept, end))
            self._kept = end
            full = end - self._open.start >= self._files.most_samples
            if full or not whole:
                self._end()
            if full and self._kept < self._until:
                self._begin(self._kept)
        if self._open is not None and self._kept >= self._until:
            self._end()

    def _end(self) -> None:
        if self._open is not None:
            self._ending.append((self._kept, self._open))
            self._open = None

    def _finish_those_before(self, sample: int | None) -> None:
        """A recording waits for the records of its last samples, which come after them."""
        for end, recording in list(self._ending):
            if sample is None or sample >= end:
                self._ending.remove((end, recording))
                recording.tunings = self._tunings_of(recording.start, end, recording.tunings[0].time)
                recording.records = [
                    r for r in self._records if r.sample_start < end and r.sample_start + r.sample_count > recording.start
                ]
                self._files.end(recording)

    def _forget(self) -> None:
        """Records and tunings of samples that nothing can need any more."""
        oldest = min([self._oldest, *(r.start for _, r in self._ending), *([self._open.start] if self._open else [])])
        while self._records and self._records[0].sample_start + self._records[0].sample_count < oldest:
            self._records.popleft()
        while len(self._tunings) > 1 and self._tunings[1].sample <= oldest:
            self._tunings.popleft()

    def _note_tunings(self, count: int) -> None:
        """A new entry wherever the frequency changes, the radio tells a date, or its clock jumps: samples are missing
        there, and who reads the recording can only know it by the dates."""
        for at, tuning in tagged(self.get_tags_in_window(0, 0, count), self.nitems_read(0), self.logger):
            sample, last = self._seen + at, self._tunings[-1]
            freq = last.center_freq if tuning.center_freq is None else tuning.center_freq
            told, jumped = tuning.time, False
            if told is not None:
                jumped = self._clock is not None and self._clock.misses(sample, told, self._rate)
                self._clock = RadioTime(sample, *told)
            dated = told is not None and is_utc(told)
            if dated:
                time, counted = told, True
            elif jumped:  # by this computer's clock, which is good enough to tell of the gap
                time, counted = _moment(clock.time() - (count - at) / self._rate), False
            else:
                time, counted = last.at(sample, self._rate), last.counted
            if last.sample == sample:
                self._tunings.pop()
                time, counted = (time, counted) if time else (last.time, last.counted)
            elif freq == last.center_freq and not jumped and not dated:
                continue
            self._tunings.append(Tuned(sample, freq, time, counted))

    def _tunings_of(self, start: int, end: int, told: tuple[int, float]) -> list[Tuned]:
        """Those in [start, end), all dated; the first stands at start, dated as told if by no radio."""
        known = [t for t in self._tunings if t.sample <= start or t.sample < end]
        before = [t for t in known if t.sample <= start]
        first = before[-1] if before else known[0]
        time = first.time if first.sample == start else first.at(start, self._rate)
        tunings = [Tuned(start, first.center_freq, time or told)]
        for later in (t for t in known if t.sample > start):
            if later.time is None:
                last = tunings[-1]
                later = replace(later, time=RadioTime(last.sample, *last.time).at(later.sample, self._rate))
            tunings.append(later)
        return tunings


def _moment(seconds: float) -> tuple[int, float]:
    """Seconds since 1970 -> whole and fraction."""
    return int(seconds), seconds % 1
