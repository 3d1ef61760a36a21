# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Message ports whose subscribers' queues stay short.

GNU Radio puts no bound on the queue of a block that handles messages: one that is slower than its publisher grows
without end, and the flowgraph does not stop before all of them are handled.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pmt
from gnuradio import gr

from . import _messages

MOST_WAITING = 250  # messages before a subscriber; 10 s of 40 ms frames, 1 to 2 MB
STUCK_S = 5.0  # a full queue that has not moved for so long may never move, if its block waits for our own samples
POLL_S = 1e-3


class BoundedPort:
    """An output port that hands a message only to subscribers before whom fewer than `MOST_WAITING` wait.

    Args:
        block: whose port it is.
        name: of the port.
        patient: waits for a subscriber that is full, as lossless runs have to, unless its queue stands still for
            `STUCK_S`; otherwise the message is left out for that subscriber at once.

    Attributes: unsent (messages left out, counted for each subscriber).
    """

    def __init__(self, block: gr.basic_block, name: str, patient: bool) -> None:
        self._block, self._name, self._patient = block, pmt.intern(name), patient
        self._stuck: set[str] = set()
        self.unsent = 0
        block.message_port_register_out(self._name)

    def publish(self, message: pmt.pmt_base) -> None:
        for alias, port in self._subscribers():
            waiting = _messages.waiting(alias, port)
            if waiting is None:
                continue
            if waiting < MOST_WAITING or (self._patient and self._wait(alias, port)):
                _messages.post(alias, port, message)
            else:
                self.unsent += 1
                if self.unsent == 1:
                    self._block.logger.warn(
                        f"{alias} does not keep up with {self._name}: messages to it are left out (said once)"
                    )

    def _subscribers(self) -> Iterator[tuple[pmt.pmt_base, pmt.pmt_base]]:
        """-> (block's alias, its port), read anew each time: a flowgraph may change while it runs."""
        found = self._block.to_basic_block().message_subscribers(self._name)
        while pmt.is_pair(found):
            yield pmt.car(pmt.car(found)), pmt.cdr(pmt.car(found))
            found = pmt.cdr(found)

    def _wait(self, alias: pmt.pmt_base, port: pmt.pmt_base) -> bool:
        """-> whether there is room now."""
        name = pmt.symbol_to_string(alias)
        seen, since = MOST_WAITING, time.monotonic()
        while (waiting := _messages.waiting(alias, port)) is not None and waiting >= MOST_WAITING:
            if waiting != seen:
                seen, since = waiting, time.monotonic()
                self._stuck.discard(name)
            elif name in self._stuck or time.monotonic() - since > STUCK_S:
                self._stuck.add(name)
                return False
            time.sleep(POLL_S)
        self._stuck.discard(name)
        return True
