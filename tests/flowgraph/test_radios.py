# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Radios by device string, with the real drivers: rtl_tcp over loopback, files, and devices that are not there."""

import json
from pathlib import Path

import numpy as np
import pytest
from gnuradio import blocks, gr
from gnuradio.ata.errors import AtaError
from gnuradio.ata.radios import open_radio, parse_gain
from tools.rtl_tcp_server import RtlTcpServer

RATE, FREQ = 1e6, 800e6
TONE = 100e3  # Hz above FREQ


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    """50 ms of one strong tone in little noise, dated."""
    n = np.arange(50_000)
    rng = np.random.default_rng(1)
    iq = np.exp(2j * np.pi * TONE / RATE * n) + 1e-3 * rng.standard_normal((len(n), 2)) @ [1, 1j]
    iq.astype("<c8").tofile(tmp_path / "tone.sigmf-data")
    capture = {"core:sample_start": 0, "core:frequency": FREQ, "core:datetime": "2024-05-01T12:00:00Z"}
    head = {"core:datatype": "cf32_le", "core:sample_rate": RATE, "core:version": "1.0.0"}
    (tmp_path / "tone.sigmf-meta").write_text(json.dumps({"global": head, "captures": [capture], "annotations": []}))
    return tmp_path / "tone.sigmf-meta"


def play(block: gr.basic_block, count: int) -> tuple[np.ndarray, list[gr.tag_t]]:
    """The first samples of a source, and their tags."""
    top, sink = gr.top_block(), blocks.vector_sink_c()
    top.connect(block, blocks.head(gr.sizeof_gr_complex, count), sink)
    top.run()
    return np.array(sink.data(), np.complex64), list(sink.tags())


def strongest(iq: np.ndarray, rate: float) -> float:
    """Hz re the centre."""
    return float(np.fft.fftfreq(len(iq), 1 / rate)[np.abs(np.fft.fft(iq)).argmax()])


def test_rtl_tcp_is_tuned_and_plays(tone: Path) -> None:
    pytest.importorskip("osmosdr", reason="gr-osmosdr is not installed")
    with RtlTcpServer(tone, speed=0) as server:
        radio = open_radio(server.device, 500e3, 800.2e6, 30.0)
        assert (radio.samp_rate, radio.center_freq) == (500e3, 800.2e6)
        server.wait_for("command", name="rate", value=500_000)
        server.wait_for("command", name="freq", value=800_200_000)
        server.wait_for("command", name="gain", value=297)  # the gain step of the R820T next to 30 dB
        iq, _ = play(radio.block, 200_000)
        assert strongest(iq[-50_000:], 500e3) == pytest.approx(-100e3, abs=20)
        radio.set_gain(None)
        server.wait_for("command", name="agc", value=1)
        assert radio.set_center_freq(799.9e6) == 799.9e6
        server.wait_for("command", name="freq", value=799_900_000)
        with pytest.raises(AtaError, match=r"cannot be tuned to 5000 MHz: it reaches 24 to 1766 MHz"):
            radio.set_center_freq(5e9)
        with pytest.raises(AtaError, match="no gain stage 'VGA'; it has LNA"):
            radio.set_gain({"VGA": 3.0})


def test_one_gain_for_several_stages_is_refused_where_the_driver_would_set_but_one(tone: Path) -> None:
    pytest.importorskip("osmosdr", reason="gr-osmosdr is not installed")
    says = r"has 2 gain stages \(LNA, IF\), .* to 30 dB: .* such as LNA=\S+,IF=\d"
    with RtlTcpServer(tone, "e4000") as server, pytest.raises(AtaError, match=says) as refusal:
        open_radio(server.device, RATE, FREQ, 30.0)
    assert type(refusal.value) is AtaError  # waiting would not mend it
    example = str(refusal.value).rpartition(" ")[2]
    with RtlTcpServer(tone, "e4000") as server:  # it serves one at a time, and the refusal holds the first
        gain = parse_gain(example)
        radio = open_radio(server.device, RATE, FREQ, gain)
        assert radio.block.get_gain("IF") == gain["IF"]
        server.wait_for("command", name="gain", value=round(10 * gain["LNA"]))


