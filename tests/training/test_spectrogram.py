# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image in torch: the same as the runtime's, and the one of MathWorks' example."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from gnuradio.ata import frontend
from gnuradio.ata.model import Normalise
from reference import Golden, golden

from training import spectrogram

DEFAULTS = Normalise(percentile=10, scale_db=20, clip=(-1, 3), floor_db=-60)


def signal(count: int, seed: int = 7) -> np.ndarray:
    """Bursts of a chirp over noise 45 dB below it per bin."""
    rng = np.random.default_rng(seed)
    t = np.arange(count)
    noise = 0.03 * rng.standard_normal(2 * count).astype(np.float32).view(np.complex64)
    chirp = np.exp(2j * np.pi * (0.05 * t + 0.1 * t * t / count))
    return (noise + chirp * (t % 5000 < 2500)).astype(np.complex64)


@pytest.mark.parametrize("case", golden(), ids=lambda case: f"{case.count}")
def test_golden_image(case: Golden) -> None:
    power = spectrogram.pixel_power(torch.from_numpy(case.samples())[None], case.rows, case.columns, case.overlap)[0]
    np.testing.assert_allclose((10 * torch.log10(power / power.max())).numpy(), case.power_db, atol=0.05)


@pytest.mark.parametrize("count", [1024, 19_200, 76_800, 614_401])
def test_same_image_as_in_the_runtime(count: int) -> None:
    samples = signal(count)
    samples[[5, count // 2]] = np.nan, complex(0, -np.inf)
    front = frontend.FrontEnd(256, 256, 0.5, count)
    assert front.push(samples) == count
    runtime = front.finish()
    trained = spectrogram.pixel_power(torch.from_numpy(samples)[None])
    seen = runtime > runtime.max() * 1e-7  # within 70 dB of the largest
    assert seen.mean() > 0.9
    assert np.abs(10 * np.log10(trained[0].numpy()[seen] / runtime[seen])).max() < 0.05
    image = spectrogram.normalise(trained)[0].numpy()
    np.testing.assert_allclose(image, frontend.normalise(runtime, DEFAULTS), atol=0.05 / 20)
    assert (front.geometry.hop, front.geometry.segments) == spectrogram.frame_geometry(count, 256, 256)


@pytest.mark.parametrize(("count", "samp_rate"), [(19_200, 19.2e6), (2_457_600, 61.44e6), (1024, 1.024e6)])
def test_same_legend_as_in_the_runtime(count: int, samp_rate: float) -> None:
    plain = torch.zeros(1, 256, 256)
    trained = spectrogram.with_legend(plain, count, samp_rate)[0].numpy()
    runtime = np.zeros((256, 256), np.float32)
    model = SimpleNamespace(rows=256, columns=256, overlap=0.5)
    frontend.write_legend(runtime, frontend.row_seconds(count, samp_rate, model), samp_rate / 256)
    np.testing.assert_allclose(trained, runtime, rtol=1e-6)
    assert not plain.any() and not trained[:, 1:].any()
    assert trained[:, 0].min() > 0 and trained[:, 0].max() < 3


def test_batches_and_their_parts_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    iq = torch.from_numpy(np.stack([signal(20_000, seed) for seed in range(3)]))
    together = spectrogram.pixel_power(iq, 64, 64)
    monkeypatch.setattr(spectrogram, "AT_ONCE", {"cpu": 7 * 64})
    for i in range(3):
        torch.testing.assert_close(spectrogram.pixel_power(iq[i : i + 1], 64, 64)[0], together[i])


def test_frames_are_normalised_each_by_itself() -> None:
    power = spectrogram.pixel_power(torch.from_numpy(np.stack([signal(20_000), 0 * signal(20_000)])))
    images = spectrogram.normalise(torch.stack([power[0], 1e-6 * power[0], power[1]]))
    torch.testing.assert_close(images[0], images[1], atol=1e-3, rtol=0)
    assert not images[2].any()


def test_a_large_batch_is_normalised() -> None:
    power = torch.rand(300, 256, 256, generator=torch.Generator().manual_seed(1))
    assert torch.isfinite(spectrogram.normalise(power)).all()


def test_a_frame_too_short_for_its_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        spectrogram.frame_geometry(510, 256, 256)


def test_mathworks_image_is_the_resized_spectrogram(monkeypatch: pytest.MonkeyPatch) -> None:
    samples, size = signal(30_000), 64
    window = np.hanning(256)
    segments = [samples[at : at + 256] * window for at in range(0, len(samples) - 255, 246)]
    level = 20 * np.log10(np.abs(np.fft.fftshift(np.fft.fft(segments, 4096), axes=1)))
    scaled = (level - level.min()) / (level.max() - level.min())
    rows = ((np.arange(size) + 0.5) * len(segments) / size).astype(int)
    columns = ((np.arange(size) + 0.5) * 4096 / size).astype(int)
    monkeypatch.setattr(spectrogram, "AT_ONCE", {"cpu": 10 * 4096})
    image = spectrogram.mathworks_image(torch.from_numpy(samples)[None], size)
    assert image.shape == (1, 1, size, size)
    np.testing.assert_allclose(image[0, 0].numpy(), scaled[np.ix_(rows, columns)], atol=2e-2)
