# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The waterfall in real flowgraphs and on a real screen: what it shows is measured in the picture's pixels."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pmt
import pytest
from gnuradio import ata, blocks, gr
from gnuradio.ata.pmt_records import record_from_pmt, record_pmt, to_pmt
from gnuradio.ata.records import Record
from gnuradio.ata.waterfall_picture import RECORDS, ROWS
from PyQt5 import QtWidgets
from stand_ins import PATIENCE, Stepped, ends
from tiny_model import write_tiny_model
from tools.waterfall_picture import click, place

COLOURS = {"LTE": (255, 166, 43), "NR": (53, 208, 255), "other": (232, 232, 232)}
RATE, FREQ = 4e6, 8e8
FRAME = 40_000  # samples, 10 ms
WAIT_MS = 120_000  # for a machine that is busy with something else

pytestmark = pytest.mark.usefixtures("screen")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model for which every column that stands out is LTE."""
    return str(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx", rows=16))


def scene() -> np.ndarray:
    """A frame of noise with a block of signal from -1.5 to -0.5 MHz, 20 dB over it."""
    rng = np.random.default_rng(5)
    spectrum = rng.standard_normal(2 * FRAME).astype(np.float32).view(np.complex64)
    freqs = np.fft.fftfreq(FRAME, 1 / RATE)
    spectrum[(freqs >= -1.5e6) & (freqs < -0.5e6)] *= 10
    return np.fft.ifft(spectrum).astype(np.complex64)


class Shown:
    """A source that never ends, segmenter and waterfall; the window is there and the stream runs."""

    def __init__(self, qtbot, source: gr.sync_block, rate: float, freq: float, seconds: float, **options) -> None:
        options = {"mode": "lossless", "frame_ms": 10.0, **options}
        self.rate, self.freq = rate, freq
        self.segmenter = ata.segmenter(rate, freq, **options)
        self.waterfall = ata.waterfall(rate, freq, seconds, "a title")
        self.widget = self.waterfall.qwidget()
        self.widget.resize(900, 600)
        qtbot.addWidget(self.widget)
        with qtbot.waitExposed(self.widget):
            self.widget.show()
        self.qtbot = qtbot
        self.top = gr.top_block()
        self.top.connect(source, self.segmenter, self.waterfall)
        self.top.msg_connect(self.segmenter, "detects", self.waterfall, "detects")
        self.top.start()

    def wait_for(self, condition) -> None:
        self.qtbot.waitUntil(condition, timeout=WAIT_MS)

    def play(self, seconds: float) -> None:
        """Until the picture holds this much, in seconds of the stream, and then to a stop."""
        self.wait_for(lambda: self.widget.picture.rows_of(0) >= seconds / self.widget._seconds * ROWS)
        self.stop()
        self.widget.refresh(names=True)

    def stop(self) -> None:
        self.top.stop()
        self.top.wait()

    def pixels(self) -> np.ndarray:
        """-> uint8 [height, width, 3] of the window as it stands on the screen."""
        self.qtbot.wait(1)
        image = self.widget.grab().toImage().convertToFormat(4)  # RGB32: blue, green, red, 255
        raw = image.constBits().asarray(image.byteCount())
        return np.array(raw, np.uint8).reshape(image.height(), image.width(), 4)[..., 2::-1]

    def at(self, mhz: float, seconds: float) -> tuple[int, int]:
        point = place(self.widget, mhz, seconds)
        return point.y(), point.x()


def vector(iq: np.ndarray) -> gr.basic_block:
    return blocks.vector_source_c(iq.tolist(), True)


@pytest.fixture
def shown(qtbot, tiny):
    """The scene of above, still running."""
    made = Shown(qtbot, vector(scene()), RATE, FREQ, 1.0, model=tiny)
    yield made
    made.stop()


BAND = {"label": "LTE", "freq_lower_edge": 7.99e8, "freq_upper_edge": 8e8, "confidence": 0.9, "snr_db": None,
        "duty_cycle": 1.0}  # fmt: skip
RECORD = {"frame": 1, "sample_start": 0, "sample_count": 9, "time": None, "center_freq": 8e8, "samp_rate": 4e6,
          "model": "m", "engine": "e", "tail": False, "dropped_frames": 0, "latency_ms": None, "bands": [BAND]}  # fmt: skip
LATE = "2038-01-19T03:14:07.999999Z"
COMPLEX = pmt.intern("bands"), pmt.make_vector(1, pmt.dict_add(to_pmt(BAND), pmt.intern("freq_lower_edge"),
                                                               pmt.from_complex(8e8)))  # fmt: skip
NO_RECORDS = [
    pmt.PMT_NIL, pmt.intern("x"), pmt.from_double(1), pmt.make_vector(3, pmt.PMT_T), pmt.cons(pmt.PMT_T, pmt.PMT_NIL),
    to_pmt({"bands": 3}), to_pmt({k: v for k, v in RECORD.items() if k != "model"}), to_pmt({**RECORD, "more": 1}),
    to_pmt({**RECORD, "latency_ms": "soon"}), to_pmt({**RECORD, "model": None}), to_pmt({**RECORD, "samp_rate": "fast"}),
    to_pmt({**RECORD, "bands": [{**BAND, "freq_upper_edge": float("inf")}]}),
    to_pmt({**RECORD, "bands": [{**BAND, "freq_lower_edge": -1e300}]}),
    to_pmt({**RECORD, "bands": [{**BAND, "label": 3}]}), to_pmt({**RECORD, "bands": [{**BAND, "snr_db": float("nan")}]}),
    pmt.dict_add(to_pmt(RECORD), *COMPLEX), to_pmt({**RECORD, "bands": [{**BAND, "confidence": None}]}),
    to_pmt({**RECORD, "sample_start": 2**63}), to_pmt({**RECORD, "time": LATE}),
    *(pmt.dict_add(to_pmt(RECORD), pmt.intern("time"), pmt.make_tuple(whole, pmt.from_double(0.0)))
      for whole in (pmt.from_uint64(2**63), pmt.from_long(-5), pmt.from_long(-(10**11)))),
]  # fmt: skip


def test_what_a_stop_loses_before_the_waterfall_does_not_move_its_rows(qtbot, tiny: str) -> None:
    segmenter = ata.segmenter(RATE, FREQ, frame_ms=10.0, model=tiny, engine="onnxruntime-cpu")
    waterfall = ata.waterfall(RATE, FREQ, 2.0)
    qtbot.addWidget(waterfall.qwidget())
    source = blocks.vector_source_c(np.tile(scene(), 40))
    top = gr.top_block()
    top.connect(source, segmenter, blocks.head(gr.sizeof_gr_complex, 1000), blocks.null_sink(gr.sizeof_gr_complex))
    top.run()
    first = segmenter.tally.seen
    assert 1000 < first < 40 * FRAME  # what is more than 1000 is lost
    top.disconnect_all()
    top.connect(source, segmenter, waterfall)
    top.run()
    assert waterfall._seen == segmenter.tally.seen > first


def test_a_record_survives_the_way_through_a_message() -> None:
    for more in ({}, {"bands": []}, {"latency_ms": 3.5}, {"time": "2026-01-01T00:00:00.000000Z"}, {"time": LATE}):
        record = Record.from_dict({**RECORD, **more})
        assert record_from_pmt(record_pmt(record)) == record
    assert [record_from_pmt(nonsense) for nonsense in NO_RECORDS] == [None] * len(NO_RECORDS)


def near(pixels: np.ndarray, colour: tuple[int, int, int], y: int, x: int, reach: int) -> bool:
    part = pixels[max(0, y - 1) : y + 2, max(0, x - reach) : x + reach + 1]
    return bool((part == colour).all(-1).any())


def test_labels_stand_at_their_frequencies(shown: Shown) -> None:
    shown.play(1.0)
    pixels, widget = shown.pixels(), shown.widget
    band = widget.picture.records[-1].bands[0]
    edges = band.freq_lower_edge / 1e6, band.freq_upper_edge / 1e6
    assert band.label == "LTE" and edges == pytest.approx((798.5, 799.5), abs=0.02)
    (low, high), (newest, oldest) = widget.view.viewRange()
    assert (low, high) == pytest.approx((798, 802), abs=0.01) and (newest, oldest) == (0, 1)
    inside, outside = [], []
    for age in (0.3, 0.5, 0.7, 0.9):
        for edge in edges:
            assert near(pixels, COLOURS["LTE"], *shown.at(edge, age), reach=2)
            assert not near(pixels, COLOURS["LTE"], *shown.at(edge + 0.2, age), reach=10)
        inside.append(pixels[shown.at(799.0, age)].astype(int))
        outside.append(pixels[shown.at(801.0, age)].astype(int))
    # viridis: bright is yellow and green, dark is blue and violet
    assert np.mean(inside, 0)[1] > 120 > 100 > np.mean(outside, 0)[1]
    y, x = shown.at(799.0, 0.0)
    under_the_edge = (pixels[y + 4 : y + 45, x - 60 : x + 60] == COLOURS["LTE"]).all(-1)
    assert under_the_edge.sum() > 500, "the name's ground"
    assert widget._names[0].toPlainText().startswith("LTE  799.00 MHz\n1.0") and "%" in widget._names[0].toPlainText()


def test_the_legend_shows_every_label(shown: Shown) -> None:
    pixels = shown.pixels()
    for label, swatch in shown.widget.legend.items():
        at = swatch.mapTo(shown.widget, swatch.rect().center())
        assert tuple(pixels[at.y(), at.x()]) == COLOURS[label]
    texts = [child.text() for child in shown.widget.findChildren(type(shown.widget.details))]
    assert set(COLOURS) <= set(texts) and "<b>a title</b>" in texts


def test_a_real_recording(qtbot, captures: Path, tmp_path: Path) -> None:
    path = captures / "real-lte" / "fdd20-a.sigmf-meta"
    source = ata.recording_source(str(path), repeat=True)
    made = Shown(qtbot, source, source.samp_rate, source.center_freq, 0.4, frame_ms=40.0)
    made.play(0.4)
    pixels, picture = made.pixels(), made.widget.picture
    assert picture.records and all(r.center_freq == source.center_freq for r in picture.records)
    boxes = [b for b in picture.boxes() if b.label == "LTE"]
    carrier = json.loads(path.read_text())["annotations"][0]
    assert boxes
    for box in boxes:
        age = (box.top + box.bottom) / 2 * 0.4 / ROWS
        if made.at(box.low / 1e6, age)[0] > made.at(box.low / 1e6, 0)[0] + 60:  # below the names
            assert near(pixels, COLOURS["LTE"], *made.at(box.low / 1e6, age), reach=2)
    # The carrier has an edge in the picture too: it begins within the columns of the annotation's lower edge.
    low, _ = picture.frequencies
    column = round((carrier["core:freq_lower_edge"] - low) / picture.samp_rate * picture.levels.shape[1])
    level = np.nanmean(picture.levels, 0)
    assert level[column + 8 : column + 40].mean() > level[max(0, column - 16) : column - 4].mean() + 3
    made.widget.grab().save(str(tmp_path / "waterfall.png"))
    assert (tmp_path / "waterfall.png").stat().st_size > 20_000


def test_pause_holds_the_picture_and_nothing_else(shown: Shown) -> None:
    shown.wait_for(lambda: len(shown.widget.picture.records) > 0)
    shown.qtbot.mouseClick(shown.widget.pause, 1)
    held, read = shown.pixels(), shown.waterfall.nitems_read(0)
    shown.wait_for(lambda: shown.waterfall.nitems_read(0) > read + 1.2 * RATE)  # more than the screen
    assert np.array_equal(shown.pixels(), held)
    rows, records = shown.waterfall._inbox._rows, shown.waterfall._inbox._records
    assert len(rows) == ROWS and 0 < len(records) <= RECORDS
    shown.qtbot.mouseClick(shown.widget.pause, 1)
    shown.wait_for(lambda: shown.widget.picture.sample_of(0) > read + 1.2 * RATE)
    assert not np.array_equal(shown.pixels(), held)


def test_a_click_shows_the_record(qtbot, tiny: str) -> None:
    """A frame is 16 pixels high here, and clicks close to its lower and upper end find it."""
    shown = Shown(qtbot, vector(scene()), RATE, FREQ, 0.3, model=tiny)
    shown.play(0.3)
    widget, before = shown.widget, shown.pixels()
    record = widget.picture.records[len(widget.picture.records) // 2]
    band = record.bands[0]
    early, late = (
        float(widget.picture.rows_of(record.sample_start + share * FRAME)) * 0.3 / ROWS for share in (0.1, 0.9)
    )
    click(widget, 799.0, early)
    text = widget.details.text()
    assert f"frame {record.frame} " in text and f"samples {record.sample_start} + {FRAME}" in text
    assert f"{band.freq_lower_edge / 1e6:.3f} to {band.freq_upper_edge / 1e6:.3f} MHz" in text
    assert f"confidence {band.confidence:.0%}" in text and "LTE" in text and "tiny-1 on onnxruntime-cpu" in text
    marked = (shown.pixels() != before).any(-1)
    y, x = shown.at(799.0, early)
    assert marked[y - 20 : y + 9, x].any(), "the frame's band is marked"
    qtbot.wait(QtWidgets.QApplication.doubleClickInterval() + 50)  # or the next click makes the two a double one
    click(widget, 801.0, late)
    assert widget.details.text().startswith("No band here; the frame has 1.")
    assert f"frame {record.frame} " in widget.details.text()


def test_the_axis_follows_the_radio(qtbot, tiny: str) -> None:
    """A tag retunes after half a second; what came before stays at its own frequency."""
    iq = np.tile(scene(), 100)
    tag = gr.tag_t()
    tag.offset, tag.key, tag.value = 50 * FRAME, pmt.intern("rx_freq"), pmt.from_double(FREQ + 1e6)
    made = Shown(qtbot, blocks.vector_source_c(iq.tolist(), False, 1, [tag]), RATE, FREQ, 2.0, model=tiny)
    made.top.wait()
    made.widget.refresh(names=True)
    picture = made.widget.picture
    assert picture.center_freq == FREQ + 1e6
    assert {r.center_freq for r in picture.records} == {FREQ, FREQ + 1e6}
    pixels = made.pixels()
    for age, edge in ((0.3, 800.5), (0.7, 799.5)):
        assert near(pixels, COLOURS["LTE"], *made.at(edge, age), reach=6)
    assert not near(pixels, COLOURS["LTE"], *made.at(798.7, 0.3), reach=6)


def test_setters_and_messages_retune_it_too(shown: Shown) -> None:
    shown.wait_for(lambda: shown.widget.picture.center_freq == FREQ)
    shown.waterfall.set_center_freq(8.06e12)  # no radio has it: a line in the log, not an exception, which would end Qt
    shown.waterfall.set_center_freq(9e8)
    shown.wait_for(lambda: shown.widget.picture.center_freq == 9e8)
    assert shown.widget.view.viewRange()[0] == pytest.approx([898, 902], abs=0.01)
    message = pmt.cons(pmt.intern("freq"), pmt.from_double(7e8))
    shown.waterfall.to_basic_block()._post(pmt.intern("freq"), message)
    shown.wait_for(lambda: shown.widget.picture.center_freq == 7e8)
    shown.waterfall.set_samp_rate(2e6)
    shown.wait_for(lambda: shown.widget.picture.samp_rate == 2e6)
    assert shown.widget.view.viewRange()[0] == pytest.approx([699, 701], abs=0.01)


def test_messages_that_are_no_records_change_nothing(shown: Shown, capfd: pytest.CaptureFixture) -> None:
    port = pmt.intern("detects")
    for nonsense in NO_RECORDS:
        shown.waterfall.to_basic_block()._post(port, nonsense)
    shown.play(0.5)
    assert shown.widget.picture.records
    assert "message on detects is no detection record" in capfd.readouterr().out


def records_of(tiny: str, path: Path, mode: str, iq: np.ndarray, waterfall: bool) -> tuple[list[dict], ata.segmenter]:
    """A run to its end with a screen that never takes anything: this thread is Qt's, and it is busy here."""
    block = ata.segmenter(RATE, FREQ, mode=mode, model=tiny, frame_ms=1.0, jsonl=str(path))
    top = gr.top_block()
    top.connect(blocks.vector_source_c(iq.tolist()), block)
    sink = ata.waterfall(RATE, FREQ, 0.3) if waterfall else blocks.null_sink(gr.sizeof_gr_complex)
    top.connect(block, sink)
    if waterfall:
        sink.qwidget().show()
        top.msg_connect(block, "detects", sink, "detects")
    top.run()
    if waterfall:
        assert sink.nitems_read(0) == len(iq)
        assert len(sink._inbox._rows) == ROWS and 0 < len(sink._inbox._records) <= RECORDS
        sink.qwidget().close()
    return [json.loads(line) for line in path.read_text().splitlines()], block


