# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""NR's channels and reference signals, element by element, against the clauses recoded here and against py3gpp."""

import numpy as np
import pytest
import torch

from training.waveforms.draw import Draw
from training.waveforms.nr import NrConfig, nr_downlink, random_nr
from training.waveforms.nr_channels import cce_of_reg
from training.waveforms.nr_config import Coreset, CsiRs, Pdsch, Ssb, Tdd
from training.waveforms.nr_random import random_csi_rs, random_pdsch
from training.waveforms.nr_ssb import _payload_places
from training.waveforms.nr_tables import N_RB, SSB_SCS, SSB_SYMBOLS

PCI, BLOCKS = 733, 52


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def grid(slots: int = 1, pci: int = PCI, **channels) -> np.ndarray:
    """complex64 [slots, 14, 52 blocks, 12] of a 10 MHz carrier at 15 kHz."""
    wave = nr_downlink(NrConfig(10e6, 15e3, pci, **channels), slots * 1e-3, rng())
    return wave.grids[0].re.view(slots, 14, BLOCKS, 12).numpy()


def sequence(c_init: int, length: int) -> np.ndarray:
    """QPSK of the Gold sequence, bit by bit: TS 38.211 5.2.1 and 5.1.3."""
    x1, x2 = [1] + [0] * 30, [c_init >> i & 1 for i in range(31)]
    for n in range(1600 + 2 * length):
        x1.append(x1[n + 3] ^ x1[n])
        x2.append(x2[n + 3] ^ x2[n + 2] ^ x2[n + 1] ^ x2[n])
    c = np.array([a ^ b for a, b in zip(x1[1600:], x2[1600:], strict=True)][: 2 * length])
    return ((1 - 2 * c[0::2]) + 1j * (1 - 2 * c[1::2])) / 2**0.5


def dmrs_init(slot: int, symbol: int, pci: int = PCI) -> int:
    """c_init of PDCCH's and PDSCH's DM-RS: TS 38.211 7.4.1.1.1 and 7.4.1.3.1."""
    return ((1 << 17) * (14 * slot + symbol + 1) * (2 * pci + 1) + 2 * pci) % (1 << 31)


# --- CSI-RS ----------------------------------------------------------------------------------------------------------

# (kbar re k0, lbar re l0) of each CDM group, its subcarriers, ports: TS 38.211 table 7.4.1.5.3-1
CSI_ROWS = {
    1: (((0, 0), (4, 0), (8, 0), (0, 4), (4, 4), (8, 4)), 1, 1),
    2: (((0, 0),), 1, 1),
    3: (((0, 0),), 2, 2),
    4: (((0, 0), (2, 0)), 2, 4),
    5: (((0, 0), (0, 1)), 2, 4),
}


@pytest.mark.parametrize(
    ("row", "density", "k0"),
    [(1, 3.0, 0), (1, 3.0, 3), (2, 1.0, 11), (2, 0.5, 5), (3, 1.0, 4), (3, 0.5, 8), (4, 1.0, 8), (5, 1.0, 10)],
)
@pytest.mark.parametrize("offset", [0, 1])
def test_csi_rs_elements(row, density, k0, offset):
    """Every element of TS 38.211 7.4.1.5.3, two ports of a pair of subcarriers coming from antennas a quarter turn apart;
    at density 1/2 the offset says which blocks."""
    csi = CsiRs(row, 0, BLOCKS, 4, offset, 5, k0, density)
    found = grid(4, csi_rs=(csi,))
    expected = np.zeros_like(found)
    groups, wide, ports = CSI_ROWS[row]
    alpha = density if ports == 1 else 2 * density
    for slot in (offset, offset + 1) if row == 1 else (offset,):
        for kbar, lbar in groups:
            symbol = 5 + lbar
            r = sequence(((1 << 10) * (14 * slot + symbol + 1) * (2 * PCI + 1) + PCI) % (1 << 31), 4 * BLOCKS)
            for n in range(offset, BLOCKS, 2) if density == 0.5 else range(BLOCKS):
                for k in range(wide):
                    m = int(n * alpha) + k + int((k0 + kbar) * density / 12)
                    ports_sum = 1 if wide == 1 else (1 + 1j * (-1) ** k) / 2**0.5  # w_f of TS 38.211 table 7.4.1.5.3-3
                    expected[slot, symbol, n, k0 + kbar + k] = r[m] * ports_sum
    assert np.allclose(found, expected, atol=1e-6)


