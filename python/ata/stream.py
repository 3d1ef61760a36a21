# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An endless stream cut into frames that never mix two tunings, with every sample accounted for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .frontend import FrontEnd, frame_samples
from .model import ModelFile
from .records import DATED, center_frequency

# Seconds since 1970 at 2000-01-01: radios without a clock count from their own start, which is no UTC time.
EARLIEST_UTC = 946_684_800
# How far a time may be from the sample count beside a sample of rounding at both ends: a ppm of the time that passed, for
# radios whose clock is not their sample clock, and no more s than this, however much passed. What an overflow loses at
# least, a packet of some 360 samples, is 6 us at 61.44 MS/s.
DRIFT, MOST_DRIFT = 1e-6, 5e-6


def is_utc(time: tuple[int, float]) -> bool:
    """Whether a radio's time, (whole s, fraction), is a date."""
    return time[0] >= EARLIEST_UTC and time[0] in DATED


class Grid(NamedTuple):
    """Rows, columns and overlap of an image, of a model or not."""

    rows: int
    columns: int
    overlap: float


@dataclass(frozen=True)
class Frame:
    """A finished frame: float32 [T, F] mean power per pixel, and where and when its first sample stands.

    time is (whole seconds since 1970, fraction), kept apart because a double loses microseconds there; None if unknown.
    """

    index: int
    power: np.ndarray
    sample_start: int
    sample_count: int
    center_freq: float
    samp_rate: float
    time: tuple[int, float] | None


@dataclass(frozen=True)
class RadioTime:
    """The time a radio gave for one sample: `rx_time` (whole s, fraction) at an absolute sample index."""

    offset: int
    seconds: int
    fraction: float

    def at(self, offset: int, samp_rate: float) -> tuple[int, float]:
        """-> (whole s, fraction) of another sample of the same, unbroken stream."""
        whole, part = divmod(offset - self.offset, samp_rate)
        fraction = self.fraction + part / samp_rate
        return self.seconds + int(whole) + math.floor(fraction), fraction - math.floor(fraction)

    def misses(self, offset: int, time: tuple[int, float], samp_rate: float, rounding: float = 0.0) -> bool:
        """Whether the time of a later sample says that some were lost before it. rounding: of both times together, s."""
        expected = self.at(offset, samp_rate)
        error = abs((time[0] - expected[0]) + (time[1] - expected[1]))
        drift = DRIFT * (offset - self.offset) / samp_rate
        return error > 2 / samp_rate + max(rounding, min(drift, MOST_DRIFT))


@dataclass(frozen=True)
class Tally:
    """Where a stream's samples went: seen = framed + discarded + settled + held.

    framed: in whole frames; discarded: with a frame that was never finished; settled: skipped after a retune or a gap;
    held: in the frame in hand.
    """

    seen: int = 0
    framed: int = 0
    discarded: int = 0
    settled: int = 0
    held: int = 0


class FrameStream:
    """Samples in, whole frames out; retunes and gaps discard the frame in hand and count it.

    Args:
        grid: rows, columns and overlap of the image; a model file has them.
        samp_rate, center_freq: Hz, until `retune` says otherwise.
        frame_ms: frame duration, ms.
        settle_samples: samples skipped after a retune or a gap.
        period: frames begin at samples whose index it divides; what lies between is skipped.

    Raises AtaError where rate or duration are outside the accepted ranges.
    """

    def __init__(self, grid: ModelFile | Grid, samp_rate: float, center_freq: float, frame_ms: float,
                 settle_samples: int = 0, period: int = 1) -> None:
        self._grid = grid
        self._frame_ms = frame_ms
        self.settle_samples, self._period = settle_samples, period
        self.center_freq = center_frequency(center_freq)
        self.samp_rate = float(samp_rate)
        self._front = self._front_end(self.samp_rate)
        self._seen = self._framed = self._discarded = self._settled = 0
        self._skip = 0
        self._start = 0
        self._time: RadioTime | None = None
        self.next_index = 0
        self.dropped = 0
        self.retunes = 0
        self.gaps = 0

    @property
    def frame_samples(self) -> int:
        return self._front.geometry.frame_samples

    @property
    def tally(self) -> Tally:
        """Where the samples went up to now."""
        return Tally(self._seen, self._framed, self._discarded, self._settled, self._front.position)

    def push(self, samples: np.ndarray, offset: int) -> Iterator[Frame]:
        """complex64 [n] whose first sample has the absolute index `offset` -> the frames they complete."""
        at = 0
        while at < len(samples):
            if self._front.position == 0:
                self._skip += -(offset + at + self._skip) % self._period
            if self._skip:
                step = min(self._skip, len(samples) - at)
                self._skip -= step
                self._settled += step
                self._seen += step
                at += step
                continue
            if self._front.position == 0:
                self._start = offset + at
            step = self._front.push(samples[at:])
            self._seen += step
            at += step
            if self._front.complete:
                yield self._finish()

    def retune(self, center_freq: float | None = None, samp_rate: float | None = None) -> bool:
        """A new centre frequency or rate, Hz, from the next sample on; -> False when nothing changes.

        Raises AtaError for a frequency or a rate that is not accepted; the stream then goes on as before.
        """
        freq = self.center_freq if center_freq is None else center_frequency(center_freq)
        rate = self.samp_rate if samp_rate is None else float(samp_rate)
        if (freq, rate) == (self.center_freq, self.samp_rate):
            return False
        front = self._front if rate == self.samp_rate else self._front_end(rate)
        self.interrupt()
        self.retunes += 1
        self.center_freq = freq
        if rate != self.samp_rate:
            self.samp_rate = rate
            self._time = None
            self._front = front
        return True

    def clock(self, offset: int, seconds: int, fraction: float) -> bool:
        """The radio's time of sample `offset`; -> True when it jumps against the sample count (samples were lost)."""
        jumped = self._time is not None and self._time.misses(offset, (seconds, fraction), self.samp_rate)
        if jumped:
            self.interrupt()
            self.gaps += 1
        self._time = RadioTime(offset, seconds, fraction)
        return jumped

    def interrupt(self, settle: int | None = None) -> None:
        """Discards and counts the frame in hand and lets the radio settle.

        settle: samples to skip, at least `settle_samples`, until the next interruption says otherwise.
        """
        self._discard()
        self._skip = max(self.settle_samples, settle or 0)

    def end(self) -> int:
        """The stream ends: -> samples of the frame in hand, which stays unanalysed and is counted.

        What was to be skipped still is when it begins anew: a tuning that was refused stays refused.
        """
        lost = self._discard()
        self._time = None
        return lost

    def drop(self, index_too: bool = True) -> None:
        """Counts a frame that will have no record; its index is used up too unless it has one already."""
        self.dropped += 1
        if index_too:
            self.next_index += 1

    def _discard(self) -> int:
        lost = self._front.discard()
        if lost:
            self._discarded += lost
            self.drop()
        return lost

    def _front_end(self, samp_rate: float) -> FrontEnd:
        count = frame_samples(samp_rate, self._frame_ms)
        return FrontEnd(self._grid.rows, self._grid.columns, self._grid.overlap, count)

    def _finish(self) -> Frame:
        time = None if self._time is None else self._time.at(self._start, self.samp_rate)
        if time is not None and not is_utc(time):
            time = None
        self._framed += self.frame_samples
        frame = Frame(self.next_index, self._front.finish(), self._start, self.frame_samples, self.center_freq,
                      self.samp_rate, time)
        self.next_index += 1
        return frame
