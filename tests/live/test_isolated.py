# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in a process of its own: what it sends arrives, however it ends, and it can always be ended."""

import ctypes
import errno
import logging
import os
import select
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest
from gnuradio.ata.errors import AtaError
from gnuradio.ata.isolated import Channel, Ended, Isolated

PATIENCE = 60  # s; only a test that fails waits so long


def sends_and_ends(channel: Channel, how: str) -> None:
    print("a driver's chatter")
    logging.getLogger("ata").warning("a %s word", how)
    for i in range(3):
        channel.send(i)
    if how == "sentence":
        raise AtaError("the model does not fit")
    if how == "fault":
        raise KeyError("a slip")
    if how == "exit":
        os.write(2, b"out of memory\n")
        os._exit(3)
    if how == "crash":
        os.write(2, b"libradio: bad state\n")
        os.kill(os.getpid(), signal.SIGSEGV)


def hangs(channel: Channel) -> None:
    """As a driver does that waits with Python's lock held."""
    channel.send(os.getpid())
    ctypes.PyDLL(None).pause()


def sends_until_asked(channel: Channel) -> None:
    for i in count():
        channel.send(i)
        if channel.stop_asked(0.01):
            channel.send("last")
            return


def everything(process: Isolated) -> list:
    got = []
    with pytest.raises(Ended) as end:
        while True:
            message = process.receive(PATIENCE)
            assert message is not None
            got.append(message)
    return [*got, str(end.value)]


@pytest.mark.parametrize(
    ("how", "says"),
    [("well", ""), ("exit", "ended with code 3: out of memory"), ("crash", "crashed (SIGSEGV): libradio: bad state")],
)
def test_what_was_sent_arrives_and_then_the_end(
    how: str, says: str, capfd: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture
) -> None:
    assert everything(Isolated(sends_and_ends, how)) == [0, 1, 2, says]
    assert capfd.readouterr().out == ""  # the output belongs to the records
    assert [r.getMessage() for r in caplog.records] == [f"a {how} word"]


@pytest.mark.parametrize(
    ("how", "kind", "says"), [("sentence", AtaError, "does not fit"), ("fault", Ended, "^failed: KeyError: 'a slip'$")]
)
def test_an_exception_crosses_over(how: str, kind: type, says: str, caplog: pytest.LogCaptureFixture) -> None:
    process = Isolated(sends_and_ends, how)
    assert [process.receive(PATIENCE) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(kind, match=says):
        process.receive(PATIENCE)
    process.kill()
    assert ("Traceback" in caplog.text) == (how == "fault")


def test_a_process_that_hangs_is_ended() -> None:
    process = Isolated(hangs)
    pid = process.receive(PATIENCE)
    process.ask_to_stop()
    assert process.receive(0.1) is None
    process.kill()
    assert everything(process) == ["crashed (SIGKILL)"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_what_comes_between_stop_and_end_is_received() -> None:
    process = Isolated(sends_until_asked)
    assert process.receive(PATIENCE) == 0
    process.ask_to_stop()
    *numbers, last, end = everything(process)
    assert (numbers, last, end) == (list(range(1, len(numbers) + 1)), "last", "")


@pytest.mark.parametrize(
    ("what", "failure"),
    [("multiprocessing.util.spawnv_passfds", BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")),
     ("threading.Thread.start", RuntimeError("can't start new thread"))],
)  # fmt: skip
def test_a_machine_without_room_for_the_process_is_its_end(
    monkeypatch: pytest.MonkeyPatch, what: str, failure: Exception
) -> None:
    def refuse(*_: object) -> None:
        raise failure

    monkeypatch.setattr(what, refuse)
    with pytest.raises(Ended, match=f"^cannot be started: {failure.args[-1]}$"):
        Isolated(hangs)


UNKILLABLE = """
import sys
from gnuradio.ata import isolated
from test_isolated import Isolated, hangs
if __name__ == "__main__":
    isolated.DYING = 0.1
    process = Isolated(hangs)
    process.receive(60)
    process._process.kill = lambda: None  # as of a process whose driver waits in the kernel
    process.kill()
    sys.exit("ends all the same")
"""


def test_a_process_that_cannot_be_ended_is_left_behind(tmp_path: Path) -> None:
    (tmp_path / "starter.py").write_text(UNKILLABLE)
    ran = subprocess.run([sys.executable, tmp_path / "starter.py"], env=with_tests(), capture_output=True, text=True,
                         check=False, timeout=PATIENCE)  # fmt: skip
    assert "cannot be ended; it is left behind" in ran.stderr and ran.stderr.endswith("ends all the same\n")


def with_tests() -> dict[str, str]:
    """The environment for a program that imports this file."""
    return {**os.environ, "PYTHONPATH": f"{Path(__file__).parent}{os.pathsep}{os.environ['PYTHONPATH']}"}


FIRST = """
import signal
from multiprocessing import util
from test_isolated import Isolated, hangs
if __name__ == "__main__":
    spawn = util.spawnv_passfds
    def held(*args):
        print(sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, ()))), flush=True)
        return spawn(*args)
    util.spawnv_passfds = held
    Isolated(hangs).kill()
"""


def test_ctrl_c_does_not_reach_the_very_first_process_either(tmp_path: Path) -> None:
    """multiprocessing starts a process of its own before it, and unblocks the signals."""
    (tmp_path / "starter.py").write_text(FIRST)
    ran = subprocess.run([sys.executable, tmp_path / "starter.py"], env=with_tests(), capture_output=True, text=True,
                         check=True, timeout=PATIENCE)  # fmt: skip
    _, held = ran.stdout.splitlines()
    assert held == "[1, 2, 15]"


STARTER = """
import sys
from test_isolated import Isolated, hangs
if __name__ == "__main__":
    process = Isolated(hangs)
    print(process.receive(60), flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_goes_with_its_starter_however_that_ends(tmp_path: Path, number: int) -> None:
    (tmp_path / "starter.py").write_text(STARTER)
    command = [sys.executable, tmp_path / "starter.py"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=with_tests()) as starter:
        pid = int(starter.stdout.readline())
        watched = os.pidfd_open(pid)
        starter.send_signal(number)
        ended, _, _ = select.select([watched], [], [], PATIENCE)  # readable when the process has ended
        os.close(watched)
        assert ended
