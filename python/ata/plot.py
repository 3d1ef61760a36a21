# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture of a recording: its spectrogram with the bands drawn over it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle

from .band_runs import BandRun, BandRuns
from .errors import AtaError
from .plot_style import COLOURS, LOUD_DB, NARROW, QUIET_DB
from .sensor import Analysis

MOST_ROWS = 2048  # of the whole picture; longer recordings are averaged over time
MOST_PANELS = 4  # tunings that fit beside each other
MOST_BANDS = 2000  # of a panel; of more the longest are drawn


@dataclass
class _Panel:
    """One tuning: its spectrogram in stretches, and the bands found in it."""

    center_freq: float
    samp_rate: float
    columns: int
    bands: BandRuns
    stretches: list[_Stretch] = field(default_factory=list)


@dataclass
class _Stretch:
    """Consecutive frames of one tuning: samples [start, end) and its rows of mean power, float32 [F].

    height: samples of a frame's row, the same for all of them; a part shorter than a frame has rows of its own height.
    """

    start: int
    end: int
    height: float
    rows: list[np.ndarray] = field(default_factory=list)
    total: np.ndarray | None = None  # float64 [F], of the `count` rows that become the next one
    count: int = 0

    def add(self, row: np.ndarray, thin: int) -> None:
        self.total = row.astype(np.float64) if self.total is None else self.total + row
        self.count += 1
        if self.count >= thin:
            self.settle()

    def settle(self) -> None:
        if self.total is not None:
            self.rows.append((self.total / self.count).astype(np.float32))
            self.total, self.count = None, 0

    def halve(self) -> None:
        self.rows = [np.mean(self.rows[i : i + 2], axis=0) for i in range(0, len(self.rows), 2)]


