# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kernel and training are held against: the image by its definition, and golden samples with their image.

`python tests/reference.py` writes the golden images anew, for a change of the definition only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parent / "golden" / "spectrogram.json"
SHAPES = ((5003, 20, 64, 0.5), (1024, 20, 64, 0.5), (4099, 7, 96, 0.25))  # samples, rows, columns, overlap


@dataclass(frozen=True)
class Golden:
    """power_db: the image's pixels, dB over the largest, [rows, columns]."""

    count: int
    rows: int
    columns: int
    overlap: float
    power_db: np.ndarray

    def samples(self) -> np.ndarray:
        return golden_samples(self.count)


def golden() -> list[Golden]:
    return [Golden(**{**case, "power_db": np.array(case["power_db"])}) for case in json.loads(GOLDEN.read_text())]


def golden_samples(count: int) -> np.ndarray:
    """complex64 [count], made of integers, so the same everywhere: a chirp of four phases that comes and goes in noise.

    x[n+1] = (1664525 x[n] + 1013904223) mod 2^32 gives noise from its two highest bytes. The chirp's phase, in
    quarter turns, is the two highest bits of p[n+1] = p[n] + s[n], s[n+1] = s[n] + 300000, both mod 2^32.
    """
    samples = np.empty(count, np.complex64)
    x, p, s = 1, 0, 0
    for n in range(count):
        x = (1664525 * x + 1013904223) % (1 << 32)
        p, s = (p + s) % (1 << 32), (s + 300000) % (1 << 32)
        chirp = (4000 if n % 1000 < 600 else 0) * 1j ** (p >> 30)
        samples[n] = complex((x >> 24) - 128, (x >> 16) % 256 - 128) + chirp
    return samples


def geometry(count: int, rows: int, columns: int, overlap: float) -> tuple[int, int]:
    """-> (hop, segments)"""
    hop = max(1, int(columns * (1 - overlap) + 0.5))
    if (count - columns) // hop + 1 < rows:
        hop = max(1, (count - columns) // (rows - 1))
    return hop, (count - columns) // hop + 1


def by_definition(samples: np.ndarray, rows: int, columns: int, overlap: float) -> np.ndarray:
    """complex [n] -> float64 [rows, columns]: the front end in double precision, one segment at a time."""
    hop, segments = geometry(len(samples), rows, columns, overlap)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(columns) / columns)
    image, looks = np.zeros((rows, columns)), np.zeros(rows)
    for k in range(segments):
        segment = samples[k * hop : k * hop + columns].astype(np.complex128)
        row = k * rows // segments
        image[row] += np.abs(np.fft.fftshift(np.fft.fft(segment * window))) ** 2
        looks[row] += 1
    return image / looks[:, None]


def write_golden() -> None:
    cases = []
    for count, rows, columns, overlap in SHAPES:
        power = by_definition(golden_samples(count), rows, columns, overlap)
        level = np.round(10 * np.log10(power / power.max()), 3) + 0.0
        cases.append(
            {"count": count, "rows": rows, "columns": columns, "overlap": overlap, "power_db": level.tolist()}
        )
    rows_on_lines = json.dumps(cases, separators=(",", ":")).replace("],[", "],\n[").replace("},{", "},\n{")
    GOLDEN.write_text(rows_on_lines + "\n")


if __name__ == "__main__":
    write_golden()