@pytest.mark.parametrize("mode", ["lossless", "live"])
def test_a_screen_that_hangs_costs_no_frame(qtbot, tiny: str, tmp_path: Path, mode: str) -> None:
    """350 frames, more than fill the screen, and no record less than without the waterfall."""
    iq = np.tile(scene(), 35)
    with_it, block = records_of(tiny, tmp_path / "with.jsonl", mode, iq, True)
    without, _ = records_of(tiny, tmp_path / "without.jsonl", mode, iq, False)
    assert len(with_it) + block.dropped_frames == 350
    if mode == "lossless":
        assert block.dropped_frames == 0
        assert with_it == without
    else:
        assert with_it[-1]["frame"] == without[-1]["frame"] == 349


def test_a_slow_screen_shows_the_newest_and_rests(shown: Shown) -> None:
    """Each refresh takes a fifth of a second, so most of the stream passes unseen; what is seen is new and bounded."""
    widget, refresh = shown.widget, shown.widget.refresh
    waiting, ends = [], []
    rests = []

    def slowly() -> None:
        begin = time.monotonic()
        rests.extend([begin - ends[-1]] if ends else [])
        while time.monotonic() < begin + 0.2:
            sum(range(1000))  # holds the interpreter as a slow picture would
        waiting.append((len(shown.waterfall._inbox._rows), len(shown.waterfall._inbox._records)))
        refresh()
        ends.append(time.monotonic())

    widget.refresh = slowly
    shown.wait_for(lambda: len(waiting) >= 5)
    widget.refresh = refresh
    shown.stop()
    assert min(rests) >= 0.75, "four fifths of the time are not for drawing"
    assert max(rows for rows, _ in waiting) <= ROWS and max(records for _, records in waiting) <= RECORDS
    refresh()
    assert shown.segmenter.dropped_frames <= 1  # the one in hand at the end
    assert widget.picture.sample_of(0) > shown.waterfall.nitems_read(0) - RATE / ROWS - 1


