# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The comparison with recordings, on a recording that the generator itself wrote."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from training.compare import main
from training.compare_figures import Carrier, figures, read, sync_period
from training.scene_iq import scene_iq
from training.scene_model import Emitter, Scene
from training.waveforms.lte import lte_downlink
from training.waveforms.lte_random import random_lte

RATE, SNR_DB, SECONDS = 7.68e6, 20.0, 0.010


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """10 ms of a full LTE carrier of 5 MHz, 0.5 MHz above the recording's centre, 20 dB over the noise."""
    rng = torch.Generator().manual_seed(3)
    waveform = lte_downlink(random_lte(rng, bandwidth=5e6, duplex="fdd", load="full"), SECONDS, rng)
    iq = scene_iq(Scene(RATE, round(RATE * SECONDS), [Emitter(waveform, 0.5e6, SNR_DB)], None, 1, "test"))
    iq.numpy().astype(np.complex64).tofile(tmp_path / "a.sigmf-data")
    meta = {
        "global": {"core:datatype": "cf32_le", "core:sample_rate": RATE, "core:version": "1.2.3",
                   "core:description": "real: a test"},
        "captures": [{"core:sample_start": 0, "core:frequency": 800e6}],
        "annotations": [{"core:sample_start": 0, "core:sample_count": len(iq), "core:label": "LTE",
                         "core:freq_lower_edge": 798.25e6, "core:freq_upper_edge": 802.75e6}],
    }  # fmt: skip
    (tmp_path / "a.sigmf-meta").write_text(json.dumps(meta))
    return tmp_path / "a.sigmf-meta"


def test_the_figures_are_those_of_the_signal(recording: Path) -> None:
    carrier = read(recording)
    assert carrier is not None
    assert (carrier.label, carrier.bandwidth, carrier.scs, carrier.tdd, carrier.real) == ("LTE", 5e6, 15e3, False, True)
    found = figures(carrier, carrier.iq)
    assert abs(found["snr_db"] - SNR_DB) < 1.5
    assert abs(found["width_mhz"] - 4.5) < 0.2
    assert found["busy"] > 0.8 and found["rows_busy"] > 0.9


@pytest.mark.parametrize(("scs", "blocks"), [(30e3, 11), (60e3, 11), (60e3, 24)])
def test_carriers_that_hold_no_sync_block_have_no_period(scs: float, blocks: int) -> None:
    rate = 30.72e6
    noise = torch.randn(round(0.010 * rate), dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
    carrier = Carrier("x", noise, rate, "NR", 5e6, scs, 12 * blocks * scs, False, True)
    assert math.isnan(sync_period(carrier, noise))


def test_pictures_and_figures_are_written(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main([str(recording.parent), "--out", str(out), "--tries", "1"]) == 0
    head, rule, row = (out / "figures.md").read_text().splitlines()
    assert row.startswith("a | ") and head.count("|") == rule.count("|") == row.count("|")
    for name in ("a.png", "generated.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")


def test_a_folder_without_recordings_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main([str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "no .sigmf-meta file" in capsys.readouterr().err
