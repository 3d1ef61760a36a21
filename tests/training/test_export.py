# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a checkpoint to model files."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from training import export
from training.data import CLASSES
from training.errors import DataError
from training.models import build


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


def test_the_half_copy_says_the_same(checkpoint, tmp_path):
    out, half = tmp_path / "m.onnx", tmp_path / "m16.onnx"
    assert export.main([str(checkpoint), str(out), "--half", str(half)]) == 0
    image = np.random.default_rng(0).uniform(-1, 3, (1, 1, 256, 256)).astype(np.float32)
    full, rough = probability(out, image), probability(half, image)
    assert 0 < np.abs(full - rough).max() < 0.02
    assert half.stat().st_size < 0.6 * out.stat().st_size
    assert [p.value for p in onnx.load(half).metadata_props] == [p.value for p in onnx.load(out).metadata_props]


def test_a_file_that_differs_from_the_network_is_refused(checkpoint, tmp_path):
    out = tmp_path / "m.onnx"
    export.main([str(checkpoint), str(out)])
    with pytest.raises(DataError, match="differs from the trained network"):
        export.check(build("ata_net", len(CLASSES)).eval(), out)


def test_a_network_of_another_front_end_says_so(tmp_path):
    """The runtime refuses what it does not know; it must never take another front end's network for its own."""
    export.export(build("unet", len(CLASSES), width=4), tmp_path / "m.onnx", "x", {"front_end": "mathworks"}, {})
    assert '"normalise": {"style": "mathworks"}' in onnx.load(tmp_path / "m.onnx").metadata_props[0].value


def test_what_is_no_checkpoint_is_one_sentence(tmp_path, capsys):
    (tmp_path / "noise.pt").write_bytes(b"not a checkpoint")
    for path in (tmp_path / "noise.pt", tmp_path / "absent.pt"):
        assert export.main([str(path), str(tmp_path / "m.onnx")]) == 2
        said = capsys.readouterr().err.strip()
        assert str(path) in said and "\n" not in said
