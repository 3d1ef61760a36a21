# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Analysis beside the stream: one thread, one waiting place, the newest frame wins."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class NewestWins(Generic[Item]):
    """Hands items to `handle` in a thread of its own and never makes the giver wait.

    While an item is being handled one more may wait; a newer one takes its place.
    An exception in `handle` ends the thread and is raised to the giver at its next `offer` or at `close`.
    """

    def __init__(self, handle: Callable[[Item], None]) -> None:
        self._handle = handle
        self._waiting: Item | None = None
        self._failure: BaseException | None = None
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="ata-analysis", daemon=True)
        self._thread.start()

    def offer(self, item: Item) -> Item | None:
        """-> the older item that lost its place to this one, or None."""
        with self._changed:
            self._raise_failure()
            lost, self._waiting = self._waiting, item
            self._changed.notify()
        return lost

    def close(self) -> None:
        """Handles what waits, then ends the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting is not None or self._closing)
                item, self._waiting = self._waiting, None
            if item is None:
                return
            try:
                self._handle(item)
            except BaseException as failure:
                with self._changed:
                    self._failure = failure
                return
