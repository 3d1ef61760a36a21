# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of a stream: retunes, gaps, clocks, and every sample accounted for."""

from dataclasses import replace

import numpy as np
import pytest
from gnuradio.ata.errors import AtaError
from gnuradio.ata.model import read_model
from gnuradio.ata.stream import Frame, FrameStream, Tally

RATE = 2e6
N = 2000  # samples of a frame of 1 ms


def stream(settle_samples: int = 0) -> FrameStream:
    return FrameStream(read_model(), RATE, 8e8, 1.0, settle_samples)


def push(s: FrameStream, count: int, offset: int) -> list[Frame]:
    return list(s.push(np.ones(count, np.complex64), offset))


def test_frames_follow_each_other() -> None:
    s = stream()
    found = push(s, 3 * N + 10, 100)
    assert [(f.index, f.sample_start, f.sample_count) for f in found] == [(0, 100, N), (1, 100 + N, N), (2, 100 + 2 * N, N)]
    assert s.end() == 10
    assert (s.dropped, s.next_index) == (1, 4)


def test_a_retune_discards_counts_and_settles() -> None:
    s = stream(settle_samples=300)
    assert len(push(s, N + 500, 0)) == 1
    assert s.retune(9e8) and not s.retune(9e8)
    found = push(s, 2 * N, N + 500)
    assert [(f.index, f.sample_start, f.center_freq) for f in found] == [(2, N + 800, 9e8)]
    assert s.dropped == 1


def test_a_retune_between_frames_loses_nothing() -> None:
    s = stream()
    push(s, N, 0)
    s.retune(9e8)
    assert [(f.index, f.center_freq) for f in push(s, N, N)] == [(1, 9e8)]
    assert s.dropped == 0


def test_a_new_rate_makes_frames_of_the_same_duration() -> None:
    s = stream()
    push(s, 100, 0)
    s.retune(samp_rate=4e6)
    assert [(f.sample_start, f.sample_count, f.samp_rate) for f in push(s, 4000, 100)] == [(100, 4000, 4e6)]


def test_a_rate_that_is_not_accepted_changes_nothing() -> None:
    s = stream()
    push(s, 100, 0)
    with pytest.raises(AtaError, match="sample rate"):
        s.retune(samp_rate=1e3)
    assert [f.sample_start for f in push(s, N - 100, 100)] == [0]


def test_time_of_the_first_sample() -> None:
    s = stream()
    s.clock(0, 1_700_000_000, 0.9995)
    first, second = push(s, 2 * N, 0)
    assert first.time == (1_700_000_000, pytest.approx(0.9995))
    assert second.time == (1_700_000_001, pytest.approx(0.0005, abs=1e-9))


def test_a_radio_that_counts_from_its_start_tells_no_time() -> None:
    s = stream()
    s.clock(0, 12, 0.5)
    assert push(s, N, 0)[0].time is None


def test_a_jump_in_time_is_a_gap_and_a_repeated_tag_is_none() -> None:
    s = stream()
    s.clock(0, 100, 0.0)
    push(s, 500, 0)
    assert not s.clock(500, 100, 500 / RATE)
    assert s.clock(500, 100, 600 / RATE)
    assert [f.sample_start for f in push(s, N, 500)] == [500]
    assert s.dropped == 1


@pytest.mark.parametrize("passed", [1.0, 60.0, 3600.0])
def test_lost_packets_are_a_gap_however_long_ago_the_last_time_was(passed: float) -> None:
    s = stream()
    s.clock(0, 100, 0.0)
    offset = int(passed * RATE)
    seconds, fraction = 100 + int(passed), passed % 1
    assert not s.clock(offset, seconds, fraction + 0.9e-6)  # a clock that is not the sample clock
    assert not s.clock(2 * offset, seconds + int(passed), fraction)
    assert s.clock(3 * offset, seconds + 2 * int(passed), fraction + 10e-6)
    assert s.gaps == 1


def test_every_sample_is_accounted_for() -> None:
    s = stream(settle_samples=300)
    push(s, N + 500, 0)
    assert s.tally == Tally(seen=N + 500, framed=N, held=500)
    s.retune(9e8)
    push(s, 200, N + 500)
    assert s.tally == Tally(seen=N + 700, framed=N, discarded=500, settled=200)
    push(s, 200, N + 700)
    s.end()
    assert s.tally == Tally(seen=N + 900, framed=N, discarded=600, settled=300)


def test_a_rate_whose_frames_are_too_short_for_the_image_changes_nothing() -> None:
    model = replace(read_model(), rows=4096)
    s = FrameStream(model, 8e6, 8e8, 1.0)
    push(s, 100, 0)
    with pytest.raises(AtaError, match="too short for 4096 rows"):
        s.retune(9e8, 2e6)
    found = push(s, 7900, 100)
    assert [(f.sample_start, f.sample_count, f.center_freq, f.samp_rate) for f in found] == [(0, 8000, 8e8, 8e6)]


@pytest.mark.parametrize("freq", [float("nan"), float("inf"), -1e13, 1e300])
def test_a_frequency_that_no_radio_has_changes_nothing(freq: float) -> None:
    s = stream()
    push(s, 100, 0)
    with pytest.raises(AtaError, match="makes no sense"):
        s.retune(freq)
    assert [(f.sample_start, f.center_freq) for f in push(s, N - 100, 100)] == [(0, 8e8)]


@pytest.mark.parametrize("seconds", [0, 2**64 - 1, 253_370_764_800, 253_402_300_799])
def test_a_clock_that_is_no_date_tells_no_time(seconds: int) -> None:
    s = stream()
    s.clock(0, seconds, 0.5)
    assert push(s, N, 0)[0].time is None
