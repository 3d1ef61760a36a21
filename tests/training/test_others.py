# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The neighbours: what recordings and standards say of them, and densities that are those of their samples."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from training.waveforms.gsm import SLOT, SYMBOL_RATE, Gsm, random_gsm
from training.waveforms.ofdm import OfdmWaveform
from training.waveforms.others import CHIP_RATE, KINDS, Chirps, bursts, dvb_t, random_other
from training.waveforms.shaped import Shaped
from training.waveforms.wifi import WifiConfig, random_wifi, wifi


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def db(ratio: torch.Tensor | float) -> torch.Tensor:
    return 10 * torch.log10(torch.as_tensor(ratio, dtype=torch.float64))


def periodogram(iq: torch.Tensor, rate: float, columns: int) -> torch.Tensor:
    """Mean Hann periodogram, per Hz, DC in the middle."""
    window = torch.hann_window(columns)
    power = torch.fft.fft(iq.unfold(0, columns, columns // 2) * window).abs().square().mean(0)
    return torch.fft.fftshift(power) / (rate * window.square().sum())


def recording(captures, name: str) -> tuple[torch.Tensor, float]:
    rate = json.loads((captures / f"{name}.sigmf-meta").read_text())["global"]["core:sample_rate"]
    raw = np.fromfile(captures / f"{name}.sigmf-data", "<i2").astype(np.float32)
    return torch.from_numpy(raw.view(np.complex64)), rate


def always(duration: float) -> torch.Tensor:
    return bursts(rng(), duration, 1.0, 1.0)


# --- densities against samples ---------------------------------------------------------------------------------------

DURATION = 0.2
HALF = torch.arange(0, 20, dtype=torch.float64)[:, None] * 0.01 + torch.tensor([0.001, 0.006])
EMITTERS = {
    "wcdma": Shaped("wcdma", (-1.92e6, 1.92e6), 2 * CHIP_RATE, always(DURATION), DURATION, ("linear", 2, 0.22, 4), 1),
    "qam in bursts": Shaped("linear", (-6e5, 6e5), 2e6, HALF, DURATION, ("linear", 2, 0.2, 64), 2, ramp=8e-6),
    "levels": Shaped("linear", (-6e5, 6e5), 2e6, HALF, DURATION, ("linear", 2, 0.5, 16), 3,
                     level=torch.linspace(0.2, 1.8, 20)),
    "fm": Shaped("fm", (-1.2e5, 1.2e5), 4e5, always(DURATION), DURATION, ("fm", 0.09, 0.035), 4),
    "fsk": Shaped("fsk", (-4.5e5, 4.5e5), 4e6, HALF, DURATION, ("gmsk", 4, 0.5), 5, ramp=4e-6),
    "gsm beacon": Gsm(6, DURATION, beacon_share=1.0),
    "gsm traffic": Gsm(7, DURATION, beacon_share=0.0),
    "sweeps": Chirps(4e6, 1e-3, 1e-3, DURATION),
    "pulsed sweeps": Chirps(4e6, 2e-4, 1.7e-3, DURATION, 3e-4),
}  # fmt: skip


@pytest.mark.parametrize("name", EMITTERS)
def test_density_is_that_of_the_samples(name):
    """Over the whole stretch within 0.5 dB in each column that matters, and in power to 0.1 dB."""
    emitter = EMITTERS[name]
    count = round(emitter.native_rate * DURATION)
    columns = 32
    column_hz = emitter.native_rate / columns
    fine = (torch.arange(columns * 8, dtype=torch.float64) - columns * 4) * (column_hz / 8)
    wanted = emitter.psd(torch.tensor([0, DURATION], dtype=torch.float64), fine, column_hz / 8)[0].double()
    offset = torch.arange(-16, 17, dtype=torch.float64) / 8  # the window's lobe, in columns
    lobe = (torch.sinc(offset) / (1 - offset**2 + (offset.abs() == 1) * 1e-9)).square()
    lobe[offset.abs() == 1] = 0.25
    spread = torch.nn.functional.conv1d(wanted[None, None], (lobe / lobe.sum())[None, None], padding=16)[0, 0][::8]
    measured = periodogram(emitter.iq(count), emitter.native_rate, columns).double()
    assert float(db(measured.sum() / spread.sum())) == pytest.approx(0, abs=0.1)
    matters = spread > spread.max() / 20
    assert int(matters.sum()) >= 5
    assert float(db(measured[matters] / spread[matters]).abs().max()) < 0.5


@pytest.mark.parametrize("name", EMITTERS)
def test_density_follows_the_samples_in_time(name):
    emitter = EMITTERS[name]
    count = round(emitter.native_rate * DURATION)
    rows = 400
    per_row = count // rows
    edges = torch.arange(rows + 1, dtype=torch.float64) * per_row / emitter.native_rate
    columns = torch.linspace(-0.5, 0.5, 65, dtype=torch.float64)[:-1] * emitter.native_rate
    wanted = emitter.psd(edges, columns, emitter.native_rate / 64).sum(1) * emitter.native_rate / 64
    measured = emitter.iq(count)[: rows * per_row].abs().square().view(rows, -1).mean(1)
    assert float(measured.sum() / wanted.sum()) == pytest.approx(1, abs=0.02)
    assert float((measured - wanted).abs().mean() / measured.max()) < 0.06


@pytest.mark.parametrize("name", ["wcdma", "qam in bursts", "fm", "sweeps", "gsm beacon"])
def test_mean_density_over_the_carrier_is_one_while_on(name):
    """The scale every waveform shares: power over active time is the carrier's width in Hz."""
    emitter = EMITTERS[name]
    iq = emitter.iq(round(emitter.native_rate * DURATION)).abs().square()
    low, high = emitter.carrier
    if name == "qam in bursts":
        place = torch.arange(len(iq)) / emitter.native_rate % 0.01
        iq = iq[(place > 0.00102) & (place < 0.00598)]  # between the ramps
    assert float(db(iq.mean() / (high - low))) == pytest.approx(0, abs=0.2)


def test_bursts_shorter_than_their_ramps_are_heard():
    """The ramps of slow symbols take a quarter of a burst at most: half of it at least is at its level."""
    on = torch.arange(40, dtype=torch.float64)[:, None] * 5e-3 + torch.tensor([1e-3, 1.4e-3])
    emitter = Shaped("linear", (-6e3, 6e3), 2e4, on, DURATION, ("linear", 2, 0.2, 4), 9, ramp=8e-4)
    heard = float(emitter.iq(round(2e4 * DURATION)).abs().square().mean()) / 12e3 / (40 * 4e-4 / DURATION)
    said = emitter.psd(torch.tensor([0.0, DURATION]).double(), torch.zeros(1).double(), 2e4).item() * 2e4 / 12e3 / 0.08
    assert float(db(said)) == pytest.approx(float(db(1 - 1.25 / 4)), abs=0.01)
    assert float(db(heard)) == pytest.approx(float(db(said)), abs=1.5)


def test_tone_lies_where_it_says():
    emitter = Shaped("tone", (-500.0, 500.0), 8e3, always(1.0), 1.0, ("tone",))
    psd = emitter.psd(torch.tensor([0.0, 1.0], dtype=torch.float64), torch.tensor([-1e3, 0.0, 1e3]).double(), 1e3)[0]
    assert psd.tolist() == pytest.approx([0, 1, 0], abs=1e-6)


def test_wcdma_has_its_pulse():
    """3GPP TS 25.104 6.8.1: root raised cosine, 0.22: half power at half the chip rate, nothing from 2.34 MHz on."""
    power = periodogram(EMITTERS["wcdma"].iq(1 << 19), 2 * CHIP_RATE, 512)
    freqs = (torch.arange(512) - 256) * (2 * CHIP_RATE / 512)
    middle = power[(freqs.abs() < 1.2e6)].mean()
    edge = power[(freqs.abs() - CHIP_RATE / 2).abs() < 2e4].mean()
    assert float(db(edge / middle)) == pytest.approx(-3, abs=0.4)
    assert float(db(power[freqs.abs() > 2.4e6].max() / middle)) < -50


def test_silent_emitters():
    late = replace(EMITTERS["fsk"], on=torch.tensor([[0.5, 0.6]], dtype=torch.float64))
    empty = replace(late, on=torch.zeros(0, 2, dtype=torch.float64))
    for emitter in (late, empty):
        assert emitter.active is None
        assert not bool(emitter.iq(1000).any())
        assert not bool(emitter.psd(torch.linspace(0, 0.1, 9, dtype=torch.float64), torch.zeros(3).double(), 1e5).any())


# --- GSM -------------------------------------------------------------------------------------------------------------


def test_gsm_sends_frequency_correction_bursts():
    """3GPP TS 45.002: a tone of 67.7 kHz for a slot in frames 0, 10, 20, 30, 40 of 51."""
    beacon = Gsm(3, 0.25, beacon_share=1.0)
    iq = beacon.iq(round(beacon.native_rate * 0.25))
    frame = 8 * SLOT
    for number, tone in ((0, True), (1, False), (10, True), (20, True), (40, True), (50, False), (51, True)):
        begin = round((number * frame + 0.1 * SLOT) * beacon.native_rate)
        piece = iq[begin : begin + round(0.8 * SLOT * beacon.native_rate)]
        spectrum = torch.fft.fft(piece * torch.hann_window(len(piece)), 1 << 14).abs()
        peak = int(spectrum.argmax()) / (1 << 14) * beacon.native_rate
        held = float(spectrum.square().topk(200).values.sum() / spectrum.square().sum())
        assert (held > 0.99) == tone, f"frame {number}"
        if tone:
            assert peak == pytest.approx(SYMBOL_RATE / 4, abs=200)


def test_gsm_traffic_keeps_to_its_slots():
    traffic = next(g for g in (Gsm(seed, 0.1, beacon_share=0.0) for seed in range(50)) if g.active
                   and len(g._parts[0].on) > 20)
    power = traffic.iq(round(traffic.native_rate * 0.1)).abs().square()
    place = (torch.arange(len(power)) / traffic.native_rate) % SLOT
    guard = power[place > SLOT - 6 / SYMBOL_RATE].mean()  # 8.25 symbols, the ramp's rounding apart
    assert float(guard / power.mean()) < 1e-3
    low, high = traffic.carrier
    on = power[power > 0]
    assert 0.2 < float(on.mean() / (high - low)) < 5


def test_gsm_neighbours_differ():
    first = random_gsm(rng(1), 0.05)
    kinds = {tuple(replace(first, seed=first.seed + i)._parts[0].on[:, 0].tolist()) for i in range(12)}
    assert len(kinds) > 5


def test_gsm_looks_like_the_recording(captures):
    """The 20 ms of a real beacon and ours: the same bandwidth for 50, 90 and 97 % of the power, within 12 kHz."""
    iq, rate = recording(captures / "other", "gsm_20070204_robert_dbsrx_941MHz_16")
    power = periodogram(iq - iq.mean(), rate, 1024)
    peak = int(torch.nn.functional.avg_pool1d(power[None], 41, 1, 20)[0].argmax())
    real = power[peak - 38 : peak + 39]
    real = (real - torch.quantile(power, 0.2)).clamp(min=0)
    beacon = Gsm(2, 0.1, start=-0.01, beacon_share=1.0)
    ours = periodogram(beacon.iq(1 << 16), beacon.native_rate, 278)[139 - 38 : 139 + 39]
    for share in (0.5, 0.9, 0.97):
        widths = []
        for spectrum in (real, ours):
            below = torch.cumsum(spectrum, 0) / spectrum.sum()
            low, high = (np.interp(q, below, np.arange(77)) for q in ((1 - share) / 2, (1 + share) / 2))
            widths.append((high - low) * rate / 1024)
        assert widths[0] == pytest.approx(widths[1], abs=12e3), f"{share:.0%}: {widths}"


# --- WiFi ------------------------------------------------------------------------------------------------------------


def first_frame(config: WifiConfig) -> tuple[torch.Tensor, float]:
    """The samples of a frame from its beginning on."""
    waveform = wifi(config, 20e-3, rng(4))
    grid = waveform.grids[0]
    begin = next(i for i in range(len(grid.start)) if float(grid.start[i]) > 0 and float(grid.cp[i + 2]) == 1.6e-6)
    rate = waveform.native_rate
    return waveform.iq(round(20e-3 * rate))[round(float(grid.start[begin]) * rate) :], rate


def test_training_fields_repeat():
    """IEEE 802.11 17.3.3: ten times 0.8 us, then a prefix of 1.6 us and two equal symbols of 3.2 us."""
    iq, rate = first_frame(WifiConfig("a", 20))
    short, step = iq[: round(8e-6 * rate)], round(0.8e-6 * rate)
    assert float((short[step:] - short[:-step]).abs().max()) < 1e-3 * float(short.abs().max())
    long = iq[round(8e-6 * rate) : round(16e-6 * rate)]
    prefix, symbol = round(1.6e-6 * rate), round(3.2e-6 * rate)
    assert torch.allclose(long[prefix : prefix + symbol], long[prefix + symbol :], atol=1e-2)
    assert torch.allclose(long[:prefix], long[symbol : symbol + prefix], atol=1e-2)
    assert float(db(short.abs().square().mean() / long.abs().square().mean())) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("name", ["wifi-conducted_dot11a_12mbps", "wifi-radiated_dot11n_6_5mbps"])
def test_training_fields_are_the_recordings(captures, name):
    """Our preamble is found in others' signals, often, and every tone of its long field has the right sign."""
    iq, rate = recording(captures / "other", name)
    ours, own_rate = first_frame(WifiConfig("a", 20))
    ours = torch.fft.fft(ours[: round(16e-6 * own_rate)])
    size = round(16e-6 * rate)
    ours = torch.fft.ifft(torch.cat([ours[: size // 2], ours[-size // 2 :]]))  # 40 to 20 MS/s
    turn = torch.polar(torch.ones(len(iq)), 2 * math.pi * 35e3 / rate * torch.arange(len(iq)))  # its oscillators' error
    spectrum = torch.fft.fft(iq * turn)

    def matches(wanted: torch.Tensor) -> torch.Tensor:
        found = torch.fft.ifft(spectrum * torch.fft.fft(wanted, len(iq)).conj()).abs().square()[: -size + 1]
        energy = torch.nn.functional.conv1d(iq.abs().square()[None, None], torch.ones(1, 1, size))[0, 0]
        return found / (energy * wanted.abs().square().sum()).clamp(min=1e-9)

    right = matches(ours)
    assert float(right.max()) > 0.8 and int((right > 0.5).sum()) >= 10
    begin = int(right.argmax()) + round(9.6e-6 * rate)
    tones = torch.cat([torch.arange(-26, 0), torch.arange(1, 27)])
    heard, known = (torch.fft.fft(x)[tones] for x in ((iq * turn)[begin : begin + 64], ours[192:256]))
    channel = heard * known.conj()  # a smooth one: neighbouring tones turn alike
    assert float((channel[1:] * channel[:-1].conj()).real.min()) > 0


@pytest.mark.parametrize(
    ("standard", "width", "half"),
    [("a", 20, 26.5 * 312.5e3), ("n", 20, 28.5 * 312.5e3), ("n", 40, 58.5 * 312.5e3), ("ac", 80, 122.5 * 312.5e3),
     ("ax", 20, 122.5 * 78.125e3), ("ax", 40, 244.5 * 78.125e3), ("ax", 80, 500.5 * 78.125e3)],
)  # fmt: skip
def test_wifi_bandwidths(standard, width, half):
    waveform = wifi(WifiConfig(standard, width, busy=1.0, length=1e-3), 5e-3, rng(5))
    assert waveform.carrier[1] == pytest.approx(half, abs=1)
    # the legacy fields' grid is coarser than the data's
    assert waveform.active[1] == pytest.approx(half, abs=1) and waveform.active[0] == pytest.approx(-half, abs=1)
    for grid in waveform.grids:
        assert bool((torch.diff(grid.start) > 0).all()), "symbols out of order"
        ends = grid.start + grid.cp + 1 / grid.scs
        assert bool((ends[:-1] <= grid.start[1:] + 1e-9).all()), "frames over each other"


@pytest.mark.parametrize(("busy", "least", "most"), [(0.1, 0.03, 0.25), (0.5, 0.35, 0.75), (1.0, 0.8, 1.0)])
def test_wifi_is_on_the_air_as_asked(busy, least, most):
    waveform = wifi(WifiConfig("n", 20, busy=busy, length=8e-4), 0.2, rng(6))
    grid = waveform.grids[0]
    share = float((grid.cp + 1 / grid.scs).sum()) / 0.2
    assert least < share < most


def test_wifi_stations_have_their_levels():
    waveform = wifi(WifiConfig("n", 20, busy=1.0, uplink=0.5, client_db=-15.0), 0.05, rng(7))
    power = waveform.grids[0].re.abs().square()
    level = db(power.sum(1) / (power > 0).sum(1))
    assert float(level[level > -8].mean()) == pytest.approx(0, abs=2)
    assert float(level[level < -8].mean()) == pytest.approx(-15, abs=2)


def test_wifi_resource_units_fill_a_part():
    grid = wifi(WifiConfig("ax", 20, busy=1.0, units=1.0), 0.02, rng(8)).grids[1]
    used = (grid.re != 0).sum(1)
    assert int(used.min()) >= 20 and int(used.max()) <= 124


# --- the others ------------------------------------------------------------------------------------------------------


def test_dvb_t_pilots():
    """ETSI EN 300 744 4.5: scattered pilots move by three carriers a symbol, 16/9 as strong as data."""
    grid = dvb_t(rng(9), 0.01, "2k").grids[0]
    power = grid.re.abs().square()
    assert power.shape[1] == 1705
    for symbol in range(8):
        pilots = power[symbol, 3 * (symbol % 4) :: 12]
        assert float(pilots.min()) == pytest.approx(16 / 9, rel=1e-4)
    signs = grid.re[0, ::12].real.sign()
    assert 0.3 < float((signs > 0).float().mean()) < 0.7, "pilots of one sign make a pulse"


def test_dvb_t_pilots_are_gnu_radios():
    """Another implementation of ETSI EN 300 744 4.5: its scattered pilots of four symbols have our signs and places."""
    dtv = pytest.importorskip("gnuradio.dtv", reason="GNU Radio's gr-dtv is not installed")
    from gnuradio import blocks, gr

    graph = gr.top_block()
    source, sink = blocks.vector_source_c([0j] * (4 * 1512), False, 1512), blocks.vector_sink_c(2048)
    pilots = dtv.dvbt_reference_signals(gr.sizeof_gr_complex, 1512, 2048, dtv.MOD_QPSK, dtv.NH, dtv.C1_2, dtv.C1_2,
                                        dtv.GI_1_32, dtv.T2k, 0, 0)
    graph.connect(source, pilots, sink)
    graph.run()
    theirs = np.fft.fftshift(np.fft.fft(np.array(sink.data()).reshape(4, 2048)), axes=1)[:, 172:][:, :1705]
    ours = dvb_t(rng(9), 0.01, "2k").grids[0].re.numpy()
    for symbol in range(4):
        scattered = slice(3 * symbol, None, 12)
        assert np.array_equal(np.sign(theirs[symbol, scattered].real), np.sign(ours[symbol, scattered].real))


def test_random_bursts_are_apart_and_busy_as_asked():
    for busy in (0.1, 0.5, 0.9):
        on = bursts(rng(10), 4.0, 1e-3, busy)
        assert bool((torch.diff(on.flatten()) >= 0).all())
        inside = (on[:, 1].clamp(0, 4) - on[:, 0].clamp(0, 4)).sum() / 4
        assert float(inside) == pytest.approx(busy, rel=0.12)


@pytest.mark.parametrize("duration", [0.7e-3, 20e-3])
def test_random_others(duration):
    source = rng(11)
    kinds, silent = set(), 0
    edges = torch.linspace(0, duration, 17, dtype=torch.float64)
    freqs = (torch.arange(64, dtype=torch.float64) - 32) * 1e6
    for _ in range(80):
        emitter = random_other(source, duration, 40e6)
        kinds.add(emitter.kind)
        assert emitter.label == "other"
        low, high = emitter.carrier
        assert low < 0 < high and high - low < 1.3 * 40e6
        assert max(-low, high) <= emitter.native_rate / 2
        if emitter.active is None:
            silent += 1
            continue
        assert low - 1 <= emitter.active[0] < emitter.active[1] <= high + 1
        if duration < 1e-3:
            assert bool(emitter.iq(round(emitter.native_rate * duration)).abs().sum() > 0)
        if not isinstance(emitter, OfdmWaveform):
            psd = emitter.psd(edges, freqs, 1e6)
            assert psd.shape == (16, 64) and bool((psd >= 0).all())
    assert kinds == set(KINDS) - {"pulses"}  # whose kind is radar
    assert silent < 40


@pytest.mark.parametrize("max_bandwidth", [0.5e6, 6e6])
def test_random_others_fit_narrow_bands(max_bandwidth):
    source = rng(12)
    for _ in range(60):
        low, high = random_other(source, 5e-3, max_bandwidth).carrier
        assert high - low <= 1.5 * max_bandwidth


def test_random_wifi_covers_its_standards():
    source = rng(13)
    drawn = [random_wifi(source) for _ in range(300)]
    assert {(c.standard, c.width) for c in drawn} == {
        ("a", 20), ("n", 20), ("n", 40), ("ac", 20), ("ac", 40), ("ac", 80), ("ax", 20), ("ax", 40), ("ax", 80)}
    assert all(c.width == 20 for c in (random_wifi(source, 20e6) for _ in range(50)))


def test_seeds_give_the_same_samples():
    for seed in range(25):
        one, two = (random_other(rng(seed), 2e-3, 30e6) for _ in range(2))
        count = min(20000, round(one.native_rate * 2e-3))
        assert torch.equal(one.iq(count), two.iq(count)), one.kind


def test_bursts_that_meet_within_a_sample_fit_the_frame():
    """Rounded to samples one burst ends after the next has begun."""
    on = torch.tensor([[0.0, 0.5e-3 + 3e-6], [0.5e-3, 1e-3]], dtype=torch.float64)
    shaped = Shaped("linear", (-5e5, 5e5), 1e6, on, 1e-3, ("linear", 2, 0.2, 4), 1)
    assert len(shaped.iq(1000)) == 1000
