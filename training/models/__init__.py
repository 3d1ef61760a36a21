# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Segmenters by name: images float32 [N, 1, T, F] in, logits [N, classes, T, F] out."""

from __future__ import annotations

import re

from torch import nn

from training.errors import DataError
from training.models.ata_net import AtaNet
from training.models.libraries import deeplabv3plus, from_smp, segformer
from training.models.unet import UNet, UNetPlusPlus

SEGMENTERS = {
    "ata_net": AtaNet, "unet": UNet, "unetpp": UNetPlusPlus, "deeplabv3plus": deeplabv3plus, "segformer": segformer,
}  # fmt: skip
NAMES = f"{', '.join(SEGMENTERS)}, smp:ARCH:ENCODER"


def build(name: str, classes: int = 4, **options: object) -> nn.Module:
    """A segmenter with fresh weights; DataError for an unknown name, or where its library is missing.

    Args:
        name: one of `SEGMENTERS`, or `smp:ARCH:ENCODER` for what segmentation_models_pytorch has.
        options: `width`, the channels of the first layer (not for smp).
    """
    if re.fullmatch(r"smp:\w+:[\w-]+", name):
        if options:
            raise DataError(f"{name} has no --{next(iter(options))}: its encoder sets the size")
        return from_smp(name, classes)
    if name not in SEGMENTERS:
        raise DataError(f"there is no segmenter {name!r}: choose one of {NAMES}")
    return SEGMENTERS[name](classes=classes, **options)
