# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model file: the shipped one, and the sentences for those that do not fit."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from gnuradio.ata.errors import AtaError
from gnuradio.ata.model import read_model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from tiny_model import COLUMNS, METADATA, ROWS, tiny_proto, write_tiny_model


def node(model: onnx.ModelProto, kind: str) -> onnx.NodeProto:
    return next(n for n in model.graph.node if n.op_type == kind)


def refusal(tmp_path: Path, edit: Callable[[onnx.ModelProto], object]) -> str:
    """What `read_model` says of the tiny model with `edit` applied."""
    model = tiny_proto()
    edit(model)
    path = tmp_path / "changed.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(AtaError) as caught:
        read_model(path)
    sentence = str(caught.value)
    assert str(path) in sentence and "\n" not in sentence and len(sentence) < 600
    return sentence


def test_the_shipped_model_reads() -> None:
    model = read_model()
    assert model.classes == ("noise", "LTE", "NR", "other")
    assert model.path.stat().st_size < 6e6
    assert model.frame_ms[0] <= model.default_frame_ms <= model.frame_ms[1]


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    model = read_model(write_tiny_model(tmp_path / "tiny.onnx"))
    assert (model.rows, model.columns, model.overlap) == (ROWS, COLUMNS, 0.5)
    assert (model.normalise.percentile, model.normalise.scale_db) == (10, 20)
    assert (model.normalise.clip, model.normalise.floor_db) == ((-1, 3), -80)
    assert model.legend is False
    assert (model.frame_ms, model.default_frame_ms, model.samp_rate) == ((0.5, 80), 40, (0.5e6, 245.76e6))
    assert (model.name, model.classes) == ("tiny-1", ("noise", "LTE", "NR", "other"))


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("format", 2, "format 2"),
        ("window", "blackman", "blackman"),
        ("classes", ["LTE", "NR"], "first has to be noise"),
        ("classes", ["noise", "LTE", "NR"], "logits"),
        ("classes", ["noise", "LTE", "NR", "NR"], "twice"),
        ("shape", [256, 100_000_000], "100000000"),
        ("shape", [256, 128], "spectrogram"),
        ("shape", [256.5, 256], "256"),
        ("shape", [255], "does not fit"),
        ("overlap", 1.5, "no sense"),
        ("overlap", None, "does not fit"),
        ("normalise", {}, "has no 'clip'"),
        ("normalise", {"percentile": 10, "scale_db": 0, "clip": [-1, 3], "floor_db": -80}, "no sense"),
        ("normalise", {"percentile": 10, "scale_db": float("inf"), "clip": [-1, 3], "floor_db": -80}, "no JSON"),
        ("normalise", {"percentile": 10, "scale_db": 20, "clip": [-1], "floor_db": -80}, "does not fit"),
        ("legend", 1, "neither true nor false"),
        ("frame_ms", [40, 10], "no sense"),
        ("samp_rate", "fast", "does not fit"),
        ("samp_rate", ["1e6", "inf"], "'1e6' is no number"),
        ("overlap", True, "no number"),
        ("name", "\ud800", "no name"),
        ("name", "a\nb", "no name"),
        ("name", "x" * 1000, "no name"),
        ("name", {}, "no name"),
        ("classes", ["noise", "\x1b[2J"], "no name"),
        ("normalise", {"percentile": 10, "scale_db": 1e-320, "clip": [-1, 3], "floor_db": -80}, "no sense"),
        ("normalise", {"percentile": 10, "scale_db": 20, "clip": [-1, 1e300], "floor_db": -80}, "no sense"),
        ("normalise", {"percentile": 10, "scale_db": 20, "clip": [-1, 3], "floor_db": -1e6}, "no sense"),
    ],
)
def test_metadata_that_does_not_fit_is_said(tmp_path: Path, key: str, value: object, says: str) -> None:
    path = write_tiny_model(tmp_path / "changed.onnx")
    model = onnx.load(str(path))
    helper.set_model_props(model, {"ata": json.dumps({**METADATA, key: value})})
    onnx.save(model, str(path))
    with pytest.raises(AtaError, match=says):
        read_model(path)


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ([], "no `ata` metadata"),
        (["{}", "{}"], "2 `ata` entries"),
        (["{"], "no JSON"),
        (["7"], "no JSON object"),
        (["[" * 100_000], "no JSON"),
        (["{}"], "has no 'format'"),
        ([" " * 2_000_000], "2000000 characters"),
    ],
)
def test_metadata_that_is_none(tmp_path: Path, entries: list[str], says: str) -> None:
    def edit(model: onnx.ModelProto) -> None:
        del model.metadata_props[:]
        for text in entries:
            model.metadata_props.add(key="ata", value=text)

    assert says in refusal(tmp_path, edit)


