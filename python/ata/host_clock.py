# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""UTC for a radio that has no clock, from the moments at which its samples reach this computer."""

from __future__ import annotations

from collections import deque

REMEMBERED = 100  # frames; buffers delay some of them, hardly ever all
SET_BACK = 10.0  # s: more than any buffer holds, so the computer's clock was set


class HostClock:
    """Dates frames by the least delayed of the last ones.

    Samples come in bursts and never early, so the earliest arrival against the sample count is the best. Only the last
    ones count: a crystal drifts, and samples that a radio loses in silence are noticed. Times of later frames are later,
    unless this computer's clock is set back by more than `SET_BACK`: then they are right at once.

    Args: samp_rate: Hz.
    """

    def __init__(self, samp_rate: float) -> None:
        self._rate = samp_rate
        self._offsets: deque[float] = deque(maxlen=REMEMBERED)
        self._offset: float | None = None
        self._start = 0

    def time(self, sample_start: int, sample_count: int, arrived: float) -> float:
        """Index of a frame's first sample, its samples, and when its last one came, s since 1970 -> its first one's time."""
        offset = arrived - (sample_start + sample_count) / self._rate
        if self._offset is not None and offset < self._offset - SET_BACK:
            self._offsets.clear()
            self._offset = None
        self._offsets.append(offset)
        earliest = min(self._offsets)
        if self._offset is not None:
            # Towards earlier times at half the speed of time at most, so that times still increase.
            earliest = max(earliest, self._offset - 0.5 * (sample_start - self._start) / self._rate)
        self._offset, self._start = earliest, sample_start
        return earliest + sample_start / self._rate