def test_a_flood_of_records_is_drawn_once(qtbot) -> None:
    """All of it comes while this thread, which is Qt's, does something else; the newest of each kind are drawn, at once."""
    source, sink, row = Stepped(), ata.waterfall(RATE, FREQ, 0.3), round(0.3 * RATE) // ROWS
    widget, inbox = sink.qwidget(), sink._inbox
    qtbot.addWidget(widget)
    with qtbot.waitExposed(widget):
        widget.show()
    came = threading.Semaphore(0)
    for name, put in (("put_row", inbox.put_row), ("put_record", inbox.put_record)):
        setattr(inbox, name, lambda what, put=put: (put(what), came.release()))
    top = gr.top_block()
    top.connect(source, sink)
    top.start()
    source.send(np.resize(scene(), ROWS * row))
    for frame in range(2 * RECORDS):
        record = {**RECORD, "frame": frame, "sample_start": frame * ROWS * row // (2 * RECORDS)}
        sink.to_basic_block()._post(pmt.intern("detects"), to_pmt(record))
    assert all(came.acquire(timeout=PATIENCE) for _ in range(ROWS + 2 * RECORDS)), "nothing waits for the screen"
    qtbot.waitUntil(lambda: widget._refreshes > 0, timeout=WAIT_MS)
    widget.refresh()  # there is nothing left to draw
    source.send(None)
    assert ends(top)
    assert widget._refreshes == 1 and inbox.take() == ([], [])
    assert [record.frame for record in widget.picture.records] == list(range(RECORDS, 2 * RECORDS))
    assert np.isfinite(widget.picture.levels).all() and widget.picture.rows_of(0) == ROWS


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"seconds": 0.1}, "the waterfall is 0.1 s long; at 4 MS/s it has to be between 0.3 and 60 s"),
        ({"seconds": float("nan")}, "has to be between"),
        ({"seconds": 61}, "has to be between"),
        ({"samp_rate": 1e3, "seconds": 60}, "has to be between"),
        ({"samp_rate": 0.0}, "sample rate is 0 MS/s"),
    ],
)
def test_settings_that_cannot_work_are_said(qtbot, options: dict, says: str) -> None:
    with pytest.raises(ata.AtaError, match=says):
        ata.waterfall(**{"samp_rate": RATE, **options})


