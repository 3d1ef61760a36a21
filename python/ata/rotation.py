# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a run without end: whenever one is too large or too old it is set aside under its date."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from .errors import AtaError
from .records import Record
from .sinks import Sink

FLUSH_EVERY = 60.0  # s; what a crash may take of a file that is written as a whole


class SizedSink(Sink):
    """A sink whose file grows."""

    size: int


class Rotating:
    """A sink of a file that never grows beyond its limits.

    The file in use keeps its name, x.jsonl; the ones before it are x-20260502T120000Z.jsonl and so on, by when they were
    begun. What an earlier run left under the name is set aside too, never overwritten. A pipe or device is left alone.

    Args:
        path: of the file in use.
        open_sink: makes the sink that writes it.
        max_bytes, max_seconds: what is too large, and too old. AtaError where the file cannot be written.
    """

    def __init__(self, path: str | Path, open_sink: Callable[[Path], SizedSink], max_bytes: float,
                 max_seconds: float) -> None:
        self._path, self._open = Path(path), open_sink
        self._max_bytes, self._max_seconds = max_bytes, max_seconds
        if self._path.is_file() and self._path.stat().st_size:
            self._set_aside(self._path.stat().st_mtime)
        self._begin()

    def write(self, record: Record) -> None:
        if self._sink.size and (self._sink.size >= self._max_bytes or self._age() >= self._max_seconds):
            self._sink.close()
            if self._path.is_file():
                self._set_aside(self._begun)
            self._begin()
        self._sink.write(record)
        if time.monotonic() - self._flushed > FLUSH_EVERY:
            self.flush()

    def flush(self) -> None:
        self._sink.flush()
        self._flushed = time.monotonic()

    def close(self) -> None:
        self._sink.close()

    def _begin(self) -> None:
        self._sink = self._open(self._path)
        self._begun = time.time()
        self._opened = self._flushed = time.monotonic()

    def _age(self) -> float:
        return time.monotonic() - self._opened

    def _set_aside(self, begun: float) -> None:
        stamp = datetime.fromtimestamp(begun, UTC).strftime("%Y%m%dT%H%M%SZ")
        names = (f"{self._path.stem}-{stamp}{f'-{n}' if n > 1 else ''}{self._path.suffix}" for n in count(1))
        try:
            self._path.rename(next(path for name in names if not (path := self._path.with_name(name)).exists()))
        except OSError as failure:
            raise AtaError(f"{self._path} cannot be set aside: {failure.strerror}") from failure
