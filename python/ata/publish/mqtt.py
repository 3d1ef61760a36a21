# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records as plain JSON to an MQTT broker."""

from __future__ import annotations

import logging
import threading
from urllib.parse import unquote, urlsplit

from ..errors import AtaError
from ..records import Record
from .common import QUEUE, Losses, log, package, written

TOPIC = "ata/detects"
PORTS = {"mqtt": 1883, "mqtts": 8883}
FLUSH_S = 1.0


class MqttPublisher:
    """Each record is one message, at least once (QoS 1), sent by the library's own thread.

    While the broker is away, from the start or later, `QUEUE` records wait for it and the library tries again every
    1 to 30 s; what comes on top is lost, and counted.

    Args: url: `mqtt://[USER:PASSWORD@]HOST[:PORT][/TOPIC]`, or `mqtts://` for TLS. The topic is `ata/detects` where
    none is named.
    AtaError where paho-mqtt is missing or the URL is not one; a broker that cannot be reached is no error.
    """

    def __init__(self, url: str) -> None:
        paho = package("paho.mqtt.client", "paho-mqtt>=2")
        host, port, self._topic = _target(url)
        self._broker = written(host, port)
        self._full = paho.MQTT_ERR_QUEUE_SIZE
        self._losses = Losses(f"the MQTT broker {self._broker} is away or slow")
        self._reachable: bool | None = None
        self._acknowledged = threading.Condition()
        self._waiting = 0
        self._client = client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        client.max_queued_messages_set(QUEUE)
        client.reconnect_delay_set(1, 30)
        client.on_publish = lambda *_: self._count(-1)
        client.on_connect = self._on_connect
        client.on_connect_fail = lambda *_: self._reached(False, "cannot be reached")
        client.on_disconnect = lambda *args: self._reached(False, f"is lost ({args[3]})")
        parts = urlsplit(url)
        if parts.username:
            client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
        if parts.scheme == "mqtts":
            client.tls_set()
        client.connect_async(host, port)
        client.loop_start()

    @property
    def lost(self) -> int:
        """Records that found the queue full."""
        return self._losses.count

    def write(self, record: Record) -> None:
        self._count(1)
        if self._client.publish(self._topic, record.to_json(), qos=1).rc == self._full:
            self._count(-1)
            self._losses.add()

    def flush(self) -> None:
        """Gives a connected broker a second to acknowledge what waits."""
        with self._acknowledged:
            self._acknowledged.wait_for(lambda: not self._waiting or not self._client.is_connected(), FLUSH_S)

    def close(self) -> None:
        """Takes leave of the broker; the library's thread ends by itself, which a stalled broker may delay."""
        self.flush()
        self._client.on_disconnect = None  # this loss is no news
        self._client.disconnect()

    def _count(self, change: int) -> None:
        with self._acknowledged:
            self._waiting += change
            self._acknowledged.notify_all()

    def _on_connect(self, *args: object) -> None:
        reason = args[3]
        self._reached(not reason.is_failure, f"refuses us ({reason})" if reason.is_failure else "is connected")

    def _reached(self, reachable: bool, how: str) -> None:
        """In the library's thread: a line at each change, not at each attempt."""
        if reachable != self._reachable:
            log.log(logging.INFO if reachable else logging.WARNING, "MQTT broker %s %s", self._broker, how)
        self._reachable = reachable


def _target(url: str) -> tuple[str, int, str]:
    """-> host, port, topic."""
    refusal = AtaError("this is no MQTT URL; write mqtt://[USER:PASSWORD@]HOST[:PORT][/TOPIC]")
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme)
    except ValueError as failure:
        raise refusal from failure
    if port is None or not parts.hostname or "?" in url or "#" in url:
        raise refusal
    try:
        parts.hostname.encode("idna")  # as the resolver does, in the library's thread, which would end by it
    except UnicodeError as failure:
        raise AtaError(f"{parts.hostname!r} is no name of an MQTT broker's host") from failure
    topic = unquote(parts.path.strip("/")) or TOPIC
    if "+" in topic or "#" in topic:
        raise AtaError(f"{topic!r} is no MQTT topic to publish on: + and # are for subscribers")
    return parts.hostname, port, topic