def test_a_rate_that_cannot_work_stops_the_picture_and_not_the_program(shown: Shown, capfd: pytest.CaptureFixture) -> None:
    shown.wait_for(lambda: shown.widget.picture.samp_rate == RATE)
    shown.waterfall.set_samp_rate(0.1e6)
    shown.waterfall.set_samp_rate(2e6)
    shown.wait_for(lambda: shown.widget.picture.samp_rate == 2e6)
    shown.waterfall.set_samp_rate(0.1e6)
    said = ""

    def refused() -> bool:
        nonlocal said
        said += capfd.readouterr().out
        return "refused, nothing is analysed until another" in said

    shown.wait_for(refused)
    shown.waterfall.set_samp_rate(RATE)
    shown.wait_for(lambda: shown.widget.picture.samp_rate == RATE)


@pytest.mark.parametrize(
    ("before", "says"),
    [
        ("import sys; sys.modules['PyQt5'] = None", "needs PyQt5 and pyqtgraph"),
        ("import sys; sys.modules['pyqtgraph'] = None", "needs PyQt5 and pyqtgraph"),
        ("", "needs a Qt program around it"),
    ],
)
def test_without_qt_the_module_works_and_the_waterfall_says_so(before: str, says: str) -> None:
    program = f"""
{before}
from gnuradio import ata
assert ata.segmenter and ata.recording_source
try:
    ata.waterfall(2e6)
except ata.AtaError as refusal:
    print(refusal)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0 and says in ran.stdout, ran.stdout + ran.stderr
