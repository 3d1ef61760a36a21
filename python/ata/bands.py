# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the network's class scores to bands.

A band is a stripe over the whole frame, and the network was taught so: it names a column of a carrier that is on for a
tenth of the frame in every row. So each column's evidence is its mean over time; what follows works on columns.
Positions are in columns: column c covers [c - 0.5, c + 0.5), and DC is the middle of column F / 2.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .levels import decibels, percentile
from .records import Band

OCCUPIED = 0.3  # evidence of not being noise that a column of a band has
SURE = 0.8  # the same, which some column of it has to reach
QUIET = 0.2  # of being occupied, under which a column counts as noise
DC_COLUMNS = 2  # a DC line's width, which splits no carrier
FAINT, FADE_SHARE = 0.2, 0.04  # a fade keeps some evidence and is narrow; the guard between carriers is 5 % of both
SMOOTH = 5  # columns; the network wavers between labels from column to column
CLEAR = 0.5  # evidence by which two labels have to differ for a border between them
LEAST_PART = 4  # columns that stand for themselves beside another label
NAMED = 0.5  # evidence of its own label that an LTE or NR band has in the mean; what has less is only something
MINORITY = 0.25  # of a run: what is less and has the same label on both sides is the same emitter
NARROWEST = {"LTE": 0.7e6, "NR": 0.7e6}  # Hz; the narrowest LTE carrier has 1.08 MHz (TS 36.104 5.6)
CUT_SHARE = 0.2  # of it, for a carrier that the end of the sampled band cuts
END = 8  # columns at either end in which a receiver's filter, and in column 0 the image's legend, may hide that it goes on
LINE_COLUMNS, LINE_BAND, LINE_SHARE = 3, 8, 0.95  # a tone's window response holds 3 columns; a carrier is flat
ON_DB = 1.0  # least rise over the noise of a row in which a band is on

Run = tuple[int, int, int]  # first column, last + 1, class


def extract_bands(
    logits: np.ndarray, power: np.ndarray, classes: tuple[str, ...], center_freq: float, samp_rate: float,
    votes: bool = False,
) -> tuple[list[Band], np.ndarray]:
    """Bands of one frame, lowest first, and the class of each column.

    logits: float32 [C, T, F], class 0 noise. power: float32 [T, F], the frame's mean power per pixel.
    center_freq, samp_rate: Hz. votes: the bands are votes on names, in which a doubted name gives `other` no more than
    the network does. -> (bands, uint8 [F] class ids).
    """
    evidence = column_evidence(logits)
    occupied = 1 - evidence[0]
    columns = len(occupied)
    width = samp_rate / columns
    runs: list[Run] = []
    for first, last in _runs(occupied >= OCCUPIED):
        if occupied[first:last].max() >= SURE:
            runs += [(first + a, first + b, kind) for a, b, kind in _split(evidence[1:, first:last])]
    runs, certainty = _unname(_close_gaps(runs, occupied), evidence, classes)
    if votes:
        certainty = evidence
    bands, labels = [], np.zeros(columns, np.uint8)
    if not runs:
        return bands, labels

    level, pixels_db = power.mean(0), decibels(power + np.float32(1e-30))
    quiet = occupied < QUIET
    noise = percentile(level[quiet], 50) if quiet.any() else None  # mean power of the median noise column
    floor = noise if noise is not None else percentile(power, 5)
    floor_db = percentile(pixels_db.mean(0)[quiet], 50) if quiet.any() else percentile(pixels_db, 5)
    for first, last, kind in runs:
        cut = first <= END or last >= columns - END
        narrow = (last - first) * width < NARROWEST.get(classes[kind], 0.0) * (CUT_SHARE if cut else 1)
        if classes[kind] in NARROWEST and (narrow or _is_line(level[first:last] - floor)):
            continue
        labels[first:last] = kind
        low, high = _edge(occupied, first, -1), _edge(occupied, last - 1, 1)
        bands.append(
            Band(
                label=classes[kind],
                freq_lower_edge=center_freq + (low - columns / 2) * width,
                freq_upper_edge=center_freq + (high - columns / 2) * width,
                confidence=round(float(certainty[kind, first:last].mean()), 4),
                snr_db=_snr_db(float(level[first:last].mean()), noise),
                duty_cycle=_duty_cycle(pixels_db[:, first:last].mean(1), floor_db),
            )
        )
    return bands, labels


def column_evidence(logits: np.ndarray) -> np.ndarray:
    """float32 [C, T, F] -> float32 [C, F], each class's mean probability over time."""
    odds = logits - logits.max(0)
    np.exp(odds, out=odds)
    odds /= odds.sum(0)
    return odds.mean(1)


def _runs(inside: np.ndarray) -> list[tuple[int, int]]:
    """bool [F] -> (first, last + 1) of every run of True."""
    change = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in change.reshape(-1, 2)]


