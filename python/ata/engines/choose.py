# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Picks the engine, and says which."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

from ..errors import AtaError, first_line
from ..model import ModelFile
from . import Engine
from .onnxruntime_engine import OnnxRuntime
from .tensorrt_engine import TensorRt

log = logging.getLogger("ata")

ENGINES: dict[str, Callable[[ModelFile, bool], Engine]] = {
    "tensorrt": lambda model, alone: TensorRt(model),
    "onnxruntime-cuda": lambda model, alone: OnnxRuntime(model, "onnxruntime-cuda"),
    "onnxruntime-cpu": lambda model, alone: OnnxRuntime(model, "onnxruntime-cpu", alone),
}  # best first


def open_engine(model: ModelFile, name: str = "auto", alone: bool = False) -> Engine:
    """The named engine, or with "auto" the best that works here. AtaError, one sentence, where it cannot work.

    alone: whoever runs it has nothing else to do meanwhile, so that on the CPU it may take several cores.
    """
    if name != "auto" and name not in ENGINES:
        raise AtaError(f"there is no engine {name!r}: choose auto, {', '.join(ENGINES)}")
    for candidate in ENGINES if name == "auto" else (name,):
        try:
            engine = _proved(candidate, model, alone)
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
            _proved(name, model).close()
            report.append((name, True, "works"))
        except AtaError as refusal:
            report.append((name, False, str(refusal)))
    return report


def _proved(name: str, model: ModelFile, alone: bool = False) -> Engine:
    """An engine that has run one empty image: what loads does not always run."""
    engine = ENGINES[name](model, alone)
    try:
        logits = engine.run(np.zeros((1, 1, model.rows, model.columns), np.float32))
    except Exception as failure:  # each engine has its own
        engine.close()
        raise AtaError(f"engine {name} loads {model.path} but does not run it: {first_line(failure)}") from failure
    if logits.shape != (1, len(model.classes), model.rows, model.columns) or not np.isfinite(logits).all():
        engine.close()
        raise AtaError(f"engine {name} gives no usable logits for {model.path}")
    return engine
