# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""TensorRT without a GPU: its calls against the real bindings, and their order; the cache has a test of its own.

`test_engines.py` runs the engine for real where there is one.
"""

from __future__ import annotations

import ast
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from gnuradio.ata.engines import engine_cache, tensorrt_build, tensorrt_engine
from gnuradio.ata.errors import AtaError
from gnuradio.ata.model import ModelFile, read_model
from tensorrt_stand_in import Cuda, TensorRt
from tiny_model import logits_expected, write_tiny_model

# The real interfaces


def calls(*owners: str) -> set[str]:
    """Attribute chains after any of the owners ("trt", "_context"...) in the two TensorRT files."""
    found = set()
    for module in (tensorrt_build, tensorrt_engine):
        for node in ast.walk(ast.parse(Path(module.__file__).read_text())):
            chain = []
            while isinstance(node, ast.Attribute):
                chain.insert(0, node.attr)
                node = node.value
            chain.insert(0, node.id if isinstance(node, ast.Name) else "")
            for at, part in enumerate(chain[:-1]):
                if part in owners:
                    found.add(".".join(chain[at + 1 :]))
    return found


def resolve(owner: object, chain: str) -> object:
    for part in chain.split("."):
        owner = getattr(owner, part)
    return owner


BUILDER_SIDE = {  # not in the lean runtime, which only runs engines
    "Builder", "OnnxParser", "NetworkDefinitionCreationFlag",
    "BuilderFlag.FP16",  # on 8.6 only; 11 has no such flag
}  # fmt: skip


def test_the_calls_of_tensorrt_exist() -> None:
    lean = pytest.importorskip("tensorrt_lean_bindings", reason="pip install tensorrt_lean_cu12_bindings and _libs")
    names = calls("trt", "_trt") - BUILDER_SIDE
    assert {"Runtime", "LayerInformationFormat.JSON", "MemoryPoolType.WORKSPACE"} <= names
    for name in names:
        resolve(lean, name)
    owned = {
        "Runtime": calls("_runtime"),
        "IExecutionContext": calls("_context"),
        "ICudaEngine": calls("_engine", "engine"),
        "IOptimizationProfile": calls("profile"),
    }
    assert "execute_async_v3" in owned["IExecutionContext"]
    assert "deserialize_cuda_engine" in owned["Runtime"]
    for kind, used in owned.items():
        assert used, kind
        assert used <= set(dir(getattr(lean, kind))), kind


def test_the_calls_of_cuda_exist() -> None:
    runtime = pytest.importorskip("cuda.bindings.runtime", reason="pip install cuda-bindings")
    names = calls("cuda", "_cuda") - {"bindings"}
    assert {"cudaMemcpyAsync", "cudaStreamCaptureMode.cudaStreamCaptureModeRelaxed"} <= names
    for name in names | {"cudaDeviceAttr.cudaDevAttrComputeCapabilityMajor", "cudaMemcpyKind.cudaMemcpyHostToDevice"}:
        resolve(runtime, name)


# The order of the calls, against stand-ins


@pytest.fixture
def tiny(tmp_path: Path) -> ModelFile:
    return read_model(write_tiny_model(tmp_path / "tiny.onnx"))


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TensorRt:
    trt = TensorRt(Cuda())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tensorrt_engine, "_import", lambda: (trt, trt.cuda))
    return trt


def images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 3, (count, 1, 256, 256)).astype(np.float32)


def test_batches_are_computed_and_everything_is_given_back(tiny: ModelFile, stand_in: TensorRt) -> None:
    engine = tensorrt_engine.TensorRt(tiny)
    for seed, count in enumerate((1, 1, 3, 3, 1)):
        given = images(count, seed)
        np.testing.assert_allclose(engine.run(given), logits_expected(given), atol=0.1)
    assert stand_in.cuda.launches == 5
    with pytest.raises(RuntimeError, match="9 images"):
        engine.run(images(9))
    np.testing.assert_allclose(engine.run(images(2)), logits_expected(images(2)), atol=0.1)
    engine.close()
    engine.close()
    assert not stand_in.cuda.memory and not stand_in.cuda.streams and not stand_in.cuda.graphs


def test_a_network_that_cannot_be_captured_runs_all_the_same(tiny: ModelFile, stand_in: TensorRt) -> None:
    stand_in.cuda.cudaGraphInstantiateWithFlags = lambda graph, flags: (999, None)
    engine = tensorrt_engine.TensorRt(tiny)
    for seed in range(3):
        np.testing.assert_allclose(engine.run(images(1, seed)), logits_expected(images(1, seed)), atol=0.1)
    engine.close()
    assert stand_in.cuda.launches == 0 and not stand_in.cuda.graphs


def test_an_engine_is_built_once_and_again_when_the_machine_changes(
    tiny: ModelFile, stand_in: TensorRt, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        tensorrt_engine.TensorRt(tiny).close()
    assert stand_in.builds == 1
    (sidecar,) = tmp_path.glob("cache/gr-ata/*.engine.json")
    said = json.loads(sidecar.read_text())
    assert said["compute_capability"] == "8.7" and said["tensorrt"] == "10.12.0" and said["precision"] == "fp16"
    assert said["onnx_sha256"] == tiny.sha256 and said["classes"] == list(tiny.classes)
    stand_in.__version__ = "10.13.0"
    with caplog.at_level(logging.INFO, "ata"):
        tensorrt_engine.TensorRt(tiny).close()
    assert stand_in.builds == 2 and "another tensorrt: building it again" in caplog.text


def test_an_engine_that_tensorrt_does_not_load_is_built_again(tiny: ModelFile, stand_in: TensorRt) -> None:
    engine = tensorrt_engine.TensorRt(tiny)
    path = engine_cache.engine_path(tiny.path.stem, tiny.sha256)
    engine_cache.store(path, b"no plan", engine._identity())
    tensorrt_engine.TensorRt(tiny).run(images(1))
    assert stand_in.builds == 2


def test_half_precision_is_a_flag_before_10_and_the_graph_after(
    tiny: ModelFile, stand_in: TensorRt, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tensorrt_engine.TensorRt(tiny).close()
    assert stand_in.flags_set == [] and "float32" not in caplog.text
    old = TensorRt(stand_in.cuda, strongly_typed=False)
    old.__version__ = "8.6.0"
    monkeypatch.setattr(tensorrt_engine, "_import", lambda: (old, old.cuda))
    tensorrt_engine.TensorRt(tiny).close()
    assert old.flags_set == ["fp16"]
    assert "seems to have built float32" in caplog.text  # the stand-in takes no notice of the flag


@pytest.mark.parametrize("strongly_typed", [True, False])
def test_what_is_float32_is_not_rounded_to_10_bits(
    strongly_typed: bool,
    tiny: ModelFile,
    stand_in: TensorRt,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And an engine that was built when it was is built again."""
    trt = TensorRt(stand_in.cuda, strongly_typed)
    monkeypatch.setattr(tensorrt_engine, "_import", lambda: (trt, trt.cuda))
    engine = tensorrt_engine.TensorRt(tiny)
    assert trt.flags_cleared == ["tf32"]
    path, identity = engine_cache.engine_path(tiny.path.stem, tiny.sha256), engine._identity()
    del identity["tf32"]
    engine_cache.store(path, b"an older one", identity)
    with caplog.at_level(logging.INFO, "ata"):
        tensorrt_engine.TensorRt(tiny).close()
    assert trt.builds == 2 and "was built for another tf32: building it again" in caplog.text


