# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The detection record: one per analysed frame, the same content as message, tag, JSON line and SigMF."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from .errors import AtaError

HIGHEST_FREQ = 1e12  # Hz, either side of 0; a double still holds a thousandth of a hertz there
# What has a date: seconds since 1970, from there to 9999-01-01.
DATED = range(0, 253_370_764_800)


@dataclass(frozen=True)
class Band:
    """One occupied band: edges in Hz, confidence and duty_cycle 0 to 1, snr_db re the frame's noise or None."""

    label: str
    freq_lower_edge: float
    freq_upper_edge: float
    confidence: float
    snr_db: float | None
    duty_cycle: float


@dataclass(frozen=True)
class Record:
    """What one frame held; the fields are those of the JSON line, in its order.

    frame: index since start, dropped frames counted in. sample_start, sample_count: absolute index of the first
    sample, and length. time: UTC of the first sample, ISO 8601, or None. latency_ms: last sample in to record out;
    None if nobody waited for it.
    """

    frame: int
    sample_start: int
    sample_count: int
    time: str | None
    center_freq: float
    samp_rate: float
    model: str
    engine: str
    tail: bool
    dropped_frames: int
    latency_ms: float | None
    bands: tuple[Band, ...]

    def to_dict(self) -> dict:
        """-> plain JSON types."""
        record = asdict(self)
        return {**record, "bands": list(record["bands"])}

    def to_json(self) -> str:
        """-> one line of JSON without its end of line; never NaN or Infinity."""
        return json.dumps(self.to_dict(), allow_nan=False)

    @classmethod
    def from_dict(cls, record: dict) -> Record:
        """The inverse of `to_dict`."""
        return cls(**{**record, "bands": tuple(Band(**b) for b in record["bands"])})


def center_frequency(freq: float) -> float:
    """The centre frequency, Hz, as a float; AtaError for one that no radio has."""
    if not abs(freq) <= HIGHEST_FREQ:
        raise AtaError(f"a centre frequency of {freq:g} Hz makes no sense")
    return float(freq)


def utc(seconds: int, fraction: float) -> str:
    """Seconds since 1970, whole (of DATED) and fraction -> ISO 8601 to the microsecond."""
    moment = datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=round(fraction * 1e6))
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
