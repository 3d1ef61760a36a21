# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""LTE carriers: against others' signals, against the standard's numbers, and against themselves."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from training.cell_search_lte import search_lte
from training.errors import DataError
from training.waveforms.grants import LOADS, on_and_off
from training.waveforms.lte import lte_downlink
from training.waveforms.lte_config import DWPTS, N_RB, NFFT, SCS, TDD_PATTERNS, UPPTS, LteConfig
from training.waveforms.lte_control import PHICH_TDD, _places
from training.waveforms.lte_load import allocation
from training.waveforms.lte_random import random_lte
from training.waveforms.lte_signals import crs_frame, crs_sequences, mbsfn_rs, pss, sss
from training.waveforms.nr_channels import pdsch_slots
from training.waveforms.nr_config import Pdsch
from training.waveforms.nr_dss import random_dss
from training.waveforms.sequences import gold, gold_qpsk, qam, qpsk
from training.waveforms.uplink import base_sequence, lte_uplink, random_uplink


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def read(path, seconds: float) -> tuple[torch.Tensor, float]:
    meta = json.loads(path.with_suffix(".sigmf-meta").read_text())["global"]
    kind, rate = {"ci16_le": "<i2", "ci8": "i1"}[meta["core:datatype"]], meta["core:sample_rate"]
    raw = np.fromfile(path.with_suffix(".sigmf-data"), kind, count=2 * int(seconds * rate)).astype(np.float32)
    return torch.from_numpy(raw).view(torch.complex64), rate


def demodulate(iq: torch.Tensor, rate: float, n_rb: int, normal_cp: bool = True) -> torch.Tensor:
    """Whole subframes from the first sample on -> complex64 [subframes, symbols, 12 n_rb], written apart from the
    generator: prefixes counted in samples (TS 36.211 table 6.12-1)."""
    nfft = round(rate / SCS)
    prefixes = [160 * nfft // 2048] + [144 * nfft // 2048] * 6 if normal_cp else [512 * nfft // 2048] * 6
    subframes = int(len(iq) / rate * 1000)
    at, rows = 0, []
    for prefix in prefixes * 2 * subframes:
        at += prefix
        rows.append(torch.fft.fft(iq[at : at + nfft]))
        at += nfft
    bins = torch.cat([torch.arange(-6 * n_rb, 0), torch.arange(1, 6 * n_rb + 1)]) % nfft
    return torch.stack(rows)[:, bins].view(subframes, -1, 12 * n_rb)


def likeness(received: torch.Tensor, known: torch.Tensor, group: int) -> float:
    """0 to 1: correlation of elements, phases free from one `group` of them to the next."""
    product = (received * known.conj()).reshape(-1, group)
    return float(product.sum(1).abs().sum() / product.abs().sum().clamp(min=1e-9))


def crs_likeness(received: torch.Tensor, cell_id: int, n_rb: int, first: int = 0, group: int = 10) -> float:
    """How well port 0's CRS fit demodulated subframes [n, 14, 12 n_rb], the first of which is number `first`."""
    crs = crs_frame(cell_id, 1, n_rb, True)[0, (first + torch.arange(len(received))) % 10]
    return likeness(received[crs != 0], crs[crs != 0], group)


# --- against others' signals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "cell_id", "offset", "tdd", "pss_least"),
    [
        ("generated-lte/ntia-6prb", 123, 0, False, 0.97),
        ("generated-lte/ntia-25prb", 124, 0, False, 0.97),
        ("generated-lte/ntia-50prb", 125, 0, False, 0.97),
        ("generated-lte/ntia-100prb", 369, 0, False, 0.97),
        *((f"generated-lte/srsran-{n}prb-{kind}", 3 * n + plus, 0, False, 0.97)
          for n in (6, 25, 75) for kind, plus in (("full", 1), ("vary", 2))),
        ("real-lte/fdd20-a", 301, 14.3e3, False, 0.6),
        ("real-lte/fdd20-b", 301, 14.2e3, False, 0.6),
        ("real-lte/fdd10-near-overload", 360, 6.6e3, False, 0.6),
        ("real-lte/fdd5-among-gsm", 271, 24.9e3, False, 0.5),
        ("real-lte/tdd20-a", 253, 25.6e3, True, 0.3),
    ],
)
def test_cell_identity_in_captures(captures, name, cell_id, offset, tdd, pss_least):
    iq, rate = read(captures / name, 0.040)
    (cell,) = search_lte(iq, rate)
    assert (cell.cell_id, cell.tdd, cell.normal_cp) == (cell_id, tdd, True)
    assert abs(cell.frequency - offset) < 400  # Hz
    assert cell.pss > pss_least and cell.sss > 0.7