def test_csi_rs_are_drawn_where_they_may_stand():
    """k0 of each row's bitmap: TS 38.211 7.4.1.5.3."""
    seen = {}
    draw = Draw(rng())
    for _ in range(1500):
        for csi in random_csi_rs(draw, BLOCKS, 15e3):
            seen.setdefault(csi.row, set()).add(csi.subcarrier)
    assert seen[1] == set(range(4)) and seen[2] == set(range(12)) and seen[4] == {0, 4, 8}
    assert all(seen[row] <= set(range(0, 12, 2)) for row in (3, 5))


# --- PDCCH -----------------------------------------------------------------------------------------------------------


def test_dmrs_of_coreset_0_and_sib1_count_from_its_first_block():
    """TS 38.211 7.4.1.3.2 and 7.4.1.1.2; other CORESETs and users count from block 0 of the carrier."""
    for zero in (True, False):
        coreset = Coreset(17, 24, 2, load=50.0, levels=(1,), wideband=True, zero=zero)
        user = Pdsch(((20, 10),), start=2, symbols=12, dmrs_additional=0, cdm_groups=2, dmrs_origin=17 * zero)
        re = grid(2, coresets=(coreset,), pdsch=(user,))
        origin = 17 if zero else 0
        for slot in range(2):
            for symbol in (0, 1):
                r = sequence(dmrs_init(slot, symbol), 3 * BLOCKS).reshape(-1, 3)
                assert np.allclose(re[slot, symbol, 17:41, 1::4], r[17 - origin : 41 - origin], atol=1e-6)
            r = sequence(dmrs_init(slot, 2), 6 * BLOCKS).reshape(-1, 6) * 2**0.5
            assert np.allclose(re[slot, 2, 20:30, ::2], r[20 - origin : 30 - origin], atol=1e-6)


def test_half_of_what_hardly_sends_stays_in_the_initial_bandwidth_part():
    """TS 38.213 12: sync blocks, CORESET 0 and PDSCH in its blocks; no TRS, no CSI-RS, no CORESET of a terminal's own."""
    for load in ("idle", "light"):
        configs = [random_nr(rng(seed), bandwidth=40e6, scs=30e3, load=load) for seed in range(200)]
        quiet = [c for c in configs if not c.csi_rs and len(c.coresets) == 1 and c.coresets[0].prbs <= 48]
        assert 80 < len(quiet) < 140, load
        for config in quiet:
            low, high = config.coresets[0].prb_start, config.coresets[0].prb_start + config.coresets[0].prbs
            assert all(low <= a and a + n <= high for user in config.pdsch for a, n in user.prbs)
    assert any(c.csi_rs for c in configs) and any(len(c.coresets) > 1 for c in configs)


# Blocks and symbols of CORESET 0 and its offsets from the sync block, by the spacings of both: TS 38.213 tables 13-1 to
# 13-6.
CORESET_0 = {
    (15e3, 15e3): {(24, 2): {0, 2, 4}, (24, 3): {0, 2, 4}, (48, 1): {12, 16}, (48, 2): {12, 16}, (48, 3): {12, 16},
                   (96, 1): {38}, (96, 2): {38}, (96, 3): {38}},
    (15e3, 30e3): {(24, 2): {5, 6, 7, 8}, (24, 3): {5, 6, 7, 8}, (48, 1): {18, 20}, (48, 2): {18, 20}, (48, 3): {18, 20}},
    (30e3, 15e3): {(48, 1): {2, 4, 6}, (48, 2): {2, 4, 6}, (48, 3): {2, 4, 6},
                   (96, 1): {0, 28, 56}, (96, 2): {0, 28, 56}, (96, 3): {0, 28, 56}},
    (30e3, 30e3): {(24, 2): {0, 1, 2, 3, 4}, (24, 3): {0, 1, 2, 3, 4}, (48, 1): {0, 12, 14, 16, 28},
                   (48, 2): {0, 12, 14, 16, 28}, (48, 3): {0, 28}},
}  # fmt: skip


def test_coreset_0_is_one_that_a_broadcast_can_name():
    """Any other cell has an ordinary CORESET, as have carriers narrower than CORESET 0 and those of 60 kHz."""
    seen, other = set(), 0
    for seed in range(600):
        config = random_nr(rng(seed))
        zero = config.coresets[0]
        blocks = N_RB[round(config.scs)][round(config.bandwidth / 1e6)]
        assert zero.prb_start >= 0 and zero.prb_start + zero.prbs <= blocks
        l0 = {user.dmrs_l0 for user in config.pdsch}
        assert l0 != {2} or max(c.symbols for c in config.coresets) < 3  # TS 38.211 7.3.2.2
        if not zero.zero:
            other += 1
            assert not any(user.period for user in config.pdsch)
            continue
        own = SSB_SCS[config.ssb.case]
        edge = config.ssb.first_subcarrier - own / 2  # the carrier's lower edge is half a subcarrier below its first
        lowest = -(6 * blocks + 0.5) * config.scs
        under = int((edge - lowest) / (12 * config.scs) + 1e-6)
        assert under - zero.prb_start in CORESET_0[own, config.scs][zero.prbs, zero.symbols]
        seen.add((own, config.scs, zero.prbs))
    assert len(seen) == 9 and 40 < other < 240


