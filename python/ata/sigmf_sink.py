# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records as SigMF annotations, and what else writes SigMF metadata needs for it."""

from __future__ import annotations

import json
import logging
import os
import weakref
from datetime import datetime
from pathlib import Path

from .band_runs import COLUMNS, BandRun, BandRuns
from .errors import AtaError
from .held_file import HeldFile, replace_file
from .recordings import LARGEST_META, UNNAMED, Recording, metadata_of, open_recording, sample_type
from .records import Record, utc
from .sinks import writing

DESCRIPTION = "5G NR and LTE bands detected by gr-ata"
VERSION = "0.1.0"
STANDARDS = {"LTE": "3gpp_lte", "NR": "3gpp_nr"}
ANNOTATION_BYTES = 420  # of one in a file, near enough
SAMPLES_ELSEWHERE = {"core:dataset", "core:metadata_only"}  # one of which each of our annotation files says
CLOCK_MOVED = 1.0  # s between a record's time and the one that its sample index gives: samples were lost
log = logging.getLogger("ata")


def ours(path: Path) -> bool:
    """Whether the path of a .sigmf-meta file is free, empty or holds annotations of an earlier run.

    Recordings that are kept (`iq_files.py`) bear the same description: annotations alone say where their samples are, or
    that there are none.
    """
    with writing(path):
        try:
            if path.is_file() and path.stat().st_size > LARGEST_META:
                return False
            text = path.read_bytes() if path.is_file() else b""
            if not text:
                return True
            head = json.loads(text)["global"]
            return head["core:description"] == DESCRIPTION and not SAMPLES_ELSEWHERE.isdisjoint(head)
        except FileNotFoundError:  # removed since
            return True
        except (LookupError, TypeError, ValueError, RecursionError):
            return False


def sigmf_capture(start: int, center_freq: float | None, time: str | None, global_index: int | None = None) -> dict:
    """An entry of SigMF's captures; Hz or None, time in ISO 8601 or None, index in the stream that was recorded or None."""
    entry = {"core:sample_start": start} | ({} if center_freq is None else {"core:frequency": center_freq})
    entry |= {} if global_index is None else {"core:global_index": global_index}
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
    with writing(path):
        file = replace_file(path, _text(head, captures, annotations))
        if file is not None:
            file.close()


def _text(head: dict, captures: list[dict], annotations: list[dict]) -> str:
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
    return json.dumps(meta, indent=1)


def generator(record: Record) -> str:
    """Who found it, for `core:generator`."""
    return f"gr-ata {VERSION}, {record.model}"


class SigmfAnnotations:
    """A .sigmf-meta file with one annotation per band and run of consecutive frames in which it stays.

    Args:
        path: of the file, written by `flush` and `close`, and held until `close`.
        dataset: the recording that it speaks of, or the path of its samples or metadata; named relative to it.
        datatype: the samples' SigMF type; needed for a path without SigMF metadata beside it, which say it.
        columns: F of the model, which says how far an edge may wander.

    AtaError where the file cannot be written, another block or program writes it, or it is somebody's metadata already: a
    recording's own, most likely; and for samples whose type nobody says.
    """

    def __init__(
        self,
        path: str | Path,
        dataset: Recording | str | Path | None = None,
        datatype: str | None = None,
        columns: int = COLUMNS,
    ) -> None:
        self._path = Path(path)
        if not ours(self._path):
            raise AtaError(f"{path} is there already, and gr-ata did not write it; name another file")
        self._head: dict = {"core:datatype": datatype or "cf32_le"}  # of a stream
        self._offset = 0
        self._captures: list[dict] = []
        if isinstance(dataset, Recording):
            self._describe(dataset)
        elif dataset and (meta_path := metadata_of(Path(dataset))) is not None and meta_path.exists():
            self._describe(open_recording(dataset, names=UNNAMED))
        elif dataset:
            self._describe_raw(Path(dataset), datatype)
        else:
            self._head["core:metadata_only"] = True
        self._captures_known = bool(self._captures)
        self._runs = BandRuns(columns)
        self._generator, self._rate = "gr-ata", 0.0
        self._warned = False
        self._file = HeldFile(self._path)
        weakref.finalize(self, self._file.let_go)  # for one that nobody closes

    def _describe(self, recording: Recording) -> None:
        self._offset = recording.offset
        self._head["core:datatype"] = recording.datatype
        for c in recording.captures:
            began = c.time(0, recording.samp_rate)
            time = utc(*began) if began else None
            freq = c.center_freq if recording.tuned else None
            self._captures.append(sigmf_capture(self._offset + c.start, freq, time, c.global_index))
        if recording.header_bytes:
            self._captures[0]["core:header_bytes"] = recording.header_bytes
        if recording.trailing_bytes:
            self._head["core:trailing_bytes"] = recording.trailing_bytes
        self._name(recording.path)

    def _describe_raw(self, dataset: Path, datatype: str | None) -> None:
        if not datatype:
            raise AtaError(f"{dataset} has no SigMF metadata beside it: give the data type of its samples, such as cu8")
        sample_type(dataset, datatype)
        self._name(dataset)

    def _name(self, dataset: Path) -> None:
        here, there = (os.path.realpath(path.parent) for path in (self._path, dataset))  # ".." of a link is its target's
        self._head["core:dataset"] = os.path.relpath(Path(there, dataset.name), here)

    @property
    def size(self) -> int:
        """Bytes of the file, near enough."""
        return ANNOTATION_BYTES * len(self._runs)

    def write(self, record: Record) -> None:
        if self._rate and record.samp_rate != self._rate and not self._warned:
            self._warned = True
            log.warning(
                "%s can say one sample rate only: before sample %d it was %.10g Hz, from there on %.10g Hz", self._path,
                record.sample_start, self._rate, record.samp_rate,
            )  # fmt: skip
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

    def displaced(self) -> bool:
        """Never: what is removed comes again with the next `flush`."""
        return False

    def flush(self) -> None:
        """Writes the whole file anew."""
        head = self._head | ({"core:sample_rate": self._rate} if self._rate else {})
        if self._offset:
            head["core:offset"] = self._offset
        notes = [sigmf_annotation(run, self._generator, self._offset) for run in self._runs.runs()]
        self._file.write(_text(head, self._captures, notes))

    def close(self) -> None:
        try:
            self.flush()
        finally:
            self.let_go()

    def let_go(self) -> None:
        """Ends without what was not written yet, so that others may write the file."""
        self._file.let_go()
