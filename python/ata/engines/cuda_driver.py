# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether there is a CUDA driver, asked of the driver itself."""

from __future__ import annotations

import ctypes
import os
from functools import lru_cache


@lru_cache(maxsize=1)
def missing_driver() -> str | None:
    """-> None where a CUDA driver and a device are there, else what is missing.

    TensorRT without a driver hands out null pointers that crash the process, so this comes before any call of it.
    """
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "there is no CUDA driver (libcuda.so.1)"
    # Before CUDA 12.2 starting a library loads all its kernels, thousands in TensorRT, and compiles what this GPU has
    # no code of; cuInit reads this, once.
    os.environ.setdefault("CUDA_MODULE_LOADING", "LAZY")
    if driver.cuInit(0) != 0:
        return "the CUDA driver does not start (cuInit)"
    count = ctypes.c_int()
    if driver.cuDeviceGetCount(ctypes.byref(count)) != 0 or count.value == 0:
        return "the CUDA driver finds no device"
    return None
