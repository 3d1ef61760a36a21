# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which bands are on the air now, when each came and which are gone: what a person wants of an endless run."""

from __future__ import annotations

from dataclasses import dataclass

from .records import Band, Record

SAME = 0.5  # a band that shares this much of the union of both is the same
SMOOTH = 0.1  # weight of a new frame in the edges and levels shown


@dataclass
class Present:
    """A band as it is now: edges (Hz), confidence and snr_db smoothed over frames; since when, and until which sample."""

    label: str
    freq_lower_edge: float
    freq_upper_edge: float
    confidence: float
    duty_cycle: float
    snr_db: float | None
    since: str | None
    first_sample: int
    last_sample: int

    def update(self, band: Band, last_sample: int) -> None:
        for name in ("freq_lower_edge", "freq_upper_edge", "confidence", "duty_cycle"):
            before = getattr(self, name)
            setattr(self, name, before + SMOOTH * (getattr(band, name) - before))
        if band.snr_db is not None:
            before = band.snr_db if self.snr_db is None else self.snr_db
            self.snr_db = before + SMOOTH * (band.snr_db - before)
        self.last_sample = last_sample

    def shares(self, band: Band) -> float:
        """Intersection over union with a band of the same label, else 0."""
        low, high = self.freq_lower_edge, self.freq_upper_edge
        shared = min(high, band.freq_upper_edge) - max(low, band.freq_lower_edge)
        union = max(high, band.freq_upper_edge) - min(low, band.freq_lower_edge)
        return shared / union if band.label == self.label and shared > 0 else 0.0


class Presence:
    """Follows bands through frames that may be missing and through moments without them.

    hold: s that a band may be away and is still the same one.
    """

    def __init__(self, hold: float) -> None:
        self._hold = hold
        self.now: list[Present] = []

    def add(self, record: Record) -> tuple[list[Present], list[Present]]:
        """-> (bands that appeared with this record, bands that are gone)."""
        end = record.sample_start + record.sample_count
        appeared = []
        free = list(self.now)
        for band in record.bands:
            known = max(free, key=lambda p, b=band: p.shares(b), default=None)
            if known is not None and known.shares(band) >= SAME:
                free.remove(known)
                known.update(band, end)
            else:
                appeared.append(
                    Present(
                        band.label, band.freq_lower_edge, band.freq_upper_edge, band.confidence, band.duty_cycle,
                        band.snr_db, record.time, record.sample_start, end,
                    )
                )  # fmt: skip
        gone = [p for p in free if end - p.last_sample > self._hold * record.samp_rate]
        self.now = sorted([p for p in self.now if p not in gone] + appeared, key=lambda p: p.freq_lower_edge)
        return appeared, gone
