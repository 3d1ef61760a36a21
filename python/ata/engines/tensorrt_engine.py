# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""TensorRT 8.6 to 11 by one set of calls: tensors by name, pinned memory, an own stream, a CUDA graph per batch size.

An engine belongs to one model file, TensorRT version and GPU architecture, see `engine_cache`.
"""

from __future__ import annotations

import ctypes
import logging
import math
from types import ModuleType

import numpy as np

from ..errors import AtaError, first_line
from ..model import ModelFile
from ..stopping import ended_at_once_by_ctrl_c
from . import engine_cache
from .cuda_driver import missing_driver
from .tensorrt_build import LARGEST_BATCH, build_engine, precision, quiet_logger, warn_of_precision

log = logging.getLogger("ata")


def _import() -> tuple[ModuleType, ModuleType]:
    """-> TensorRT and CUDA's runtime, only where there is a driver: without one TensorRT's first call crashes."""
    if reason := missing_driver():
        raise AtaError(f"engine tensorrt cannot work here: {reason}")
    try:
        import tensorrt
    except Exception as failure:  # its libraries fail to load in ways of their own
        mend = f"{first_line(failure)}: pip install 'tensorrt-cu12>=10.12'"
        raise AtaError(f"engine tensorrt cannot work here: {mend}") from failure
    try:
        try:
            from cuda.bindings import runtime
        except ImportError:
            from cuda import cudart as runtime  # cuda-python before 12.6
    except ImportError as failure:
        raise AtaError("engine tensorrt cannot work here: pip install 'cuda-python>=12.6,<13'") from failure
    return tensorrt, runtime


class TensorRt:
    """An `Engine` with one execution context. AtaError where TensorRT, a GPU or an engine cannot be had."""

    name = "tensorrt"

    def __init__(self, model: ModelFile) -> None:
        self._trt, self._cuda = _import()
        self._model = model
        self._stream = self._graph = self._context = self._engine = self._logger = None
        self._buffers: dict[str, tuple[int, np.ndarray]] = {}
        self._batch = 0
        try:
            self._stream = self._call(self._cuda.cudaStreamCreateWithFlags(self._cuda.cudaStreamNonBlocking))
            self._logger = quiet_logger(self._trt)
            self._logger.said = ""
            self._runtime = self._trt.Runtime(self._logger)
            self._engine = self._cached_or_built()
            self._context = self._engine.create_execution_context()
            if self._context is None:
                raise AtaError("engine tensorrt cannot work here: the GPU has no memory left for it")
        except Exception as failure:
            self.close()
            if isinstance(failure, AtaError):
                raise
            # What the bindings raise, a null pointer say, tells less than what TensorRT logged.
            reasons = (first_line(failure), self._logger.said if self._logger else "")
            raise AtaError(f"engine tensorrt cannot work here: {': '.join(filter(None, reasons))}") from failure

    def run(self, images: np.ndarray) -> np.ndarray:
        if len(images) != self._batch:
            self._prepare(len(images))
        self._buffers["spectrogram"][1][:] = images
        if self._graph is None:
            self._enqueue()
        else:
            self._call(self._cuda.cudaGraphLaunch(self._graph, self._stream))
        self._call(self._cuda.cudaStreamSynchronize(self._stream))
        return self._buffers["logits"][1].copy()

    def close(self) -> None:
        self._free()
        self._context = self._engine = None
        if self._stream is not None:
            self._cuda.cudaStreamDestroy(self._stream)
            self._stream = None

    def _cached_or_built(self) -> object:
        path, identity = engine_cache.engine_path(self._model.path.stem, self._model.sha256), self._identity()
        plan = engine_cache.load(path, identity)
        if plan is not None:
            engine = self._runtime.deserialize_cuda_engine(plan)
            if engine is not None:
                return engine
            log.info("%s does not load: building it again", path)
        with ended_at_once_by_ctrl_c():
            plan = build_engine(self._trt, self._logger, self._model, identity["precision"])
        engine = self._runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise AtaError("engine tensorrt cannot work here: TensorRT does not load what it built")
        if identity["precision"] == "fp16":
            warn_of_precision(self._trt, engine)
        engine_cache.store(path, plan, identity)
        return engine

    def _identity(self) -> dict:
        """What the engine depends on, beside the model's own metadata."""
        attributes = self._cuda.cudaDeviceAttr
        major, minor = (
            self._call(self._cuda.cudaDeviceGetAttribute(which, 0))
            for which in (attributes.cudaDevAttrComputeCapabilityMajor, attributes.cudaDevAttrComputeCapabilityMinor)
        )
        return {
            **self._model.metadata,
            "onnx_sha256": self._model.sha256,
            "tensorrt": self._trt.__version__,
            "compute_capability": f"{major}.{minor}",
            "precision": precision(self._trt, self._model),
            "tf32": False,  # else an engine from before it was switched off would do
            "batch": LARGEST_BATCH,
        }

    def _prepare(self, batch: int) -> None:
        """Buffers for this batch size, one run to warm up, and a graph of copy, network and copy."""
        self._free()
        m = self._model
        shapes = {"spectrogram": (batch, 1, m.rows, m.columns), "logits": (batch, len(m.classes), m.rows, m.columns)}
        if not 1 <= batch <= LARGEST_BATCH or not self._context.set_input_shape("spectrogram", shapes["spectrogram"]):
            raise RuntimeError(f"the TensorRT engine takes no {batch} images at once")
        for name, shape in shapes.items():
            self._allocate(name, shape)
        self._enqueue()
        self._call(self._cuda.cudaStreamSynchronize(self._stream))
        self._graph = self._capture()
        self._batch = batch

    def _allocate(self, name: str, shape: tuple[int, ...]) -> None:
        """Memory of one tensor on the GPU, and pinned on the host."""
        values = math.prod(shape)
        pinned = int(self._call(self._cuda.cudaHostAlloc(4 * values, 0)))
        host = np.ctypeslib.as_array((ctypes.c_float * values).from_address(pinned)).reshape(shape)
        self._buffers[name] = (0, host)
        gpu = int(self._call(self._cuda.cudaMalloc(4 * values)))
        self._buffers[name] = (gpu, host)
        if not self._context.set_tensor_address(name, gpu):
            raise RuntimeError(f"the TensorRT engine has no tensor {name!r}")

    def _enqueue(self) -> None:
        kinds = self._cuda.cudaMemcpyKind
        (image_gpu, image), (logits_gpu, logits) = self._buffers["spectrogram"], self._buffers["logits"]
        copy = self._cuda.cudaMemcpyAsync
        self._call(copy(image_gpu, image.ctypes.data, image.nbytes, kinds.cudaMemcpyHostToDevice, self._stream))
        if not self._context.execute_async_v3(int(self._stream)):
            raise RuntimeError("TensorRT did not run the network")
        self._call(copy(logits.ctypes.data, logits_gpu, logits.nbytes, kinds.cudaMemcpyDeviceToHost, self._stream))

    def _capture(self) -> object | None:
        """-> an executable graph; None where the network cannot be captured, and is then enqueued every time."""
        cuda = self._cuda
        graph = None
        try:
            self._call(
                cuda.cudaStreamBeginCapture(self._stream, cuda.cudaStreamCaptureMode.cudaStreamCaptureModeRelaxed)
            )
            try:
                self._enqueue()
            finally:
                error, graph = cuda.cudaStreamEndCapture(self._stream)
            self._call((error,))
            return self._call(cuda.cudaGraphInstantiateWithFlags(graph, 0))
        except RuntimeError as failure:
            log.info("no CUDA graph: %s", failure)
            cuda.cudaGetLastError()  # else the next call reports it again
            return None
        finally:
            if graph is not None:
                cuda.cudaGraphDestroy(graph)

    def _call(self, answer: tuple) -> object:
        """Checks a CUDA call's answer (error, value...) -> its value."""
        if int(answer[0]) != 0:
            raise RuntimeError(f"CUDA: {answer[0]!s}")
        return answer[1] if len(answer) > 1 else None

    def _free(self) -> None:
        if self._graph is not None:
            self._cuda.cudaGraphExecDestroy(self._graph)
        for gpu, host in self._buffers.values():
            self._cuda.cudaFree(gpu)
            self._cuda.cudaFreeHost(host.ctypes.data)
        self._buffers, self._batch, self._graph = {}, 0, None
