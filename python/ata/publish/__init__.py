# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records to other programs: one sink a file, each with `write`, `flush` and `close` as those of `sinks.py`.

None makes the analysis wait: what a subscriber or broker cannot take in time is lost to it, and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..errors import AtaError
from ..sinks import Sink
from .metrics import MetricsServer
from .mqtt import MqttPublisher
from .zmq import ZmqPublisher


def open_publishers(zmq: str, mqtt: str, metrics: str, counters: Callable[[], Mapping[str, int]]) -> list[Sink]:
    """Opens those whose address is not empty; AtaError, with none left open, where one cannot be."""
    outputs: dict[str, ZmqPublisher | MqttPublisher] = {}
    try:
        if zmq:
            outputs["zmq"] = ZmqPublisher(zmq)
        if mqtt:
            outputs["mqtt"] = MqttPublisher(mqtt)
        opened: list[Sink] = list(outputs.values())
        if metrics:
            opened.append(MetricsServer(metrics, counters, lambda: {name: sink.lost for name, sink in outputs.items()}))
    except AtaError:
        for sink in outputs.values():
            sink.close()
        raise
    return opened
