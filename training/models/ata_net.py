# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shipped network: a small encoder-decoder whose bottom sees whole rows and whole columns of the image."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


def conv(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm (folded away on export) and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class Residual(nn.Module):
    """Two convolutions around a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(width, width), nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(x + self.body(x))


class AxisContext(nn.Module):
    """Adds to every pixel what its whole column (all of time) and its whole row (all of frequency) hold.

    A carrier occupies its columns for the whole frame, and one burst anywhere in time tells whose they are.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.time = nn.Conv2d(width, width, (1, 3), padding=(0, 1))
        self.frequency = nn.Conv2d(width, width, (3, 1), padding=(1, 0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(x + self.time(x.mean(2, keepdim=True)) + self.frequency(x.mean(3, keepdim=True)))


class Up(nn.Module):
    """Doubles the size, joins the encoder's features of that size, and mixes."""

    def __init__(self, below: int, beside: int, outputs: int) -> None:
        super().__init__()
        self.join = conv(below + beside, outputs, 1)
        self.mix = conv(outputs, outputs)

    def forward(self, x: torch.Tensor, beside: torch.Tensor) -> torch.Tensor:
        x = functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
        return self.mix(self.join(torch.cat([x, beside], 1)))


class AtaNet(nn.Module):
    """Sizes T and F have to be multiples of 16.

    Args:
        classes: channels of the logits.
        width: channels at half size; a quarter has 2, an eighth 4, a sixteenth 6 times as many.
    """

    def __init__(self, classes: int = 4, width: int = 16) -> None:
        super().__init__()
        w = width
        self.stem = conv(1, w, 5, 2)
        self.quarter = nn.Sequential(conv(w, 2 * w, 3, 2), Residual(2 * w))
        self.eighth = nn.Sequential(conv(2 * w, 4 * w, 3, 2), Residual(4 * w), AxisContext(4 * w))
        self.sixteenth = nn.Sequential(conv(4 * w, 6 * w, 3, 2), AxisContext(6 * w), Residual(6 * w), AxisContext(6 * w))
        self.up_eighth = Up(6 * w, 4 * w, 4 * w)
        self.up_quarter = Up(4 * w, 2 * w, 2 * w)
        self.up_half = Up(2 * w, w, w)
        self.column = nn.Conv2d(w, w, (1, 5), padding=(0, 2))
        self.head = nn.Conv2d(w, classes, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        stem = self.stem(image)
        quarter = self.quarter(stem)
        eighth = self.eighth(quarter)
        x = self.up_eighth(self.sixteenth(eighth), eighth)
        x = self.up_half(self.up_quarter(x, quarter), stem)
        x = functional.relu(x + self.column(x.mean(2, keepdim=True)))
        return functional.interpolate(self.head(x), scale_factor=2.0, mode="bilinear", align_corners=False)
