# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Receivers: each fault does what it says and no more, and the fast path's densities are those of the samples."""

import math
from dataclasses import fields
from itertools import pairwise

import pytest
import torch

from training.impairments import Receiver, random_receiver

RATE = 10e6
COUNT = 300000


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def noise(count: int = COUNT, seed: int = 0, rate: float = RATE) -> torch.Tensor:
    """White, density 1 per Hz."""
    return torch.randn(count, dtype=torch.complex64, generator=torch.Generator().manual_seed(seed)) * math.sqrt(rate)


def tone(freq: float, count: int = COUNT, amplitude: float = 1.0) -> torch.Tensor:
    turn = freq * torch.arange(count, dtype=torch.float64) % 1 * 2 * math.pi
    return torch.polar(torch.full_like(turn, amplitude), turn).to(torch.complex64)


def density(iq: torch.Tensor, columns: int = 256, rate: float = RATE) -> torch.Tensor:
    """Mean Hann periodogram, per Hz, DC in the middle."""
    window = torch.hann_window(columns)
    power = torch.fft.fft(iq.unfold(0, columns, columns // 2) * window).abs().square().mean(0)
    return torch.fft.fftshift(power) / (rate * window.square().sum())


def grid(columns: int = 256) -> torch.Tensor:
    return (torch.arange(columns, dtype=torch.float64) - columns // 2) / columns


def db(ratio: torch.Tensor | float) -> torch.Tensor:
    return 10 * torch.log10(torch.as_tensor(ratio, dtype=torch.float64))


EVERYTHING = Receiver(
    tilt_db=2, ripple_db=1, ripple=(2.0, 0.1), edge=0.4, edge_db=10, fold_db=20, carrier_offset=3e3, clock_ppm=10,
    phase_noise=0.05, iq_db=30, dc_db=10,
    spurs=((0.1, 20.0),), flicker_db=5, agc=((0.4, 3.0),), compression_db=10, bits=8, gaps=((0.1, 0.02),),
    splices=((0.5, 0.02),), seed=3)  # fmt: skip


def test_without_faults_nothing_changes():
    iq = noise()
    assert torch.equal(Receiver().apply(iq, RATE), iq)


@pytest.mark.parametrize("count", [1, 1000, 1024, 100001])
@pytest.mark.parametrize("rate", [0.5e6, 245.76e6])
def test_every_fault_at_any_length_and_rate(count, rate):
    iq = noise(count, rate=rate)
    before = iq.clone()
    out = EVERYTHING.apply(iq, rate)
    assert out.shape == iq.shape and out.dtype == torch.complex64
    assert bool(torch.isfinite(torch.view_as_real(out)).all())
    assert torch.equal(iq, before), "the caller's samples were changed"


def test_seeds_give_the_same_samples():
    assert torch.equal(EVERYTHING.apply(noise(), RATE), EVERYTHING.apply(noise(), RATE))
    for fault in ({"flicker_db": 20.0}, {"phase_noise": 0.1}):
        one, two = (Receiver(seed=seed, **fault).apply(tone(0.1), RATE) for seed in (1, 2))
        assert not torch.allclose(one, two, atol=1e-3), fault


def test_filter_and_tilt():
    receiver = Receiver(tilt_db=4, ripple_db=2, ripple=(3.0, 0.2), edge=0.35, edge_db=20)
    measured = db(density(receiver.apply(noise(1 << 20), RATE)))
    wanted = db(receiver.power_response(grid()))
    assert float((measured - wanted)[2:].abs().max()) < 0.5  # column 0 straddles the edge
    assert float(db(receiver.power_response(torch.tensor([0.5])))) == pytest.approx(
        2 - 20 + 2 * math.sin(2 * math.pi * 1.7), abs=0.1)


def test_folding_grows_with_distance():
    receiver = Receiver(edge=0.45, edge_db=6, fold_db=12)
    assert db(receiver.band_edge(torch.tensor([0.4999, 0.5001, 0.625]))).tolist() == pytest.approx(
        [-6, -18, -30], abs=0.1)


def test_carrier_offset_moves_the_band():
    out = Receiver(carrier_offset=12.5e3).apply(tone(0.1), RATE)
    assert int(torch.fft.fft(out).abs().argmax()) / COUNT * RATE == pytest.approx(1e6 + 12.5e3, abs=RATE / COUNT)


@pytest.mark.parametrize("ppm", [-25.0, 25.0])
@pytest.mark.parametrize(("freq", "floor_db"), [(0.02, -50), (-0.2, -42), (0.4, -36)])
def test_clock_error(ppm, freq, floor_db):
    """A tone comes out at the frequency a fast clock finds, with little else."""
    out = Receiver(clock_ppm=ppm).apply(tone(freq), RATE)
    wanted = tone(freq / (1 + ppm * 1e-6))
    error = (out - wanted)[64:-64].abs().square().mean()
    assert float(db(error)) < floor_db


def test_phase_noise():
    receiver = Receiver(phase_noise=0.1, seed=5)
    phase = torch.angle(receiver.apply(tone(0.0), RATE).to(torch.complex128))
    assert float(phase.square().mean().sqrt()) == pytest.approx(0.1, rel=0.02)
    steps = torch.diff(phase)
    assert float(steps.abs().max()) < 0.02, "a synthesiser does not jump"
    power = torch.fft.rfft(phase).abs().square()
    near, far = (float(power[int(a * COUNT / RATE) : int(b * COUNT / RATE)].mean())
                 for a, b in ((1e3, 10e3), (80e3, 100e3)))
    assert 4 < float(db(near / far)) < 16  # corner 30 kHz, then 1/f^2


def test_image():
    out = torch.fft.fft(Receiver(iq_db=25, iq_angle=1.0).apply(tone(0.1), RATE)).abs().square()
    assert float(db(out[round(0.9 * COUNT)] / out[round(0.1 * COUNT)])) == pytest.approx(-25, abs=0.05)


@pytest.mark.parametrize("columns", [256, 512])
def test_lines_have_the_density_the_fast_path_draws(columns):
    place = (-96 + 0.3) / columns  # between two columns
    receiver = Receiver(dc_db=20, spurs=((place, 10.0), (0.25, 15.0)))
    measured = density(receiver.apply(torch.zeros(1 << 18, dtype=torch.complex64), RATE), columns)
    wanted = receiver.line_density(grid(columns))
    strong = wanted > wanted.max() * 1e-3
    assert int(strong.sum()) >= 8
    assert float((db(measured[strong]) - db(wanted[strong])).abs().max()) < 0.7
    assert float(measured.sum()) == pytest.approx(float(wanted.sum()), rel=0.03)


@pytest.mark.parametrize("rate", [2e6, 61.44e6])
def test_flicker_has_the_density_the_fast_path_draws(rate):
    receiver = Receiver(flicker_db=12, seed=1)
    total = torch.zeros(256)
    for seed in range(6):
        receiver.seed = 10 * seed
        total += density(receiver.apply(torch.zeros(1 << 20, dtype=torch.complex64), rate), rate=rate) / 6
    wanted = receiver.flicker_density(grid(), rate)
    assert float(total.sum()) == pytest.approx(float(wanted.sum()), rel=0.15)
    lobe = 0.667 * wanted + 0.1665 * (wanted.roll(1) + wanted.roll(-1))  # the Hann window's
    assert float((db(total[127:130]) - db(lobe[127:130])).abs().max()) < 1.5


def test_gain_steps():
    iq = noise()
    out = Receiver(agc=((0.25, 6.0), (0.5, -2.0))).apply(iq, RATE)
    for begin, wanted in ((0, 0), (80000, 6), (160000, 4)):
        gain = out[begin : begin + 1000].abs() / iq[begin : begin + 1000].abs()
        assert float(db(gain.square().mean())) == pytest.approx(wanted, abs=0.01)


def test_compression_spares_the_weak_and_bends_the_strong():
    iq = tone(0.1, amplitude=1e-3)
    iq[: COUNT // 2] *= 1e3
    out = Receiver(compression_db=0).apply(iq, RATE)
    gain = out.abs() / iq.abs()
    assert float(gain[-1]) == pytest.approx(1, abs=1e-3)
    # the strong half is 3 dB over the mean power: 1 / sqrt(1 + 2)
    assert float(gain[0]) == pytest.approx(1 / math.sqrt(3), rel=0.01)


def test_compression_leaves_shoulders():
    carrier = torch.fft.ifft(torch.fft.fft(noise(1 << 18)) * (torch.fft.fftfreq(1 << 18).abs() < 0.1))
    clean, bent = density(carrier), density(Receiver(compression_db=8).apply(carrier, RATE))
    beside = slice(128 + 35, 128 + 50)  # third-order products
    assert float(db(bent[beside].mean() / bent[128])) > -45 > float(db(clean[beside].mean() / clean[128]))


@pytest.mark.parametrize(("bits", "headroom"), [(4, 12.0), (8, 15.0), (12, 20.0)])
def test_converter(bits, headroom):
    """No more values than bits give, and their noise where it is not clipped: step^2 / 12 in I and in Q."""
    iq = noise()
    out = Receiver(bits=bits, headroom_db=headroom).apply(iq, RATE)
    assert len(torch.unique(out.real)) <= 2**bits
    rms = float(torch.view_as_real(iq).square().mean().sqrt())
    step = 2 * rms * 10 ** (headroom / 20) / 2**bits
    error = float(torch.view_as_real(out - iq).square().mean())
    assert float(db(error / (step**2 / 12))) == pytest.approx(0, abs=0.2)


def test_converter_clips():
    out = torch.view_as_real(Receiver(bits=8, headroom_db=3.0).apply(noise(), RATE))
    assert float((out == out.max()).float().mean()) > 0.03
    assert float((out == out.min()).float().mean()) > 0.03


def test_gaps_and_splices():
    iq = noise()
    gap = Receiver(gaps=((0.5, 0.1),)).apply(iq, RATE)
    assert not bool(gap[COUNT // 2 : COUNT // 2 + COUNT // 10].any())
    assert torch.equal(gap[: COUNT // 2], iq[: COUNT // 2]) and torch.equal(gap[-1000:], iq[-1000:])
    splice = Receiver(splices=((0.5, 0.1),)).apply(iq, RATE)
    assert torch.equal(splice[COUNT // 2 : -COUNT // 10], iq[COUNT // 2 + COUNT // 10 :])
    assert len(splice) == COUNT


def test_random_receivers():
    """Every fault is met, none always, and the levels of one seed stay."""
    source = torch.Generator().manual_seed(1)
    drawn = [random_receiver(source) for _ in range(1500)]
    plain = Receiver()
    for item in fields(Receiver):
        if item.name in ("carrier_offset", "ripple", "edge", "fold_db", "iq_angle", "bits", "headroom_db", "seed"):
            continue
        share = sum(getattr(r, item.name) != getattr(plain, item.name) for r in drawn) / len(drawn)
        assert 0.005 < share < 0.7, f"{item.name} is drawn in {share:.1%}"
    assert {r.bits for r in drawn} == {8, 12, 16}
    combs = [[place for place, _ in r.spurs] for r in drawn if len(r.spurs) > 3]
    assert 60 < len(combs) < 180
    assert all(max(steps) - min(steps) < 1e-9 for steps in ([b - a for a, b in pairwise(c)] for c in combs))
    assert random_receiver(torch.Generator().manual_seed(2)) == random_receiver(torch.Generator().manual_seed(2))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
def test_gpu_gives_the_same():
    out = EVERYTHING.apply(noise().cuda(), RATE).cpu() / math.sqrt(RATE)
    # a rounding apart where the converter's step falls between
    assert float((out - EVERYTHING.apply(noise(), RATE) / math.sqrt(RATE)).abs().square().mean()) < 1e-3
