# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the waterfall shows, without Qt: the last rows of the spectrum and the bands found in them, aligned by sample."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from statistics import median

import numpy as np

from .band_runs import BandRuns
from .plot_style import LOUD_DB, NARROW
from .records import Band, Record
from .stream import Frame

ROWS = 600  # on the screen, newest first
COLUMNS = 512
RECORDS = 2048  # kept at most
BOXES = 500  # drawn at most
NAMED_S = 1.0  # a band is named while it was there in the last second
LOOKED_AT = 100  # records of it, some more at most


class Inbox:
    """Rows and records on their way from the stream to the screen.

    Nobody waits for anybody longer than a list takes to copy, and where nobody takes, the oldest go: memory is bounded.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: deque[Frame] = deque(maxlen=ROWS)
        self._records: deque[Record] = deque(maxlen=RECORDS)

    def put_row(self, row: Frame) -> None:
        """A frame of one row: power float32 [1, COLUMNS]."""
        with self._lock:
            self._rows.append(row)

    def put_record(self, record: Record) -> None:
        with self._lock:
            self._records.append(record)

    def take(self) -> tuple[list[Frame], list[Record]]:
        """-> what came since the last call, oldest first."""
        with self._lock:
            taken = list(self._rows), list(self._records)
            self._rows.clear()
            self._records.clear()
        return taken


@dataclass(frozen=True)
class Box:
    """A band over consecutive frames: edges in Hz; top (newer) and bottom in rows from the newest."""

    label: str
    low: float
    high: float
    top: float
    bottom: float


@dataclass
class Name:
    """A band that is there now; its edges (Hz) and confidence are medians over the last second's frames."""

    label: str
    bands: list[Band]

    @property
    def low(self) -> float:
        return median(b.freq_lower_edge for b in self.bands)

    @property
    def high(self) -> float:
        return median(b.freq_upper_edge for b in self.bands)

    @property
    def center(self) -> float:
        return (self.low + self.high) / 2

    @property
    def confidence(self) -> float:
        return median(b.confidence for b in self.bands)

    def holds(self, band: Band, narrow: float) -> bool:
        """Whether a band stands where the first of these stood, give or take half its width or `narrow`, Hz."""
        first = self.bands[0]
        away = abs(first.freq_lower_edge + first.freq_upper_edge - band.freq_lower_edge - band.freq_upper_edge) / 2
        return away < max((band.freq_upper_edge - band.freq_lower_edge) / 2, narrow)


