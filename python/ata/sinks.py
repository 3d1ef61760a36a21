# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records to files: JSON lines, and SigMF annotations."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, TextIO

from .errors import AtaError
from .recordings import metadata_of, open_recording, sample_type
from .records import Band, Record, utc

DESCRIPTION = "5G NR and LTE bands detected by gr-ata"
VERSION = "0.1.0"
SAME_COLUMNS = 2  # edges that move by no more are the same band's
COLUMNS = 256
STANDARDS = {"LTE": "3gpp_lte", "NR": "3gpp_nr"}
ANNOTATION_BYTES = 420  # of one in a file, near enough
CLOCK_MOVED = 1.0  # s between a record's time and the one that its sample index gives: samples were lost


class Sink(Protocol):
    """Where records go, one at a time: files here, other programs in `publish/`."""

    def write(self, record: Record) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...


class HasJson(Protocol):
    """A record of a frame, or of a sweep."""

    def to_json(self) -> str: ...


@contextmanager
def _writing(path: object) -> Iterable[None]:
    try:
        yield
    except BrokenPipeError:  # whoever read the records has seen enough, which is no fault
        raise
    except OSError as failure:
        raise AtaError(f"{path} cannot be written: {failure.strerror}") from failure


def _open(path: str | Path) -> TextIO:
    with _writing(path):
        return Path(path).open("w", encoding="utf-8")


class JsonLines:
    """One record a line, each flushed at once: a run that is killed leaves every finished frame readable.

    Args: path: of the file, or an open text file. AtaError where it cannot be written.
    Attributes: size (bytes written).
    """

    def __init__(self, path: str | Path | TextIO) -> None:
        self._path = path if isinstance(path, str | Path) else "the output"
        self._file = _open(path) if isinstance(path, str | Path) else path
        self.size = 0

    def write(self, record: HasJson) -> None:
        line = record.to_json() + "\n"
        try:
            with _writing(self._path):
                self._file.write(line)
                self._file.flush()
        except AtaError:
            with suppress(OSError):  # what could not be written would be tried again, with a complaint, at the end
                self._file.close()
            raise
        self.size += len(line)

    def flush(self) -> None:
        """Nothing is ever held back."""

    def close(self) -> None:
        with _writing(self._path):
            self._file.close()


@dataclass
class BandRun:
    """A band over consecutive frames: samples [start, end), edges (Hz) and confidence as means over the frames."""

    label: str
    freq_lower_edge: float
    freq_upper_edge: float
    confidence: float
    start: int
    end: int
    frames: int = 1

    def extend(self, band: Band, end: int) -> None:
        self.frames += 1
        for name in ("freq_lower_edge", "freq_upper_edge", "confidence"):
            mean = getattr(self, name)
            setattr(self, name, mean + (getattr(band, name) - mean) / self.frames)
        self.end = end


class BandRuns:
    """Joins the bands of consecutive frames: same label, and edges within two columns of the run's own."""

    def __init__(self, columns: int = COLUMNS) -> None:
        self._columns = columns
        self._open: list[BandRun] = []
        self._done: list[BandRun] = []

    def add(self, record: Record) -> None:
        near = SAME_COLUMNS * record.samp_rate / self._columns
        before, self._open = self._open, []
        end = record.sample_start + record.sample_count
        for band in record.bands:
            run = next((r for r in before if record.sample_start <= r.end and _same(r, band, near)), None)
            if run is None:
                run = BandRun(
                    band.label, band.freq_lower_edge, band.freq_upper_edge, band.confidence, record.sample_start, end
                )
            else:
                before.remove(run)
                run.extend(band, end)
            self._open.append(run)
        self._done += before

    def forget(self, before: int) -> None:
        """Drops the runs that ended before this sample."""
        self._done = [run for run in self._done if run.end >= before]

    def runs(self) -> list[BandRun]:
        """All of them, those that still go on too, sorted by start."""
        return sorted(self._done + self._open, key=lambda r: (r.start, r.freq_lower_edge))

    def __len__(self) -> int:
        return len(self._done) + len(self._open)


def _same(run: BandRun, band: Band, near: float) -> bool:
    return (
        band.label == run.label
        and abs(band.freq_lower_edge - run.freq_lower_edge) <= near
        and abs(band.freq_upper_edge - run.freq_upper_edge) <= near
    )


def ours(path: Path) -> bool:
    """Whether the path of a .sigmf-meta file is free, empty or holds annotations of an earlier run."""
    with _writing(path):
        try:
            text = path.read_bytes() if path.is_file() else b""
            return not text or json.loads(text)["global"]["core:description"] == DESCRIPTION
        except FileNotFoundError:  # removed since
            return True
        except (LookupError, TypeError, ValueError, RecursionError):
            return False


def sigmf_capture(start: int, center_freq: float, time: str | None) -> dict:
    """An entry of SigMF's captures; time in ISO 8601 or None."""
    entry = {"core:sample_start": start, "core:frequency": center_freq}
    return {**entry, "core:datetime": time} if time else entry


