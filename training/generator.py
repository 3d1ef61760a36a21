# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which scene generator this is: what it made is not mixed with what another one makes."""

from __future__ import annotations

import hashlib
from pathlib import Path


def generator() -> str:
    """A short name of the scene generator, by its source text: another generator has another."""
    text = b"".join(p.read_bytes() for p in sorted(Path(__file__).parent.rglob("*.py")) if _generates(p))
    return hashlib.sha256(text).hexdigest()[:16]


def _generates(path: Path) -> bool:
    """Whether a source file has a part in how a scene becomes an image."""
    begins = ("scene", "fast", "channel", "impairments", "spectrogram", "lines", "batches", "transforms", "clock", "data",
              "generator")  # fmt: skip
    return path.parent.name == "waveforms" or path.name.startswith(begins)
