# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes hold what was asked for, where and as strong as asked, and their truth says so."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from training import scene_iq as scene_iq_module
from training.cell_search_nr import search_nr
from training.channel import make_channel
from training.data import VALIDATION_SEEDS
from training.errors import DataError
from training.fastpath import fast_power
from training.impairments import Receiver
from training.scene import Emitter, Scene, draw_scene, mask_columns, scene_iq, truth
from training.scene_dice import Dice
from training.scene_model import LEAD, by_carrier
from training.scene_neighbours import _further_gsm
from training.scene_plan import Plan
from training.scene_presets import PAPER_RATE
from training.scene_wideband import _frame_ms, _limit_range, _rate
from training.transforms import transform
from training.waveforms.gsm import Gsm
from training.waveforms.lte import lte_downlink
from training.waveforms.lte_random import random_lte
from training.waveforms.nr import NrConfig, Pdsch, Ssb, nr_downlink, random_nr
from training.waveforms.others import Chirps, Shaped, dvb_t
from training.waveforms.wifi import WifiConfig, wifi

RATE, DURATION = 15.36e6, 0.01
COUNT = round(RATE * DURATION)


def lte(seed=0, duration=DURATION, **kw):
    rng = torch.Generator().manual_seed(seed)
    config = random_lte(rng, **{"load": "full", "duplex": "fdd", "bandwidth": 5e6, "mbsfn": (), **kw})
    return lte_downlink(config, duration, rng)


def nr(seed=0, duration=DURATION, **kw):
    rng = torch.Generator().manual_seed(seed)
    return nr_downlink(random_nr(rng, **{"bandwidth": 5e6, "scs": 15e3, **kw}), duration, rng)


def scene(*emitters, rate=RATE, count=COUNT, receiver=None, seed=7, **kw):
    return Scene(rate, count, list(emitters), receiver, seed, "test", **kw)


def alone(of):
    """The signals of a scene without its noise: the same seed makes the same noise."""
    return scene_iq(of) - scene_iq(scene(rate=of.samp_rate, count=of.count, seed=of.seed))


def resource_area(waveform, duration):
    """Hz of resource elements on the air in the mean over the frame."""
    area = 0.0
    for grid in waveform.grids:
        on = (grid.re != 0).sum(1)
        begin, end = grid.start.clamp(min=0), (grid.start + grid.cp + 1 / grid.scs).clamp(max=duration)
        area += float((on * (end - begin).clamp(min=0)).sum()) * grid.scs
    return area / duration


@pytest.mark.parametrize("make", [lte, nr])
@pytest.mark.parametrize("load", ["full", "bursty", "idle"])
@pytest.mark.parametrize("channel", [None, ("flat", 0.0, 0.0), ("ETU", 0.0, 0.0), ("C", 3e-7, 300.0)])
def test_snr_is_as_asked(make, load, channel):
    # from the start of a half frame, so that an idle NR carrier's sync blocks are in it
    waveform = make(3, load=load, start=0.0)
    fading = make_channel(*channel, torch.Generator().manual_seed(5)) if channel else None
    signal = alone(scene(Emitter(waveform, 2e6, 12.0, fading)))
    density = float(signal.abs().square().mean()) / resource_area(waveform, DURATION)
    assert 10 * math.log10(density) == pytest.approx(12.0, abs=0.2)


def test_noise_has_density_one_and_snr_of_shaped_neighbours_is_as_asked():
    assert float(scene_iq(scene()).abs().square().mean()) / RATE == pytest.approx(1, rel=0.02)
    on = torch.tensor([[-1.0, 1.0]], dtype=torch.float64)
    waveform = Shaped("linear", (-1.2e6, 1.2e6), 8e6, on, DURATION, ("linear", 4, 0.2, 4), 1)
    signal = alone(scene(Emitter(waveform, -3e6, 20.0)))
    assert 10 * math.log10(float(signal.abs().square().mean()) / 2.4e6) == pytest.approx(20.0, abs=0.2)


