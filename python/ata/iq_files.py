# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""IQ around detections as SigMF recordings, in a folder whose samples never take more than they may.

Their metadata, some hundred bytes a band, come on top.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import re
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from .band_runs import COLUMNS, BandRuns
from .errors import AtaError, first_line
from .records import Record, utc
from .rotation import oldest_beyond, ranks
from .sigmf_sink import DESCRIPTION, VERSION, generator, sigmf_annotation, sigmf_capture, write_sigmf
from .stream import RadioTime

DATATYPES = {"ci16_le": 4, "cf32_le": 8}  # bytes a sample
PREFIX = "ata-iq-"
STAMP = "%Y%m%dT%H%M%S.%fZ"
NAME = re.compile(rf"{PREFIX}\d{{8}}T\d{{6}}\.\d{{6}}Z-\d+\.sigmf-data")
SHARES = 4  # one recording takes at most this part of what the folder may hold
LONGEST = 600.0  # s of a recording: its records are in memory until it ends
MOST_WAITING = 128e6  # bytes of samples that wait for a slow disk, beside those from before the band appeared
log = logging.getLogger("ata")


@dataclass(frozen=True)
class KeepIq:
    """What is kept: folder; bytes its samples may take; SigMF data type; seconds before and after a band's first frame."""

    folder: str
    max_bytes: float
    datatype: str = "ci16_le"
    before: float = 0.1
    after: float = 0.4

    def check(self, samp_rate: float) -> None:
        """AtaError for what cannot work at a rate in Hz."""
        if self.datatype not in DATATYPES:
            raise AtaError(f"IQ is kept as {' or '.join(DATATYPES)}, not as {self.datatype!r}")
        if not (0 <= self.before <= 10 and 0 <= self.after <= 3600):
            raise AtaError("IQ is kept from 0 to 10 s before a band appears and from 0 to 3600 s after it")
        needed = (self.before + self.after) * samp_rate * DATATYPES[self.datatype]
        if needed > (1 - 1 / SHARES) * self.max_bytes:
            raise AtaError(
                f"{self.folder} may hold {self.max_bytes / 1e6:g} MB: {self.before + self.after:g} s around a band take "
                f"{needed / 1e6:.3g} MB at {samp_rate / 1e6:g} MS/s, and a quarter is for what is being written"
            )
        try:
            Path(self.folder).mkdir(parents=True, exist_ok=True)
            trial = Path(self.folder) / f"{PREFIX}trial"
            trial.touch()
            trial.unlink()
        except OSError as failure:
            raise AtaError(f"{self.folder} takes no recordings: {failure.strerror}") from failure


@dataclass(frozen=True)
class IqCounts:
    """Recordings begun, samples written, samples that the disk or this computer was too slow for, or the disk too full."""

    recordings: int = 0
    samples: int = 0
    lost: int = 0

    def __add__(self, more: IqCounts) -> IqCounts:
        return IqCounts(self.recordings + more.recordings, self.samples + more.samples, self.lost + more.lost)


@dataclass(frozen=True)
class Tuned:
    """From this sample on: centre frequency, Hz, and the time of the sample (s since 1970, whole and fraction) or None.

    counted: whether the time is a radio's, so that those of later samples can be counted on from it.
    """

    sample: int
    center_freq: float
    time: tuple[int, float] | None
    counted: bool = False

    def at(self, sample: int, samp_rate: float) -> tuple[int, float] | None:
        """The time of a later sample up to the next `Tuned`; None where no radio told one."""
        if not (self.counted and self.time is not None):
            return None
        return RadioTime(self.sample, *self.time).at(sample, samp_rate)


@dataclass
class Recording:
    """A recording in the making: absolute index of the first sample, rate (Hz), tunings, samples written.

    broken: the disk took no more; records: those that are annotated in it.
    """

    start: int
    samp_rate: float
    tunings: list[Tuned]
    path: Path = Path()
    written: int = 0
    broken: bool = False
    records: list[Record] = field(default_factory=list)


