# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds a TensorRT engine from a model file, TensorRT 8.6 to 11, where it can in half precision with float32 ends."""

from __future__ import annotations

import logging
import math
import time
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..errors import AtaError, first_line
from ..model import ModelFile

if TYPE_CHECKING:
    import onnx

log = logging.getLogger("ata")
WORKSPACE = 1 << 30  # bytes of GPU memory that the builder may try kernels in
LARGEST_BATCH = 8
SILENCE = 30  # s that a build may say nothing for
# Half precision overflows in sums over a whole image.
KEPT_IN_FLOAT32 = ["ReduceMean", "GlobalAveragePool"]
# Angles of thousands of radians, which float16 tells to 2 at best; so is all that leads to them.
ANGULAR = {"Cos", "Sin", "Exp", "Log", "Floor"}


def precision(trt: ModuleType, model: ModelFile) -> str:
    """-> "fp16" or "fp32", what an engine for this model is asked for. trt: the imported module."""
    import onnx

    # Before 10 the builder chooses what is computed in half precision, and nothing keeps it from the angles.
    whole = not _strongly_typed(trt) and angular_nodes(onnx.load_model_from_string(model.content()))
    return "fp32" if whole else "fp16"


def _strongly_typed(trt: ModuleType) -> bool:
    """Whether the graph says what is computed in which precision, from 10 on; before, the builder was told."""
    return hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")


@lru_cache(maxsize=1)
def quiet_logger(trt: ModuleType) -> Any:
    """A logger whose `said` is TensorRT's last error. Its own one prints on stdout, where records go.

    One for the whole process: TensorRT may keep the first it is given, and does not say for how long.
    """

    class Logger(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.said = ""
            self.began = self.told = math.inf  # s, of a build and of the last word on it

        def log(self, severity: object, message: str) -> None:
            now = time.monotonic()
            if now - self.told > SILENCE:
                self.told = now
                log.info("TensorRT is still building, for %.0f s now", now - self.began)
            if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
                self.said = first_line(message)
                log.debug("TensorRT: %s", message)

    return Logger()


def build_engine(trt: ModuleType, logger: Any, model: ModelFile, asked: str) -> bytes:
    """-> the serialized engine. trt: the imported module. asked: its `precision`.

    AtaError where TensorRT does not take the network.
    """
    # A warning, for that is what a flowgraph shows of a log that nobody has set up.
    log.warning(
        "building a TensorRT %s engine from %s, once: this can take minutes (not with engine onnxruntime-cpu)",
        trt.__version__,
        model.path,
    )
    logger.began = logger.told = time.monotonic()
    try:
        return _built(trt, logger, model, asked)
    finally:
        logger.told = math.inf


def _built(trt: ModuleType, logger: Any, model: ModelFile, asked: str) -> bytes:
    strongly_typed, flags = _strongly_typed(trt), trt.NetworkDefinitionCreationFlag
    flag = flags.STRONGLY_TYPED if strongly_typed else flags.EXPLICIT_BATCH
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(flag))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(half_precision(model.content()) if strongly_typed else model.content()):
        error = parser.get_error(0)
        raise AtaError(f"engine tensorrt cannot read {model.path}: node {error.node()}: {first_line(error.desc())}")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # for `warn_of_precision`
    config.clear_flag(trt.BuilderFlag.TF32)  # on by default: float32 with float16's mantissa, before the angles too
    if not strongly_typed and asked == "fp16":
        config.set_flag(trt.BuilderFlag.FP16)
    profile = builder.create_optimization_profile()
    image = (1, model.rows, model.columns)
    profile.set_shape("spectrogram", (1, *image), (1, *image), (LARGEST_BATCH, *image))
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise AtaError(f"engine tensorrt cannot build {model.path}: {logger.said or 'it does not say why'}")
    return bytes(plan)


def angular_nodes(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes that compute an angle, a power or a logarithm, and of all that they are computed from."""
    from onnxruntime.transformers.onnx_model import OnnxModel

    graph = OnnxModel(model)
    angular = [node for node in graph.nodes() if node.op_type in ANGULAR]
    return [n.name for node in angular for n in (node, *graph.get_parent_subgraph_nodes(node, []))]


def half_precision(content: bytes) -> bytes:
    """An ONNX file -> the same with weights and arithmetic in float16, float32 at both ends and up to `ANGULAR`."""
    import onnx
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    model = onnx.load_model_from_string(content)
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"node_{number}"
    half = convert_float_to_float16(
        model,
        keep_io_types=True,
        op_block_list=[*DEFAULT_OP_BLOCK_LIST, *KEPT_IN_FLOAT32],
        node_block_list=angular_nodes(model),
    )
    OnnxModel(half).remove_cascaded_cast_nodes()  # float32 to float32 went through float16
    OnnxModel.graph_topological_sort(half.graph)  # the conversion appends its casts at the end
    return half.SerializeToString()


def warn_of_precision(trt: ModuleType, engine: object) -> None:
    """A log line where no layer of a fresh engine works in half precision: nobody else would tell."""
    layers = engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON)
    if "FP16" not in layers and "Half" not in layers:
        log.warning("TensorRT %s was asked for half precision and seems to have built float32", trt.__version__)
