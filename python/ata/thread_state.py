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


class KeepsThreadState:
    """A block that holds the state of its thread from `start` to `stop`, which GNU Radio calls there; stands before
    `gr.sync_block` among the bases."""

    _here: threading.local | None = None  # not the thread's number, which another gets when it has ended

    def start(self) -> bool:
        self._let_go()
        self._here = self._here or threading.local()
        ctypes.pythonapi.PyGILState_Ensure()
        self._here.held = True
        return True

    def stop(self) -> bool:
        self._let_go()
        return True

    def _let_go(self) -> None:
        """Does nothing in a thread that does not hold: letting go of a state that is in use ends the process."""
        if getattr(self._here, "held", False):
            self._here.held = False
            ctypes.pythonapi.PyGILState_Release(_LOCKED)