@pytest.mark.parametrize(("name", "cell_id", "n_rb"), [
    ("ntia-6prb", 123, 6), ("ntia-25prb", 124, 25), ("ntia-50prb", 125, 50), ("ntia-100prb", 369, 100),
    ("srsran-25prb-full", 76, 25), ("srsran-75prb-vary", 227, 75),
])  # fmt: skip
def test_reference_signals_of_another_base_station(captures, name, cell_id, n_rb):
    """The CRS of every slot and subcarrier of others' carriers are the sequences made here, and no other cell's."""
    iq, rate = read(captures / "generated-lte" / name, 0.010)
    received = demodulate(iq, rate, n_rb)
    assert crs_likeness(received, cell_id, n_rb, group=4 if n_rb == 6 else 10) > 0.95
    assert crs_likeness(received, (cell_id + 6) % 504, n_rb, group=4 if n_rb == 6 else 10) < 0.6


def test_reference_signals_off_the_air(captures):
    """A fading 20 MHz carrier, its oscillator 14 kHz off: slot by slot, its CRS are those of the identity found."""
    iq, rate = read(captures / "real-lte/fdd20-a", 0.040)
    (cell,) = search_lte(iq, rate)
    time = torch.arange(len(iq), dtype=torch.float64) / rate
    iq = iq * torch.polar(torch.ones_like(time), -2 * torch.pi * cell.frequency * time).to(torch.complex64)
    begin = round(cell.frame_start * rate)
    received = demodulate(iq[begin : begin + round(0.020 * rate)], rate, 100)
    middle = slice(12 * 30, 12 * 70)  # what the receiver's filter passes
    crs = crs_frame(301, 1, 100, True)[0, torch.arange(len(received)) % 10][..., middle]
    assert likeness(received[..., middle][crs != 0], crs[crs != 0], 5) > 0.75
    other = crs_frame(307, 1, 100, True)[0, torch.arange(len(received)) % 10][..., middle]
    assert likeness(received[..., middle][other != 0], other[other != 0], 5) < 0.6


def test_control_format_indicator_of_another_base_station(captures):
    """PCFICH, where TS 36.211 6.7.4 has it, holds one of the four codewords' scrambled forms."""
    iq, rate = read(captures / "generated-lte/srsran-25prb-full", 0.010)
    cell_id, n_rb = 76, 25
    received = demodulate(iq, rate, n_rb)[1:]
    codewords = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])  # TS 36.212 table 5.3.4-1, each over and over
    places, _, _ = _places(cell_id, n_rb, 1, True, 1, 1)
    seen = received.reshape(len(received), -1)[:, torch.from_numpy(places)]
    best = []
    for number, values in enumerate(seen, 1):
        c_init = (number + 1) * (2 * cell_id + 1) * 2**9 + cell_id  # TS 36.211 6.7.1
        scrambling = gold(c_init, 32).numpy()
        fits = []
        for word in codewords:
            bits = (np.resize(word, 32) + scrambling) % 2
            known = torch.from_numpy((1 - 2.0 * bits[0::2]) + 1j * (1 - 2.0 * bits[1::2])).to(torch.complex64)
            fits.append(float((values * known.conj()).sum().abs() / (values.abs() * known.abs()).sum()))
        best.append(max(fits))
    assert min(best) > 0.95


# --- against the standard's numbers ----------------------------------------------------------------------------------


