# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scanning: a narrow radio steps across a band, and what it saw becomes one spectrogram and one list of bands."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Protocol

from .engines import Engine
from .errors import AtaError
from .frontend import frame_samples, row_seconds
from .model import ModelFile
from .records import Band, utc
from .stitch import DC_REACH, Stitcher, Wide
from .stream import Frame
from .wide_bands import find_bands

USABLE = 0.75  # share of the sampled band that radios' filters leave whole
# Frames begin on a grid of this many seconds of the radio's own time. LTE frames and their synchronisation signals,
# TDD patterns and, by default, NR's SSBs repeat in it (TS 36.211 4, TS 38.213 4.1), so what steps took at different
# times still fits together row by row.
PERIOD = 0.02
LARGEST_SCAN = 4 << 30  # bytes of stitched spectrogram


@dataclass(frozen=True)
class Plan:
    """Where a sweep goes; all in Hz, columns being those of the steps and of the stitched spectrogram alike.

    first: centre of the lowest column of `columns`. centers: the frequencies to tune to. usable: columns of a step.
    frame_ms: how long to stay at each, ms.
    """

    low: float
    high: float
    samp_rate: float
    frame_ms: float
    column: float
    columns: int
    usable: int
    centers: tuple[float, ...]

    @property
    def first(self) -> float:
        return self.low + self.column / 2


def make_plan(
    low: float,
    high: float,
    samp_rate: float,
    model: ModelFile,
    frame_ms: float | None = None,
    step: float | None = None,
) -> Plan:
    """The steps of a sweep from `low` to `high`, Hz.

    frame_ms: ms at each step; None for the model's frame.
    step: Hz between two tunings, rounded down to whole columns; None for half of what is usable of the radio's band,
    which lets each step's DC be seen by its neighbours. In wider steps DC is bridged from the columns around it.
    AtaError, one sentence, for a sweep that cannot be made.
    """
    frame_ms = model.default_frame_ms if frame_ms is None else frame_ms
    frame_samples(samp_rate, frame_ms)
    column = samp_rate / model.columns
    usable = int(USABLE * model.columns) // 4 * 4
    stride = usable // 2 if step is None else int(step / column + 1e-6)
    if not low < high:
        raise AtaError(f"a scan from {low / 1e6:g} to {high / 1e6:g} MHz goes nowhere: --from has to be below --to")
    if high - low < samp_rate:
        raise AtaError(
            f"{low / 1e6:g} to {high / 1e6:g} MHz is less than the {samp_rate / 1e6:g} MHz that the radio sees at once: "
            "no scan is needed there"
        )
    if not 2 * DC_REACH < stride <= usable - 2 * DC_REACH:
        raise AtaError(
            f"a step of {(step or 0) / 1e6:g} MHz does not fit a radio of {samp_rate / 1e6:g} MS/s: it has to be between "
            f"{(2 * DC_REACH + 1) * column / 1e6:.3g} and {(usable - 2 * DC_REACH) * column / 1e6:.3g} MHz"
        )
    columns = int((high - low) / column + 1e-6)
    if columns * model.rows * 4 > LARGEST_SCAN:
        raise AtaError(
            f"{(high - low) / 1e9:g} GHz at {samp_rate / 1e6:g} MS/s needs {columns * model.rows * 4 / 2**30:.1f} GiB of "
            f"memory, over {LARGEST_SCAN >> 30}: scan it in parts, or at a higher rate"
        )
    count = 1 + -(-(columns - 1 - usable) // stride)
    middles = [min(usable // 2 + i * stride, columns - 1 - usable // 2) for i in range(count)]
    centers = tuple(low + (m + 0.5) * column for m in middles)
    return Plan(low, high, samp_rate, frame_ms, column, columns, usable, centers)


class Tuner(Protocol):
    """A radio that can be sent to a frequency."""

    def capture(self, center_freq: float) -> Frame:
        """Tunes, Hz, waits until the radio has settled, and takes one frame, which begins at a multiple of PERIOD.

        The frame says where the radio really went. AtaError where it cannot tune there, RadioLost where it gives no
        more samples.
        """
        ...

    def close(self) -> None:
        """Gives the radio back."""
        ...


@dataclass(frozen=True)
class Sweep:
    """One pass over the band. begun, ended: s since 1970. steps: taken, fewer than planned where it was stopped."""

    index: int
    begun: float
    ended: float
    plan: Plan
    steps: int
    model: str
    engine: str
    wide: Wide
    bands: tuple[Band, ...]

    @property
    def complete(self) -> bool:
        return self.steps == len(self.plan.centers)

    def to_json(self) -> str:
        """-> one line of JSON, without its end of line and without the spectrogram."""
        return json.dumps(
            {
                "sweep": self.index,
                "time": utc_of(self.begun),
                "time_end": utc_of(self.ended),
                "freq_lower_edge": self.wide.low,
                "freq_upper_edge": self.wide.high,
                "samp_rate": self.plan.samp_rate,
                "frame_ms": self.plan.frame_ms,
                "steps": self.steps,
                "complete": self.complete,
                "model": self.model,
                "engine": self.engine,
                "bands": [asdict(b) for b in self.bands],
            },
            allow_nan=False,
        )


class Scanner:
    """Sweeps over a plan.

    Args:
        plan: of `make_plan`.
        model, engine: what names the bands.

    Attributes: sweeps (how many have been made), failure (why the last one ended early: RadioLost
    where the radio went, any other AtaError of the tuner, or None).
    """

    def __init__(self, plan: Plan, model: ModelFile, engine: Engine) -> None:
        self._plan, self._model, self._engine = plan, model, engine
        self.sweeps = 0
        self.failure: AtaError | None = None

    def sweep(self, tuner: Tuner, goes_on: Callable[[int], bool] = lambda done: True) -> Sweep | None:
        """One pass; goes_on hears how many steps are done and says whether to take the next. It ends where the tuner
        fails: a radio that comes back counts its samples anew, and its steps would stand on another grid of 20 ms.

        What was taken until then is analysed in any case -> None where it is not even as wide as the radio's band.
        """
        plan = self._plan
        rows = self._model.rows
        row = row_seconds(frame_samples(plan.samp_rate, plan.frame_ms), plan.samp_rate, self._model)
        stitcher = Stitcher(plan.first, plan.columns, rows, plan.column, row, plan.usable)
        begun, clock = time.time(), time.monotonic()
        steps, self.failure = 0, None
        while steps < len(plan.centers) and goes_on(steps):
            try:
                frame = self._capture(tuner, plan.centers[steps])
            except AtaError as failure:
                self.failure = failure
                break
            stitcher.add(frame.power, frame.center_freq)
            steps += 1
        ended = begun + time.monotonic() - clock  # the date may be set meanwhile
        wide = stitcher.wide()
        if wide is None or wide.power.shape[1] < self._model.columns:
            return None
        bands = find_bands(wide, self._model, self._engine)
        index, self.sweeps = self.sweeps, self.sweeps + 1
        return Sweep(index, begun, ended, plan, steps, self._model.name, self._engine.name, wide, tuple(bands))

    def _capture(self, tuner: Tuner, center: float) -> Frame:
        frame = tuner.capture(center)
        if abs(frame.center_freq - center) > DC_REACH * self._plan.column:
            raise AtaError(f"the radio cannot be tuned to {center / 1e6:.6f} MHz: it went to {frame.center_freq / 1e6:.6f}")
        return frame


def utc_of(seconds: float) -> str:
    """Seconds since 1970 -> ISO 8601."""
    return utc(int(seconds), seconds % 1)
