#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints the bands that `ata-sense live ... --zmq 5556` finds.  usage: subscribe_zmq.py [HOST:PORT]"""

import contextlib
import json
import sys

import zmq

address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:5556"
socket = zmq.Context().socket(zmq.SUB)
socket.subscribe("")
socket.set(zmq.IPV6, 1)
socket.connect(f"tcp://{address}")
with contextlib.suppress(KeyboardInterrupt):
    while True:
        record = json.loads(socket.recv())
        for band in record["bands"]:
            low, high = band["freq_lower_edge"] / 1e6, band["freq_upper_edge"] / 1e6
            print(f"{record['time']}  {band['label']:5s} {low:.2f} to {high:.2f} MHz, {band['confidence']:.0%}", flush=True)
