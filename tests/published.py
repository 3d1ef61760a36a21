# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records for the tests of publishers."""

from gnuradio.ata.records import Band, Record


def record(frame: int, *labels: str, latency_ms: float | None = None) -> Record:
    """One band of 10 MHz a label."""
    bands = tuple(Band(label, 8e8 + 1e7 * i, 8.1e8 + 1e7 * i, 0.9, 12.5, 1.0) for i, label in enumerate(labels))
    return Record(frame, 1000 * frame, 1000, None, 8e8, 61.44e6, "m-1", "onnxruntime-cpu", False, 0, latency_ms, bands)
