# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of a carrier in samples, so that recordings and generated scenes can be compared as numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import torch

from training.cell_search_lte import search_lte
from training.cell_search_nr import search_nr
from training.errors import DataError
from training.spectrogram import normalise, pixel_power
from training.waveforms.lte_config import N_RB as LTE_N_RB
from training.waveforms.nr_tables import N_RB as NR_N_RB
from training.waveforms.waveform import squared

CLEAN_DB = 30.0  # in-band SNR at which noise is added to what software wrote to a file
# snr_db: busy cells over the floor; a cell is one block wide and one symbol long, busy 6 dB above the floor.
# width_mhz: what holds 99 % of the power above the floor. busy, rows_busy: share of cells, and of symbols with any.
# papr_db: what 0.1 % of the samples exceed, over the mean. rows_db: standard deviation of busy symbols' levels.
# slot_db: the same of the power folded at 1 ms, by symbol. edge_db: the two outermost blocks over the others.
# image_10, 50, 90: percentiles of the network's image within the carrier. sync_ms: from sync signal to sync signal.
FIGURES = ("snr_db", "width_mhz", "busy", "rows_busy", "papr_db", "rows_db", "slot_db", "edge_db", "image_10", "image_50",
           "image_90", "sync_ms")  # fmt: skip


@dataclass(frozen=True)
class Carrier:
    """One annotated carrier of a recording: samples complex64 moved so that its centre is 0 Hz, and what it is.

    rate, bandwidth (the channel's), scs, width (the annotated band's): Hz. real: heard by a radio.
    """

    name: str
    iq: torch.Tensor
    rate: float
    label: str
    bandwidth: float
    scs: float
    width: float
    tdd: bool
    real: bool

    @property
    def symbol(self) -> int:
        """Samples of a symbol's useful part."""
        return round(self.rate / self.scs)


def read(meta: Path) -> Carrier | None:
    """The first LTE or NR carrier that lies wholly in the band; None where there is none. DataError for no recording."""
    from sigmf import sigmffile
    from sigmf.error import SigMFError

    try:
        recording = sigmffile.fromfile(str(meta))
        samples = np.asarray(recording.read_samples(), np.complex64)
    except (SigMFError, ValueError, KeyError) as error:
        raise DataError(f"{meta} is no recording that can be read: {error}") from None
    rate = float(recording.get_global_field("core:sample_rate"))
    center = float(recording.get_captures()[0].get("core:frequency", 0.0))
    for note in recording.get_annotations():
        label = note.get("core:label")
        low, high = (float(note.get(f"core:freq_{side}_edge", np.inf)) - center for side in ("lower", "upper"))
        kind = _kind(label, high - low)
        if kind is None or low < -rate / 2 or high > rate / 2:
            continue
        turn = torch.arange(len(samples), dtype=torch.float64) * ((low + high) / 2 / rate) % 1 * (-2 * np.pi)
        iq = torch.from_numpy(samples) * torch.polar(torch.ones_like(turn), turn).to(torch.complex64)
        told = json.dumps(note).lower() + meta.name.lower()
        found = search_lte(iq[: round(0.04 * rate)], rate) if label == "LTE" else []
        tdd = found[0].tdd if found else "tdd" in told or "n78" in told
        real = "real:" in str(recording.get_global_field("core:description"))
        if not real:
            iq = _with_noise(iq, (high - low) / rate)
        return Carrier(meta.name.removesuffix(".sigmf-meta"), iq, rate, label, *kind, high - low, tdd, real)
    return None


