# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The quick percentile and decibels are numpy's."""

import numpy as np
import pytest
from gnuradio.ata.levels import STEP, decibels, percentile

RNG = np.random.default_rng(4)
NOISE = RNG.standard_normal((256, 256)).astype(np.float32)
MISLEADING = NOISE.copy()
MISLEADING.ravel()[::STEP] -= 100  # what is looked at says too little of the rest
VALUES = {
    "noise": NOISE, "sorted": np.sort(NOISE, axis=None), "all alike": np.full((64, 64), 2, np.float32),
    "few different": NOISE.round(), "misleading": MISLEADING, "a row": NOISE[0], "two": NOISE[0, :2], "one": NOISE[0, :1],
    "a slice": NOISE[:, 30:60],
}  # fmt: skip


@pytest.mark.parametrize("percent", [0, 5, 10, 47.5, 50, 95, 99.9, 100])
@pytest.mark.parametrize("name", VALUES)
def test_it_is_what_numpy_says(name: str, percent: float) -> None:
    assert percentile(VALUES[name], percent) == pytest.approx(float(np.percentile(VALUES[name], percent)), rel=1e-6)


def test_decibels_are_numpys() -> None:
    power = np.logspace(-30, 30, 601, dtype=np.float32)
    np.testing.assert_allclose(decibels(power.copy()), 10 * np.log10(power), rtol=1e-6, atol=1e-5)
