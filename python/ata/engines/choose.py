# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Picks the engine, and says which."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ..errors import AtaError
from ..model import ModelFile
from . import Engine
from .onnxruntime_engine import OnnxRuntime

log = logging.getLogger("ata")


def _tensorrt(model: ModelFile) -> Engine:
    from .tensorrt_engine import TensorRt  # imported late: it must not be touched where there is no CUDA driver

    return TensorRt(model)


ENGINES: dict[str, Callable[[ModelFile], Engine]] = {
    "tensorrt": _tensorrt,
    "onnxruntime-cuda": lambda model: OnnxRuntime(model, "onnxruntime-cuda"),
    "onnxruntime-cpu": lambda model: OnnxRuntime(model, "onnxruntime-cpu"),
}  # best first


def open_engine(model: ModelFile, name: str = "auto") -> Engine:
    """The named engine, or with "auto" the best that works here. AtaError, one sentence, where it cannot work."""
    if name != "auto" and name not in ENGINES:
        raise AtaError(f"there is no engine {name!r}: choose auto, {', '.join(ENGINES)}")
    for candidate in ENGINES if name == "auto" else (name,):
        try:
            engine = ENGINES[candidate](model)
        except AtaError as refusal:
            if name != "auto" or candidate == "onnxruntime-cpu":
                raise
            log.debug("%s", refusal)
            continue
        log.info("engine: %s", engine.name)
        return engine
    raise AssertionError("onnxruntime-cpu either works or says why not")


def engine_report(model: ModelFile) -> list[tuple[str, bool, str]]:
    """-> (name, whether it works, what to know) for every engine."""
    report = []
    for name in ENGINES:
        try:
            ENGINES[name](model).close()
            report.append((name, True, "works"))
        except AtaError as refusal:
            report.append((name, False, str(refusal)))
    return report