def test_before_10_a_network_with_angles_is_asked_for_in_float32(
    stand_in: TensorRt, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old = TensorRt(stand_in.cuda, strongly_typed=False)
    old.__version__ = "8.6.0"
    monkeypatch.setattr(tensorrt_engine, "_import", lambda: (old, old.cuda))
    for _ in range(2):
        tensorrt_engine.TensorRt(read_model()).close()
    assert old.flags_set == [] and old.builds == 1
    (sidecar,) = tmp_path.glob("cache/gr-ata/*.engine.json")
    assert json.loads(sidecar.read_text())["precision"] == "fp32"
    assert "half precision" not in caplog.text


def test_a_build_is_announced_where_nobody_has_set_up_a_log(tiny: ModelFile, tmp_path: Path) -> None:
    """As in a flowgraph that GNU Radio Companion has written."""
    code = (
        "from gnuradio.ata.engines import tensorrt_engine; from gnuradio.ata.model import read_model;"
        "from tensorrt_stand_in import Cuda, TensorRt; trt = TensorRt(Cuda());"
        "tensorrt_engine._import = lambda: (trt, trt.cuda);"
        f"tensorrt_engine.TensorRt(read_model({str(tiny.path)!r})).close()"
    )
    there = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", code], env=there, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "engine from" in ran.stderr and "this can take minutes" in ran.stderr
    assert ran.stdout == ""


def test_a_long_build_says_that_it_goes_on(
    tiny: ModelFile, stand_in: TensorRt, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = iter(range(0, 1000, 20))
    monkeypatch.setattr(tensorrt_build, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    stand_in.messages = 5  # one every 20 s
    with caplog.at_level(logging.INFO, "ata"):
        tensorrt_engine.TensorRt(tiny).close()
    said = [message for message in caplog.messages if "still building" in message]
    assert said == [f"TensorRT is still building, for {seconds} s now" for seconds in (40, 80)]
    tensorrt_build.quiet_logger(stand_in).log(4, "much later")
    assert caplog.text.count("still building") == 2


@pytest.mark.parametrize("call", ["cudaMalloc", "cudaStreamCreateWithFlags", "cudaDeviceGetAttribute"])
def test_a_gpu_that_fails_is_one_sentence_or_one_error(tiny: ModelFile, stand_in: TensorRt, call: str) -> None:
    setattr(stand_in.cuda, call, lambda *_: (2, None))
    with pytest.raises((AtaError, RuntimeError), match=r"CUDA: 2"):
        tensorrt_engine.TensorRt(tiny).run(images(1))


@pytest.mark.parametrize(
    ("fails", "sentence"),
    [
        ("builder", "factory function returned nullptr: 2: [builder.cpp::182] Error Code 2: Internal Error"),
        ("parser", "engine tensorrt cannot read {path}: node 12: no Floor"),
        ("build", "engine tensorrt cannot build {path}: 10: no implementation for node /Floor"),
    ],
)
def test_what_tensorrt_says_is_in_the_sentence_and_not_on_stdout(
    tiny: ModelFile, stand_in: TensorRt, fails: str, sentence: str, capfd: pytest.CaptureFixture
) -> None:
    """Its own logger prints on stdout, among the records of `--jsonl -`."""
    stand_in.fails = fails
    with pytest.raises(AtaError) as said:
        tensorrt_engine.TensorRt(tiny)
    assert capfd.readouterr().out == ""
    assert str(said.value).endswith(sentence.format(path=tiny.path))
    stand_in.fails = ""
    tensorrt_engine.TensorRt(tiny).close()


def test_the_real_bindings_take_our_logger(capfd: pytest.CaptureFixture) -> None:
    lean = pytest.importorskip("tensorrt_lean_bindings", reason="pip install tensorrt_lean_cu12_bindings and _libs")
    logger = tensorrt_build.quiet_logger(lean)
    assert isinstance(logger, lean.ILogger)
    for severity in lean.ILogger.Severity.__members__.values():
        logger.log(severity, f"{severity.name}\nand more")
    assert logger.said == "ERROR"
    assert capfd.readouterr().out == ""


def test_a_tensorrt_that_does_not_load_says_why(tiny: ModelFile, monkeypatch: pytest.MonkeyPatch) -> None:
    class NoCudnn:
        def find_spec(self, name: str, path: object, target: object = None) -> None:
            if name == "tensorrt":
                raise ImportError("libcudnn.so.8: cannot open shared object file")

    monkeypatch.setattr(tensorrt_engine, "missing_driver", lambda: None)
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    monkeypatch.setattr(sys, "meta_path", [NoCudnn(), *sys.meta_path])
    with pytest.raises(AtaError, match=r"cannot work here: libcudnn.so.8: cannot .* pip install 'tensorrt-cu12"):
        tensorrt_engine.TensorRt(tiny)


def test_without_a_driver_the_sentence_says_so(tiny: ModelFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt_engine, "missing_driver", lambda: "there is no CUDA driver (libcuda.so.1)")
    with pytest.raises(AtaError, match="engine tensorrt cannot work here: there is no CUDA driver"):
        tensorrt_engine.TensorRt(tiny)
