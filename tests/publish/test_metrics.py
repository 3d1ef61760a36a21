# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics as Prometheus reads them: over HTTP, parsed by its own library."""

import socket
from collections.abc import Iterator
from importlib import metadata
from urllib.request import urlopen

import pytest
from gnuradio.ata.errors import AtaError
from gnuradio.ata.publish.metrics import MetricsServer
from prometheus_client.parser import text_string_to_metric_families
from published import record

TOTALS = {"samples": 0, "dropped_frames": 0}


@pytest.fixture
def server() -> Iterator[MetricsServer]:
    made = MetricsServer("0", lambda: TOTALS, lambda: {"zmq": 3})
    yield made
    made.close()


def scrape(server: MetricsServer) -> dict[tuple, float]:
    """-> value by (name, *label values)."""
    with urlopen(f"http://{server.address}/metrics") as answer:
        text = answer.read().decode()
    families = text_string_to_metric_families(text)
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def test_records_are_summed(server: MetricsServer) -> None:
    for i in range(10):
        server.write(record(i, "LTE", "LTE", "NR", latency_ms=4.0 + 10 * i))
    seen = scrape(server)
    assert seen["ata_frames_total", "onnxruntime-cpu", "m-1"] == 10
    assert (seen["ata_bands_total", "LTE"], seen["ata_bands_total", "NR"]) == (20, 10)
    assert seen["ata_latency_seconds_count",] == 10
    assert seen["ata_latency_seconds_sum",] == pytest.approx(0.49)
    assert [seen["ata_latency_seconds_bucket", le] for le in ("0.002", "0.005", "0.05", "0.1", "+Inf")] == [
        0, 1, 5, 10, 10
    ]  # fmt: skip


def test_a_lossless_run_has_no_latency(server: MetricsServer) -> None:
    server.write(record(0))
    assert scrape(server)["ata_latency_seconds_count",] == 0


def test_counters_are_those_of_the_moment(server: MetricsServer) -> None:
    for samples in (0, 2**40):
        TOTALS["samples"] = samples
        assert scrape(server)["ata_samples_total",] == samples
    assert scrape(server)["ata_lost_records_total", "zmq"] == 3


def test_only_this_machine_and_nobody_after_it_closes() -> None:
    made = MetricsServer("0")
    port = int(made.address.rpartition(":")[2])
    assert made.address.startswith("127.0.0.1:")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port))
    made.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_an_address_in_use_is_said(server: MetricsServer) -> None:
    with pytest.raises(AtaError, match=f"cannot be served on {server.address}: Address already in use"):
        MetricsServer(server.address)


@pytest.mark.parametrize(("version", "fits"), [("0.16.0", False), ("0.20.0", True), ("1.0.0rc1", True)])
def test_a_package_that_is_too_old_is_one_sentence(monkeypatch: pytest.MonkeyPatch, version: str, fits: bool) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: version)
    if fits:
        MetricsServer("0").close()
    else:
        with pytest.raises(AtaError, match=r"prometheus_client 0\.16\.0 is older than 0\.20: .* -m pip install"):
            MetricsServer("0")
