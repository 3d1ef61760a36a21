# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Spares a Python block the making of a thread state at each call.

GNU Radio enters Python from a thread of its own, and its gateway makes and deletes Python's state of that thread each
time. Since Python 3.11 the state has a stack that is mapped, touched and unmapped again, which makes the other cores
forget what they knew of the memory. A state that is held once more is kept. `docs/figures.md` says what that saved.
"""

from __future__ import annotations

import ctypes
import threading

_LOCKED = ctypes.c_int(0)  # PyGILState_LOCKED: who lets go goes on in Python


class KeptThreadState:
    """Holds the state of the thread that calls `hold` until that thread calls `release`; no other may."""

    def __init__(self) -> None:
        self._here = threading.local()  # not the thread's number, which another gets when it has ended

    def hold(self) -> None:
        self.release()
        ctypes.pythonapi.PyGILState_Ensure()
        self._here.held = True

    def release(self) -> None:
        """Does nothing where another thread holds, or none: letting go of a state that is in use ends the process."""
        if getattr(self._here, "held", False):
            self._here.held = False
            ctypes.pythonapi.PyGILState_Release(_LOCKED)
