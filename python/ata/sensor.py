# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples in, detections out: the whole chain without GNU Radio."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .bands import extract_bands
from .engines.choose import open_engine
from .errors import AtaError
from .frontend import SHORTEST_FRAME, FrontEnd, frame_samples, network_image, row_seconds
from .model import read_model
from .recordings import Capture, Recording
from .records import Record, utc
from .stream import Frame, FrameStream

log = logging.getLogger("ata")
READ = 1 << 18  # samples read from a recording at once


@dataclass(frozen=True)
class Analysis:
    """A frame's record, the class of each column (uint8 [F], lowest frequency first) and its power (float32 [T, F])."""

    record: Record
    column_labels: np.ndarray
    power: np.ndarray


class Sensor:
    """A model, an engine and the settings of a run.

    Args:
        samp_rate: Hz.
        center_freq: Hz.
        model: path of a model file; None for the shipped one.
        engine: name, or "auto" for the best that works here.
        frame_ms: frame duration, ms; None for the model's own.
        alone: the samples wait while a frame is analysed, so that the engine may take several cores.

    Raises AtaError, with a sentence, for what cannot work.
    """

    def __init__(
        self,
        samp_rate: float,
        center_freq: float = 0.0,
        model: str | Path | None = None,
        engine: str = "auto",
        frame_ms: float | None = None,
        alone: bool = False,
    ) -> None:
        self.model = read_model(model)
        self.frame_ms = float(self.model.default_frame_ms if frame_ms is None else frame_ms)
        self.samp_rate, self.center_freq = float(samp_rate), float(center_freq)
        self._warned = False
        frame_samples(samp_rate, self.frame_ms)
        self._warn_of(samp_rate)
        self.engine = open_engine(self.model, engine, alone)

    def _warn_of(self, samp_rate: float) -> None:
        """One warning outside what the model was trained for."""
        m = self.model
        trained = m.samp_rate[0] <= samp_rate <= m.samp_rate[1] and m.frame_ms[0] <= self.frame_ms <= m.frame_ms[1]
        if not trained and not self._warned:
            self._warned = True
            log.warning(
                "%g MS/s in frames of %g ms is outside what %s was trained for (%g to %g MS/s, %g to %g ms)",
                samp_rate / 1e6, self.frame_ms, m.name, m.samp_rate[0] / 1e6, m.samp_rate[1] / 1e6, *m.frame_ms,
            )  # fmt: skip

    def stream(self, settle_samples: int = 0) -> FrameStream:
        """Frames for this sensor."""
        return FrameStream(self.model, self.samp_rate, self.center_freq, self.frame_ms, settle_samples)

    def analyse(
        self, frame: Frame, tail: bool = False, dropped_frames: int = 0, arrived: float | None = None
    ) -> Analysis:
        """A frame -> what it holds. arrived: `time.monotonic()` at its last sample, where somebody waits."""
        self._warn_of(frame.samp_rate)
        row = row_seconds(frame.sample_count, frame.samp_rate, self.model)
        image = network_image(frame.power, self.model, row, frame.samp_rate / self.model.columns)
        logits = self.engine.run(image)[0]
        bands, labels = extract_bands(logits, frame.power, self.model.classes, frame.center_freq, frame.samp_rate)
        record = Record(
            frame=frame.index,
            sample_start=frame.sample_start,
            sample_count=frame.sample_count,
            time=utc(*frame.time) if frame.time else None,
            center_freq=frame.center_freq,
            samp_rate=frame.samp_rate,
            model=self.model.name,
            engine=self.engine.name,
            tail=tail,
            dropped_frames=dropped_frames,
            latency_ms=None if arrived is None else round(1e3 * (time.monotonic() - arrived), 3),
            bands=tuple(bands),
        )
        return Analysis(record, labels, frame.power)


def replay(sensor: Sensor, recording: Recording) -> Iterator[Analysis]:
    """Every sample of a recording, frame by frame; each part between retunes ends with a frame moved back to its end.

    A part shorter than a frame is one frame of its own length; parts below 1024 samples, or too short for the model's
    image, are left out with a warning, and counted as a dropped frame. Indices are those of the block, which drops what is
    moved back or shortened here.
    AtaError where nothing else is there.
    """
    shortest = max(SHORTEST_FRAME, sensor.model.rows + sensor.model.columns - 1)  # a segment a row, one sample apart
    longest = max(capture.count for capture in recording.captures)
    if longest < shortest:
        raise AtaError(f"{recording.path} has only {longest} samples at one frequency; a frame needs {shortest}")
    index = dropped = 0
    for capture in recording.captures:
        if capture.count < shortest:
            log.warning(
                "%d samples at %.6f MHz from sample %d on are too few for a frame and are left out",
                capture.count, capture.center_freq / 1e6, capture.start,
            )  # fmt: skip
            index, dropped = index + 1, dropped + 1
            continue
        whole = frame_samples(recording.samp_rate, sensor.frame_ms)
        length = min(whole, capture.count)
        starts = list(range(0, capture.count - length + 1, length))
        if starts[-1] + length < capture.count:
            starts.append(capture.count - length)
        front = FrontEnd(sensor.model.rows, sensor.model.columns, sensor.model.overlap, length)
        for start in starts:
            frame = _read_frame(front, recording, capture, start, index)
            yield sensor.analyse(frame, tail=start % whole != 0 or length < whole, dropped_frames=dropped)
            index += 1


def _read_frame(front: FrontEnd, recording: Recording, capture: Capture, start: int, index: int) -> Frame:
    at = capture.start + start
    while not front.complete:
        count = min(READ, front.geometry.frame_samples - front.position)
        front.push(recording.read(at + front.position, count))
    when = capture.time(start, recording.samp_rate)
    return Frame(
        index, front.finish(), at, front.geometry.frame_samples, capture.center_freq, recording.samp_rate, when
    )  # fmt: skip