def test_gold_sequence_by_definition():
    """TS 36.211 7.2, one bit at a time."""
    c_init, length = 0x2A5F1C3, 300
    x1, x2 = [1] + [0] * 30, [c_init >> i & 1 for i in range(31)]
    for n in range(1600 + length):
        x1.append(x1[n + 3] ^ x1[n])
        x2.append(x2[n + 3] ^ x2[n + 2] ^ x2[n + 1] ^ x2[n])
    expected = [x1[n + 1600] ^ x2[n + 1600] for n in range(length)]
    assert gold(c_init, length).tolist() == expected
    assert torch.equal(gold_qpsk(np.array([5, c_init]), length // 2)[1], qpsk(torch.tensor(expected)))


def test_every_identity_has_its_own_synchronisation():
    both = torch.stack([torch.cat([sss(i, False), sss(i, True)]) for i in range(504)])
    for n_id_2 in range(3):
        group = both[n_id_2::3]
        alike = (group @ group.T / 124).fill_diagonal_(0).abs()
        assert alike.max() < 0.75
    assert likeness(pss(0), pss(1), 62) < 0.3


@pytest.mark.parametrize("bandwidth", list(N_RB))
def test_occupied_bandwidth(bandwidth):
    wave = lte_downlink(LteConfig(bandwidth=bandwidth, load=1.0, control_load=1.0), 0.005, rng())
    half = 6 * N_RB[bandwidth] * SCS
    assert wave.active == wave.carrier == (-half - SCS / 2, half + SCS / 2)
    assert wave.native_rate == NFFT[N_RB[bandwidth]] * SCS
    iq = wave.iq(round(0.005 * wave.native_rate))
    spectrum = torch.fft.fft(iq).abs().square()
    freqs = torch.fft.fftfreq(len(iq), 1 / wave.native_rate).abs()
    assert spectrum[freqs > half + 50e3].sum() < 0.01 * spectrum.sum()
    assert spectrum[freqs <= half].sum() > 0.975 * spectrum.sum()  # a symbol's side lobes: most where it is narrow
    # one per Hz, less what is left free: beside the sync signals (a twentieth of 1.4 MHz) and other ports' places
    assert float(iq.abs().square().mean()) == pytest.approx(2 * half, rel=0.08)


@pytest.mark.parametrize("order", [4, 16, 64, 256])
def test_constellations(order):
    """TS 36.211 7.1: a square of odd multiples of one amplitude, unit power in the mean, every point as likely."""
    drawn = qam(order, 200 * order, rng())
    side = round(order**0.5)
    unit = (3 / (2 * (order - 1))) ** 0.5
    places = torch.view_as_real(drawn) / unit
    steps = ((places + side - 1) / 2).round()
    assert torch.allclose(places, 2 * steps - (side - 1), atol=1e-4)
    counts = torch.bincount((steps[:, 0] * side + steps[:, 1]).long(), minlength=order)
    assert len(counts) == order and int(counts.min()) > 120 and int(counts.max()) < 290
    assert float(drawn.abs().square().mean()) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("normal_cp", [True, False])
def test_prefixes(normal_cp):
    """Each symbol begins with its own end, as long as TS 36.211 table 6.12-1 says, and slots are half a millisecond."""
    wave = lte_downlink(LteConfig(bandwidth=20e6, load=1.0, normal_cp=normal_cp), 0.002, rng())
    grid = wave.grids[0]
    ts = (grid.cp * 30.72e6).round().long().tolist()
    assert ts[:14] == ([160] + [144] * 6) * 2 if normal_cp else set(ts) == {512}
    slot = 7 if normal_cp else 6
    assert torch.allclose(grid.start[slot::slot].diff(), torch.tensor(0.5e-3, dtype=torch.float64))
    iq = wave.iq(61440)
    for begin, cp in zip((grid.start * 30.72e6).round().long().tolist(), ts, strict=True):
        if begin + cp + 2048 <= 61440:
            assert torch.allclose(iq[begin : begin + cp], iq[begin + 2048 : begin + 2048 + cp], atol=1e-2)


@pytest.mark.parametrize("normal_cp", [True, False])
@pytest.mark.parametrize("ports", [1, 2, 4])
def test_reference_signals_in_the_samples(ports, normal_cp):
    """Off the IQ, each port's places hold its sequence with one gain, full load or not, and the power asked for."""
    config = LteConfig(cell_id=257, bandwidth=5e6, ports=ports, normal_cp=normal_cp, load=1.0, start=0.010)
    wave = lte_downlink(config, 0.010, rng(3))
    received = demodulate(wave.iq(76800), 7.68e6, 25, normal_cp) / 512 / SCS**0.5
    crs = crs_frame(257, ports, 25, normal_cp)
    expected = {1: 8, 2: 16, 4: 24}[ports]  # elements a PRB pair
    assert int((crs != 0).sum()) == expected * 25 * 10
    for port in crs:
        factor = received[port != 0] / port[port != 0]
        assert torch.allclose(factor, factor[0].expand_as(factor), atol=1e-3)
        assert 0.6 < factor[0].abs() < 1.6


def test_synchronisation_in_the_samples():
    for normal_cp, tdd, places in (
        (True, None, {"pss": (0, 6), "sss": (0, 5)}), (False, None, {"pss": (0, 5), "sss": (0, 4)}),
        (True, 1, {"pss": (1, 2), "sss": (0, 13)}), (False, 1, {"pss": (1, 2), "sss": (0, 11)}),
    ):  # fmt: skip
        config = LteConfig(cell_id=100, bandwidth=1.4e6, normal_cp=normal_cp, tdd=tdd, sync_db=0.0)
        received = demodulate(lte_downlink(config, 0.010, rng()).iq(19200), 1.92e6, 6, normal_cp) / 128 / SCS**0.5
        for half in (0, 5):
            for name, sequence in (("pss", pss(100 % 3)), ("sss", sss(100, half == 5))):
                subframe, symbol = places[name]
                row = received[subframe + half, symbol]
                assert torch.allclose(row[5:67], sequence.to(torch.complex64), atol=1e-3)
                assert row[:5].abs().max() < 1e-3 and row[67:].abs().max() < 1e-3


@pytest.mark.parametrize("normal_cp", [True, False])
@pytest.mark.parametrize("tdd", range(7))
def test_tdd_pattern(tdd, normal_cp):
    """Downlink, DwPTS, gap, UpPTS and uplink of every configuration, in the samples' power."""
    for special in range(len(DWPTS[normal_cp])):
        config = LteConfig(bandwidth=3e6, normal_cp=normal_cp, tdd=tdd, special=special, load=1.0, control_load=1.0)
        grid = lte_downlink(config, 0.010, rng(special)).grids[0]
        sent = (grid.re != 0).any(1).view(-1, config.symbols)[:10]
        for subframe, kind in enumerate(TDD_PATTERNS[tdd]):
            downlink = {"D": config.symbols, "S": DWPTS[normal_cp][special], "U": 0}[kind]
            assert not sent[subframe, downlink:].any()
            assert sent[subframe, :downlink].all()
        config = replace(config, uplink_db=-10.0, uplink_load=1.0, bandwidth=5e6)
        wave = lte_downlink(config, 0.010, rng(1))
        downlink, uplink = wave.grids
        specials, uplinks = (TDD_PATTERNS[tdd].count(kind) for kind in "SU")
        symbols = uplinks * config.symbols + specials * UPPTS[normal_cp][special]
        assert int((uplink.start < 0.010 - 1e-6).sum()) == symbols
        assert uplink.first_subcarrier == downlink.first_subcarrier + SCS / 2
        # nothing of the terminals falls into what the base station sends
        lasts = 1 / SCS
        sent = (downlink.re != 0).any(1)
        used, last_cp = downlink.start[sent], downlink.cp[sent]
        for begin, cp in zip(uplink.start.tolist(), uplink.cp.tolist(), strict=True):
            assert not ((used < begin + cp + lasts - 1e-7) & (used + last_cp + lasts > begin + 1e-7)).any()


def test_special_subframes_last_as_the_standard_counts_them():
    """DwPTS and UpPTS in T_s, TS 36.211 table 4.2-1; the gap keeps at least a symbol."""
    dwpts = {True: (6592, 19760, 21952, 24144, 26336, 6592, 19760, 21952, 24144, 13168),
             False: (7680, 20480, 23040, 25600, 7680, 20480, 23040, 12800)}  # fmt: skip
    uppts = {True: (2192,) * 5 + (4384,) * 5, False: (2560,) * 4 + (5120,) * 4}
    for normal in (True, False):
        lengths = np.array(([160] + [144] * 6) * 2 if normal else [512] * 12) + 2048
        for special, (down, up) in enumerate(zip(DWPTS[normal], UPPTS[normal], strict=True)):
            assert lengths[:down].sum() == dwpts[normal][special]
            assert lengths[-up:].sum() == uppts[normal][special]
            assert down + up < len(lengths)


@pytest.mark.parametrize(("n_rb", "ports", "normal_cp", "symbols"), [
    (6, 1, True, 4), (25, 2, True, 3), (50, 4, True, 2), (100, 2, False, 3), (15, 4, False, 1), (6, 4, False, 4),
])  # fmt: skip
def test_control_channels_share_the_region(n_rb, ports, normal_cp, symbols):
    """PCFICH, PHICH and the CCEs overlap nowhere, keep off the CRS and leave fewer than nine REGs over."""
    for cell_id in (0, 7, 503):
        pcfich, phich, pdcch = _places(cell_id, n_rb, ports, normal_cp, symbols, 1)
        every = np.concatenate([pcfich, phich.ravel(), pdcch.ravel()])
        assert len(set(every.tolist())) == len(every)
        crs = (crs_frame(cell_id, max(ports, 2), n_rb, normal_cp)[:, 0, :symbols] != 0).any(0).view(-1).numpy()
        assert not crs[every].any()
        left = (~crs).sum() - len(every)
        assert 0 <= left < 36
        assert (pcfich < 12 * n_rb).all() and (phich < 12 * n_rb).all()  # in the first symbol


def test_phich_groups_do_not_meet_at_1_4_mhz():
    """N_g = 2 with m_i = 2 asks for more than the first symbol has."""
    for cell_id in range(0, 504, 7):
        _, phich, _ = _places(cell_id, 6, 1, True, 2, 4)
        assert len(phich) == 2 and len(set(phich.ravel().tolist())) == phich.size


def test_pmch_follows_the_mbsfn_subframes_asked_for():
    configs = [random_lte(rng(seed), duplex="fdd", mbsfn=(1, 6)) for seed in range(60)]
    assert 15 < sum(config.pmch for config in configs) < 45
    assert not any(random_lte(rng(seed), mbsfn=()).pmch for seed in range(60))
    assert not any(random_dss(rng(seed)).lte.pmch for seed in range(20))  # whose MBSFN region is NR's


def test_phich_answers_every_uplink_subframe():
    """TS 36.211 table 6.9-1 from TS 36.213 table 9.1.2-1: a transmission in subframe n is answered in n + k_PHICH."""
    k_phich = ({2: 4, 3: 7, 4: 6, 7: 4, 8: 7, 9: 6}, {2: 4, 3: 6, 7: 4, 8: 6}, {2: 6, 7: 6}, {2: 6, 3: 6, 4: 6},
               {2: 6, 3: 6}, {2: 6}, {2: 4, 3: 6, 4: 6, 7: 4, 8: 7})  # fmt: skip
    for pattern, k, factors in zip(TDD_PATTERNS, k_phich, PHICH_TDD, strict=True):
        assert set(k) == {n for n in range(10) if pattern[n] == "U"}
        answers = [(n + k[n]) % 10 for n in k]
        assert "".join(str(answers.count(n)) for n in range(10)) == factors


def test_powers():
    """Each kind of element has the power the configuration gives it (dB re the CRS)."""
    config = LteConfig(cell_id=4, bandwidth=20e6, load=1.0, pdsch_db=-3.0, crs_symbol_db=-1.25, control_db=1.0,
                       sync_db=0.5, control=2, control_load=1.0, orders=(64,))
    re = lte_downlink(config, 0.020, rng()).grids[0].re[: 20 * 14].view(20, 14, 1201)

    def level(part: torch.Tensor) -> float:
        return 10 * float(torch.log10(part[part != 0].abs().square().mean()))

    assert level(re[1, 3]) == pytest.approx(-3.0, abs=0.4)
    assert level(re[1:5, [2, 3, 5, 6]]) == pytest.approx(-3.0, abs=0.1)
    crs = torch.zeros(1201, dtype=torch.bool)
    crs[4 % 6 : 600 : 6] = crs[601 + 4 % 6 :: 6] = True
    assert level(re[1:5, 7][:, ~crs]) == pytest.approx(-4.25, abs=0.1)
    assert level(re[1:5, 1]) == pytest.approx(1.0, abs=0.01)
    assert level(re[0, 6, 564:637]) == pytest.approx(level(re[5, 5, 564:637]), abs=1e-3) == pytest.approx(0.5, abs=0.01)
    assert not re[:, :, 600].any()  # the DC subcarrier


def test_broadcast_leaves_four_ports_free():
    config = LteConfig(cell_id=3, bandwidth=10e6, ports=1, load=1.0)
    re = lte_downlink(config, 0.001, rng()).grids[0].re[:14]
    centre = torch.cat([re[7:11, 300 - 36 : 300], re[7:11, 301 : 301 + 36]], 1)
    silent = (centre == 0).sum(1).tolist()
    assert silent == [12, 24, 0, 0]  # port 1's places; those of ports 2 and 3


def test_mbsfn_subframes():
    """Empty after the control region, or PMCH with the extended prefix, its reference signals and nothing beside it."""
    config = LteConfig(cell_id=9, bandwidth=5e6, ports=2, load=1.0, mbsfn=(3,), control=3)
    wave = lte_downlink(config, 0.010, rng())
    re = wave.grids[0].re.view(-1, 14, 301)
    assert len(wave.grids) == 1 and re[3, :2].any() and not re[3, 2:].any() and re[2, 2:].any(1).all()
    wave = lte_downlink(replace(config, pmch=True), 0.010, rng())
    grid = wave.grids[1]
    assert not wave.grids[0].re.view(-1, 14, 301)[3, 2:].any()
    assert torch.allclose(grid.cp * 30.72e6, torch.full((10,), 512.0, dtype=torch.float64))
    assert float(grid.start[0]) > 3e-3 + 4400 / 30.72e6 and float(grid.start[-1] + grid.cp[-1]) + 1 / SCS < 4e-3 + 1e-9
    no_dc = torch.cat([grid.re[:, :150], grid.re[:, 151:]], 1)
    counts = [int(torch.isclose(no_dc[symbol - 2, first::2], values).sum()) for symbol, first, values in
              (mbsfn_rs(area, 3, 25)[0] for area in range(256))]
    assert max(counts) == 150 and sorted(counts)[-2] < 60  # one area's sequence, exactly


@pytest.mark.parametrize(("ports", "control", "symbols"), [(1, 1, 1), (2, 1, 1), (4, 1, 2), (4, 3, 2), (2, 3, 2)])
def test_control_region_of_mbsfn_subframes(ports, control, symbols):
    """TS 36.211 table 6.7-1: one or two symbols, with four ports always two, which hold every port's CRS; PMCH follows."""
    config = LteConfig(cell_id=9, bandwidth=5e6, ports=ports, mbsfn=(3,), control=control, control_load=1.0, pmch=True)
    wave = lte_downlink(config, 0.010, rng())
    control_region, pmch = wave.grids[0].re.view(-1, 14, 301)[3], wave.grids[1]
    assert (control_region != 0).any(1).tolist() == [s < symbols for s in range(14)]
    no_dc = torch.cat([control_region[:symbols, :150], control_region[:symbols, 151:]], 1)
    for port in crs_frame(9, ports, 25, True)[:, 3, :symbols]:
        factor = no_dc[port != 0] / port[port != 0]
        assert len(factor) and torch.allclose(factor, factor[0].expand_as(factor), atol=1e-4)
    assert len(pmch.start) == 12 - symbols
    assert float(pmch.start[0]) == pytest.approx(3e-3 + symbols * 2560 / 30.72e6)


# --- against themselves ----------------------------------------------------------------------------------------------


def test_own_carriers_are_found():
    """Identity, duplexing, prefix and frame timing of carriers by chance, however loaded, in noise at 0 dB."""
    source = rng(7)
    for _ in range(12):
        config = random_lte(source, bandwidth=3e6)
        wave = lte_downlink(config, 0.020, source)
        iq = wave.iq(round(0.020 * wave.native_rate))
        noise = torch.randn(len(iq), dtype=torch.complex64, generator=source) * wave.native_rate**0.5
        offset = 4000 * float(torch.rand(1, generator=source)) - 2000
        turn = torch.exp(2j * torch.pi * offset * torch.arange(len(iq), dtype=torch.float64) / wave.native_rate)
        (cell,) = search_lte(iq * turn.to(torch.complex64) + noise, wave.native_rate, torch.arange(-1, 2) * 2.5e3)
        found = (cell.cell_id, cell.tdd, cell.normal_cp)
        assert found == (config.cell_id, config.tdd is not None, config.normal_cp)
        # four PSSs, each half 15 dB over the noise after correlation: 0.12 rad between halves, 600 Hz rms
        assert abs(cell.frequency - offset) < 2400
        late = (cell.frame_start + config.start + 0.005) % 0.010 - 0.005
        assert abs(late) < 2e-6


def test_search_refuses_what_is_too_short():
    with pytest.raises(DataError, match="6 ms"):
        search_lte(torch.zeros(9600, dtype=torch.complex64), 1.92e6)
    with pytest.raises(DataError, match=r"1\.92"):
        search_lte(torch.zeros(96000, dtype=torch.complex64), 1e6)


def test_start_moves_the_window():
    """A stretch from another start is the same timeline, to the sample: its reference signals line up."""
    config = LteConfig(cell_id=31, bandwidth=1.4e6, load=0.0, control_load=0.0)
    whole = lte_downlink(config, 0.012, rng(2)).iq(round(0.012 * 1.92e6))
    into = 1234 / 1.92e6 + 2e-7  # s; the nearest sample counts
    part = lte_downlink(replace(config, start=into), 0.004, rng(2)).iq(round(0.004 * 1.92e6))
    crs = slice(round(1.25e-3 * 1.92e6), round(1.95e-3 * 1.92e6))  # nothing else is sent in between
    theirs, ours = whole[crs], part[crs.start - 1234 : crs.stop - 1234]
    assert likeness(ours, theirs, len(theirs)) > 0.9999  # up to the port's phase and gain
    assert likeness(part[crs.start - 1233 : crs.stop - 1233], theirs, len(theirs)) < 0.9


def test_seeds_reproduce_bit_for_bit():
    for seed in range(4):
        waves = []
        for _ in range(2):
            source = rng(seed)
            waves.append(lte_downlink(random_lte(source, duplex=("fdd", "tdd")[seed % 2]), 0.006, source))
        one, two = waves
        assert one.info == two.info
        count = round(0.006 * one.native_rate)
        assert torch.equal(one.iq(count), two.iq(count))
    assert not torch.equal(lte_downlink(LteConfig(), 0.002, rng(1)).grids[0].re,
                           lte_downlink(LteConfig(), 0.002, rng(2)).grids[0].re)
    config = LteConfig(start=0.0031234567)
    lte_downlink(config, 0.002, rng())
    assert config == LteConfig(start=0.0031234567)  # what is given is left as it was


def test_active_band_is_what_is_sent():
    """An idle carrier's band ends at its outermost reference signals; a silent TDD stretch has none."""
    for cell_id in (0, 5):
        wave = lte_downlink(LteConfig(cell_id=cell_id, bandwidth=5e6, load=0.0, control_load=0.0), 0.0005, rng())
        low, high = wave.active
        assert low == pytest.approx(-150.5 * SCS + (cell_id % 3) * SCS, abs=4 * SCS)
        assert wave.carrier[0] <= low < high <= wave.carrier[1]
    uplink = LteConfig(tdd=0, start=0.00205, load=1.0)
    assert lte_downlink(uplink, 0.0008, rng()).active is None
    low, high = lte_downlink(replace(uplink, uplink_db=0.0, uplink_load=1.0), 0.0008, rng(3)).active
    assert -301 * SCS <= low < high <= 301 * SCS


@pytest.mark.parametrize(
    ("activity", "burst"), [(0.05, 2.0), (0.5, 8.0), (0.9, 20.0), (0.9, 1.0), (0.99, 5.0), (0.02, 1.0)]
)
def test_bursts_last_and_fill_as_asked(activity, burst):
    on = on_and_off(60_000, activity, burst, rng())
    runs = int((on[1:] & ~on[:-1]).sum())
    assert float(on.float().mean()) == pytest.approx(activity, rel=0.12)
    least = max(burst, activity / (1 - activity))  # pauses last a subframe at least
    assert float(on.sum()) / runs == pytest.approx(least, rel=0.12)


@pytest.mark.parametrize(("activity", "burst"), [(0.1, 1.0), (0.1, 4.0), (0.9, 1.0)])
def test_every_slot_of_a_stretch_is_as_likely_on(activity, burst):
    """The state that a stretch begins in says how the next slot is only through the mean burst."""
    source = rng()
    lte = torch.stack([on_and_off(3, activity, burst, source) for _ in range(4000)])
    user = Pdsch(((0, 6),), activity=activity, burst=burst)
    nr = torch.stack([pdsch_slots(user, torch.arange(3), source) for _ in range(4000)])
    for on in (lte, nr):
        assert torch.allclose(on.float().mean(0), torch.full((3,), activity), atol=0.025)


def test_allocations():
    index = torch.arange(400)
    config = LteConfig(bandwidth=20e6, load=0.4, scheduling="subframe")
    drawn = allocation(config, index, rng()) > 0
    assert float(drawn.float().mean()) == pytest.approx(0.4, abs=0.03)
    assert torch.equal(drawn[:, 0::4], drawn[:, 3::4])  # groups of four PRBs
    steady = allocation(replace(config, scheduling="steady"), index, rng())
    assert torch.equal(steady, steady[:1].expand_as(steady))
    held = allocation(replace(config, scheduling="held", hold=10.0), index, rng())
    changes = int((held[1:] != held[:-1]).any(1).sum())
    assert 25 < changes < 60
    apart = allocation(replace(config, contiguous=True), index, rng()) > 0
    assert int((apart[:, 1:] & ~apart[:, :-1]).sum(1).max()) <= 1
    assert float(apart.float().mean()) == pytest.approx(0.4, abs=0.03)
    shared = allocation(replace(config, shared=True, spread_db=4.0), index, rng())
    assert float((shared > 0).float().mean()) == pytest.approx(0.4, abs=0.03)
    assert max(len(subframe[subframe > 0].unique()) for subframe in shared) > 2  # each terminal has a level of its own
    sib = allocation(replace(config, load=0.0, system_info=8), index, rng()).sum(1)
    assert sib.nonzero()[:, 0].tolist() == list(range(5, 400, 20)) and (sib[5::20] == 8).all()
    assert (allocation(replace(config, load=1.0), index, rng()) > 0).all()


def test_unused_subframes_have_no_data():
    """TS 36.101 A.3.3: reference channels leave subframe 5 to synchronisation and system information."""
    config = LteConfig(load=1.0, unused=(5,), system_info=6)
    index = torch.arange(3, 43)
    used = allocation(config, index, rng()) > 0
    assert used[index % 10 != 5].all()
    assert (used[index % 20 == 5].sum(1) == 6).all() and not used[index % 20 == 15].any()


def test_carriers_by_chance():
    """Every bandwidth, TDD pattern, prefix and load occurs, TDD in two of five; what is fixed stays."""
    source = rng(11)
    configs = [random_lte(source) for _ in range(1500)]
    assert {c.bandwidth for c in configs} == set(N_RB)
    assert {c.tdd for c in configs} == {None, *range(7)}
    assert {c.ports for c in configs} == {1, 2, 4} and {c.control for c in configs} == {1, 2, 3}
    assert {len(c.orders) for c in configs} == {1, 2, 3, 4}
    assert {c.special for c in configs if c.normal_cp} == set(range(10))
    assert {c.special for c in configs if not c.normal_cp} == set(range(8))
    assert np.mean([c.tdd is not None for c in configs]) == pytest.approx(0.4, abs=0.05)
    assert np.mean([c.load == 0 for c in configs]) == pytest.approx(LOADS["idle"], abs=0.04)
    assert np.mean([c.load == 1 for c in configs]) == pytest.approx(LOADS["full"], abs=0.05)
    assert all(TDD_PATTERNS[c.tdd][n] == "D" for c in configs if c.tdd is not None for n in c.mbsfn)
    fixed = random_lte(source, load="full", duplex="tdd", bandwidth=15e6, normal_cp=False, cell_id=17)
    assert (fixed.load, fixed.bandwidth, fixed.normal_cp, fixed.cell_id) == (1.0, 15e6, False, 17)
    assert fixed.tdd is not None and fixed.special < 8
    for wrong in ({"load": "heavy"}, {"duplex": "half"}, {"colour": 1}):
        with pytest.raises(DataError):
            random_lte(source, **wrong)


# --- uplink ----------------------------------------------------------------------------------------------------------


def test_uplink_symbols_are_single_carrier():
    """Undone, the DFT precoding leaves constellation points; DM-RS have constant amplitude (TS 36.211 5.3.3, 5.5)."""
    checked = 0
    for seed in range(30):
        re = lte_uplink(50, torch.ones(1, 14, dtype=torch.bool), 1.0, rng(seed)).view(14, 600)
        level = re[3].abs().view(50, 12).mean(1)
        edges = [0, *((level.diff().abs() > 1e-4).nonzero()[:, 0] + 1).tolist(), 50]  # terminals differ in power
        for low, high in zip(edges, edges[1:], strict=False):
            if high - low < 3 or not level[low] or torch.isclose(level[low], torch.tensor(1.0)):  # nothing, PUCCH
                continue
            span = slice(12 * low, 12 * high)
            for symbol in (3, 10):
                assert torch.allclose(re[symbol, span].abs(), level[low].expand(12 * (high - low)), rtol=1e-3)
            symbols = torch.fft.ifft(re[5, span], norm="ortho") / level[low]
            points = {(round(float(p.real), 2), round(float(p.imag), 2)) for p in symbols}
            assert len(points) <= 64 and torch.isclose(symbols.abs().square().mean(), torch.tensor(1.0), rtol=0.25)
            checked += 1
    assert checked > 10
    flat = torch.fft.fft(base_sequence(3, 144)).abs()
    assert base_sequence(3, 144).abs().allclose(torch.ones(144)) and flat.max() / flat.mean() < 2.5


def test_uplink_alone_is_another():
    source = rng(3)
    kinds = set()
    for _ in range(30):
        wave = random_uplink(source, 0.010, 20e6)
        assert (wave.label, wave.kind) == ("other", "uplink")
        assert (wave.info["scs"] > 15e3) <= (wave.info["standard"] == "NR")
        assert wave.carrier[1] - wave.carrier[0] <= 20e6
        kinds.add((wave.info["scs"], wave.info["tdd"]))
        if wave.active is None:
            continue
        sent = wave.grids[0].re
        assert float(sent[sent != 0].abs().square().mean()) == pytest.approx(1.0, rel=1e-3)
        assert wave.carrier[0] <= wave.active[0] < wave.active[1] <= wave.carrier[1]
        assert torch.isfinite(torch.view_as_real(wave.iq(1000))).all()
    assert len(kinds) >= 4
    named = [random_uplink(source, 0.001, label=None) for _ in range(10)]
    assert {w.label for w in named} == {"LTE", "NR"} and all(w.label == w.info["standard"] for w in named)
    with pytest.raises(DataError, match="fits"):
        for _ in range(20):
            random_uplink(source, 0.010, 1e6)


def test_reference_sequences_differ_by_slot_and_symbol():
    rows = crs_sequences(120, 100, True).reshape(60, 200)
    alike = (rows @ rows.conj().T / 200).abs().fill_diagonal_(0)
    assert alike.max() < 0.35
