# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The C++ kernel against its definition, and against every way of cutting the samples into chunks."""

import sys
import threading
from itertools import cycle

import numpy as np
import pytest
from gnuradio.ata._kernel import Geometry, Spectrogram
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import Golden, by_definition, geometry, golden


def noise(count: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal(2 * count).astype(np.float32).view(np.complex64)


def run(shape: Geometry, samples: np.ndarray, chunks: list[int]) -> np.ndarray:
    kernel, at = Spectrogram(shape), 0
    for chunk in cycle(chunks):
        at += kernel.push(samples[at : at + chunk])
        if kernel.complete:
            return kernel.finish()
    raise AssertionError("no chunks")


def close_to_definition(image: np.ndarray, shape: Geometry, samples: np.ndarray, overlap: float = 0.5) -> None:
    expected = by_definition(samples, shape.rows, shape.nfft, overlap)
    np.testing.assert_allclose(image, expected, rtol=2e-4, atol=1e-3)


@pytest.mark.parametrize("case", golden(), ids=lambda case: f"{case.count}")
def test_golden_image(case: Golden) -> None:
    image = run(Geometry(case.count, case.rows, case.columns, case.overlap), case.samples(), [case.count])
    np.testing.assert_allclose(10 * np.log10(image / image.max()), case.power_db, atol=0.05)


@pytest.mark.parametrize(
    ("count", "rows", "nfft", "overlap"),
    [
        (76_800, 256, 256, 0.5),
        (19_200, 256, 256, 0.5),
        (1024, 256, 256, 0.5),
        (511, 256, 256, 0.5),
        (10_007, 17, 64, 0.25),
        (5_000, 1, 128, 0.0),
        (128, 1, 128, 0.5),
        (9_000, 64, 30, 0.75),
    ],
)
def test_image_is_the_mean_power_per_pixel(count: int, rows: int, nfft: int, overlap: float) -> None:
    shape = Geometry(count, rows, nfft, overlap)
    samples = noise(count)
    close_to_definition(run(shape, samples, [count]), shape, samples, overlap)
    assert (shape.hop, shape.segments) == geometry(count, rows, nfft, overlap)


def test_hop_shrinks_until_every_row_has_a_segment() -> None:
    wide, short = Geometry(2_457_600, 256, 256, 0.5), Geometry(19_200, 256, 256, 0.5)
    assert (wide.hop, wide.segments) == (128, 19_199)
    assert (short.hop, short.segments) == (74, 257)


@pytest.mark.parametrize("chunks", [[1], [7, 1, 4096], [255, 257], [127, 0, 3], [4096], [100_003]])
@pytest.mark.parametrize("count", [20_000, 77_777])
def test_chunks_change_no_bit(chunks: list[int], count: int) -> None:
    shape = Geometry(count, 256, 256, 0.5)
    samples = noise(count)
    assert np.array_equal(run(shape, samples, chunks), run(shape, samples, [count]))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(700, 9000),
    st.integers(1, 40),
    st.sampled_from([2, 16, 30, 64, 256]),
    st.sampled_from([0.0, 0.25, 0.5, 0.9]),
    st.lists(st.integers(1, 600), min_size=1, max_size=8),
)
def test_any_chunks_of_any_shape_change_no_bit(
    count: int, rows: int, nfft: int, overlap: float, chunks: list[int]
) -> None:
    shape = Geometry(count, rows, nfft, overlap)
    samples = noise(count)
    samples[count // 2] = np.nan
    assert np.array_equal(run(shape, samples, chunks), run(shape, samples, [count]))


def test_where_samples_lie_in_memory_changes_no_bit() -> None:
    shape = Geometry(20_000, 256, 256, 0.5)
    shifted = noise(20_001)
    for start in (0, 1):
        samples = shifted[start : start + 20_000]
        assert np.array_equal(run(shape, samples, [20_000]), run(shape, samples.copy(), [20_000]))


def test_frames_follow_each_other_without_a_trace() -> None:
    shape = Geometry(9_000, 64, 128, 0.5)
    samples = noise(27_000)
    kernel, images, at = Spectrogram(shape), [], 0
    while at < len(samples):
        at += kernel.push(samples[at : at + 777])
        if kernel.complete:
            assert kernel.push(samples[:10]) == 0
            images.append(kernel.finish())
    assert len(images) == 3
    for i, image in enumerate(images):
        assert np.array_equal(image, run(shape, samples[9_000 * i : 9_000 * (i + 1)], [9_000]))


def test_discard_leaves_nothing_behind() -> None:
    shape = Geometry(9_000, 64, 128, 0.5)
    samples = noise(9_000)
    kernel = Spectrogram(shape)
    kernel.push(1000 * samples[:5_001])
    assert (kernel.discard(), kernel.position) == (5_001, 0)
    kernel.push(samples)
    assert np.array_equal(kernel.finish(), run(shape, samples, [9_000]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, complex(0, np.nan), complex(1, -np.inf), 1e30])
@pytest.mark.parametrize("chunk", [100, 50_000])
def test_what_is_no_number_counts_as_zero(bad: complex, chunk: int) -> None:
    shape = Geometry(50_000, 128, 256, 0.5)
    samples = noise(50_000)
    where = [0, 1, 127, 128, 30_000, 30_001, 49_999]
    samples[where] = bad
    zeroed = samples.copy()
    zeroed[where] = 0
    close_to_definition(run(shape, samples, [chunk]), shape, zeroed)


@pytest.mark.parametrize("amplitude", [1e13, 5e19, 3e38])
def test_absurd_tones_keep_the_image_finite(amplitude: float) -> None:
    shape = Geometry(50_000, 128, 256, 0.5)
    samples = (amplitude * np.exp(0.5j * np.pi * np.arange(50_000))).astype(np.complex64)
    assert np.isfinite(run(shape, samples, [50_000])).all()


@pytest.mark.parametrize("dead", [0, np.nan, np.inf])
def test_a_dead_receiver_gives_zeros(dead: float) -> None:
    assert not run(Geometry(30_000, 128, 256, 0.5), np.full(30_000, dead, np.complex64), [4096]).any()


@pytest.mark.parametrize(
    "shape",
    [(100, 256, 256, 0.5), (510, 256, 256, 0.5), (5_000, 0, 256, 0.5), (5_000, 16, 255, 0.5), (5_000, 16, 0, 0.5),
     (5_000, 16, 64, 1.0), (5_000, 16, 64, -0.1), (5_000, 16, 64, np.nan), (5_000, 2**64 - 1, 64, 0.5)],
)  # fmt: skip
def test_shapes_that_cannot_be_are_refused(shape: tuple) -> None:
    with pytest.raises(ValueError, match=r"too short|needs rows"):
        Geometry(*shape)


def test_an_unfinished_frame_is_not_given_out() -> None:
    kernel = Spectrogram(Geometry(9_000, 64, 128, 0.5))
    kernel.push(noise(8_999))
    with pytest.raises(RuntimeError, match="8999 of its 9000"):
        kernel.finish()


def test_subnormal_numbers_stay_what_they_are() -> None:
    """Vector libraries like to leave the calling thread rounding them to zero, and numpy complains of it later."""
    smallest = np.array([1.2e-38], np.float32)
    assert (smallest / 2).all()
    run(Geometry(9_000, 64, 128, 0.5), noise(9_001)[1:], [9_000])
    assert (smallest / 2).all()


def test_other_samples_are_refused_rather_than_converted() -> None:
    kernel = Spectrogram(Geometry(9_000, 64, 128, 0.5))
    for other in (np.zeros(10, np.complex128), noise(20)[::2]):
        with pytest.raises(TypeError):
            kernel.push(other)
    with pytest.raises(ValueError, match="one dimension"):
        kernel.push(noise(20).reshape(2, 10))
    assert kernel.position == 0


def test_other_threads_run_while_samples_are_pushed() -> None:
    kernel, samples = Spectrogram(Geometry(1_000_000, 256, 256, 0.5)), noise(1_000_000)
    start, ran = threading.Event(), threading.Event()
    other = threading.Thread(target=lambda: start.wait() and ran.set())
    interval = sys.getswitchinterval()
    other.start()
    try:
        sys.setswitchinterval(1000)  # s: the interpreter takes the lock from nobody, so push alone can give it up
        start.set()
        for _ in range(1000):
            if ran.is_set():
                break
            kernel.push(samples)
            kernel.discard()
        assert ran.is_set()
    finally:
        sys.setswitchinterval(interval)
        other.join()
