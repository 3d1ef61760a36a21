# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runtime's front end: accepted ranges and normalisation."""

from pathlib import Path

import numpy as np
import pytest
from gnuradio.ata.errors import AtaError
from gnuradio.ata.frontend import FrontEnd, frame_samples, network_image, normalise
from gnuradio.ata.model import Normalise, read_model
from tiny_model import write_tiny_model

DEFAULTS = Normalise(percentile=10, scale_db=20, clip=(-1, 3), floor_db=-80)


def powers(scale: float = 1.0) -> np.ndarray:
    """A noise floor of exponential powers with a band 30 dB above it."""
    power = np.random.default_rng(3).exponential(size=(64, 64))
    power[:, 20:30] *= 1000
    return (scale * power).astype(np.float32)


def test_normalisation_is_as_defined() -> None:
    power = powers().astype(np.float64)
    level = 10 * np.log10(power + 1e-8 * power.max())
    expected = np.clip((level - np.percentile(level, 10)) / 20, -1, 3)
    image = normalise(powers(), DEFAULTS)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, expected, atol=1e-5)
    assert ((image > -1) & (image < 3)).mean() > 0.9


@pytest.mark.parametrize("scale", [1e-34, 1e-6, 1e26])
def test_the_unit_of_the_samples_does_not_matter(scale: float) -> None:
    np.testing.assert_allclose(normalise(powers(scale), DEFAULTS), normalise(powers(), DEFAULTS), atol=1e-3)


def test_clipping_and_floor_come_from_the_model() -> None:
    power = np.ones((4, 4), np.float32)
    power[0, 0] = 0
    power[3, 3] = 1e12
    image = normalise(power, Normalise(percentile=50, scale_db=10, clip=(-2, 5), floor_db=-140))
    assert (image[0, 0], image[1, 1], image[3, 3]) == (-2, 0, 5)


def test_nothing_received_is_a_zero_image() -> None:
    assert not normalise(np.zeros((4, 4), np.float32), DEFAULTS).any()


def test_the_scale_is_told_to_the_models_that_read_it(tmp_path: Path) -> None:
    power = powers()
    told, plain = (
        network_image(power, read_model(write_tiny_model(tmp_path / "m.onnx", legend=legend)), 100e-6, 240e3)[0, 0]
        for legend in (True, False)
    )
    np.testing.assert_array_equal(plain, normalise(power, DEFAULTS))
    np.testing.assert_array_equal(told[:, 1:], plain[:, 1:])
    assert (told[:32, 0] == 2).all()  # 100 us
    np.testing.assert_allclose(told[32:, 0], np.log10(240), rtol=1e-6)


@pytest.mark.parametrize("bad", [0, np.nan, np.inf])
def test_a_dead_receiver_is_a_zero_image(bad: float) -> None:
    front = FrontEnd(64, 64, 0.5, 5000)
    assert front.push(np.full(6000, bad, np.complex64)) == 5000
    assert not normalise(front.finish(), DEFAULTS).any()


def test_dc_is_the_middle_column_and_frequency_rises() -> None:
    t = np.arange(20_000)
    for tone, column in ((0, 32), (0.25, 48), (-0.25, 16), (-0.5, 0)):
        front = FrontEnd(16, 64, 0.5, len(t))
        front.push(np.exp(2j * np.pi * tone * t).astype(np.complex64))
        assert (front.finish().argmax(axis=1) == column).all()


def test_frames_are_counted_and_dropped() -> None:
    front = FrontEnd(16, 64, 0.5, 5000)
    assert (front.position, front.complete) == (0, False)
    assert front.push(np.ones(3000, np.complex64)) == 3000
    assert front.discard() == 3000
    assert front.push(np.ones(9000, np.complex64)[::2]) == 4500
    assert front.push(np.ones(9000, np.complex64)) == 500
    assert (front.position, front.complete, front.push(np.ones(1, np.complex64))) == (5000, True, 0)
    front.finish()
    assert (front.position, front.complete) == (0, False)


def test_frame_length() -> None:
    assert frame_samples(61.44e6, 40) == 2_457_600
    assert frame_samples(245.76e6, 100) == 24_576_000
    assert frame_samples(245760000.0000001, 100) == 24_576_000  # as drivers report a rate
    assert frame_samples(499999.99999, 100) == 50_000
    assert frame_samples(2.4e6, 0.5) == 1200


@pytest.mark.parametrize(
    ("samp_rate", "frame_ms", "says"),
    [
        (0.4e6, 40, "sample rate"),
        (300e6, 40, "sample rate"),
        (float("nan"), 40, "sample rate"),
        (1e6, 0.4, "frame is 0.4 ms"),
        (1e6, 101, "frame is 101 ms"),
        (1e6, 1, "1000 samples"),
    ],
)
def test_what_is_not_accepted_is_said(samp_rate: float, frame_ms: float, says: str) -> None:
    with pytest.raises(AtaError, match=says):
        frame_samples(samp_rate, frame_ms)


@pytest.mark.parametrize(("rows", "count", "says"), [(256, 1000, "at least 1024"), (4096, 2048, "too short for 4096")])
def test_frames_too_short_for_the_image_are_refused(rows: int, count: int, says: str) -> None:
    with pytest.raises(AtaError, match=says):
        FrontEnd(rows, 256, 0.5, count)
