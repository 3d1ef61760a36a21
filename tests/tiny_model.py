# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model file that needs no training: columns that stand out of the noise are LTE."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROWS = COLUMNS = 256
CLASSES = ("noise", "LTE", "NR", "other")
BRIGHT = 0.5  # image units over the floor; 10 dB at scale_db = 20
SLOPE = 20.0  # logits per image unit
METADATA = {
    "format": 1,
    "classes": list(CLASSES),
    "shape": [ROWS, COLUMNS],
    "window": "hann",
    "overlap": 0.5,
    "normalise": {"percentile": 10, "scale_db": 20, "clip": [-1, 3], "floor_db": -80},
    "legend": False,
    "frame_ms": [0.5, 80],
    "default_frame_ms": 40,
    "samp_rate": [0.5e6, 245.76e6],
    "name": "tiny-1",
    "trained": {},
    "metrics": {},
}


def tiny_proto(rows: int = ROWS, columns: int = COLUMNS, **metadata: object) -> onnx.ModelProto:
    """A mean over all rows and 3 columns, then one linear score a class; metadata replaces entries of METADATA."""
    classes = len(CLASSES)
    weights = np.zeros((classes, 1, 1, 1), np.float32)
    weights[1] = SLOPE
    offset = np.array([0, -SLOPE * BRIGHT, -10, -10], np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["spectrogram"], ["column"], axes=[2], keepdims=1),
            helper.make_node(
                "AveragePool", ["column"], ["smooth"], kernel_shape=[1, 3], pads=[0, 1, 0, 1], count_include_pad=0
            ),
            helper.make_node("Conv", ["smooth", "weights", "offset"], ["scores"]),
            helper.make_node("Resize", ["scores", "", "scales"], ["logits"], mode="nearest"),
        ],
        "tiny",
        [helper.make_tensor_value_info("spectrogram", TensorProto.FLOAT, ["N", 1, rows, columns])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", classes, rows, columns])],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(offset, "offset"),
            numpy_helper.from_array(np.array([1, 1, rows, 1], np.float32), "scales"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"ata": json.dumps({**METADATA, "shape": [rows, columns], **metadata})})
    return model


def write_tiny_model(path: Path, **changes: object) -> Path:
    """Writes `tiny_proto(**changes)` -> path."""
    onnx.save(tiny_proto(**changes), str(path))
    return path


def logits_expected(images: np.ndarray) -> np.ndarray:
    """What the network makes of float32 [N, 1, T, F], in numpy -> float32 [N, 4, T, F]."""
    column = images.mean(2, keepdims=True)
    padded = np.pad(column, ((0, 0), (0, 0), (0, 0), (1, 1)))
    looks = np.pad(np.ones(column.shape[-1], np.float32), 1)
    smooth = (padded[..., :-2] + padded[..., 1:-1] + padded[..., 2:]) / (looks[:-2] + looks[1:-1] + looks[2:])
    scores = [np.zeros_like(smooth), SLOPE * (smooth - BRIGHT), np.full_like(smooth, -10), np.full_like(smooth, -10)]
    return np.repeat(np.concatenate(scores, 1), images.shape[2], axis=2).astype(np.float32)