def huge_weights(model: onnx.ModelProto) -> None:
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend([1 << 40, 1 << 20])


def huge_padding(model: onnx.ModelProto) -> None:
    node(model, "AveragePool").attribute[1].ints[:] = [1 << 40] * 4


def huge_resize(model: onnx.ModelProto) -> None:
    model.graph.initializer[2].CopyFrom(numpy_helper.from_array(np.array([1, 1, 1e6, 1e4], np.float32), "scales"))


def doubling(model: onnx.ModelProto) -> None:
    """Forty doublings of the channels, and one sum that brings the shape back."""
    last = "spectrogram"
    nodes = []
    for k in range(40):
        nodes.append(helper.make_node("Concat", [last, last], [f"twice{k}"], axis=1))
        last = f"twice{k}"
    nodes.append(helper.make_node("ReduceMean", [last], ["one"], axes=[1], keepdims=1))
    node(model, "ReduceMean").input[0] = "one"
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes + rest)


def outside_weights(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")


def dimensions_without_end(model: onnx.ModelProto) -> None:
    """Whose product alone would take minutes."""
    model.graph.initializer[0].dims.extend([1 << 62] * 100_000)


def cut_weights(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:-4]


def hidden_graph(model: onnx.ModelProto) -> None:
    """In an attribute that says it is a number."""
    node(model, "Conv").attribute.append(helper.make_attribute("group", 1))
    node(model, "Conv").attribute[-1].g.CopyFrom(tiny_proto().graph)


def training(model: onnx.ModelProto) -> None:
    model.training_info.add().algorithm.CopyFrom(tiny_proto().graph)


def sparse_weights(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add(dims=[1 << 40, 1 << 20])


def fixed_batch(model: onnx.ModelProto) -> None:
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = 1


def baked_batch(model: onnx.ModelProto) -> None:
    """A Resize to sizes, the batch among them, as some exporters write it."""
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 4, ROWS, COLUMNS], np.int64), "sizes"))
    node(model, "Resize").input[:] = ["scores", "", "", "sizes"]


def extra_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1]))


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (huge_weights, "larger than the file"),
        (huge_padding, "padding or size"),
        (huge_resize, "MB for one image"),
        (doubling, "MB for one image"),
        (outside_weights, "other files"),
        (sparse_weights, "sparse"),
        (dimensions_without_end, "100004 dimensions"),
        (cut_weights, "not of its size"),
        (hidden_graph, "graphs or sparse"),
        (training, "training"),
        (fixed_batch, "with N free"),
        (baked_batch, "from 2 images"),
        (lambda m: setattr(node(m, "Conv"), "op_type", "LayerNormalization"), "LayerNormalization"),
        (lambda m: setattr(node(m, "Conv"), "domain", "elsewhere"), "elsewhere.Conv"),
        (lambda m: setattr(m.opset_import[0], "version", 21), "opset 21"),
        (lambda m: setattr(m, "ir_version", 11), "IR 11"),
        (lambda m: m.functions.add(name="Relu", domain="elsewhere"), "functions"),
        (lambda m: setattr(m.graph.output[0], "name", "scores"), "exactly one 'logits'"),
        (extra_input, "exactly one 'spectrogram'"),
        (lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", TensorProto.DOUBLE), "not float32"),
        (lambda m: m.graph.node.reverse(), "no valid ONNX"),
        (lambda m: m.graph.node.pop(), "no valid ONNX"),
        (lambda m: node(m, "ReduceMean").attribute[0].ints.append(9), "do not fit together"),
    ],
)
def test_hostile_graphs_are_refused_before_anything_runs(tmp_path: Path, edit: Callable, says: str) -> None:
    assert says in refusal(tmp_path, edit)


