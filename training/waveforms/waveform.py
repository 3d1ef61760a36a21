# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scene knows of an emitter: its band, its samples and its expected power, at one common scale.

Scale: a waveform's mean power spectral density over what it really sends (active resource elements, or active
time for emitters without a grid) is 1 per Hz. White noise of density n0 per Hz then gives an in-band SNR of 1/n0.
"""

from __future__ import annotations

from typing import Protocol

import torch


class Waveform(Protocol):
    """One emitter's baseband over a stretch of time that starts at 0 s, around its own carrier frequency (0 Hz)."""

    label: str  # "LTE", "NR" or "other": the class it is truth for
    kind: str  # "lte", "nr", "dss", "wifi", "gsm", ...
    carrier: tuple[float, float]  # Hz, the standard's transmission bandwidth
    active: tuple[float, float] | None  # Hz, lowest to highest frequency really sent; None: silent throughout
    native_rate: float  # samples/s at which `iq` is exact

    def sends(self, begin: float, end: float) -> bool:
        """Whether anything is sent between two times, s. Of an `OfdmWaveform` the grids say it."""
        ...

    def mean_level(self, begin: float, end: float) -> float:
        """Power over the time that it is on between two times, s, re that of the scale; 1 where it is silent. Of an
        `OfdmWaveform` the grids say it."""
        ...

    def iq(self, count: int) -> torch.Tensor:
        """-> complex64 [count], the first `count` samples at `native_rate`."""
        ...

    def psd(self, row_edges: torch.Tensor, freqs: torch.Tensor, column_hz: float) -> torch.Tensor:
        """Expected power density per Hz, the mean over each row's time and each column's width.

        row_edges: float64 [T + 1], s. freqs: float64 [F], Hz, the columns' centres. -> float32 [T, F].
        Emitters with a resource grid (`OfdmWaveform`) need not have it: the fast path reads their grids.
        """
        ...


def described(config: object) -> object:
    """A configuration as plain JSON types: what `dataclasses.asdict` gives, without its copies of every number."""
    if isinstance(config, tuple):
        return tuple(map(described, config))
    if hasattr(config, "__dataclass_fields__"):
        return {name: described(value) for name, value in vars(config).items()}
    return config


def squared(values: torch.Tensor) -> torch.Tensor:
    """|values|^2 of complex64, float32; several times as fast as torch's abs or a sum over pairs."""
    parts = torch.view_as_real(values).square()
    return parts[..., 0] + parts[..., 1]
