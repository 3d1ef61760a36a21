# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bands of a spectrogram that is wider than the network's image.

A carrier, or one of its ends, is in many windows of several widths, and each that shows it as one band with these edges
is a vote for it. Windows that show a gap in it are votes against it. Where two findings exclude each other the one with
more votes stands, and the finest windows say where its edges are.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import replace
from itertools import pairwise
from statistics import fmean, median

from .engines import Engine
from .model import ModelFile
from .records import Band
from .stitch import Wide
from .windows import Finding, Look, Window, look_through

FULLEST = 0.78  # of a window that a band may fill and still show what lies beside it
LEAST_COLUMNS = 32  # of a band in a window: there is little to go by in fewer
EDGE_COLUMNS = 3  # windows agree on an edge that they see no further apart
# Of a band, what a gap in it has to be to tell two carriers: the guards between two have 5 % of both (TS 36.104 5.6), a
# spur or a fade less.
GAP_SHARE = 0.02
LEAST_VOTE = 0.15
EXCLUDES = 0.25  # of the narrower of two bands: what overlaps more cannot be both


def find_bands(wide: Wide, model: ModelFile, engine: Engine) -> list[Band]:
    """-> the bands of a stitched spectrogram, lowest first; none where it is narrower than the network's image."""
    scales = look_through(wide, model, engine)
    found = [f for looks in scales for f in _whole(looks)]
    elected = sorted(((_vote(f, scales), f) for f in found), key=lambda e: -e[0])
    taken: list[Band] = []
    for vote, finding in elected:
        if vote >= LEAST_VOTE and not any(_exclude(finding.band, other) for other in taken):
            taken.append(_settle(finding, scales))
    return sorted(taken, key=lambda b: b.freq_lower_edge)


def _whole(looks: list[Look]) -> list[Finding]:
    """The bands of a scale with both their edges; those that no window holds are followed from window to window."""
    whole = []
    for finding in (f for look in looks for f in look.findings if not f.low_cut):
        end = _upper_end(finding, looks)
        if end is not None:
            whole.append(Finding(replace(finding.band, freq_upper_edge=end), finding.window, False, False))
    return whole


def _upper_end(finding: Finding | None, looks: list[Look]) -> float | None:
    """Where a band ends that a window's end may cut, Hz; None where the windows above lose it."""
    while finding and finding.high_cut:
        cut = finding.window.high
        above = [look for look in _around(looks, cut) if look.window.shows(cut)]
        on = [f for look in above for f in look.findings if _holds(f.band, cut)]
        finding = on[-1] if on else None
    return finding.band.freq_upper_edge if finding else None


def _vote(finding: Finding, scales: list[list[Look]]) -> float:
    """Mean confidence over the scales, less what speaks for a gap; those that show the band whole count twice."""
    band = finding.band
    total = weights = 0.0
    for looks in scales:
        finest = looks is scales[0]
        whole = any(_could_hold(look.window, band, finest) for look in _around(looks, band.freq_lower_edge))
        weight = 2.0 if whole else 1.0
        total += weight * _confidence(finding, looks, finest)
        weights += weight
    return total / weights * (1 - max(_gap_share(band, looks) for looks in scales))


def _confidence(finding: Finding, looks: list[Look], finest: bool) -> float:
    """Mean over a scale's windows that should show an edge of a band, 0 for those that do not."""
    band = finding.band
    heard = [
        max((f.band.confidence for f in look.findings if _same(finding, f)), default=0.0)
        for edge in (band.freq_lower_edge, band.freq_upper_edge)
        for look in _around(looks, edge)
        if look.window is finding.window or (look.window.shows(edge) and _could_show(look.window, band, finest))
    ]
    return fmean(heard) if heard else 0.0


def _gap_share(band: Band, looks: list[Look]) -> float:
    """How sure a scale is that a band is two: of the windows that show something where its clearest gap is, the share
    that shows the gap."""
    near = EDGE_COLUMNS * looks[0].window.column
    low, high = band.freq_lower_edge + near, band.freq_upper_edge - near
    least = GAP_SHARE * (band.freq_upper_edge - band.freq_lower_edge)
    inside = _overlapping(looks, low, high)
    gaps = [(a, b) for look in inside for a, b in _gaps(look) if low < a and b < high and b - a >= least]
    share = 0.0
    for middle in {(a + b) / 2 for a, b in gaps}:
        against = sum(a < middle < b for a, b in gaps)
        held = sum(_holds(f.band, middle) for look in inside for f in look.findings)
        share = max(share, against / (against + held))
    return share


