# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bands of spectrograms that are wider than the network's image, with networks that need no training."""

from pathlib import Path

import numpy as np
import pytest
from gnuradio.ata.frontend import FrontEnd
from gnuradio.ata.model import ModelFile, read_model
from gnuradio.ata.records import Band
from gnuradio.ata.stitch import Wide
from gnuradio.ata.wide_bands import find_bands
from gnuradio.ata.windows import window_power
from tiny_model import logits_expected, write_tiny_model

ROWS = 16
COLUMN = 40e3  # Hz
LOW = 700e6


class TinyEngine:
    """The tiny model's network in numpy; `spoil(logits, image)` lets it err."""

    name = "tiny"

    def __init__(self, spoil=None) -> None:
        self.images = 0
        self._spoil = spoil

    def run(self, images: np.ndarray) -> np.ndarray:
        self.images += 1
        logits = logits_expected(images)
        if self._spoil:
            self._spoil(logits, images[0, 0])
        return logits

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelFile:
    return read_model(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx", rows=ROWS))


def wide_of(carriers: list[tuple[float, float]], high: float, decibels: float = 18.0) -> Wide:
    """Noise from LOW to `high` with carriers in it; all in MHz above LOW."""
    columns = round(high * 1e6 / COLUMN)
    power = np.random.default_rng(7).gamma(20, 1 / 20, (ROWS, columns)).astype(np.float32)
    for low, end in carriers:
        power[:, round(low * 1e6 / COLUMN) : round(end * 1e6 / COLUMN)] *= np.float32(10 ** (decibels / 10))
    return Wide(power, LOW, COLUMN, 40e-3 / ROWS)


def edges(bands: list[Band]) -> list[tuple[float, float]]:
    return [((b.freq_lower_edge - LOW) / 1e6, (b.freq_upper_edge - LOW) / 1e6) for b in bands]


def assert_found(bands: list[Band], carriers: list[tuple[float, float]]) -> None:
    """Each carrier once and nothing else, edges within a column of the stitched spectrogram."""
    assert len(bands) == len(carriers), edges(bands)
    for found, carrier in zip(edges(bands), carriers, strict=True):
        assert found == pytest.approx(carrier, abs=1.5 * COLUMN / 1e6)


def test_carriers_of_all_widths_are_found_once_with_their_edges(model: ModelFile) -> None:
    carriers = [(3.0, 4.08), (6.0, 10.52), (12.0, 30.0), (40.0, 138.0), (145.0, 164.08), (170.0, 171.4), (172.0, 190.0)]
    assert_found(find_bands(wide_of(carriers, 200), model, TinyEngine()), carriers)


def test_bands_have_the_level_and_duty_cycle_of_their_surroundings(model: ModelFile) -> None:
    wide = wide_of([(12.0, 30.0)], 60)
    wide.power[::4, 300:750] = 1.0
    (band,) = find_bands(wide, model, TinyEngine())
    assert band.snr_db == pytest.approx(18 + 10 * np.log10(0.75), abs=0.5)
    assert band.duty_cycle == pytest.approx(0.75, abs=0.01)
    assert band.label == "LTE" and band.confidence > 0.9


def test_a_carrier_cut_by_the_end_of_the_scan_is_reported_as_far_as_it_goes(model: ModelFile) -> None:
    assert_found(find_bands(wide_of([(0.0, 5.0), (31.0, 40.0)], 40), model, TinyEngine()), [(0.0, 5.0), (31.0, 40.0)])


def test_one_carrier_that_fills_the_scan_but_for_its_guards(model: ModelFile) -> None:
    """An empty network names what stands out, so the guards are wider here than a 20 MHz carrier's."""
    assert_found(find_bands(wide_of([(2.0, 20.0)], 22), model, TinyEngine()), [(2.0, 20.0)])


def test_windows_that_join_two_carriers_are_outvoted(model: ModelFile) -> None:
    """Carriers 1.6 MHz apart, and a network that closes gaps of up to 5 columns."""

    def blur(logits: np.ndarray, image: np.ndarray) -> None:
        on = np.flatnonzero(logits[0, 1, 0] > 0)
        for left, right in zip(on[:-1], on[1:], strict=True):
            if 1 < right - left <= 6:
                logits[0, :, :, left + 1 : right] = logits[0, :, :, [left]].transpose(1, 2, 0)

    carriers = [(20.0, 29.0), (30.6, 39.6), (60.0, 78.0), (79.6, 97.6)]
    assert_found(find_bands(wide_of(carriers, 120), model, TinyEngine(blur)), carriers)


def test_windows_that_see_only_parts_of_a_carrier_are_outvoted(model: ModelFile) -> None:
    """A network that loses what it sees of a carrier's middle in one window out of four."""
    looked = iter(range(1000))

    def lose(logits: np.ndarray, image: np.ndarray) -> None:
        on = np.flatnonzero(logits[0, 1, 0] > 0)
        if next(looked) % 4 == 0 and len(on) > 60:
            middle = (on[0] + on[-1]) // 2
            logits[0, 1, :, middle - 20 : middle + 20] = -10

    assert_found(find_bands(wide_of([(30.0, 48.0)], 90), model, TinyEngine(lose)), [(30.0, 48.0)])


def test_the_label_is_the_one_that_most_windows_give(model: ModelFile) -> None:
    """Narrow windows call it NR with little confidence, wide ones LTE with much."""

    def waver(logits: np.ndarray, image: np.ndarray) -> None:
        on = logits[0, 1, 0] > 0
        if on.mean() > 0.4:
            logits[0, 2][:, on], logits[0, 1][:, on] = 2.0, 1.5

    (band,) = find_bands(wide_of([(30.0, 48.0)], 120), model, TinyEngine(waver))
    assert band.label == "LTE"


def test_noise_is_no_band_and_too_narrow_a_spectrogram_is_not_looked_at(model: ModelFile) -> None:
    assert find_bands(wide_of([], 60), model, TinyEngine()) == []
    engine = TinyEngine()
    assert find_bands(wide_of([(1.0, 5.0)], 9), model, engine) == [] and engine.images == 0


@pytest.mark.parametrize("scale", [2, 3, 8])
def test_a_window_shows_what_a_radio_as_wide_would_show(scale: int) -> None:
    """The same samples through fine and through coarse transforms of the real kernel."""
    rng = np.random.default_rng(11)
    count = 1 << 20
    spectrum = np.fft.fft(rng.standard_normal(count) + 1j * rng.standard_normal(count))
    at = np.fft.fftfreq(count)
    spectrum[(at > -0.11) & (at < 0.07)] *= 10
    iq = np.fft.ifft(spectrum).astype(np.complex64)

    def power(columns: int) -> np.ndarray:
        front = FrontEnd(ROWS, columns, 0.5, count)
        front.push(iq)
        return front.finish() / columns

    coarse = power(256).mean(0)
    fine = np.roll(power(256 * scale), scale // 2, 1)  # a column is centred on its frequency, and does not begin there
    ratio = 10 * np.log10(window_power(fine, 0, scale, 256).mean(0) / coarse)
    skirts = [98, 99, 100, 145, 146, 147]
    assert np.abs(np.delete(ratio, skirts)).max() < 0.2
    assert np.abs(ratio[skirts]).max() < 3


def test_the_tiny_engine_is_the_tiny_model(tmp_path: Path) -> None:
    from gnuradio.ata.engines.choose import open_engine

    tiny = read_model(write_tiny_model(tmp_path / "tiny.onnx", rows=ROWS))
    images = np.random.default_rng(3).random((1, 1, ROWS, 256), np.float32)
    np.testing.assert_allclose(
        open_engine(tiny, "onnxruntime-cpu").run(images), TinyEngine().run(images), rtol=1e-4, atol=1e-4
    )
