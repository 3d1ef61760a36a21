# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SigMF recordings and raw IQ as arrays, read piece by piece."""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from .errors import AtaError, first_line
from .records import DATED, center_frequency
from .stream import RadioTime

# Offset and full scale by type; unsigned samples stand around the middle of their range.
SCALES = {"i8": (0, 2**7), "i16": (0, 2**15), "i32": (0, 2**31), "u8": (127.5, 2**7), "u16": (2**15 - 0.5, 2**15)}
LOWEST_RATE = 1.0  # Hz, for times to be finite
LEAP_SECOND = re.compile(r"(T\d\d:\d\d:)60")
DATE_STEP = 1e-6  # s, of core:datetime as most write it
LARGEST_META = 64 << 20  # bytes of a .sigmf-meta file
# What users give rate, frequency and type as; and where they cannot.
NAMES, UNNAMED = ("--rate", "--freq", "--format"), ("", "", "")
TYPES = {"f32": "f4", "f64": "f8", "i8": "i1", "i16": "i2", "i32": "i4", "u8": "u1", "u16": "u2"}
log = logging.getLogger("ata")


@dataclass(frozen=True)
class Capture:
    """An unbroken stretch of a recording at one frequency: first sample, samples, Hz, and, where known, when it began
    (UTC) and the index of its first sample in the stream that was recorded."""

    start: int
    count: int
    center_freq: float
    began: datetime | None
    global_index: int | None = None

    def time(self, offset: int, samp_rate: float) -> tuple[int, float] | None:
        """-> (whole seconds since 1970, fraction) of a sample counted from the capture's first."""
        if self.began is None:
            return None
        seconds = int(self.began.replace(microsecond=0).timestamp())
        fraction = self.began.microsecond * 1e-6 + offset / samp_rate
        return seconds + math.floor(fraction), fraction - math.floor(fraction)


class Recording:
    """An open recording, read with plain reads: a mapped file would count as the process's memory.

    Attributes: path (of the samples), samp_rate (Hz), datatype, captures, samples (count), offset (the index that
    SigMF gives the file's first sample; all indices here count from 0), files (everything that belongs to it, there or not),
    header_bytes, trailing_bytes (of the file, before and after its samples), tuned (whether anybody says its frequency;
    else it counts as 0 Hz).
    """

    def __init__(
        self,
        path: Path,
        datatype: str,
        samp_rate: float,
        captures: list[dict],
        meta_path: Path | None = None,
        header_bytes: int = 0,
        trailing_bytes: int = 0,
        offset: int = 0,
    ) -> None:
        self.header_bytes, self.trailing_bytes = header_bytes, trailing_bytes
        self.path, self.samp_rate, self.datatype, self.offset = path, samp_rate, datatype, offset
        self.files = (path, meta_path or _beside(path))
        self._kind, self._dtype = sample_type(path, datatype)
        if not (math.isfinite(samp_rate) and samp_rate >= LOWEST_RATE):
            raise AtaError(f"{path}: a sample rate of {samp_rate:g} Hz makes no sense")
        size = _size(path) - header_bytes - trailing_bytes
        sample = 2 * self._dtype.itemsize
        if size < sample:
            raise AtaError(f"{path} holds no samples")
        if size % sample:
            raise AtaError(f"{path} is cut short: {size} bytes are no whole number of {datatype} samples")
        self.samples = size // sample
        self.captures = _captures(path, captures, self.samples, offset, samp_rate)
        self.tuned = any("core:frequency" in capture for capture in captures)

    @property
    def center_freq(self) -> float:
        """Hz, of the first capture."""
        return self.captures[0].center_freq

    def read(self, start: int, count: int) -> np.ndarray:
        """-> complex64 [count] from sample `start` on, integers scaled to full scale 1.

        AtaError where the file has become shorter since it was opened, or cannot be read any more.
        """
        at = self.header_bytes + 2 * start * self._dtype.itemsize
        with _reading(self.path):
            raw = np.fromfile(self.path, self._dtype, 2 * count, offset=at)
        if len(raw) < 2 * count:
            raise AtaError(f"{self.path} became shorter while it was read")
        with np.errstate(over="ignore"):  # a float64 that no float32 holds is infinite, which the kernel counts as zero
            parts = raw.astype(np.float32, copy=False)
        if self._kind in SCALES:
            middle, full = SCALES[self._kind]
            if middle:
                parts -= np.float32(middle)
            parts *= np.float32(1 / full)
        return parts.view(np.complex64)


