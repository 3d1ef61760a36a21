# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From class scores to bands."""

import numpy as np
import pytest
from gnuradio.ata.bands import extract_bands

CLASSES = ("noise", "LTE", "NR", "other")
RATE = 25.6e6  # 100 kHz a column
F = 256


def scene(*stripes: tuple[int, int, int], rows: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """(first column, last + 1, class)... -> sure logits and powers 20 dB over the noise."""
    logits = np.full((4, rows, F), -4.0, np.float32)
    kind = np.zeros(F, int)
    for first, last, label in stripes:
        kind[first:last] = label
    logits[kind, :, np.arange(F)] = 4.0
    power = np.where(kind > 0, 100.0, 1.0)[None, :].repeat(rows, 0).astype(np.float32)
    return logits, power


def bands(logits: np.ndarray, power: np.ndarray) -> list[tuple[str, float, float]]:
    found, _ = extract_bands(logits, power, CLASSES, 0.0, RATE)
    return [(b.label, b.freq_lower_edge / 1e5 + 128, b.freq_upper_edge / 1e5 + 128) for b in found]


def test_edges_are_the_outer_borders_of_the_columns() -> None:
    found, labels = extract_bands(*scene((50, 140, 1), (160, 200, 2)), CLASSES, 800e6, RATE)
    assert [b.label for b in found] == ["LTE", "NR"]
    assert found[0].freq_lower_edge == pytest.approx(800e6 + (50 - 128.5) * 1e5)
    assert found[0].freq_upper_edge == pytest.approx(800e6 + (140 - 128.5) * 1e5)
    assert found[0].confidence > 0.95
    assert found[0].snr_db == pytest.approx(20, abs=0.1)
    assert found[0].duty_cycle == 1.0
    assert (labels[50:140] == 1).all() and (labels[160:200] == 2).all() and not labels[:50].any()


def test_an_unsure_column_moves_the_edge_by_a_part_of_a_column() -> None:
    logits, power = scene((50, 140, 1))
    logits[:2, :, 49] = [[0.0], [-0.5]]
    logits[2:, :, 49] = -8
    lower = bands(logits, power)[0][1]
    assert 49.0 < lower < 49.5


@pytest.mark.parametrize("gap", [1, 2])
def test_a_dc_line_splits_no_carrier(gap: int) -> None:
    assert [b[0] for b in bands(*scene((40, 128, 2), (128 + gap, 210, 2)))] == ["NR"]


def test_adjacent_carriers_stay_two() -> None:
    assert [b[0] for b in bands(*scene((20, 110, 1), (120, 210, 1)))] == ["LTE", "LTE"]
    assert [b[0] for b in bands(*scene((20, 110, 1), (110, 210, 2)))] == ["LTE", "NR"]


def test_a_narrow_carrier_beside_a_wide_one_stays() -> None:
    assert [b[0] for b in bands(*scene((20, 200, 2), (200, 222, 1)))] == ["NR", "LTE"]


def test_what_is_undecided_goes_with_what_is_clear() -> None:
    logits, power = scene((40, 200, 2))
    logits[1:3, :, 90:170] = [[[2.1]], [[2.0]]]  # a hair more LTE than NR
    assert [b[0] for b in bands(logits, power)] == ["NR"]


@pytest.mark.parametrize(("share", "label", "confidence"), [(0.55, "LTE", 0.55), (0.45, "other", 0.5)])
def test_what_is_less_likely_than_not_is_not_named(share: float, label: str, confidence: float) -> None:
    """And its confidence is that something else is there."""
    logits, power = scene((40, 200, 1))
    logits[:, :, 40:200] = np.log([[[0.05]], [[share]], [[0.89 - share]], [[0.06]]])
    found, labels = extract_bands(logits, power, CLASSES, 0.0, RATE)
    assert [(b.label, b.confidence) for b in found] == [(label, pytest.approx(confidence, abs=1e-3))]
    assert set(labels[40:200]) == {CLASSES.index(label)}
    (vote,), _ = extract_bands(logits, power, CLASSES, 0.0, RATE, votes=True)  # for another label it counts for little
    assert (vote.label, vote.confidence) == (label, pytest.approx(0.55 if label == "LTE" else 0.06, abs=1e-3))


def test_labels_that_change_from_column_to_column_are_one_band() -> None:
    logits, power = scene((40, 200, 2))
    logits[1, :, 41:200:3] = 5.0
    assert [b[0] for b in bands(logits, power)] == ["NR"]


def test_two_wide_carriers_with_a_narrow_guard_stay_two() -> None:
    assert len(bands(*scene((20, 90, 2), (92, 170, 2)))) == 2


def test_a_fade_splits_no_carrier() -> None:
    logits, power = scene((30, 220, 1))
    logits[0, :, 60:64] = 4.6  # 35 % LTE left
    assert [b[0] for b in bands(logits, power)] == ["LTE"]


def test_a_minority_inside_a_carrier_is_overruled() -> None:
    assert [b[0] for b in bands(*scene((40, 90, 1), (90, 100, 2), (100, 150, 1)))] == ["LTE"]


@pytest.mark.parametrize("kind", [1, 2])
def test_a_tone_is_neither_lte_nor_nr(kind: int) -> None:
    assert bands(*scene((128, 130, kind))) == []


@pytest.mark.parametrize("rate", [2e6, 61.44e6, 245.76e6])
def test_a_strong_tone_is_no_carrier_at_any_rate(rate: float) -> None:
    """A windowed tone of 40 dB: at high rates its four columns are as wide as a narrow carrier."""
    logits, power = scene((126, 130, 1))
    power[:] = 1.0
    power[:, 126:131] += 1e4 * np.array([0.02, 0.6, 1.0, 0.3, 0.005])
    assert extract_bands(logits, power, CLASSES, 0.0, rate)[0] == []


def test_the_narrowest_lte_carrier_is_no_tone() -> None:
    logits, power = scene((100, 105, 1))  # 1.08 MHz at 61.44 MS/s
    assert [b.label for b in extract_bands(logits, power, CLASSES, 0.0, 61.44e6)[0]] == ["LTE"]


@pytest.mark.parametrize("stripe", [(0, 45, 1), (1, 45, 1), (211, 256, 1), (206, 251, 1)])
def test_of_a_cut_carrier_less_than_the_narrowest_is_enough(stripe: tuple[int, int, int]) -> None:
    """0.67 MHz of it, at 3.84 MS/s; column 0 holds the legend, and the last ones what the filter leaves."""
    assert [b.label for b in extract_bands(*scene(stripe), CLASSES, 0.0, 3.84e6)[0]] == ["LTE"]


def test_a_whole_carrier_is_not_narrower_than_the_narrowest() -> None:
    assert extract_bands(*scene((20, 65, 1)), CLASSES, 0.0, 3.84e6)[0] == []


def test_faint_evidence_is_no_band() -> None:
    logits, power = scene()
    logits[1, :, 60:120] = logits[0, :, 60:120] + 0.1
    assert bands(logits, power) == []


def test_a_band_that_fills_everything_has_no_snr() -> None:
    found, _ = extract_bands(*scene((0, F, 1)), CLASSES, 0.0, RATE)
    assert [(b.label, b.snr_db) for b in found] == [("LTE", None)]
    assert found[0].freq_upper_edge - found[0].freq_lower_edge == pytest.approx(RATE)


def test_duty_cycle_counts_the_rows_that_are_on() -> None:
    logits, power = scene((50, 140, 2))
    power[8:] = 1.0
    found, _ = extract_bands(logits, power, CLASSES, 0.0, RATE)
    assert found[0].duty_cycle == pytest.approx(0.25)


def test_a_dc_line_does_not_keep_a_band_on() -> None:
    logits, power = scene((50, 200, 1))
    power[12:] = 1.0
    power[:, 127:130] = 1e4
    found, _ = extract_bands(logits, power, CLASSES, 0.0, RATE)
    assert found[0].duty_cycle == pytest.approx(12 / 32)


def test_silence_has_no_bands_and_no_nan() -> None:
    logits = np.zeros((4, 8, F), np.float32)
    found, labels = extract_bands(logits, np.zeros((8, F), np.float32), CLASSES, 0.0, RATE)
    assert all(b.snr_db is None and np.isfinite(b.confidence) for b in found)
    assert labels.shape == (F,)
