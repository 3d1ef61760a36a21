# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The spectrogram kernel against batched `scipy.fft` and against a bare FFTW + VOLK loop in C++.

The same transform on all three sides: Hann window, 256 columns, 50 % overlap, complex64, mean |FFT|^2, one thread.
Input samples are counted, not overlapped ones. `python benchmarks/kernel.py` needs nothing but a build in `build/`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import scipy.fft

BUILD = Path(__file__).resolve().parent.parent / "build"
SAMPLES = 2_457_600  # 40 ms at 61.44 MS/s
ROWS = COLUMNS = 256
HOP = COLUMNS // 2
CHUNK = 131_072  # samples that GNU Radio hands to the block at a time
BATCHES = (64, 512, 4096)  # segments in one call of scipy.fft; the fastest counts
ROUNDS = 15


def measure() -> dict[str, float]:
    """-> kernel_vs_scipy and kernel_vs_fftw_loop (ratios of speed), kernel_msps, scipy_msps, fftw_loop_msps (MS/s).

    The sides take turns and each counts with its fastest round of processor time, so that what else the machine does
    falls on none.
    """
    from gnuradio.ata._kernel import Geometry, Spectrogram

    rng = np.random.default_rng(1)
    samples = rng.standard_normal(2 * SAMPLES).astype(np.float32).view(np.complex64)
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(COLUMNS) / COLUMNS)).astype(np.float32)
    # The kernel plans first: FFTW remembers what the loop's FFTW_MEASURE finds.
    kernel = Spectrogram(Geometry(SAMPLES, ROWS, COLUMNS, 0.5))
    loop = _baseline().loop
    chunks = [samples[at : at + CHUNK] for at in range(0, SAMPLES, CHUNK)]
    segments = np.lib.stride_tricks.sliding_window_view(samples, COLUMNS)[::HOP]
    row = np.arange(len(segments)) * ROWS // len(segments)

    def run_kernel() -> np.ndarray:
        for chunk in chunks:
            kernel.push(chunk)
        return kernel.finish()

    def run_loop() -> np.ndarray:
        total = np.zeros(COLUMNS, np.float32)
        loop(samples, window, HOP, total)
        return total

    def run_scipy(batch: int) -> np.ndarray:
        image = np.zeros((ROWS, COLUMNS), np.float32)
        for at in range(0, len(segments), batch):
            spectrum = scipy.fft.fft(segments[at : at + batch] * window, overwrite_x=True, workers=1)
            power = spectrum.real**2 + spectrum.imag**2
            rows, first = np.unique(row[at : at + batch], return_index=True)
            image[rows] += np.add.reduceat(power, first)
        return image

    counts = np.bincount(row)[:, None]
    expected = np.fft.fftshift(run_scipy(512) / counts, axes=1)
    np.testing.assert_allclose(run_kernel(), expected, rtol=1e-2)
    np.testing.assert_allclose(run_loop(), np.fft.ifftshift((expected * counts).sum(axis=0)), rtol=1e-2)

    sides: dict[str, Callable[[], np.ndarray]] = {"kernel": run_kernel, "loop": run_loop}
    sides |= {f"scipy {batch}": lambda batch=batch: run_scipy(batch) for batch in BATCHES}
    fastest = dict.fromkeys(sides, float("inf"))
    for _ in range(ROUNDS):
        for name, side in sides.items():
            begin = time.thread_time()
            side()
            fastest[name] = min(fastest[name], time.thread_time() - begin)
    with_scipy = min(fastest[f"scipy {batch}"] for batch in BATCHES)
    return {
        "kernel_vs_scipy": with_scipy / fastest["kernel"],
        "kernel_vs_fftw_loop": fastest["loop"] / fastest["kernel"],
        "kernel_msps": SAMPLES / fastest["kernel"] / 1e6,
        "scipy_msps": SAMPLES / with_scipy / 1e6,
        "fftw_loop_msps": SAMPLES / fastest["loop"] / 1e6,
    }


def _baseline() -> ModuleType:
    """The bare loop, built on the first call."""
    subprocess.run(["cmake", "--build", BUILD, "--target", "_baseline"], check=True, stdout=subprocess.DEVNULL)
    sys.path.append(str(BUILD))
    import _baseline

    return _baseline


if __name__ == "__main__":
    sys.path.insert(0, str(BUILD / "test_modules"))
    for name, value in measure().items():
        print(f"{name:20} {value:8.2f}")
