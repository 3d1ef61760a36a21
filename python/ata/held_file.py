# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are written anew as a whole, each time or once, and that one program at a time may write."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import IO

from .errors import AtaError
from .sinks import hold, in_place, writing

TRIES = 8  # to open a file that others replace


def replace_file(path: Path, text: str) -> IO | None:
    """Writes a file whole or not at all -> it, open, and held since before it had its name; None for a pipe or device."""
    final, part = _places(path)
    if part == final:
        final.write_text(text, encoding="utf-8")
        return None
    file = part.open("ab")
    try:
        hold(file, path)
        part.write_text(text, encoding="utf-8")  # and closes it: a disk elsewhere may say only then that it is full
        part.replace(final)
    except OSError:
        file.close()
        part.unlink(missing_ok=True)
        raise
    return file


def _places(path: Path) -> tuple[Path, Path]:
    """-> where the file is, or will be, and what is written first, to be renamed to it; for a pipe or device the same."""
    final = path.resolve()
    return final, final.with_name(final.name + ".part") if final.is_file() or not final.exists() else final


class HeldFile:
    """A .sigmf-meta file that is written anew each time, and kept from other writers until it is let go.

    What is locked is the file that bears the name, and the next one before it takes its place. One that was not there,
    and came to nothing, goes again: an empty file is no metadata.

    AtaError where it cannot be written, which is said before the work, not after it, or another block or program writes it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with writing(path):
            self._new = not path.exists()
            self._file = _take(path)
            try:
                final, part = _places(path)
                if part != final:
                    part.open("a").close()
                    part.unlink()
            except OSError:
                self.let_go()
                raise

    def write(self, text: str) -> None:
        """AtaError where the file went, and another block or program has begun one of the same name."""
        with writing(self._path):
            final, part = _places(self._path)
            if part != final and not (self._file and in_place(self._file, self._path)):
                self.let_go()
                self._file = _take(self._path)
            before, self._file = self._file, replace_file(self._path, text)
            if before is not None:
                before.close()

    def let_go(self) -> None:
        """As it is; another `write` holds it again."""
        file, self._file = self._file, None
        if file is None:
            return
        with file, suppress(OSError):
            if self._new and not os.fstat(file.fileno()).st_size and in_place(file, self._path):
                self._path.resolve().unlink()


def _take(path: Path) -> IO | None:
    """Opens a file, there or not, and holds it; None for a pipe or device, which is only tried."""
    for _ in range(TRIES):
        file = path.open("ab")
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            return None
        hold(file, path)
        if in_place(file, path):
            return file
        file.close()  # whoever held it has replaced or removed it just now
    raise AtaError(f"{path} is being replaced all the time; name another file")
