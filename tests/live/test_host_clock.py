# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dates from arrivals that are late by what buffers hold."""

from itertools import pairwise

import numpy as np
import pytest
from gnuradio.ata.host_clock import HostClock

RATE, N = 2e6, 20_000
BEGAN = 1.7e9  # s since 1970


def dated(true: np.ndarray, late: np.ndarray) -> np.ndarray:
    """The clock's errors, s, for frames that begin at `true`, s, and arrive late by `late`."""
    clock = HostClock(RATE)
    found = [clock.time(N * i, N, t + N / RATE + delay) for i, (t, delay) in enumerate(zip(true, late, strict=True))]
    assert all(b > a for a, b in pairwise(found))
    return np.array(found) - true


def test_frames_that_come_in_bursts_are_dated_one_after_the_other() -> None:
    late = 0.004 + np.repeat(np.random.default_rng(1).uniform(0, 0.1, 100), 5) + np.tile([0.04, 0.03, 0.02, 0.01, 0], 100)
    error = dated(BEGAN + np.arange(500) * N / RATE, late)
    assert error[50:] == pytest.approx(0.004, abs=0.02)


def test_a_crystal_may_drift_for_a_week() -> None:
    passed = np.linspace(0, 7 * 86400, 100_000)  # s; between two frames the index gains 0.3 ms
    clock = HostClock(RATE)
    starts = np.round(passed * RATE * (1 + 50e-6)).astype(np.int64)
    found = [clock.time(int(s), N, BEGAN + h + N / RATE) for s, h in zip(starts, passed, strict=True)]
    assert np.array(found) - BEGAN - passed == pytest.approx(0, abs=0.02)


def test_a_clock_that_is_set_back_is_followed_at_once() -> None:
    clock, passed = HostClock(RATE), np.arange(400) * N / RATE
    host = BEGAN + passed - 3600 * (passed >= 2)
    found = [clock.time(N * i, N, t + N / RATE) for i, t in enumerate(host)]
    assert np.array(found) == pytest.approx(host, abs=1e-5)


def test_samples_that_a_radio_loses_in_silence_are_noticed() -> None:
    true = BEGAN + np.arange(400) * N / RATE
    true[200:] += 3.0
    error = dated(true, np.zeros(400))
    assert error[:200] == pytest.approx(0, abs=1e-5)
    assert error[300:] == pytest.approx(0, abs=1e-5)
