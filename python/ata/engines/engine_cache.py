# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""TensorRT engines on disk: X.engine, and X.engine.json that says what X.engine was built from and for."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from pathlib import Path

log = logging.getLogger("ata")


def engine_path(stem: str, onnx_sha256: str) -> Path:
    """Where a model's engine lies: ~/.cache/gr-ata, or as XDG_CACHE_HOME says."""
    try:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:  # a user without a home, who may write nothing there, and is told so
        cache = "/"
    return Path(cache) / "gr-ata" / f"{stem}-{onnx_sha256[:12]}.engine"


def load(path: Path, identity: dict) -> bytes | None:
    """-> the engine; None where there is none, and, with a log line, where there is another one or a damaged one.

    identity: everything that an engine depends on, as JSON holds it.
    """
    try:
        if not path.exists():
            return None
        found = json.loads(_sidecar(path).read_text())
        plan_sha256 = found.pop("engine_sha256")
        different = [key for key in sorted(identity) if found.get(key) != identity[key]]
        if found.keys() - identity:
            different.append("kind")  # of what nobody here knows: what it says is for no log
        plan = b"" if different else path.read_bytes()
    except (OSError, ValueError, RecursionError, KeyError, AttributeError, TypeError):
        log.info("%s does not say what it was built for: building it again", path)
        return None
    if different:
        log.info("%s was built for another %s: building it again", path, ", ".join(different))
        return None
    if hashlib.sha256(plan).hexdigest() != plan_sha256:
        log.info("%s is damaged: building it again", path)
        return None
    return plan


def store(path: Path, plan: bytes, identity: dict) -> None:
    """Keeps an engine for next time; a full or read-only disk costs the next build, not this run."""
    sidecar = json.dumps({**identity, "engine_sha256": hashlib.sha256(plan).hexdigest()}, indent=1)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, plan)
        _replace(_sidecar(path), sidecar.encode())
    except OSError as failure:
        log.warning("the TensorRT engine cannot be kept in %s: %s", path.parent, failure.strerror)


def _sidecar(path: Path) -> Path:
    return path.with_suffix(".engine.json")


def _replace(path: Path, content: bytes) -> None:
    """Whole or not at all, also with two flowgraphs starting at once."""
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(part).replace(path)
    except OSError:
        Path(part).unlink(missing_ok=True)
        raise
