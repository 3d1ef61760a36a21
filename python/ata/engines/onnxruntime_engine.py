# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ONNX Runtime on the CPU, which always works, and on CUDA where its provider really runs."""

from __future__ import annotations

import logging
import os
from contextlib import redirect_stdout
from io import StringIO

import numpy as np

from ..errors import AtaError, first_line, package_missing
from ..model import ModelFile
from .cuda_driver import missing_driver

log = logging.getLogger("ata")
PROVIDERS = {"onnxruntime-cpu": "CPUExecutionProvider", "onnxruntime-cuda": "CUDAExecutionProvider"}
MOST_THREADS = 4  # of one inference; more than two were not tried


class OnnxRuntime:
    """An `Engine`. Args: model; name, a key of PROVIDERS; alone: on the CPU, take several cores for each inference, for
    nothing else is to be done meanwhile. Otherwise it is one thread, the caller's own: enough for 25 frames/s, and the rest
    of the machine is the radio's.

    AtaError where the provider is not there or the session falls back to another one.
    """

    def __init__(self, model: ModelFile, name: str, alone: bool = False) -> None:
        try:
            import onnxruntime
        except ImportError as failure:
            raise package_missing("onnxruntime", failure) from failure
        provider = PROVIDERS[name]
        if provider not in onnxruntime.get_available_providers():
            raise AtaError(f"engine {name} cannot work here: this ONNX Runtime has no {provider}")
        if name == "onnxruntime-cuda":
            if reason := missing_driver():
                raise AtaError(f"engine {name} cannot work here: {reason}")
            if hasattr(onnxruntime, "preload_dlls"):
                with redirect_stdout(StringIO()) as said:  # it prints what it misses, and records go to stdout
                    onnxruntime.preload_dlls()  # CUDA and cuDNN as pip installs them
                if said.getvalue():
                    log.debug("%s", said.getvalue())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = min(MOST_THREADS, len(os.sched_getaffinity(0))) if alone else 1
        options.inter_op_num_threads = 1
        # Threads spin between layers, where sleep would cost more than it spares, and sleep between inferences.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        options.log_severity_level = 4  # what it refuses it raises too
        # CUDA's matrix products and convolutions keep 10 bits of float32's 23 unless told otherwise.
        exact = {"use_tf32": "0"} if name == "onnxruntime-cuda" else {}
        try:
            # Without fallback: else what fails goes on elsewhere, and says so on stdout.
            self._session = onnxruntime.InferenceSession(
                model.content(), options, providers=[(provider, exact)], enable_fallback=0
            )
        except AtaError:
            raise
        except Exception as failure:  # ONNX Runtime has a dozen exception classes and no common one
            raise AtaError(f"engine {name} does not load {model.path}: {first_line(failure)}") from failure
        runs = self._session.get_providers()[0]
        if runs != provider:
            mend = "; pip install 'onnxruntime-gpu[cuda,cudnn]'" if name == "onnxruntime-cuda" else ""
            raise AtaError(f"engine {name} cannot work here: ONNX Runtime fell back to {runs}{mend}")
        self.name = name

    def run(self, images: np.ndarray) -> np.ndarray:
        return self._session.run(["logits"], {"spectrogram": images})[0]

    def close(self) -> None:
        self._session = None
