# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ctrl-C and SIGTERM, for commands that run until they are told to end."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def ended_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM call `stop`, which ends things in an orderly way; a second one ends them at once."""
    signals = (signal.SIGINT, signal.SIGTERM)

    def end(number: int, _: object) -> None:
        stop()
        for each, handler in before.items():
            signal.signal(each, handler)

    before = {number: signal.signal(number, end) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
