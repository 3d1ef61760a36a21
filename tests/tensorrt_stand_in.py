# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""CUDA and TensorRT on the CPU, which hold to CUDA's rules: memory is freed once, a stream that is being captured runs
nothing, and what it was given then runs at every launch. The network is computed by ONNX Runtime.
"""

from __future__ import annotations

import ctypes
from types import SimpleNamespace

import numpy as np
import onnxruntime


class Cuda:
    """CUDA's runtime on host memory."""

    cudaStreamNonBlocking = 1
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeRelaxed=2)
    cudaDeviceAttr = SimpleNamespace(
        cudaDevAttrComputeCapabilityMajor="major", cudaDevAttrComputeCapabilityMinor="minor"
    )

    def __init__(self) -> None:
        self.memory: dict[int, object] = {}
        self.streams, self.graphs = set(), set()
        self.recorded: list | None = None
        self.launches = 0

    def enqueue(self, work) -> None:
        if self.recorded is None:
            work()
        else:
            self.recorded.append(work)

    def cudaDeviceGetAttribute(self, which: str, device: int) -> tuple:
        return 0, {"major": 8, "minor": 7}[which]

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple:
        self.streams.add(77)
        return 0, 77

    def cudaStreamDestroy(self, stream: int) -> tuple:
        self.streams.remove(stream)
        return (0,)

    def cudaStreamSynchronize(self, stream: int) -> tuple:
        assert self.recorded is None, "a stream cannot be waited for while it is captured"
        return (0,)

    def cudaMalloc(self, size: int) -> tuple:
        block = (ctypes.c_char * size)()
        self.memory[ctypes.addressof(block)] = block
        return 0, ctypes.addressof(block)

    def cudaHostAlloc(self, size: int, flags: int) -> tuple:
        return self.cudaMalloc(size)

    def cudaFree(self, address: int) -> tuple:
        if address:
            del self.memory[address]
        return (0,)

    cudaFreeHost = cudaFree

    def cudaMemcpyAsync(self, to: int, source: int, size: int, kind: int, stream: int) -> tuple:
        assert {to, source} <= self.memory.keys() and stream in self.streams
        self.enqueue(lambda: ctypes.memmove(to, source, size))
        return (0,)

    def cudaStreamBeginCapture(self, stream: int, mode: int) -> tuple:
        self.recorded = []
        return (0,)

    def cudaStreamEndCapture(self, stream: int) -> tuple:
        graph, self.recorded = tuple(self.recorded), None
        self.graphs.add(graph)
        return 0, graph

    def cudaGraphInstantiateWithFlags(self, graph: tuple, flags: int) -> tuple:
        self.graphs.add(("executable", *graph))
        return 0, ("executable", *graph)

    def cudaGraphLaunch(self, graph: tuple, stream: int) -> tuple:
        self.launches += 1
        for work in graph[1:]:
            work()
        return (0,)

    def cudaGraphDestroy(self, graph: tuple) -> tuple:
        self.graphs.remove(graph)
        return (0,)

    cudaGraphExecDestroy = cudaGraphDestroy

    def cudaGetLastError(self) -> tuple:
        return (0,)


