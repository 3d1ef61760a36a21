# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Spares a Python block the making of a thread state at each call.

GNU Radio enters Python from a thread of its own, and its gateway makes and deletes Python's state of that thread each
time. Since Python 3.11 the state has a stack that is mapped, touched and unmapped again, which makes the other cores
forget what they knew of the memory. A state that is held once more is kept: in live mode at 61.44 MS/s that saved a
tenth of the block's own thread (`docs/figures.md`).
"""

from __future__ import annotations

import ctypes
import threading

_LOCKED = ctypes.c_int(0)  # PyGILState_LOCKED: who lets go goes on in Python


class KeptThreadState:
    """Holds the state of the thread that calls `hold` until that thread calls `release`; no other may."""

    def __init__(self) -> None:
        self._thread: int | None = None

    def hold(self) -> None:
        self.release()
        ctypes.pythonapi.PyGILState_Ensure()
        self._thread = threading.get_ident()

    def release(self) -> None:
        """Does nothing where another thread holds, or none: letting go of a state that is in use ends the process."""
        if self._thread == threading.get_ident():
            self._thread = None
            ctypes.pythonapi.PyGILState_Release(_LOCKED)
