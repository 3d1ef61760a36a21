# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of a model file that computes in 8-bit integers (Q/DQ), for CPUs; its ranges come from scenes."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime.transformers.onnx_model import OnnxModel
from tqdm import tqdm

from training.data import Drawn
from training.errors import DataError
from training.scene_draw import PRESETS
from training.writing import replacing

SCENES = 64
CALIBRATION_SEEDS = 3 << 40  # far from those of training, validation and test
ANGULAR = {"Cos", "Sin", "Exp", "Log", "Floor"}
MOST_CHANGED = 0.02  # share of columns that may get another class


def angular_nodes(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes that compute an angle or its likes, of thousands of rad, and of all that they are computed from."""
    graph = OnnxModel(model)
    angular = [node for node in graph.nodes() if node.op_type in ANGULAR]
    return [n.name for node in angular for n in (node, *graph.get_parent_subgraph_nodes(node, []))]


def calibration_images(data: str | None, front_end: str = "ata") -> list[np.ndarray]:
    """SCENES images, float32 [1, 1, T, F], of scenes that nothing else uses: of the preset that a model was trained on, or
    of `wideband` where `data` names none, and through its own front end."""
    drawn = Drawn(data if data in PRESETS else "wideband", CALIBRATION_SEEDS, front_end=front_end)
    return [drawn[i][0][None].numpy() for i in tqdm(range(SCENES), desc="calibration", unit="scene", disable=None)]


def export_int8(path: Path, out: Path, images: list[np.ndarray]) -> float:
    """Writes the copy -> share of the images' columns whose class it changes; DataError, and no copy, where that is too
    much.

    Weights are per channel and 7 bits wide, so that sums do not saturate on CPUs without VNNI.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.left: Iterator[np.ndarray] = iter(images)

        def get_next(self) -> dict | None:
            image = next(self.left, None)
            return None if image is None else {"spectrogram": image}

    metadata = [p for p in onnx.load(str(path)).metadata_props if p.key == "ata"]
    with tempfile.TemporaryDirectory() as folder, replacing(out) as part:
        folded = Path(folder) / "folded.onnx"
        logging.disable(logging.WARNING)  # it advises to do what is done here
        try:
            quant_pre_process(str(path), str(folded), skip_symbolic_shape=True)
            whole = onnx.load(str(folded))
            exact = angular_nodes(whole)
            made = {name for node in whole.graph.node if node.name in exact for name in node.output}
            # and what reads them: a value that one node reads in 8 bits, all of its readers do
            exact += [node.name for node in whole.graph.node if made & set(node.input)]
            quantize_static(str(folded), str(part), Reader(), QuantFormat.QDQ, per_channel=True, reduce_range=True,
                            nodes_to_exclude=exact)  # fmt: skip
        finally:
            logging.disable(logging.NOTSET)
        model = onnx.load(str(part))
        del model.metadata_props[:]
        model.metadata_props.extend(metadata)
        own = [o for o in model.opset_import if o.domain == ""]
        del model.opset_import[:]  # the tools declare domains that nothing here uses
        model.opset_import.extend(own)
        onnx.checker.check_model(model)
        onnx.save(model, str(part))
        changed = float(np.mean([_columns(path, images) != _columns(part, images)]))
        if changed > MOST_CHANGED:
            raise DataError(f"8 bits change the class of {changed:.1%} of the columns: {out} is not worth having")
    return changed


def _columns(path: Path, images: list[np.ndarray]) -> np.ndarray:
    """Class of each image's columns, int64 [images, F]."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    logits = (session.run(["logits"], {"spectrogram": image})[0][0] for image in images)
    return np.stack([(np.exp(x - x.max(0)) / np.exp(x - x.max(0)).sum(0)).mean(1).argmax(0) for x in logits])
