# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much to transform at once."""

from __future__ import annotations

from collections.abc import Iterator

import torch

AT_ONCE = {"cpu": 1 << 17}  # samples or bins that are worked on together: what a CPU's cache holds
ELSEWHERE = 1 << 23  # 64 MB: bounds the memory of a device that wants few and large steps


def most(at_once: dict[str, int], device: torch.device) -> int:
    """How many samples or bins are worked on together on a device."""
    return at_once.get(device.type, ELSEWHERE)


def batches(count: int, size: int, at_once: dict[str, int], device: torch.device) -> Iterator[slice]:
    """-> slices of `count` transforms of `size` bins, in order, each with as many bins as `at_once` says for the type of
    device (on a CPU what its cache holds), or a single transform that has more."""
    step = max(1, most(at_once, device) // size)
    return (slice(first, min(first + step, count)) for first in range(0, count, step))