def _split(evidence: np.ndarray) -> list[Run]:
    """Evidence [C - 1, n] of the occupied classes in a run -> its carriers.

    A border stands where the labels on both sides are clear; what is unclear, or a minority inside one carrier, goes to
    the wider neighbour, and what results bears the label that has most evidence in all of it.
    """
    columns = evidence.shape[1]
    window = np.ones(min(SMOOTH, columns))
    smooth = np.array([np.convolve(e, window, "same") for e in evidence])
    borders = [0, *(np.flatnonzero(np.diff(smooth.argmax(0))) + 1).tolist(), columns]
    total = np.concatenate([np.zeros((len(evidence), 1)), np.cumsum(evidence, 1)], 1)
    while True:
        parts = [(a, b, int((total[:, b] - total[:, a]).argmax())) for a, b in pairwise(borders)]
        weakest = min((p for p in range(len(parts)) if not _stands(parts, p, total)), key=lambda p: _width(parts[p]),
                      default=None)  # fmt: skip
        if weakest is None:
            return [(a, b, kind + 1) for a, b, kind in parts]
        heir = _wider_neighbour(parts, weakest)
        del borders[max(weakest, heir)]


def _width(part: Run) -> int:
    return part[1] - part[0]


def _wider_neighbour(parts: list[Run], index: int) -> int:
    return max((i for i in (index - 1, index + 1) if 0 <= i < len(parts)), key=lambda i: _width(parts[i]))


def _stands(parts: list[Run], index: int, total: np.ndarray) -> bool:
    """Whether a part is a carrier beside its neighbours. total: running sum of the evidence, [C - 1, n + 1]."""
    if len(parts) == 1:
        return True
    first, last, kind = parts[index]
    heir = parts[_wider_neighbour(parts, index)][2]
    part = total[:, last] - total[:, first]
    if _width(parts[index]) < LEAST_PART or part[kind] - part[heir] < CLEAR * (last - first):
        return False
    inside = 0 < index < len(parts) - 1 and parts[index - 1][2] == parts[index + 1][2]
    return not inside or _width(parts[index]) >= MINORITY * sum(_width(p) for p in parts[index - 1 : index + 2])


def _close_gaps(runs: list[Run], occupied: np.ndarray) -> list[Run]:
    """Joins runs of one label over the gaps that a DC line or a fade tears into a carrier."""
    joined: list[Run] = []
    dc = len(occupied) // 2
    for first, last, kind in runs:
        if joined and joined[-1][2] == kind:
            start, end, _ = joined[-1]
            gap = first - end
            at_dc = gap <= DC_COLUMNS and end <= dc + 1 and first >= dc
            fade = 0 < gap <= max(1, FADE_SHARE * (end - start + last - first)) and occupied[end:first].min() >= FAINT
            if gap and (at_dc or fade):
                joined[-1] = (start, last, kind)
                continue
        joined.append((first, last, kind))
    return joined


def _unname(runs: list[Run], evidence: np.ndarray, classes: tuple[str, ...]) -> tuple[list[Run], np.ndarray]:
    """Calls LTE and NR of which the network is not sure `other`, and joins what then is `other` without a gap.

    -> (runs, the evidence, in which such a column's of `other` is that of being occupied by anything but the name).
    """
    if "other" not in classes:
        return runs, evidence
    other = classes.index("other")
    certainty = evidence.copy()
    named: list[Run] = []
    for first, last, kind in runs:
        if classes[kind] in NARROWEST and evidence[kind, first:last].mean() < NAMED:
            certainty[other, first:last] = 1 - evidence[0, first:last] - evidence[kind, first:last]
            kind = other
        if named and kind == other and named[-1][1:] == (first, other):
            named[-1] = (named[-1][0], last, other)
        else:
            named.append((first, last, kind))
    return named, certainty


def _is_line(rise: np.ndarray) -> bool:
    """Whether a few columns' power over the noise, float [n], is that of a single tone."""
    if len(rise) > LINE_BAND:
        return False
    rise = np.maximum(rise, 0)
    peak = np.convolve(rise, np.ones(LINE_COLUMNS)).max()
    return bool(peak >= LINE_SHARE * rise.sum())


def _edge(occupied: np.ndarray, column: int, outwards: int) -> float:
    """Where a band ends beyond its outermost column, whose evidence and the next one's are the parts of them it fills."""
    beyond = column + outwards
    border = column + 0.5 * outwards
    if not 0 <= beyond < len(occupied) or occupied[beyond] >= OCCUPIED:  # the latter where another band follows at once
        return border
    return border + outwards * (float(occupied[column]) + float(occupied[beyond]) - 1)


def _snr_db(power: float, noise: float | None) -> float | None:
    if not noise or not power > 0:
        return None
    return round(10 * float(np.log10(power / noise)), 2)


def _duty_cycle(rows: np.ndarray, floor: float) -> float:
    """Share of rows whose level, float32 [T], is over half way from the floor to what the band reaches; all in dB.

    Levels are means of dB over the columns, in which the line of a local oscillator, always on, counts for little.
    """
    strong = percentile(rows, 95)
    if strong < floor + 2 * ON_DB:
        return 1.0
    return round(float((rows > (floor + strong) / 2).mean()), 4)
