# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every segmenter: the shapes, a gradient everywhere, and the model file it becomes."""

import json
import sys

import onnx
import pytest
import torch

from training.data import CLASSES, COLUMNS, ROWS
from training.errors import DataError
from training.export import export
from training.models import SEGMENTERS, build
from training.models.rhythm import FAINTEST, FLATTEST, FREQS, GROUP, WIDER, Rhythm
from training.spectrogram import with_legend

NARROW = {"unet": {"width": 4}, "unetpp": {"width": 4}, "deeplabv3plus": {"width": 8}, "segformer": {"width": 8}}
SMP = "smp:unetplusplus:resnet18"
# What a model file may hold (docs/engines.md); what a Conv, a Resize and a mean need beside it are constants and shapes.
ALLOWED = {"Conv", "Relu", "Clip", "HardSwish", "Sigmoid", "Add", "Mul", "Concat", "MaxPool", "AveragePool",
           "GlobalAveragePool", "ReduceMean", "Resize", "Constant",
           "Cos", "Sin", "MatMul", "Exp", "Log", "Floor"}  # fmt: skip


def portable(name: str) -> bool:
    """Whether a segmenter is made of the contract's operators: ours are, transformers are baselines."""
    return name in ("ata_net", "unet", "unetpp")


@pytest.fixture(params=[*SEGMENTERS, SMP])
def name(request) -> str:
    return request.param


def narrow(name: str) -> torch.nn.Module:
    if portable(name):
        return build(name, len(CLASSES), **NARROW.get(name, {}))
    try:  # of a library that may not be here
        return build(name, len(CLASSES), **NARROW.get(name, {}))
    except DataError as failure:
        pytest.skip(str(failure))


def test_every_parameter_gets_a_gradient(name):
    torch.manual_seed(0)
    net = narrow(name)
    logits = net(torch.randn(2, 1, ROWS, COLUMNS))
    assert logits.shape == (2, len(CLASSES), ROWS, COLUMNS)
    torch.nn.functional.cross_entropy(logits, torch.randint(0, 4, (2, ROWS, COLUMNS))).backward()
    idle = [n for n, p in net.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert not idle


def test_export_equals_torch_at_batch_1_and_3(name, tmp_path):
    """`export` itself compares with ONNX Runtime and raises; here the file is held to the contract."""
    torch.manual_seed(0)
    net = narrow(name)
    net.train()
    with torch.no_grad():
        net(2 * torch.randn(4, 1, ROWS, COLUMNS) + 1)  # statistics that are not the trivial ones
    export(net, tmp_path / "m.onnx", "test-1", {"seed": 0}, {})
    model = onnx.load(tmp_path / "m.onnx")
    assert model.ir_version <= 9 and model.opset_import[0].version <= 17
    (given,), (made,) = model.graph.input, model.graph.output
    assert (given.name, made.name) == ("spectrogram", "logits")
    for tensor in (given, made):
        batch = tensor.type.tensor_type.shape.dim[0]
        assert batch.dim_param and not batch.dim_value
    if portable(name):
        assert {n.op_type for n in model.graph.node} <= ALLOWED
    (entry,) = model.metadata_props
    assert entry.key == "ata" and json.loads(entry.value)["classes"] == list(CLASSES)


@pytest.mark.parametrize(("row_us", "freq"), [(156.25, 200.0), (156.25, 1000.0), (156.25, 14000.0), (39.0, 2000.0)])
def test_rhythm_hears_hertz_whatever_a_row_lasts(row_us, freq):
    """14 kHz over rows of 156 us is heard at an alias, but heard. Noise is silent beside it."""
    beat = torch.sin(2 * torch.pi * freq * row_us * 1e-6 * torch.arange(ROWS) + 1)
    image = 0.1 * torch.randn(1, 1, ROWS, COLUMNS, generator=torch.Generator().manual_seed(1))
    image[..., :64] += 0.1 * beat[:, None]
    heard = Rhythm()(with_legend(image, round(ROWS * row_us * 20), 20e6), image)
    assert heard.shape == (1, 2, len(FREQS), COLUMNS // GROUP)
    share = heard[0, 0, FREQS.index(freq)]
    assert (share[: 64 // GROUP] > -0.5).all() and (share[64 // GROUP :] < -1).all()
    others = [k for k, f in enumerate(FREQS) if 1 / row_us * 1e6 > 2 * f and abs(f - freq) > 60]
    assert freq > 14e3 / 2 or (heard[0, 0, others, : 64 // GROUP] < share[: 64 // GROUP] - 1).all()


def test_rhythm_is_the_fourier_transform_of_the_rows():
    """Of each group's level less its mean, and of the mean of nine groups, or of those that there are at the edges."""
    picture = torch.randn(1, 1, ROWS, COLUMNS, generator=torch.Generator().manual_seed(2))
    image = with_legend(picture, round(0.04 * 61.44e6), 61.44e6)
    level = picture.double().reshape(ROWS, COLUMNS // GROUP, GROUP).mean(2)
    level -= level.mean(0)
    groups = COLUMNS // GROUP
    near = (torch.arange(groups)[:, None] - torch.arange(groups)).abs() <= WIDER // 2
    row = 10 ** image[0, 0, 0, 0].double() * 1e-6
    wave = torch.exp(2j * torch.pi * torch.tensor(FREQS).double()[:, None] * row * torch.arange(ROWS))
    variance = level.square().mean(0) + FLATTEST
    for heard, part in zip(Rhythm()(image, picture)[0], (level, level @ (near / near.sum(0)).double()), strict=True):
        line = 2 / ROWS**2 * (wave @ part.to(wave.dtype)).abs().square() / variance
        torch.testing.assert_close(heard.double(), torch.log10(line + FAINTEST), atol=0.02, rtol=0)


def test_the_shipped_network_is_small():
    parameters = sum(p.numel() for p in build("ata_net").parameters())
    assert parameters * 4 < 6e6


@pytest.mark.parametrize("name", ["resnet9000", "smp:unetplusplus", "smp:"])
def test_unknown_name_is_one_sentence(name):
    with pytest.raises(DataError, match="choose one of"):
        build(name)


@pytest.mark.parametrize(("name", "package"), [("segformer", "transformers"), (SMP, "segmentation-models-pytorch")])
def test_a_library_that_does_not_load_is_one_sentence(name, package, monkeypatch):
    """Missing, or in the way that a torchvision of another torch fails."""
    monkeypatch.setitem(sys.modules, package.replace("-", "_"), None)
    with pytest.raises(DataError, match=rf"{name} needs the library {package} \(pip install {package}\)") as failure:
        build(name)
    assert "\n" not in str(failure.value)


def test_a_width_that_smp_does_not_have_is_refused():
    with pytest.raises(DataError, match="no --width"):
        build(SMP, width=8)