class IqFiles:
    """Writes recordings in a thread of its own: whoever brings samples never waits for the disk.

    A recording is a SigMF pair that is complete at any moment: its metadata are written before its samples and again,
    with the annotations, when it ends. Sample indices count from the file's start; `core:global_index` is the index
    in the stream that the records speak of.

    A folder that takes nothing costs samples, which are counted, and no more: a watch may have run for days when its radio
    comes back. Whether it can work at all is asked before it begins (`KeepIq.check`).

    Args: keep: what and where. samp_rate: Hz. device: for `core:hw`. head_start: bytes that come at once when a recording
    begins. columns: F of the model, which says how far an edge may wander.
    """

    def __init__(self, keep: KeepIq, samp_rate: float, device: str, head_start: int, columns: int = COLUMNS) -> None:
        self._keep, self._rate, self._device, self._columns = keep, samp_rate, device, columns
        self._most_waiting = MOST_WAITING + head_start
        self._jobs: queue.SimpleQueue = queue.SimpleQueue()
        self._waiting = 0
        self._recordings = self._samples = self._lost = 0
        self._said = False
        self._ours: set[Path] = set()  # samples that were found or written; no metadata are read twice
        self._of_this_run: list[Path] = []  # oldest first
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="ata-iq", daemon=True)
        self._thread.start()

    @property
    def most_samples(self) -> int:
        """The longest recording."""
        return int(min(self._keep.max_bytes / SHARES / DATATYPES[self._keep.datatype], LONGEST * self._rate))

    @property
    def counts(self) -> IqCounts:
        return IqCounts(self._recordings, self._samples, self._lost)

    def begin(self, recording: Recording) -> None:
        self._recordings += 1
        self._jobs.put(("begin", recording))

    def add(self, recording: Recording, samples: np.ndarray) -> bool:
        """complex64 [n], not to be changed afterwards; -> False if the disk cannot keep up, and they are lost."""
        with self._lock:
            slow = self._waiting + samples.nbytes > self._most_waiting
            self._waiting += 0 if slow else samples.nbytes
        if slow:
            self.lose(len(samples), "the disk is too slow")
        else:
            self._jobs.put(("add", recording, samples))
        return not slow

    def lose(self, samples: int, why: str) -> None:
        """Counts them, from any thread."""
        with self._lock:
            said, self._said = self._said, True
            self._lost += samples
        if not said:
            log.warning("IQ is being lost (said once): %s", why)

    def end(self, recording: Recording) -> None:
        """With all its records and tunings in it."""
        self._jobs.put(("end", recording))

    def close(self) -> None:
        """Waits until everything is written."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            what, recording, *samples = job
            try:
                getattr(self, f"_{what}")(recording, *samples)
            except Exception as failure:  # neither a full disk nor a fault may end the watch, or this thread
                recording.broken = True
                self.lose(sum(len(s) for s in samples), first_line(failure))
                log.debug("what stopped a recording", exc_info=failure)
            finally:
                with self._lock:
                    self._waiting -= sum(s.nbytes for s in samples)

    def _begin(self, recording: Recording) -> None:
        first = recording.tunings[0]
        moment = datetime.fromisoformat(utc(*first.time)) if first.time else datetime.now(UTC)
        name = f"{PREFIX}{moment.strftime(STAMP)}-{recording.start}"
        recording.path = Path(self._keep.folder) / name
        recording.path.parent.mkdir(parents=True, exist_ok=True)
        self._make_room()
        self._data(recording).touch()  # first: without it nobody would find what a kill leaves of the metadata
        self._ours.add(self._data(recording))
        self._of_this_run.append(self._data(recording))
        self._describe(recording)

    def _add(self, recording: Recording, samples: np.ndarray) -> None:
        if recording.broken:
            self.lose(len(samples), "the disk took no more of a recording")
            return
        if self._keep.datatype == "ci16_le":
            parts = np.nan_to_num(samples.view(np.float32)) * np.float32(32768)
            out = np.clip(np.rint(parts), -32768, 32767).astype("<i2")
        else:
            out = samples.astype("<c8", copy=False)
        whole = recording.written * DATATYPES[self._keep.datatype]
        try:
            with self._data(recording).open("r+b") as file:  # never made anew: what somebody removed has lost its beginning
                file.seek(whole)
                file.write(out.tobytes())
        except OSError:
            with suppress(FileNotFoundError):
                os.truncate(self._data(recording), whole)
            raise
        recording.written += len(samples)
        self._samples += len(samples)

    def _end(self, recording: Recording) -> None:
        if recording.written and self._data(recording).exists():  # it may have made room for others meanwhile
            self._describe(recording)
        else:  # nothing came of it
            _remove(self._data(recording))

    def _describe(self, recording: Recording) -> None:
        runs, end = BandRuns(self._columns), recording.start + recording.written
        for record in recording.records:
            runs.add(record)
        notes = []
        for run in runs.runs():
            run.start, run.end = max(run.start, recording.start), min(run.end, end)
            if run.start < run.end:
                notes.append(sigmf_annotation(run, generator(recording.records[0]), -recording.start))
        captures = []
        for tuned in (t for t in recording.tunings if t.sample == recording.start or t.sample < end):  # what was written
            time = utc(*tuned.time) if tuned.time else None
            captures.append(sigmf_capture(tuned.sample - recording.start, tuned.center_freq, time, tuned.sample))
        head = {
            "core:datatype": self._keep.datatype,
            "core:sample_rate": recording.samp_rate,
            "core:hw": self._device,
            "core:recorder": f"gr-ata {VERSION}",
        }
        write_sigmf(self._meta(recording), head, captures, sorted(notes, key=lambda n: n["core:sample_start"]))

    def _make_room(self) -> None:
        """Removes our oldest recordings until another of full length fits."""
        self._of_this_run = [path for path in self._of_this_run if path.exists()]
        rank = ranks(self._of_this_run, f"{PREFIX}{datetime.now(UTC).strftime(STAMP)}")
        files = sorted(Path(self._keep.folder).iterdir(), key=lambda path: (rank(path, path.name), path))
        ours = [path for path in files if path in self._ours or _ours(path)]
        self._ours = set(ours)
        for data in oldest_beyond(self._keep.max_bytes * (1 - 1 / SHARES), ours):
            _remove(data)

    @staticmethod
    def _data(recording: Recording) -> Path:
        return recording.path.with_name(recording.path.name + ".sigmf-data")

    @staticmethod
    def _meta(recording: Recording) -> Path:
        return recording.path.with_name(recording.path.name + ".sigmf-meta")


def _remove(data: Path) -> None:
    """A recording, and what a kill left of metadata half written; the samples last, which tell that the rest is ours."""
    for suffix in (".sigmf-meta.part", ".sigmf-meta", ".sigmf-data"):
        data.with_suffix(suffix).unlink(missing_ok=True)


def _ours(data: Path) -> bool:
    """Whether a file is a recording's samples, by its name and, where a power cut left something of them, its metadata."""
    if not NAME.fullmatch(data.name) or not data.is_file():
        return False
    try:
        text = data.with_suffix(".sigmf-meta").read_bytes()
        return json.loads(text)["global"]["core:description"] == DESCRIPTION
    except (FileNotFoundError, ValueError):
        return True
    except (OSError, LookupError, TypeError, RecursionError):
        return False
