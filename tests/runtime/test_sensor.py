# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings to records with a network that calls what is bright LTE."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from gnuradio.ata.errors import AtaError
from gnuradio.ata.recordings import open_recording
from gnuradio.ata.records import Record
from gnuradio.ata.sensor import Sensor, replay
from tiny_model import write_tiny_model

RATE = 2e6


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


def carrier(count: int, offset: float, width: float, seed: int = 1) -> np.ndarray:
    """Noise, and 20 dB over it a flat carrier of `width` Hz at `offset` Hz."""
    rng = np.random.default_rng(seed)
    iq = rng.standard_normal(2 * count).view(np.complex128)
    freqs = np.fft.fftfreq(count, 1 / RATE)
    loud = np.fft.fft(rng.standard_normal(2 * count).view(np.complex128)) * (abs(freqs - offset) < width / 2)
    return (iq + 10 * np.fft.ifft(loud)).astype(np.complex64)


def write(folder: Path, iq: np.ndarray, captures: list[dict]) -> Path:
    iq.astype("<c8").tofile(folder / "r.sigmf-data")
    path = folder / "r.sigmf-meta"
    head = {"core:datatype": "cf32_le", "core:sample_rate": RATE, "core:version": "1.0.0"}
    path.write_text(json.dumps({"global": head, "captures": captures, "annotations": []}))
    return path


def records(path: Path, model: Path, frame_ms: float) -> list[Record]:
    recording = open_recording(path)
    sensor = Sensor(recording.samp_rate, recording.center_freq, model, "onnxruntime-cpu", frame_ms)
    return [analysis.record for analysis in replay(sensor, recording)]


def spans(found: list[Record]) -> list[tuple[int, int, bool]]:
    return [(r.sample_start, r.sample_count, r.tail) for r in found]


