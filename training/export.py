# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A trained segmenter as the model file that the runtime reads (docs/engines.md, "What a model file may hold").

usage: python training/export.py CHECKPOINT OUT.onnx [--half OUT16.onnx] [--engine] [--int8 OUT8.onnx]

--half writes a copy that computes in float16, float32 at both ends, for TensorRT 10 and later, which take the precision
from the graph. --engine builds OUT.engine from that, checks that it computes in float16 and gives what ONNX Runtime
gives. Engines belong to a machine: the block builds its own from OUT.onnx (`ata-sense replay --engine tensorrt`).
--int8 writes a copy for CPUs that computes in 8-bit integers, its ranges taken from scenes of the training's preset.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import warnings
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import onnx
import onnxruntime
import torch
from torch import nn

from training.data import CLASSES, COLUMNS, ROWS
from training.errors import DataError, command
from training.int8 import angular_nodes, calibration_images, export_int8
from training.metrics import largest_difference
from training.models import build
from training.tensorrt_engine import build_engine, import_tensorrt, noise_images
from training.writing import replacing

OPSET = 17  # the last that TensorRT 8.6 reads
LARGEST_DIFFERENCE = 1e-3  # of a probability, ONNX Runtime re torch

FRONT_END = {
    "format": 1,
    "classes": list(CLASSES),
    "shape": [ROWS, COLUMNS],
    "window": "hann",
    "overlap": 0.5,
    "normalise": {"percentile": 10, "scale_db": 20, "clip": [-1, 3], "floor_db": -60},
    "legend": True,
    "frame_ms": [0.5, 80],
    "default_frame_ms": 40,
    "samp_rate": [0.5e6, 245.76e6],
}


def export(net: nn.Module, path: Path, name: str, trained: dict, metrics: dict) -> None:
    """Writes the ONNX file with its metadata, in place of another one only once it is checked; DataError if its output is
    not torch's."""
    net = net.eval().to("cpu", memory_format=torch.contiguous_format)
    front_end = FRONT_END
    if (style := trained.get("front_end", "ata")) != "ata":  # no runtime has it, and each refuses what it does not know
        front_end = {**FRONT_END, "normalise": {"style": style}, "legend": False}
    with replacing(path) as part:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                net, (torch.zeros(2, 1, ROWS, COLUMNS),), str(part), dynamo=False, opset_version=OPSET,
                input_names=["spectrogram"], output_names=["logits"],
                dynamic_axes={"spectrogram": {0: "N"}, "logits": {0: "N"}},
            )  # fmt: skip
        model = onnx.load(str(part))
        entry = model.metadata_props.add()
        entry.key = "ata"
        entry.value = json.dumps({**front_end, "name": name, "trained": trained, "metrics": metrics})
        onnx.checker.check_model(model)
        onnx.save(model, str(part))
        check(net, part)


def export_half(path: Path, out: Path) -> None:
    """A copy of a model file with weights and arithmetic in float16; means, and all that leads to an angle, stay
    float32."""
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    kept = [*DEFAULT_OP_BLOCK_LIST, "AveragePool", "ReduceMean", "GlobalAveragePool"]  # sums of 65536 overflow
    model = onnx.load(str(path))
    half = convert_float_to_float16(
        model, keep_io_types=True, op_block_list=kept, node_block_list=angular_nodes(model)
    )
    OnnxModel(half).remove_cascaded_cast_nodes()  # float32 to float32 went through float16
    OnnxModel.graph_topological_sort(half.graph)  # the conversion appends its casts at the end
    onnx.checker.check_model(half)
    with replacing(out) as part:
        onnx.save(half, str(part))


def with_engine(path: Path) -> None:
    """Builds a model file's TensorRT engine beside it and says how far it is from ONNX Runtime."""
    with tempfile.TemporaryDirectory() as folder:
        half = Path(folder) / "half.onnx"
        export_half(path, half)
        engine, worst = build_engine(path, half)
    print(f"wrote {engine}: float16, within {worst:.1e} of ONNX Runtime's probabilities")


def check(net: nn.Module, path: Path) -> float:
    """-> largest difference of a probability between torch and ONNX Runtime, for batches of 1 and 3."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    pairs = []
    for batch in (1, 3):
        image = noise_images(batch, (ROWS, COLUMNS))
        with torch.no_grad():
            ours = net(image)
        (theirs,) = session.run(["logits"], {"spectrogram": image.numpy()})
        pairs.append((ours, torch.from_numpy(theirs)))
    worst = largest_difference(pairs)
    if not worst <= LARGEST_DIFFERENCE:
        raise DataError(f"the model file differs from the trained network by {worst:.1e} in probability: it is not kept")
    return worst


def read_checkpoint(path: Path, device: str = "cpu", more: tuple[str, ...] = ()) -> dict:
    """What `train.py` saved; DataError where it is something else, or lacks what is read here or one of `more`."""
    if not path.exists():
        raise DataError(f"there is no checkpoint at {path}")
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        for name in ("segmenter", "average", "trained", *more):
            state[name]
    except Exception as failure:  # torch tells wrong files in a dozen ways
        raise DataError(f"{path} is not a checkpoint of train.py, or one of another version") from failure
    return state


def read_network(path: Path) -> tuple[nn.Module, dict]:
    """-> the averaged network of a checkpoint, and all that is in it; DataError where it cannot be built."""
    state = read_checkpoint(path, more=("name", "metrics"))
    try:
        net = build(state["segmenter"], len(CLASSES), **state.get("options", {}))
    except TypeError as failure:
        raise DataError(f"{path} is of a network whose options this version does not have") from failure
    take_weights(net, state["average"], path)
    return net, state


def take_weights(net: nn.Module, weights: dict, path: Path) -> None:
    """Gives a network the weights of a checkpoint, which came from `path`; DataError where they are another network's."""
    try:
        net.load_state_dict(weights)
    except RuntimeError as failure:
        raise DataError(f"{path} holds the weights of another network, perhaps an earlier version's") from failure


@command("export")
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--half", type=Path, help="write a float16 copy here too")
    parser.add_argument("--engine", action="store_true", help="build a TensorRT engine beside OUT (needs a GPU)")
    parser.add_argument("--int8", type=Path, help="write a copy in 8-bit integers here, for CPUs")
    args = parser.parse_args(argv)
    if args.engine:
        import_tensorrt()  # before anything is written
    net, state = read_network(args.checkpoint)
    export(net, args.out, state["name"], state["trained"], state["metrics"])
    if args.half:
        export_half(args.out, args.half)
    if args.engine:
        with_engine(args.out)
    if args.int8:
        trained = state["trained"]
        images = calibration_images(trained.get("data"), trained.get("front_end", "ata"))
        changed = export_int8(args.out, args.int8, images)
        print(f"wrote {args.int8}: 8 bits change the class of {changed:.2%} of the columns")
    print(f"wrote {args.out}, {args.out.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
