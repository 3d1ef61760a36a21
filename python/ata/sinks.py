# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records to files: JSON lines, and SigMF annotations."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from .errors import AtaError
from .records import Band, Record

VERSION = "0.1.0"
SAME_COLUMNS = 2  # edges that move by no more are the same band's
COLUMNS = 256


def _open(path: str | Path) -> TextIO:
    try:
        return Path(path).open("w", encoding="utf-8")
    except OSError as failure:
        raise AtaError(f"{path} cannot be written: {failure.strerror}") from failure


class JsonLines:
    """One record a line, each flushed at once: a run that is killed leaves every finished frame readable."""

    def __init__(self, path: str | Path | TextIO) -> None:
        self._file = _open(path) if isinstance(path, str | Path) else path

    def write(self, record: Record) -> None:
        self._file.write(record.to_json() + "\n")
        self._file.flush()

    def flush(self) -> None:
        """Nothing is ever held back."""

    def close(self) -> None:
        self._file.close()


@dataclass
class _Run:
    """A band over consecutive frames."""

    band: Band
    samp_rate: float
    start: int
    end: int
    confidence: list[float] = field(default_factory=list)

    def continues(self, band: Band, record: Record) -> bool:
        near = SAME_COLUMNS * record.samp_rate / COLUMNS
        return (
            band.label == self.band.label
            and record.samp_rate == self.samp_rate
            and record.sample_start <= self.end
            and abs(band.freq_lower_edge - self.band.freq_lower_edge) <= near
            and abs(band.freq_upper_edge - self.band.freq_upper_edge) <= near
        )


class SigmfAnnotations:
    """A .sigmf-meta file with one annotation per band and run of consecutive frames in which it stays.

    Args: path: of the file, written by `flush` and `close`. dataset: path of the samples that it speaks of, named
    relative to it.
    datatype: their SigMF type.
    """

    def __init__(self, path: str | Path, dataset: str | Path | None = None, datatype: str = "cf32_le") -> None:
        self._path, self._datatype = Path(path), datatype
        self._dataset = os.path.relpath(dataset, self._path.parent) if dataset else None
        self._open: list[_Run] = []
        self._done: list[_Run] = []
        self._captures: list[dict] = []
        self._generator, self._rate = "gr-ata", 0.0
        _open(path).close()  # what cannot be written is said before the work, not after it

    def write(self, record: Record) -> None:
        self._generator, self._rate = f"gr-ata {VERSION}, {record.model}", record.samp_rate
        if not self._captures or self._captures[-1]["core:frequency"] != record.center_freq:
            start = record.sample_start if self._captures else 0
            self._captures.append({"core:sample_start": start, "core:frequency": record.center_freq})
            if record.time and start == record.sample_start:
                self._captures[-1]["core:datetime"] = record.time
        still = []
        for band in record.bands:
            run = next((r for r in self._open if r.continues(band, record)), None)
            if run is None:
                run = _Run(band, record.samp_rate, record.sample_start, record.sample_start)
            else:
                self._open.remove(run)
            run.end = record.sample_start + record.sample_count
            run.confidence.append(band.confidence)
            still.append(run)
        self._done += self._open
        self._open = still

    def flush(self) -> None:
        """Writes the whole file anew."""
        runs = sorted(self._done + self._open, key=lambda r: (r.start, r.band.freq_lower_edge))
        head = {
            "core:datatype": self._datatype,
            "core:sample_rate": self._rate,
            "core:version": "1.0.0",
            "core:description": "5G NR and LTE bands detected by gr-ata",
            "core:extensions": [
                {"name": "ata", "version": "1.0.0", "optional": True},
                {"name": "signal", "version": "1.0.0", "optional": True},
            ],
        }
        if self._dataset:
            head["core:dataset"] = self._dataset
        meta = {
            "global": head,
            "captures": self._captures or [{"core:sample_start": 0}],
            "annotations": [self._annotation(r) for r in runs],
        }
        self._path.write_text(json.dumps(meta, indent=1), encoding="utf-8")

    def close(self) -> None:
        self.flush()

    def _annotation(self, run: _Run) -> dict:
        band = run.band
        note = {
            "core:sample_start": run.start,
            "core:sample_count": run.end - run.start,
            "core:freq_lower_edge": band.freq_lower_edge,
            "core:freq_upper_edge": band.freq_upper_edge,
            "core:label": band.label,
            "core:generator": self._generator,
            "ata:confidence": round(sum(run.confidence) / len(run.confidence), 4),
        }
        if band.label in ("LTE", "NR"):
            note["signal:detail"] = {"type": "digital", "standard": {"LTE": "3gpp_lte", "NR": "3gpp_nr"}[band.label]}
        return note
