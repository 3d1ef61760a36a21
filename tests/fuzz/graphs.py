# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks that are nearly right: a chain of every operator that a model file may have, with something changed."""

from __future__ import annotations

import numpy as np
import onnx
from fuzz.draws import INTEGERS, Draws
from onnx import helper, numpy_helper
from tiny_model import tiny_proto

SIZE = 16  # rows and columns of these images
ATTRIBUTES = {
    "Conv": ("kernel_shape", "strides", "pads", "dilations", "group", "auto_pad"),
    "AveragePool": ("kernel_shape", "strides", "pads", "ceil_mode", "count_include_pad", "auto_pad"),
    "MaxPool": ("kernel_shape", "strides", "pads", "dilations", "ceil_mode", "storage_order", "auto_pad"),
    "ReduceMean": ("axes", "keepdims"),
    "Resize": ("mode", "coordinate_transformation_mode", "nearest_mode", "cubic_coeff_a", "exclude_outside"),
    "Concat": ("axis",),
    "Constant": ("value", "value_ints", "value_float", "value_string"),
}
NUMBERS = (0, 1, 2, 3, 4, -1, -2, 15, 16, 17, 255, 65536, -65536, 2**31, 2**62)
WORDS = ("SAME_UPPER", "VALID", "NOTSET", "linear", "cubic", "nearest", "tf_crop_and_resize", "align_corners", "?", "")


def chain() -> onnx.ModelProto:
    """-> a model of every allowed operator; its logits have the shape that they should have."""
    model = tiny_proto(SIZE, SIZE)
    nodes = [
        helper.make_node("Identity", ["spectrogram"], ["a"]),
        helper.make_node("Conv", ["a", "w"], ["b"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("MaxPool", ["c"], ["d"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("HardSwish", ["d"], ["e"]),
        helper.make_node("GlobalAveragePool", ["e"], ["f"]),
        helper.make_node("Sigmoid", ["f"], ["g"]),
        helper.make_node("Mul", ["e", "g"], ["h"]),
        helper.make_node("Resize", ["h", "", "twice"], ["i"], mode="linear"),
        helper.make_node("Concat", ["i", "a"], ["j"], axis=1),
        helper.make_node("ReduceMean", ["j"], ["k"], axes=[1], keepdims=1),
        helper.make_node("Clip", ["k", "least", "most"], ["l"]),
        helper.make_node("Constant", [], ["one"], value=numpy_helper.from_array(np.ones(1, np.float32))),
        helper.make_node("Add", ["l", "one"], ["m"]),
        helper.make_node("AveragePool", ["m"], ["n"], kernel_shape=[1, 3], pads=[0, 1, 0, 1]),
        helper.make_node("Cos", ["n"], ["o"]),
        helper.make_node("Sin", ["o"], ["p"]),
        helper.make_node("Exp", ["p"], ["q"]),
        helper.make_node("Log", ["q"], ["r"]),
        helper.make_node("Floor", ["r"], ["s"]),
        helper.make_node("MatMul", ["s", "n"], ["t"]),
        helper.make_node("Conv", ["t", "weights", "offset"], ["logits"]),
    ]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    for name, value in (
        ("w", np.ones((2, 1, 3, 3), np.float32)),
        ("twice", np.array([1, 1, 2, 2], np.float32)),
        ("least", np.float32(-1)),
        ("most", np.float32(9)),
    ):
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return model


def edited_graph(draws: Draws) -> bytes:
    """-> the chain as a file, with the changes that the bytes ask for."""
    model, flips = chain(), draws.pick((0, 0, 0, 1, 3))
    places = [(int.from_bytes(draws.bytes(2), "little"), draws.byte()) for _ in range(flips)]
    while draws.more:
        draws.pick((_attribute, _attribute, _attribute, _wire, _weights, _operator, _shape))(model, draws)
    content = bytearray(model.SerializeToString())
    for place, byte in places:
        content[place % len(content)] = byte
    return bytes(content)


def _attribute(model: onnx.ModelProto, draws: Draws) -> None:
    node = draws.pick(model.graph.node)
    name = draws.pick(ATTRIBUTES.get(node.op_type, ("axis", "x")))
    for old in [a for a in node.attribute if a.name == name]:
        node.attribute.remove(old)
    kind = draws.byte() % 6
    numbers = [draws.pick(NUMBERS) for _ in range(draws.byte() % 6)]
    value = (numbers or [1], (numbers or [1])[0], draws.pick(WORDS), draws.number(), numbers * 2 or [0], 1)[kind]
    node.attribute.append(helper.make_attribute(name, value))
    if draws.byte() % 16 == 0:
        node.attribute[-1].type = draws.byte() % 15


def _wire(model: onnx.ModelProto, draws: Draws) -> None:
    """Another input."""
    node = draws.pick(model.graph.node)
    names = ["", *(n.output[0] for n in model.graph.node if n.output), *(w.name for w in model.graph.initializer)]
    if node.input and draws.byte() % 8:
        node.input[draws.byte() % len(node.input)] = draws.pick(names)
    else:
        node.input.append(draws.pick(names))


def _weights(model: onnx.ModelProto, draws: Draws) -> None:
    """Other dimensions, values or another type."""
    tensor = draws.pick(model.graph.initializer)
    what = draws.byte() % 4
    if what == 0:
        del tensor.dims[:]
        tensor.dims.extend(draws.pick(NUMBERS) for _ in range(draws.byte() % 6))
    elif what == 1:
        tensor.raw_data = draws.bytes(draws.byte())
    elif what == 2:
        tensor.data_type = draws.byte() % 24
    else:
        with np.errstate(over="ignore"):
            values = np.array([draws.number() for _ in range(draws.byte() % 6)], np.float32)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _operator(model: onnx.ModelProto, draws: Draws) -> None:
    draws.pick(model.graph.node).op_type = draws.pick(tuple(ATTRIBUTES))


def _shape(model: onnx.ModelProto, draws: Draws) -> None:
    value = draws.pick((*model.graph.input, *model.graph.output))
    dims = value.type.tensor_type.shape.dim
    if dims:
        dims[draws.byte() % len(dims)].dim_value = max(-(2**63), min(draws.pick(INTEGERS), 2**63 - 1))
