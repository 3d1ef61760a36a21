# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records over real ZeroMQ sockets, to subscribers that keep up and to one that does not."""

import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import zmq
from gnuradio.ata.errors import AtaError
from gnuradio.ata.publish.common import QUEUE, listen_address
from gnuradio.ata.publish.zmq import ZmqPublisher
from published import record


@pytest.fixture
def publisher() -> Iterator[ZmqPublisher]:
    made = ZmqPublisher("0")
    yield made
    made.close()


@pytest.fixture
def context() -> Iterator[zmq.Context]:
    made = zmq.Context()
    yield made
    made.destroy(linger=0)


def subscribe(context: zmq.Context, publisher: ZmqPublisher, **options: int) -> zmq.Socket:
    """A subscriber from whom nothing is hidden any more: the probes that arrive first are read."""
    sub = context.socket(zmq.SUB)
    for name, value in options.items():
        sub.set(getattr(zmq, name), value)
    sub.subscribe("")
    sub.connect(f"tcp://{publisher.address}")
    sent = 0
    while not sub.poll(20):
        sent -= 1
        publisher.write(record(sent))
    while json.loads(sub.recv())["frame"] != sent:
        pass
    return sub


def test_a_localhost_of_both_kinds_is_the_one_that_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [(socket.AF_INET6, 1, 6, "", ("::1", 0, 0, 0)), (socket.AF_INET, 1, 6, "", ("127.0.0.1", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    assert listen_address("localhost:5556") == ("127.0.0.1", 5556)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both[:1])
    assert listen_address("[::1]:5556") == ("::1", 5556)


def test_a_record_is_one_message_of_plain_json(publisher: ZmqPublisher, context: zmq.Context) -> None:
    subscribers = [subscribe(context, publisher) for _ in range(2)]
    publisher.write(record(7, "LTE", "NR"))
    for sub in subscribers:
        while json.loads(message := sub.recv())["frame"] != 7:
            pass
        assert json.loads(message) == record(7, "LTE", "NR").to_dict()
        assert not sub.get(zmq.RCVMORE)
    assert publisher.lost == 0


def test_a_subscriber_that_does_not_read_costs_no_memory_and_no_other_subscriber(
    publisher: ZmqPublisher, context: zmq.Context
) -> None:
    slow = subscribe(context, publisher, RCVHWM=10, RCVBUF=4096)
    quick = subscribe(context, publisher)
    before = resident()
    large = replace(record(0, "LTE"), model="m" * 30_000)
    total = 5000
    for i in range(total):
        publisher.write(replace(large, frame=i))
        while json.loads(quick.recv())["frame"] != i:
            pass
    assert publisher.lost == 1
    assert resident() - before < 60e6  # of 150 MB
    frames = []
    while slow.poll(500):
        frames.append(json.loads(slow.recv())["frame"])
    frames = [f for f in frames if f >= 0]
    assert frames == list(range(len(frames)))
    assert 0.9 * QUEUE < len(frames) < 2 * QUEUE
    publisher.write(record(total))  # it has caught up, and gets what comes
    assert json.loads(slow.recv())["frame"] == total


def test_the_last_record_arrives_though_the_publisher_closes_at_once(context: zmq.Context) -> None:
    publisher = ZmqPublisher("0")
    sub = subscribe(context, publisher)
    for i in range(500):
        publisher.write(record(i))
    publisher.close()
    assert [json.loads(sub.recv())["frame"] for _ in range(500)] == list(range(500))


def test_only_this_machine_unless_asked() -> None:
    alone, everybody = ZmqPublisher(":0"), ZmqPublisher("tcp://0.0.0.0:0")
    try:
        assert alone.address.startswith("127.0.0.1:")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", alone.address.rpartition(":")[2]))
        socket.create_connection(("127.0.0.2", everybody.address.rpartition(":")[2])).close()
    finally:
        alone.close()
        everybody.close()


@pytest.mark.parametrize(
    "address",
    ["", "*:5556", "5556x", "70000", "127.0.0.1:", "192.168..20:5556", "no.such.host.invalid:5556", "a b:1"],
)
def test_what_is_no_address_is_said(address: str) -> None:
    with pytest.raises(AtaError, match="no address"):
        ZmqPublisher(address)


def test_an_address_in_use_is_said(publisher: ZmqPublisher) -> None:
    with pytest.raises(AtaError, match=f"cannot listen on {publisher.address}: Address already in use"):
        ZmqPublisher(publisher.address)


def resident() -> int:
    """-> bytes of memory that this process holds."""
    return 4096 * int(Path("/proc/self/statm").read_text().split()[1])