class TensorRt:
    """TensorRT whose plan is the ONNX file that was parsed; a plan that is none does not load."""

    __version__ = "10.12.0"
    LayerInformationFormat = SimpleNamespace(JSON=1)
    MemoryPoolType = SimpleNamespace(WORKSPACE=0)
    ProfilingVerbosity = SimpleNamespace(DETAILED=2)

    def __init__(self, cuda: Cuda, strongly_typed: bool = True) -> None:
        self.cuda, self.builds = cuda, 0
        self.fails = ""  # or what does: "builder", "parser", "build"
        self.messages = 1  # of a build, that are no errors
        self.flags_set: list[str] = []
        self.flags_cleared: list[str] = []
        self.BuilderFlag = SimpleNamespace(FP16="fp16", TF32="tf32")
        name = "STRONGLY_TYPED" if strongly_typed else "EXPLICIT_BATCH"
        self.NetworkDefinitionCreationFlag = SimpleNamespace(**{name: 1 if strongly_typed else 0})

    class ILogger:
        Severity = SimpleNamespace(INTERNAL_ERROR=0, ERROR=1, WARNING=2, INFO=3, VERBOSE=4)

        def log(self, severity: int, message: str) -> None:
            raise NotImplementedError

    class Logger(ILogger):
        """TensorRT's own, which prints."""

        ERROR = 1

        def __init__(self, level: int) -> None:
            self.level = level

        def log(self, severity: int, message: str) -> None:
            if severity <= self.level:
                print(message)

    def Builder(self, logger: ILogger) -> SimpleNamespace:
        self.builds += 1
        for _ in range(self.messages):
            logger.log(4, "Trying to load shared library libnvinfer_builder_resource.so")
        if self.fails == "builder":
            logger.log(1, "2: [builder.cpp::182] Error Code 2: Internal Error\nand more")
            raise TypeError("pybind11::init(): factory function returned nullptr")

        def build(network: SimpleNamespace, config: SimpleNamespace) -> memoryview | None:
            if self.fails == "build":
                logger.log(1, "10: no implementation for node /Floor")
                return None
            return memoryview(network.onnx)

        config = SimpleNamespace(
            set_memory_pool_limit=lambda pool, size: None, add_optimization_profile=lambda p: 0,
            set_flag=self.flags_set.append, clear_flag=self.flags_cleared.append,
        )  # fmt: skip
        return SimpleNamespace(
            create_network=lambda flags: SimpleNamespace(flags=flags),
            create_builder_config=lambda: config,
            create_optimization_profile=lambda: SimpleNamespace(set_shape=lambda name, low, usual, high: None),
            build_serialized_network=build,
        )

    def OnnxParser(self, network: SimpleNamespace, logger: object) -> SimpleNamespace:
        def parse(content: bytes) -> bool:
            network.onnx = content
            return self.fails != "parser"

        error = SimpleNamespace(node=lambda: 12, desc=lambda: "no Floor\nhere")
        return SimpleNamespace(parse=parse, get_error=lambda index: error)

    def Runtime(self, logger: object) -> SimpleNamespace:
        def deserialize(plan: bytes) -> SimpleNamespace | None:
            try:
                session = onnxruntime.InferenceSession(plan, providers=["CPUExecutionProvider"])
            except Exception:
                return None
            layers = "Half" if b"graph_input_cast" in plan else "Float"
            return SimpleNamespace(
                create_execution_context=lambda: Context(session, self.cuda),
                create_engine_inspector=lambda: SimpleNamespace(get_engine_information=lambda how: layers),
            )

        return SimpleNamespace(deserialize_cuda_engine=deserialize)


class Context:
    def __init__(self, session: onnxruntime.InferenceSession, cuda: Cuda) -> None:
        self.session, self.cuda, self.tensors = session, cuda, {}

    def set_input_shape(self, name: str, shape: tuple) -> bool:
        self.shape = shape
        return name == "spectrogram" and len(shape) == 4

    def set_tensor_address(self, name: str, address: int) -> bool:
        assert address in self.cuda.memory
        self.tensors[name] = address
        return name in ("spectrogram", "logits")

    def execute_async_v3(self, stream: int) -> bool:
        assert stream in self.cuda.streams

        def work() -> None:
            given = (ctypes.c_float * int(np.prod(self.shape))).from_address(self.tensors["spectrogram"])
            image = np.ctypeslib.as_array(given).reshape(self.shape)
            answer = self.session.run(["logits"], {"spectrogram": image})[0]
            ctypes.memmove(self.tensors["logits"], answer.ctypes.data, answer.nbytes)

        self.cuda.enqueue(work)
        return True
