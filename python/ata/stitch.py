# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Spectrograms of a narrow radio, one for each step of a sweep, put together to one wide spectrogram.

All steps share one grid of columns, so a step is laid into the wide image without interpolation. Neighbours overlap:
their levels are matched there, and each fades into the next, away from the roll-off at its ends and from its DC line.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DC_REACH = 2  # columns on each side of DC that a line of the local oscillator and its 1/f noise take
DC_FADE = 12  # columns over which a step fades into its neighbours towards its DC
# Levels are compared in groups of columns and at several percentiles of their rows. Another gain moves all of these
# alike; a burst or a fade between two looks at a carrier moves some more than others.
GROUPS, PERCENTILES = 4, (3, 10, 30, 60, 90)
BELIEVED = 20  # percentile of the comparisons, from either end: a change that most of them ask for
LEVEL_MEMORY = 0.95  # of a step's correction handed on to the next: errors do not add up over hundreds of steps
TINY = 1e-30


@dataclass(frozen=True)
class Wide:
    """A stitched spectrogram: power float32 [T, F], its lower edge and a column's width in Hz, a row's duration in s."""

    power: np.ndarray
    low: float
    column: float
    row: float

    @property
    def high(self) -> float:
        """Upper edge, Hz."""
        return self.low + self.power.shape[1] * self.column


class Stitcher:
    """Steps of one sweep, lowest first, to one wide spectrogram.

    Args:
        low: Hz, centre of the wide image's first column.
        columns, rows: F and T of the wide image.
        column: Hz, width of a column in the steps and in the wide image.
        row: s, duration of a row.
        usable: columns of a step that its filter leaves whole, around its DC.
    """

    def __init__(self, low: float, columns: int, rows: int, column: float, row: float, usable: int) -> None:
        self._low, self._column, self._row, self._half = low, column, row, usable // 2
        self._sum = np.zeros((rows, columns), np.float32)
        self._weight = np.zeros(columns, np.float32)
        self._level_db = 0.0
        away = np.abs(np.arange(-self._half, self._half + 1))
        self._fade = (1 - away / (self._half + 1)) * np.clip((away - DC_REACH) / DC_FADE, 0, 1)

    def add(self, power: np.ndarray, center_freq: float) -> None:
        """Lays in a step: float32 [T, F] with DC at column F / 2, which is `center_freq`, Hz."""
        middle = round((center_freq - self._low) / self._column)
        first, last = max(0, middle - self._half), min(self._sum.shape[1], middle + self._half + 1)
        if first >= last:
            return
        shift = power.shape[1] // 2 - middle
        part = power[:, first + shift : last + shift]
        fade = self._fade[first - middle + self._half : last - middle + self._half].astype(np.float32)
        self._level_db = self._match(part, fade, first, last)
        self._sum[:, first:last] += part * (fade * np.float32(10 ** (self._level_db / 10)))
        self._weight[first:last] += fade

    def _match(self, part: np.ndarray, fade: np.ndarray, first: int, last: int) -> float:
        """-> dB by which a step is raised to meet what is there already; 0 unless all comparisons say up, or all down."""
        before = self._weight[first:last]
        both = np.flatnonzero((before > 0) & (fade > 0))
        if len(both) < GROUPS:
            return LEVEL_MEMORY * self._level_db
        there = np.percentile(self._sum[:, first:last][:, both] / before[both], PERCENTILES, axis=0)
        own = np.percentile(part[:, both], PERCENTILES, axis=0)
        apart = np.log10((there + TINY) / (own + TINY)) * ((there > 0) & (own > 0))  # silence is no level
        asked = 10 * np.array([np.median(group, axis=1) for group in np.array_split(apart, GROUPS, axis=1)])
        return LEVEL_MEMORY * float(np.clip(0.0, *np.percentile(asked, (BELIEVED, 100 - BELIEVED))))

    def wide(self) -> Wide | None:
        """-> what has been laid in, up to the last column that anything covers; None where nothing has. It takes the place
        of the sums: nothing can be laid in afterwards.
        """
        covered = np.flatnonzero(self._weight)
        if not len(covered):
            return None
        first, last = int(covered[0]), int(covered[-1]) + 1
        weight = self._weight[first:last]
        power = self._sum[:, first:last]
        power /= np.maximum(weight, np.float32(TINY))
        _bridge(power, weight == 0)
        return Wide(power, self._low + (first - 0.5) * self._column, self._column, self._row)


def _bridge(power: np.ndarray, holes: np.ndarray) -> None:
    """Fills columns that no step covers, in place: straight in dB from the column before to the one after, row by row.

    power: float32 [T, F]. holes: bool [F], never at the ends.
    """
    change = np.flatnonzero(np.diff(holes.astype(np.int8)))
    for before, last in change.reshape(-1, 2):
        share = np.arange(1, last - before + 1, dtype=np.float32) / np.float32(last - before + 1)
        left, right = (np.log(power[:, c, None] + np.float32(TINY)) for c in (before, last + 1))
        power[:, before + 1 : last + 1] = np.exp(left + share * (right - left))
