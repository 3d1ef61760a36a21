# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small NR cell search: PSS over time and frequency, then SSS. For checking signals, not for receiving them."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from training.errors import DataError
from training.waveforms.nr_ssb import pss, sss

_WIDTH = 256  # subcarriers kept around a candidate: its decimated rate is 256 x scs


@dataclass(frozen=True)
class NrCell:
    """A sync block: pci; scs, Hz; frequency of its centre (subcarrier 120) relative to the samples' centre, Hz;
    time of its PSS symbol's useful part, s; pss, sss: normalised correlations, 0 to 1."""

    pci: int
    scs: float
    frequency: float
    time: float
    pss: float
    sss: float


def search_nr(
    iq: torch.Tensor, samp_rate: float, scs: float, frequencies: torch.Tensor | None = None, most: int = 1
) -> list[NrCell]:
    """The `most` strongest sync blocks in complex64 [N], strongest first; the same cell may be there many times.

    frequencies: candidate block centres, Hz; by default every half subcarrier at which the PSS, of 128 subcarriers,
    fits into the samples' bandwidth. A candidate half a subcarrier off still answers. DataError when the samples are
    shorter than three symbols.
    """
    count = len(iq)
    if count * scs < 3 * samp_rate:
        raise DataError("a cell search needs at least three symbols")
    spectrum = torch.fft.fft(iq)
    kept = round(count / samp_rate * scs * _WIDTH) // 2 * 2
    rate = kept * samp_rate / count
    if frequencies is None:
        edge = max(0.0, (samp_rate - 128 * scs) / 2)
        steps = int(edge // (scs / 2))
        frequencies = torch.arange(-steps, steps + 1) * (scs / 2)
    replica = _replicas(kept, rate, scs)
    length = round(rate / scs)
    window = torch.fft.fft(torch.ones(length), kept)
    found: list[tuple[float, int, float, int]] = []
    for frequency in frequencies.tolist():
        base = _base_band(spectrum, samp_rate, frequency, kept)
        transform = torch.fft.fft(base)
        power = torch.fft.ifft(torch.fft.fft(base.abs().square()) * window.conj()).real
        power = power.clamp(min=1e-6 * power.mean().item() + 1e-30)
        answer = torch.fft.ifft(transform * replica.conj()).abs().square() / power
        answer[:, kept - length :] = 0
        best = answer.reshape(-1).topk(min(8, answer.numel()))
        for value, place in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            found.append((value, place // kept, frequency, place % kept))
    found.sort(reverse=True)
    cells: list[NrCell] = []
    for value, n_id_2, frequency, sample in found:
        time = sample / rate
        if any(abs(c.time - time) < 0.5 / scs and abs(c.frequency - frequency) < 127 * scs for c in cells):
            continue
        base = _base_band(spectrum, samp_rate, frequency, kept)
        n_id_1, match = _identify(base, sample, length, n_id_2)
        cells.append(NrCell(3 * n_id_1 + n_id_2, scs, frequency, time, value, match))
        if len(cells) == most:
            break
    return cells


def _base_band(spectrum: torch.Tensor, samp_rate: float, frequency: float, kept: int) -> torch.Tensor:
    """The band around `frequency`, `kept` of the spectrum's bins wide, as samples at its own rate."""
    count = len(spectrum)
    bins = torch.arange(kept) - kept // 2 + round(frequency * count / samp_rate)
    band = spectrum[bins % count]
    guard = (kept - kept * 128 // _WIDTH) // 2  # the PSS takes 127 of the 256 subcarriers
    band[:guard] = 0
    band[kept - guard :] = 0
    return torch.fft.ifft(torch.fft.ifftshift(band))


def _replicas(kept: int, rate: float, scs: float) -> torch.Tensor:
    """complex64 [3, kept]: spectra of the PSS's useful part for each N_ID_2, energy 1."""
    length = round(rate / scs)
    symbol = torch.zeros(3, length, dtype=torch.complex64)
    bins = (torch.arange(127) + 56 - 120) % length
    for n in range(3):
        symbol[n, bins] = pss(n).to(torch.complex64)
    time = torch.fft.ifft(symbol)
    return torch.fft.fft(time / time.norm(dim=1, keepdim=True), kept)


def _identify(base: torch.Tensor, sample: int, length: int, n_id_2: int) -> tuple[int, float]:
    """The N_ID_1 whose SSS fits best two symbols after the PSS, and how well (0 to 1)."""
    prefix = round(length * 144 / 2048)
    bins = (torch.arange(127) + 56 - 120) % length
    later = sample + 2 * (length + prefix)
    if later + length > len(base):
        return 0, 0.0
    first = torch.fft.fft(base[sample : sample + length])[bins] * pss(n_id_2)
    third = torch.fft.fft(base[later : later + length])[bins]
    kernel = torch.ones(1, 1, 5) / 5  # the channel, averaged over five subcarriers
    parts = torch.view_as_real(first).T[:, None]
    channel = torch.view_as_complex(
        torch.nn.functional.conv1d(torch.nn.functional.pad(parts, (2, 2), "replicate"), kernel)[:, 0].T.contiguous()
    )
    product = third * channel.conj()
    known = torch.stack([sss(3 * n + n_id_2) for n in range(336)])
    # neighbouring products turn alike where timing is a little off: join them eight at a time
    joined = (known.to(product) * product)[:, :120].view(336, 15, 8).sum(2).abs().sum(1)
    best = int(joined.argmax())
    return best, float(joined[best] / product.abs().sum())
