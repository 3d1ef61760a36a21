# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""NR carriers: against others' signals, against the standard's numbers, and against themselves."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from training.cell_search_nr import search_nr
from training.errors import DataError
from training.scene_model import Emitter
from training.waveforms.draw import Draw
from training.waveforms.lte_signals import crs_frame
from training.waveforms.nr import NrConfig, nr_downlink, random_nr
from training.waveforms.nr_config import Coreset, CsiRs, Pdsch, Ssb, Tdd
from training.waveforms.nr_dss import random_dss
from training.waveforms.nr_random import paper_nr, random_tdd
from training.waveforms.nr_tables import N_RB, SSB_SCS, dmrs_symbols, symbol_times
from training.waveforms.uplink import nr_uplink


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def lowest(bandwidth: float, scs: float) -> float:
    return -6.0 * N_RB[round(scs)][round(bandwidth / 1e6)] * scs


def full_load(bandwidth: float, scs: float, **more) -> NrConfig:
    blocks = N_RB[round(scs)][round(bandwidth / 1e6)]
    user = Pdsch(((0, blocks),), start=0, symbols=14, order=more.pop("order", 64))
    return NrConfig(bandwidth, scs, pci=77, pdsch=(user,), **more)


# --- against others' signals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "scs", "pci", "frequency"),
    [
        ("real-nr/commercial-n1-20MHz-ssb", 15e3, 191, None),
        ("real-nr/srsran-n78-40MHz-sib", 30e3, 1, None),
        ("generated-nr/py3gpp-52prb-15k", 15e3, 77, 0.0),
    ],
)
def test_cell_identity_in_captures(captures, name, scs, pci, frequency):
    meta = json.loads((captures / f"{name}.sigmf-meta").read_text())["global"]
    kind = {"ci16_le": "<i2", "ci8": "i1"}[meta["core:datatype"]]
    rate = meta["core:sample_rate"]
    raw = np.fromfile(captures / f"{name}.sigmf-data", kind, count=2 * int(0.006 * rate)).astype(np.float32)
    near = None if frequency is None else torch.tensor([frequency])
    (cell,) = search_nr(torch.from_numpy(raw).view(torch.complex64), rate, scs, near)
    assert cell.pci == pci
    assert cell.pss > 0.9 and cell.sss > 0.85


def _demodulate(iq: np.ndarray, nfft: int, slot: int) -> np.ndarray:
    """Subcarriers of a 15 kHz slot, complex64 [14, nfft], DC in the middle."""
    rows, at = [], slot * 15 * nfft
    for symbol in range(14):
        at += nfft * (160 if symbol % 7 == 0 else 144) // 2048
        rows.append(np.fft.fftshift(np.fft.fft(iq[at : at + nfft])))
        at += nfft
    return np.array(rows)


def _likeness(received: np.ndarray, known: np.ndarray, group: int) -> float:
    """0 to 1: correlation of [..., n] elements, phases free from one `group` of elements to the next."""
    product = (received * known.conj()).reshape(-1, group)
    return float(np.abs(product.sum(1)).sum() / max(np.abs(product).sum(), 1e-9))


def test_py3gpp_finds_its_own_sequences_in_our_signal():
    """PSS, SSS and PBCH DM-RS as another implementation makes them, in samples demodulated here."""
    py3gpp = pytest.importorskip("py3gpp", reason="py3gpp, an optional dependency of this test, is not installed")
    pci, index = 501, 3
    ssb = Ssb("A", tuple(i == index for i in range(8)), -120 * 15e3, 0.020)
    wave = nr_downlink(NrConfig(10e6, 15e3, pci, ssb=ssb), 0.005, rng())
    iq = wave.iq(int(wave.native_rate * 0.005)).numpy()
    nfft = round(wave.native_rate / 15e3)
    grid = py3gpp.nrOFDMDemodulate(
        waveform=iq, nrb=52, scs=15, initialNSlot=0, SampleRate=wave.native_rate, CyclicPrefixFraction=1.0
    )
    assert nfft * 15e3 == wave.native_rate
    block = grid[52 * 6 - 120 : 52 * 6 + 120, 22:26]  # case A: the fourth block begins at symbol 22

    assert _likeness(block[56:183, 0], py3gpp.nrPSS(pci), 127) > 0.99
    assert _likeness(block[56:183, 2], py3gpp.nrSSS(pci), 127) > 0.99
    dmrs = block.T.reshape(-1)[py3gpp.nrPBCHDMRSIndices(pci)]
    assert _likeness(dmrs, py3gpp.nrPBCHDMRS(pci, index), 12) > 0.99  # symbols of 60, 24 and 60 elements


