# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example flowgraph compiles; those that need no radio run, and their windows show what they should."""

import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from gnuradio.ata.engines.choose import ENGINES
from gnuradio.ata.model import ModelFile
from tools.rtl_tcp_server import RtlTcpServer

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.grc"))
LTE = (255, 166, 43)  # the colour of its boxes and names


def grcc(folder: Path, *flowgraphs: Path) -> subprocess.CompletedProcess:
    """Compiles flowgraphs into a folder; at once, because most of its time goes into reading GNU Radio's blocks."""
    program = shutil.which("grcc")
    if program is None:
        pytest.skip("grcc is not installed")
    env = {**os.environ, "GRC_BLOCKS_PATH": str(ROOT / "grc"), "HOME": str(folder)}
    command = [program, "-o", str(folder), *map(str, flowgraphs)]
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False, timeout=240)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the Python programs made of the examples."""
    folder = tmp_path_factory.mktemp("examples")
    ran = grcc(folder, *EXAMPLES)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Three frames of 40 ms and a bit of noise at 2 MS/s."""
    iq = np.random.default_rng(2).standard_normal(2 * 250_000).astype("<f4")
    iq.tofile(tmp_path / "noise.sigmf-data")
    meta = {
        "global": {"core:datatype": "cf32_le", "core:sample_rate": 2e6, "core:version": "1.0.0"},
        "captures": [{"core:sample_start": 0, "core:frequency": 8e8}],
        "annotations": [],
    }
    (tmp_path / "noise.sigmf-meta").write_text(json.dumps(meta))
    return tmp_path / "noise.sigmf-meta"


def run(program: Path, *args: object) -> subprocess.CompletedProcess:
    command = [sys.executable, str(program), *map(str, args)]
    return subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=program.parent, check=False, timeout=120
    )


def test_the_demo_labels_a_recording_shorter_than_a_frame(captures: Path, tmp_path: Path) -> None:
    path = captures / "real-nr" / "commercial-n1-20MHz-sib.sigmf-meta"  # 1 ms
    ran = run(ROOT / "examples" / "demo.py", path, "--png", tmp_path / "x.png")
    assert ran.returncode == 0, ran.stderr
    assert "1 of 1" in ran.stdout and (tmp_path / "x.png").stat().st_size > 1000


def test_the_demo_says_when_a_recording_is_too_short(recording: Path, tmp_path: Path) -> None:
    data = recording.with_suffix(".sigmf-data")
    for samples in (1023, 999):
        data.write_bytes(data.read_bytes()[: 8 * samples])
        ran = run(ROOT / "examples" / "demo.py", recording, "--png", tmp_path / "x.png")
        assert ran.returncode == 2
        assert f"has only {samples} samples at one frequency" in ran.stderr.splitlines()[-1]


def test_the_demo_says_what_raw_iq_lacks_not_options_that_it_has_not(recording: Path) -> None:
    ran = run(ROOT / "examples" / "demo.py", recording.with_suffix(".sigmf-data").rename(recording.with_name("dump.bin")))
    assert ran.returncode == 2
    assert "needs a .sigmf-meta beside it" in ran.stderr and "--rate" not in ran.stderr


@pytest.mark.parametrize(
    ("name", "level", "says"),
    [("two words", "dev", "in its name"), ("it's", "dev", "in its name"), ("plain", "train", "no set-up train: runtime,")],
)
def test_a_folder_or_level_that_cannot_be_is_refused_before_anything_is_set_up(
    tmp_path: Path, name: str, level: str, says: str
) -> None:
    (tmp_path / name / "scripts").mkdir(parents=True)
    script = shutil.copy(ROOT / "scripts" / "setup.sh", tmp_path / name / "scripts")
    (tmp_path / "dirname").symlink_to(shutil.which("dirname"))  # no other program is within reach
    command, env = [shutil.which("bash"), script, level], {"PATH": str(tmp_path)}
    ran = subprocess.run(command, capture_output=True, text=True, env=env, check=False, timeout=60)
    assert ran.returncode == 2
    assert len(ran.stderr.splitlines()) == 1 and says in ran.stderr


