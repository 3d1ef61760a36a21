# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where records go, and the simplest place: JSON lines."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import combinations
from pathlib import Path
from typing import IO, Protocol, TextIO

from .errors import AtaError
from .records import Record

# Appending: of a file that others empty (logrotate's copytruncate) the next line is the first.
OPENED = os.O_WRONLY | os.O_CREAT | os.O_APPEND


class Sink(Protocol):
    """Takes records, one at a time: files here and in `sigmf_sink.py`, other programs in `publish/`."""

    def write(self, record: Record) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...


class HasJson(Protocol):
    """A record of a frame, or of a sweep."""

    def to_json(self) -> str: ...


@contextmanager
def writing(path: object) -> Iterator[None]:
    """What fails while `path` is written becomes an AtaError that says so."""
    try:
        yield
    except BrokenPipeError:  # whoever read the records has seen enough, which is no fault
        raise
    except OSError as failure:
        raise AtaError(f"{path} cannot be written: {failure.strerror}") from failure


def spare(files: Collection[Path], outputs: Iterable[str | None], what: str = "recording") -> None:
    """AtaError if an output would overwrite one of the files of what is read, or another output."""
    named = [output for output in outputs if output]
    for output in named:
        if any(_same(output, file) for file in files):
            raise AtaError(f"{output} belongs to the {what} itself; name another file to write to")
    if any(_same(*pair) for pair in combinations(named, 2)):
        raise AtaError("two outputs cannot go into one file; name another for one of them")


def _same(a: str | Path, b: str | Path) -> bool:
    with suppress(OSError):  # one is not there, or its name is too long
        return Path(a).samefile(b)
    return os.path.realpath(a) == os.path.realpath(b)


def _open(path: str | Path) -> TextIO:
    """Begins a file anew, once nobody else writes it: of two writers' records in one file most are lost."""
    with writing(path):
        file = os.fdopen(os.open(path, OPENED, 0o666), "w", encoding="utf-8")  # as it is, for now
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return file
        hold(file, path)
        file.truncate()
        return file


def hold(file: IO, path: str | Path) -> None:
    """Keeps an open file from other writers until it is closed; closed at once, and AtaError, where one of them holds it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as held:
        file.close()
        raise AtaError(f"{path} is being written by another block or program; name another file") from held
    except OSError:  # a file system without locks
        pass


def in_place(file: IO, path: str | Path) -> bool:
    """Whether an open file is still the one of that name, neither removed nor moved away."""
    try:
        return os.path.samestat(Path(path).stat(), os.fstat(file.fileno()))
    except OSError:
        return False


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
            with writing(self._path):
                self._file.write(line)
                self._file.flush()
        except AtaError:
            with suppress(OSError):  # what could not be written would be tried again, with a complaint, at the end
                self._file.close()
            raise
        self.size += len(line)

    def displaced(self) -> bool:
        """Whether the path, which it has to have been given, is no longer that of the file that is written."""
        return not in_place(self._file, self._path)

    def flush(self) -> None:
        """Nothing is ever held back."""

    def close(self) -> None:
        with writing(self._path):
            self._file.close()
