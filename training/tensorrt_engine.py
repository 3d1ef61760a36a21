# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A TensorRT engine from a model file on a training server: built, held to its precision, and compared.

The runtime builds its own on the sensor (it shares no code with training); this one shows beforehand that the network
builds and what float16 costs it. torch holds the GPU's memory. TensorRT 10 and later.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import ModuleType

import onnx
import onnxruntime
import torch

from training.errors import DataError
from training.metrics import largest_difference
from training.spectrogram import with_legend

LARGEST_BATCH = 8
WORKSPACE = 1 << 30  # bytes that the builder may try kernels in
LARGEST_FRAME = round(0.08 * 61.44e6), 61.44e6  # samples, samples/s: rows of 312 us, the widest angles there are
LARGEST_DIFFERENCE = 0.02  # of a probability, float16 re float32


def import_tensorrt() -> ModuleType:
    """DataError without a GPU, before TensorRT is touched: without a driver its first call ends the process."""
    if not torch.cuda.is_available():
        raise DataError("--engine needs an NVIDIA GPU that torch can use, and there is none here")
    try:
        import tensorrt
    except Exception as failure:  # its libraries fail to load in ways of their own
        raise DataError("--engine needs TensorRT: pip install 'tensorrt-cu12>=10.12'") from failure
    if int(tensorrt.__version__.split(".")[0]) < 10:
        raise DataError(f"--engine needs TensorRT 10 or later, here is {tensorrt.__version__}")
    return tensorrt


def build_engine(path: Path, half: Path) -> tuple[Path, float]:
    """`X.engine` and `X.engine.json` beside the model file X.onnx -> (engine's path, largest difference of a probability).

    half: its float16 copy (`export.export_half`), from which a strongly typed network is built. DataError where that
    fails, where no layer computes in float16, or where the output is not ONNX Runtime's.
    """
    trt = import_tensorrt()
    logger = trt.Logger(trt.Logger.ERROR)
    plan = _plan(trt, logger, path, half)
    engine = trt.Runtime(logger).deserialize_cuda_engine(plan)
    if engine is None:
        raise DataError(f"TensorRT {trt.__version__} does not load the engine that it built from {path}")
    layers = engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON)
    if "FP16" not in layers and "Half" not in layers:
        raise DataError(f"TensorRT {trt.__version__} was given a float16 network and built float32")
    worst = compare(engine, path)
    major, minor = torch.cuda.get_device_capability()
    about = {**_metadata(path), "onnx_sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "tensorrt": trt.__version__,
             "compute_capability": f"{major}.{minor}", "precision": "fp16", "batch": LARGEST_BATCH,
             "engine_sha256": hashlib.sha256(plan).hexdigest()}  # fmt: skip
    out = path.with_suffix(".engine")
    out.write_bytes(plan)
    out.with_suffix(".engine.json").write_text(json.dumps(about, indent=1))
    return out, worst


def _plan(trt: ModuleType, logger: object, path: Path, half: Path) -> bytes:
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(half.read_bytes()):
        raise DataError(f"TensorRT {trt.__version__} cannot read {path}: {parser.get_error(0).desc()}")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # else the inspector tells no precision
    image = tuple(_metadata(path)["shape"])
    profile = builder.create_optimization_profile()
    profile.set_shape("spectrogram", (1, 1, *image), (1, 1, *image), (LARGEST_BATCH, 1, *image))
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise DataError(f"TensorRT {trt.__version__} cannot build an engine from {path}")
    return bytes(plan)


def compare(engine: object, path: Path) -> float:
    """-> largest difference of a probability between an engine and ONNX Runtime, for batches of 1 and 3."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    metadata = _metadata(path)
    context, stream, pairs = engine.create_execution_context(), torch.cuda.Stream(), []
    for batch in (1, 3):
        noise = noise_images(batch, metadata["shape"], metadata.get("legend", False))
        image = noise.cuda()
        logits = torch.empty(batch, len(metadata["classes"]), *metadata["shape"], device="cuda")
        context.set_input_shape("spectrogram", tuple(image.shape))
        context.set_tensor_address("spectrogram", image.data_ptr())
        context.set_tensor_address("logits", logits.data_ptr())
        torch.cuda.synchronize()
        if not context.execute_async_v3(stream.cuda_stream):
            raise DataError(f"the TensorRT engine of {path} does not run")
        stream.synchronize()
        (theirs,) = session.run(["logits"], {"spectrogram": noise.numpy()})
        pairs.append((logits.cpu(), torch.from_numpy(theirs)))
    worst = largest_difference(pairs)
    if not worst <= LARGEST_DIFFERENCE:
        raise DataError(f"the TensorRT engine of {path} differs from ONNX Runtime by {worst:.1e} in probability")
    return worst


def noise_images(batch: int, shape: tuple[int, int], legend: bool = True) -> torch.Tensor:
    """What copies of a network are compared on: float32 [batch, 1, T, F], of the legend that asks most of its angles where
    the network reads one."""
    noise = torch.randn(batch, 1, *shape, generator=torch.Generator().manual_seed(batch)).clamp(-1, 3)
    return with_legend(noise, *LARGEST_FRAME) if legend else noise


def _metadata(path: Path) -> dict:
    (entry,) = (p for p in onnx.load(str(path)).metadata_props if p.key == "ata")
    return json.loads(entry.value)
