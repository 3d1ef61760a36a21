# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception a user is meant to read, and how every command ends."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence

Main = Callable[[Sequence[str] | None], int]


class DataError(Exception):
    """Something the user can mend (a folder, a file, an argument); its text is one sentence."""


def command(name: str, stopped: str = "stopped") -> Callable[[Main], Main]:
    """Decorates the `main` of a command: what the user can mend ends it with one sentence and exit code 2, Ctrl-C with
    what `stopped` says and 130."""

    def decorate(main: Main) -> Main:
        @functools.wraps(main)
        def guarded(argv: Sequence[str] | None = None) -> int:
            try:
                return main(argv)
            except (DataError, OSError) as failure:
                print(f"{name}: {failure}", file=sys.stderr)
                return 2
            except KeyboardInterrupt:
                print(f"{name}: {stopped}", file=sys.stderr)
                return 130

        return guarded

    return decorate
