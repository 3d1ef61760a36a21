# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""gr-soapy, and gr-osmosdr's own way to SoapySDR, with a driver that needs no hardware."""

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from gnuradio.ata.errors import AtaError, RadioLost
from gnuradio.ata.live import Live, LiveSettings
from gnuradio.ata.radio_tuner import RadioSettings, RadioTuner
from gnuradio.ata.stream import Grid
from tiny_model import METADATA, write_tiny_model
from tools.live_run import PATIENCE, ROOT, Collected, Quiet, lines, run

SOURCE = Path(__file__).resolve().parents[1] / "tools" / "soapy_radio.cc"
RATE, FREQ = 2e6, 800e6
WAYS = {"gr-soapy": "soapy:driver=atatest", "gr-osmosdr": "soapy=0,driver=atatest"}


@pytest.fixture(scope="module", autouse=True)
def _driver(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Builds the driver, and lets SoapySDR find it here and in the processes that start from here."""
    pytest.importorskip("osmosdr", reason="gr-osmosdr is not installed")
    if shutil.which("g++") is None or subprocess.run(["pkg-config", "SoapySDR"], check=False).returncode:
        pytest.skip("libsoapysdr-dev is not installed")
    folder = tmp_path_factory.mktemp("soapy")
    library = folder / "libatatest.so"
    subprocess.run(["g++", "-O2", "-shared", "-fPIC", SOURCE, "-o", library, "-lSoapySDR"], check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOAPY_SDR_PLUGIN_PATH", str(folder))
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # the driver's band has no steep edges, and stands 19 dB over what lies beside it
    normalise = {**METADATA["normalise"], "scale_db": 10}
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx", rows=16, normalise=normalise)


@pytest.mark.parametrize("device", WAYS.values(), ids=WAYS.keys())
def test_it_runs_on_over_an_overflow(device: str, model: Path, tmp_path: Path) -> None:
    ran = run("--source", f"{device},fault=overflow,after=200000", "--rate", RATE, "--freq", FREQ, "--gain", "LNA=20,VGA=7",
              "--model", model, "--frame-ms", 10, "--frames", 20, "--jsonl", tmp_path / "r.jsonl")  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    records = lines(tmp_path / "r.jsonl")
    assert len(records) == 20 and records[-1]["sample_start"] > 200_000
    for index, record in enumerate(records):
        assert record["frame"] == index + record["dropped_frames"]
        assert (record["center_freq"], record["samp_rate"]) == (FREQ, RATE)
        assert [band["label"] for band in record["bands"]] == ["LTE"]


@pytest.mark.parametrize(
    ("device", "change", "says"),
    [
        (WAYS["gr-soapy"], ("--rate", 3e6), r"refuses 3 MS/s: .*range 1000000.*, 2000000"),
        (WAYS["gr-osmosdr"], ("--rate", 3e6), "refuses 3 MS/s: it gives 2 MS/s"),
        (WAYS["gr-soapy"], ("--freq", 10e9), "cannot be tuned to 10000 MHz: it reaches 70 to 6000 MHz"),
        (WAYS["gr-osmosdr"], ("--gain", "IF=3"), "has no gain stage 'IF'; it has LNA, VGA"),
    ],
)
def test_what_the_radio_refuses_is_one_sentence_and_not_tried_again(
    device: str, change: tuple, says: str, model: Path
) -> None:
    ran = run("--source", device, "--rate", RATE, "--freq", FREQ, "--model", model, *change, "--reconnect")
    assert (ran.returncode, ran.stdout) == (2, "")
    sentence = ran.stderr.splitlines()[-1]
    assert sentence.startswith(f"ata-sense: {device} ")
    assert re.search(says, sentence), sentence


@pytest.mark.parametrize(("way", "fault"), [("gr-soapy", "error"), ("gr-osmosdr", "stall")])
def test_a_radio_that_fails_in_mid_stream_is_opened_again(
    way: str, fault: str, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gnuradio.ata.pauses.FIRST_PAUSE", 0.1)
    device = f"{WAYS[way]},fault={fault},after=300000"
    settings = LiveSettings(device, RATE, FREQ, model=str(model), frame_ms=10.0)
    sink = Collected()
    live = Live(settings, [sink], Quiet(), reconnect=True, frames=20, stall_limit=2)
    live.run()
    assert len(sink) == live.totals.records == 20
    assert live.totals.reconnects >= 1  # one run of the radio has 15 frames
    assert [r["frame"] - r["dropped_frames"] for r in sink] == list(range(20))
    assert live.totals.frames == live.totals.records + live.totals.dropped


@pytest.mark.parametrize(
    ("way", "fault", "says"),
    [("gr-soapy", "tune", "MHz: LIBUSB_ERROR_NO_DEVICE"), ("gr-osmosdr", "zero", "MHz: it went to 0 MHz")],
)
def test_a_radio_that_goes_between_two_steps_of_a_scan_is_waited_for(way: str, fault: str, says: str, model: Path) -> None:
    """At the fifth step: the first is where it was opened."""
    args = [sys.executable, ROOT / "apps" / "ata-sense", "scan", "--from", "790M", "--to", "810M", "--rate", "1M", "--step",
            "700k", "--gain", "20", "--frame-ms", "10", "--model", model, "--reconnect", "--jsonl", "-",
            "--source", f"{WAYS[way]},fault={fault},after=4"]  # fmt: skip
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(args, **pipes) as scan:
        said = next((line for line in scan.stderr if "trying again in" in line or line.startswith("ata-sense: soapy")), "")
        scan.send_signal(signal.SIGTERM)
        out, err = scan.communicate(timeout=PATIENCE)
    assert said.endswith(f"{says}; trying again in 1 s\n"), said
    assert scan.returncode == 0, err
    sweep = json.loads(out.splitlines()[0])
    assert (sweep["steps"], sweep["complete"]) == (4, False)


def test_a_frequency_that_a_radio_does_not_reach_is_no_loss() -> None:
    settings = RadioSettings(WAYS["gr-soapy"], 1e6, FREQ, None, Grid(16, 256, 0.5), 10.0, 100_000, 20_000)
    tuner = RadioTuner(settings)
    with pytest.raises(AtaError, match="it reaches 70 to 6000 MHz") as refusal:
        tuner.capture(7e9)
    tuner.close()
    assert not isinstance(refusal.value, RadioLost)
