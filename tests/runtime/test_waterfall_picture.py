# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the waterfall shows, without a screen: rows and records aligned by sample, retunes, gaps, names, bounds."""

import threading

import numpy as np
import pytest
from gnuradio.ata.records import Band, Record
from gnuradio.ata.stream import Frame
from gnuradio.ata.waterfall_picture import BOXES, COLUMNS, RECORDS, ROWS, Inbox, Picture

N = 1000  # samples of a row
RATE = 1e6
FREQ = 8e8


def row(index: int, column: int = 100, freq: float = FREQ, rate: float = RATE, start: int | None = None) -> Frame:
    """A row in which one column is 30 dB over the others."""
    power = np.ones((1, COLUMNS), np.float32)
    power[0, column] = 1000
    return Frame(index, power, N * index if start is None else start, N, freq, rate, None)


def record(index: int, *bands: tuple, start: int = 0, count: int = 10 * N, freq: float = FREQ) -> Record:
    found = tuple(Band(label, low, high, confidence, 10.0, 1.0) for label, low, high, confidence in bands)
    return Record(index, start, count, None, freq, RATE, "tiny-1", "none", False, 0, None, found)


def test_rows_stand_newest_first() -> None:
    picture = Picture()
    picture.add([row(i, column=i) for i in range(3)], [])
    picture.add([row(3, column=3)], [])
    assert [int(np.argmax(level)) for level in picture.levels[:4]] == [3, 2, 1, 0]
    assert np.isnan(picture.levels[4:]).all()
    assert picture.levels[0, 3] == pytest.approx(30) and picture.levels[0, 4] == pytest.approx(0)
    assert picture.frequencies == (FREQ - (COLUMNS + 1) / 2 * RATE / COLUMNS, FREQ + (COLUMNS - 1) / 2 * RATE / COLUMNS)


def test_boxes_lie_on_the_rows_of_their_samples() -> None:
    picture = Picture()
    picture.add([row(i) for i in range(30)], [record(0, ("LTE", 7.998e8, 8.001e8, 0.9), start=5 * N, count=10 * N + 500)])
    (box,) = picture.boxes()
    assert (box.bottom, box.top) == (25, 14.5)
    assert (box.label, box.low, box.high) == ("LTE", 7.998e8, 8.001e8)
    assert picture.sample_of(14.5) == 15 * N + 500
    picture.add([row(i) for i in range(30, 40)], [])
    assert (picture.boxes()[0].bottom, picture.boxes()[0].top) == (35, 24.5)
    picture.add([row(i) for i in range(40, 30 + ROWS)], [])
    assert picture.boxes() == [] and not picture.records


def test_consecutive_frames_are_one_box() -> None:
    picture = Picture()
    band = ("NR", 7.998e8, 8.001e8, 0.9)
    picture.add([row(i) for i in range(30)], [record(i, band, start=10 * N * i) for i in range(3)])
    assert [(b.top, b.bottom) for b in picture.boxes()] == [(0, 30)]


def test_rows_of_another_tuning_keep_their_frequency() -> None:
    """Column 100 at FREQ is column 100 - 64 when the radio moved up by 64 columns, and back again."""
    step = 64 * RATE / COLUMNS
    picture = Picture()
    picture.add([row(i) for i in range(5)], [record(0, ("LTE", FREQ, FREQ + 1e5, 0.9), count=5 * N)])
    picture.add([row(5, column=200, freq=FREQ + step)], [])
    assert picture.center_freq == FREQ + step
    assert np.nanargmax(picture.levels[0]) == 200
    assert all(np.nanargmax(level) == 36 for level in picture.levels[1:6])
    assert np.isnan(picture.levels[1:6, -64:]).all() and np.isfinite(picture.levels[1:6, :-64]).all()
    assert picture.boxes()[0].low == FREQ
    picture.add([row(6)], [])
    assert all(np.nanargmax(level) == 100 for level in picture.levels[2:7]), "the way back restores the old rows"
    picture.add([row(7, column=256, rate=2 * RATE, start=7 * N)], [])
    assert abs(np.nanargmax(picture.levels[1]) - (256 - 78)) <= 0, "half as far from the centre at twice the rate"


def test_what_was_left_out_is_one_empty_row() -> None:
    picture = Picture()
    picture.add([row(0), row(1), row(4), row(5)], [record(0, ("LTE", FREQ, FREQ + 1e5, 0.9), start=4 * N, count=2 * N)])
    assert np.isnan(picture.levels[2]).all() and np.isfinite(picture.levels[[0, 1, 3, 4]]).all()
    assert (picture.boxes()[0].top, picture.boxes()[0].bottom) == (0, 2)
    assert float(picture.rows_of(3 * N)) == 2.5


