# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sequences of TS 36.211 and TS 38.211: Gold, m and Zadoff-Chu, and the constellations they or data ride on."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch

GOLD_SKIP = 1600  # N_C of TS 36.211 7.2 and TS 38.211 5.2.1


@lru_cache(maxsize=8)
def _gold_tables(length: int) -> tuple[np.ndarray, np.ndarray]:
    """-> x1 from N_C on, packed, and what each value of each byte of x2's initial bits gives x2, packed [4, 256, bytes].

    A Gold sequence is linear in its initial bits, so each one is an exclusive or of these.
    """
    total = GOLD_SKIP + length
    x1 = np.zeros(total + 31, np.uint8)
    x1[0] = 1
    x2 = np.zeros((31, total + 31), np.uint8)
    x2[:, :31] = np.eye(31, dtype=np.uint8)
    for n in range(total):
        x1[n + 31] = x1[n + 3] ^ x1[n]
        x2[:, n + 31] = x2[:, n + 3] ^ x2[:, n + 2] ^ x2[:, n + 1] ^ x2[:, n]
    of_bit = np.packbits(x2[:, GOLD_SKIP:total], axis=1)
    of_byte = np.zeros((4, 256, of_bit.shape[1]), np.uint8)
    for bit in range(31):
        byte, low = bit // 8, 1 << bit % 8
        of_byte[byte, low : 2 * low] = of_byte[byte, :low] ^ of_bit[bit]
    return np.packbits(x1[GOLD_SKIP:total]), of_byte


def _gold_packed(c_inits: np.ndarray, length: int) -> np.ndarray:
    """Gold sequences of `length` bits or up to seven more, eight to a byte: int64 [n] -> uint8 [n, bytes]."""
    # Tables come in a few lengths only, so that a new length does not mean a new table.
    x1, of_byte = _gold_tables(1 << max(11, (length - 1).bit_length()))
    size = (length + 7) // 8
    packed = of_byte[0, c_inits & 255, :size] ^ x1[:size]
    for byte in (1, 2, 3):
        packed ^= of_byte[byte, c_inits >> 8 * byte & 255, :size]
    return packed


def gold(c_init: int, length: int) -> torch.Tensor:
    """-> uint8 [length], the pseudo-random sequence c of TS 36.211 7.2 = TS 38.211 5.2.1, for 0 <= c_init < 2^31."""
    return torch.from_numpy(np.unpackbits(_gold_packed(np.array([c_init]), length)[0], count=length))


def gold_qpsk(c_inits: np.ndarray, length: int) -> torch.Tensor:
    """`qpsk` of the first 2 `length` bits of each Gold sequence: int64 [n] -> complex64 [n, length]."""
    packed = torch.from_numpy(_gold_packed(c_inits, 2 * length))
    points = _byte_points().index_select(0, packed.view(-1).int())
    return points.view(len(packed), -1)[:, :length]


@lru_cache(maxsize=1)
def _byte_points() -> torch.Tensor:
    """The four QPSK points of each byte's bits, complex64 [256, 4]."""
    return qpsk(torch.from_numpy(np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)))


@lru_cache(maxsize=64)
def m_sequence(taps: tuple[int, ...], start: tuple[int, ...], length: int) -> torch.Tensor:
    """x(i + m) = sum of x(i + tap) mod 2 with x(0..m-1) = start, as TS 36.211 6.11.2.1 writes them -> int64 [length]."""
    x = list(start)
    while len(x) < length:
        i = len(x) - len(start)
        x.append(sum(x[i + tap] for tap in taps) % 2)
    return torch.tensor(x[:length])


def zadoff_chu(root: int, length: int) -> torch.Tensor:
    """exp(-j pi u n (n + 1) / N) -> complex64 [length]; odd lengths. TS 36.211 5.5.1.1."""
    n = torch.arange(length, dtype=torch.int64)
    phase = -math.pi * ((root * n * (n + 1)) % (2 * length)).double() / length
    return torch.polar(torch.ones_like(phase), phase).to(torch.complex64)


def qpsk(bits: torch.Tensor) -> torch.Tensor:
    """Bits [..., 2 n] -> complex64 [..., n]: ((1 - 2 c(2i)) + j (1 - 2 c(2i + 1))) / sqrt 2. TS 36.211 6.10.1.1."""
    parts = (1 - 2 * bits.float()) / math.sqrt(2)
    return torch.view_as_complex(parts.unflatten(-1, (-1, 2)).contiguous())


@lru_cache(maxsize=8)
def _constellation(order: int, device: torch.device) -> torch.Tensor:
    """complex64 [order], seen as int64: torch looks numbers up in half the time it takes for pairs of them."""
    side = math.isqrt(order)
    levels = (2 * torch.arange(side) - (side - 1)) / math.sqrt(2 * (order - 1) / 3)
    return torch.complex(*torch.meshgrid(levels, levels, indexing="ij")).reshape(-1).view(torch.int64).to(device)


def qam(order: int, count: int, generator: torch.Generator) -> torch.Tensor:
    """Random symbols of a square constellation of 4, 16, 64, 256 or 1024 points, mean power 1 -> complex64 [count]."""
    # One draw of the generator, 63 bits, gives the points of four symbols: drawing is what takes the time.
    drawn = torch.empty((count + 3) // 4, dtype=torch.int64, device=generator.device).random_(generator=generator)
    point = (drawn.view(torch.int16)[:count] & (order - 1)).int()
    return _constellation(order, generator.device).index_select(0, point).view(torch.complex64)
