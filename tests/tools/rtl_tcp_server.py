# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An rtl_tcp server without a radio: it is tuned like one, and plays a SigMF recording over and over.

    python tests/tools/rtl_tcp_server.py x.sigmf-meta --connection stall,240000 --connection play

It speaks the protocol of rtl-sdr's `rtl_tcp`: a greeting of 12 bytes ("RTL0", tuner, number of gains, big endian), then
cu8 samples; from the client commands of 5 bytes (one byte which, four bytes the value). A client gets the part of the
recording that it tuned to, at the rate that it set; unlike with the original, nothing before it is tuned. What happens is
printed, one JSON object a line.

Each --connection tells how one client in turn is treated, the last one all that follow: WHAT or WHAT,SAMPLES with
    play       send samples for ever
    close      close in an orderly way after that many samples; reset: the same with a reset; stall: send no more
    odd        close after half a sample more
    garbage    greet with other bytes, and send no samples; half: greet with 4 bytes only; silent: never greet
    noheader   close at once; e4000: greet as a tuner with two gain stages, and send no samples

Tests start it with `RtlTcpServer`, in a process of its own: gr-osmosdr connects with Python's lock held.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import queue
import socket
import struct
import subprocess
import sys
import threading
import time
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import numpy as np

E4000, R820T, GAINS = 1, 5, 29
COMMANDS = {1: "freq", 2: "rate", 3: "gain_mode", 4: "gain", 5: "ppm", 8: "agc", 9: "direct_sampling", 10: "offset",
            14: "bias_tee"}  # fmt: skip
CHUNK = 16384  # samples sent at once
LEVEL = 0.25  # rms of the whole recording re full scale
DITHER = 0.5  # rms of a receiver's own noise, in steps of the converter


class Tuner:
    """A recording as a radio sees it: one part of its band, at one rate."""

    def __init__(self, path: str) -> None:
        import sigmf

        recording = sigmf.sigmffile.fromfile(path)
        self.rate = float(recording.get_global_field("core:sample_rate"))
        self.freq = float(recording.get_captures()[0].get("core:frequency", 0.0))
        self._iq = np.asarray(recording.read_samples(), np.complex64).ravel()
        self._iq *= np.float32(LEVEL / max(np.sqrt(np.mean(np.abs(self._iq) ** 2)), 1e-12))

    @lru_cache(maxsize=8)  # noqa: B019 (there is one tuner)
    def cu8(self, freq: float, rate: float) -> bytes:
        """-> the recording around `freq`, Hz, at `rate`, Hz."""
        from scipy.signal import resample_poly

        iq = self._iq if abs(freq - self.freq) < self.rate else np.zeros_like(self._iq)
        if freq != self.freq:
            iq = iq * np.exp(-2j * np.pi * (freq - self.freq) / self.rate * np.arange(len(iq))).astype(np.complex64)
        if rate != self.rate:
            ratio = Fraction(rate / self.rate).limit_denominator(1000)
            iq = resample_poly(iq, ratio.numerator, ratio.denominator)
        parts = np.ascontiguousarray(iq, np.complex64).view(np.float32) * 128 + 127.4
        parts += DITHER * np.random.default_rng(0).standard_normal(len(parts), np.float32)
        return np.clip(np.rint(parts), 0, 255).astype(np.uint8).tobytes()


