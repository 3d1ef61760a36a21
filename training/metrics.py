# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One confusion matrix, and every figure from it."""

from __future__ import annotations

import torch


class Confusion:
    """Counts of (truth, output) pairs of classes, over as many images as one likes."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        self.counts = torch.zeros(len(classes), len(classes), dtype=torch.int64)

    def add(self, truth: torch.Tensor, output: torch.Tensor) -> None:
        """Class ids of equal shape."""
        pairs = truth.long().reshape(-1) * len(self.classes) + output.long().reshape(-1)
        self.counts += torch.bincount(pairs, minlength=self.counts.numel()).view_as(self.counts)

    def figures(self) -> dict[str, float | dict[str, dict[str, float]]]:
        """Mean class accuracy, mIoU, macro F1, precision, and the same by class; classes never seen are left out."""
        c = self.counts.double()
        right, there, said = c.diag(), c.sum(1), c.sum(0)
        seen = there > 0
        iou = right / (there + said - right).clamp(min=1)
        recall, precision = right / there.clamp(min=1), right / said.clamp(min=1)
        f1 = 2 * right / (there + said).clamp(min=1)
        return {
            "mean_accuracy": float(recall[seen].mean()),
            "miou": float(iou[seen].mean()),
            "f1": float(f1[seen].mean()),
            "precision": float(precision[seen].mean()),
            "classes": {
                name: {"iou": round(float(iou[i]), 4), "recall": round(float(recall[i]), 4),
                       "precision": round(float(precision[i]), 4), "f1": round(float(f1[i]), 4)}
                for i, name in enumerate(self.classes) if seen[i]
            },
        }


class Pixels:
    """The confusion matrices of pixels and of columns, filled from batches."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.pixels, self.columns = Confusion(classes), Confusion(classes)

    def add(self, probability: torch.Tensor, truth: torch.Tensor) -> None:
        """Probability [B, C, T, F] and each column's class, uint8 [B, F]."""
        self.pixels.add(truth[:, None, :].expand(-1, probability.shape[2], -1), probability.argmax(1))
        self.columns.add(truth, probability.mean(2).argmax(1))

    def merge(self, other: Pixels) -> None:
        self.pixels.counts += other.pixels.counts
        self.columns.counts += other.columns.counts

    def figures(self) -> dict:
        """Of both, and the pixels' matrix: rows are truth, each sums to 1."""
        counts = self.pixels.counts.double()
        rows = (counts / counts.sum(1, keepdim=True).clamp(min=1)).tolist()
        return {"pixels": self.pixels.figures(), "column_mean": self.columns.figures(),
                "confusion": [[round(v, 5) for v in row] for row in rows]}  # fmt: skip


def largest_difference(pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> float:
    """Of a probability between two networks' logits [B, C, T, F]; not a number where one of those is none."""
    return float(torch.stack([(ours.softmax(1) - theirs.softmax(1)).abs().max() for ours, theirs in pairs]).max())
