# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps of known power, put together to the band that they were cut from."""

import numpy as np
import pytest
from gnuradio.ata.stitch import DC_REACH, Stitcher, Wide

ROWS, IMAGE, USABLE, COLUMN, LOW = 64, 256, 192, 10e3, 700e6  # LOW: Hz, lower edge of the band
ROW = 40e-3 / ROWS  # s
COLUMNS = 1500
CARRIER = slice(400, 900)  # columns


@pytest.fixture
def band() -> np.ndarray:
    """Noise of 24 looks a pixel and a carrier 20 dB over it, which is on in half of the rows: float32 [T, F]."""
    power = np.random.default_rng(1).gamma(24, 1 / 24, (ROWS, COLUMNS + 2 * IMAGE))
    power[::2, IMAGE + CARRIER.start : IMAGE + CARRIER.stop] *= 100
    return power.astype(np.float32)


def cut(band: np.ndarray, middle: int) -> np.ndarray:
    """What a radio tuned to column `middle` sees: a filter that falls at its ends, and a line at DC."""
    step = band[:, IMAGE + middle - IMAGE // 2 : IMAGE + middle + IMAGE // 2].copy()
    step[:, : (IMAGE - USABLE) // 2] *= 0.01
    step[:, (IMAGE + USABLE) // 2 + 1 :] *= 0.01
    step[:, IMAGE // 2 - 1 : IMAGE // 2 + 2] += 1e3
    return step


def stitch(band: np.ndarray, stride: int, gains_db: dict[int, float] | None = None) -> Wide:
    stitcher = Stitcher(LOW + COLUMN / 2, COLUMNS, ROWS, COLUMN, ROW, USABLE)
    for index, middle in enumerate(range(USABLE // 2, COLUMNS + USABLE // 2, stride)):
        gain = np.float32(10 ** ((gains_db or {}).get(index, 0.0) / 10))
        stitcher.add(gain * cut(band, middle), LOW + (middle + 0.5) * COLUMN)
    wide = stitcher.wide()
    assert wide is not None
    return wide


def in_db(ratio: np.ndarray) -> np.ndarray:
    return 10 * np.log10(ratio)


def test_steps_of_one_moment_give_the_band_back_pixel_by_pixel(band: np.ndarray) -> None:
    wide = stitch(band, USABLE // 2)
    assert (wide.low, wide.column, wide.power.shape) == (LOW, COLUMN, (ROWS, COLUMNS))
    assert wide.high == pytest.approx(LOW + COLUMNS * COLUMN)
    inside = slice(USABLE // 2 + DC_REACH + 1, -USABLE // 2)  # the first step's DC has one neighbour only
    np.testing.assert_allclose(wide.power[:, inside], band[:, IMAGE : IMAGE + COLUMNS][:, inside], rtol=1e-4)


@pytest.mark.parametrize("silent", [0, 4])
def test_a_silent_step_costs_no_other_its_level(band: np.ndarray, silent: int) -> None:
    """A driver that gives zeros after a retune."""
    stitcher = Stitcher(LOW + COLUMN / 2, COLUMNS, ROWS, COLUMN, ROW, USABLE)
    middles = range(USABLE // 2, COLUMNS + USABLE // 2, USABLE // 2)
    for index, middle in enumerate(middles):
        stitcher.add(cut(band, middle) * np.float32(index != silent), LOW + (middle + 0.5) * COLUMN)
    level = in_db(stitcher.wide().power.mean(0) / band[:, IMAGE : IMAGE + COLUMNS].mean(0) + 1e-30)
    beyond = np.abs(np.arange(COLUMNS) - middles[silent]) > USABLE // 2
    assert np.abs(level[beyond][USABLE // 2 :]).max() < 0.5


def test_where_no_neighbour_sees_it_dc_is_bridged(band: np.ndarray) -> None:
    stride = USABLE - 16
    wide = stitch(band, stride)
    truth = band[:, IMAGE : IMAGE + COLUMNS]
    level = in_db(wide.power.mean(0) / truth.mean(0))
    assert np.abs(level).max() < 1.5  # two pixels stand for five
    assert wide.power.max() < 1.01 * truth.max()


def test_other_gains_meet_at_the_noise(band: np.ndarray) -> None:
    rng = np.random.default_rng(2)
    gains = {step: float(rng.uniform(-8, 8)) for step in range(20)}
    wide = stitch(band, USABLE // 2, gains)
    level = in_db(np.median(wide.power / band[:, IMAGE : IMAGE + COLUMNS], axis=0))
    seams = np.abs(level[USABLE // 2 :] - level[: -USABLE // 2])
    assert np.median(seams) < 0.6 and seams.max() < 1.5


def test_a_carrier_that_fades_between_two_looks_moves_no_noise(band: np.ndarray) -> None:
    faded = band.copy()
    faded[:, IMAGE + CARRIER.start : IMAGE + CARRIER.stop] /= 8
    stitcher = Stitcher(LOW + COLUMN / 2, COLUMNS, ROWS, COLUMN, ROW, USABLE)
    for index, middle in enumerate(range(USABLE // 2, COLUMNS + USABLE // 2, USABLE // 2)):
        stitcher.add(cut(faded if index % 2 else band, middle), LOW + (middle + 0.5) * COLUMN)
    level = in_db(np.median(stitcher.wide().power / band[:, IMAGE : IMAGE + COLUMNS], axis=0))
    assert np.abs(np.delete(level, CARRIER)).max() < 1.0  # of the 9 dB


def test_a_band_is_where_the_radio_was_tuned(band: np.ndarray) -> None:
    wide = stitch(band, USABLE // 2)
    on = np.flatnonzero(wide.power[::2].mean(0) > 10)
    assert wide.low + on[0] * COLUMN == pytest.approx(LOW + CARRIER.start * COLUMN)
    assert wide.low + (on[-1] + 1) * COLUMN == pytest.approx(LOW + CARRIER.stop * COLUMN)


def test_a_sweep_that_was_stopped_ends_where_the_radio_had_been(band: np.ndarray) -> None:
    stitcher = Stitcher(LOW + COLUMN / 2, COLUMNS, ROWS, COLUMN, ROW, USABLE)
    assert stitcher.wide() is None
    for middle in (96, 192, 288):
        stitcher.add(cut(band, middle), LOW + (middle + 0.5) * COLUMN)
    wide = stitcher.wide()
    assert (wide.low, wide.power.shape[1]) == (LOW, 288 + USABLE // 2 + 1)


def test_silence_is_stitched_too(band: np.ndarray) -> None:
    wide = stitch(np.zeros_like(band), USABLE - 16)
    assert np.isfinite(wide.power).all()
