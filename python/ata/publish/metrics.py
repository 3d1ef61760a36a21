# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts and latencies for Prometheus, over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ..errors import AtaError
from ..records import Record
from .common import listen_address, log, package, written

# Seconds; the analysis of a frame takes some 10 ms, and one that waited takes another frame's time on top.
BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
COUNTERS = {
    "samples": "Input samples.",
    "dropped_frames": "Frames without a record: overload, retunes, gaps, unfinished.",
    "retunes": "Changes of centre frequency or rate.",
    "reconnects": "Times that the radio was lost and came back.",
    "gaps": "Jumps of the radio's clock: samples were lost before the block.",
    "unsent_messages": "Messages that a slow GNU Radio subscriber did not get.",
}


class MetricsServer:
    """Serves /metrics: what the records hold, summed, and the counters of whoever analyses.

    Counters never decrease, or Prometheus takes it for a new start.

    Args:
        address: `[HOST:]PORT` to listen on; 127.0.0.1 where no host is named.
        counters: called at each request -> totals since start by name, of those in `COUNTERS`.
        lost: called at each request -> records lost by the name of the output that lost them.

    AtaError where prometheus_client is missing or the address cannot be had.
    """

    def __init__(
        self,
        address: str,
        counters: Callable[[], Mapping[str, int]] = dict,
        lost: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        prometheus = package("prometheus_client", "prometheus_client>=0.20")  # whose server can be closed
        family = package("prometheus_client.core", "prometheus_client").CounterMetricFamily
        host, port = listen_address(address)
        registry = prometheus.CollectorRegistry()
        self._frames = prometheus.Counter("ata_frames", "Frames with a record.", ["engine", "model"], registry=registry)
        self._bands = prometheus.Counter("ata_bands", "Bands in those frames.", ["label"], registry=registry)
        self._latency = prometheus.Histogram(
            "ata_latency_seconds", "Last sample of a frame in, record out.", buckets=BUCKETS, registry=registry
        )
        self._dropped = 0
        registry.register(_Totals(family, lambda: {"dropped_frames": self._dropped, **counters()}, lost))
        try:
            self._server, self._thread = prometheus.start_http_server(port, host, registry)
        except OSError as failure:
            raise AtaError(f"metrics cannot be served on {written(host, port)}: {failure.strerror}") from failure
        self.address = written(host, self._server.server_port)
        log.info("metrics on http://%s/metrics", self.address)

    def write(self, record: Record) -> None:
        self._dropped = record.dropped_frames
        self._frames.labels(record.engine, record.model).inc()
        for band in record.bands:
            self._bands.labels(band.label).inc()
        if record.latency_ms is not None:
            self._latency.observe(record.latency_ms / 1e3)

    def flush(self) -> None:
        """Nothing is held back: Prometheus asks."""

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Totals:
    """Counters that are kept elsewhere, read when Prometheus asks."""

    def __init__(self, family: type, counters: Callable, lost: Callable) -> None:
        self._family, self._counters, self._lost = family, counters, lost

    def collect(self) -> Iterator[object]:
        for name, value in self._counters().items():
            yield self._family(f"ata_{name}", COUNTERS[name], value)
        lost = self._family("ata_lost_records", "Records that an output could not hand on.", labels=["output"])
        for output, value in self._lost().items():
            lost.add_metric([output], value)
        yield lost
