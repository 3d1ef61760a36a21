# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels: the tables' own spreads, mean power, Doppler, and one realisation for samples and responses alike."""

import math

import pytest
import torch
from scipy.special import j0

from training.channel import LTE_PROFILES, PROFILES, TDL, good_size, make_channel, random_channel
from training.errors import DataError

RATE = 7.68e6


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tone(freq: float, count: int) -> torch.Tensor:
    turn = freq / RATE * torch.arange(count, dtype=torch.float64) % 1 * 2 * math.pi
    return torch.polar(torch.ones_like(turn), turn).to(torch.complex64)


def spread(delays: tuple, powers_db: tuple) -> float:
    delay = torch.tensor(delays, dtype=torch.float64)
    power = 10 ** (torch.tensor(powers_db, dtype=torch.float64) / 10)
    power = power / power.sum()
    return float(((power * delay.square()).sum() - (power * delay).sum().square()).sqrt())


@pytest.mark.parametrize("name", TDL)
def test_tdl_tables_have_unit_delay_spread(name):
    """TR 38.901 7.7.3 scales by the wanted spread: the tables' own is 1. A mistyped digit breaks that.

    D's line of sight is given to 0.1 dB only, and half of that moves its spread by 0.5 %.
    """
    assert spread(*TDL[name]) == pytest.approx(1, abs=0.007 if name == "D" else 0.0004)


@pytest.mark.parametrize(("name", "nanoseconds"), [("EPA", 45), ("EVA", 357), ("ETU", 991)])
def test_lte_tables_have_their_delay_spread(name, nanoseconds):
    """TS 36.101 table B.2.1-1."""
    assert spread(*LTE_PROFILES[name]) == pytest.approx(nanoseconds, rel=0.05)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("doppler", [0.0, 200.0])
def test_mean_power_is_one(profile, doppler):
    freqs = torch.linspace(-2e7, 2e7, 61, dtype=torch.float64)
    times = torch.rand(4, generator=rng(1), dtype=torch.float64)
    source = rng(2)
    power = [make_channel(profile, 3e-7, doppler, source).response(times, freqs).abs().square().mean()
             for _ in range(400)]
    assert 10 * math.log10(float(torch.stack(power).mean())) == pytest.approx(0, abs=0.4)


@pytest.mark.parametrize("profile", ["A", "C", "E", "EVA", "ETU", "flat"])
@pytest.mark.parametrize("doppler", [0.0, 7.0, 500.0])
@pytest.mark.parametrize("freq", [-3.1e6, 0.4e6])
def test_samples_see_the_response(profile, doppler, freq):
    """A tone's course through `apply` is `response` at its frequency, to 34 dB below the mean."""
    channel = make_channel(profile, 5e-7, doppler, rng(3))
    count, start = 153600, 0.25
    out = channel.apply(tone(freq, count), RATE, start) * tone(freq, count).conj()
    places = torch.arange(1000, count - 1000, 997)
    wanted = channel.response(start + places.double() / RATE, torch.tensor([freq], dtype=torch.float64))[:, 0]
    error = (out[places] - wanted).abs().square().mean()
    assert float(error) < 4e-4 * max(float(wanted.abs().square().mean()), 0.1)


@pytest.mark.parametrize("profile", ["C", "ETU", "flat"])
@pytest.mark.parametrize(("rate", "doppler"), [(8e3, 30.0), (8e3, 500.0), (4e4, 300.0), (4e5, 500.0)])
def test_slow_samples_see_the_response(profile, rate, doppler):
    """The same of waveforms as slow as a tone or FM, which turn within few samples."""
    channel = make_channel(profile, 5e-7, doppler, rng(3))
    count, start = round(0.05 * rate), 0.25
    out = channel.apply(torch.ones(count, dtype=torch.complex64), rate, start)
    places = torch.arange(count // 10, count - count // 10)
    wanted = channel.response(start + places.double() / rate, torch.zeros(1, dtype=torch.float64))[:, 0]
    error = (out[places] - wanted).abs().square().mean()
    assert float(error) < 4e-4 * max(float(wanted.abs().square().mean()), 0.1)


def test_nothing_arrives_before_it_was_sent():
    pulse = torch.zeros(20000, dtype=torch.complex64)
    pulse[15000] = 1
    for doppler in (0.0, 300.0):
        out = make_channel("C", 1e-6, doppler, rng(4)).apply(pulse, RATE).abs().square()
        assert float(out[14950:15200].sum() / out.sum()) > 0.99  # latest path: 8.7 us, 66 samples


def test_taps_fade_with_the_jakes_spectrum():
    """The autocorrelation of a Rayleigh tap over many realisations is J0."""
    source = rng(5)
    lags = torch.linspace(0, 0.02, 21, dtype=torch.float64)
    found = torch.stack([(t := make_channel("flat", 0.0, 100.0, source).taps(lags)[:, 0]) * t[0].conj()
                         for _ in range(3000)]).mean(0)
    wanted = torch.from_numpy(j0((2 * math.pi * 100 * lags).numpy()))
    assert float((found - wanted).abs().max()) < 0.09


def test_line_of_sight_has_its_place_and_power():
    """TR 38.901 7.7.2: the first tap of TDL-E is Ricean with K = 22 dB, its steady part at 0.7 of the Doppler."""
    channel = make_channel("E", 1e-7, 100.0, rng(6))
    steady, scattered = (float(channel.gain[tap].abs().square().sum()) for tap in (0, 1))
    assert 10 * math.log10(steady / scattered) == pytest.approx(22, abs=0.1)
    assert channel.doppler[0].unique().tolist() == [70.0]


def test_seeds_give_the_same_channel():
    one, two = random_channel(rng(7)), random_channel(rng(7))
    iq = torch.randn(30000, dtype=torch.complex64, generator=rng(8))
    assert torch.equal(one.gain, two.gain) and torch.equal(one.doppler, two.doppler)
    assert torch.equal(one.apply(iq, RATE), two.apply(iq, RATE))


def test_random_channels_cover_what_they_promise():
    source = rng(9)
    drawn = [random_channel(source) for _ in range(600)]
    moving = [c.max_doppler for c in drawn if c.max_doppler]
    assert 0.3 < 1 - len(moving) / len(drawn) < 0.5
    assert max(moving) <= 500 and max(moving) > 350 and min(moving) < 5
    assert {len(c.delay) for c in drawn} == {len(t[0]) for t in (*TDL.values(), *LTE_PROFILES.values())} | {1}


@pytest.mark.parametrize("count", [1, 100, 1023])
def test_short_stretches(count):
    for doppler in (0.0, 500.0):
        out = make_channel("B", 1e-6, doppler, rng(10)).apply(torch.ones(count, dtype=torch.complex64), RATE)
        assert out.shape == (count,) and bool(torch.isfinite(torch.view_as_real(out)).all())


def test_refusals():
    with pytest.raises(DataError, match="'F'"):
        make_channel("F", 1e-7, 0.0, rng())
    with pytest.raises(DataError, match="negative"):
        make_channel("A", -1e-7, 0.0, rng())


def test_good_sizes():
    for least in (1, 7, 1000, 1234567):
        size = rest = good_size(least)
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        assert rest == 1 and least <= size < 1.15 * least + 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
def test_gpu_gives_the_same():
    iq = torch.randn(50000, dtype=torch.complex64, generator=rng(11))
    for doppler in (0.0, 100.0):
        channel = make_channel("C", 3e-7, doppler, rng(12))
        assert torch.allclose(channel.apply(iq.cuda(), RATE).cpu(), channel.apply(iq, RATE), atol=1e-4)