@pytest.mark.parametrize("kind", ["wifi", "dvb-t", "gsm", "sweeps", "pulsed sweeps"])
def test_snr_of_neighbours_is_as_asked(kind):
    """Over their band, and the time that they are on."""
    rng = torch.Generator().manual_seed(4)
    waveform = {
        "wifi": lambda: wifi(WifiConfig("n", 20, busy=0.6, length=5e-4), DURATION, rng),
        "dvb-t": lambda: dvb_t(rng, DURATION, "2k"),
        "gsm": lambda: Gsm(3, DURATION + 2e-4, beacon_share=1.0),
        "sweeps": lambda: Chirps(4e6, 1e-3, 1e-3, DURATION + 2e-4),
        "pulsed sweeps": lambda: Chirps(4e6, 2e-4, 1e-3, DURATION + 2e-4),
    }[kind]()
    rate = 30.72e6
    power = alone(scene(Emitter(waveform, 1e6, 12.0), rate=rate, count=round(rate * DURATION))).abs().square()
    if hasattr(waveform, "grids"):
        density = float(power.mean()) / resource_area(waveform, DURATION)
    else:
        on = {"gsm": 1.0, "sweeps": 1.0, "pulsed sweeps": 0.2}[kind]
        density = float(power.mean()) / (waveform.carrier[1] - waveform.carrier[0]) / on
    assert 10 * math.log10(density) == pytest.approx(12.0, abs=0.2)


@pytest.mark.parametrize("kind", ["sync blocks at 30 kHz", "sync blocks at 15 kHz", "wifi"])
def test_snr_is_as_asked_where_the_grids_have_two_spacings(kind):
    """Levels differ between the grids, and with them the means over both."""
    rng, rate = torch.Generator().manual_seed(1), 30.72e6
    sent = (True,) * 4
    user = Pdsch(((0, 4),), activity=0.3, power_db=-6.0)
    waveform = {
        "sync blocks at 30 kHz": lambda: nr_downlink(
            NrConfig(20e6, 15e3, 1, ssb=Ssb("C", sent, -120 * 30e3), pdsch=(user,)), DURATION, rng),
        "sync blocks at 15 kHz": lambda: nr_downlink(
            NrConfig(20e6, 30e3, 1, ssb=Ssb("A", sent, -120 * 15e3), pdsch=(user,)), DURATION, rng),
        "wifi": lambda: wifi(WifiConfig("ax", 20, busy=0.6, length=1e-4, client_db=12.0), DURATION, rng),
    }[kind]()  # fmt: skip
    assert len({grid.scs for grid in waveform.grids}) == 2
    for channel in (None, make_channel("ETU", 0.0, 300.0, rng)):
        signal = alone(scene(Emitter(waveform, 1e6, 12.0, channel), rate=rate, count=round(rate * DURATION)))
        density = float(signal.abs().square().mean()) / resource_area(waveform, DURATION)
        assert 10 * math.log10(density) == pytest.approx(12.0, abs=0.2)


@pytest.mark.parametrize("seed", [0, 2, 3])
def test_snr_of_gsm_is_that_of_the_slots_in_the_frame(seed):
    """Their levels differ by up to 14 dB, and a short frame has few of them."""
    rate, duration = 1.92e6, 2e-3
    waveform = Gsm(seed, duration + 2e-4, -seed * 1.1e-3, beacon_share=0.0)
    on = waveform._parts[0].on - LEAD
    busy = float((on[:, 1].clamp(0, duration) - on[:, 0].clamp(0, duration)).sum()) / duration
    assert busy > 0.2
    of = scene(Emitter(waveform, 0.0, 12.0), rate=rate, count=round(rate * duration))
    density = float(alone(of).abs().square().mean()) / (waveform.carrier[1] - waveform.carrier[0]) / busy
    assert 10 * math.log10(density) == pytest.approx(12.0, abs=0.3)  # the ramps take 0.15 dB


