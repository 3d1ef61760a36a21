# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small LTE cell search: PSS over time and frequency, then SSS. For checking signals, not for receiving them."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from training.errors import DataError
from training.waveforms.lte_signals import SYNC, pss, sss

RATE = 1.92e6  # samples/s: 128 subcarriers hold PSS and SSS
_NFFT = 128
_HALF = 9600  # samples from one PSS to the next, 5 ms
_CP = {True: 9, False: 32}  # samples, of all symbols but a slot's first (normal: 10 there)
_BINS = torch.cat([torch.arange(-SYNC // 2, 0), torch.arange(1, SYNC // 2 + 1)]) % _NFFT


@dataclass(frozen=True)
class LteCell:
    """A cell: frequency of its DC re the samples' centre, Hz; frame_start: s, a radio frame's beginning, 0 to 10 ms;
    pss, sss: normalised correlations, 0 to 1."""

    cell_id: int
    tdd: bool
    normal_cp: bool
    frequency: float
    frame_start: float
    pss: float
    sss: float


def search_lte(
    iq: torch.Tensor, samp_rate: float, frequencies: torch.Tensor | None = None, most: int = 1
) -> list[LteCell]:
    """The `most` strongest cells in complex64 [N], strongest PSS first.

    frequencies: candidate carrier frequencies re the samples' centre, Hz; by default every 5 kHz within 30 kHz of it.
    One 2.5 kHz off still answers. DataError when the samples are shorter than 6 ms or slower than 1.92 MS/s.
    """
    if len(iq) < 6e-3 * samp_rate or samp_rate < RATE:
        raise DataError("an LTE cell search needs at least 6 ms at 1.92 MS/s or more")
    if frequencies is None:
        frequencies = torch.arange(-6, 7) * 5e3
    spectrum = torch.fft.fft(iq)
    kept = round(len(iq) / samp_rate * RATE / 2) * 2
    replica = torch.stack([_symbol(pss(n)) for n in range(3)])
    replica = torch.fft.fft(replica / replica.norm(dim=1, keepdim=True), kept).conj()
    window = torch.fft.fft(torch.ones(_NFFT), kept).conj()
    found: list[tuple[float, float, int, int]] = []
    for frequency in frequencies.tolist():
        base = _base_band(spectrum, samp_rate, frequency, kept)
        power = _fold(torch.fft.ifft(torch.fft.fft(base.abs().square()) * window).real)
        answer = _fold(torch.fft.ifft(torch.fft.fft(base) * replica).abs().square())
        answer = answer / power.clamp(min=1e-3 * power.mean().item() + 1e-30)
        for n_id_2 in range(3):
            best = answer[n_id_2].topk(4)
            found += [
                (value, frequency, n_id_2, place)
                for value, place in zip(best.values.tolist(), best.indices.tolist(), strict=True)
            ]
    found.sort(reverse=True)
    cells: list[LteCell] = []
    seen: list[tuple[int, int]] = []
    for value, frequency, n_id_2, place in found:
        apart = [abs((place - p + _HALF // 2) % _HALF - _HALF // 2) for n, p in seen if n == n_id_2]
        if any(distance < _NFFT for distance in apart):
            continue
        seen.append((n_id_2, place))
        cells.append(_identify(spectrum, samp_rate, kept, value, frequency, n_id_2, place))
        if len(cells) == most:
            break
    return cells


def _symbol(sequence: torch.Tensor) -> torch.Tensor:
    """The useful part of a symbol that holds PSS or SSS, complex64 [..., 128]."""
    whole = torch.zeros(*sequence.shape[:-1], _NFFT, dtype=torch.complex64)
    whole[..., _BINS] = sequence.to(torch.complex64)
    return torch.fft.ifft(whole)


def _base_band(spectrum: torch.Tensor, samp_rate: float, frequency: float, kept: int) -> torch.Tensor:
    """The 1.08 MHz around `frequency` as samples at 1.92 MS/s."""
    count = len(spectrum)
    bins = torch.arange(kept) - kept // 2 + round(frequency * count / samp_rate)
    band = spectrum[bins % count].clone()
    guard = (kept - round(kept * 1.08e6 / RATE)) // 2
    band[:guard] = 0
    band[kept - guard :] = 0
    return torch.fft.ifft(torch.fft.ifftshift(band))


def _fold(power: torch.Tensor) -> torch.Tensor:
    """Sums what lies 5 ms apart: [..., N] -> [..., 9600]."""
    whole = torch.nn.functional.pad(power, (0, -power.shape[-1] % _HALF))
    return whole.unflatten(-1, (-1, _HALF)).sum(-2)


def _identify(spectrum: torch.Tensor, samp_rate: float, kept: int, value: float, frequency: float, n_id_2: int,
              place: int) -> LteCell:
    """Measures the frequency on the PSS, then tries every SSS where each frame structure and prefix would have it."""
    known = _symbol(pss(n_id_2))
    halves = torch.zeros((), dtype=torch.complex64)
    base = _base_band(spectrum, samp_rate, frequency, kept)
    for at in range(place, kept - _NFFT, _HALF):
        first, second = (base[at : at + _NFFT] * known.conj()).view(2, -1).sum(1)
        halves = halves + second * first.conj()
    frequency += float(halves.angle()) / (2 * torch.pi) * RATE / (_NFFT // 2)
    base = _base_band(spectrum, samp_rate, frequency, kept)
    sequences = torch.stack([torch.stack([sss(3 * n + n_id_2, second) for second in (False, True)])
                             for n in range(168)])  # [168, half frame, 62]
    best = (0.0, 0, False, True, 0)
    for tdd in (False, True):
        for normal in (True, False):
            # FDD: the symbol before the PSS; TDD: three before, over a slot's edge (TS 36.211 6.11.1.2 and 6.11.2.2)
            back = (3 if tdd else 1) * (_NFFT + _CP[normal]) + int(tdd and normal)
            products = _sss_products(base, place, back, n_id_2)
            if not products:
                continue
            for parity in (0, 1):
                total, scale = torch.zeros(168), 0.0
                for half, product in products:
                    joined = (sequences[:, (half + parity) % 2].to(product) * product)[:, :60].view(168, 6, 10)
                    total += joined.sum(2).abs().sum(1)
                    scale += float(product[:60].abs().sum())
                match, n_id_1 = (total / max(scale, 1e-30)).max(0)
                best = max(best, (float(match), int(n_id_1), tdd, normal, parity))
    match, n_id_1, tdd, normal, parity = best
    # The PSS's useful part stands in symbol 6 or 5 of subframes 0 and 5, or in symbol 2 of subframes 1 and 6.
    if tdd:
        into = round(1e-3 * RATE) + 2 * _NFFT + 3 * _CP[normal] + int(normal)
    else:
        last = 6 if normal else 5
        into = last * _NFFT + (last + 1) * _CP[normal] + int(normal)
    start = (place - into - parity * _HALF) / RATE
    return LteCell(3 * n_id_1 + n_id_2, tdd, normal, frequency, start % 0.010, value, match)


def _sss_products(base: torch.Tensor, place: int, back: int, n_id_2: int) -> list[tuple[int, torch.Tensor]]:
    """-> (half frame's number, SSS elements times the conjugate of the channel that the PSS shows) for each PSS."""
    kernel = torch.ones(1, 1, 5) / 5
    found = []
    for half, at in enumerate(range(place, len(base) - _NFFT, _HALF)):
        if at < back:
            continue
        seen = torch.fft.fft(base[at : at + _NFFT])[_BINS] * pss(n_id_2).conj()
        parts = torch.nn.functional.pad(torch.view_as_real(seen).T[:, None], (2, 2), "replicate")
        channel = torch.view_as_complex(torch.nn.functional.conv1d(parts, kernel)[:, 0].T.contiguous())
        found.append((half, torch.fft.fft(base[at - back : at - back + _NFFT])[_BINS] * channel.conj()))
    return found
