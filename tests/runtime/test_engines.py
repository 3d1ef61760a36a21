# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Engines: the one that always works, the choice between them, and what is said where one cannot work."""

import ctypes
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
from gnuradio.ata.engines import onnxruntime_engine
from gnuradio.ata.engines.choose import ENGINES, engine_report, open_engine
from gnuradio.ata.engines.cuda_driver import missing_driver
from gnuradio.ata.engines.onnxruntime_engine import OnnxRuntime
from gnuradio.ata.engines.tensorrt_build import half_precision
from gnuradio.ata.errors import AtaError
from gnuradio.ata.model import ModelFile, read_model
from tiny_model import logits_expected, write_tiny_model


@pytest.fixture
def tiny(tmp_path: Path) -> ModelFile:
    return read_model(write_tiny_model(tmp_path / "tiny.onnx"))


def images(count: int, model: ModelFile) -> np.ndarray:
    """Noise, and where the model wants it the scale of 80 ms at 61.44 MS/s, of the widest angles."""
    noise = np.random.default_rng(count).uniform(-1, 3, (count, 1, model.rows, model.columns)).astype(np.float32)
    if model.legend:
        noise[..., : model.rows // 2, 0] = np.log10(0.08e6 / model.rows)
        noise[..., model.rows // 2 :, 0] = np.log10(61.44e3 / model.columns)
    return noise


def probabilities(logits: np.ndarray) -> np.ndarray:
    share = np.exp(logits - logits.max(1, keepdims=True))
    return share / share.sum(1, keepdims=True)


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_that_works_here_computes_the_network(tiny: ModelFile, name: str) -> None:
    try:
        engine = open_engine(tiny, name)
    except AtaError as refusal:
        assert name != "onnxruntime-cpu"
        pytest.skip(str(refusal))
    for count in (1, 3, 1):
        given = images(count, tiny)
        logits = engine.run(given)
        assert logits.dtype == np.float32
        expected = logits_expected(given)
        np.testing.assert_allclose(probabilities(logits), probabilities(expected), atol=1e-5 if "cpu" in name else 2e-2)
    engine.close()


def test_the_shipped_model_gives_one_answer_alone_and_in_a_batch() -> None:
    model = read_model()
    engine = open_engine(model, "onnxruntime-cpu")
    given = images(3, model)
    together = engine.run(given)
    assert together.shape == (3, len(model.classes), model.rows, model.columns)
    assert np.isfinite(together).all()
    for k in range(3):
        np.testing.assert_allclose(engine.run(given[k : k + 1])[0], together[k], atol=1e-3)


def test_results_do_not_share_memory(tiny: ModelFile) -> None:
    engine = open_engine(tiny, "onnxruntime-cpu")
    first = engine.run(images(1, tiny))
    kept = first.copy()
    engine.run(images(1, tiny) + 1)
    np.testing.assert_array_equal(first, kept)


def test_auto_takes_the_first_that_works_and_says_which(tiny: ModelFile, caplog: pytest.LogCaptureFixture) -> None:
    works = [name for name, works, _ in engine_report(tiny) if works]
    assert "onnxruntime-cpu" in works
    with caplog.at_level(logging.INFO, "ata"):
        engine = open_engine(tiny)
    assert engine.name == works[0]
    assert f"engine: {works[0]}" in caplog.messages


def test_an_engine_that_cannot_work_says_so_in_one_sentence(tiny: ModelFile) -> None:
    for name, works, sentence in engine_report(tiny):
        if not works:
            with pytest.raises(AtaError) as said:
                open_engine(tiny, name)
            assert str(said.value) == sentence
            assert sentence.startswith(f"engine {name} cannot work here: ")
            assert "\n" not in sentence
    with pytest.raises(AtaError, match="choose auto, tensorrt"):
        open_engine(tiny, "abacus")


def test_a_network_that_gives_nan_is_not_chosen(tmp_path: Path) -> None:
    model = onnx.load(str(write_tiny_model(tmp_path / "nan.onnx")))
    model.graph.initializer[1].CopyFrom(onnx.numpy_helper.from_array(np.full(4, np.nan, np.float32), "offset"))
    onnx.save(model, str(tmp_path / "nan.onnx"))
    with pytest.raises(AtaError, match="no usable logits"):
        open_engine(read_model(tmp_path / "nan.onnx"))


def test_a_model_file_that_changed_is_not_run(tiny: ModelFile) -> None:
    write_tiny_model(tiny.path, name="another")
    with pytest.raises(AtaError, match="has changed"):
        open_engine(tiny, "onnxruntime-cpu")


def test_cpu_inference_leaves_no_thread_that_spins(tiny: ModelFile) -> None:
    """One inference thread is the caller's own: a session starts none."""
    before = len(list(Path("/proc/self/task").iterdir()))
    engine = OnnxRuntime(tiny, "onnxruntime-cpu")
    engine.run(images(1, tiny))
    assert len(list(Path("/proc/self/task").iterdir())) == before


def test_alone_it_takes_several_cores_and_says_the_same() -> None:
    model = read_model()
    given, before = images(1, model), len(list(Path("/proc/self/task").iterdir()))
    alone = open_engine(model, "onnxruntime-cpu", alone=True)
    threads = len(list(Path("/proc/self/task").iterdir())) - before + 1
    assert threads == min(4, len(os.sched_getaffinity(0)))
    np.testing.assert_array_equal(alone.run(given), open_engine(model, "onnxruntime-cpu").run(given))


def test_an_engine_opened_in_one_thread_runs_in_another(tiny: ModelFile) -> None:
    """As in a flowgraph: made by the constructor, run by the scheduler."""
    engine, given, answers = open_engine(tiny), images(1, tiny), []
    thread = threading.Thread(target=lambda: answers.append(engine.run(given)))
    thread.start()
    thread.join()
    assert np.abs(probabilities(answers[0]) - probabilities(logits_expected(given))).max() < 2e-2


@pytest.mark.parametrize(("before", "at_start"), [(None, "LAZY"), ("EAGER", "EAGER")])
def test_cuda_starts_told_to_load_kernels_when_they_are_needed(
    monkeypatch: pytest.MonkeyPatch, before: str | None, at_start: str
) -> None:
    """Unless the user says otherwise; the driver reads it at its start and never again."""
    seen = []
    driver = SimpleNamespace(
        cuInit=lambda flags: seen.append(os.environ.get("CUDA_MODULE_LOADING")) or 0,
        cuDeviceGetCount=lambda count: setattr(count._obj, "value", 1) or 0,
    )
    monkeypatch.setattr(ctypes, "CDLL", lambda name: driver)
    monkeypatch.setenv("CUDA_MODULE_LOADING", "")  # so that it is afterwards as it was
    if before is None:
        monkeypatch.delenv("CUDA_MODULE_LOADING")
    else:
        monkeypatch.setenv("CUDA_MODULE_LOADING", before)
    assert missing_driver.__wrapped__() is None
    assert seen == [at_start]


@pytest.fixture
def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> list:
    """An ONNX Runtime that has CUDA but runs on the CPU. -> the providers that sessions were asked for."""
    session, asked = onnxruntime.InferenceSession, []

    def opened(content: bytes, options: object, providers: list, **rest: object) -> onnxruntime.InferenceSession:
        asked.extend(providers)
        return session(content, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime_engine, "missing_driver", lambda: None)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print("Failed to load libcudnn.so.9"), raising=False)
    monkeypatch.setattr(onnxruntime, "InferenceSession", opened)
    return asked


def test_cuda_that_falls_back_says_what_to_install_and_prints_nothing(
    tiny: ModelFile, fake_cuda: list, capfd: pytest.CaptureFixture
) -> None:
    with pytest.raises(AtaError) as said:
        OnnxRuntime(tiny, "onnxruntime-cuda")
    assert capfd.readouterr().out == ""
    assert str(said.value).endswith("fell back to CPUExecutionProvider; pip install 'onnxruntime-gpu[cuda,cudnn]'")


def test_what_cuda_fails_with_is_said_and_nothing_printed(
    tiny: ModelFile, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    """ONNX Runtime would print the failure on stdout and go on without CUDA."""

    def fails(*_: object) -> None:
        raise RuntimeError("CUDA failure 2: out of memory")

    monkeypatch.setattr(onnxruntime_engine, "missing_driver", lambda: None)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
    monkeypatch.setattr(onnxruntime.InferenceSession, "_create_inference_session", fails)
    with pytest.raises(AtaError, match="CUDA failure 2: out of memory"):
        OnnxRuntime(tiny, "onnxruntime-cuda")
    assert capfd.readouterr().out == ""


def test_cuda_is_asked_for_all_bits_of_float32(tiny: ModelFile, fake_cuda: list) -> None:
    with pytest.raises(AtaError, match="fell back"):
        OnnxRuntime(tiny, "onnxruntime-cuda")
    assert fake_cuda == [("CUDAExecutionProvider", {"use_tf32": "0"})]


@pytest.mark.skipif(missing_driver() is None, reason="there is a CUDA driver here")
def test_without_a_cuda_driver_neither_tensorrt_nor_cuda_is_imported(tiny: ModelFile) -> None:
    """TensorRT's first call would crash the process there."""
    code = (
        "import sys; from gnuradio.ata.engines.choose import engine_report; from gnuradio.ata.model import read_model;"
        f"print(engine_report(read_model({str(tiny.path)!r})));"
        "assert not {'tensorrt', 'cuda', 'pycuda', 'torch'} & set(sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "CUDA driver" in ran.stdout


@pytest.mark.parametrize("which", ["tiny", "shipped"])
def test_half_precision_is_the_same_network(which: str, tiny: ModelFile) -> None:
    """The graph that TensorRT 10 and later is given, computed by ONNX Runtime."""
    model = tiny if which == "tiny" else read_model()
    half = half_precision(model.content())
    graph = onnx.load_model_from_string(half)
    onnx.checker.check_model(graph, full_check=True)
    made = {v.name: v.type.tensor_type.elem_type for v in onnx.shape_inference.infer_shapes(graph).graph.value_info}
    convolutions = [n for n in graph.graph.node if n.op_type == "Conv"]
    assert convolutions
    assert {made[n.output[0]] for n in convolutions} == {onnx.TensorProto.FLOAT16}
    given = images(2, model)
    whole = OnnxRuntime(model, "onnxruntime-cpu").run(given)
    session = onnxruntime.InferenceSession(half, providers=["CPUExecutionProvider"])
    answer = session.run(["logits"], {"spectrogram": given})[0]
    assert answer.dtype == np.float32
    assert np.abs(probabilities(answer) - probabilities(whole)).max() < 1e-2