def _with_noise(iq: torch.Tensor, occupied: float) -> torch.Tensor:
    """CLEAN_DB below the mean power in the share of the band that is occupied."""
    noise = torch.randn(len(iq), dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    return iq + noise * (squared(iq).mean() / occupied * 10 ** (-CLEAN_DB / 10)).sqrt()


def _kind(label: str | None, width: float) -> tuple[float, float] | None:
    """Channel bandwidth and spacing, Hz, of a carrier whose blocks take `width` Hz."""
    if label == "LTE":
        return next(((bandwidth, 15e3) for bandwidth, n in LTE_N_RB.items() if abs(n * 180e3 - width) < 60e3), None)
    if label != "NR":
        return None
    return next(((mhz * 1e6, float(scs)) for scs, widths in NR_N_RB.items() for mhz, n in widths.items()
                 if abs(n * 12 * scs - width) < 60e3), None)


def figures(carrier: Carrier, iq: torch.Tensor) -> dict[str, float]:
    """FIGURES of a stretch of samples that holds such a carrier, without sync_ms."""
    blocks = round(carrier.width / (12 * carrier.scs))
    pieces = iq[: len(iq) // carrier.symbol * carrier.symbol].view(-1, carrier.symbol)
    spectrum = squared(torch.fft.fftshift(torch.fft.fft(pieces, norm="ortho"), dim=1))
    first = max(carrier.symbol // 2 - 6 * blocks, 0)
    cells = spectrum[:, first : first + 12 * blocks].unflatten(1, (blocks, 12)).mean(-1)
    quiet = torch.sort(spectrum.mean(0)).values[: max(8, carrier.symbol // 50)].mean()
    floor = float(quiet)
    on = cells > 4 * floor
    rows = on.float().mean(1) > 0.02
    mean = (cells.mean(0) - floor).clamp(min=0)
    gathered = torch.cumsum(mean, 0) / mean.sum().clamp(min=1e-30)
    power = squared(iq)
    part = carrier.rate * 1e-3 / 28
    folded = torch.zeros(28, dtype=torch.float64)
    folded.index_add_(0, (torch.arange(len(power)) / part).long() % 28, power.double())
    image = normalise(pixel_power(iq[None]))[0]
    half = carrier.width / 2 / carrier.rate * 256
    inside = image[:, max(0, round(128 - half)) : round(128 + half) + 1].flatten()
    found = [
        _db((cells[on].mean() / floor - 1).clamp(min=0.01)) if bool(on.any()) else -20.0,
        float((gathered < 0.995).sum() - (gathered < 0.005).sum() + 1) * 12 * carrier.scs / 1e6,
        float(on.float().mean()),
        float(rows.float().mean()),
        _db(power.kthvalue(round(0.999 * len(power))).values / power.mean()),
        float((10 * torch.log10(cells[rows].mean(1))).std(correction=0)) if bool(rows.any()) else 0.0,
        float((10 * torch.log10(folded.clamp(min=1e-12 * float(folded.max())))).std(correction=0)),
        _db(mean[[0, -1]].mean() / mean[1:-1].mean().clamp(min=1e-30)),
        *torch.quantile(inside, torch.tensor([0.1, 0.5, 0.9])).tolist(),
    ]
    return dict(zip(FIGURES, found, strict=False))


def _db(ratio: torch.Tensor) -> float:
    return float(10 * torch.log10(ratio.clamp(min=1e-6)))


def sync_period(carrier: Carrier, iq: torch.Tensor) -> float:
    """ms from one synchronisation signal of the same cell to the next, nan where fewer than two are found. NR's are looked
    for at the carrier's own spacing, where it is one that FR1's sync blocks have and their 20 blocks fit in."""
    if carrier.label == "LTE":
        step = round(0.020 * carrier.rate)
        cells = [cell for n in range(len(iq) // step) for cell in search_lte(iq[n * step : (n + 1) * step], carrier.rate)]
        starts = [cell.frame_start % 0.005 for cell in cells if cell.cell_id == cells[0].cell_id]
        if len(starts) < 2:
            return float("nan")
        wander = (torch.tensor(starts) - starts[0] + 0.0025) % 0.005
        return 5.0 + 1e3 * float(wander.max() - wander.min())  # the search itself folds at 5 ms
    if len(iq) < 0.010 * carrier.rate or carrier.scs > 30e3 or carrier.width < 240 * carrier.scs:
        return float("nan")
    edge = int((carrier.width / 2 - 120 * carrier.scs) // carrier.scs)
    raster = torch.arange(-edge, edge + 1) * carrier.scs
    step = round(0.005 * carrier.rate)
    some = [cell for n in range(min(4, len(iq) // step - 1))
            for cell in search_nr(iq[n * step : (n + 1) * step + step // 5], carrier.rate, carrier.scs, raster)]
    some.sort(key=lambda cell: -cell.pss)
    found = search_nr(iq, carrier.rate, carrier.scs, torch.tensor([some[0].frequency]), most=24)
    times = sorted(cell.time for cell in found if cell.pci == some[0].pci and cell.pss > 0.5 * some[0].pss)
    gaps = [round(1e3 * (b - a)) for a, b in combinations(times, 2) if b - a > 4.5e-3]
    return float(min(gaps, default=float("nan")))
