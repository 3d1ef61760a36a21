# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bands that come and go."""

from gnuradio.ata.presence import Presence
from gnuradio.ata.records import Band, Record

RATE = 1e6


def record(start: int, *bands: tuple[str, float, float], count: int = 10_000) -> Record:
    """bands: (label, lower edge, upper edge) in MHz."""
    found = tuple(Band(label, 1e6 * low, 1e6 * high, 0.8, 10.0, 1.0) for label, low, high in bands)
    return Record(start // count, start, count, f"t{start}", 8e8, RATE, "m-1", "e", False, 0, None, found)


def test_a_band_is_the_same_over_moments_without_it_until_it_is_gone() -> None:
    presence = Presence(hold=0.05)
    changes = []
    for i in range(20):
        on = i in (2, 3, 6, 7, 8, 16)
        appeared, gone = presence.add(record(10_000 * i, *[("LTE", 800.0, 801 + 0.01 * (i % 2))] * on))
        changes += [(i, "+") for _ in appeared] + [(i, "-", p.since, p.last_sample) for p in gone]
    assert changes == [(2, "+"), (14, "-", "t20000", 90_000), (16, "+")]
    assert [p.since for p in presence.now] == ["t160000"]


def test_another_label_or_place_is_another_band() -> None:
    presence = Presence(hold=1)
    presence.add(record(0, ("LTE", 800, 801)))
    appeared, _ = presence.add(record(10_000, ("LTE", 800.1, 801.1), ("LTE", 800.6, 801.6), ("NR", 800, 801)))
    assert [(p.label, p.freq_lower_edge) for p in appeared] == [("LTE", 800.6e6), ("NR", 800e6)]
    assert len(presence.now) == 3


def test_what_is_shown_follows_slowly() -> None:
    presence = Presence(hold=1)
    presence.add(record(0, ("NR", 800, 801)))
    presence.add(record(10_000, ("NR", 800.1, 801.1)))
    (band,) = presence.now
    assert (band.freq_lower_edge, band.freq_upper_edge) == (800.01e6, 801.01e6)


def test_a_thousand_bands_that_flicker_are_forgotten() -> None:
    presence = Presence(hold=0.02)
    for i in range(1000):
        presence.add(record(10_000 * i, ("other", 700 + i, 701 + i)))
    assert len(presence.now) <= 3
