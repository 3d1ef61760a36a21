# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network's image from samples, in torch: the same as the runtime's kernel gives, batched, on CPU and GPU."""

from __future__ import annotations

import math

import torch

from training.batches import AT_ONCE, batches
from training.waveforms.waveform import squared


def frame_geometry(count: int, rows: int, columns: int, overlap: float = 0.5) -> tuple[int, int]:
    """-> (hop, segments) of a frame of `count` samples. ValueError for a frame too short to fill every row."""
    if count < columns + rows - 1:
        raise ValueError(f"a frame of {count} samples is too short for {rows} rows of {columns} columns")
    hop = max(1, int(columns * (1 - overlap) + 0.5))
    if (count - columns) // hop + 1 < rows:
        hop = (count - columns) // (rows - 1)
    return hop, (count - columns) // hop + 1


def pixel_power(iq: torch.Tensor, rows: int = 256, columns: int = 256, overlap: float = 0.5) -> torch.Tensor:
    """complex64 [B, N] -> float32 [B, rows, columns]: mean |FFT|^2 of each row's Hann-windowed segments, DC at F/2.

    Samples that are not finite count as zero.
    """
    hop, segments = frame_geometry(iq.shape[1], rows, columns, overlap)
    # elsewhere than on a CPU, to ask is to wait; here it is one pass where, as nearly always, all are finite
    if iq.device.type != "cpu" or not bool(torch.isfinite(torch.view_as_real(iq).sum())):
        iq = torch.where(torch.isfinite(iq.real) & torch.isfinite(iq.imag), iq, torch.zeros_like(iq))
    window = torch.hann_window(columns, periodic=True, device=iq.device)
    row = torch.arange(segments, device=iq.device) * rows // segments
    total = torch.zeros(iq.shape[0], rows, columns, device=iq.device)
    pieces = iq.unfold(1, columns, hop)
    for part in batches(segments, iq.shape[0] * columns, AT_ONCE, iq.device):
        total.index_add_(1, row[part], squared(torch.fft.fft(pieces[:, part] * window)))
    bounds = -(-torch.arange(rows + 1) * segments // rows)
    total /= torch.diff(bounds)[:, None].to(iq.device, non_blocking=True)  # segments of each row
    return torch.fft.fftshift(total, dim=2)


def normalise(
    power: torch.Tensor,
    percentile: float = 10,
    scale_db: float = 20,
    clip: tuple[float, float] = (-1, 3),
    floor_db: float = -60,
) -> torch.Tensor:
    """Pixel powers float32 [B, T, F] -> images of the same shape: dB over each frame's floor, scaled and clipped.

    A frame of nothing but zeros becomes an image of zeros.
    """
    largest = power.amax((1, 2), keepdim=True)
    level = 10 * torch.log10(power / largest + 10 ** (floor_db / 10))
    # Two order statistics: torch.quantile sorts everything, and refuses more than 16 M elements, a batch of 256.
    pixels = level.flatten(1)
    at = percentile / 100 * (pixels.shape[1] - 1)
    below, above = (pixels.kthvalue(k + 1, dim=1).values for k in (math.floor(at), math.ceil(at)))
    floor = torch.lerp(below, above, at % 1)[:, None, None]
    image = ((level - floor) / scale_db).clamp(*clip)
    return torch.where(largest > 0, image, 0.0)


def with_legend(images: torch.Tensor, count: int, samp_rate: float) -> torch.Tensor:
    """Images [..., T, F] of frames of `count` samples at `samp_rate` Hz -> copies whose column 0 tells their scale.

    As on a map: log10 of the time from row to row in us in the upper half of the rows, log10 of a column's width in kHz
    in the lower. Column 0 lies on half the sample rate, where a receiver shows nothing that can be told from its mirror.
    """
    rows, columns = images.shape[-2:]
    hop, segments = frame_geometry(count, rows, columns)
    images = images.clone()
    images[..., : rows // 2, 0] = math.log10(hop * segments / rows / samp_rate * 1e6)
    images[..., rows // 2 :, 0] = math.log10(samp_rate / columns * 1e-3)
    return images


def mathworks_image(iq: torch.Tensor, size: int = 256) -> torch.Tensor:
    """complex64 [B, N] -> float32 [B, 1, size, size] in [0, 1]: the image of MathWorks' 5G/LTE sensing example.

    Symmetric Hann window of 256, overlap of 10 samples, 4096 bins, dB, min-max over the whole spectrogram,
    nearest-neighbour resize. It keeps one spectrum in `segments / size` and one bin in `4096 / size`, but all of them
    set the scale, so all are computed: some 40 times the work of `pixel_power`.
    """
    pieces = iq.unfold(1, 256, 246)
    window = torch.hann_window(256, periodic=False, device=iq.device)
    kept_rows = _nearest(pieces.shape[1], size, iq.device)
    kept_columns = _nearest(4096, size, iq.device)
    image = torch.empty(iq.shape[0], size, size, device=iq.device)
    low = torch.full((iq.shape[0], 1, 1), torch.inf, device=iq.device)
    high = -low
    for part in batches(pieces.shape[1], iq.shape[0] * 4096, AT_ONCE, iq.device):
        power = torch.fft.fftshift(squared(torch.fft.fft(pieces[:, part] * window, 4096)), dim=2)
        low = torch.minimum(low, power.amin((1, 2), keepdim=True))
        high = torch.maximum(high, power.amax((1, 2), keepdim=True))
        here = (kept_rows >= part.start) & (kept_rows < part.stop)
        image[:, here] = power[:, kept_rows[here] - part.start][:, :, kept_columns]
    low, high, level = (10 * torch.log10(p.clamp(min=torch.finfo(p.dtype).tiny)) for p in (low, high, image))
    return ((level - low) / (high - low).clamp(min=1e-6)).unsqueeze(1)


def _nearest(count: int, size: int, device: torch.device) -> torch.Tensor:
    """int64 [size]: which of `count` entries a nearest-neighbour resize keeps."""
    return ((torch.arange(size, device=device) + 0.5) * (count / size)).long()
