# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network's image from samples, in torch: the same as the runtime's kernel gives, batched, on CPU and GPU."""

from __future__ import annotations

import torch

SEGMENTS_AT_ONCE = 4096  # bounds the memory of one batch of FFTs


def frame_geometry(count: int, rows: int, columns: int, overlap: float = 0.5) -> tuple[int, int]:
    """-> (hop, segments) of a frame of `count` samples. ValueError for a frame too short to fill every row."""
    if count < columns + rows - 1:
        raise ValueError(f"a frame of {count} samples is too short for {rows} rows of {columns} columns")
    hop = max(1, round(columns * (1 - overlap)))
    if (count - columns) // hop + 1 < rows and rows > 1:
        hop = max(1, (count - columns) // (rows - 1))
    return hop, (count - columns) // hop + 1


def pixel_power(iq: torch.Tensor, rows: int = 256, columns: int = 256, overlap: float = 0.5) -> torch.Tensor:
    """complex64 [B, N] -> float32 [B, rows, columns]: mean |FFT|^2 of each row's Hann-windowed segments, DC at F/2.

    Samples that are not finite count as zero.
    """
    hop, segments = frame_geometry(iq.shape[1], rows, columns, overlap)
    iq = torch.where(torch.isfinite(iq.real) & torch.isfinite(iq.imag), iq, torch.zeros_like(iq))
    window = torch.hann_window(columns, periodic=True, device=iq.device)
    row = torch.arange(segments, device=iq.device) * rows // segments
    total = torch.zeros(iq.shape[0], rows, columns, device=iq.device)
    pieces = iq.unfold(1, columns, hop)
    for first in range(0, segments, SEGMENTS_AT_ONCE):
        part = slice(first, first + SEGMENTS_AT_ONCE)
        spectrum = torch.fft.fft(pieces[:, part] * window)
        total.index_add_(1, row[part], torch.view_as_real(spectrum).square().sum(-1))
    total /= torch.bincount(row, minlength=rows)[:, None]
    return torch.fft.fftshift(total, dim=2)


def normalise(power: torch.Tensor, percentile: float = 10, scale_db: float = 20, clip: tuple[float, float] = (-1, 3),
              floor_db: float = -80) -> torch.Tensor:
    """Pixel powers float32 [B, T, F] -> images of the same shape: dB over each frame's floor, scaled and clipped."""
    largest = power.amax((1, 2), keepdim=True)
    level = 10 * torch.log10(power + 10 ** (floor_db / 10) * largest)
    floor = torch.quantile(level.flatten(1), percentile / 100, dim=1)[:, None, None]
    image = ((level - floor) / scale_db).clamp(*clip)
    return torch.where(largest > 0, image, torch.zeros_like(image))


def mathworks_image(iq: torch.Tensor, size: int = 256) -> torch.Tensor:
    """complex64 [B, N] -> float32 [B, 1, size, size]: the image of MathWorks' 5G/LTE sensing example.

    Hann window of 256, overlap of 10 samples, 4096 bins, dB, min-max per image, nearest-neighbour resize.
    """
    segments = iq.unfold(1, 256, 246)
    # Only the rows that the resize keeps are transformed.
    kept = segments[:, ((torch.arange(size, device=iq.device) + 0.5) * segments.shape[1] / size).long()]
    window = torch.hann_window(256, periodic=False, device=iq.device)
    spectrum = torch.fft.fftshift(torch.fft.fft(kept * window, 4096), dim=2)
    columns = ((torch.arange(size, device=iq.device) + 0.5) * 4096 / size).long()
    level = 10 * torch.log10(torch.view_as_real(spectrum).square().sum(-1) + torch.finfo(torch.float32).tiny)
    low, high = level.amin((1, 2), keepdim=True), level.amax((1, 2), keepdim=True)
    return ((level - low) / (high - low).clamp(min=1e-6))[:, :, columns].unsqueeze(1)
