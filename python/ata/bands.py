# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the network's class scores to bands.

A band is a stripe over the whole frame, so each column's evidence is its mean over time; what follows works on columns.
Positions are in columns: column c covers [c - 0.5, c + 0.5).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .records import Band

OCCUPIED = 0.5  # evidence of a column that is inside a band
SURE = 0.65  # evidence that some column of a band has to reach
GAP_COLUMNS = 2  # a DC line's width, which splits no carrier
GAP_SHARE = 0.04  # of both sides' width: a fade; the guard between adjacent carriers is 10 %
MINORITY = 0.25  # of a run: what is less and calls itself otherwise is the same emitter
NARROWEST = {"LTE": 0.7e6, "NR": 0.7e6}  # Hz; the narrowest LTE carrier has 1.08 MHz (TS 36.104 5.6)
ON_DB = 1.0  # least rise over the noise of a row in which a band is on


def extract_bands(
    logits: np.ndarray, power: np.ndarray, classes: tuple[str, ...], center_freq: float, samp_rate: float
) -> tuple[list[Band], np.ndarray]:
    """Bands of one frame, lowest first, and the class of each column.

    logits: float32 [C, T, F], class 0 noise. power: float32 [T, F], the frame's mean power per pixel.
    center_freq, samp_rate: Hz. -> (bands, uint8 [F] class ids).
    """
    evidence = column_evidence(logits)
    columns = evidence.shape[1]
    width = samp_rate / columns
    occupied = 1 - evidence[0]
    labels = np.zeros(columns, np.uint8)
    runs = []
    for first, last in _runs(occupied >= OCCUPIED):
        if occupied[first:last].max() >= SURE:
            runs += _split(evidence[1:, first:last], first)
    runs = [r for r in _join(runs) if not _too_narrow(r, classes, columns, width)]
    noise = _noise(power, occupied)
    bands = []
    for first, last, kind in runs:
        labels[first:last] = kind
        low, high = _edge(occupied, first, -1), _edge(occupied, last - 1, 1)
        inside = power[:, first:last].mean(1)
        bands.append(
            Band(
                label=classes[kind],
                freq_lower_edge=center_freq + (low - columns / 2) * width,
                freq_upper_edge=center_freq + (high - columns / 2) * width,
                confidence=round(float(evidence[kind, first:last].mean()), 4),
                snr_db=_snr_db(float(inside.mean()), noise),
                duty_cycle=_duty_cycle(inside, noise if noise is not None else float(np.percentile(power, 5))),
            )
        )
    return bands, labels


def column_evidence(logits: np.ndarray) -> np.ndarray:
    """float32 [C, T, F] -> float32 [C, F], each class's mean probability over time."""
    odds = np.exp(logits - logits.max(0))
    return (odds / odds.sum(0)).mean(1)


def _runs(inside: np.ndarray) -> list[tuple[int, int]]:
    """bool [F] -> (first, last + 1) of every run of True."""
    change = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in change.reshape(-1, 2)]


def _split(evidence: np.ndarray, first: int) -> list[tuple[int, int, int]]:
    """Evidence [C - 1, n] of an occupied run -> (first, last + 1, class) parts; small minorities go to a neighbour."""
    kinds = evidence.argmax(0) + 1
    bounds = [0, *(np.flatnonzero(np.diff(kinds)) + 1), len(kinds)]
    parts = [[int(a), int(b), int(kinds[a])] for a, b in pairwise(bounds)]
    while len(parts) > 1:
        index = min(range(len(parts)), key=lambda i: parts[i][1] - parts[i][0])
        a, b, _ = parts[index]
        if b - a >= max(3, MINORITY * len(kinds)):
            break
        beside = [i for i in (index - 1, index + 1) if 0 <= i < len(parts)]
        heir = max(beside, key=lambda i: parts[i][1] - parts[i][0])
        parts[heir][:2] = min(a, parts[heir][0]), max(b, parts[heir][1])
        del parts[index]
        parts = _same_joined(parts)
    return [(first + a, first + b, kind) for a, b, kind in parts]


def _same_joined(parts: list[list[int]]) -> list[list[int]]:
    joined = [parts[0]]
    for part in parts[1:]:
        if part[2] == joined[-1][2]:
            joined[-1][1] = part[1]
        else:
            joined.append(part)
    return joined


def _join(runs: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Closes the gaps that a DC line or a fade tears into a carrier."""
    joined: list[tuple[int, int, int]] = []
    for first, last, kind in runs:
        if joined and joined[-1][2] == kind:
            before = joined[-1]
            widths = before[1] - before[0] + last - first
            if 0 < first - before[1] <= max(GAP_COLUMNS, GAP_SHARE * widths):
                joined[-1] = (before[0], last, kind)
                continue
        joined.append((first, last, kind))
    return joined


def _too_narrow(run: tuple[int, int, int], classes: tuple[str, ...], columns: int, width: float) -> bool:
    """Whether a run is too narrow for its class; one that the band's edge cuts may be the rest of a wider carrier."""
    first, last, kind = run
    cut = (first == 0 or last == columns) and last - first > 2
    return not cut and (last - first) * width < NARROWEST.get(classes[kind], 0.0)


def _edge(occupied: np.ndarray, column: int, outwards: int) -> float:
    """Where the evidence falls through one half outside an outermost column; the band's end where it does not."""
    beyond = column + outwards
    if not 0 <= beyond < len(occupied):
        return column + 0.5 * outwards
    inner, outer = float(occupied[column]), float(occupied[beyond])
    if inner <= outer:  # another band follows at once
        return column + 0.5 * outwards
    return column + outwards * min(1.0, max(0.0, (inner - OCCUPIED) / (inner - outer)))


def _noise(power: np.ndarray, occupied: np.ndarray) -> float | None:
    """Mean power of a noise pixel: the median noise column's; None where there is none."""
    quiet = occupied < 1 - SURE
    return float(np.median(power[:, quiet].mean(0))) if quiet.any() else None


def _snr_db(power: float, noise: float | None) -> float | None:
    if not noise or not power > 0:
        return None
    return round(10 * float(np.log10(power / noise)), 2)


def _duty_cycle(rows: np.ndarray, noise: float) -> float:
    """Share of rows whose power, float32 [T], is over half way (in dB) from the noise to what the band reaches."""
    strong = float(np.percentile(rows, 95))
    if not noise > 0 or strong < noise * 10 ** (2 * ON_DB / 10):
        return 1.0
    return round(float((rows > np.sqrt(noise * strong)).mean()), 4)
