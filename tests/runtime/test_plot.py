# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of a recording: any number of tunings of any length, the signal where it is, memory bounded."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gnuradio.ata.band_runs import BandRuns
from gnuradio.ata.errors import AtaError
from gnuradio.ata.plot import MOST_PANELS, MOST_ROWS, Spectrogram, _Stretch
from gnuradio.ata.records import Band, Record
from gnuradio.ata.sensor import Analysis
from matplotlib.image import imread

RATE, COUNT, ROWS, COLUMNS = 2.56e6, 25_600, 64, 128


def frame(index: int, freq: float = 8e8, start: int | None = None, count: int = COUNT) -> Analysis:
    """Noise, 20 dB louder in the upper half of the band from the frame's middle on, where a band is reported."""
    start = COUNT * index if start is None else start
    power = np.random.default_rng(index).exponential(1.0, (ROWS, COLUMNS)).astype(np.float32)
    power[ROWS // 2 :, COLUMNS // 2 :] *= 100
    bands = (Band("LTE", freq, freq + RATE / 2, 0.9, 20.0, 0.5),)
    record = Record(index, start, count, None, freq, RATE, "m-1", "e", False, 0, None, bands)
    return Analysis(record, np.zeros(COLUMNS, np.uint8), power)


def drawn(frames: list[Analysis], path: Path) -> np.ndarray:
    """-> the PNG as RGBA, float [height, width, 4]."""
    picture = Spectrogram("test")
    for analysis in frames:
        picture.add(analysis)
    picture.save(path)
    return imread(path)


def test_the_signal_is_bright_where_and_when_it_is(tmp_path: Path) -> None:
    image = drawn([frame(0)], tmp_path / "p.png")
    # Viridis runs from dark violet to yellow: green grows with the level.
    green = image[:, :, 1]
    height, width = green.shape
    upper, lower = slice(int(0.25 * height), int(0.4 * height)), slice(int(0.6 * height), int(0.8 * height))
    left, right = slice(int(0.15 * width), int(0.4 * width)), slice(int(0.55 * width), int(0.8 * width))
    assert np.median(green[lower, right]) > 0.7
    for quiet in (green[lower, left], green[upper, left], green[upper, right]):
        assert np.median(quiet) < 0.5


def test_tunings_of_any_lengths_stand_beside_each_other(tmp_path: Path) -> None:
    one = drawn([frame(0)], tmp_path / "one.png")
    hops = [frame(0), frame(1), frame(2, 9e8), frame(3, 7e8, count=10_000), frame(4, start=8 * COUNT), frame(5, 6e8)]
    four = drawn(hops, tmp_path / "four.png")
    assert four.shape[1] > 2 * one.shape[1]
    more = drawn([*hops, *(frame(i, 5e8 + 1e6 * i) for i in range(6, 9))], tmp_path / "more.png")
    assert more.shape == four.shape


def test_long_recordings_keep_a_bounded_number_of_rows(tmp_path: Path) -> None:
    picture = Spectrogram("test")
    for index in range(40 * MOST_ROWS // ROWS):
        picture.add(frame(index, 8e8 + 1e6 * (index // 7 % MOST_PANELS)))
        kept = [s for panel in picture._panels.values() for s in panel.stretches]
        assert sum(len(s.rows) for s in kept) <= MOST_ROWS + len(kept)
    picture.save(tmp_path / "p.png")
    assert imread(tmp_path / "p.png").shape[2] == 4


def test_a_shorter_part_keeps_its_own_height(tmp_path: Path) -> None:
    """Captures of one frequency that follow each other in the file, with samples missing between them."""
    picture = Spectrogram("test")
    for analysis in frame(0), frame(1), frame(2, count=6400), frame(3, start=2 * COUNT + 6400):
        picture.add(analysis)
    (panel,) = picture._panels.values()
    assert [(s.start, s.end, len(s.rows)) for s in panel.stretches] == [
        (0, 2 * COUNT, 2 * ROWS),
        (2 * COUNT, 2 * COUNT + 6400, ROWS),
        (2 * COUNT + 6400, 3 * COUNT + 6400, ROWS),
    ]


def test_a_row_of_many_is_their_mean_and_holds_none_of_them() -> None:
    rows = np.random.default_rng(7).exponential(1.0, (1000, COLUMNS)).astype(np.float32)
    stretch = _Stretch(0, 0, 400.0)
    for row in rows:
        stretch.add(row, 1 << 20)
        held = [value for value in vars(stretch).values() if isinstance(value, list | np.ndarray)]
        assert sum(len(value) for value in held) == COLUMNS
    stretch.settle()
    np.testing.assert_allclose(stretch.rows, rows.mean(axis=0, dtype=np.float64, keepdims=True), rtol=1e-6)


def test_bands_that_come_and_go_for_days_stay_few(tmp_path: Path) -> None:
    """The longest of them are kept and drawn."""
    runs = BandRuns(COLUMNS)
    for index in range(300):
        for band in frame(index).record, frame(index, 9e8 + 1e6 * (index % 7)).record:
            runs.add(replace(band, sample_start=COUNT * index))
        runs.keep_longest(20)
    assert len(runs) <= 41


def test_a_name_is_no_formula(tmp_path: Path) -> None:
    picture = Spectrogram("a$_$b.sigmf-meta")
    picture.add(frame(0))
    picture.save(tmp_path / "p.png")
    assert imread(tmp_path / "p.png").shape[2] == 4


def test_a_picture_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AtaError, match="no frame to draw"):
        Spectrogram("test").save(tmp_path / "p.png")
