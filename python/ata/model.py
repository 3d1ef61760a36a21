# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model file: an ONNX network and, in its metadata, the front end that it was trained with."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path

from .errors import AtaError, first_line, package_missing
from .wire import parts

try:
    import onnx
    from onnx import TensorProto
except ImportError as failure:  # `read_model` says so; the module has to load, for the doctor to say what else is amiss
    onnx, ONNX_FAILURE = None, failure

SHIPPED = Path(__file__).parent / "models"
LARGEST_FILE = 256 << 20  # bytes
MOST_PARTS = 200_000  # nodes, attributes, names, sizes...; the shipped network has 1,600
LARGEST_METADATA = 1 << 20  # characters
LONGEST_NAME = 80  # characters
MOST_DIMENSIONS = 8  # of a tensor
LARGEST_IMAGE = 4096  # rows or columns
LARGEST_ATTRIBUTE = 1 << 16  # strides, pads, kernel sizes...
LARGEST_WORK = 1 << 29  # values in all the tensors that one image makes, 2 GiB of float32
NEWEST_OPSET, NEWEST_IR = 17, 9  # the last that TensorRT 8.6 reads
VALUE_BYTES = {1: 4, 6: 4, 7: 8, 10: 2}  # of float32, int32, int64 and float16, by ONNX's numbers for them
OPERATORS = {  # Constant and Identity: how exporters write weights that are shared
    "Add", "AveragePool", "Clip", "Concat", "Constant", "Conv", "Cos", "DequantizeLinear", "Exp", "Floor",
    "GlobalAveragePool", "HardSwish", "Identity", "Log", "MatMul", "MaxPool", "Mul", "QuantizeLinear", "ReduceMean", "Relu",
    "Resize", "Sigmoid", "Sin",
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
    """What the runtime knows of a network. rows and columns are T and F; frame_ms and samp_rate the trained ranges.

    legend: whether column 0 of the image tells the network its scale (`frontend.write_legend`).
    """

    path: Path
    sha256: str
    name: str
    classes: tuple[str, ...]
    rows: int
    columns: int
    overlap: float
    normalise: Normalise
    legend: bool
    frame_ms: tuple[float, float]
    default_frame_ms: float
    samp_rate: tuple[float, float]
    metadata: dict

    def content(self) -> bytes:
        """The file's bytes, the very ones that were checked; AtaError where the file has changed since."""
        content = _read(self.path)
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise AtaError(f"the model file {self.path} has changed since it was read: start again")
        return content


def read_model(path: str | Path | None = None) -> ModelFile:
    """Reads and checks a model file; None for the one that ships with the module.

    Nothing of the network is run or unpacked before its size, operators and shapes are known to be sane.
    Raises AtaError with a sentence that says what does not fit.
    """
    if onnx is None:
        raise package_missing("onnx", ONNX_FAILURE)
    path = Path(path) if path else _shipped()
    content = _read(path)
    if parts(content, onnx.ModelProto.DESCRIPTOR, MOST_PARTS) > MOST_PARTS:
        raise AtaError(f"{path} holds more than {MOST_PARTS} nodes, names, sizes and the like")
    try:
        model = onnx.load_model_from_string(content)
    except Exception as failure:  # protobuf's own error class differs by version
        raise AtaError(f"{path} is no ONNX file, or not a whole one") from failure
    metadata = _metadata(path, model)
    try:
        found = _front_end(path, content, metadata)
    except AtaError:
        raise
    except KeyError as failure:
        raise AtaError(f"the `ata` metadata of {path} has no {failure}") from failure
    except (IndexError, TypeError, ValueError, OverflowError) as failure:
        raise AtaError(f"the `ata` metadata of {path} does not fit: {failure}") from failure
    _check_graph(path, model, len(content))
    _check_shapes(path, model, found)
    return found


def _read(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise AtaError(f"the model file {path} is no file")
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise AtaError(f"{path} has {size >> 20} MB; a model file has at most {LARGEST_FILE >> 20}")
        return path.read_bytes()
    except OSError as failure:
        raise AtaError(f"the model file {path} cannot be read: {failure.strerror}") from failure


def _shipped() -> Path:
    files = sorted(SHIPPED.glob("*.onnx"))
    if not files:
        raise AtaError(f"no model file ships in {SHIPPED}; name one with --model")
    return files[-1]


def _metadata(path: Path, model: onnx.ModelProto) -> dict:
    entries = [entry.value for entry in model.metadata_props if entry.key == "ata"]
    if len(entries) != 1:
        how_many = f"{len(entries)} `ata` entries in its" if entries else "no `ata`"
        raise AtaError(
            f"{path} has {how_many} metadata, so its front end is unknown: export it with training/export.py"
        )
    if len(entries[0]) > LARGEST_METADATA:
        raise AtaError(f"the `ata` metadata of {path} has {len(entries[0])} characters")
    try:
        metadata = json.loads(entries[0], parse_constant=_no_number)
    except (ValueError, RecursionError) as failure:
        raise AtaError(f"the `ata` metadata of {path} is no JSON") from failure
    if not isinstance(metadata, dict):
        raise AtaError(f"the `ata` metadata of {path} is no JSON object")
    return metadata


def _no_number(text: str) -> float:
    raise ValueError(text)  # NaN and Infinity, which Python's reader lets through


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{str(value)[:LONGEST_NAME]!r} is no number")
    return float(value)


def _name(value: object) -> str:
    """A name that every record, message and terminal can carry."""
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= LONGEST_NAME:
        raise TypeError(f"{str(value)[:LONGEST_NAME]!r} is no name")
    return value


def _front_end(path: Path, content: bytes, m: dict) -> ModelFile:
    def refuse(what: str) -> AtaError:
        return AtaError(f"the model file {path} {what}")

    if m["format"] != 1:
        raise refuse(f"has format {m['format']!r}; this version reads format 1")
    if m["window"] != "hann":
        raise refuse(f"asks for a {m['window']!r} window; only 'hann' is known")
    classes = tuple(_name(c) for c in m["classes"])
    if not 2 <= len(classes) <= 255 or classes[0] != "noise" or len(set(classes)) < len(classes):
        raise refuse(f"has classes {', '.join(classes)[:80]}; the first has to be noise, and none may come twice")
    rows, columns = (int(v) for v in m["shape"])
    if (
        [rows, columns] != m["shape"]
        or not (8 <= rows <= LARGEST_IMAGE and 8 <= columns <= LARGEST_IMAGE)
        or columns % 2
    ):
        raise refuse(f"asks for images of {rows} x {columns}")
    overlap = _number(m["overlap"])
    n = m["normalise"]
    clip = (_number(n["clip"][0]), _number(n["clip"][1]))
    normalise = Normalise(_number(n["percentile"]), _number(n["scale_db"]), clip, _number(n["floor_db"]))
    legend = m.get("legend", False)
    if not isinstance(legend, bool):
        raise TypeError("legend is neither true nor false")
    frame_ms = (_number(m["frame_ms"][0]), _number(m["frame_ms"][1]))
    rates = (_number(m["samp_rate"][0]), _number(m["samp_rate"][1]))
    default = _number(m["default_frame_ms"])
    sane = (
        0 <= overlap <= 0.9
        and 0 <= normalise.percentile <= 100
        and 0.01 <= normalise.scale_db <= 1000
        and -1000 <= clip[0] < clip[1] <= 1000
        and -200 <= normalise.floor_db < 0  # what single precision holds
        and 0 < frame_ms[0] <= default <= frame_ms[1]
        and 0 < rates[0] <= rates[1]
    )
    if not sane:
        raise refuse("has an overlap, normalise, frame_ms or samp_rate that makes no sense")
    return ModelFile(
        path, hashlib.sha256(content).hexdigest(), _name(m["name"]), classes, rows, columns, overlap, normalise,
        legend, frame_ms, default, rates, m,
    )  # fmt: skip


def _check_graph(path: Path, model: onnx.ModelProto, file_size: int) -> None:
    """Versions, operators and the sizes of what the file itself holds."""
    opset = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)
    if not 0 < opset <= NEWEST_OPSET or model.ir_version > NEWEST_IR:
        limits = f"at most opset {NEWEST_OPSET}, IR {NEWEST_IR} are read"
        raise AtaError(f"{path} has opset {opset}, IR {model.ir_version}; {limits}")
    graph = model.graph
    strange = {str(n.op_type) for n in graph.node} - OPERATORS  # str: a name that is no UTF-8 comes as bytes
    strange |= {f"{n.domain}.{n.op_type}" for n in graph.node if n.domain not in ("", "ai.onnx")}
    if strange:
        raise AtaError(f"{path} uses operators that a model file may not: {', '.join(sorted(strange))[:200]}")
    if model.functions or model.training_info or graph.sparse_initializer:
        raise AtaError(f"{path} holds functions, training or sparse weights, which a model file may not")
    attributes = [a for n in graph.node for a in n.attribute]
    if any(a.graphs or a.tensors or a.HasField("g") or a.HasField("sparse_tensor") for a in attributes):
        raise AtaError(f"{path} holds graphs or sparse weights inside a node, which a model file may not")
    if any(abs(i) > LARGEST_ATTRIBUTE for a in attributes for i in (a.i, *a.ints)):
        raise AtaError(f"{path} has a node with a stride, padding or size over {LARGEST_ATTRIBUTE}")
    for tensor in (*graph.initializer, *(a.t for a in attributes)):
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise AtaError(f"{path} keeps weights in other files; a model file is one file")
        if len(tensor.dims) > MOST_DIMENSIONS:
            raise AtaError(f"{path} has a tensor {tensor.name[:80]!r} of {len(tensor.dims)} dimensions")
        if any(d < 0 for d in tensor.dims) or math.prod(tensor.dims) > file_size:
            raise AtaError(f"{path} has a tensor {tensor.name[:80]!r} that is larger than the file")
        size = VALUE_BYTES.get(tensor.data_type) if tensor.HasField("raw_data") else None
        if size is not None and math.prod(tensor.dims) * size != len(tensor.raw_data):
            raise AtaError(f"{path} has a tensor {tensor.name[:80]!r} whose data are not of its size")
    try:
        onnx.checker.check_model(model)
    except Exception as failure:  # the checker raises its own, and protobuf's
        raise AtaError(f"{path} is no valid ONNX model: {first_line(failure)}") from failure


def _check_shapes(path: Path, model: onnx.ModelProto, found: ModelFile) -> None:
    """Input, output and everything between them, worked out for two images without running anything."""
    graph, batch = model.graph, 2
    ends = [
        ("spectrogram", graph.input, [1, found.rows, found.columns]),
        ("logits", graph.output, [len(found.classes), found.rows, found.columns]),
    ]
    for name, values, expected in ends:
        if [v.name for v in values] != [name]:
            raise AtaError(f"{path} has to have exactly one {name!r}, and nothing else, at that end")
        tensor = values[0].type.tensor_type
        if tensor.elem_type != TensorProto.FLOAT:
            raise AtaError(f"{name} of {path} is not float32")
        sizes = _sizes(values[0])
        wrong = len(sizes) != 4 or any(d not in (0, e) for d, e in zip(sizes[1:], expected, strict=True))
        if wrong or sizes[0]:  # an exporter leaves 0, unknown, behind operators that it cannot follow
            raise AtaError(f"{name} of {path} has shape {sizes}, not [N, {', '.join(map(str, expected))}] with N free")

    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    probe.graph.ClearField("value_info")  # what the file claims of them is not to be believed
    probe.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
    probe.graph.output[0].type.tensor_type.ClearField("shape")
    try:
        graph = onnx.shape_inference.infer_shapes(probe, check_type=True, strict_mode=True).graph
    except Exception as failure:
        raise AtaError(f"the tensors of {path} do not fit together: {first_line(failure)}") from failure
    shapes = {v.name: _sizes(v) for v in (*graph.value_info, *graph.output)}
    made = {name for node in graph.node for name in node.output if name}
    unknown = [name for name in made if name not in shapes or any(d <= 0 for d in shapes[name])]
    if unknown:
        raise AtaError(f"the size of tensor {unknown[0][:80]!r} in {path} cannot be worked out")
    work = sum(math.prod(shapes[name]) for name in made) // batch
    if work > LARGEST_WORK:
        raise AtaError(f"{path} needs {work * 4 >> 20} MB for one image; a model may need {LARGEST_WORK * 4 >> 20}")
    if shapes["logits"] != [batch, *ends[1][2]]:
        raise AtaError(f"{path} makes logits of {shapes['logits']} from {batch} images, not {[batch, *ends[1][2]]}")


def _sizes(value: onnx.ValueInfoProto) -> list[int]:
    """Dimensions, 0 for those that are free."""
    return [d.dim_value for d in value.type.tensor_type.shape.dim]
