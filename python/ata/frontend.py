# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From samples to the network's image: the model file's front end, on the C++ kernel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from . import _kernel
from .errors import AtaError
from .levels import decibels, percentile

if TYPE_CHECKING:
    from .model import ModelFile, Normalise

SAMP_RATES = (0.5e6, 245.76e6)  # Hz, accepted
SAME_RATE = 1e-3  # of a rate: a clock that divides to something this near gives the one that was asked for
FRAME_MS = (0.5, 100.0)  # ms, accepted
SHORTEST_FRAME = 1024  # samples


def frame_samples(samp_rate: float, frame_ms: float) -> int:
    """Samples of a frame of `frame_ms` ms at `samp_rate` Hz; AtaError outside the accepted ranges."""
    if not SAMP_RATES[0] * (1 - SAME_RATE) <= samp_rate <= SAMP_RATES[1] * (1 + SAME_RATE):
        raise AtaError(f"the sample rate is {samp_rate / 1e6:g} MS/s; it has to be between 0.5 and 245.76 MS/s")
    if not FRAME_MS[0] <= frame_ms <= FRAME_MS[1]:
        raise AtaError(f"the frame is {frame_ms:g} ms long; it has to be between 0.5 and 100 ms")
    count = round(frame_ms * 1e-3 * samp_rate)
    if count < SHORTEST_FRAME:
        raise AtaError(
            f"a frame of {frame_ms:g} ms at {samp_rate / 1e6:g} MS/s has {count} samples; "
            f"it needs at least {SHORTEST_FRAME}, so make the frame longer"
        )
    return count


class FrontEnd:
    """Samples in chunks of any size to frames of mean power.

    Args:
        rows, columns: T and F of the image.
        overlap: share of a segment that the next one covers too.
        frame_samples: samples of a frame, at least 1024.

    Raises AtaError where the frame is too short for the image.
    """

    def __init__(self, rows: int, columns: int, overlap: float, frame_samples: int) -> None:
        if frame_samples < SHORTEST_FRAME:
            raise AtaError(f"a frame has {frame_samples} samples; it needs at least {SHORTEST_FRAME}")
        try:
            self.geometry = _kernel.Geometry(frame_samples, rows, columns, overlap)
        except ValueError as failure:
            raise AtaError(str(failure)) from None
        self._kernel = _kernel.Spectrogram(self.geometry)

    @property
    def position(self) -> int:
        """Samples of the frame in hand so far."""
        return self._kernel.position

    @property
    def complete(self) -> bool:
        """Whether the frame in hand has all its samples and waits for `finish`."""
        return self._kernel.complete

    def push(self, samples: np.ndarray) -> int:
        """complex64 [n] -> how many it took, up to the end of the frame in hand (0 when that is complete).

        Other Python threads run meanwhile. TypeError for samples of another type.
        """
        return self._kernel.push(np.ascontiguousarray(samples))

    def finish(self) -> np.ndarray:
        """-> float32 [T, F], mean |FFT|^2 per pixel, DC at column F / 2; the next frame begins.

        RuntimeError while samples of the frame are missing.
        """
        return self._kernel.finish()

    def discard(self) -> int:
        """Drops the frame in hand -> the samples that it held."""
        return self._kernel.discard()


def row_seconds(frame_samples: int, samp_rate: float, model: ModelFile) -> float:
    """Time from row to row of the image of a frame, s."""
    geometry = _kernel.Geometry(frame_samples, model.rows, model.columns, model.overlap)
    return geometry.hop * geometry.segments / model.rows / samp_rate


def network_image(power: np.ndarray, model: ModelFile, row: float, column: float) -> np.ndarray:
    """float32 [T, F] mean powers -> float32 [1, 1, T, F], what the model's network takes.

    row: s from row to row. column: Hz, a column's width.
    """
    image = normalise(power, model.normalise)
    if model.legend:
        write_legend(image, row, column)
    return image[None, None]


def write_legend(image: np.ndarray, row: float, column: float) -> None:
    """Writes the scale of an image [T, F] into its column 0, which lies on half the sample rate.

    log10 of the time from row to row in us into the upper half of the rows, log10 of a column's width in kHz into the lower.
    """
    half = len(image) // 2
    image[:half, 0] = math.log10(row * 1e6)
    image[half:, 0] = math.log10(column * 1e-3)


def normalise(power: np.ndarray, n: Normalise) -> np.ndarray:
    """float32 [T, F] mean powers -> float32 [T, F] image: dB over the frame's floor, scaled and clipped.

    A frame of nothing but zeros becomes an image of zeros.
    """
    largest = power.max()
    if not largest > 0:
        return np.zeros_like(power)
    level = decibels(power / largest + np.float32(10 ** (n.floor_db / 10)))
    level -= np.float32(percentile(level, n.percentile))
    level /= np.float32(n.scale_db)
    return np.clip(level, *n.clip, out=level)
