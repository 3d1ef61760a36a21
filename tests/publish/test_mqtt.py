# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records to a real broker (mosquitto) that is there, away, stalled and back."""

import json
import queue
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from gnuradio.ata.errors import AtaError
from gnuradio.ata.publish.common import QUEUE
from gnuradio.ata.publish.mqtt import MqttPublisher
from published import record

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/sbin")
pytestmark = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Broker:
    """mosquitto on one port, to be started, stalled and killed."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nuser root\n"
            f"persistence true\npersistence_location {folder}/\n"
        )
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self._config)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        said = ""
        while " running" not in said:
            said = self._process.stderr.readline()
            assert said, "mosquitto ended"

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()  # it then saves who subscribed to what
            self._process.communicate()
            self._process = None


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    made = Broker(tmp_path)
    yield made
    made.stop()


class Subscriber:
    """Everything on a topic, in order of arrival; made once the broker has confirmed the subscription.

    The broker remembers it, over a restart too.
    """

    def __init__(self, port: int, topic: str) -> None:
        self.records: queue.Queue[dict] = queue.Queue()
        subscribed: queue.Queue[object] = queue.Queue()
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, "subscriber", clean_session=False)
        self.client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
        self.client.on_subscribe = lambda *args: subscribed.put(args)
        self.client.on_message = lambda _, __, message: self.records.put(json.loads(message.payload))
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        subscribed.get(timeout=20)

    def until(self, frame: int) -> list[int]:
        """-> the frames up to `frame`; at least once is what was promised, so one may come twice."""
        frames = []
        while not frames or frames[-1] != frame:
            frames.append(self.records.get(timeout=60)["frame"])
        return list(dict.fromkeys(frames))


@pytest.fixture
def publish() -> Iterator[object]:
    made = []

    def make(url: str) -> MqttPublisher:
        made.append(MqttPublisher(url))
        return made[-1]

    yield make
    for publisher in made:
        publisher.close()


def test_records_arrive_as_json_on_the_topic(broker: Broker, publish) -> None:
    broker.start()
    subscriber = Subscriber(broker.port, "site/roof")
    publisher = publish(f"mqtt://127.0.0.1:{broker.port}/site/roof")
    publisher.write(record(3, "LTE"))
    assert subscriber.records.get(timeout=20) == record(3, "LTE").to_dict()
    publisher.write(record(4))
    publisher.close()  # at once: what was written has arrived all the same
    assert subscriber.until(4) == [4]
    assert publisher.lost == 0


def test_an_absent_broker_costs_bounded_memory_and_gets_what_waited(broker: Broker, publish) -> None:
    broker.start()
    subscriber = Subscriber(broker.port, "ata/detects")
    broker.stop()
    publisher = publish(f"mqtt://127.0.0.1:{broker.port}")
    for i in range(QUEUE + 500):
        publisher.write(record(i))
    assert publisher.lost == 500
    assert len(publisher._client._out_messages) == QUEUE
    broker.start()
    assert subscriber.until(QUEUE - 1) == list(range(QUEUE))


def test_a_broker_that_stalls_and_restarts_loses_nothing_that_fits(broker: Broker, publish) -> None:
    broker.start()
    publisher = publish(f"mqtt://127.0.0.1:{broker.port}")
    subscriber = Subscriber(broker.port, "ata/detects")
    publisher.write(record(0))
    assert subscriber.until(0) == [0]
    broker.signal(signal.SIGSTOP)
    for i in range(1, 3 * QUEUE):
        publisher.write(record(i))
    assert publisher.lost == 2 * QUEUE - 1
    assert len(publisher._client._out_messages) == QUEUE
    assert len(publisher._client._out_packet) <= QUEUE
    broker.signal(signal.SIGCONT)
    assert subscriber.until(QUEUE) == list(range(1, QUEUE + 1))
    broker.stop()
    for i in range(10_000, 10_100):
        publisher.write(record(i))
    broker.start()
    for i in range(10_100, 10_110):
        publisher.write(record(i))
    assert [f for f in subscriber.until(10_109) if f >= 10_000] == list(range(10_000, 10_110))
    assert publisher.lost == 2 * QUEUE - 1


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("localhost", "no MQTT URL"),
        ("http://localhost/x", "no MQTT URL"),
        ("mqtt://", "no MQTT URL"),
        ("mqtt://host:port", "no MQTT URL"),
        ("mqtt://192.168..20", "no name of an MQTT broker's host"),
        ("mqtt://host/#", "no MQTT URL"),
        ("mqtt://host/a/%23", "no MQTT topic"),
    ],
)
def test_what_is_no_url_is_said(url: str, says: str) -> None:
    with pytest.raises(AtaError, match=says):
        MqttPublisher(url)


def test_a_password_is_in_no_sentence() -> None:
    with pytest.raises(AtaError) as refusal:
        MqttPublisher("mqtt://me:secret@host:1883/#")
    assert "secret" not in str(refusal.value)


def test_a_missing_package_is_one_sentence_with_the_line_that_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)  # what Python does for a package that is not there
    with pytest.raises(AtaError, match=r"pip install 'paho-mqtt>=2'"):
        MqttPublisher("mqtt://127.0.0.1")