class Spectrogram:
    """Collects analyses and draws them, one panel per tuning; memory stays bounded however long the recording is."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._panels: dict[tuple[float, float], _Panel] = {}
        self._thin = 1
        self._left_out: set[tuple[float, float]] = set()

    def add(self, analysis: Analysis) -> None:
        """Takes one frame; frames of more tunings than there is room for are left out, and the title says so."""
        record, power = analysis.record, analysis.power
        tuning = (record.center_freq, record.samp_rate)
        if tuning not in self._panels and len(self._panels) == MOST_PANELS:
            self._left_out.add(tuning)
            return
        panel = self._panels.setdefault(tuning, _Panel(*tuning, power.shape[1], BandRuns(power.shape[1])))
        panel.bands.add(record)
        panel.bands.keep_longest(MOST_BANDS)
        end = record.sample_start + record.sample_count
        height = record.sample_count / len(power)
        last = panel.stretches[-1] if panel.stretches else None
        if last is None or record.sample_start > last.end or height != last.height:
            panel.stretches.append(_Stretch(record.sample_start, record.sample_start, height))
        stretch = panel.stretches[-1]
        first = round((stretch.end - record.sample_start) / height)  # a frame moved back repeats what is drawn
        for row in power[max(0, first) :]:
            stretch.add(row, self._thin)
        stretch.end = end
        self._bound()

    def _bound(self) -> None:
        stretches = [s for panel in self._panels.values() for s in panel.stretches]
        while sum(len(s.rows) for s in stretches) > max(MOST_ROWS, len(stretches)):
            self._thin *= 2
            for stretch in stretches:
                stretch.halve()

    def check(self, path: str | Path) -> None:
        """AtaError if the picture cannot be written there: said before the work, not after it."""
        try:
            with Path(path).open("ab"):
                pass
        except OSError as failure:
            raise AtaError(f"{path} cannot be written: {failure.strerror}") from failure

    def save(self, path: str | Path) -> None:
        """Writes the PNG. AtaError where there is nothing to draw or the file cannot be written."""
        if not self._panels:
            raise AtaError(f"{path}: there is no frame to draw")
        panels = sorted(self._panels.values(), key=lambda p: p.center_freq)
        for panel in panels:
            for stretch in panel.stretches:
                stretch.settle()
        figure, all_axes = plt.subplots(
            1, len(panels), figsize=(6 + 5 * len(panels), 6), sharey=True, squeeze=False, layout="constrained"
        )
        axes = list(all_axes[0])
        levels = [_levels(panel) for panel in panels]
        loud = max(LOUD_DB, *(float(np.percentile(level, 99.5)) for stretches in levels for level in stretches))
        for panel, level, ax in zip(panels, levels, axes, strict=True):
            image = _draw_panel(ax, panel, level, loud)
        figure.colorbar(image, ax=axes, label="dB over the floor", pad=0.01)
        duration = max(_ms(panel, panel.stretches[-1].end) for panel in panels)
        axes[0].set(ylabel="ms", ylim=(duration, 0))
        more = f" (and {len(self._left_out)} more tunings)" if self._left_out else ""
        figure.suptitle(self._title + more, fontsize=12, parse_math=False)  # $ is a letter, of a file's name
        write_figure(figure, path)


def write_figure(figure: plt.Figure, path: str | Path) -> None:
    """Writes a PNG and lets go of the figure. AtaError where the file cannot be written."""
    try:
        figure.savefig(path, dpi=110, format="png")
    except OSError as failure:
        raise AtaError(f"{path} cannot be written: {failure.strerror}") from failure
    finally:
        plt.close(figure)


def _levels(panel: _Panel) -> list[np.ndarray]:
    """Each stretch's rows in dB over the panel's floor, its 10th percentile."""
    levels = [10 * np.log10(np.array(s.rows) + 1e-30) for s in panel.stretches]
    floor = np.percentile(np.concatenate(levels), 10)
    return [level - floor for level in levels]


def _ms(panel: _Panel, samples: int) -> float:
    return 1e3 * samples / panel.samp_rate


def _draw_panel(axes: plt.Axes, panel: _Panel, levels: list[np.ndarray], loud: float) -> mpl.image.AxesImage:
    column = panel.samp_rate / panel.columns  # DC is the middle of column F / 2, so the picture begins half a one lower
    low = (panel.center_freq - (panel.columns + 1) / 2 * column) / 1e6
    high = low + panel.samp_rate / 1e6
    for stretch, level in zip(panel.stretches, levels, strict=True):
        image = axes.imshow(
            level, aspect="auto", extent=(low, high, _ms(panel, stretch.end), _ms(panel, stretch.start)),
            cmap="viridis", vmin=QUIET_DB, vmax=loud, interpolation="nearest",
        )  # fmt: skip
    for run in panel.bands.runs():
        _outline(axes, panel, run)
    _name_bands(axes, panel, high - low)
    axes.set(xlabel="MHz", xlim=(low, high))
    return image


def _outline(axes: plt.Axes, panel: _Panel, run: BandRun) -> None:
    left, top = run.freq_lower_edge / 1e6, _ms(panel, run.start)
    size = run.freq_upper_edge / 1e6 - left, _ms(panel, run.end) - top
    for colour, width in (("black", 3.2), (COLOURS.get(run.label, "white"), 1.6)):  # readable on every colour
        axes.add_patch(Rectangle((left, top), *size, fill=False, edgecolor=colour, linewidth=width))


def _name_bands(axes: plt.Axes, panel: _Panel, span: float) -> None:
    """One name per band that stays or comes back: the longest run of each place; neighbours stand on other heights."""
    named: list[tuple[str, float, int]] = []
    for run in sorted(panel.bands.runs(), key=lambda r: r.start - r.end):
        width = (run.freq_upper_edge - run.freq_lower_edge) / 1e6
        centre = (run.freq_upper_edge + run.freq_lower_edge) / 2e6
        again = any(label == run.label and abs(c - centre) < max(width / 2, NARROW * span) for label, c, _ in named)
        if again or (run.label == "other" and width < NARROW * span):
            continue
        taken = {level for _, c, level in named if abs(c - centre) < span / 6}
        level = next((i for i in range(8) if i not in taken), 0)
        named.append((run.label, centre, level))
        axes.annotate(
            f"{run.label}  {centre:.2f} MHz\n{width:.2f} MHz wide, {run.confidence:.0%}",
            (centre, _ms(panel, run.start)), parse_math=False, xytext=(0, -8 - 30 * level), textcoords="offset points",
            fontsize=8, color="black", ha="center", va="top", annotation_clip=False,
            bbox={"facecolor": COLOURS.get(run.label, "white"), "edgecolor": "black", "linewidth": 0.6, "pad": 2},
        )  # fmt: skip