def open_recording(
    path: str | Path, rate: float | None = None, freq: float | None = None, datatype: str | None = None,
    names: tuple[str, str, str] = NAMES,
) -> Recording:  # fmt: skip
    """Opens SigMF by its .sigmf-meta or .sigmf-data file, anything else as raw IQ of the given rate, Hz, and type.

    rate: of SigMF too that does not say its own. freq: Hz, of captures that do not say their own, up to the first that
    does; later ones have that of the one before. names: of rate, freq and datatype where the user gives them, or UNNAMED.
    Raises AtaError, one sentence, for whatever is missing, cut short or not understood, or is not as SigMF says it is.
    """
    path = Path(path)
    with _reading(path):
        if path.is_dir():
            raise AtaError(f"{path} is a folder; name one recording in it")
        if (meta_path := metadata_of(path)) is not None:
            return _as_given(_open_sigmf(meta_path, rate, freq, names[0]), rate, freq, datatype, names)
        if not path.exists():
            raise AtaError(f"there is no recording {path}")
    if path.suffix == ".sigmf":
        raise AtaError(f"{path} is a SigMF archive; unpack it first: tar xf {path.name}")
    if not rate or not datatype:
        raise AtaError(f"{path} is raw IQ: give its sample rate and data type ({names[0]} 2.4e6, {names[2]} cu8)")
    return Recording(path, datatype, float(rate), [_tuned({"core:sample_start": 0}, freq)])


def open_described(
    path: str | Path, rate: float | None = None, freq: float | None = None, names: tuple[str, str, str] = UNNAMED
) -> Recording:
    """As `open_recording`, where nobody is asked what raw IQ is: SigMF alone."""
    path = Path(path)
    if path.is_file() and path.suffix != ".sigmf" and metadata_of(path) is None:
        raise AtaError(f"{path} is raw IQ; to be played here it needs a .sigmf-meta beside it that says what it is")
    return open_recording(path, rate, freq, names=names)


def _tuned(capture: dict, freq: float | None) -> dict:
    return capture if freq is None else {"core:frequency": freq, **capture}


def _as_given(
    recording: Recording, rate: float | None, freq: float | None, datatype: str | None, names: tuple[str, str, str]
) -> Recording:
    """AtaError where a recording says something else of itself than its user."""
    own = ((names[0], rate, recording.samp_rate), (names[1], freq, recording.center_freq))
    for name, asked, recorded in own:
        if asked is not None and not math.isclose(asked, recorded, rel_tol=1e-9):
            raise AtaError(
                f"{recording.path} was recorded at {recorded:.10g} Hz, which {name} {asked:.10g} cannot change"
            )
    if datatype is not None and datatype != recording.datatype:
        raise AtaError(f"{recording.path} holds {recording.datatype}, which {names[2]} {datatype} cannot change")
    return recording


def metadata_of(path: Path) -> Path | None:
    """The .sigmf-meta file that belongs to a recording, also where one that has to be there is not; None for raw IQ."""
    if path.suffix in (".sigmf-meta", ".sigmf-data"):
        return path.with_suffix(".sigmf-meta")
    beside = _beside(path)
    return beside if beside.exists() and beside.stat().st_size else None  # an empty one says nothing


def _beside(path: Path) -> Path:
    """Where the metadata of raw IQ stand: what stands there is believed, whoever wrote it."""
    return path.with_name(path.name + ".sigmf-meta")


def files_of(path: Path) -> tuple[Path, ...]:
    """Everything that belongs to a recording, also to one that is not there yet."""
    meta_path = metadata_of(path)
    if meta_path is not None and meta_path.exists():
        return open_recording(path, names=UNNAMED).files
    return path, meta_path or _beside(path)


def _open_sigmf(meta_path: Path, rate: float | None, freq: float | None, rate_name: str) -> Recording:
    size = _size(meta_path)
    if size > LARGEST_META:
        raise AtaError(f"{meta_path} has {size >> 20} MB; a metadata file has at most {LARGEST_META >> 20}")
    try:
        with _reading(meta_path):
            meta = json.loads(meta_path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as failure:
        raise AtaError(f"{meta_path} is no JSON: {failure}") from failure
    try:
        head, captures = meta["global"], meta["captures"]
        datatype, rate = str(head["core:datatype"]), float(head.get("core:sample_rate", rate or 0.0))
        channels = int(head.get("core:num_channels", 1))
        data = str(head.get("core:dataset") or "")
        headers = [int(c.get("core:header_bytes", 0)) for c in captures] or [0]
        trailing, offset = int(head.get("core:trailing_bytes", 0)), int(head.get("core:offset", 0))
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, IndexError) as failure:
        what = f"{failure} is missing" if isinstance(failure, KeyError) else failure
        raise AtaError(f"{meta_path} is no SigMF recording: {what}") from failure
    if not rate and "core:sample_rate" not in head:
        mend = f"give it ({rate_name} 2.4e6)" if rate_name else "add core:sample_rate, in Hz, to its global"
        raise AtaError(f"{meta_path} does not say its sample rate: {mend}")
    if channels != 1:
        raise AtaError(f"{meta_path} holds {channels} channels; only recordings of one are read")
    if min(headers) < 0 or trailing < 0 or offset < 0:
        raise AtaError(f"{meta_path} has a negative offset, header or trailer")
    if any(headers[1:]):
        raise AtaError(f"{meta_path} has headers between its captures; only one at the file's start is read")
    data_path = meta_path.parent / data if data else meta_path.with_suffix(".sigmf-data")
    with _reading(data_path):
        if not data_path.exists():
            raise AtaError(f"{meta_path} has no samples beside it: {data_path.name} is missing")
    captures = _tuned_on(captures or [{}], freq)
    recording = Recording(data_path, datatype, rate, captures, meta_path, headers[0], trailing, offset)
    if recording.tuned and "core:frequency" not in captures[0]:
        _warn_untuned(data_path)
    return recording


