# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ctrl-C while a call runs that is not in Python."""

import signal
import subprocess
import sys
import threading

from gnuradio.ata.stopping import ended_at_once_by_ctrl_c

LONG_CALL = """
from gnuradio.ata.stopping import ended_at_once_by_ctrl_c
with ended_at_once_by_ctrl_c():
    print("begun", flush=True)
    sum(range(10**12))  # hours, all of them in C
"""


def test_ctrl_c_ends_a_long_call_at_once() -> None:
    with subprocess.Popen([sys.executable, "-c", LONG_CALL], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == b"begun\n"
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == -signal.SIGINT
        finally:
            process.kill()


def test_python_s_own_handler_comes_back() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with ended_at_once_by_ctrl_c():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_handler_of_the_program_s_own_stays_and_so_does_any_in_other_threads() -> None:
    found = []

    def look(*_: object) -> None:
        with ended_at_once_by_ctrl_c():
            found.append(signal.getsignal(signal.SIGINT))

    before = signal.signal(signal.SIGINT, look)
    try:
        look()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert found == [look, signal.default_int_handler]