class Breaking:
    """An engine that runs once, to prove itself; then it fails, or cuts the recording that is played."""

    def __init__(self, model: ModelFile, recording: Path | None) -> None:
        self.name, self._recording = "breaking", recording
        self._logits = np.zeros((1, len(model.classes), model.rows, model.columns), np.float32)
        self._proved = False

    def run(self, images: np.ndarray) -> np.ndarray:
        if self._proved and self._recording is None:
            raise RuntimeError("out of memory")
        if self._proved:
            self._recording.write_bytes(b"")
        self._proved = True
        return self._logits

    def close(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize(("breaks", "says"), [("engine", "out of memory"), ("recording", "became shorter")])
def test_a_demo_that_breaks_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture, breaks: str, says: str
) -> None:
    data = tmp_path / "long.sigmf-data"
    np.zeros(2 * 4_000_000, np.int8).tofile(data)  # more than the buffers between the blocks hold
    head = {"core:datatype": "ci8", "core:sample_rate": 2e6, "core:version": "1.0.0"}
    meta = {"global": head, "captures": [{"core:sample_start": 0}], "annotations": []}
    data.with_suffix(".sigmf-meta").write_text(json.dumps(meta))
    cut = data if breaks == "recording" else None
    monkeypatch.setitem(ENGINES, next(iter(ENGINES)), lambda model, _: Breaking(model, cut))
    monkeypatch.setattr(sys, "argv", ["demo.py", str(data), "--png", str(tmp_path / "x.png")])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "examples" / "demo.py"), run_name="__main__")
    assert ended.value.code == 2
    printed = capfd.readouterr()
    assert printed.err.startswith("demo: the flowgraph stopped: ") and says in printed.err.splitlines()[-1]
    assert "bands" not in printed.out


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda p: p.stem)
def test_it_compiles(example: Path, compiled: Path) -> None:
    assert (compiled / f"{example.stem}.py").stat().st_size > 1000


def test_replay_writes_the_records_of_the_recording(compiled: Path, recording: Path, tmp_path: Path) -> None:
    program = compiled / "replay.py"
    ran = run(program, "--recording", recording, "--records", tmp_path / "out.jsonl")
    assert ran.returncode == 0, ran.stderr
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(x["sample_start"], x["center_freq"], x["samp_rate"]) for x in lines] == [
        (80_000 * i, 8e8, 2e6) for i in range(3)
    ]


def test_the_companion_that_setup_leaves_runs_what_it_makes(recording: Path, tmp_path: Path) -> None:
    """GNU Radio's own starts under /usr/bin/python3, which does not see the module. Here its compiler, run as the companion
    runs flowgraphs: in the example's folder, on the recording that `make demo` leaves."""
    program = ROOT / ".venv" / "bin" / "grcc"
    if not program.exists():
        pytest.skip("the tests run in another environment than that of scripts/setup.sh")
    for folder in ("examples", "build/demo"):
        (tmp_path / folder).mkdir(parents=True)
    for suffix in (".sigmf-meta", ".sigmf-data"):
        recording.with_suffix(suffix).rename(tmp_path / f"build/demo/demo{suffix}")
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "GRC_BLOCKS_PATH")} | {"HOME": str(tmp_path)}
    ran = subprocess.run([program, "-r", ROOT / "examples" / "replay.grc"], capture_output=True, text=True, env=env,
                         cwd=tmp_path / "examples", check=False, timeout=240)  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert len((tmp_path / "examples/records.jsonl").read_text().splitlines()) == 3, ran.stdout + ran.stderr


def test_labels_become_a_stream_of_bytes(compiled: Path, recording: Path, tmp_path: Path) -> None:
    ran = run(compiled / "labels_stream.py", "--recording", recording, "--labels", tmp_path / "labels.u8")
    assert ran.returncode == 0, ran.stderr
    labels = np.fromfile(tmp_path / "labels.u8", np.uint8)
    # Whole frames; of those at the end of the recording GNU Radio may lose some.
    assert len(labels) % 256 == 0 and 0 < len(labels) <= 3 * 256
    assert labels.max() < 4


def on_the_screen(colours: set[tuple[int, int, int]]) -> int:
    """How many pixels of the whole screen, other programs' windows included, have one of these colours."""
    from PyQt5 import QtWidgets

    image = QtWidgets.QApplication.primaryScreen().grabWindow(0).toImage().convertToFormat(4)
    pixels = np.array(image.constBits().asarray(image.byteCount()), np.uint8).view("<u4") & 0xFFFFFF
    return int(np.isin(pixels, [red << 16 | green << 8 | blue for red, green, blue in colours]).sum())