def test_names_are_what_is_there_now() -> None:
    picture = Picture()
    records = [
        record(i, ("LTE", 7.998e8 - 2e3 * (i % 3 == 0), 8.001e8, 0.8 + 0.1 * (i % 3 == 0)), start=10 * N * i)
        for i in range(100)
    ]
    flicker = record(60, ("NR", 8.0015e8, 8.002e8, 0.9), start=600 * N)
    narrow = [record(i, ("other", 8.003e8, 8.0031e8, 0.9), start=10 * N * i) for i in range(100)]
    picture.add([row(i) for i in range(1000)], [*records[:60], flicker, *records[60:], *narrow])
    (name,) = picture.names()
    assert (name.label, name.low, name.high, name.confidence) == ("LTE", 7.998e8, 8.001e8, 0.8)
    picture.add([row(i) for i in range(1000, 2001)], [])
    assert picture.names() == [], "not named a second after it was last seen"


def test_a_place_finds_its_record() -> None:
    picture = Picture()
    wide, inner = ("LTE", 7.996e8, 8.004e8, 0.9), ("NR", 7.999e8, 8.001e8, 0.7)
    picture.add([row(i) for i in range(30)], [record(i, wide, inner, start=10 * N * i) for i in range(2)])
    found, band = picture.find(8e8, row=15)
    assert (found.frame, band.label) == (1, "NR")
    assert picture.find(7.997e8, row=25)[1].label == "LTE"
    assert picture.find(8.0045e8, row=25) == (picture.records[0], None)
    assert picture.find(8e8, row=5) is None


def test_colours_ignore_silence_and_span_what_is_there() -> None:
    picture = Picture()
    silence = Frame(0, np.zeros((1, COLUMNS), np.float32), 0, N, FREQ, RATE, None)
    assert picture.scale() == (0.0, 15.0)
    picture.add([silence], [])
    assert picture.scale() == (0.0, 15.0) and np.isnan(picture.levels[0]).all()
    loud = np.where(np.arange(COLUMNS) < 256, 1e-6, 1.0).astype(np.float32)[None]
    picture.add([Frame(i, loud, N * i, N, FREQ, RATE, None) for i in range(1, 9)], [])
    assert picture.scale() == pytest.approx((-60, 0), abs=1e-3)


def test_memory_is_bounded_whoever_comes_alone() -> None:
    inbox, picture = Inbox(), Picture()
    for i in range(3 * RECORDS):
        inbox.put_row(row(i))
        inbox.put_record(record(i, ("LTE", FREQ, FREQ + 1e4 * (i % 50), 0.9), start=N * i, count=N))
    rows, records = inbox.take()
    assert [r.index for r in rows] == list(range(3 * RECORDS - ROWS, 3 * RECORDS))
    assert [r.frame for r in records] == list(range(2 * RECORDS, 3 * RECORDS))
    assert inbox.take() == ([], [])
    for i in range(3 * RECORDS):  # records of a stream whose samples do not come here
        picture.add([], [record(i, ("LTE", FREQ, FREQ + 1e4 * (i % 50), 0.9), start=N * i, count=N)])
    assert len(picture.records) == RECORDS and len(picture._runs.runs()) <= RECORDS + 1
    picture.add([row(i) for i in range(3 * ROWS)], [])
    assert len(picture._rows) == ROWS and len(picture._bounds) == ROWS + 1


def test_of_too_many_boxes_the_newest_are_drawn() -> None:
    picture = Picture()
    records = [record(i, ("LTE", FREQ - 1e5 * (i % 2), FREQ + 1e5, 0.9), start=N * i, count=N) for i in range(ROWS)]
    picture.add([row(i) for i in range(ROWS)], records)
    assert sorted(box.top for box in picture.boxes()) == list(range(BOXES))


def test_the_inbox_loses_nothing_between_threads() -> None:
    inbox = Inbox()
    giver = threading.Thread(target=lambda: [inbox.put_row(row(i)) for i in range(ROWS)])
    giver.start()
    taken = []
    while giver.is_alive():
        taken += inbox.take()[0]
    giver.join()
    taken += inbox.take()[0]
    assert [r.index for r in taken] == list(range(ROWS))