@pytest.mark.parametrize("count", [40_000, 45_000, 39_999])
def test_every_sample_is_analysed(tmp_path: Path, tiny: Path, count: int) -> None:
    found = records(write(tmp_path, carrier(count, 0, 1e6), [{"core:sample_start": 0}]), tiny, 5)
    covered = np.zeros(count, int)
    for record in found:
        covered[record.sample_start : record.sample_start + record.sample_count] += 1
    assert covered.min() == 1
    assert {r.sample_count for r in found} == {10_000}
    assert [r.tail for r in found] == [False] * (count // 10_000) + [True] * (count % 10_000 > 0)
    assert [r.frame for r in found] == list(range(len(found)))


def test_the_band_stands_where_the_carrier_does(tmp_path: Path, tiny: Path) -> None:
    path = write(tmp_path, carrier(40_000, 0.2e6, 0.9e6), [{"core:sample_start": 0, "core:frequency": 8e8}])
    for record in records(path, tiny, 10):
        (band,) = record.bands
        assert band.label == "LTE"
        assert band.freq_lower_edge == pytest.approx(8e8 - 0.25e6, abs=1.5 * RATE / 256)
        assert band.freq_upper_edge == pytest.approx(8e8 + 0.65e6, abs=1.5 * RATE / 256)
        assert band.snr_db == pytest.approx(20, abs=1.0)
        assert band.duty_cycle > 0.95


def test_no_frame_mixes_two_tunings(tmp_path: Path, tiny: Path) -> None:
    captures = [
        {"core:sample_start": 0, "core:frequency": 8e8, "core:datetime": "2026-01-01T00:00:00Z"},
        {"core:sample_start": 25_000, "core:frequency": 9e8, "core:datetime": "2026-01-01T00:00:05Z"},
        {"core:sample_start": 29_000, "core:frequency": 8e8},
    ]
    iq = np.concatenate([carrier(25_000, 0.3e6, 0.9e6), carrier(4_000, -0.3e6, 0.9e6), carrier(11_000, 0.3e6, 0.9e6)])
    found = records(write(tmp_path, iq, captures), tiny, 5)
    assert spans(found) == [
        (0, 10_000, False),
        (10_000, 10_000, False),
        (15_000, 10_000, True),
        (25_000, 4_000, True),
        (29_000, 10_000, False),
        (30_000, 10_000, True),
    ]
    assert [r.center_freq for r in found] == [8e8] * 3 + [9e8] + [8e8] * 2
    assert [r.time for r in found] == [
        "2026-01-01T00:00:00.000000Z",
        "2026-01-01T00:00:00.005000Z",
        "2026-01-01T00:00:00.007500Z",
        "2026-01-01T00:00:05.000000Z",
        None,
        None,
    ]
    for record in found:
        middle = [(b.freq_lower_edge + b.freq_upper_edge) / 2 - record.center_freq for b in record.bands]
        assert middle == [pytest.approx(-0.3e6 if record.center_freq == 9e8 else 0.3e6, abs=5e4)]


def test_parts_too_short_for_a_frame_are_left_out_and_said(
    tmp_path: Path, tiny: Path, caplog: pytest.LogCaptureFixture
) -> None:
    captures = [{"core:sample_start": 0, "core:frequency": 8e8}, {"core:sample_start": 4_000, "core:frequency": 9e8}]
    path = write(tmp_path, carrier(5_000, 0, 1e6), captures)
    with caplog.at_level(logging.WARNING, "ata"):
        assert spans(records(path, tiny, 2)) == [(0, 4_000, False)]
    assert "1000 samples at 900.000000 MHz" in caplog.text
    captures[1]["core:sample_start"] = 1_000
    with pytest.raises(AtaError, match="needs 1024"):
        records(write(tmp_path, carrier(1_900, 0, 1e6), captures), tiny, 2)


def test_a_part_too_short_for_the_model_s_image_is_left_out_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """256 rows of 1024 columns, a sample apart at least, take 1279."""
    model = write_tiny_model(tmp_path / "big.onnx", rows=256, columns=1024)
    freqs = {0: 8e8, 4_000: 8.1e8, 5_278: 8.2e8}
    captures = [{"core:sample_start": at, "core:frequency": freq} for at, freq in freqs.items()]
    path = write(tmp_path, carrier(6_557, 0, 1e6), captures)
    with caplog.at_level(logging.WARNING, "ata"):
        found = records(path, model, 2)
    assert spans(found) == [(0, 4_000, False), (5_278, 1_279, True)]
    assert found[-1].dropped_frames == 1
    assert "1278 samples at 810.000000 MHz" in caplog.text


def test_a_short_recording_is_one_frame(tmp_path: Path, tiny: Path) -> None:
    found = records(write(tmp_path, carrier(1_024, 0, 1e6), [{"core:sample_start": 0}]), tiny, 40)
    assert spans(found) == [(0, 1_024, True)]


@pytest.mark.parametrize("fill", [0.0, np.nan, np.inf, 1e30])
def test_samples_that_are_no_signal_give_a_record(tmp_path: Path, tiny: Path, fill: float) -> None:
    iq = carrier(20_000, 0, 1e6)
    iq[3_000:15_000] = fill
    for record in records(write(tmp_path, iq, [{"core:sample_start": 0}]), tiny, 5):
        record.to_json()  # refuses NaN and Infinity


def test_a_warning_comes_once_outside_what_the_model_was_trained_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = write_tiny_model(tmp_path / "m.onnx", samp_rate=[10e6, 20e6])
    with caplog.at_level(logging.WARNING, "ata"):
        sensor = Sensor(10e6, model=model, engine="onnxruntime-cpu", frame_ms=1.0)
        stream = sensor.stream()
        for rate in (10e6, 2e6, 3e6):  # as tags and setters tell it
            stream.retune(samp_rate=rate)
            for frame in stream.push(np.zeros(round(2e-3 * rate), np.complex64), 0):
                sensor.analyse(frame)
                assert (rate == 10e6) == (not caplog.records)
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert "outside what" in caplog.text


@pytest.mark.parametrize(
    ("rate", "frame_ms", "says"),
    [(1e3, 40, "sample rate"), (1e9, 40, "sample rate"), (2e6, 0, "frame is 0 ms"), (2e6, 200, "200 ms"),
     (float("nan"), 40, "sample rate"), (0.5e6, 1, "longer")],
)  # fmt: skip
def test_what_cannot_work_is_refused(tiny: Path, rate: float, frame_ms: float, says: str) -> None:
    with pytest.raises(AtaError, match=says):
        Sensor(rate, model=tiny, frame_ms=frame_ms)