def _gaps(look: Look) -> list[tuple[float, float]]:
    """What lies between two bands of a window, (Hz, Hz)."""
    return [(a.band.freq_upper_edge, b.band.freq_lower_edge) for a, b in pairwise(look.findings)
            if a.band.freq_upper_edge < b.band.freq_lower_edge]  # fmt: skip


def _holds(band: Band, freq: float) -> bool:
    return band.freq_lower_edge <= freq <= band.freq_upper_edge


def _around(looks: list[Look], freq: float) -> list[Look]:
    """The windows of a scale that a frequency is in."""
    return _overlapping(looks, freq, freq)


def _overlapping(looks: list[Look], low: float, high: float) -> list[Look]:
    first = bisect_left(looks, low, key=lambda look: look.window.high)
    return looks[first : bisect_right(looks, high, key=lambda look: look.window.low)]


def _could_show(window: Window, band: Band, finest: bool) -> bool:
    """Whether enough of a band is in a window to name it, and enough of what lies beside it."""
    visible = min(band.freq_upper_edge, window.high) - max(band.freq_lower_edge, window.low)
    enough = visible >= LEAST_COLUMNS * window.column or finest
    return enough and visible <= FULLEST * (window.high - window.low)


def _could_hold(window: Window, band: Band, finest: bool) -> bool:
    return window.shows(band.freq_lower_edge) and window.shows(band.freq_upper_edge) and _could_show(window, band, finest)


def _same(finding: Finding, other: Finding) -> bool:
    """Whether two windows show one and the same emitter, whatever they call it, as far as the second sees it."""
    near = EDGE_COLUMNS * max(finding.window.column, other.window.column)
    for edge, cut in (("freq_lower_edge", other.low_cut), ("freq_upper_edge", other.high_cut)):
        apart = abs(getattr(finding.band, edge) - getattr(other.band, edge))
        if other.window.shows(getattr(finding.band, edge)) and (cut or apart > near):
            return False
        if not other.window.shows(getattr(finding.band, edge)) and not cut and apart > near:
            return False
    return True


def _settle(finding: Finding, scales: list[list[Look]]) -> Band:
    """The band as all windows together see it: the label with most votes, the edges of the finest windows."""
    band = finding.band
    edges = band.freq_lower_edge, band.freq_upper_edge
    near = [look for looks in scales for edge in edges for look in _around(looks, edge)]
    shown = [f for look in near for f in look.findings if _same(finding, f)]
    same = [f for f in shown if not (f.low_cut or f.high_cut)] or shown
    votes: dict[str, float] = {}
    for f in same:
        votes[f.band.label] = votes.get(f.band.label, 0.0) + f.band.confidence
    label = max(votes, key=lambda name: votes[name])
    named = [f.band for f in same if f.band.label == label]
    levels = [b.snr_db for b in named if b.snr_db is not None]
    return replace(
        band,
        label=label,
        freq_lower_edge=_finest([f for f in (finding, *shown) if not f.low_cut], "freq_lower_edge"),
        freq_upper_edge=_finest([f for f in (finding, *shown) if not f.high_cut], "freq_upper_edge"),
        confidence=round(fmean(b.confidence for b in named), 4),
        snr_db=round(median(levels), 2) if levels else None,
        duty_cycle=round(median(b.duty_cycle for b in named), 4),
    )


def _finest(findings: list[Finding], edge: str) -> float:
    """Median of an edge over the finest windows that show it."""
    scale = min(f.window.scale for f in findings)
    return median(getattr(f.band, edge) for f in findings if f.window.scale == scale)


def _exclude(a: Band, b: Band) -> bool:
    both = min(a.freq_upper_edge, b.freq_upper_edge) - max(a.freq_lower_edge, b.freq_lower_edge)
    return both > EXCLUDES * min(a.freq_upper_edge - a.freq_lower_edge, b.freq_upper_edge - b.freq_lower_edge)
