# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where records go, and the simplest place: JSON lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol, TextIO

from .errors import AtaError
from .records import Record


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


def _open(path: str | Path) -> TextIO:
    with writing(path):
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
            with writing(self._path):
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
        with writing(self._path):
            self._file.close()
