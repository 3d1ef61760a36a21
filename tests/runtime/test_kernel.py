# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The C++ kernel against its definition, and against every way of cutting the samples into chunks."""

import threading
from collections.abc import Callable

import numpy as np
import pytest
from gnuradio.ata._kernel import Geometry, Spectrogram


def noise(count: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal(2 * count).astype(np.float32).view(np.complex64)


def run(geometry: Geometry, samples: np.ndarray, chunks: list[int]) -> np.ndarray:
    kernel, at, i = Spectrogram(geometry), 0, 0
    while not kernel.complete:
        chunk = chunks[i % len(chunks)]
        at += kernel.push(samples[at : at + chunk])
        i += 1
    return kernel.finish()


def by_definition(g: Geometry, samples: np.ndarray) -> np.ndarray:
    """DESIGN's front end in double precision, one segment at a time."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(g.nfft) / g.nfft)
    image, counts = np.zeros((g.rows, g.nfft)), np.zeros(g.rows)
    for k in range(g.segments):
        segment = samples[k * g.hop : k * g.hop + g.nfft].astype(np.complex128)
        row = k * g.rows // g.segments
        image[row] += np.abs(np.fft.fftshift(np.fft.fft(segment * window))) ** 2
        counts[row] += 1
    return image / counts[:, None]


@pytest.mark.parametrize(
    ("count", "rows", "nfft", "overlap"),
    [(76_800, 256, 256, 0.5), (19_200, 256, 256, 0.5), (1024, 256, 256, 0.5), (10_007, 17, 64, 0.25), (5_000, 1, 128, 0.0)],
)
def test_image_is_the_mean_power_per_pixel(count: int, rows: int, nfft: int, overlap: float) -> None:
    geometry = Geometry(count, rows, nfft, overlap)
    samples = noise(count)
    np.testing.assert_allclose(run(geometry, samples, [count]), by_definition(geometry, samples), rtol=2e-4, atol=1e-3)


def test_hop_shrinks_until_every_row_has_a_segment() -> None:
    assert (Geometry(2_457_600, 256, 256, 0.5).hop, Geometry(2_457_600, 256, 256, 0.5).segments) == (128, 19_199)
    short = Geometry(19_200, 256, 256, 0.5)
    assert (short.hop, short.segments) == ((19_200 - 256) // 255, 257)


@pytest.mark.parametrize("chunks", [[1], [7, 1, 4096], [255, 257], [4096], [100_003]])
@pytest.mark.parametrize("count", [20_000, 77_777])
def test_chunks_change_no_bit(chunks: list[int], count: int) -> None:
    geometry = Geometry(count, 256, 256, 0.5)
    samples = noise(count)
    assert np.array_equal(run(geometry, samples, chunks), run(geometry, samples, [count]))


def test_frames_follow_each_other_without_a_trace() -> None:
    geometry = Geometry(9_000, 64, 128, 0.5)
    samples = noise(27_000)
    kernel, images, at = Spectrogram(geometry), [], 0
    while at < len(samples):
        at += kernel.push(samples[at : at + 777])
        if kernel.complete:
            assert kernel.push(samples[:10]) == 0
            images.append(kernel.finish())
    for i, image in enumerate(images):
        assert np.array_equal(image, run(geometry, samples[9_000 * i : 9_000 * (i + 1)], [9_000]))
    assert len(images) == 3


def test_discard_leaves_nothing_behind() -> None:
    geometry = Geometry(9_000, 64, 128, 0.5)
    samples = noise(9_000)
    kernel = Spectrogram(geometry)
    kernel.push(1000 * samples[:5_001])
    assert (kernel.discard(), kernel.position) == (5_001, 0)
    kernel.push(samples)
    assert np.array_equal(kernel.finish(), run(geometry, samples, [9_000]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, complex(0, np.nan), 1e30])
@pytest.mark.parametrize("chunk", [100, 50_000])
def test_what_is_no_number_counts_as_zero(bad: complex, chunk: int) -> None:
    geometry = Geometry(50_000, 128, 256, 0.5)
    samples = noise(50_000)
    where = [0, 1, 127, 128, 30_000, 30_001, 49_999]
    samples[where] = bad
    zeroed = samples.copy()
    zeroed[where] = 0
    image = run(geometry, samples, [chunk])
    assert np.isfinite(image).all()
    np.testing.assert_allclose(image, by_definition(geometry, zeroed), rtol=2e-4, atol=1e-3)


def test_zeros_give_zeros() -> None:
    geometry = Geometry(30_000, 128, 256, 0.5)
    assert not run(geometry, np.zeros(30_000, np.complex64), [4096]).any()


@pytest.mark.parametrize("shape", [(100, 256, 256, 0.5), (5_000, 0, 256, 0.5), (5_000, 16, 255, 0.5), (5_000, 16, 64, 1.0)])
def test_shapes_that_cannot_be_are_refused(shape: tuple) -> None:
    with pytest.raises(ValueError, match=r"too short|needs rows"):
        Geometry(*shape)


def test_other_sample_types_are_refused_rather_than_converted() -> None:
    with pytest.raises(TypeError):
        Spectrogram(Geometry(9_000, 64, 128, 0.5)).push(np.zeros(10, np.complex128))


def test_other_threads_run_while_samples_are_pushed() -> None:
    kernel = Spectrogram(Geometry(16_000_000, 256, 256, 0.5))
    samples = np.ones(16_000_000, np.complex64)
    pushing, ran = threading.Event(), threading.Event()

    def push() -> None:
        pushing.set()
        kernel.push(samples)
        # If the lock were held throughout, the other thread could not have come between these two lines.
        assert ran.is_set()

    failures = []
    thread = threading.Thread(target=lambda: failures.append(_outcome(push)))
    thread.start()
    pushing.wait()
    ran.set()
    thread.join()
    assert failures == [None]


def _outcome(call: Callable[[], None]) -> BaseException | None:
    try:
        call()
    except BaseException as failure:
        return failure
    return None
