# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runtime's front end: accepted ranges, normalisation, and the same image as training's."""

import numpy as np
import pytest
import torch
from gnuradio.ata.errors import AtaError
from gnuradio.ata.frontend import FrontEnd, frame_samples, normalise
from gnuradio.ata.model import Normalise

from training import spectrogram

DEFAULTS = Normalise(percentile=10, scale_db=20, clip=(-1, 3), floor_db=-80)


def signal(count: int) -> np.ndarray:
    """A repeatable signal whose weakest parts are some 60 dB below its strongest."""
    rng = np.random.default_rng(7)
    t = np.arange(count)
    noise = 0.02 * rng.standard_normal(2 * count).astype(np.float32).view(np.complex64)
    chirp = np.exp(2j * np.pi * (0.05 * t + 0.1 * t * t / count))
    return (noise + chirp * (t % 5000 < 2500)).astype(np.complex64)


@pytest.mark.parametrize("count", [1024, 19_200, 76_800, 614_401])
def test_same_image_as_in_training(count: int) -> None:
    samples = signal(count)
    front = FrontEnd(256, 256, 0.5, count)
    assert front.push(samples) == count
    ours = front.finish()
    theirs = spectrogram.pixel_power(torch.from_numpy(samples)[None])[0].numpy()
    seen = theirs > theirs.max() * 1e-7  # within 70 dB of the largest
    assert seen.mean() > 0.5
    difference = 10 * np.log10(ours[seen] / theirs[seen])
    assert np.abs(difference).max() < 0.05
    image = spectrogram.normalise(torch.from_numpy(theirs)[None])[0].numpy()
    np.testing.assert_allclose(normalise(ours, DEFAULTS), image, atol=0.05 / 20 + 1e-4)
    assert (front.geometry.hop, front.geometry.segments) == spectrogram.frame_geometry(count, 256, 256)


def test_nothing_received_is_a_zero_image() -> None:
    assert not normalise(np.zeros((4, 4), np.float32), DEFAULTS).any()


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
