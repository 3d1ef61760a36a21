# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a checkpoint to model files."""

import ctypes
import json
import re
from operator import attrgetter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from tiny_model import write_tiny_model

from training import export, int8, tensorrt_engine, train
from training.data import CLASSES, Drawn
from training.errors import DataError
from training.metrics import largest_difference
from training.models import build

SHIPPED = max((Path(__file__).resolve().parent.parent.parent / "python/ata/models").glob("*.onnx"))


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(3)
    net = build("ata_net", len(CLASSES))
    with torch.no_grad():
        net(torch.rand(2, 1, 256, 256) * 3)
    state = {"segmenter": "ata_net", "options": {}, "average": net.state_dict(), "name": "test-1",
             "trained": {"seed": 3}, "metrics": {"miou": 0.5}}  # fmt: skip
    torch.save(state, tmp_path / "checkpoint.pt")
    return tmp_path / "checkpoint.pt"


def probability(path, image: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"spectrogram": image})
    assert logits.dtype == np.float32
    return torch.from_numpy(logits).softmax(1).numpy()


def leading_to(graph: onnx.GraphProto, operators: set[str]) -> list[onnx.NodeProto]:
    """Nodes of these operators, and all from which they are computed."""
    makers = {name: node for node in graph.node for name in node.output}
    found, left = {}, [node for node in graph.node if node.op_type in operators]
    while left:
        node = left.pop()
        if node.output[0] not in found:
            found[node.output[0]] = node
            left += [makers[name] for name in node.input if name in makers]
    return list(found.values())


def test_the_half_copy_says_the_same(checkpoint, tmp_path):
    out, half = tmp_path / "m.onnx", tmp_path / "m16.onnx"
    assert export.main([str(checkpoint), str(out), "--half", str(half)]) == 0
    image = np.random.default_rng(0).uniform(-1, 3, (1, 1, 256, 256)).astype(np.float32)
    image[..., :128, 0], image[..., 128:, 0] = np.log10(156.25), np.log10(75)
    full, rough = probability(out, image), probability(half, image)
    assert 0 < np.abs(full - rough).max() < 0.02
    model = onnx.load(half)
    leading = leading_to(model.graph, {"Cos", "Sin", "Exp", "Floor", "Log"})
    assert {"Cos", "Sin", "Exp", "Floor", "Log", "MatMul"} <= {n.op_type for n in leading}
    casts = [n.attribute[0].i for n in leading if n.op_type == "Cast"]
    assert set(casts) <= {onnx.TensorProto.FLOAT}
    halves = {i.name for i in model.graph.initializer if i.data_type == onnx.TensorProto.FLOAT16}
    assert not halves & {name for n in leading for name in n.input}
    assert half.stat().st_size < 0.6 * out.stat().st_size
    assert [p.value for p in onnx.load(half).metadata_props] == [p.value for p in onnx.load(out).metadata_props]


def test_the_int8_copy_runs_and_says_the_same(checkpoint, tmp_path, monkeypatch, capsys):
    """Through the command, on few scenes; the block's own reader takes the file."""
    read_model = pytest.importorskip("gnuradio.ata.model").read_model
    monkeypatch.setattr(int8, "SCENES", 3)
    monkeypatch.setattr(int8, "MOST_CHANGED", 1.0)  # a network without training is undecided everywhere
    out, small = tmp_path / "m.onnx", tmp_path / "m8.onnx"
    assert export.main([str(checkpoint), str(out), "--int8", str(small)]) == 0
    assert "of the columns" in capsys.readouterr().out
    image, *_ = int8.calibration_images("wideband")
    assert 0 < np.abs(probability(out, image) - probability(small, image)).max() < 0.1
    assert not any(n.op_type == "QuantizeLinear" for n in leading_to(onnx.load(small).graph, {"Cos", "Sin", "Exp"}))
    assert small.stat().st_size < 0.4 * out.stat().st_size
    assert [p.value for p in onnx.load(small).metadata_props] == [p.value for p in onnx.load(out).metadata_props]
    assert read_model(small).classes == read_model(out).classes
    monkeypatch.setattr(int8, "MOST_CHANGED", -1.0)
    with pytest.raises(DataError, match="not worth having"):
        int8.export_int8(out, small, [image])


