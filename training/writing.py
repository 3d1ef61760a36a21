# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from training.errors import DataError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """-> a file to write beside `path`, another one in each process, which takes its place when all went well; DataError
    where that cannot be."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    except OSError as failure:
        raise DataError(f"cannot write {path}: {failure}") from failure
    finally:
        part.unlink(missing_ok=True)


def save(state: object, path: Path) -> None:
    """`torch.save`, whole or not at all."""
    with replacing(path) as part:
        try:
            torch.save(state, part)
        except RuntimeError as failure:  # how it reports a full disk, and a folder where it may not write
            raise DataError(f"cannot write {path}: {failure}") from failure
