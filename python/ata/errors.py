# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception a user is meant to read, and what a block does with any that GNU Radio must not see."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

log = logging.getLogger("ata")
WORK_DONE = -1  # what GNU Radio's work() returns to end the flowgraph, as an int: its own constant is none
LONGEST, LONGEST_FOREIGN = 500, 200  # characters of a sentence, and of somebody else's


class AtaError(Exception):
    """Something the user can mend; its text is one sentence that says what and, where known, how.

    File names and what hostile files hold come into it: it stays one line of bounded length that any terminal prints.
    """

    def __init__(self, sentence: str) -> None:
        line = _printable(" ".join(sentence.splitlines()))
        cut = len(line) > LONGEST
        super().__init__(f"{line[: LONGEST - 103]}...{line[-100:]}" if cut else line)


class RadioLost(AtaError):
    """The radio is missing, does not open, or has gone: it may come back."""


def package_missing(name: str, failure: ImportError) -> AtaError:
    """-> the sentence for one of the two Python packages that GNU Radio does not bring."""
    mend = f"{sys.executable} -m pip install onnx onnxruntime (where pip refuses: docs/install.md)"
    return AtaError(f"the Python package {name} does not load ({failure}): {mend}")


def first_line(failure: BaseException | str) -> str:
    """What an exception or a library says, as one line of bounded length."""
    line = next((line for line in str(failure).splitlines() if line.strip()), repr(failure))
    return _printable(line)[:LONGEST_FOREIGN]


def _printable(line: str) -> str:
    """JSON and file names may hold half of a surrogate pair, which UTF-8 does not write, and control characters."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


@contextmanager
def stops_on_failure(block: Any) -> Iterator[None]:
    """Around what GNU Radio calls: the first exception stays in `block.failure`, and the block's log says it.

    GNU Radio ends the thread of a block that raises in work() and leaves its neighbours waiting for ever; one that
    raises in stop() ends the process.
    """
    try:
        yield
    except Exception as failure:
        block.failure = block.failure or failure
        block.logger.error(f"stopped: {first_line(failure)}")
        log.debug("what stopped %s", block.name(), exc_info=failure)
