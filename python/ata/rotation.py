# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a run without end: whenever one is too large or too old it is set aside under its date."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from .errors import AtaError
from .sigmf_sink import ours
from .sinks import HasJson, Sink, hold

STAMP = "%Y%m%dT%H%M%SZ"
FLUSH_EVERY = 60.0  # s; what a crash may take of a file that is written as a whole


class SizedSink(Sink):
    """A sink whose file grows."""

    size: int

    def displaced(self) -> bool:
        """Whether what it writes goes where nobody finds it: the file was removed, or moved away."""
        ...


class Rotating:
    """A sink of a file that never grows beyond its limits.

    The file in use keeps its name, x.jsonl; the ones before it are x-20260502T120000Z.jsonl and so on, by when they were
    begun. What an earlier run left under the name is set aside too, by when it was last written, never overwritten. A pipe
    or device is left alone; of a symbolic link it is the file that is set aside, where it lies. One that others
    remove or move away is begun anew within a minute.

    Args:
        path: of the file in use.
        open_sink: makes the sink that writes it.
        max_bytes, max_seconds: what is too large, and too old.
        keep_bytes: what the files set aside may hold together; the oldest go first, those of earlier runs too.

    AtaError where the file cannot be written, or another program writes it.
    """

    def __init__(self, path: str | Path, open_sink: Callable[[Path], SizedSink], max_bytes: float = math.inf,
                 max_seconds: float = math.inf, keep_bytes: float = math.inf) -> None:
        self._path, self._open = Path(path), open_sink
        if self._path.is_symlink() and not self._is_stream():
            self._path = self._path.resolve()
        self._max_bytes, self._max_seconds, self._keep_bytes = max_bytes, max_seconds, keep_bytes
        self._ours: set[Path] = set()  # of those set aside; none is read twice
        self._of_this_run: list[Path] = []  # set aside, oldest first
        if self._path.is_file():
            self._spare_others()
        if self._path.is_file() and self._path.stat().st_size:
            self._set_aside(self._path.stat().st_mtime)
        self._begin()

    def write(self, record: HasJson) -> None:
        due = self._written and (self._sink.size >= self._max_bytes or self._age() >= self._max_seconds)
        minute = time.monotonic() - self._flushed > FLUSH_EVERY
        if (due or (minute and self._sink.displaced())) and not self._is_stream():
            self._sink.close()
            if self._path.is_file() and _size(self._path):  # logrotate may have put an empty one there
                self._set_aside(self._begun)
            self._begin()
        self._sink.write(record)
        self._written = True
        if minute:
            self.flush()

    def flush(self) -> None:
        self._sink.flush()
        self._flushed = time.monotonic()

    def close(self) -> None:
        self._sink.close()

    def _begin(self) -> None:
        if self._keep_bytes < math.inf:
            self._make_room()
        self._sink = self._open(self._path)
        self._written = False
        self._begun = time.time()
        self._opened = self._flushed = time.monotonic()

    def _is_stream(self) -> bool:
        return self._path.exists() and not self._path.is_file()

    def _age(self) -> float:
        return time.monotonic() - self._opened

    def _spare_others(self) -> None:
        """AtaError where the file is another program's, which would go on writing to it under its new name."""
        with suppress(OSError), self._path.open("rb") as file:
            hold(file, self._path)

    def _set_aside(self, date: float) -> None:
        stamp = datetime.fromtimestamp(date, UTC).strftime(STAMP)
        try:
            number = 1 + max((n for when, n, _ in self._aside() if when == stamp), default=0)
            name = f"{self._path.stem}-{stamp}{f'-{number}' if number > 1 else ''}{self._path.suffix}"
            self._of_this_run.append(self._path.rename(self._path.with_name(name)))
        except OSError as failure:
            raise AtaError(f"{self._path} cannot be set aside: {failure.strerror}") from failure

    def _make_room(self) -> None:
        try:
            aside = [path for _, _, path in self._aside() if path in self._ours or _removable(path)]
            self._ours = set(aside)
            for path in oldest_beyond(self._keep_bytes, aside):
                path.unlink(missing_ok=True)
        except OSError as failure:
            raise AtaError(f"what is set aside of {self._path} cannot be removed: {failure.strerror}") from failure

    def _aside(self) -> list[tuple[str, int, Path]]:
        """The files set aside, oldest first (`ranks`): the date in their names, and which of that second they are."""
        name = re.compile(rf"{re.escape(self._path.stem)}-(\d{{8}}T\d{{6}}Z)(?:-(\d+))?{re.escape(self._path.suffix)}")
        named = ((name.fullmatch(path.name), path) for path in self._path.parent.iterdir())
        aside = [(found[1], int(found[2] or 1), path) for found, path in named if found]
        self._of_this_run = [path for path in self._of_this_run if path.exists()]
        rank = ranks(self._of_this_run, datetime.now(UTC).strftime(STAMP))
        return sorted(aside, key=lambda each: (rank(each[2], each[0]), each))


def ranks(of_this_run: Sequence[Path], now: str) -> Callable[[Path, str], tuple[int, bool]]:
    """-> how old a file counts, by its path and the date in its name; the lower the older.

    Those of this run, given oldest first, are the newest, whatever the clock said; before them come those up to `now`, and
    before these those of the future, which a clock that was once ahead has named.
    """
    order = {path: number for number, path in enumerate(of_this_run)}
    return lambda path, date: (order.get(path, -1), date <= now)


def oldest_beyond(allowed: float, files: list[Path]) -> list[Path]:
    """Of files, oldest first, those that have to go for the rest to hold no more than `allowed` bytes.

    Others may take them away meanwhile: what is not there holds nothing.
    """
    sizes = [_size(path) for path in files]
    held, count = sum(sizes), 0
    while held > allowed:
        held -= sizes[count]
        count += 1
    return files[:count]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _removable(path: Path) -> bool:
    """Whether it is a file, and not somebody else's metadata under such a name."""
    try:
        return path.is_file() and (path.suffix != ".sigmf-meta" or ours(path))
    except AtaError:  # it cannot be read
        return False
