# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A spectrogram that is wider than the network's image, seen through windows of several widths that overlap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .bands import extract_bands
from .engines import Engine
from .frontend import network_image
from .model import ModelFile
from .records import Band
from .stitch import Wide

NARROWEST_WINDOW = 3.84e6  # Hz; the narrowest carrier, 1.08 MHz wide, fills a quarter of it
WIDEST_WINDOW = 160e6  # Hz; the widest NR carrier below 6 GHz has 100 MHz (TS 38.104 5.3.5)
HOPS = 4  # windows begin a quarter of their width apart: what is narrower than the other three quarters is whole in one
CUT_COLUMNS = 2  # a band that comes so near to a window's end goes on beyond it


@dataclass(frozen=True)
class Window:
    """Part of a wide spectrogram, `scale` columns to one of the image's; edges and column width in Hz."""

    first: int
    scale: int
    low: float
    high: float
    column: float

    def shows(self, freq: float) -> bool:
        """Whether an edge at `freq`, Hz, would be seen."""
        return self.low + CUT_COLUMNS * self.column <= freq <= self.high - CUT_COLUMNS * self.column


@dataclass(frozen=True)
class Finding:
    """A band as one window shows it, and which of its edges the window's ends cut."""

    band: Band
    window: Window
    low_cut: bool
    high_cut: bool


@dataclass(frozen=True)
class Look:
    """A window and what is in it."""

    window: Window
    findings: list[Finding]


def look_through(wide: Wide, model: ModelFile, engine: Engine) -> list[list[Look]]:
    """-> all windows of each scale, finest first, each scale from its lowest window to its highest.

    There are none where the spectrogram is narrower than the network's image.
    """
    return [[_look(wide, w, model, engine) for w in windows] for windows in _windows(wide, model.columns)]


def _windows(wide: Wide, image: int) -> list[list[Window]]:
    """The windows of each scale, finest first, each from the lowest to the highest."""
    total = wide.power.shape[1]
    found = []
    for scale in _scales(total, wide.column, image):
        span = scale * image
        count = 1 + -(-(total - span) * HOPS // span)
        firsts = sorted({round(f) for f in np.linspace(0, total - span, count)})
        lows = [wide.low + first * wide.column for first in firsts]
        found.append([
            Window(first, scale, low, low + span * wide.column, scale * wide.column)
            for first, low in zip(firsts, lows, strict=True)
        ])  # fmt: skip
    return found


def _scales(total: int, column: float, image: int) -> list[int]:
    """How many columns of the spectrogram make one of the image: powers of two, and what takes the most in."""
    if total < image:
        return []
    widest = min(total // image, max(1, int(WIDEST_WINDOW / (column * image))))
    scales = [1 << n for n in range(widest.bit_length())]
    if widest > 1.2 * scales[-1]:
        scales.append(widest)
    return [s for s in scales if s == widest or s * column * image >= NARROWEST_WINDOW]


def window_power(power: np.ndarray, first: int, scale: int, image: int) -> np.ndarray:
    """What a radio `scale` times as coarse would see: float32 [T, F] -> [T, image] from column `first` on.

    Its columns overlap as those of a Hann window do, with the same response.
    """
    if scale == 1:
        return power[:, first : first + image]
    away = np.arange(1 - 2 * scale, 2 * scale) / scale
    response = (np.sinc(away) + 0.5 * (np.sinc(away - 1) + np.sinc(away + 1))) ** 2
    taps = (response / response.sum()).astype(np.float32)
    low = first + scale // 2 - len(taps) // 2
    high = low + (image - 1) * scale + len(taps)
    beyond = ((0, 0), (max(0, -low), max(0, high - power.shape[1])))
    part = np.pad(power[:, max(0, low) : high], beyond, mode="edge")
    return np.lib.stride_tricks.sliding_window_view(part, len(taps), axis=1)[:, ::scale] @ taps


def _look(wide: Wide, window: Window, model: ModelFile, engine: Engine) -> Look:
    image = model.columns
    power = window_power(wide.power, window.first, window.scale, image)
    logits = engine.run(network_image(power, model, wide.row, window.column))[0]
    dc = window.low + (window.scale * (image // 2) + window.scale // 2 + 0.5) * wide.column  # middle of column F / 2
    bands, _ = extract_bands(logits, power, model.classes, dc, window.column * image, votes=True)
    findings = []
    for band in bands:
        low_cut = window.low > wide.low and not window.shows(band.freq_lower_edge)
        high_cut = window.high < wide.high - wide.column / 2 and not window.shows(band.freq_upper_edge)
        findings.append(Finding(band, window, low_cut, high_cut))
    return Look(window, findings)