@pytest.fixture
def window(screen, qtbot):
    """Starts a program with a window; -> (program's process, wait for so many pixels of some colours). Ended afterwards."""
    running = []

    def start(program: Path, *args: object) -> subprocess.Popen:
        command = [sys.executable, str(program), *map(str, args)]
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        running.append(subprocess.Popen(command, cwd=program.parent, **streams))
        return running[-1]

    def shows(colours: set[tuple[int, int, int]], least: int) -> None:
        def seen() -> bool:
            assert running[-1].poll() is None, running[-1].communicate()[0]
            return on_the_screen(colours) >= least

        qtbot.waitUntil(seen, timeout=120_000)

    yield start, shows
    for process in running:
        if process.poll() is None:
            process.kill()
            process.wait()


def end(process: subprocess.Popen) -> str:
    """Ends a program as a person does in a terminal -> what it printed."""
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "Traceback" not in printed, printed
    return printed


def test_the_simulated_scene_shows_labels(compiled: Path, captures: Path, window) -> None:
    start, shows = window
    program = compiled / "simulated_scene.py"
    path = captures / "real-lte" / "fdd20-a.sigmf-meta"
    process = start(program, "--recording", path, "--samp-rate", "19.2M")
    shows({LTE}, 2000)  # the legend's swatch alone has some 200
    printed = end(process)
    frames = re.search(r"(\d+) frames, \d+ of them dropped", printed)
    assert frames and int(frames[1]) > 0, printed


def test_osmocom_sources_feed_the_block_and_the_waterfall(compiled: Path, recording: Path, window) -> None:
    pytest.importorskip("osmosdr", reason="gr-osmosdr is not installed")
    start, shows = window
    program = compiled / "live_rtlsdr.py"
    device = f"file={recording.with_suffix('.sigmf-data')},rate=2.4e6,repeat=true,throttle=true,freq=806e6"
    process = start(program, "--device", device)
    viridis = {tuple(round(255 * x) for x in c) for c in matplotlib.colormaps["viridis"].colors}
    shows(viridis, 20_000)  # the colour bar alone has some 7000
    printed = end(process)
    assert re.search(r"ata.segmenter.*\d+ frames, ", printed), printed


def test_a_radio_behind_rtl_tcp_shows_labels(compiled: Path, captures: Path, window) -> None:
    pytest.importorskip("osmosdr", reason="gr-osmosdr is not installed")
    start, shows = window
    with RtlTcpServer(captures / "real-lte" / "fdd10-near-overload.sigmf-meta", speed=0.5) as server:
        program = compiled / "live_rtlsdr.py"
        process = start(program, "--device", server.device, "--freq", "796M", "--samp-rate", "19.2M")
        server.wait_for("command", name="freq", value=796_000_000)
        shows({LTE}, 2000)
        end(process)


def test_a_missing_usrp_is_said(compiled: Path, screen) -> None:
    program = compiled / "live_usrp.py"
    ran = run(program, "--device", "addr=127.0.0.1,type=usrp2")
    assert ran.returncode != 0
    assert "No devices found" in ran.stderr


USRP = """
sys.path.insert(0, {tests!r})
from tools.usrp_source import Stretch, usrp_source


class usrp(usrp_source):
    def __init__(self, address, arguments):
        stretches = [Stretch(4_000_000, 802e6, 10e6), Stretch(4_000_000, 803e6, 10e6)]
        usrp_source.__init__(self, stretches, (1_800_000_000, 0.25))

    def set_samp_rate(self, rate):
        assert rate == 10e6

    def set_center_freq(self, freq, channel):
        assert freq == 802e6

    def set_antenna(self, antenna, channel): ...

    def set_gain(self, gain, channel): ...

    def set_time_unknown_pps(self, time): ...


class live_usrp("""


