# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a radio may take, and how long to wait before one that is missing or gone is tried again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

OPENING_LIMIT = 30.0  # s; a USRP loads its firmware first
STALL_LIMIT = 5.0  # s without a new sample
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # s
POLL = 0.2  # s between two looks whether it is time to end
HELD_UP = 2.0  # s by which a wait may end late before this process must have been stopped meanwhile (Ctrl-Z)
log = logging.getLogger("ata")


def stood_still(asked: float, wait: float) -> float:
    """s for which this process was stopped during a wait of `wait` s that began at `asked`, s of `time.monotonic`; those
    in which others could not be heard and are not to blame."""
    late = time.monotonic() - asked - wait
    return late if late > HELD_UP else 0.0


class Pauses:
    """Each twice as long as the one before, until the radio is back.

    Args:
        over: whether it is time to end, which ends a pause too.
        tick: called some times a second during one.
    """

    def __init__(self, over: Callable[[], bool], tick: Callable[[], None] = lambda: None) -> None:
        self._over, self._tick = over, tick
        self._next = FIRST_PAUSE

    def wait(self, why: str) -> None:
        """Says why, in one sentence, and waits."""
        log.warning("%s; trying again in %g s", why, self._next)
        until = time.monotonic() + self._next
        self._next = min(2 * self._next, LONGEST_PAUSE)
        while not self._over() and time.monotonic() < until:
            time.sleep(min(POLL, max(0.0, until - time.monotonic())))
            self._tick()

    def end(self) -> None:
        """The radio is back."""
        self._next = FIRST_PAUSE