class Connection:
    """One client, treated in one way."""

    def __init__(self, client: socket.socket, index: int, tuner: Tuner, what: str, samples: int, speed: float) -> None:
        self._client, self._index, self._tuner = client, index, tuner
        self._what, self._samples, self._speed = what, samples, speed
        self._freq, self._rate = tuner.freq, tuner.rate
        self._tuned, self._gone = threading.Event(), threading.Event()
        self._sent = 0

    def serve(self) -> None:
        report("connected", self._index)
        reader = threading.Thread(target=self._commands, daemon=True)
        reader.start()
        try:
            if self._greet():
                self._play()
            if self._what not in ("close", "odd", "reset", "noheader"):
                self._gone.wait()
        except OSError:
            pass  # the client went first
        self._end(reader)
        report("ended", self._index, samples=self._sent)

    def _greet(self) -> bool:
        greeting = struct.pack(">4sII", b"RTL0", R820T, GAINS)
        sent = {"garbage": b"HTTP/1.1 400", "half": greeting[:4], "silent": b"", "noheader": b"",
                "e4000": struct.pack(">4sII", b"RTL0", E4000, GAINS)}  # fmt: skip
        self._client.sendall(sent.get(self._what, greeting))
        return self._what not in sent

    def _play(self) -> None:
        self._tuned.wait()
        tuned, data, at, begun = None, b"", 0, time.monotonic()
        while not self._gone.is_set():
            if tuned != (self._freq, self._rate):
                tuned = self._freq, self._rate
                data, at, begun, paced = self._tuner.cu8(*tuned), 0, time.monotonic(), 0
            left = CHUNK if self._what == "play" else min(CHUNK, self._samples - self._sent)
            if left <= 0:
                break
            piece = data[2 * at : 2 * (at + left)]
            self._client.sendall(piece)
            at = (at + len(piece) // 2) % (len(data) // 2)
            self._sent += len(piece) // 2
            paced += len(piece) // 2
            if self._speed:
                self._gone.wait(max(0.0, begun + paced / (self._speed * tuned[1]) - time.monotonic()))
        if self._what == "odd":
            self._client.sendall(b"\x80")

    def _end(self, reader: threading.Thread) -> None:
        with contextlib.suppress(OSError):
            self._client.shutdown(socket.SHUT_RD if self._what == "reset" else socket.SHUT_RDWR)
        reader.join()  # a socket that somebody reads is not closed
        if self._what == "reset":
            self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._client.close()

    def _commands(self) -> None:
        held = b""
        try:
            while got := self._client.recv(4096):
                held += got
                while len(held) >= 5:
                    command, value = struct.unpack(">BI", held[:5])
                    held = held[5:]
                    name = COMMANDS.get(command, str(command))
                    if name == "freq":
                        self._freq = float(value)
                        self._tuned.set()
                    elif name == "rate":
                        self._rate = float(value)
                    report("command", self._index, name=name, value=value)
        except OSError:
            pass
        self._gone.set()
        self._tuned.set()


def report(event: str, connection: int | None = None, **more: object) -> None:
    print(json.dumps({"event": event, "connection": connection, **more}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recording")
    parser.add_argument("--port", type=int, default=0, help="default: any free one, which is printed")
    parser.add_argument("--speed", type=float, default=1.0, help="times real time; 0: as fast as the client takes it")
    parser.add_argument("--connection", action="append", metavar="WHAT[,SAMPLES]")
    parser.add_argument("--tuned", type=float, nargs=2, metavar=("FREQ", "RATE"), help="have its samples ready beforehand")
    args = parser.parse_args()
    tuner = Tuner(args.recording)
    if args.tuned:  # a client waits for samples no longer than its limit
        freq, rate = args.tuned
        for at in (tuner.rate, rate):  # it may be tuned before it has its rate
            tuner.cu8(freq, at)
    plans = [plan.partition(",") for plan in args.connection or ["play"]]
    with socket.create_server(("127.0.0.1", args.port), backlog=1) as listening:
        report("listening", port=listening.getsockname()[1])
        for index in range(sys.maxsize):
            what, _, samples = plans[min(index, len(plans) - 1)]
            client, _ = listening.accept()
            Connection(client, index, tuner, what, int(samples or 0), args.speed).serve()


class RtlTcpServer:
    """The server as a process, for a `with` block; `device` is the string to open it with."""

    def __init__(
        self, recording: Path, *connections: str, speed: float = 1.0, tuned: tuple[float, float] | None = None
    ) -> None:
        command = [sys.executable, __file__, str(recording), "--speed", str(speed)]
        if tuned:
            command += ["--tuned", *map(repr, tuned)]
        for connection in connections:
            command += ["--connection", connection]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.events: list[dict] = []
        self._new: queue.Queue[dict | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.device = f"rtl_tcp=127.0.0.1:{self.wait_for('listening')['port']}"

    def _read(self) -> None:
        for line in self._process.stdout:
            self._new.put(json.loads(line))
        self._new.put(None)

    def wait_for(self, event: str, timeout: float = 60, **fields: object) -> dict:
        """-> the next event of this kind with these values, from those not waited for yet."""
        deadline = time.monotonic() + timeout
        while True:
            got = self._new.get(timeout=max(0.0, deadline - time.monotonic()))
            if got is None:
                raise AssertionError(f"the rtl_tcp server ended before {event!r}; it had said {self.events}")
            self.events.append(got)
            if got["event"] == event and all(got.get(k) == v for k, v in fields.items()):
                return got

    def drain(self) -> list[dict]:
        """-> all events until now."""
        while not self._new.empty():
            if (got := self._new.get()) is not None:
                self.events.append(got)
        return self.events

    def kill(self) -> None:
        """As a server does that loses its power."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> RtlTcpServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


if __name__ == "__main__":
    main()
