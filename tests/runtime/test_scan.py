# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sweeps: where they go, and what a radio that is simulated brings back from them."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from gnuradio.ata.engines.choose import open_engine
from gnuradio.ata.errors import AtaError
from gnuradio.ata.model import ModelFile, read_model
from gnuradio.ata.scan import PERIOD, Plan, Scanner, Sweep, make_plan
from gnuradio.ata.sim_radio import SETTLE, SimRadio
from gnuradio.ata.stitch import DC_REACH
from gnuradio.ata.stream import Frame, FrameStream
from gnuradio.ata.units import hertz
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import write_tiny_model
from wide_recording import write_wide_recording

RATE = 1e6  # of the radio, Hz
CENTER, BAND = 800e6, 8e6  # of the recording
CARRIER = (797.8e6, 801.7e6)  # Hz, four times as wide as the radio's band
SKIRT = 4  # columns: the tiny model takes for carrier what the window makes of a strong one's edges
SETTLED = 2 * SETTLE


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelFile:
    return read_model(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx"))


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 ms of a carrier that is on for 3 ms of every 5, like a TDD downlink."""
    path = tmp_path_factory.mktemp("band") / "band.sigmf-meta"
    return write_wide_recording(path, CENTER, BAND, 0.06, [CARRIER], on=(0.003, 0.005))


def stream_of(model: ModelFile, frame_ms: float = 10.0, settle: float = SETTLED, period: float = PERIOD) -> FrameStream:
    return FrameStream(model, RATE, 0.0, frame_ms, round(settle * RATE), round(period * RATE))


def plan_of(model: ModelFile, frame_ms: float = 10.0, **more: float) -> Plan:
    return make_plan(CENTER - 3.8e6, CENTER + 3.8e6, RATE, model, frame_ms, **more)


def sweep_of(model: ModelFile, tuner: SimRadio, plan: Plan) -> Sweep:
    sweep = Scanner(plan, model, open_engine(model, "onnxruntime-cpu")).sweep(tuner)
    assert sweep is not None
    return sweep


# Plans


def columns_seen(plan: Plan, center: float) -> np.ndarray:
    """Columns of the stitched spectrogram that a step sees well, its DC apart."""
    middle = round((center - plan.first) / plan.column)
    seen = np.arange(middle - plan.usable // 2, middle + plan.usable // 2 + 1)
    seen = seen[np.abs(seen - middle) > DC_REACH]
    return seen[(seen >= 0) & (seen < plan.columns)]


@given(low=st.floats(24e6, 5e9), radios=st.floats(1.01, 40), rate=st.sampled_from([1e6, 2.4e6, 20e6, 61.44e6]))
@settings(max_examples=60, deadline=None)
def test_every_column_is_seen_and_no_dc_line_is_alone(model: ModelFile, low: float, radios: float, rate: float) -> None:
    high = low + radios * rate
    plan = make_plan(low, high, rate, model)
    seen = np.zeros(plan.columns, int)
    for center in plan.centers:
        seen[columns_seen(plan, center)] += 1
    edge = plan.usable // 2 + DC_REACH + 1  # the outermost steps have one neighbour only
    assert (seen[edge:-edge] > 0).all()
    holes = np.flatnonzero(seen == 0)
    assert len(holes) <= 2 * (2 * DC_REACH + 1) and seen[0] and seen[-1]
    assert plan.low == low and high - plan.column < plan.low + plan.columns * plan.column <= high + 1
    assert all(plan.low < c < high for c in plan.centers)
    on_grid = (np.array(plan.centers) - plan.first) / plan.column
    np.testing.assert_allclose(on_grid, on_grid.round(), atol=1e-3)


def test_a_wide_step_is_quick_and_one_too_wide_is_refused(model: ModelFile) -> None:
    fine, quick = make_plan(700e6, 960e6, 2.4e6, model), make_plan(700e6, 960e6, 2.4e6, model, step=1.75e6)
    assert len(fine.centers) == pytest.approx(260 / 0.9, abs=2) and len(quick.centers) == pytest.approx(260 / 1.74, abs=2)
    for step in (2.4e6, 1e3, 0.0, -1e6):
        with pytest.raises(AtaError, match=r"a step of .* MHz does not fit a radio of 2.4 MS/s"):
            make_plan(700e6, 960e6, 2.4e6, model, step=step)


@pytest.mark.parametrize(
    ("low", "high", "rate", "says"),
    [
        (960e6, 700e6, 2.4e6, "goes nowhere"),
        (700e6, 700e6, 2.4e6, "goes nowhere"),
        (700e6, 702e6, 2.4e6, "no scan is needed"),
        (0.1e9, 100e9, 2.4e6, "GiB of memory"),
        (700e6, 960e6, 1e3, "the sample rate is"),
        (700e6, 960e6, math.nan, "the sample rate is"),
    ],
)
def test_a_sweep_that_cannot_be_made_is_refused(model: ModelFile, low: float, high: float, rate: float, says: str) -> None:
    with pytest.raises(AtaError, match=says):
        make_plan(low, high, rate, model)


@pytest.mark.parametrize(
    ("text", "value"), [("700M", 7e8), ("0.7G", 7e8), ("700e6", 7e8), ("2400k", 2.4e6), ("-30M", -30e6), ("5g", 5e9)]
)
def test_frequencies_as_people_write_them(text: str, value: float) -> None:
    assert hertz(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "M", "700 MHz", "nan", "inf", "1e99", "7O0M"])
def test_what_is_no_frequency_is_refused(text: str) -> None:
    with pytest.raises(AtaError, match="is no frequency"):
        hertz(text)


# The simulated radio


def test_frames_begin_on_the_radios_own_grid_of_time_and_hold_one_frequency(model: ModelFile, recording: Path) -> None:
    radio = SimRadio(str(recording), stream_of(model))
    frames = [radio.capture(freq) for freq in (CARRIER[0] - 0.6e6, CENTER, CARRIER[1] + 0.6e6, CENTER)]
    assert [f.sample_start % round(PERIOD * RATE) for f in frames] == [0] * 4
    inside, outside = (np.mean([frames[i].power.mean() for i in pair]) for pair in ((1, 3), (0, 2)))
    assert inside > 30 * outside
    assert [f.center_freq for f in frames] == pytest.approx([CARRIER[0] - 0.6e6, CENTER, CARRIER[1] + 0.6e6, CENTER], abs=20)


def test_a_radio_that_is_not_given_time_to_settle_shows_the_frequency_before(model: ModelFile, recording: Path) -> None:
    radio = SimRadio(str(recording), stream_of(model, settle=0, period=1 / RATE))
    radio.capture(CENTER)
    rows = radio.capture(CARRIER[1] + 0.6e6).power.mean(1)
    assert rows[: len(rows) // 3].mean() > 30 * rows[2 * len(rows) // 3 :].mean()


def test_its_recording_has_to_be_wider_and_to_reach_there(model: ModelFile, recording: Path) -> None:
    with pytest.raises(AtaError, match="no radio of 9 MS/s fits in it"):
        SimRadio(str(recording), FrameStream(model, 9e6, 0.0, 10.0))
    with pytest.raises(AtaError, match="cannot be tuned to 900 MHz"):
        SimRadio(str(recording), stream_of(model)).capture(900e6)


def test_its_recording_has_to_last_for_a_sample(model: ModelFile, tmp_path: Path) -> None:
    path = write_wide_recording(tmp_path / "short.sigmf-meta", CENTER, BAND, 4 / BAND, [])
    with pytest.raises(AtaError, match="its 4 samples are less than one of a radio of 1 MS/s"):
        SimRadio(str(path), stream_of(model))
    path = write_wide_recording(tmp_path / "longer.sigmf-meta", CENTER, BAND, 8 / BAND, [])
    assert np.isfinite(SimRadio(str(path), stream_of(model)).capture(CENTER).power).all()


# Sweeps


def test_a_carrier_wider_than_the_radio_is_one_band_with_its_true_edges(model: ModelFile, recording: Path) -> None:
    plan = plan_of(model)
    sweep = sweep_of(model, SimRadio(str(recording), stream_of(model)), plan)
    assert sweep.complete and sweep.steps == len(plan.centers)
    (band,) = sweep.bands
    assert (band.freq_lower_edge, band.freq_upper_edge) == pytest.approx(CARRIER, abs=SKIRT * plan.column)
    assert band.label == "LTE" and band.duty_cycle == pytest.approx(0.6, abs=0.03)


@pytest.mark.parametrize("step", [None, 0.72e6])
def test_what_repeats_on_the_air_repeats_in_the_same_rows_of_all_steps(
    model: ModelFile, recording: Path, step: float | None
) -> None:
    """Steps are taken at different times; the carrier is on and off in the same rows all the same."""
    plan = plan_of(model, step=step)
    sweep = sweep_of(model, SimRadio(str(recording), stream_of(model)), plan)
    first, last = (round((f - sweep.wide.low) / plan.column) for f in CARRIER)
    inside = sweep.wide.power[:, first + 8 : last - 8]
    steps = np.array_split(10 * np.log10(inside), 8, axis=1)
    rows = np.array([s.mean(1) for s in steps])
    on = rows > (rows.max() + rows.min()) / 2
    assert (on == on[0]).mean() > 0.97
    assert on.mean() == pytest.approx(0.6, abs=0.05)


def test_a_sweep_that_is_stopped_reports_what_it_has_seen(model: ModelFile, recording: Path) -> None:
    plan = plan_of(model)
    radio, scanner = SimRadio(str(recording), stream_of(model)), Scanner(plan, model, open_engine(model, "onnxruntime-cpu"))
    assert scanner.sweep(radio, lambda done: done < 1) is None
    sweep = scanner.sweep(radio, lambda done: done < 12)
    assert (sweep.steps, sweep.complete, sweep.index) == (12, False, 0)
    assert sweep.wide.high == pytest.approx(plan.centers[11] + plan.usable / 2 * plan.column, abs=2 * plan.column)
    (band,) = sweep.bands
    edges = band.freq_lower_edge, band.freq_upper_edge
    assert edges == pytest.approx((CARRIER[0], sweep.wide.high), abs=SKIRT * plan.column)
    line = json.loads(sweep.to_json())
    assert (line["sweep"], line["steps"], line["complete"]) == (0, 12, False)
    assert line["bands"][0]["freq_lower_edge"] == band.freq_lower_edge


class Elsewhere:
    """A radio that goes where it likes."""

    def __init__(self, radio: SimRadio, by: float) -> None:
        self._radio, self._by = radio, by

    def capture(self, center_freq: float) -> Frame:
        return self._radio.capture(center_freq + self._by)

    def close(self) -> None:
        pass


def test_a_radio_that_went_a_little_elsewhere_is_believed_and_one_far_off_is_not(
    model: ModelFile, recording: Path
) -> None:
    plan, engine = plan_of(model), open_engine(model, "onnxruntime-cpu")
    by = plan.column * 1.2
    scanner, radio = Scanner(plan, model, engine), SimRadio(str(recording), stream_of(model))
    (band,) = scanner.sweep(Elsewhere(radio, by)).bands
    assert (band.freq_lower_edge, band.freq_upper_edge) == pytest.approx(CARRIER, abs=SKIRT * plan.column)
    assert scanner.sweep(Elsewhere(radio, 50e3)) is None
    assert isinstance(scanner.failure, AtaError) and "cannot be tuned to 796" in str(scanner.failure)


def test_a_frequency_that_the_radio_refuses_leaves_what_was_swept_before(model: ModelFile, recording: Path) -> None:
    plan = make_plan(CENTER - 3.8e6, CENTER + 6e6, RATE, model, 10.0)  # beyond the recording's end
    scanner = Scanner(plan, model, open_engine(model, "onnxruntime-cpu"))
    sweep = scanner.sweep(SimRadio(str(recording), stream_of(model)))
    assert "its recording ends before" in str(scanner.failure)
    assert not sweep.complete and plan.centers[sweep.steps - 1] < CENTER + BAND / 2 < plan.centers[sweep.steps] + RATE
    (band,) = sweep.bands
    assert (band.freq_lower_edge, band.freq_upper_edge) == pytest.approx(CARRIER, abs=SKIRT * plan.column)
