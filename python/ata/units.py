# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frequencies and rates as people write them."""

from __future__ import annotations

from .errors import AtaError


def hertz(text: str) -> float:
    """"700M", "0.7G", "2400k" or "700e6" -> Hz; AtaError for anything else."""
    units = {"k": 1e3, "m": 1e6, "g": 1e9}
    number, unit = (text[:-1], units[text[-1].lower()]) if text[-1:].lower() in units else (text, 1.0)
    try:
        value = float(number) * unit
    except ValueError:
        value = float("nan")
    if not abs(value) < 1e12:
        raise AtaError(f"{text!r} is no frequency: write it as 700M, 0.7G or 700e6")
    return value
