# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many things a protobuf file holds, known before any of it is unpacked.

Two bytes of such a file can ask for an object of a hundred: a file of some MB for all the memory there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor

VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5  # wire types
# Field types whose packed values take more memory than bytes in the file: all but double, float, fixed and bytes.
PACKED_VARINTS = {3, 4, 5, 8, 13, 14, 17, 18}


def parts(content: bytes, message: Descriptor, most: int) -> int:
    """Fields in a serialised message and in all messages inside it, and bytes of packed integers; stops past `most`.

    A file that breaks off or makes no sense is counted up to there: the parser will not get further either.
    """
    count = 0
    waiting = [(0, len(content), message)]
    while waiting and count <= most:
        at, end, kind = waiting.pop()
        while at < end and count <= most:
            key, at = _varint(content, at)
            wire, field = key & 7, kind.fields_by_number.get(key >> 3)
            count += 1
            if wire == VARINT:
                _, at = _varint(content, at)
            elif wire == LENGTH:
                size, at = _varint(content, at)
                if field is not None and field.message_type is not None:
                    waiting.append((at, min(at + size, end), field.message_type))
                elif field is not None and field.type in PACKED_VARINTS:
                    count += size
                at += size
            elif wire in (EIGHT_BYTES, FOUR_BYTES):
                at += 8 if wire == EIGHT_BYTES else 4
            else:
                break
    return count


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """-> the number that begins at `at`, and where it ends."""
    value = 0
    for shift, byte in zip(range(0, 70, 7), content[at : at + 10], strict=False):
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            break
    return value, at