def test_missing_empty_and_oversized_files(tmp_path: Path) -> None:
    with pytest.raises(AtaError, match="No such file"):
        read_model(tmp_path / "none.onnx")
    with pytest.raises(AtaError, match="is no file"):
        read_model(tmp_path)
    (tmp_path / "empty.onnx").touch()
    with pytest.raises(AtaError, match=r"empty\.onnx"):
        read_model(tmp_path / "empty.onnx")
    with (tmp_path / "large.onnx").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(AtaError, match="1048576 MB"):
        read_model(tmp_path / "large.onnx")


CROWDS = {  # what 8 MB of two or three bytes each stand for, as fields of the message that holds them
    "nodes": ([7], b"\x0a\x00"),
    "attributes": ([7, 1], b"\x2a\x00"),
    "inputs of a node": ([7, 1], b"\x0a\x00"),
    "dimensions": ([7, 5, 1], b"\x01\x01"),
    "metadata": ([], b"\x72\x00"),
    "operator sets": ([], b"\x42\x00"),
    "fields that nobody knows": ([], b"\xfa\x7f\x00"),
}
READ_IN_LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
from gnuradio.ata.errors import AtaError
from gnuradio.ata.model import read_model
held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + (64 << 20), -1))
for path in sys.argv[1:]:
    try:
        read_model(path)
    except AtaError as said:
        print(said)
"""


def test_what_is_absurd_is_refused_before_memory_is_touched(tmp_path: Path) -> None:
    """In a process that may take 64 MB more than Python with its libraries: a parser would ask for a gigabyte."""
    paths = []
    for name, (fields, item) in CROWDS.items():
        content = item * (8_000_000 // len(item))
        for field in reversed(fields):
            content = bytes([field << 3 | 2]) + varint(len(content)) + content
        paths.append(tmp_path / f"{name}.onnx")
        paths[-1].write_bytes(tiny_proto().SerializeToString() + content)
    for edit in (huge_weights, huge_padding, huge_resize, doubling, sparse_weights, dimensions_without_end):
        model = tiny_proto()
        edit(model)
        paths.append(tmp_path / f"{edit.__name__}.onnx")
        paths[-1].write_bytes(model.SerializeToString())
    ran = subprocess.run(
        [sys.executable, "-c", READ_IN_LITTLE_MEMORY, *map(str, paths)], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    said = ran.stdout.splitlines()
    assert [path.name for path, line in zip(paths, said, strict=True) if path.name not in line] == []
    assert all("holds more than 200000 nodes" in line for line in said[: len(CROWDS)])


def varint(value: int) -> bytes:
    groups = [value >> shift & 127 for shift in range(0, 35, 7)]
    return bytes([group | 128 for group in groups[:-1]] + groups[-1:])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_files_are_refused_or_read_and_never_crash(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(tiny_proto().SerializeToString())
    content = content[: data.draw(st.integers(0, len(content)), "length")]
    for _ in range(data.draw(st.integers(0, 4), "changes") if content else 0):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.onnx"
    path.write_bytes(content)
    try:
        model = read_model(path)
    except AtaError as said:
        assert "\n" not in str(said)
    else:
        assert (model.rows, model.columns) == (ROWS, COLUMNS)


def test_a_file_that_changes_after_the_check_is_not_run(tmp_path: Path) -> None:
    model = read_model(write_tiny_model(tmp_path / "tiny.onnx"))
    write_tiny_model(tmp_path / "tiny.onnx", name="another")
    with pytest.raises(AtaError, match="has changed"):
        model.content()