@pytest.mark.parametrize(("rate", "length_ms"), [(0.5e6, 2.048), (0.5e6, 100.0), (245.76e6, 2.0), (30.72e6, 100.0)])
def test_rates_and_lengths_at_the_ends_of_what_there_is(rate, length_ms):
    """The slowest and the fastest sampling, the shortest frame of 1024 samples and the longest: power where it belongs."""
    count = round(rate * length_ms * 1e-3)
    on = torch.tensor([[-1.0, 1.0]], dtype=torch.float64)
    half = 0.075 * rate
    waveform = Shaped("linear", (-half, half), rate / 2, on, count / rate, ("linear", 4, 0.2, 4), 1)
    of = scene(Emitter(waveform, 0.2 * rate, 20.0), rate=rate, count=count)
    assert len(scene_iq(of)) == count
    spectrum = torch.fft.fft(alone(of)).abs().square()
    freqs = torch.fft.fftfreq(count, 1 / rate)
    inside = (freqs - 0.2 * rate).abs() < half
    assert spectrum[inside].sum() > 0.99 * spectrum.sum()
    density = float(spectrum.sum()) / count**2 / (2 * half)
    assert 10 * math.log10(density) == pytest.approx(20.0, abs=0.2 if count > 5000 else 1.0)


@pytest.mark.parametrize("rate", [7.68e6, 19.2e6, 20e6, 33.335e6])
@pytest.mark.parametrize("center", [0.0, 1.2345678e6])
def test_power_is_where_truth_says(rate, center):
    count = round(rate * DURATION)
    of = scene(Emitter(lte(), center, 30.0, None, 30.0), rate=rate, count=count)
    low, high = truth(of)[0].active
    assert (low, high) == (center - 2.2575e6, center + 2.2575e6)  # 25 PRB and the empty subcarrier in the middle
    spectrum = torch.fft.fft(alone(of)).abs().square()
    freqs = torch.fft.fftfreq(count, 1 / rate)
    inside = spectrum[(freqs > low) & (freqs < high)].sum() / spectrum.sum()
    assert inside > 0.995
    for edge, into in ((low, 1), (high, -1)):  # full on its own side of the edge, gone on the other
        own = spectrum[((freqs - edge) * into > 15e3) & ((freqs - edge) * into < 165e3)].mean()
        beyond = spectrum[((freqs - edge) * into < -50e3) & ((freqs - edge) * into > -200e3)].mean()
        assert own > 30 * beyond


def test_sync_blocks_survive_composition():
    """Any rate, any place, a fading channel and a receiver: a cell search still names the cell."""
    rng = torch.Generator().manual_seed(1)
    config = NrConfig(10e6, 30e3, pci=777, ssb=Ssb("C", (True,) * 4, -120 * 30e3, 0.020))
    waveform = nr_downlink(config, 0.02, rng)
    fading = make_channel("C", 1e-7, 20.0, rng)
    of = scene(Emitter(waveform, 4.3217e6, 15.0, fading, 20.0), Emitter(lte(1, 0.02), -5e6, 20.0), rate=25e6,
               count=500_000, receiver=Receiver(tilt_db=2, edge=0.45, edge_db=6, iq_db=40, bits=12))
    found = search_nr(scene_iq(of), 25e6, 30e3, torch.tensor([4.3217e6]))
    assert [cell.pci for cell in found] == [777]


def test_a_carrier_offset_moves_every_emitter():
    """As it does in samples that are there already (`Receiver.apply`), but for what its filter does at the ends."""
    moved = [Emitter(lte(1), 1e6 + 7.3e3, 10.0), Emitter(lte(2), -5e6 + 7.3e3, 20.0)]
    there = scene_iq(scene(*moved))
    offset = scene_iq(scene(*(Emitter(e.waveform, e.center - 7.3e3, e.snr_db) for e in moved),
                            receiver=Receiver(carrier_offset=7.3e3)))
    assert (offset - there).abs().max() < 1e-3 * there.abs().max()


def test_fading_moves_in_the_samples_as_in_the_response():
    """The stretches a moving channel is cut into leave what an exact time-variant filter would."""
    channel = make_channel("flat", 0.0, 400.0, torch.Generator().manual_seed(2))
    on = torch.tensor([[-1.0, 1.0]], dtype=torch.float64)
    tone = Shaped("tone", (-500.0, 500.0), 1e6, on, DURATION, ("tone",), 1)
    emitter = Emitter(tone, 0.0, 40.0, channel)
    signal = alone(scene(emitter, rate=1e6, count=10_000))
    exact = channel.response(torch.arange(10_000) / 1e6, torch.zeros(1))[:, 0]
    exact = exact * (signal.abs().square().mean() / exact.abs().square().mean()).sqrt()
    assert (signal - exact).abs().square().mean() < 0.003 * exact.abs().square().mean()