@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize("additional", [0, 1, 2, 3])
def test_py3gpp_has_the_same_pdsch_dmrs(kind, additional):
    """Every element of every slot of a frame, where it stands and what it is, as another implementation has them."""
    py3gpp = pytest.importorskip("py3gpp", reason="py3gpp, an optional dependency of this test, is not installed")
    pci, first, count = 733, 5, 30
    user = Pdsch(((first, count),), start=0, symbols=14, dmrs_type=kind, dmrs_additional=additional)
    re = nr_downlink(NrConfig(10e6, 15e3, pci, pdsch=(user,)), 0.010, rng()).grids[0].re.view(10, -1).numpy()
    carrier, channel = py3gpp.nrCarrierConfig(NSizeGrid=52, SubcarrierSpacing=15), py3gpp.nrPDSCHConfig()
    channel.PRBSet, channel.SymbolAllocation, channel.NSizeBWP = list(range(first, first + count)), [0, 14], 52
    channel.DMRS.DMRSConfigurationType, channel.DMRS.DMRSAdditionalPosition = kind, additional
    channel.DMRS.NIDNSCID = pci
    for slot in range(10):
        carrier.NSlot = slot
        theirs = py3gpp.nrPDSCHDMRS(channel, carrier)
        places = py3gpp.nrPDSCHDMRSIndices(carrier, channel)
        assert len(theirs) == len(places) == (1 + additional) * count * (6 if kind == 1 else 4)
        assert np.allclose(re[slot][places], theirs, atol=1e-6)


def test_reference_signals_of_another_gnb(captures):
    """DM-RS of PDSCH and PDCCH, and the TRS, of standards software are the sequences made here for its cell."""
    name = "generated-nr/srsran-n52prb_15k_10MHz_mid"
    raw = np.fromfile(captures / f"{name}.sigmf-data", "i1", count=2 * int(0.010 * 15.36e6)).astype(np.float32)
    theirs = np.array([_demodulate(raw.view(np.complex64), 1024, slot) for slot in range(9)])
    theirs = theirs[..., 512 - 312 : 512 + 312].reshape(9, 14, 52, 12)

    def ours(**channels):
        wave = nr_downlink(NrConfig(10e6, 15e3, 501, **channels), 0.009, rng())
        return wave.grids[0].re.view(9, 14, 52, 12).numpy()

    pdsch = ours(pdsch=(Pdsch(((0, 52),), dmrs_additional=2, cdm_groups=2),))
    for symbol in (2, 7, 11):
        for slot in range(1, 9):
            assert _likeness(theirs[slot, symbol, :, 0::2], pdsch[slot, symbol, :, 0::2], 6) > 0.85
    pdcch = ours(coresets=(Coreset(0, 48, 1, load=50.0, levels=(8,), wideband=True),))
    likes = [_likeness(theirs[slot, 0, :48, 1::4], pdcch[slot, 0, :48, 1::4], 3) for slot in range(1, 9)]
    assert min(likes) > 0.85
    trs = ours(csi_rs=(CsiRs(1, 0, 52, 10, 4, 4, 0, 3.0),))
    k0 = int(np.abs(theirs[4, 4]).mean(0)[:4].argmax())
    for symbol in (4, 8):
        assert _likeness(theirs[4, symbol, 40:, k0::4], trs[4, symbol, 40:, 0::4], 3) > 0.9