def test_a_usrp_feeds_the_block(compiled: Path, tmp_path: Path, window) -> None:
    """The program as compiled, but for gr-uhd's source, in whose place one that tags like it is tuned on the way."""
    text = (compiled / "live_usrp.py").read_text()
    for ours, theirs in ((USRP.format(tests=str(ROOT / "tests")), "\nclass live_usrp("), ("usrp(", "uhd.usrp_source(")):
        assert text.count(theirs) == 1
        text = text.replace(theirs, ours)
    (tmp_path / "live_usrp.py").write_text(text)
    start, _ = window
    process = start(tmp_path / "live_usrp.py", "--freq", "802M", "--samp-rate", "10M")
    patience = threading.Timer(120, process.kill)
    patience.start()
    printed, records, asked = "", [], False
    for line in process.stdout:
        printed += line
        if "((bands" in line:
            records.append(dict(re.findall(r"\((\w+) \. ([^()]+)\)", line)))
            if float(records[-1]["center_freq"]) == 803e6 and not asked:
                process.send_signal(signal.SIGINT)
                asked = True
    patience.cancel()
    assert process.wait(60) == 0, printed
    assert re.search(r"ata.segmenter.* frames, ", printed)
    assert records and float(records[-1]["center_freq"]) == 803e6  # a slow machine may have dropped all before
    for record in records:
        start_at, tuned = int(record["sample_start"]), float(record["center_freq"]) == 803e6
        assert start_at % 400_000 == (10_000 if tuned else 0) and (start_at >= 4_010_000) == tuned  # settled for 1 ms
        whole, part = map(float, record["time"].strip("{}").split())  # a tuple, as GNU Radio prints it
        assert whole - 1_800_000_000 + part == pytest.approx(0.25 + start_at / 10e6, abs=1e-5)
        assert float(record["freq_lower_edge"]) == pytest.approx(801e6, abs=4e4)
        assert float(record["freq_upper_edge"]) == pytest.approx(803e6, abs=4e4)


def test_the_companion_refuses_what_the_blocks_would(tmp_path: Path) -> None:
    text = (ROOT / "examples" / "replay.grc").read_text()
    source, block = (text[text.index(f"- name: {name}\n") :].split("\n- name", 1)[0] for name in ("source", "segmenter"))
    bad = [
        (block, "samp_rate", "0.4e6"), (block, "samp_rate", "250e6"), (block, "frame_ms", "0.4"), (block, "frame_ms", "101"),
        (block, "settle_samples", "-1"), (source, "path", ""), (source, "samp_rate", "-1"),
    ]  # fmt: skip
    for number, (of, parameter, value) in enumerate(bad):
        kept = re.sub(rf"\n    {parameter}: .*", "", of).replace("parameters:", f"parameters:\n    {parameter}: '{value}'")
        kept = re.sub(r"- name: \w+", f"- name: bad_{number}", kept)
        ends = f"['source', '0', 'bad_{number}', '0']" if of is block else f"['bad_{number}', '0', 'segmenter', '0']"
        text = text.replace("\nconnections:\n", f"\n{kept}\n\nconnections:\n- {ends}\n")
    (tmp_path / "refused.grc").write_text(text)
    ran = grcc(tmp_path, tmp_path / "refused.grc")
    refused = set(re.findall(r"Block - (bad_\w+) - ", ran.stdout + ran.stderr))
    assert ran.returncode != 0 and refused == {f"bad_{number}" for number in range(len(bad))}, ran.stdout


def test_the_companion_refuses_what_the_waterfall_would(tmp_path: Path) -> None:
    text = (ROOT / "examples" / "simulated_scene.grc").read_text()
    block = text[text.index("- name: waterfall\n") : text.index("connections:")]
    for number, (samp_rate, seconds) in enumerate([(61.44e6, 61), (61.44e6, 0.2), (1e6, 0.5), (0.4e6, 10)]):
        bad = block.replace("name: waterfall", f"name: bad_{number}").replace("'samp_rate'", f"'{samp_rate}'")
        bad = bad.replace("seconds: '10'", f"seconds: '{seconds}'")
        text = text.replace("connections:\n", f"{bad}connections:\n- ['segmenter', '0', 'bad_{number}', '0']\n")
    (tmp_path / "refused.grc").write_text(text)
    ran = grcc(tmp_path, tmp_path / "refused.grc")
    refused = set(re.findall(r"Block - (\w+) - 5G/LTE Waterfall", ran.stdout + ran.stderr))
    assert ran.returncode != 0 and refused == {f"bad_{number}" for number in range(4)}, ran.stdout
