# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Segmenters of other libraries as baselines: built here with fresh weights, nothing is downloaded.

The libraries are optional: `pip install transformers`, `pip install segmentation-models-pytorch`.
"""

from __future__ import annotations

import importlib
from types import ModuleType

import torch
from torch import nn
from torch.nn import functional

from training.errors import DataError


def library(name: str, wanted_by: str) -> ModuleType:
    """Imports a library; DataError where it is missing or does not work with the torch that is here."""
    try:
        return importlib.import_module(name)
    except Exception as failure:  # a torchvision built for another torch fails in ways of its own
        package = name.replace("_", "-")
        raise DataError(f"{wanted_by} needs the library {package} (pip install {package}): {failure}") from failure


class Whole(nn.Module):
    """A network of transformers whose logits are `scale` times smaller than the image, brought to its size."""

    def __init__(self, net: nn.Module, scale: int) -> None:
        super().__init__()
        self.net, self.scale = net, float(scale)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits = self.net(pixel_values=image, return_dict=True).logits
        return functional.interpolate(logits, scale_factor=self.scale, mode="bilinear", align_corners=False)


def deeplabv3plus(classes: int = 4, width: int = 32) -> nn.Module:
    """Chen et al. 2018 on MobileNetV2 at an output stride of 8; batches of 2 at least while training."""
    own = library("transformers", "deeplabv3plus")
    config = own.MobileNetV2Config(num_channels=1, num_labels=classes, output_stride=8, depth_multiplier=width / 32)
    net = own.MobileNetV2ForSemanticSegmentation(config)
    net.mobilenet_v2.conv_1x1 = nn.Identity()  # a classifier's last layer, which the segmenter does not look at
    return Whole(net, config.output_stride)


def segformer(classes: int = 4, width: int = 32) -> nn.Module:
    """Xie et al. 2021, size B0 at the default width."""
    own = library("transformers", "segformer")
    config = own.SegformerConfig(num_channels=1, num_labels=classes, decoder_hidden_size=8 * width,
                                 hidden_sizes=[width, 2 * width, 5 * width, 8 * width])  # fmt: skip
    return Whole(own.SegformerForSemanticSegmentation(config), 4)


def from_smp(name: str, classes: int = 4) -> nn.Module:
    """`smp:ARCH:ENCODER`, for example `smp:unetplusplus:resnet18`; DataError for names that the library does not have."""
    own = library("segmentation_models_pytorch", name)
    _, arch, encoder = name.split(":")
    try:
        return own.create_model(arch, encoder_name=encoder, encoder_weights=None, in_channels=1, classes=classes)
    except (KeyError, RuntimeError) as failure:
        raise DataError(f"segmentation-models-pytorch has no {arch} with {encoder}: {failure}") from failure
