# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bands of consecutive frames, joined to one for as long as each stays."""

from __future__ import annotations

from dataclasses import dataclass

from .records import Band, Record

SAME_COLUMNS = 2  # edges that move by no more are the same band's
COLUMNS = 256


@dataclass
class BandRun:
    """A band over consecutive frames: samples [start, end), edges (Hz) and confidence as means over the frames."""

    label: str
    freq_lower_edge: float
    freq_upper_edge: float
    confidence: float
    start: int
    end: int
    frames: int = 1

    def extend(self, band: Band, end: int) -> None:
        self.frames += 1
        for name in ("freq_lower_edge", "freq_upper_edge", "confidence"):
            mean = getattr(self, name)
            setattr(self, name, mean + (getattr(band, name) - mean) / self.frames)
        self.end = end


class BandRuns:
    """Joins the bands of consecutive frames: same label, and edges within two columns of the run's own."""

    def __init__(self, columns: int = COLUMNS) -> None:
        self._columns = columns
        self._open: list[BandRun] = []
        self._done: list[BandRun] = []

    def add(self, record: Record) -> None:
        near = SAME_COLUMNS * record.samp_rate / self._columns
        before, self._open = self._open, []
        end = record.sample_start + record.sample_count
        for band in record.bands:
            run = next((r for r in before if record.sample_start <= r.end and _same(r, band, near)), None)
            if run is None:
                run = BandRun(
                    band.label, band.freq_lower_edge, band.freq_upper_edge, band.confidence, record.sample_start, end
                )
            else:
                before.remove(run)
                run.extend(band, end)
            self._open.append(run)
        self._done += before

    def forget(self, before: int) -> None:
        """Drops the runs that ended before this sample."""
        self._done = [run for run in self._done if run.end >= before]

    def keep_longest(self, most: int) -> None:
        """Drops the shortest of the runs that ended, once twice as many as `most` are there."""
        if len(self._done) >= 2 * most:
            self._done = sorted(self._done, key=lambda run: run.start - run.end)[:most]

    def runs(self) -> list[BandRun]:
        """All of them, those that still go on too, sorted by start."""
        return sorted(self._done + self._open, key=lambda r: (r.start, r.freq_lower_edge))

    def __len__(self) -> int:
        return len(self._done) + len(self._open)


def _same(run: BandRun, band: Band, near: float) -> bool:
    return (
        band.label == run.label
        and abs(band.freq_lower_edge - run.freq_lower_edge) <= near
        and abs(band.freq_upper_edge - run.freq_upper_edge) <= near
    )