# --- against the standard's numbers ----------------------------------------------------------------------------------


def test_carrier_widths_leave_the_standards_guard_bands():
    """TS 38.104 table 5.3.3-1 (minimum guard bands, kHz), an independent statement of N_RB."""
    guard = {
        15000: {5: 242.5, 10: 312.5, 15: 382.5, 20: 452.5, 25: 522.5, 30: 592.5, 40: 552.5, 50: 692.5},
        30000: {5: 505, 10: 665, 15: 645, 20: 805, 25: 785, 30: 945, 40: 905, 50: 1045,
                60: 825, 70: 965, 80: 925, 90: 885, 100: 845},
        60000: {10: 1010, 15: 990, 20: 1330, 25: 1310, 30: 1290, 40: 1610, 50: 1570,
                60: 1530, 70: 1490, 80: 1450, 90: 1410, 100: 1370},
    }  # fmt: skip
    for scs, widths in guard.items():
        for mhz, khz in widths.items():
            assert (mhz * 1000 - N_RB[scs][mhz] * 12 * scs / 1e3) / 2 - scs / 2e3 == khz, (scs, mhz)


@pytest.mark.parametrize("scs", [15000, 30000, 60000])
def test_cyclic_prefixes(scs):
    """Whole milliseconds, the long prefix at 0 and 0.5 ms only: 5.2 and 4.7 us at 15 kHz (TS 38.211 5.3.1)."""
    per_ms = scs // 15000
    start, cp = symbol_times(scs, 3 * per_ms, 2 * per_ms, 0.003)
    normal = 144 / 30.72e6 / per_ms
    long = torch.isclose(cp, torch.tensor(normal + 16 / 30.72e6, dtype=torch.float64))
    assert torch.isclose(cp[~long], torch.tensor(normal, dtype=torch.float64)).all()
    assert torch.allclose(start[long], torch.arange(4).double() * 0.0005, atol=1e-12)
    assert torch.allclose(start[1:] - start[:-1], cp[:-1] + 1 / scs, atol=1e-12)
    assert len(start) == 14 * 2 * per_ms


