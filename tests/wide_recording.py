# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings of a wide band for a narrow radio: flat carriers with exact edges in white noise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np


def write_wide_recording(
    path: Path,
    center: float,
    rate: float,
    seconds: float,
    carriers: list[tuple[float, float]],
    on: tuple[float, float] | None = None,
    level_db: float = 20.0,
) -> Path:
    """Writes SigMF -> its .sigmf-meta path.

    carriers: edges in Hz. on: how long they are on, of which period, s; None: always. level_db: over the noise.
    """
    rng = np.random.default_rng(5)
    count = round(rate * seconds)
    noise, carrier = (rng.standard_normal((2, count)) for _ in range(2))
    at = center + np.fft.fftfreq(count, 1 / rate)
    spectrum = np.fft.fft(carrier[0] + 1j * carrier[1]) * 10 ** (level_db / 20)
    spectrum[~np.any([(at >= low) & (at < high) for low, high in carriers], axis=0)] = 0
    iq = np.fft.ifft(spectrum)
    if on:
        iq[np.arange(count) / rate % on[1] >= on[0]] = 0
    iq += noise[0] + 1j * noise[1]
    iq.astype("<c8").tofile(path.with_suffix(".sigmf-data"))
    head = {"core:datatype": "cf32_le", "core:sample_rate": rate, "core:version": "1.0.0"}
    captures = [{"core:sample_start": 0, "core:frequency": center}]
    path.write_text(json.dumps({"global": head, "captures": captures, "annotations": []}))
    return path