@pytest.mark.parametrize(("trained", "front_end"), [({}, "ata"), ({"front_end": "mathworks"}, "mathworks")])
def test_8_bits_are_calibrated_on_the_images_that_the_network_sees(checkpoint, tmp_path, monkeypatch, trained, front_end):
    state = torch.load(checkpoint, weights_only=True)
    torch.save({**state, "trained": {**trained, "data": "paper-test"}}, checkpoint)
    monkeypatch.setattr(int8, "SCENES", 1)
    taken = []
    monkeypatch.setattr(export, "export_int8", lambda _, __, images: taken.extend(images) or 0.0)
    assert export.main([str(checkpoint), str(tmp_path / "m.onnx"), "--int8", str(tmp_path / "m8.onnx")]) == 0
    seen = Drawn("paper-test", int8.CALIBRATION_SEEDS, front_end=front_end)[0][0][None].numpy()
    assert len(taken) == 1 and np.array_equal(taken[0], seen)


def test_a_file_that_differs_from_the_network_is_refused(checkpoint, tmp_path):
    out = tmp_path / "m.onnx"
    export.main([str(checkpoint), str(out)])
    with pytest.raises(DataError, match="differs from the trained network"):
        export.check(build("ata_net", len(CLASSES)).eval(), out)


class Counting(torch.nn.Module):
    """A network whose exported file is another one: tracing takes the number of images for a constant."""

    def __init__(self, fault: float = 1.0) -> None:
        super().__init__()
        self.layer, self.fault = torch.nn.Conv2d(1, len(CLASSES), 1), fault

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.layer(image) * int(image.shape[0]) * self.fault


@pytest.mark.parametrize("fault", [1.0, float("nan")])
def test_export_refuses_what_differs_and_keeps_the_good_file(tmp_path, fault):
    (tmp_path / "m.onnx").write_bytes(b"a good file")
    with pytest.raises(DataError, match="differs from the trained network"):
        export.export(Counting(fault), tmp_path / "m.onnx", "x", {}, {})
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"a good file"]


def test_a_difference_that_is_not_a_number_is_none_that_passes():
    one, nothing = torch.zeros(1, 4, 2, 2), torch.full((1, 4, 2, 2), float("nan"))
    assert largest_difference([(one, one + torch.tensor([1e3, 0, 0, 0])[:, None, None])]) == pytest.approx(0.75)
    for pairs in ([(one, one), (nothing, one)], [(one, nothing), (one, one)]):
        assert not largest_difference(pairs) <= 1


def test_a_refused_8_bit_copy_leaves_the_good_file(tmp_path, monkeypatch):
    monkeypatch.setattr(int8, "MOST_CHANGED", -1.0)
    good = tmp_path / "m8.onnx"
    good.write_bytes(b"a good file")
    image = np.random.default_rng(0).uniform(-1, 3, (1, 1, 256, 256)).astype(np.float32)
    with pytest.raises(DataError, match=r"m8\.onnx is not worth having"):
        int8.export_int8(write_tiny_model(tmp_path / "m.onnx"), good, [image])
    assert good.read_bytes() == b"a good file" and len(list(tmp_path.iterdir())) == 2


def test_a_network_of_another_front_end_says_so(tmp_path):
    """The runtime refuses what it does not know; it must never take another front end's network for its own."""
    export.export(build("unet", len(CLASSES), width=4), tmp_path / "m.onnx", "x", {"front_end": "mathworks"}, {})
    assert '"normalise": {"style": "mathworks"}' in onnx.load(tmp_path / "m.onnx").metadata_props[0].value


def test_an_engine_where_there_is_no_gpu_is_one_sentence(checkpoint, tmp_path, capsys):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    assert export.main([str(checkpoint), str(tmp_path / "m.onnx"), "--engine"]) == 2
    said = capsys.readouterr().err.strip()
    assert "needs an NVIDIA GPU" in said and "\n" not in said
    assert not (tmp_path / "m.onnx").exists()
    assert train.main(["--out", str(tmp_path / "run"), "--engine"]) == 2
    assert "needs an NVIDIA GPU" in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_an_engine_gives_what_onnx_runtime_gives(checkpoint, tmp_path, capsys):
    """`--engine` compares by itself and refuses what differs or is float32."""
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU here")
    pytest.importorskip("tensorrt", reason="pip install 'tensorrt-cu12>=10.12'")
    assert export.main([str(checkpoint), str(tmp_path / "m.onnx"), "--engine"]) == 0
    assert "within" in capsys.readouterr().out
    about = json.loads((tmp_path / "m.engine.json").read_text())
    assert about["precision"] == "fp16" and (tmp_path / "m.engine").stat().st_size > 1000


