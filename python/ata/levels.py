# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Percentiles and decibels in a fraction of the time that numpy's own take."""

from __future__ import annotations

import math

import numpy as np

MANY = 4096  # values from which on a look at some of them pays
STEP = 17  # one value in so many is looked at; odd, so that all columns of an image have their part in them
MARGIN = 2  # per cent by which those may be off; where they are off by more, it only takes longer


def percentile(values: np.ndarray, percent: float) -> float:
    """What `np.percentile` gives for float32 of any shape that hold no NaN."""
    flat = values.ravel()
    rank = percent / 100 * (len(flat) - 1)
    below = int(rank)
    above = min(below + 1, len(flat) - 1)
    if len(flat) >= MANY and percent + MARGIN < 50:  # most of them lie above and need not be put in order
        some = flat[::STEP]
        last = int((percent + MARGIN) / 100 * len(some))
        low = flat[flat <= np.partition(some, last)[last]]
        if len(low) > above:
            flat = low
    ordered = np.partition(flat, (below, above))
    low, high = float(ordered[below]), float(ordered[above])
    return low + (high - low) * (rank - below)


def decibels(power: np.ndarray) -> np.ndarray:
    """float32 of any shape, more than 0 -> 10 log10 of it, in place. numpy's log10 takes four times as long as its log."""
    np.log(power, out=power)
    power *= np.float32(10 / math.log(10))
    return power
