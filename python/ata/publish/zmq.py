# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records as plain JSON over ZeroMQ PUB."""

from __future__ import annotations

from ..errors import AtaError
from ..records import Record
from .common import QUEUE, Losses, listen_address, log, package, written

LINGER_MS = 1000  # how long `close` lets the last records travel


class ZmqPublisher:
    """Each record is one message of one part: the JSON line, UTF-8. Subscribers subscribe to everything.

    For a subscriber that is slow `QUEUE` records wait; what comes on top is lost to it alone. It can tell from the
    records: `frame` counts on, less what `dropped_frames` counts.

    Args: address: `[tcp://][HOST:]PORT` to listen on; 127.0.0.1 where no host is named.
    AtaError where pyzmq is missing or the address cannot be had.
    """

    def __init__(self, address: str) -> None:
        self._zmq = zmq = package("zmq", "pyzmq")
        host, port = listen_address(address.removeprefix("tcp://"))
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.set(zmq.SNDHWM, QUEUE)
        self._socket.set(zmq.LINGER, LINGER_MS)
        self._socket.set(zmq.IPV6, int(":" in host))
        self._full_is_an_error(True)
        try:
            self._socket.bind(f"tcp://{written(host, port)}")
        except zmq.ZMQError as failure:
            self._context.destroy(linger=0)
            raise AtaError(f"ZeroMQ cannot listen on {written(host, port)}: {failure.strerror}") from failure
        self.address = self._socket.get_string(zmq.LAST_ENDPOINT).removeprefix("tcp://")
        log.info("records over ZeroMQ on tcp://%s", self.address)
        self._losses = Losses(f"a ZeroMQ subscriber of {self.address} does not keep up")

    @property
    def lost(self) -> int:
        """Times that a subscriber began to lose records; ZeroMQ does not tell how many it lost."""
        return self._losses.count

    def write(self, record: Record) -> None:
        message = record.to_json().encode()
        try:
            self._socket.send(message, self._zmq.NOBLOCK)
        except self._zmq.Again:  # one more subscriber is full, and nobody got it: now to those that have room
            self._losses.add()
            self._full_is_an_error(False)
            self._socket.send(message, self._zmq.NOBLOCK)
            self._full_is_an_error(True)

    def flush(self) -> None:
        """ZeroMQ sends by itself, and cannot tell when it is done."""

    def close(self) -> None:
        """Stops listening; records under way get a second to arrive."""
        self._context.destroy(linger=LINGER_MS)

    def _full_is_an_error(self, error: bool) -> None:
        # Without this option a PUB socket loses records without a word.
        self._socket.set(self._zmq.XPUB_NODROP, int(error))
