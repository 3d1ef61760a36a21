# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model file: an ONNX network and, in its metadata, the front end that it was trained with."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import onnx

from .errors import AtaError

SHIPPED = Path(__file__).parent / "models"
LARGEST_FILE = 256 << 20  # bytes
LARGEST_IMAGE = 4096  # rows or columns
NEWEST_OPSET, NEWEST_IR = 17, 9  # the last that TensorRT 8.6 reads
OPERATORS = {
    "Add", "AveragePool", "Clip", "Concat", "Constant", "Conv", "GlobalAveragePool", "HardSwish", "MaxPool", "Mul",
    "ReduceMean", "Relu", "Resize", "Sigmoid",
}  # fmt: skip


@dataclass(frozen=True)
class Normalise:
    """How pixel powers become the network's input: dB over a percentile of the frame, over scale_db, clipped."""

    percentile: float
    scale_db: float
    clip: tuple[float, float]
    floor_db: float


@dataclass(frozen=True)
class ModelFile:
    """What the runtime knows of a network. rows and columns are T and F; frame_ms and samp_rate the trained ranges."""

    path: Path
    sha256: str
    name: str
    classes: tuple[str, ...]
    rows: int
    columns: int
    overlap: float
    window: str
    normalise: Normalise
    frame_ms: tuple[float, float]
    default_frame_ms: float
    samp_rate: tuple[float, float]
    metadata: dict


def read_model(path: str | Path | None = None) -> ModelFile:
    """Reads and checks a model file; None for the one that ships with the module.

    Nothing of the network is run or unpacked before its size, operators and shapes are known to be sane.
    Raises AtaError with a sentence that says what does not fit.
    """
    path = Path(path) if path else _shipped()
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise AtaError(f"{path} has {size >> 20} MB; a model file has at most {LARGEST_FILE >> 20}")
        content = path.read_bytes()
    except OSError as failure:
        raise AtaError(f"the model file {path} cannot be read: {failure.strerror}") from failure
    try:
        model = onnx.load_model_from_string(content)
    except Exception as failure:  # protobuf's own error class differs by version
        raise AtaError(f"{path} is no ONNX file, or not a whole one") from failure
    metadata = _metadata(path, model)
    try:
        found = _front_end(path, content, metadata)
    except AtaError:
        raise
    except (KeyError, TypeError, ValueError) as failure:
        raise AtaError(f"the `ata` metadata of {path} does not fit: {failure!r}") from failure
    _check_graph(path, model, found)
    return found


def _shipped() -> Path:
    files = sorted(SHIPPED.glob("*.onnx"))
    if not files:
        raise AtaError(f"no model file ships in {SHIPPED}; name one with --model")
    return files[-1]


def _metadata(path: Path, model: onnx.ModelProto) -> dict:
    for entry in model.metadata_props:
        if entry.key == "ata":
            try:
                metadata = json.loads(entry.value)
            except ValueError as failure:
                raise AtaError(f"the `ata` metadata of {path} is no JSON") from failure
            if isinstance(metadata, dict):
                return metadata
    raise AtaError(f"{path} has no `ata` metadata, so its front end is unknown: export it with training/export.py")


def _front_end(path: Path, content: bytes, m: dict) -> ModelFile:
    def refuse(what: str) -> AtaError:
        return AtaError(f"the model file {path} {what}")

    if m["format"] != 1:
        raise refuse(f"has format {m['format']!r}; this version reads format 1")
    if m["window"] != "hann":
        raise refuse(f"asks for a {m['window']!r} window; only 'hann' is known")
    classes = tuple(str(c) for c in m["classes"])
    if not 2 <= len(classes) <= 255 or classes[0] != "noise":
        raise refuse(f"has classes {classes}; the first has to be 'noise'")
    rows, columns = (int(v) for v in m["shape"])
    if not (8 <= rows <= LARGEST_IMAGE and 8 <= columns <= LARGEST_IMAGE and columns % 2 == 0):
        raise refuse(f"asks for images of {rows} x {columns}")
    overlap = float(m["overlap"])
    n = m["normalise"]
    normalise = Normalise(
        float(n["percentile"]), float(n["scale_db"]), (float(n["clip"][0]), float(n["clip"][1])), float(n["floor_db"])
    )
    frame_ms = (float(m["frame_ms"][0]), float(m["frame_ms"][1]))
    rates = (float(m["samp_rate"][0]), float(m["samp_rate"][1]))
    default = float(m["default_frame_ms"])
    sane = (
        0 <= overlap < 1
        and 0 <= normalise.percentile <= 100
        and normalise.scale_db > 0
        and normalise.clip[0] < normalise.clip[1]
        and normalise.floor_db < 0
        and 0 < frame_ms[0] <= default <= frame_ms[1]
        and 0 < rates[0] <= rates[1]
    )
    if not sane:
        raise refuse("has front-end values that make no sense")
    return ModelFile(
        path, hashlib.sha256(content).hexdigest(), str(m["name"]), classes, rows, columns, overlap, "hann", normalise,
        frame_ms, default, rates, m,
    )  # fmt: skip


def _check_graph(path: Path, model: onnx.ModelProto, found: ModelFile) -> None:
    opset = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)
    if not 0 < opset <= NEWEST_OPSET or model.ir_version > NEWEST_IR:
        limits = f"at most opset {NEWEST_OPSET}, IR {NEWEST_IR} are read"
        raise AtaError(f"{path} has opset {opset}, IR {model.ir_version}; {limits}")
    strange = sorted({n.op_type for n in model.graph.node} - OPERATORS)
    if strange:
        raise AtaError(f"{path} uses operators that a model file may not: {', '.join(strange)}")
    shapes = [
        ("spectrogram", model.graph.input, [1, found.rows, found.columns]),
        ("logits", model.graph.output, [len(found.classes), found.rows, found.columns]),
    ]
    for name, values, expected in shapes:
        value = values[0] if len(values) == 1 else None
        if value is None or value.name != name:
            raise AtaError(f"{path} has to have exactly one {name!r}, and nothing else, at that end")
        tensor = value.type.tensor_type
        dims = [d.dim_value for d in tensor.shape.dim]
        if tensor.elem_type != onnx.TensorProto.FLOAT or len(dims) != 4 or _differ(dims[1:], expected):
            raise AtaError(f"{name} of {path} has shape {dims}; float32 [N, {', '.join(map(str, expected))}] is needed")


def _differ(dims: list[int], expected: list[int]) -> bool:
    """Exporters leave a dimension 0 (unknown) behind operators whose output they cannot work out."""
    return any(d not in (0, e) for d, e in zip(dims, expected, strict=True))
