# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture of a recording: its spectrogram with the bands drawn over it."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle

from .errors import AtaError
from .sensor import Analysis

COLOURS = {"LTE": "#ff9f1c", "NR": "#2ec4b6", "other": "#c8c8c8"}
MOST_ROWS = 2048  # of the picture's spectrogram; longer recordings are thinned out


class Spectrogram:
    """Collects analyses of one tuning and draws them; memory stays bounded however long the recording is."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._rows: list[tuple[int, np.ndarray]] = []
        self._thin = 1
        self._analyses: list[Analysis] = []
        self._seen = 0

    def add(self, analysis: Analysis) -> None:
        """Takes one frame; frames of another tuning than the first's are left out."""
        first = self._analyses[0].record if self._analyses else analysis.record
        record = analysis.record
        if (record.center_freq, record.samp_rate) != (first.center_freq, first.samp_rate):
            return
        self._analyses.append(Analysis(record, analysis.column_labels, np.empty(0)))
        step = record.sample_count / len(analysis.power)
        for i, row in enumerate(analysis.power):
            at = record.sample_start + int(i * step)
            if self._rows and at <= self._rows[-1][0]:
                continue
            if self._seen % self._thin == 0:
                self._rows.append((at, row))
            self._seen += 1
        while len(self._rows) > MOST_ROWS:
            self._rows = self._rows[::2]
            self._thin *= 2

    def save(self, path: str | Path) -> None:
        """Writes the PNG."""
        if not self._analyses:
            raise AtaError(f"{path}: there is no frame to draw")
        record = self._analyses[0].record
        last = self._analyses[-1].record
        duration = 1e3 * (last.sample_start + last.sample_count) / record.samp_rate
        level = 10 * np.log10(np.array([row for _, row in self._rows]) + 1e-30)
        level -= np.percentile(level, 10)
        low = (record.center_freq - record.samp_rate / 2) / 1e6
        high = (record.center_freq + record.samp_rate / 2) / 1e6
        figure, axes = plt.subplots(figsize=(11, 6), layout="constrained")
        image = axes.imshow(
            level, aspect="auto", extent=(low, high, duration, 0), cmap="viridis", vmin=-3,
            vmax=max(15.0, float(np.percentile(level, 99.5))), interpolation="nearest",
        )  # fmt: skip
        figure.colorbar(image, label="dB over the floor", pad=0.01)
        named = set()
        for analysis in self._analyses:
            self._draw(axes, analysis, named)
        axes.set(xlabel="MHz", ylabel="ms", title=self._title, xlim=(low, high), ylim=(duration, 0))
        try:
            figure.savefig(path, dpi=110)
        except OSError as failure:
            raise AtaError(f"{path} cannot be written: {failure.strerror}") from failure
        finally:
            plt.close(figure)

    def _draw(self, axes: plt.Axes, analysis: Analysis, named: set) -> None:
        record = analysis.record
        top = 1e3 * record.sample_start / record.samp_rate
        height = 1e3 * record.sample_count / record.samp_rate
        for band in record.bands:
            colour = COLOURS.get(band.label, "white")
            left, width = band.freq_lower_edge / 1e6, (band.freq_upper_edge - band.freq_lower_edge) / 1e6
            axes.add_patch(Rectangle((left, top), width, height, fill=False, edgecolor=colour, linewidth=1.6))
            place = (band.label, round(left + width / 2))
            if place in named or (band.label == "other" and width * 40e6 < record.samp_rate):
                continue
            named.add(place)
            text = f"{band.label}  {left + width / 2:.2f} MHz\n{width:.2f} MHz wide, {band.confidence:.0%}"
            axes.text(
                left + width / 2, top + 0.06 * height, text, color="black", fontsize=8, ha="center", va="top",
                bbox={"facecolor": colour, "edgecolor": "none", "alpha": 0.9, "pad": 2}, clip_on=True,
            )  # fmt: skip