class Picture:
    """The last ROWS rows and their bands; the axis follows the newest tuning, older rows stand at their own frequency.

    levels: float32 [ROWS, COLUMNS], dB, newest first, on the axis of the newest tuning; NaN where nothing is known.
    center_freq, samp_rate: of that axis, Hz. Samples that were left out (a retune, a gap) are one row of NaN.
    """

    def __init__(self) -> None:
        self.levels = np.full((ROWS, COLUMNS), np.nan, np.float32)
        self.center_freq = self.samp_rate = 0.0
        self.records: deque[Record] = deque(maxlen=RECORDS)
        self._rows: deque[Frame] = deque(maxlen=ROWS)  # oldest first; a gap is a row whose power is NaN
        self._bounds = np.zeros(1)  # sample index at which each row begins, oldest first, and the end of the newest
        self._runs = BandRuns()

    def add(self, rows: list[Frame], records: list[Record]) -> None:
        """Takes what came, oldest first."""
        if rows:
            self._add_rows(rows)
        for record in records:
            self.records.append(record)
            self._runs.add(record)
        while self.records and _end(self.records[0]) < self._bounds[0]:
            self.records.popleft()
        if self.records:  # bounded, also where records come and rows do not
            self._runs.forget(self.records[0].sample_start)

    def _add_rows(self, rows: list[Frame]) -> None:
        fresh: list[Frame] = []
        for row in rows:
            before = fresh[-1] if fresh else self._rows[-1] if self._rows else None
            if before is not None and (at := before.sample_start + before.sample_count) != row.sample_start:
                fresh.append(_gap(row, at))
            fresh.append(row)
        fresh = fresh[-ROWS:]
        self._rows.extend(fresh)
        newest = self._rows[-1]
        ends = [newest.sample_start + newest.sample_count]
        self._bounds = np.array([r.sample_start for r in self._rows] + ends, np.float64)
        if (newest.center_freq, newest.samp_rate) != (self.center_freq, self.samp_rate):
            self.center_freq, self.samp_rate = newest.center_freq, newest.samp_rate
            self.levels[:] = np.nan
            fresh = list(self._rows)
        else:
            self.levels[len(fresh) :] = self.levels[: ROWS - len(fresh)]
        self.levels[: len(fresh)] = self._on_the_axis(fresh)[::-1]

    def _on_the_axis(self, rows: list[Frame]) -> np.ndarray:
        """-> dB [rows, COLUMNS], each row's columns put where the axis has their frequency."""
        power = np.concatenate([row.power for row in rows])
        levels = 10 * np.log10(np.where(power > 0, power, np.float32(np.nan)))
        tunings = np.array([(row.center_freq, row.samp_rate) for row in rows])
        offsets = (np.arange(COLUMNS) - COLUMNS // 2) / COLUMNS
        for center_freq, samp_rate in {tuple(t) for t in tunings} - {(self.center_freq, self.samp_rate)}:
            away = self.center_freq + offsets * self.samp_rate - center_freq
            column = np.rint(away / samp_rate * COLUMNS).astype(np.int64) + COLUMNS // 2
            there = (column >= 0) & (column < COLUMNS)
            at = np.flatnonzero((tunings == (center_freq, samp_rate)).all(axis=1))
            levels[at] = np.where(there, levels[at][:, np.clip(column, 0, COLUMNS - 1)], np.nan)
        return levels

    @property
    def frequencies(self) -> tuple[float, float]:
        """Lower edge of the first and upper edge of the last column, Hz: DC is the middle of column F / 2."""
        low = self.center_freq - (COLUMNS + 1) / 2 * self.samp_rate / COLUMNS
        return low, low + self.samp_rate

    def scale(self) -> tuple[float, float]:
        """-> (floor, loudest) in dB: the 10th percentile of what is known, and what the colours should reach."""
        known = self.levels[::2, ::2]
        known = known[np.isfinite(known)]
        if not known.size:
            return 0.0, LOUD_DB
        floor, loud = np.percentile(known, [10, 99.5])
        return float(floor), float(max(loud, floor + LOUD_DB))

    def rows_of(self, samples: np.ndarray | float) -> np.ndarray:
        """Absolute sample indices -> rows from the newest sample, 0 to ROWS, fractions kept."""
        return len(self._rows) - np.interp(samples, self._bounds, np.arange(len(self._bounds)))

    def sample_of(self, row: float) -> float:
        """The inverse."""
        return float(np.interp(len(self._rows) - row, np.arange(len(self._bounds)), self._bounds))

    def boxes(self) -> list[Box]:
        """The runs of bands that ended last, as far as their rows are there."""
        runs = sorted(self._runs.runs(), key=lambda run: run.end)[-BOXES:]
        tops, bottoms = self.rows_of([r.end for r in runs]), self.rows_of([r.start for r in runs])
        return [
            Box(run.label, run.freq_lower_edge, run.freq_upper_edge, top, bottom)
            for run, top, bottom in zip(runs, tops, bottoms, strict=True)
            if bottom > top
        ]

    def names(self) -> list[Name]:
        """The bands of the last second, lowest first; flickers and narrow others stay without a name."""
        since = self._bounds[-1] - NAMED_S * self.samp_rate
        recent = [r for r in self.records if _end(r) > since and r.center_freq == self.center_freq]
        recent = recent[:: 1 + len(recent) // LOOKED_AT]
        names: list[Name] = []
        for band in (b for record in recent for b in record.bands):
            width, narrow = band.freq_upper_edge - band.freq_lower_edge, NARROW * self.samp_rate
            known = next((n for n in names if n.label == band.label and n.holds(band, narrow)), None)
            if known is not None:
                known.bands.append(band)
            elif band.label != "other" or width >= narrow:
                names.append(Name(band.label, [band]))
        low, high = self.frequencies
        kept = [n for n in names if 4 * len(n.bands) >= len(recent) and n.low < high and n.high > low]
        return sorted(kept, key=lambda n: n.center)

    def find(self, freq: float, row: float) -> tuple[Record, Band | None] | None:
        """What was found at a frequency (Hz) and row: the record, and its narrowest band there; None without a record."""
        sample = self.sample_of(row)
        record = next((r for r in reversed(self.records) if r.sample_start <= sample < _end(r)), None)
        if record is None:
            return None
        bands = [b for b in record.bands if b.freq_lower_edge <= freq <= b.freq_upper_edge]
        return record, min(bands, key=lambda b: b.freq_upper_edge - b.freq_lower_edge, default=None)


def _end(record: Record) -> int:
    return record.sample_start + record.sample_count


def _gap(after: Frame, at: int) -> Frame:
    """A row for the samples from `at` to the row `after`."""
    nothing = np.full((1, COLUMNS), np.nan, np.float32)
    return Frame(after.index, nothing, at, after.sample_start - at, after.center_freq, after.samp_rate, None)