def sigmf_annotation(run: BandRun, generator: str, shift: int) -> dict:
    """A run as an annotation; shift: added to its sample indices."""
    note = {
        "core:sample_start": shift + run.start,
        "core:sample_count": run.end - run.start,
        "core:freq_lower_edge": run.freq_lower_edge,
        "core:freq_upper_edge": run.freq_upper_edge,
        "core:label": run.label,
        "core:generator": generator,
        "ata:confidence": round(run.confidence, 4),
    }
    if run.label in STANDARDS:
        note["signal:detail"] = {"type": "digital", "standard": STANDARDS[run.label]}
    return note


def write_sigmf(path: Path, head: dict, captures: list[dict], annotations: list[dict]) -> None:
    """Writes a .sigmf-meta file whole or not at all: who reads it meanwhile, or after a crash, finds the one before."""
    head = {
        **head,
        "core:version": "1.0.0",
        "core:description": DESCRIPTION,
        "core:extensions": [
            {"name": "ata", "version": "1.0.0", "optional": True},
            {"name": "signal", "version": "1.0.0", "optional": True},
        ],
    }
    meta = {"global": head, "captures": captures or [{"core:sample_start": 0}], "annotations": annotations}
    with _writing(path):
        final = path.resolve()
        part = final.with_name(final.name + ".part") if final.is_file() or not final.exists() else final
        part.write_text(json.dumps(meta, indent=1), encoding="utf-8")
        if part != final:
            part.replace(final)


def generator(record: Record) -> str:
    """Who found it, for `core:generator`."""
    return f"gr-ata {VERSION}, {record.model}"


class SigmfAnnotations:
    """A .sigmf-meta file with one annotation per band and run of consecutive frames in which it stays.

    Args:
        path: of the file, written by `flush` and `close`.
        dataset: path of the samples that it speaks of, named relative to it.
        datatype: their SigMF type; needed where they have no SigMF metadata beside them, which says it.
        columns: F of the model, which says how far an edge may wander.

    AtaError where the file cannot be written, or is somebody's metadata already: a recording's own, most likely; and for
    samples whose type nobody says.
    """

    def __init__(
        self,
        path: str | Path,
        dataset: str | Path | None = None,
        datatype: str | None = None,
        columns: int = COLUMNS,
    ) -> None:
        self._path = Path(path)
        if not ours(self._path):
            raise AtaError(f"{path} is there already, and gr-ata did not write it; name another file")
        self._head: dict = {"core:datatype": datatype or "cf32_le"}  # of a stream
        self._offset = 0
        self._captures: list[dict] = []
        if dataset:
            self._describe(Path(dataset), datatype)
        else:
            self._head["core:metadata_only"] = True
        self._captures_known = bool(self._captures)
        self._runs = BandRuns(columns)
        self._generator, self._rate = "gr-ata", 0.0
        with _writing(path), self._path.open("a"):
            pass  # what cannot be written is said before the work, not after it

    def _describe(self, dataset: Path, datatype: str | None) -> None:
        meta_path = metadata_of(dataset)
        if meta_path is not None and meta_path.exists():
            recording = open_recording(dataset)
            dataset, self._offset = recording.path, recording.offset
            self._head["core:datatype"] = recording.datatype
            for c in recording.captures:
                began = c.time(0, recording.samp_rate)
                time = utc(*began) if began else None
                self._captures.append(sigmf_capture(self._offset + c.start, c.center_freq, time))
        elif datatype:
            sample_type(dataset, datatype)
        else:
            raise AtaError(f"{dataset} has no SigMF metadata beside it: give the data type of its samples, such as cu8")
        self._head["core:dataset"] = os.path.relpath(dataset, self._path.parent)

    @property
    def size(self) -> int:
        """Bytes of the file, near enough."""
        return ANNOTATION_BYTES * len(self._runs)

    def write(self, record: Record) -> None:
        self._generator, self._rate = generator(record), record.samp_rate
        self._runs.add(record)
        if not self._captures_known and self._begins_capture(record):
            # Samples that stand somewhere begin before the first record, with the first frame if that was dropped.
            from_zero = not self._captures and "core:dataset" in self._head and record.sample_start
            start, time = (0, None) if from_zero else (record.sample_start, record.time)
            self._captures.append(sigmf_capture(start, record.center_freq, time))

    def _begins_capture(self, record: Record) -> bool:
        if not self._captures or self._captures[-1]["core:frequency"] != record.center_freq:
            return True
        began = self._captures[-1].get("core:datetime")
        if began is None or record.time is None:
            return False
        passed = (datetime.fromisoformat(record.time) - datetime.fromisoformat(began)).total_seconds()
        counted = (record.sample_start - self._captures[-1]["core:sample_start"]) / record.samp_rate
        return abs(passed - counted) > CLOCK_MOVED

    def flush(self) -> None:
        """Writes the whole file anew."""
        head = {**self._head, "core:sample_rate": self._rate}
        if self._offset:
            head["core:offset"] = self._offset
        notes = [sigmf_annotation(run, self._generator, self._offset) for run in self._runs.runs()]
        write_sigmf(self._path, head, self._captures, notes)

    def close(self) -> None:
        self.flush()