def _tuned_on(captures: list[dict], freq: float | None) -> list[dict]:
    """Captures without a frequency get that of the one before, as the radio goes on after an overflow; the first, `freq`."""
    tuned = []
    for capture in captures:
        tuned.append(_tuned(capture, freq))
        freq = tuned[-1].get("core:frequency")
    return tuned


@cache  # a recording is opened more than once
def _warn_untuned(path: Path) -> None:
    log.warning("%s says the frequency of its later captures alone: the first count as 0 Hz", path)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as failure:
        raise AtaError(f"{path} cannot be read: {failure.strerror}") from failure


def _size(path: Path) -> int:
    """Bytes of a file that can be opened; AtaError for anything else: a pipe, too, which would be waited for."""
    with _reading(path):
        if path.exists() and not path.is_file():
            raise AtaError(f"{path} is no file")
        with path.open("rb"):
            return path.stat().st_size


def sample_type(path: Path, datatype: str) -> tuple[str, np.dtype]:
    """A SigMF data type -> (its kind, the type of one part of a sample); AtaError for one that is not read."""
    match = re.fullmatch(r"c(f32|f64|i8|i16|i32|u8|u16)(_le|_be)?", datatype)
    if match is None or (match[2] is None and match[1] not in ("i8", "u8")):
        raise AtaError(f"{path}: data type {datatype!r} is not read; cf32_le, ci16_le, ci8, cu8 and their like are")
    order = ">" if match[2] == "_be" else "<"
    return match[1], np.dtype(order + TYPES[match[1]])


def _captures(path: Path, entries: list[dict], samples: int, offset: int, samp_rate: float) -> list[Capture]:
    try:
        starts = [int(e.get("core:sample_start", 0)) for e in entries]
        freqs = [center_frequency(float(e.get("core:frequency", 0.0))) for e in entries]
        began = [_datetime(e.get("core:datetime")) for e in entries]
        indices = [_index(e.get("core:global_index")) for e in entries]
    except (AtaError, TypeError, ValueError, OverflowError, AttributeError) as failure:
        raise AtaError(f"the captures of {path} do not fit: {first_line(failure)}") from failure
    if starts[0] == offset:  # SigMF counts from core:offset; some writers count from the file's start all the same
        starts = [s - offset for s in starts]
    while len(starts) > 1 and starts[-1] == samples:  # begun as the recording ended
        starts.pop()
    if starts[0] != 0 or any(b <= a for a, b in pairwise(starts)) or starts[-1] >= samples:
        raise AtaError(f"the captures of {path} start at {str(starts)[:80]}, which does not fit its {samples} samples")
    ends = [*starts[1:], samples]
    captures: list[Capture] = []
    for a, b, f, t, index in zip(starts, ends, freqs, began, indices, strict=False):
        capture = Capture(a, b - a, f, t, index)
        if captures and _continues(captures[-1], capture, samp_rate):
            capture = _joined(captures.pop(), capture, samp_rate)
        captures.append(capture)
    return captures


def _continues(before: Capture, capture: Capture, samp_rate: float) -> bool:
    """Whether nothing says that a capture is another stretch: neither its frequency, nor its time or else its index."""
    if capture.center_freq != before.center_freq:
        return False
    began, time = before.time(0, samp_rate), capture.time(0, samp_rate)
    if began is None or time is None:
        if before.global_index is None or capture.global_index is None:
            return True
        return capture.global_index - before.global_index == capture.start - before.start
    return not RadioTime(before.start, *began).misses(capture.start, time, samp_rate, DATE_STEP)


def _joined(before: Capture, capture: Capture, samp_rate: float) -> Capture:
    began, lasted = before.began, before.count / samp_rate
    if began is None and capture.began is not None and math.floor(capture.began.timestamp() - lasted) in DATED:
        began = capture.began - timedelta(seconds=lasted)
    index = before.global_index
    if index is None and capture.global_index is not None and capture.global_index >= before.count:
        index = capture.global_index - before.count
    return replace(before, count=before.count + capture.count, began=began, global_index=index)


def _index(value: object) -> int | None:
    if value is None:
        return None
    index = int(value)
    if not 0 <= index < 1 << 63:
        raise ValueError(f"a global index of {str(value)[:40]}")
    return index


def _datetime(text: str | None) -> datetime | None:
    if not text:
        return None
    text, leap = LEAP_SECOND.subn(r"\g<1>59", text.upper())  # Python knows no second 60: one after 59
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment + timedelta(seconds=leap) if int(moment.timestamp()) in DATED else None
