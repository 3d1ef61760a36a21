# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choices made by a string of bytes, so that a fuzzer that changes bytes changes choices."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")
NUMBERS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-320, 1e-9, 40.0, 2e6, 8e8, 1e12, 1.1e12, 1e300, -1e300, float("nan"),
           float("inf"), float("-inf"))  # fmt: skip
INTEGERS = (0, 1, -1, 2, 3, 4, 8, 255, 256, 257, 65536, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1,
            -(2**31), -(2**63), 10**30)  # fmt: skip


class Draws:
    """Reads choices from bytes; when they are used up, all choices are the first."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def bytes(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken

    def byte(self) -> int:
        return (self.bytes(1) or b"\0")[0]

    def rest(self) -> bytes:
        return self.bytes(len(self._data))

    @property
    def more(self) -> bool:
        """Whether anything is left to draw from."""
        return self._at < len(self._data)

    def pick(self, items: Sequence[Item]) -> Item:
        return items[self.byte() % len(items)]

    def number(self) -> float:
        """One of the awkward ones, or any double."""
        if self.byte() % 4:
            return self.pick(NUMBERS)
        return struct.unpack("<d", self.bytes(8).ljust(8, b"\0"))[0]

    def integer(self) -> int:
        """One of the awkward ones, or any of 64 bits."""
        if self.byte() % 4:
            return self.pick(INTEGERS)
        return int.from_bytes(self.bytes(8), "little", signed=True)

    def text(self) -> str:
        """Anything that a str can hold, half surrogate pairs too."""
        return self.bytes(self.byte() % 24).decode("utf-8", "surrogateescape")

    def json(self, depth: int = 3) -> object:
        """A value as JSON can say it (and NaN and Infinity, which Python's reader lets through)."""
        kind = self.byte() % (8 if depth else 6)
        if kind == 6:
            return [self.json(depth - 1) for _ in range(self.byte() % 4)]
        if kind == 7:
            return {self.text(): self.json(depth - 1) for _ in range(self.byte() % 4)}
        return (None, self.byte() % 2 == 0, self.integer(), self.number(), self.text(), "")[kind]
