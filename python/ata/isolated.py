# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that may hang or crash, in a process of its own that can always be ended.

A radio's driver can wait for ever with Python's lock held, spin, refuse to let its flowgraph stop, or take its process
with it; nothing inside that process helps then. The process sends what it finds as it finds it, so that whatever
happens to it, what it sent is not lost.
"""

from __future__ import annotations

import ctypes
import logging
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path

from .errors import AtaError, first_line

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
STARTERS_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
LAST_WORDS = 4096  # bytes kept of what drivers print
DYING = 5.0  # s that a killed process has to go; one whose driver waits in the kernel stays until that lets it go
GONE = (EOFError, OSError, pickle.UnpicklingError)  # what a connection raises whose other end was killed
_context = multiprocessing.get_context("spawn")  # a fork of a process with threads, GNU Radio's among them, is unsafe
log = logging.getLogger("ata")


class Ended(Exception):
    """The process is gone and everything that it sent is received; the text says how it ended, empty if as asked.

    A fault in it counts as such an end: its traceback is in the log, its last line in the text.
    """


class Channel:
    """The end inside the process: threads send what they like, and look whether it is time to stop."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()

    def send(self, message: object) -> None:
        """Hands a picklable object to the other end; waits while that is busy, and ends the process if it is gone."""
        with self._sending:
            try:
                self._connection.send(message)
            except OSError:
                os._exit(1)

    def receive(self) -> object:
        """Waits for a message of the other end, "stop" where it asks for that; ends the process if it is gone."""
        try:
            return self._connection.recv()
        except GONE:
            os._exit(1)

    def stop_asked(self, timeout: float) -> bool:
        """Waits up to `timeout` seconds for the other end to say stop, or to go."""
        return self._connection.poll(timeout)


class Isolated:
    """`run(channel, *args)` in a process of its own; run and args are pickled.

    SIGINT, SIGTERM and SIGHUP do not reach the process: whoever started it ends it. It goes with its starter, however
    that ends. Ended where the machine has no room for it, which may change.
    """

    def __init__(self, run: Callable[..., None], *args: object) -> None:
        self._words = b""
        try:
            self._connection, theirs = _context.Pipe()
            printed, prints = _context.Pipe(duplex=False)
            with theirs, prints:
                self._process = _context.Process(
                    target=_begin, args=(theirs, prints, os.getpid(), run, args), name="ata-radio", daemon=True
                )
                self._listener = threading.Thread(target=self._listen, args=(printed,), name="ata-words", daemon=True)
                self._listener.start()  # first, for without it there shall be no process either
                resource_tracker.ensure_running()  # multiprocessing's own: its start lets the signals through again
                with _signals_held():
                    self._process.start()
        except (OSError, RuntimeError) as failure:  # no more processes, memory or files; no more threads
            raise Ended(f"cannot be started: {first_line(getattr(failure, 'strerror', None) or failure)}") from None

    def receive(self, timeout: float) -> object | None:
        """-> the next message, or None if none comes within `timeout` seconds.

        Raises AtaError with the sentence that the process ended with, and Ended for any other end.
        """
        while True:
            try:
                message = self._connection.recv() if self._connection.poll(timeout) else None
            except GONE:
                self._process.join(DYING)
                raise Ended(self._how()) from None
            if isinstance(message, Exception):
                raise message
            if not isinstance(message, logging.LogRecord):
                return message
            logging.getLogger(message.name).handle(message)

    def send(self, message: object) -> None:
        """Hands a picklable object to the process; that it is gone is for `receive` to say."""
        with suppress(OSError):
            self._connection.send(message)

    def ask_to_stop(self) -> None:
        """Lets the process end by itself; what it still sends is there to receive, until Ended."""
        self.send("stop")

    def kill(self) -> None:
        """Ends the process at once if it has not ended by itself; what it had sent can still be received."""
        self._process.kill()
        self._process.join(DYING)
        if self._process.is_alive():
            log.error("the process %d of the radio's driver cannot be ended; it is left behind", self._process.pid)
            # Python would wait for it at its own end. Nothing public takes it off that list.
            getattr(multiprocessing.process, "_children", set()).discard(self._process)

    def _listen(self, printed: Connection) -> None:
        with printed:
            while got := os.read(printed.fileno(), LAST_WORDS):
                self._words = (self._words + got)[-LAST_WORDS:]

    def _how(self) -> str:
        code = self._process.exitcode
        if code == 0:
            return ""
        self._listener.join(1.0)  # until it has the last words, unless something else still holds the pipe
        lines = self._words.decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        if code is None:
            how = "does not end"
        else:
            how = f"crashed ({signal.Signals(-code).name})" if code < 0 else f"ended with code {code}"
        return f"{how}: {last}" if last else how


@contextmanager
def _signals_held() -> Iterator[None]:
    """What starts meanwhile is not ended by these signals: a blocked signal stays so in a new process."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STARTERS_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Forward(logging.Handler):
    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        record.msg, record.args, record.exc_info = record.getMessage(), (), None
        self._channel.send(record)


def _begin(connection: Connection, prints: Connection, starter: int, run: Callable[..., None], args: tuple) -> None:
    """The process, from its first line to its last. Drivers print to both outputs, which belong to the command's user."""
    for number in STARTERS_SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # GNU Radio lets through what is only blocked
    os.dup2(prints.fileno(), 1)
    os.dup2(prints.fileno(), 2)
    # From Python 3.13 on multiprocessing's tracker, and with it the starter's end, waits for all that hold this pipe.
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), resource_tracker.getfd())
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != starter:
        os._exit(1)
    channel = Channel(connection)
    logging.basicConfig(level=logging.INFO, handlers=[_Forward(channel)], force=True)
    try:
        run(channel, *args)
    except AtaError as failure:
        channel.send(failure)
    except BaseException as failure:
        log.error("a fault in the process of the radio's driver\n%s", traceback.format_exc())
        channel.send(Ended(f"failed: {traceback.format_exception_only(failure)[-1].strip()}"))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # the threads of a driver that hangs would keep an ordinary exit waiting
