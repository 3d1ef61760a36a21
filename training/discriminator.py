# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks that tell a label map from a segmenter's output; gone after training."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class Patch(nn.Module):
    """Fully convolutional, as Hung et al. 2018: stride-2 convolutions, leaky ReLU, no batch norm.

    Args: inputs: channels (classes, and one more for the spectrogram where it is a condition); width: of the first layer.
    Maps float32 [N, inputs, T, F] -> logits [N, 1, T / 32, F / 32], one for each patch.
    """

    def __init__(self, inputs: int, width: int = 16) -> None:
        super().__init__()
        sizes = [inputs, width, 2 * width, 4 * width, 8 * width]
        self.layers = nn.ModuleList(nn.Conv2d(i, o, 4, 2, 1) for i, o in zip(sizes, sizes[1:], strict=False))
        self.head = nn.Conv2d(8 * width, 1, 4, 2, 1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            maps = functional.leaky_relu(layer(maps), 0.2)
        return self.head(maps)


class Hourglass(nn.Module):
    """The paper's figure: double convolutions of 4 32 64 128 64 32 4 channels, a confidence (as logit) for each pixel."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        sizes = [inputs, 4, 32, 64, 128, 64, 32, 4]
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(i, o, 3, 1, 1), nn.ReLU(), nn.Conv2d(o, o, 3, 1, 1), nn.ReLU())
            for i, o in zip(sizes, sizes[1:], strict=False)
        )
        self.head = nn.Conv2d(4, 1, 1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        for index, block in enumerate(self.blocks):
            if 1 <= index <= 3:
                maps = functional.max_pool2d(maps, 2)
            elif index >= 4:
                maps = functional.interpolate(maps, scale_factor=2.0, mode="bilinear", align_corners=False)
            maps = block(maps)
        return self.head(maps)
