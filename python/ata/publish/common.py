# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the publishers share: addresses, optional packages, and the count of what was lost."""

from __future__ import annotations

import importlib
import logging
import re
import socket
import sys
from contextlib import suppress
from importlib import metadata
from types import ModuleType

from ..errors import AtaError

PACKAGES = (  # output, module, what pip calls it
    ("ZeroMQ", "zmq", "pyzmq"),
    ("MQTT", "paho.mqtt.client", "paho-mqtt>=2"),
    ("metrics", "prometheus_client", "prometheus_client>=0.20"),
)
LOOPBACK = "127.0.0.1"
log = logging.getLogger("ata")
QUEUE = 1000  # records that wait for a slow subscriber or an absent broker; some 40 s of 40 ms frames, 1 to 2 MB


def package(module: str, name: str) -> ModuleType:
    """Imports a module of an optional package; AtaError with the line that installs it where it is missing or too old.

    name: as pip takes it, `paho-mqtt>=2`.
    """
    mend = f"{sys.executable} -m pip install '{name}'"
    distribution, _, least = name.partition(">=")
    try:
        found = importlib.import_module(module)
    except ImportError as failure:
        raise AtaError(f"{module} cannot be imported: {mend}") from failure
    with suppress(metadata.PackageNotFoundError):
        there = metadata.version(distribution)
        if _numbers(there) < _numbers(least):
            raise AtaError(f"{distribution} {there} is older than {least}: {mend}")
    return found


def _numbers(version: str) -> list[int]:
    """`0.20.1` -> [0, 20, 1]; what follows them counts for nothing."""
    return [int(n) for n in re.match(r"(\d+(\.\d+)*)?", version)[0].split(".") if n]


def listen_address(text: str) -> tuple[str, int]:
    """`[HOST:]PORT` -> (numeric host, port); 127.0.0.1 where no host is named. AtaError for anything else.

    Port 0 lets the system choose one.
    """
    host, _, port = text.rpartition(":")
    host = host.strip("[]") or LOOPBACK
    if not port.isdecimal() or int(port) > 65535 or host == "*":
        raise AtaError(f"{text!r} is no address to listen on; write PORT for this machine alone, or HOST:PORT")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as failure:
        raise AtaError(f"{host} is no address of this machine: {failure.strerror}") from failure
    except UnicodeError as failure:  # an empty label, or one that is too long, as in 192.168..20
        raise AtaError(f"{host} is no address of this machine, nor a name that any has") from failure
    address = min(found, key=lambda entry: entry[0] != socket.AF_INET)[4]  # a `localhost` that is IPv6 too: most ask IPv4
    return address[0], int(port)


def written(host: str, port: int) -> str:
    """-> HOST:PORT, with the brackets that an IPv6 address needs."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Losses:
    """Counts records that could not be handed on; says so once, as one a frame would fill a log."""

    def __init__(self, why: str) -> None:
        self._why = why
        self.count = 0

    def add(self) -> None:
        self.count += 1
        if self.count == 1:
            log.warning("%s: records are being lost to it (said once)", self._why)