@pytest.mark.parametrize("greeting", ["garbage", "half", "noheader"])
def test_what_is_no_rtl_tcp_server_is_refused(tone: Path, greeting: str) -> None:
    pytest.importorskip("osmosdr", reason="gr-osmosdr is not installed")
    with RtlTcpServer(tone, greeting) as server, pytest.raises(AtaError, match="no rtl_tcp server"):
        open_radio(server.device, RATE, FREQ)


@pytest.mark.parametrize(
    ("device", "says"),
    [
        ("rtl=0", "rtl=0 cannot be opened: "),
        ("rtl_tcp=127.0.0.1:1", "cannot be opened: can't open TCP connection"),
        ("hackrf=0", "hackrf=0 cannot be opened: "),
        ("abacus=0", "cannot be opened: No devices specified"),
        ("file=absent.iq,rate=1e6", "can't open file"),
        ("uhd:addr=127.0.0.1", "uhd:addr=127.0.0.1 cannot be opened: .*No devices found"),
        ("soapy:driver=rtlsdr", "soapy:driver=rtlsdr cannot be opened: "),
        ("loop:absent.sigmf-meta", "absent.sigmf-meta cannot be read"),
    ],
)
def test_a_device_that_is_missing_is_one_sentence(device: str, says: str) -> None:
    if "=" in device.partition(":")[0]:
        pytest.importorskip("osmosdr", reason="gr-osmosdr is not installed")
    own = device.startswith("loop:")
    with pytest.raises(AtaError, match=says) as refusal:
        open_radio(device, None if own else RATE, None if own else FREQ)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("device", ["abacus=0", "rtl=many"])
def test_a_device_string_that_is_mistyped_is_not_waited_for(device: str) -> None:
    pytest.importorskip("osmosdr", reason="gr-osmosdr is not installed")
    with pytest.raises(AtaError) as refusal:
        open_radio(device, RATE, FREQ)
    assert type(refusal.value) is AtaError


@pytest.mark.parametrize(("rate", "freq", "says"), [(None, FREQ, "needs a rate"), (RATE, 0.0, "needs a freq")])
def test_a_radio_needs_rate_and_frequency(rate: float | None, freq: float, says: str) -> None:
    with pytest.raises(AtaError, match=says):
        open_radio("rtl=0", rate, freq)


def test_a_file_through_gr_osmosdr(tone: Path) -> None:
    pytest.importorskip("osmosdr", reason="gr-osmosdr is not installed")
    device = f"file={tone.with_suffix('.sigmf-data')},rate={RATE:g},freq={FREQ:g},throttle=false"
    iq, _ = play(open_radio(device, RATE, FREQ).block, 20_000)
    assert strongest(iq, RATE) == pytest.approx(TONE, abs=100)
    with pytest.raises(AtaError, match="cannot be tuned to 900 MHz: it went to 800 MHz"):
        open_radio(device, RATE, 900e6)


def test_a_recording_is_looped_without_its_date(tone: Path) -> None:
    radio = open_radio(f"loop:{tone}")
    assert (radio.samp_rate, radio.center_freq) == (RATE, FREQ)
    iq, tags = play(radio.block, 120_000)
    once = np.fromfile(tone.with_suffix(".sigmf-data"), "<c8")
    assert np.array_equal(iq, np.concatenate([once, once, once[:20_000]]))
    assert {str(tag.key) for tag in tags} == {"rx_freq", "rx_rate"}
    with pytest.raises(AtaError, match="was recorded at 1000000 Hz, which samp_rate 2000000 cannot change"):
        open_radio(f"loop:{tone}", 2e6)


def test_gains_as_they_are_written() -> None:
    assert [parse_gain(text) for text in ("auto", "30", "RF=0, IF=24")] == [None, 30.0, {"RF": 0.0, "IF": 24.0}]
    for text in ("", "loud", "nan", "LNA=", "LNA=1=2", "LNA=1,30"):
        with pytest.raises(AtaError, match="is no gain"):
            parse_gain(text)