@pytest.mark.parametrize(
    ("case", "scs", "l_max", "symbols"),
    [
        ("A", 15e3, 4, (2, 8, 16, 22)),
        ("A", 15e3, 8, (2, 8, 16, 22, 30, 36, 44, 50)),
        ("B", 30e3, 4, (4, 8, 16, 20)),
        ("B", 30e3, 8, (4, 8, 16, 20, 32, 36, 44, 48)),
        ("C", 30e3, 4, (2, 8, 16, 22)),
        ("C", 60e3, 8, (2, 8, 16, 22, 30, 36, 44, 50)),
    ],
)
def test_sync_blocks_stand_where_ts_38213_says(case, scs, l_max, symbols):
    """TS 38.213 4.1, in the samples: energy in those symbols of the half frame and nowhere else."""
    own = SSB_SCS[case]
    width = 240 * own
    config = NrConfig(40e6, scs, 300, ssb=Ssb(case, (True,) * l_max, lowest(40e6, scs) + 3 * own, 0.005))
    wave = nr_downlink(config, 0.005, rng())
    assert math.isclose(wave.active[1] - wave.active[0], width)
    power = wave.iq(round(wave.native_rate * 0.005)).abs().square().numpy()
    start, _ = symbol_times(own, 0, 5 * own // 15000, 0.0)
    edges = np.append(np.round(start.numpy() * wave.native_rate).astype(int), len(power))
    on = {i for i in range(len(start)) if power[edges[i] : edges[i + 1]].mean() > 1e-3 * power.max()}
    assert on == {s + d for s in symbols for d in range(4)}


def test_sync_burst_period_and_half_frame():
    ssb = Ssb("C", (True,) + (False,) * 7, -120 * 30e3, 0.040, 0.015)
    wave = nr_downlink(NrConfig(20e6, 30e3, 5, ssb=ssb, start=0.010), 0.090, rng())
    used = (wave.grids[0].re != 0).any(1)
    first = wave.grids[0].start[used][::4]
    # half frames begin at 15, 55 and 95 ms of the timeline: 5, 45 and 85 ms of the stretch
    expected = torch.tensor([0.005, 0.045, 0.085]) + float(symbol_times(30e3, 0, 1, 0.0)[0][2])
    assert torch.allclose(first.float(), expected, atol=1e-7)


@pytest.mark.parametrize("period_ms", [5, 10, 20, 40, 80, 160])
def test_sync_burst_periods(period_ms):
    """TS 38.331 ssb-periodicityServingCell, over two of the longest: a block in its half frame every so often."""
    offset = 5 * (period_ms // 10)
    ssb = Ssb("A", (True, False, False, False), -120 * 15e3, period_ms * 1e-3, offset * 1e-3)
    grid = nr_downlink(NrConfig(5e6, 15e3, 5, ssb=ssb), 0.320, rng()).grids[0]
    begins = grid.start[(grid.re != 0).any(1)][::4] * 1e3
    place = float(symbol_times(15e3, 0, 1, 0.0)[0][2]) * 1e3  # case A: the first block begins at symbol 2
    assert torch.allclose(begins, torch.arange(offset, 320, period_ms).double() + place, atol=1e-6)


def test_dmrs_positions():
    """Rows of TS 38.211 tables 7.4.1.1.2-3 and -4."""
    assert dmrs_symbols("A", 2, 12, 0) == (2,)
    assert dmrs_symbols("A", 1, 13, 1, 3) == (3, 11)
    assert dmrs_symbols("A", 0, 14, 2) == (2, 7, 11)
    assert dmrs_symbols("A", 3, 10, 1, 3, False, 12) == dmrs_symbols("A", 3, 11, 1, 3, False, 12) == (3, 12)
    assert dmrs_symbols("A", 3, 9, 1, 3, False, 12) == (3, 9)
    assert dmrs_symbols("A", 0, 14, 3) == (2, 5, 8, 11)
    assert dmrs_symbols("A", 2, 8, 3) == (2, 6, 9)
    assert dmrs_symbols("B", 4, 2, 3) == (4,)
    assert dmrs_symbols("B", 5, 7, 1) == (5, 9)
    assert dmrs_symbols("A", 0, 14, 1, 2, True) == (2, 3, 10, 11)


# --- against themselves ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("case", "shift"), [("A", 0), ("A", 5), ("B", 0), ("B", 7), ("C", 12)])
def test_search_finds_our_cells(case, shift):
    """On the carrier's subcarriers or 15 kHz off them, among full load."""
    scs, pci = 30000, 3 * 211 + 1
    first = lowest(40e6, scs) + 12 * 30e3 * 33 + 15e3 * shift
    config = full_load(40e6, scs, ssb=Ssb(case, (True,) * 4, first, 0.005))
    config.pci = pci
    wave = nr_downlink(config, 0.002, rng(1))
    iq = wave.iq(round(wave.native_rate * 0.002))
    iq = iq + torch.randn(iq.shape, generator=rng(2), dtype=torch.complex64) * iq.abs().square().mean().sqrt() * 0.5
    own = SSB_SCS[case]
    near = first + 120 * own + torch.arange(-10, 11) * own / 2
    (cell,) = search_nr(iq, wave.native_rate, own, near)
    assert cell.pci == pci
    assert abs(cell.frequency - first - 120 * own) <= own / 2


def test_the_transmitters_filter_passes_every_carrier_whole():
    for scs, widths in N_RB.items():
        for mhz in widths:
            wave = nr_downlink(NrConfig(mhz * 1e6, scs, pci=1), 0.5e-3, rng())
            assert Emitter(wave, 0.0, 0.0).filter_gain(torch.tensor(wave.carrier)).min() > 0.999, (scs, mhz)


@pytest.mark.parametrize(("mhz", "scs"), [(mhz, scs) for scs, widths in N_RB.items() for mhz in widths])
def test_full_load_fills_the_carrier_at_unit_density(mhz, scs):
    """TS 38.104 table 5.3.2-1: the occupied bandwidth, of 99 % of the power, of every carrier."""
    config = full_load(mhz * 1e6, scs, order=4)
    wave = nr_downlink(config, 0.001, rng())
    n_rb = N_RB[round(scs)][mhz]
    assert wave.carrier == wave.active
    assert math.isclose(wave.carrier[1] - wave.carrier[0], n_rb * 12 * scs)
    count = round(wave.native_rate * 0.001)
    iq = wave.iq(count)
    spectrum = torch.fft.fft(iq).abs().square() / count / wave.native_rate
    freqs = torch.fft.fftfreq(count, 1 / wave.native_rate)
    inside = (freqs > wave.carrier[0]) & (freqs < wave.carrier[1])
    assert abs(10 * math.log10(spectrum[inside].mean())) < 0.1
    assert spectrum[inside].sum() > 0.99 * spectrum.sum()
    below = torch.cumsum(torch.fft.fftshift(spectrum), 0) / spectrum.sum()
    occupied = int(((below > 0.005) & (below < 0.995)).sum()) * wave.native_rate / count
    assert 0.98 * n_rb * 12 * scs < occupied < n_rb * 12 * scs + 30e3
    data = wave.grids[0].re.view(-1, 14, n_rb * 12)[:, 5]
    assert abs(data.abs().square().mean() - 1) < 1e-5


def test_powers_of_element_types():
    """DM-RS with two groups without data stands 3 dB up (TS 38.214 table 4.1-1); offsets come out as asked."""
    user = Pdsch(((10, 20),), start=2, symbols=12, dmrs_additional=0, cdm_groups=2, power_db=-4.0)
    control = Coreset(0, 48, 2, load=50.0, levels=(1,), power_db=2.0)
    ssb = Ssb("C", (True,) * 8, lowest(40e6, 30e3) + 70 * 360e3, 0.005, power_db=5.0)
    config = NrConfig(40e6, 30e3, 9, ssb=ssb, coresets=(control,), pdsch=(user,))
    re = nr_downlink(config, 0.005, rng()).grids[0].re.view(-1, 14, 106, 12)

    def db(values):
        values = values[values != 0]
        return 10 * math.log10(values.abs().square().mean())

    assert abs(db(re[:, 3:, 10:30]) + 4) < 0.1
    assert abs(db(re[:, 2, 10:30]) + 4 - 10 * math.log10(2)) < 1e-3
    assert (re[:, 2, 10:30, 1::2] == 0).all()
    assert abs(db(re[:, :2, :48]) - 2) < 1e-3
    assert abs(db(re[:, :, 70:90]) - 5) < 1e-3


def test_grid_is_the_standards_shape():
    """PDCCH's DM-RS on subcarriers 1, 5, 9; a TRS's comb of four; nothing where nothing was asked."""
    trs = CsiRs(1, 0, 52, period=10, offset=3, symbol=5, subcarrier=2, density=3.0)
    wave = nr_downlink(NrConfig(10e6, 15e3, 9, csi_rs=(trs,)), 0.010, rng())
    re = wave.grids[0].re.view(10, 14, 52, 12) != 0
    expected = torch.zeros_like(re)
    expected[3:5, 5, :, 2::4] = expected[3:5, 9, :, 2::4] = True
    assert torch.equal(re, expected)
    wide = Coreset(6, 24, 1, load=0.7, levels=(1,), wideband=True)
    re = nr_downlink(NrConfig(10e6, 15e3, 9, coresets=(wide,)), 0.010, rng(3)).grids[0].re.view(10, 14, 52, 12)
    busy = (re != 0).any(-1).any(-1).any(-1)
    assert 1 < busy.sum() < 10
    assert (re[busy][:, 0, 6:30, 1::4] != 0).all()
    assert (re[:, 1:] == 0).all() and (re[:, 0, :6] == 0).all() and (re[:, 0, 30:] == 0).all()


@pytest.mark.parametrize("uplink_db", [None, -10.0])
def test_tdd_symbols(uplink_db):
    tdd = Tdd("DDDSU", downlink=6, uplink=4, uplink_db=uplink_db, uplink_load=1.0)
    ssb = Ssb("C", (True,) * 8, -120 * 30e3, 0.005)
    config = full_load(20e6, 30e3, tdd=tdd, ssb=ssb)
    ratio = []
    for seed in range(6):
        wave = nr_downlink(config, 0.020, rng(seed))
        slots = (wave.grids[0].re != 0).any(1).view(-1, 5, 14)
        assert slots[:, :3].all() and slots[:, 3, :6].all()
        assert not slots[:, 3, 6:].any() and not slots[:, 4].any()
        assert len(wave.grids) == (1 if uplink_db is None else 2)
        power = wave.iq(round(wave.native_rate * 0.020)).abs().square()
        power = power.view(-1, 5, power.numel() // 40).mean((0, 2))
        ratio.append(float(power[4] / power[0]))
    if uplink_db is None:
        assert not any(ratio)
    else:  # terminals arrive up to 6 dB off the carrier's `uplink_db`
        assert min(ratio) > 0.02 and max(ratio) < 0.4 and 0.06 < sum(ratio) / len(ratio) < 0.16, ratio


def test_patterns_last_10_ms_at_most():
    """TS 38.331 dl-UL-TransmissionPeriodicity; a whole number of them in 20 ms (TS 38.213 11.1)."""
    for scs in (15e3, 30e3, 60e3):
        lengths = {len(random_tdd(Draw(rng(seed)), scs).pattern) * 15 / scs for seed in range(300)}
        assert max(lengths) <= 0.010 + 1e-9 and all(abs(0.020 / t - round(0.020 / t)) < 1e-9 for t in lengths)


def test_terminals_answer_early():
    """By no more than N_TA,offset, 13 us in FR1 (TS 38.133 table 7.1.2-2), each carrier's by a share of its own."""
    config = NrConfig(20e6, 30e3, 1, tdd=Tdd("DDDSU", 6, 4, 0.0, 1.0))
    earlier = set()
    for seed in range(12):
        downlink, uplink = nr_downlink(config, 0.005, rng(seed)).grids
        early = downlink.start.view(-1, 14)[4::5].reshape(-1) - uplink.start.view(-1, 18)[:, 4:].reshape(-1)
        assert torch.allclose(early, early[:1].expand_as(early), atol=1e-12) and -1e-12 < early[0] < 13.03e-6
        earlier.add(round(float(early[0]) * 1e9))
    assert len(earlier) > 8 and max(earlier) > 6000


def test_terminals_dmrs_are_a_comb_in_bands_a_dft_can_have():
    """TS 38.211 6.4.1.1 and 6.3.1.4: symbols 2 and 11, every second subcarrier 3 dB up and no data between them."""
    precoded = set()
    for seed in range(40):
        re = nr_uplink(106, torch.ones(1, 14, dtype=torch.bool), 1.0, rng(seed)).view(14, 106, 12)
        users = (re[2, :, 1::2] == 0).all(1) & (re[2, :, ::2] != 0).all(1)
        level = torch.where(users, re[2, :, ::2].abs().mean(1), 0.0)
        edges = [0, *((level.diff().abs() > 1e-3).nonzero()[:, 0] + 1).tolist(), 106]
        widths = [(low, high) for low, high in zip(edges, edges[1:], strict=False) if users[low]]
        assert (re[11, users][:, 1::2] == 0).all()
        for low, high in widths:
            dmrs = re[[2, 11], low:high, ::2].abs().square().mean()
            data = re[[*range(2), *range(3, 11), 12, 13], low:high].abs().square().mean()
            assert abs(10 * math.log10(dmrs / data) - 10 * math.log10(2)) < 1.0
            points = re[5, low:high].abs() / level[low]
            if len(points.mul(500).round().unique()) > 40:  # no constellation's
                precoded.add(high - low)
    assert len(precoded) > 5
    for width in precoded:
        for prime in (2, 3, 5):
            while width % prime == 0:
                width //= prime
        assert width == 1


def test_shared_spectrum_leaves_lte_whole():
    """DSS: every CRS as LTE alone sends it, NR between them as NR alone sends it, the label by who is heard."""
    config = random_dss(rng(5), bandwidth=10e6)
    config.start, config.lte.load = 0.0, 0.0
    config.pdsch = (Pdsch(((0, 52),), start=3, symbols=11, dmrs_l0=3, dmrs_l1=12),)
    wave = nr_downlink(config, 0.010, rng(1))
    assert (wave.kind, wave.label) == ("dss", "NR")
    shared = wave.grids[0].re[:140]
    alone = nr_downlink(replace(config, lte=None), 0.010, rng(1)).grids[0].re[:140]
    # LTE's 600 subcarriers and its empty DC begin 12 subcarriers up in NR's 624
    lte = torch.cat([shared[:, 12:312], shared[:, 313:613]], 1).view(10, 14, 600)
    normal = [n for n in range(10) if n not in config.lte.mbsfn]
    for crs in crs_frame(config.lte.cell_id, config.lte.ports, 50, True)[:, normal]:
        factor = lte[normal][crs != 0] / crs[crs != 0]  # one port's amplitude and phase
        assert torch.allclose(factor, factor[0].expand_as(factor), atol=1e-4)
        assert factor[0].abs() > 0.5
    kept = shared == alone
    data = torch.zeros(14, dtype=torch.bool)
    data[3:] = True
    assert 0.8 < kept.view(10, 14, 624)[:, data].float().mean() < 0.97
    assert kept[:, :12].all() and kept[:, 613:].all() and kept[:, 312].all()
    quiet = replace(config, pdsch=(), coresets=(), ssb=None)
    wave = nr_downlink(quiet, 0.010, rng(1))
    assert (wave.kind, wave.label, wave.carrier) == ("dss", "LTE", (-300.5 * 15e3, 300.5 * 15e3))
    with pytest.raises(DataError, match="share"):
        nr_downlink(replace(config, lte=replace(config.lte, bandwidth=20e6)), 0.010, rng())


def test_shared_carriers_by_chance():
    for seed in range(20):
        config = random_dss(rng(seed))
        assert all(user.spread_db == 0 and abs(user.power_db) <= 6 for user in config.pdsch)  # one radio's carrier
        wave = nr_downlink(config, 0.005, rng(seed))
        assert wave.kind == "dss" and wave.active is not None
        assert wave.carrier[0] <= wave.active[0] < wave.active[1] <= wave.carrier[1]
        json.dumps(wave.info)


def test_allocations_wander():
    """A user's blocks are drawn anew within a burst, as schedulers do."""
    user = Pdsch(((0, 106),), allocation="contiguous", fill=0.2, start=1, symbols=13, hold=1.0)
    re = nr_downlink(NrConfig(20e6, 15e3, 1, pdsch=(user,)), 0.040, rng()).grids[0].re
    used = (re.view(-1, 14, 106, 12)[:, 5] != 0).any(-1)
    assert len(used.unique(dim=0)) > 30
    assert 0.15 < used.float().mean() < 0.25


def test_slots_are_shared_out():
    """Several terminals have runs of any length in one slot, and others in the next."""
    user = Pdsch(((10, 90),), allocation="shared", fill=0.5, start=1, symbols=13, hold=1.0)
    re = nr_downlink(NrConfig(20e6, 15e3, 1, pdsch=(user,)), 0.200, rng()).grids[0].re
    used = (re.view(-1, 14, 106, 12)[:, 5] != 0).any(-1)
    assert not used[:, :10].any() and not used[:, 100:].any()
    assert 0.4 < used[:, 10:100].float().mean() < 0.6
    runs = (used[:, 1:] & ~used[:, :-1]).sum(1)
    assert runs.max() >= 3 and len(used.unique(dim=0)) > 150


def test_grants_differ_in_level():
    """A grant has one level from its first DM-RS to its last symbol; `spread_db` is how much grants differ."""
    user = Pdsch(((0, 106),), start=2, symbols=12, hold=2.0, power_db=-3.0, spread_db=4.0)
    re = nr_downlink(NrConfig(20e6, 15e3, 1, pdsch=(user,)), 0.400, rng()).grids[0].re.view(-1, 14, 106 * 12)
    level = 10 * torch.log10(re[:, [3, 13]].abs().square().mean(2))
    assert torch.allclose(level[:, 0], level[:, 1], atol=0.5)
    grants = level[:, 0][torch.cat([torch.tensor([True]), level[:, 0].diff().abs() > 0.5])]
    assert 100 < len(grants) < 300
    assert abs(grants.mean() + 3) < 1 and 3 < grants.std() < 4.5
    dmrs = 10 * torch.log10(re[:, 2, ::2].abs().square().mean(1))
    assert torch.allclose(dmrs, level[:, 0], atol=0.5)


def test_active_band_is_what_is_sent():
    ssb = Ssb("A", (True, False, False, False), lowest(20e6, 15e3) + 15e3 * 400, 0.160)
    idle = NrConfig(20e6, 15e3, 1, ssb=ssb)
    wave = nr_downlink(idle, 0.002, rng())
    edge = ssb.first_subcarrier - 7.5e3
    assert wave.active == (edge, edge + 3.6e6)
    idle.start = 0.010
    wave = nr_downlink(idle, 0.002, rng())
    assert wave.active is None
    assert not wave.iq(1000).any()


def test_random_carriers_are_whole_and_reproducible():
    duplex, silent = 0, 0
    for seed in range(60):
        config = random_nr(rng(seed))
        wave = nr_downlink(config, 0.004, rng(seed))
        again = nr_downlink(random_nr(rng(seed)), 0.004, rng(seed))
        assert wave.info == again.info
        assert all(torch.equal(a.re, b.re) for a, b in zip(wave.grids, again.grids, strict=True))
        json.dumps(wave.info)
        duplex += config.tdd is not None
        silent += wave.active is None
        if wave.active:
            assert wave.carrier[0] <= wave.active[0] < wave.active[1] <= wave.carrier[1]
        for grid in wave.grids:
            assert (grid.start[1:] > grid.start[:-1]).all()
            assert torch.isfinite(torch.view_as_real(grid.re)).all()
    assert 12 <= duplex <= 36
    assert silent < 20
    full = random_nr(rng(1), load="full", duplex="fdd")
    assert not torch.equal(nr_downlink(full, 0.004, rng(1)).iq(5000), nr_downlink(full, 0.004, rng(999)).iq(5000))


def test_asked_for_is_what_comes():
    config = random_nr(rng(4), bandwidth=100e6, scs=30e3, load="full", duplex="fdd", pci=44)
    assert (config.bandwidth, config.scs, config.tdd, config.pci) == (100e6, 30e3, None, 44)
    paper = paper_nr(rng(1), bandwidth=20e6, scs=15e3)
    assert paper.coresets[0].prbs == 102 and paper.ssb.case == "A"
    for wrong in ({"bandwidht": 1}, {"load": "heavy"}, {"duplex": "fddd"}, {"bandwidth": 7e6}):
        with pytest.raises(DataError):
            random_nr(rng(), **wrong)
    with pytest.raises(DataError, match="does not fit"):
        nr_downlink(NrConfig(5e6, 30e3, 1, ssb=Ssb("B", (True,) * 4, 0.0)), 0.01, rng())
