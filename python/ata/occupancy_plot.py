# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture of occupancy: frequency from left to right, time downwards, each band as strong as it was on."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from matplotlib import pyplot as plt
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.patches import Rectangle

from .errors import AtaError
from .occupancy import Occupancy, Occupied, SweepSpan, covers
from .plot import COLOURS, write_figure

MOST_MOMENTS = 400  # that a picture has room for; more sweeps are averaged
FAINTEST = 0.15  # opacity of a band that was hardly on


def draw_occupancy(store: Occupancy, path: str | Path) -> None:
    """Writes the PNG. AtaError where nothing was swept or the file cannot be written."""
    sweeps, each, duty = store.history(MOST_MOMENTS)
    if not sweeps:
        raise AtaError(f"{path}: there is no sweep to draw")
    moments = [sweeps[i : i + each] for i in range(0, len(sweeps), each)]
    times = _times(moments)
    figure, axes = plt.subplots(figsize=(12, 6), layout="constrained")
    for moment, (begun, ended) in zip(moments, times, strict=True):
        for low, high in {(s.freq_lower_edge / 1e6, s.freq_upper_edge / 1e6) for s in moment}:
            axes.add_patch(Rectangle((low, begun), high - low, ended - begun, facecolor="#22303a", linewidth=0))
    bands = store.bands()
    for band in bands:
        _draw_band(axes, band, moments, times, duty.get(band.id, {}))
    _name(axes, bands)
    low, high = min(s.freq_lower_edge for s in sweeps) / 1e6, max(s.freq_upper_edge for s in sweeps) / 1e6
    axes.set(xlabel="MHz", xlim=(low, high), ylim=(max(ended for _, ended in times), times[0][0]))
    locator = AutoDateLocator()
    axes.yaxis.set_major_locator(locator)
    axes.yaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))
    plural = "s" if len(sweeps) > 1 else ""
    figure.suptitle(f"{len(sweeps)} sweep{plural}, {sweeps[0].begun[:19]} to {sweeps[-1].ended[:19]} UTC", fontsize=12)
    write_figure(figure, path)


def _times(moments: list[list[SweepSpan]]) -> list[tuple[float, float]]:
    """Begin and end of each moment in days, up to the next one's begin unless the scan paused there; they overlap where
    several scans keep one file."""
    days = [(_days(m[0].begun), max(_days(s.ended) for s in m)) for m in moments]
    spans = []
    for at, (begun, ended) in enumerate(days):
        following = days[at + 1][0] if at + 1 < len(days) else ended
        spans.append((begun, max(ended, following) if following - ended < ended - begun else ended))
    return spans


def _days(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() / 86400


def _draw_band(
    axes: plt.Axes, band: Occupied, moments: list[list[SweepSpan]], times: list[tuple[float, float]], duty: dict[int, float]
) -> None:
    low, width = band.freq_lower_edge / 1e6, (band.freq_upper_edge - band.freq_lower_edge) / 1e6
    for moment, total in duty.items():
        covered = sum(
            covers(s.freq_lower_edge, s.freq_upper_edge, band.freq_lower_edge, band.freq_upper_edge) for s in moments[moment]
        )
        begun, ended = times[moment]
        axes.add_patch(Rectangle(
            (low, begun), width, ended - begun, facecolor=COLOURS.get(band.label, "white"), linewidth=0,
            alpha=FAINTEST + (1 - FAINTEST) * min(1.0, total / max(1, covered)),
        ))  # fmt: skip


def _name(axes: plt.Axes, bands: list[Occupied]) -> None:
    """A name over each band, the longest-seen first; those without room have none."""
    low, high = (min(b.freq_lower_edge for b in bands), max(b.freq_upper_edge for b in bands)) if bands else (0, 1)
    taken: list[float] = []
    for band in sorted(bands, key=lambda b: -b.seen):
        middle = (band.freq_lower_edge + band.freq_upper_edge) / 2
        if any(abs(middle - other) < (high - low) / 24 for other in taken):
            continue
        taken.append(middle)
        axes.annotate(f"{band.label}\n{band.duty_cycle:.0%}", (middle / 1e6, 1.0), xycoords=("data", "axes fraction"),
                      xytext=(0, 3), textcoords="offset points", ha="center", va="bottom", fontsize=8)  # fmt: skip
