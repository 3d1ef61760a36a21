# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What commands tell a person on standard error, which may be a terminal that is closed meanwhile: then they go on."""

from __future__ import annotations

import sys
from contextlib import suppress

BAR = 24  # characters


class ProgressBar:
    """How much of `whole` is done; shown on a terminal only."""

    def __init__(self, whole: int) -> None:
        self._whole = whole
        self._shows = sys.stderr.isatty()

    def show(self, done: int, words: str) -> None:
        self._write(f"\r{'#' * (BAR * done // self._whole):.<{BAR}} {words} ")

    def clear(self) -> None:
        self._write("\r\033[K")

    def _write(self, text: str) -> None:
        if self._shows:
            with suppress(OSError):
                sys.stderr.write(text)
                sys.stderr.flush()


def tell(line: str) -> None:
    """A line that stays."""
    with suppress(OSError):
        print(f"ata-sense: {line}", file=sys.stderr)
