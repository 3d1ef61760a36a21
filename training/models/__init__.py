# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Segmenters by name: images float32 [N, 1, T, F] in, logits [N, classes, T, F] out."""

from __future__ import annotations

from torch import nn

from training.errors import DataError
from training.models.ata_net import AtaNet
from training.models.unet import UNet, UNetPlusPlus

SEGMENTERS = {"ata_net": AtaNet, "unet": UNet, "unetpp": UNetPlusPlus}


def build(name: str, classes: int = 4, **options: object) -> nn.Module:
    """A segmenter with fresh weights; DataError for a name that is not in `SEGMENTERS`."""
    if name not in SEGMENTERS:
        raise DataError(f"there is no segmenter {name!r}: choose one of {', '.join(SEGMENTERS)}")
    return SEGMENTERS[name](classes=classes, **options)
