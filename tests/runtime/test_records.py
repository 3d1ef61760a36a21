# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record as a JSON line."""

import json

import pytest
from gnuradio.ata.records import Band, Record, utc
from hypothesis import given, settings
from hypothesis import strategies as st

finite = st.floats(allow_nan=False, allow_infinity=False)
share = st.floats(0, 1)
bands = st.builds(Band, st.sampled_from(["LTE", "NR", "other"]), finite, finite, share, st.none() | finite, share)
index = st.integers(0, 2**63)
made = st.builds(
    Record, index, index, index, st.none() | st.text(), finite, finite, st.text(), st.text(), st.booleans(), index,
    st.none() | finite, st.lists(bands, max_size=3).map(tuple),
)  # fmt: skip


@settings(deadline=None)
@given(made)
def test_a_line_gives_the_record_back_to_the_last_bit(record: Record) -> None:
    line = record.to_json()
    assert "\n" not in line
    assert Record.from_dict(json.loads(line)) == record


def test_the_keys_are_those_of_the_contract_in_its_order() -> None:
    band = Band("LTE", 801512000.0, 810488000.0, 0.97, 18.4, 1.0)
    record = Record(12, 29491200, 2457600, None, 806e6, 61.44e6, "ata-1", "onnxruntime-cpu", False, 0, None, (band,))
    assert list(record.to_dict()) == [
        "frame", "sample_start", "sample_count", "time", "center_freq", "samp_rate", "model", "engine", "tail",
        "dropped_frames", "latency_ms", "bands",
    ]  # fmt: skip
    assert list(record.to_dict()["bands"][0]) == [
        "label", "freq_lower_edge", "freq_upper_edge", "confidence", "snr_db", "duty_cycle",
    ]  # fmt: skip


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_line_holds_what_json_does_not_know(value: float) -> None:
    band = Band("LTE", 1.0, 2.0, 0.5, value, 1.0)
    with pytest.raises(ValueError, match="JSON"):
        Record(0, 0, 1, None, 0.0, 1.0, "m", "e", False, 0, None, (band,)).to_json()


def test_times_round_to_the_microsecond_across_a_second() -> None:
    assert utc(1_767_225_599, 0.9999999) == "2026-01-01T00:00:00.000000Z"
    assert utc(1_767_225_600, 0.48) == "2026-01-01T00:00:00.480000Z"
