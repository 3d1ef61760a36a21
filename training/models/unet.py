# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""U-Net and U-Net++ of selectable width, the baselines of this field."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from training.models.ata_net import conv


def _double(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(conv(inputs, outputs), conv(outputs, outputs))


def _twice(x: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class UNet(nn.Module):
    """Ronneberger et al. 2015 with batch norm: five levels of `width` x 1, 2, 4, 8, 16 channels."""

    def __init__(self, classes: int = 4, width: int = 32) -> None:
        super().__init__()
        sizes = [width << i for i in range(5)]
        self.down = nn.ModuleList(_double(i, o) for i, o in zip([1, *sizes], sizes, strict=False))
        self.up = nn.ModuleList(_double(sizes[i + 1] + sizes[i], sizes[i]) for i in range(4))
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        skips, x = [], image
        for level, block in enumerate(self.down):
            x = block(functional.max_pool2d(x, 2) if level else x)
            skips.append(x)
        for level in (3, 2, 1, 0):
            x = self.up[level](torch.cat([_twice(x), skips[level]], 1))
        return self.head(x)


class UNetPlusPlus(nn.Module):
    """Zhou et al. 2018: nested skips; x[i, j] joins x[i, 0..j-1] and what lies below."""

    def __init__(self, classes: int = 4, width: int = 16) -> None:
        super().__init__()
        sizes = [width << i for i in range(5)]
        self.down = nn.ModuleList(_double(i, o) for i, o in zip([1, *sizes], sizes, strict=False))
        self.nested = nn.ModuleDict(
            {f"{i},{j}": _double(sizes[i] * j + sizes[i + 1], sizes[i]) for j in range(1, 5) for i in range(5 - j)}
        )
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        rows: list[list[torch.Tensor]] = []
        x = image
        for level, block in enumerate(self.down):
            x = block(functional.max_pool2d(x, 2) if level else x)
            rows.append([x])
        for j in range(1, 5):
            for i in range(5 - j):
                rows[i].append(self.nested[f"{i},{j}"](torch.cat([*rows[i][:j], _twice(rows[i + 1][j - 1])], 1)))
        return self.head(rows[0][4])