@pytest.mark.parametrize(("profile", "spread", "doppler"), [("EVA", 0.0, 70.0), ("C", 3e-7, 140.0)])
def test_a_channel_on_resource_elements_is_that_on_samples(monkeypatch, profile, spread, doppler):
    """In useful parts to -30 dB. In prefixes, where paths of two symbols meet, only the power is alike."""
    channel = make_channel(profile, spread, doppler, torch.Generator().manual_seed(2))
    waveform = lte(4, start=0.0)
    of = scene(Emitter(waveform, 0.0, 40.0, channel), rate=7.68e6, count=76800)
    assert scene_iq_module._fades_by_symbol(of.emitters[0])
    quick = alone(of)
    monkeypatch.setattr(scene_iq_module, "_fades_by_symbol", lambda emitter: False)
    exact = alone(of)
    error, power = (quick - exact).abs().square(), exact.abs().square().mean()
    assert error.mean() < 0.02 * power and abs(quick.abs().square().mean() / power - 1) < 0.03
    grid = waveform.grids[0]
    useful = torch.zeros(76800, dtype=torch.bool)
    for begin in ((grid.start + grid.cp) * 7.68e6).round().long().tolist():
        useful[begin + 2 : begin + 510] = True
    assert 10 * math.log10(error[useful].mean() / power) < -30


def test_channels_that_must_go_through_the_samples():
    rng = torch.Generator().manual_seed(1)
    for channel in (("EVA", 0.0, 400.0), ("C", 1e-6, 50.0)):
        assert not scene_iq_module._fades_by_symbol(Emitter(lte(), 0.0, 10.0, make_channel(*channel, rng)))
    tone = Shaped("tone", (-500.0, 500.0), 1e6, torch.tensor([[-1.0, 1.0]]), DURATION, ("tone",), 1)
    assert not scene_iq_module._fades_by_symbol(Emitter(tone, 0.0, 10.0, make_channel("EPA", 0.0, 5.0, rng)))


