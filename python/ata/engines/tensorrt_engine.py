# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""TensorRT 8.6 to 11 by one set of calls: engine cache, pinned memory, one stream.

An engine belongs to one ONNX file, TensorRT version and GPU architecture; X.engine.json beside X.engine says which,
and what does not match is built again from the ONNX file.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import numpy as np

from ..errors import AtaError
from ..model import ModelFile
from .cuda_driver import missing_driver

log = logging.getLogger("ata")
WORKSPACE = 1 << 30  # bytes
LARGEST_BATCH = 8


def _import() -> tuple[object, object]:
    reason = missing_driver()
    if reason:
        raise AtaError(f"engine tensorrt cannot work here: {reason}")
    try:
        import tensorrt
    except ImportError as failure:
        raise AtaError("engine tensorrt cannot work here: pip install 'tensorrt-cu12>=10.12' cuda-python") from failure
    try:
        from cuda.bindings import runtime
    except ImportError:
        try:
            from cuda import cudart as runtime  # cuda-python before 12.8
        except ImportError as failure:
            raise AtaError("engine tensorrt cannot work here: pip install cuda-python") from failure
    return tensorrt, runtime


class TensorRt:
    """One execution context; one thread at a time. AtaError where TensorRT or a GPU is missing."""

    name = "tensorrt"

    def __init__(self, model: ModelFile) -> None:
        self._trt, self._cuda = _import()
        self._model = model
        self._logger = self._trt.Logger(self._trt.Logger.ERROR)
        self._engine = self._cached() or self._build()
        self._context = self._engine.create_execution_context()
        self._stream = self._call(self._cuda.cudaStreamCreate())
        self._buffers: dict[str, tuple[int, np.ndarray]] = {}
        self._batch = 0

    def run(self, images: np.ndarray) -> np.ndarray:
        if len(images) != self._batch:
            self._allocate(len(images))
        (image_gpu, image), (logits_gpu, logits) = self._buffers["spectrogram"], self._buffers["logits"]
        kinds = self._cuda.cudaMemcpyKind
        image[:] = images
        self._call(
            self._cuda.cudaMemcpyAsync(
                image_gpu, image.ctypes.data, image.nbytes, kinds.cudaMemcpyHostToDevice, self._stream
            )
        )
        if not self._context.execute_async_v3(int(self._stream)):
            raise RuntimeError("TensorRT did not run the network")
        self._call(
            self._cuda.cudaMemcpyAsync(
                logits.ctypes.data, logits_gpu, logits.nbytes, kinds.cudaMemcpyDeviceToHost, self._stream
            )
        )
        self._call(self._cuda.cudaStreamSynchronize(self._stream))
        return logits.copy()

    def close(self) -> None:
        self._free()
        self._call(self._cuda.cudaStreamDestroy(self._stream))
        del self._context, self._engine

    def _call(self, answer: tuple) -> object:
        """Checks a CUDA call's answer (error, value...) -> its value."""
        if int(answer[0]) != 0:
            raise RuntimeError(f"CUDA: {answer[0]}")
        return answer[1] if len(answer) > 1 else None

    def _allocate(self, batch: int) -> None:
        import ctypes

        self._free()
        m = self._model
        shapes = {"spectrogram": (batch, 1, m.rows, m.columns), "logits": (batch, len(m.classes), m.rows, m.columns)}
        for name, shape in shapes.items():
            size = 4 * int(np.prod(shape))
            gpu = self._call(self._cuda.cudaMalloc(size))
            pinned = self._call(self._cuda.cudaHostAlloc(size, 0))
            host = np.ctypeslib.as_array((ctypes.c_float * (size // 4)).from_address(int(pinned))).reshape(shape)
            self._buffers[name] = (gpu, host)
            self._context.set_tensor_address(name, int(gpu))
        if not self._context.set_input_shape("spectrogram", shapes["spectrogram"]):
            raise RuntimeError(f"the TensorRT engine takes no batch of {batch}")
        self._batch = batch

    def _free(self) -> None:
        for gpu, host in self._buffers.values():
            self._call(self._cuda.cudaFree(gpu))
            self._call(self._cuda.cudaFreeHost(host.ctypes.data))
        self._buffers, self._batch = {}, 0

    def _identity(self) -> dict:
        properties = self._call(self._cuda.cudaGetDeviceProperties(0))
        return {
            **self._model.metadata,
            "onnx_sha256": self._model.sha256,
            "tensorrt": self._trt.__version__,
            "compute_capability": f"{properties.major}.{properties.minor}",
            "precision": "fp32",
        }

    def _path(self) -> Path:
        cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "gr-ata"
        return cache / f"{self._model.path.stem}-{self._model.sha256[:12]}.engine"

    def _cached(self) -> object | None:
        path = self._path()
        try:
            if json.loads(path.with_suffix(".engine.json").read_text()) != self._identity():
                log.info("%s was built for another machine or model: building it again", path)
                return None
            plan = path.read_bytes()
        except (OSError, ValueError):
            return None
        engine = self._trt.Runtime(self._logger).deserialize_cuda_engine(plan)
        if engine is None:
            log.info("%s does not load: building it again", path)
        return engine

    def _build(self) -> object:
        trt, m = self._trt, self._model
        log.info("building a TensorRT engine from %s; this takes a minute, once", m.path)
        builder = trt.Builder(self._logger)
        flags = trt.NetworkDefinitionCreationFlag
        strongly_typed = hasattr(flags, "STRONGLY_TYPED")  # from 10 on; the precision is then the graph's
        flag = flags.STRONGLY_TYPED if strongly_typed else flags.EXPLICIT_BATCH
        network = builder.create_network(1 << int(flag))
        parser = trt.OnnxParser(network, self._logger)
        if not parser.parse(m.path.read_bytes()):
            raise AtaError(f"engine tensorrt cannot read {m.path}: {parser.get_error(0)}")
        config = builder.create_builder_config()
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE)
        profile = builder.create_optimization_profile()
        shape = (1, m.rows, m.columns)
        profile.set_shape("spectrogram", (1, *shape), (1, *shape), (LARGEST_BATCH, *shape))
        config.add_optimization_profile(profile)
        plan = builder.build_serialized_network(network, config)
        if plan is None:
            raise AtaError(f"engine tensorrt could not build {m.path}")
        path = self._path()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(plan)
        path.with_suffix(".engine.json").write_text(json.dumps(self._identity()))
        return self._trt.Runtime(self._logger).deserialize_cuda_engine(plan)
