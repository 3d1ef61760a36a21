# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a training begins with: the weights of another run's checkpoint, or those in a model file, the shipped one too."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import torch
from torch import nn

from training.errors import DataError
from training.export import read_checkpoint
from training.scene_images import COLUMNS, ROWS

LEAST = 0.5  # of the weights, that those of another run have to fit


def begin_with(net: nn.Module, path: Path, device: str) -> tuple[dict, list[str]]:
    """Gives a network the weights in `path` -> what they were trained on, with their share of the network, and the names of
    the batch norms that are folded away: all of a model file's, and those that a checkpoint's run began with so. Layers
    that such a checkpoint lacks, for the network has grown, keep norms of their own.

    DataError where `path` holds no weights, too few that fit, or, for a model file, not exactly this network.
    """
    if path.suffix == ".onnx":
        return _model(net, path), [name for name, layer in net.named_modules() if isinstance(layer, nn.BatchNorm2d)]
    state = read_checkpoint(path, device)
    own = net.state_dict()
    fitting = {k: v for k, v in state["average"].items() if k in own and own[k].shape == v.shape}
    sizes = {k: p.numel() for k, p in net.named_parameters()}
    share = sum(sizes[k] for k in fitting if k in sizes) / sum(sizes.values())
    if share < LEAST:
        raise DataError(f"{path} is of another network: only {share:.0%} of the weights fit")
    net.load_state_dict(fitting, strict=False)
    settled = [name for name in state.get("settled", ()) if f"{name}.running_var" in fitting]
    return {**state["trained"], "taken": round(share, 3)}, settled


def _model(net: nn.Module, path: Path) -> dict:
    if not path.exists():
        raise DataError(f"there is no model file at {path}")
    try:
        model = onnx.load(str(path))
        trained = json.loads(next(p.value for p in model.metadata_props if p.key == "ata"))["trained"]
    except Exception as failure:  # protobuf and JSON tell wrong files in many ways
        raise DataError(f"{path} is not a model file of this project") from failure
    unfold(net, model, path)
    return {**trained, "taken": 1.0}


@torch.no_grad()
def unfold(net: nn.Module, model: onnx.ModelProto, path: Path) -> None:
    """Gives a network the weights of its own exported graph; DataError, which names `path`, where it is not its own.

    Export folds each batch norm into the convolution before it, and there it stays: the norm becomes an offset. Training
    has to leave it at that (`eval`): a batch's own statistics would be another function, and a worse one.
    """
    stored = {i.name: torch.from_numpy(onnx.numpy_helper.to_array(i).copy()) for i in model.graph.initializer}
    nodes = [[stored.get(name) for name in node.input[1:]] for node in model.graph.node if node.op_type == "Conv"]
    net.eval()
    layers = _layers(net, torch.zeros(1, 1, ROWS, COLUMNS, device=next(net.parameters()).device))
    fits = len(nodes) == len(layers) and all(
        len(node) == 2 and node[0] is not None and node[0].shape == conv.weight.shape
        for node, (conv, _) in zip(nodes, layers, strict=True)
    )
    reached = {p for pair in layers for layer in pair if layer is not None for p in layer.parameters()}
    if not fits or reached != set(net.parameters()):
        raise DataError(f"{path} is of another network, or of one whose weights cannot be taken back from a model file")
    for (weight, bias), (conv, norm) in zip(nodes, layers, strict=True):
        conv.weight.copy_(weight)
        (conv if norm is None else norm).bias.copy_(bias)
        if norm is not None:
            norm.running_mean.zero_()
            norm.running_var.fill_(1 - norm.eps)
            norm.weight.fill_(1)


def _layers(net: nn.Module, image: torch.Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d | None]]:
    """Convolutions in the order in which they run, each with the batch norm that follows it."""
    layers: list[tuple[nn.Conv2d, nn.BatchNorm2d | None]] = []
    last: list[torch.Tensor] = []

    def convolved(layer: nn.Module, given: tuple, made: torch.Tensor) -> None:
        layers.append((layer, None))
        last[:] = [made]

    def normalised(layer: nn.Module, given: tuple) -> None:
        if last and given[0] is last[0]:
            layers[-1] = (layers[-1][0], layer)

    hooks = [m.register_forward_hook(convolved) for m in net.modules() if isinstance(m, nn.Conv2d)]
    hooks += [m.register_forward_pre_hook(normalised) for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    net(image)
    for hook in hooks:
        hook.remove()
    return layers
