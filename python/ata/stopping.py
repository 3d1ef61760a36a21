# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ctrl-C, SIGTERM and a terminal that is closed, for what runs until it is told to end or for longer than one waits."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def ended_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP call `stop`, which ends things in an orderly way; a second one ends them at once.

    SIGHUP, which comes when the terminal is closed, is left alone where it is ignored already, as under nohup; a second
    one is ignored, for a shell repeats the kernel's. What would go to the terminal from then on is dropped, for it comes
    before the terminal is quite gone, and writing to one that is gone is an error.
    """
    signals = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signals.append(signal.SIGHUP)
    terminals = [output for output in (1, 2) if os.isatty(output)]

    def end(number: int, _: object) -> None:
        stop()
        for each, handler in before.items():
            signal.signal(each, signal.SIG_IGN if each == signal.SIGHUP else handler)
        if number == signal.SIGHUP and terminals:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            for output in terminals:
                os.dup2(nowhere, output)
            os.close(nowhere)

    before = {number: signal.signal(number, end) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def ended_at_once_by_ctrl_c() -> Iterator[None]:
    """Around minutes in a call that is not Python: Ctrl-C, which Python would notice only after it, ends the process.

    A handler of the program's own stays, so does a prompt with all that was made at it, and signals belong to the main
    thread.
    """
    alone = threading.current_thread() is threading.main_thread() and not hasattr(sys, "ps1")
    if not alone or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