def test_random_carriers_have_a_coreset_0_and_sib1_inside_it():
    found = 0
    for seed in range(40):
        config = random_nr(rng(seed), bandwidth=20e6, scs=15e3)
        zero = config.coresets[0]
        assert not any(c.zero for c in config.coresets[1:])
        for user in config.pdsch:
            if user.period:
                (first, count), *_ = user.prbs
                assert user.dmrs_origin == zero.prb_start <= first and first + count <= zero.prb_start + zero.prbs
                found += 1
            else:
                assert user.dmrs_origin == 0
    assert found > 10


@pytest.mark.parametrize(
    ("coreset", "rows"),
    [
        (Coreset(0, 24, 3, bundle=6, zero=True), 2),
        (Coreset(0, 48, 1, bundle=6, zero=True), 2),
        (Coreset(0, 36, 3, bundle=6), 6),
        (Coreset(0, 36, 2, bundle=2), 6),
        (Coreset(0, 18, 3, bundle=3), 6),
    ],
)
def test_regs_are_interleaved_by_bundles(coreset, rows):
    """TS 38.211 7.3.2.2: CCE j is made of the bundles f(6j/L + i), f(rC + c) being (cR + r + n_shift) mod (N / L)."""
    regs, bundle, shift = coreset.prbs * coreset.symbols, coreset.bundle, PCI
    bundles = regs // bundle
    columns = bundles // rows
    f = {c * rows + r: (r * columns + c + shift) % bundles for c in range(columns) for r in range(rows)}
    owner = cce_of_reg(coreset, shift % bundles)
    for cce in range(regs // 6):
        for i in range(6 // bundle):
            first = f[cce * 6 // bundle + i] * bundle
            assert (owner[first : first + bundle] == cce).all()
    assert torch.equal(cce_of_reg(Coreset(0, 24, 2, bundle=0), 5), torch.arange(48) // 6)


def test_a_candidate_that_meets_a_sync_block_is_not_sent():
    """TS 38.213 10.1; the others come whole."""
    ssb = Ssb("A", (True, False, False, False), (12 * 20 - 6 * BLOCKS) * 15e3, 0.020)  # blocks 20 to 39 from symbol 2
    coreset = Coreset(0, 48, 2, first_symbol=1, load=50.0, levels=(4,), bundle=0)
    sent = (grid(2, ssb=ssb, coresets=(coreset,)) != 0).any(-1)
    candidates = sent[:, 1:3, :48].reshape(2, 2, 4, 12)  # twelve blocks of two symbols each
    assert candidates[0, :, 0].all() and not candidates[0, 0, 1:].any()
    assert candidates[1].all((0, 2)).any() and (candidates[1].all((0, 2)) == candidates[1].any((0, 2))).all()


# --- PDSCH -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize("density", [(2, 1), (4, 2), (4, 4), (2, 4)])
@pytest.mark.parametrize("prbs", [(5, 30), (0, 52), (11, 7)])
def test_py3gpp_has_the_same_ptrs(kind, density, prbs):
    """Places and values, for widths that the density does and does not divide (TS 38.211 7.4.1.2); the RNTI is the PCI."""
    py3gpp = pytest.importorskip("py3gpp", reason="py3gpp, an optional dependency of this test, is not installed")
    first, count = prbs
    user = Pdsch(((first, count),), start=0, symbols=14, dmrs_type=kind, cdm_groups=2, ptrs=density, order=16)
    without = Pdsch(((first, count),), start=0, symbols=14, dmrs_type=kind, cdm_groups=2, order=16)
    re, plain = (grid(2, pdsch=(u,)).reshape(2, -1) for u in (user, without))
    carrier, channel = py3gpp.nrCarrierConfig(NSizeGrid=52, SubcarrierSpacing=15), py3gpp.nrPDSCHConfig()
    channel.PRBSet, channel.SymbolAllocation, channel.NSizeBWP = list(range(first, first + count)), [0, 14], 52
    channel.DMRS.DMRSConfigurationType, channel.DMRS.DMRSAdditionalPosition, channel.DMRS.NIDNSCID = kind, 1, PCI
    channel.EnablePTRS, channel.RNTI = 1, PCI
    channel.PTRS.FrequencyDensity, channel.PTRS.TimeDensity, channel.PTRS.REOffset = *density, "00"
    for slot in range(2):
        carrier.NSlot = slot
        places = py3gpp.nrPDSCHPTRSIndices(carrier, channel)
        assert np.allclose(re[slot][places], py3gpp.nrPDSCHPTRS(carrier, channel), atol=1e-6)
        others = np.setdiff1d(np.arange(re.shape[1]), places)
        assert len(places) and np.array_equal(re[slot][others], plain[slot][others])


def test_ptrs_count_only_the_blocks_of_the_user():
    """TS 38.211 7.4.1.2.2 numbers a user's blocks from its lowest to its highest, whatever lies between."""
    prbs = ((3, 4), (20, 5))
    own = [*range(3, 7), *range(20, 25)]
    user = Pdsch(prbs, start=0, symbols=14, dmrs_additional=0, ptrs=(2, 1), order=64)
    without = Pdsch(prbs, start=0, symbols=14, dmrs_additional=0, order=64)
    re, plain = grid(pdsch=(user,))[0], grid(pdsch=(without,))[0]
    changed = (re != plain).any((0, 2))
    assert np.flatnonzero(changed).tolist() == own[0::2]  # nine blocks: PCI mod (9 mod 2) = 0
    assert (re != plain).any(-1)[:, own[0]].tolist() == [s != 2 for s in range(14)]


@pytest.mark.parametrize(
    ("user", "dmrs"),
    [
        (Pdsch(((5, 30),), mapping="B", start=4, symbols=7), (4, 8)),
        (Pdsch(((5, 30),), mapping="B", start=9, symbols=2), (9,)),
        (Pdsch(((5, 30),), mapping="B", start=1, symbols=13, dmrs_additional=2), (1, 6, 10)),
        (Pdsch(((5, 30),), start=0, symbols=14, dmrs_double=True), (2, 3, 10, 11)),
        (Pdsch(((5, 30),), mapping="B", start=3, symbols=8, dmrs_double=True, dmrs_type=2), (3, 4, 8, 9)),
    ],
)
def test_mapping_b_and_double_dmrs_in_the_grid(user, dmrs):
    """TS 38.211 7.4.1.1.2: DM-RS on the symbols of the tables, data on the rest of the allocation, nothing beside it."""
    re = grid(2, pdsch=(user,))
    used = np.zeros((14, BLOCKS), bool)
    used[user.start : user.start + user.symbols, 5:35] = True
    places = ([0, 2, 4, 6, 8, 10] if user.dmrs_type == 1 else [0, 1, 6, 7])
    for slot in range(2):
        assert np.array_equal((re[slot] != 0).any(-1), used)
        for symbol in dmrs:
            r = sequence(dmrs_init(slot, symbol), len(places) * BLOCKS).reshape(BLOCKS, -1)
            assert np.allclose(re[slot, symbol, 5:35][:, places], r[5:35], atol=1e-6)
        for symbol in set(range(user.start, user.start + user.symbols)) - set(dmrs):
            r = sequence(dmrs_init(slot, symbol), len(places) * BLOCKS).reshape(BLOCKS, -1)
            assert np.isclose(re[slot, symbol, 5:35][:, places], r[5:35], atol=1e-6).mean() < 0.5


@pytest.mark.parametrize(
    ("user", "downlink", "symbols"),
    [
        (Pdsch(((0, 52),), start=2, symbols=12), 4, ()),  # mapping A takes three symbols: TS 38.214 table 5.1.2.1-1
        (Pdsch(((0, 52),), start=2, symbols=12), 5, (2, 3, 4)),
        (Pdsch(((0, 52),), mapping="B", start=0, symbols=7, cdm_groups=2, dmrs_double=True, dmrs_additional=0), 4,
         (0, 1, 2, 3)),
    ],
)  # fmt: skip
def test_what_a_special_slot_leaves_of_a_pdsch(user, downlink, symbols):
    re = grid(2, pdsch=(user,), tdd=Tdd("SU", downlink, 0))[0]
    assert tuple(np.flatnonzero((re != 0).any((1, 2)))) == symbols
    if user.dmrs_double:  # of four symbols or fewer only one holds DM-RS: TS 38.211 table 7.4.1.1.2-4
        assert (re[0, :, 1::2] == 0).all() and (re[1, :, 1::2] != 0).all()


def test_three_more_dmrs_follow_symbol_2_alone():
    """TS 38.211 7.4.1.1.2; lengths of mapping A from three symbols on."""
    for seed in range(400):
        for l0 in (2, 3):
            user = random_pdsch(Draw(rng(seed)), ((0, 52),), l0, seed % 4)
            if user.mapping == "A":
                assert user.symbols >= 3 and user.dmrs_additional < (4 if l0 == 2 else 3)


# --- sync blocks, received by py3gpp ---------------------------------------------------------------------------------

NFFT, CP = 1024, 72  # samples of a symbol and of its prefix at 15.36 MS/s, this carrier's native rate
LOWEST = 40  # subcarrier of the carrier on which its sync blocks begin


def block_of(iq: np.ndarray, begin: int) -> np.ndarray:
    """complex64 [240, 4]: the sync block whose PSS has its useful part from sample `begin` on."""
    first = NFFT // 2 - 6 * BLOCKS + LOWEST
    symbols = [iq[at : at + NFFT] for at in begin + np.arange(4) * (NFFT + CP)]  # no long prefix within a block
    return np.fft.fftshift(np.fft.fft(symbols), axes=1)[:, first : first + 240].T


def search(py3gpp, iq: np.ndarray) -> tuple[int, int]:
    """-> (identity, first sample of the PSS's useful part): the best of 3 x every sample, then of 336."""
    found = []
    for n_id_2 in range(3):
        spectrum = np.zeros(NFFT, complex)
        spectrum[NFFT // 2 - 6 * BLOCKS + LOWEST + 56 :][:127] = py3gpp.nrPSS(n_id_2)
        wanted = np.fft.fft(np.fft.ifft(np.fft.ifftshift(spectrum)), len(iq))
        match = np.abs(np.fft.ifft(np.fft.fft(iq) * wanted.conj()))[: -4 * (NFFT + CP)]
        found.append((match.max(), int(match.argmax()), n_id_2))
    _, begin, n_id_2 = max(found)
    sss = block_of(iq, begin)[56:183, 2]
    return max(range(n_id_2, 1008, 3), key=lambda pci: abs(np.vdot(py3gpp.nrSSS(pci), sss))), begin


@pytest.mark.parametrize("pci", [0, 501, 760, 1007])
def test_py3gpp_names_our_cell_and_decodes_its_broadcast(pci):
    """Among full load, in noise of 6 dB less: one identity of 1008, and a MIB that py3gpp coded is what it reads again."""
    py3gpp = pytest.importorskip("py3gpp", reason="py3gpp, an optional dependency of this test, is not installed")
    index = pci % 8
    ssb = Ssb("A", tuple(i == index for i in range(8)), (LOWEST - 6 * BLOCKS) * 15e3, 0.020)
    user = Pdsch(((0, BLOCKS),), start=0, symbols=14, order=64)
    wave = nr_downlink(NrConfig(10e6, 15e3, pci, ssb=ssb, pdsch=(user,)), 0.005, rng(1))
    mib = np.random.default_rng(pci).integers(0, 2, 24)
    payload = py3gpp.nrPBCH(pci, index, py3gpp.nrBCH(mib, 10, 0, 8, 0, pci))
    re = wave.grids[0].re[SSB_SYMBOLS["A"][8][index] :][:4, LOWEST : LOWEST + 240]
    places = _payload_places(pci % 4)
    re[places // 240, places % 240] = torch.from_numpy(payload).to(re)
    iq = wave.iq(round(0.005 * NFFT * 15e3))
    iq = iq + torch.randn(iq.shape, generator=rng(2), dtype=iq.dtype) * iq.abs().square().mean().sqrt() / 2
    iq = iq.numpy()

    found, begin = search(py3gpp, iq)
    assert found == pci
    block = block_of(iq, begin).T.reshape(-1)
    dmrs = block[py3gpp.nrPBCHDMRSIndices(pci)]
    likely = [abs(np.vdot(py3gpp.nrPBCHDMRS(pci, i), dmrs)) for i in range(8)]
    assert int(np.argmax(likely)) == index
    received = block[py3gpp.nrPBCHIndices(pci)]
    gain = np.vdot(py3gpp.nrPBCHDMRS(pci, index), dmrs) / 144
    soft = np.stack([(received / gain).real, (received / gain).imag], 1).reshape(-1)
    soft *= 1 - 2.0 * py3gpp.nrPBCHPRBS(pci, index, 864)
    _, crc, decoded, frame, half_frame, _ = py3gpp.nrBCHDecode(soft, 8, 8, pci)
    assert not crc.any() and np.array_equal(decoded, mib)
    assert frame.tolist() == [1, 0, 1, 0] and half_frame == 0