class OnCpu:
    """An engine, its own context too, that runs a model file on memory of the CPU."""

    def __init__(self, path: Path) -> None:
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.address = {}

    def create_execution_context(self) -> "OnCpu":
        return self

    def set_input_shape(self, _: str, shape: tuple) -> None:
        self.shape = shape

    def set_tensor_address(self, name: str, address: int) -> None:
        self.address[name] = address

    def execute_async_v3(self, _: object) -> bool:
        def at(name: str, shape: tuple) -> np.ndarray:
            return np.ctypeslib.as_array(ctypes.cast(self.address[name], ctypes.POINTER(ctypes.c_float)), shape)

        (logits,) = self.session.run(["logits"], {"spectrogram": at("spectrogram", self.shape)})
        at("logits", logits.shape)[:] = logits
        return True


def test_an_engine_whose_angles_are_float16_is_refused(tmp_path, monkeypatch):
    """Images without a legend ask for no wide angles, and do not tell."""
    monkeypatch.setattr(torch.cuda, "Stream", lambda: SimpleNamespace(cuda_stream=0, synchronize=lambda: None))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(torch.Tensor, "cuda", torch.Tensor.clone)
    plain = torch.empty
    monkeypatch.setattr(torch, "empty", lambda *shape, device: plain(*shape))
    export.export_half(SHIPPED, tmp_path / "good.onnx")
    assert 0 < tensorrt_engine.compare(OnCpu(tmp_path / "good.onnx"), SHIPPED) < 0.02
    monkeypatch.setattr(export, "angular_nodes", lambda _: [])
    export.export_half(SHIPPED, tmp_path / "bad.onnx")
    with pytest.raises(DataError, match="differs from ONNX Runtime"):
        tensorrt_engine.compare(OnCpu(tmp_path / "bad.onnx"), SHIPPED)


def test_the_calls_of_tensorrt_exist():
    """In the real bindings, all but the builder's, which the lean runtime lacks."""
    lean = pytest.importorskip("tensorrt_lean_bindings", reason="pip install tensorrt_lean_cu12_bindings and _libs")
    text = Path(tensorrt_engine.__file__).read_text()
    names = set(re.findall(r"\btrt\.((?:\w+\.)*[A-Za-z]\w*)", text))
    assert {"Builder", "Runtime", "LayerInformationFormat.JSON"} <= names
    for name in names - {"Builder", "OnnxParser", "NetworkDefinitionCreationFlag.STRONGLY_TYPED"}:
        attrgetter(name)(lean)
    for kind, owner in (("ICudaEngine", "engine"), ("IExecutionContext", "context"), ("IOptimizationProfile", "profile")):
        used = set(re.findall(rf"\b{owner}\.([a-z]\w*)\(", text))
        assert used and used <= set(dir(getattr(lean, kind))), kind


def test_ctrl_c_is_one_sentence(checkpoint, tmp_path, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(export, "export", interrupted)
    assert export.main([str(checkpoint), str(tmp_path / "m.onnx")]) == 130
    assert capsys.readouterr().err.strip() == "export: stopped"


def test_what_is_no_checkpoint_is_one_sentence(checkpoint, tmp_path, capsys):
    (tmp_path / "noise.pt").write_bytes(b"not a checkpoint")
    earlier = torch.load(checkpoint, weights_only=True)
    del earlier["average"]["likeness.shift.weight"]
    torch.save(earlier, tmp_path / "earlier.pt")
    for name, change in (("nameless.pt", {"name": None}), ("other.pt", {"options": {"depth": 3}})):
        state = torch.load(checkpoint, weights_only=True) | change
        torch.save({k: v for k, v in state.items() if v is not None}, tmp_path / name)
    for name in ("noise.pt", "absent.pt", "earlier.pt", "nameless.pt", "other.pt"):
        path = tmp_path / name
        assert export.main([str(path), str(tmp_path / "m.onnx")]) == 2
        said = capsys.readouterr().err.strip()
        assert str(path) in said and "\n" not in said