@pytest.mark.parametrize("count", [1000, 1 << 19, 210 * 2500, 2 * 3 * 7 * 12503, (1 << 19) + 21])
@pytest.mark.parametrize("sign", [-1, 1])
def test_long_transforms_are_the_same_in_two_steps(count, sign):
    values = torch.randn(count, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
    wanted = torch.fft.fft(values) if sign < 0 else torch.fft.ifft(values, norm="forward")
    assert (transform(values, sign) - wanted).abs().max() < 1e-5 * wanted.abs().max()


def test_seeds_reproduce_bit_for_bit():
    for seed in (3, 5, 8):
        first, second = (draw_scene("wideband", seed, frame_ms=1.0) for _ in range(2))
        assert torch.equal(scene_iq(first), scene_iq(second))
        assert truth(first) == truth(second)
    assert draw_scene("wideband", 3).samp_rate != draw_scene("wideband", 4).samp_rate


def test_scenes_of_a_training_and_of_validation_have_noise_of_their_own():
    """What tells them apart are the upper 32 bits of the seed."""
    for make in (scene_iq, fast_power):
        first, second = (make(scene(count=1 << 14, seed=5 + begin)) for begin in (0, VALIDATION_SEEDS))
        assert not torch.equal(first, second)


def test_base_stations_of_one_tdd_carrier_are_in_step():
    """Their frames begin together and arrive 0 to 10 us apart, as from up to 3 km further away."""
    late = []
    for seed in range(80):
        cells = {}
        for emitter in draw_scene("wideband", seed, samp_rate=30.72e6, frame_ms=2.0).emitters:
            if emitter.cell is not None:
                cells.setdefault(emitter.cell, []).append(emitter)
        for first, *others in cells.values():
            for other in others:
                a, b = first.waveform.info, other.waveform.info
                assert first.waveform.carrier == other.waveform.carrier and abs(first.center - other.center) <= 300
                assert other.snr_db <= first.snr_db
                if a["tdd"] is not None:
                    assert (a["tdd"], a["start"]) == (b["tdd"], b["start"])
                    one, two = (e.waveform.grids[0].start[0] for e in (first, other))
                    late.append(float(two - one))
                    assert -1e-9 <= late[-1] <= 10e-6 + 1e-9
    assert len(late) > 3 and len(set(late)) == len(late) and max(late) > 3e-6


def test_columns_belong_to_bands_that_cover_half_of_them():
    of = scene(Emitter(lte(), 1.234567e6, 10.0))
    low, high = truth(of)[0].active
    width = RATE / 256
    for column, value in enumerate(mask_columns(of, 256)):
        left = (column - 128.5) * width
        covered = max(0.0, min(high, left + width) - max(low, left)) / width
        assert value == (1 if covered >= 0.5 else 0), column


def test_the_stronger_of_two_on_one_place_gives_the_mask():
    for weak, strong in ((0.0, 10.0), (10.0, 0.0)):
        mask = mask_columns(scene(Emitter(lte(), 0.0, weak), Emitter(nr(load="full", duplex="fdd"), 0.0, strong)), 256)
        assert mask[120] == (2 if strong > weak else 1)


def test_silence_and_what_is_out_of_band_leave_no_truth():
    config = NrConfig(5e6, 15e3, pci=1, ssb=None)
    silent = nr_downlink(config, DURATION, torch.Generator().manual_seed(1))
    of = scene(Emitter(silent, 0.0, 30.0), Emitter(lte(), RATE, 30.0))
    assert truth(of) == [] and not mask_columns(of, 256).any()
    cut = truth(scene(Emitter(lte(), RATE / 2, 30.0)))[0]
    assert cut.active == (RATE / 2 - 2.2575e6, RATE / 2 - 7.5e3)  # up to the empty subcarrier in its middle


def test_truth_is_what_is_sent_in_the_frame_and_in_the_band():
    users = (Pdsch(((0, 10),), start=0, symbols=14), Pdsch(((96, 10),), start=0, symbols=14))
    sides = nr_downlink(NrConfig(20e6, 15e3, pci=1, pdsch=users), DURATION, torch.Generator().manual_seed(1))
    narrow = Scene(2.4e6, 24_000, [Emitter(sides, 0.0, 20.0)], None, 1, "test")
    assert truth(narrow) == []  # nothing of it within 8 MHz of the middle
    (cut,) = truth(replace(narrow, emitters=[Emitter(sides, -8.2e6, 20.0)]))
    assert cut.active == pytest.approx((-9.5475e6 + 96 * 180e3 - 8.2e6, 1.2e6))
    before = torch.tensor([[0.0, LEAD - 1e-6]], dtype=torch.float64)
    burst = Shaped("linear", (-1e5, 1e5), 4e5, before, DURATION + 2 * LEAD, ("linear", 2, 0.22, 4), 1)
    assert truth(scene(Emitter(burst, 0.0, 20.0))) == []
    after = replace(burst, on=before + LEAD)
    assert len(truth(scene(Emitter(after, 0.0, 20.0)))) == 1


def test_terminals_alone_are_no_carrier():
    """In 1 ms of a TDD carrier they may be all that is on the air; nothing then tells them from an uplink beside it."""
    tdd = 0
    for seed in range(150):
        for emitter in draw_scene("wideband", seed, samp_rate=30.72e6, frame_ms=1.0).emitters:
            if emitter.waveform.label in ("LTE", "NR"):
                tdd += emitter.waveform.info["tdd"] is not None
                assert emitter.waveform.has_downlink
    assert tdd > 20


@pytest.mark.parametrize("bandwidth", [5e6, 10e6, 15e6, 20e6])
def test_the_sample_rate_tells_no_class(bandwidth):
    """What leaks out of the channel ends at its end."""
    rates = {lte(bandwidth=bandwidth).native_rate}
    rates |= {nr(bandwidth=bandwidth, scs=scs).native_rate for scs in (15e3, 30e3, 60e3) if (bandwidth, scs) != (5e6, 60e3)}
    assert len(rates) == 1


def test_cells_on_one_frequency_are_one_carrier():
    of = scene(Emitter(lte(1), 0.0, 10.0, cell=1), Emitter(lte(2), 100.0, 10.0, cell=1), Emitter(lte(3), 5e6, 10.0))
    found = truth(of)
    assert len(found) == 2
    assert max(t.snr_db for t in found) == pytest.approx(13.01, abs=0.01)


@pytest.fixture(scope="module")
def wideband():
    return [draw_scene("wideband", seed, frame_ms=2.0) for seed in range(500)]


def test_wideband_tells_no_class_by_a_nuisance(wideband):
    seen = {"LTE": [], "NR": []}
    for of in wideband:
        for e in of.emitters:
            if e.waveform.label in seen and e.cell is None and 4e6 < e.waveform.info["bandwidth"] <= 20e6:
                seen[e.waveform.label].append((e.waveform.info["tdd"] is not None, e.snr_db, abs(e.center) / of.samp_rate,
                                               e.channel is None, math.log(of.samp_rate), e.waveform.info["bandwidth"]))
    lte_, nr_ = (np.array(seen[label], float) for label in seen)
    assert len(lte_) > 60 and len(nr_) > 60
    for name, column, scale in (("tdd", 0, 0.5), ("snr", 1, 14), ("place", 2, 0.15), ("channel", 3, 0.43),
                                ("rate", 4, 0.9), ("bandwidth", 5, 6e6)):
        standard = scale * math.sqrt(1 / len(lte_) + 1 / len(nr_))
        assert abs(lte_[:, column].mean() - nr_[:, column].mean()) < 4 * standard, name


def test_wideband_covers_what_it_promises(wideband):
    rates = np.array([of.samp_rate for of in wideband])
    assert 0.5e6 <= rates.min() < 0.8e6 and 180e6 < rates.max() <= 245.76e6
    counts = [len(of.emitters) for of in wideband]
    assert min(counts) == 0 and max(counts) >= 5
    labels = [{t.label for t in truth(of)} for of in wideband]
    assert sum(not x for x in labels) > 10  # noise only
    assert sum(x == {"other"} for x in labels) > 30
    assert sum(x >= {"LTE", "NR"} for x in labels) > 20
    filled = sum(any(t.carrier[1] - t.carrier[0] > 0.85 * of.samp_rate for t in truth(of)) for of in wideband)
    assert filled > 40
    levels = [e.snr_db for of in wideband if not of.info["clean"] for e in of.emitters]
    assert -10 <= min(levels) < -9.9 and 39.8 < max(levels) <= 40
    assert np.quantile(levels, 0.02) < -1
    carriers = [[max(e.snr_db for e in stations) for stations in by_carrier(of.emitters)] for of in wideband]
    spreads = [max(s) - min(s) for s in carriers if len(s) > 1]
    assert 38 < max(spreads) <= 40
    dice = [Dice("wideband", seed) for seed in range(4000)]
    rates, lengths = np.array([_rate(d) for d in dice]), np.array([_frame_ms(d) for d in dice])
    assert 0.5e6 <= rates.min() < 0.52e6 and 240e6 < rates.max() <= 245.76e6
    assert 0.5 <= lengths.min() < 0.52 and 78 < lengths.max() <= 80


def test_traffic_of_other_cells_lies_beneath_a_light_carrier_nearby():
    """10 to 30 dB, as on a commercial carrier: more often than not where several cells share a carrier in light use."""
    beneath = []
    for seed in range(300):
        for stations in by_carrier(draw_scene("wideband", seed, samp_rate=46.08e6, frame_ms=1.0).emitters):
            config = stations[0].waveform.info
            if len(stations) > 1 and stations[0].waveform.kind == "nr" and len(config["coresets"]) == 1:
                beneath.append(stations[0].snr_db - stations[1].snr_db)
    assert len(beneath) >= 10 and np.mean([9.99 < x < 30.01 for x in beneath]) > 0.5


def test_a_narrow_band_is_often_a_slice_of_a_wider_signal():
    """As an RTL-SDR sees LTE of 10 MHz: no edge in the band, and the carrier's middle anywhere."""
    seen = {"LTE": [], "NR": [], "other": []}
    for seed in range(250):
        for emitter in draw_scene("wideband", seed, samp_rate=2.4e6, frame_ms=2.0).emitters:
            low, high = (f + emitter.center for f in emitter.waveform.carrier)
            if low < -1.2e6 and high > 1.2e6 and high - low > 6e6:
                seen[emitter.waveform.label].append(emitter.center)
    assert all(len(centers) >= 4 for centers in seen.values())
    assert max(map(abs, seen["LTE"])) > 2e6


def test_gsm_comes_in_stretches():
    """On a raster of 200 kHz (3GPP TS 45.005 2), often channel by channel, and not where another carrier is."""
    carrier, stretches = (1e6, 6e6), 0
    for seed in range(40):
        first = Emitter(Gsm(seed, DURATION, beacon_share=1.0), -1.05e6, 20.0)
        plan = Plan(20e6, DURATION, [carrier, (-1.2e6, -0.9e6)], crowded=False)
        centers = np.array([e.center for e in _further_gsm(Dice("wideband", seed), plan, first)])
        places = (centers - first.center) / 200e3
        assert np.allclose(places, places.round(), atol=1e-6) and (places.round() != 0).all()
        assert all(c + 1e5 <= carrier[0] or c - 1e5 >= carrier[1] for c in centers)
        stretches += len(places) >= 10 and np.ptp(places) < 6 * len(places)
    assert 5 < stretches < 35


def test_a_few_wideband_scenes_are_as_clean_as_a_simulators(wideband):
    clean = [of for of in wideband if of.info["clean"]]
    assert 8 < len(clean) < 40
    assert max(e.snr_db for of in clean for e in of.emitters) > 60
    assert all(e.snr_db <= 40 for of in wideband if not of.info["clean"] for e in of.emitters)


def test_base_stations_of_a_carrier_are_lifted_together():
    waveform = lte()
    levels, lifted = ((30.0, None), (-2.0, 1), (-4.0, 1), (-3.0, None), (20.0, 2), (-3.0, 2)), 0
    for seed in range(20):
        emitters = [Emitter(waveform, 0.0, level, cell=cell) for level, cell in levels]
        _limit_range(Dice("wideband", seed), emitters)
        strong, first, second, alone, near, further = (e.snr_db for e in emitters)
        assert strong == 30 and first >= alone
        assert first - second == pytest.approx(2) and near - further == pytest.approx(23)
        lifted += first > -2
    assert lifted


def test_fixed_parameters_are_kept():
    of = draw_scene("wideband", 1, samp_rate=20e6, frame_ms=5.0)
    assert (of.samp_rate, of.count) == (20e6, 100_000)
    for preset, kw in (("wideband", {"samp_rate": 1e5}), ("wideband", {"frame_ms": 200.0}), ("nowhere", {}),
                       ("paper", {"colour": 1}), ("paper", {"level_db": 5})):
        with pytest.raises(DataError):
            draw_scene(preset, 1, **kw)


@pytest.mark.parametrize("level", [-10, 10, 30])
def test_paper_levels_are_total_power_over_the_whole_band(level):
    of = draw_scene("paper-test", 4, level_db=level)
    signal = alone(of)
    assert 10 * math.log10(float(signal.abs().square().mean()) / of.samp_rate) == pytest.approx(level, abs=0.3)


def test_paper_channels_fit_in_the_band_together():
    """Seed 7 draws NR of 50 MHz with LTE of 15 or 20 first, which the band cannot hold."""
    for seed in range(24):
        (low, end), (begin, high) = sorted(t.carrier for t in truth(draw_scene("paper-test", seed)))
        assert -PAPER_RATE / 2 - 1 <= low < end <= begin + 1 < high <= PAPER_RATE / 2 + 1


def test_paper_frames_are_labelled_by_nominal_channels():
    single, both = draw_scene("paper", 3), draw_scene("paper-test", 3)
    assert len(truth(single)) == 1
    assert {t.label for t in truth(both)} == {"LTE", "NR"}
    for t, e in zip(sorted(truth(both), key=lambda t: t.active), sorted(both.emitters, key=lambda e: e.center), strict=True):
        assert t.active[1] - t.active[0] == pytest.approx(e.waveform.info["bandwidth"])
    bands = sorted(t.active for t in truth(both))
    assert bands[0][0] >= -30.72e6 and bands[0][1] <= bands[1][0] and bands[1][1] <= 30.72e6
    assert set(np.unique(mask_columns(both, 256, ("noise", "NR", "LTE")))) == {0, 1, 2}


def test_demo_holds_both_standards():
    of = draw_scene("demo", 1, frame_ms=20.0)
    assert sorted(t.label for t in truth(of)) == ["LTE", "LTE", "NR", "NR", "other"]
    assert scene_iq(of).shape == (round(61.44e6 * 0.02),)
