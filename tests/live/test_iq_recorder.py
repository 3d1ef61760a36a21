# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""IQ around bands that appear: the right samples, in recordings that others read, in a bounded folder."""

import json
import resource
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pmt
import pytest
import sigmf
from gnuradio import ata, blocks, gr
from gnuradio.ata import iq_files
from gnuradio.ata.iq_files import KeepIq
from gnuradio.ata.iq_recorder import iq_recorder
from gnuradio.ata.recordings import open_recording
from gnuradio.ata.records import Band, Record, utc
from gnuradio.ata.sensor import Sensor, replay
from tiny_model import write_tiny_model
from tools.usrp_source import Stretch, usrp_source

RATE, FREQ = 2e6, 800e6
N = 8000  # samples of a frame of 4 ms
BEFORE, AFTER = 20_000, 24_000  # samples
BEGAN = 1_600_000_000  # s since 1970, of sample 0


def on_air(frames: int, *bursts: tuple[int, int]) -> np.ndarray:
    """Noise, and 1 MHz of signal in the frames [begin, end) of each burst."""
    rng = np.random.default_rng(1)
    iq = np.resize((0.05 * rng.standard_normal((1 << 16, 2)) @ [1, 1j]).astype(np.complex64), frames * N)
    spectrum = np.fft.fft(rng.standard_normal((1 << 16, 2)) @ [1, 1j])
    spectrum[abs(np.fft.fftfreq(1 << 16)) > 0.25] = 0
    signal = np.fft.ifft(spectrum).astype(np.complex64)
    for begin, end in bursts:
        iq[begin * N : end * N] += np.resize(signal, (end - begin) * N)
    return 0.2 * iq


class Dated:
    """Gives a recorder the records of a segmenter, dated as `ata-sense live` does for a radio without a clock."""

    def __init__(self, recorder: iq_recorder, rate: float) -> None:
        self._recorder, self._rate = recorder, rate

    def write(self, record: Record) -> None:
        began = utc(BEGAN + record.sample_start // int(self._rate), record.sample_start % self._rate / self._rate)
        self._recorder.write(replace(record, time=record.time or began))

    def flush(self) -> None:
        """Nothing is held."""


class Kept:
    """Samples through a segmenter, whose records go to a recorder beside it."""

    def __init__(self, source: gr.basic_block, folder: Path, max_bytes: float = 1e9, datatype: str = "cf32_le",
                 rate: float = RATE) -> None:  # fmt: skip
        self.model = write_tiny_model(folder / "tiny.onnx", rows=16)
        keep = KeepIq(str(folder / "iq"), max_bytes, datatype, BEFORE / RATE, AFTER / RATE)
        segmenter = ata.segmenter(rate, FREQ, mode="lossless", frame_ms=1e3 * N / rate, model=str(self.model))
        self.recorder = iq_recorder(keep, rate, FREQ, N / rate, 0, "a test", segmenter.columns)
        segmenter.add_sink(Dated(self.recorder, rate))
        top = gr.top_block()
        top.connect(source, segmenter, blocks.null_sink(gr.sizeof_gr_complex))
        top.connect(source, self.recorder)
        top.run()
        self.recorder.finish()
        self.metas = sorted((folder / "iq").glob("*.sigmf-meta"), key=lambda p: int(p.stem.rpartition("-")[2]))
        self.read = [sigmf.fromfile(str(path)) for path in self.metas]
        for each in self.read:
            each.validate()

    def spans(self) -> list[tuple[int, int]]:
        """First sample and end of each recording, as its metadata and its size say."""
        starts = [each.get_captures()[0]["core:global_index"] for each in self.read]
        return [(start, start + each.sample_count) for start, each in zip(starts, self.read, strict=True)]


def feed(recorder: iq_recorder, samples: int) -> None:
    """So many more, to their end."""
    top = gr.top_block()
    top.connect(vector(np.zeros(samples)), recorder)
    top.run()


def found(start: int, count: int, rate: float, time: str = "2026-05-02T12:00:00.000000Z") -> Record:
    """The record of a frame with a band in it."""
    band = Band("LTE", FREQ - rate / 4, FREQ + rate / 4, 0.9, 10.0, 1.0)
    return Record(0, start, count, time, FREQ, rate, "tiny-1", "none", False, 0, 1.0, (band,))


def vector(iq: np.ndarray) -> gr.basic_block:
    return blocks.vector_source_c(iq.tolist())


@pytest.mark.parametrize("datatype", ["cf32_le", "ci16_le"])
def test_a_band_that_appears_is_kept_with_what_was_before_and_after(tmp_path: Path, datatype: str) -> None:
    iq = on_air(330, (10, 20), (300, 301))
    kept = Kept(vector(iq), tmp_path, max_bytes=float("inf"), datatype=datatype)
    wanted = [(n * N - BEFORE, (n + 1) * N + AFTER) for n in (10, 300)]
    assert kept.spans() == wanted
    assert kept.recorder.counts.samples == sum(b - a for a, b in wanted)
    assert (kept.recorder.counts.recordings, kept.recorder.counts.lost) == (2, 0)
    for meta, (begin, end) in zip(kept.metas, wanted, strict=True):
        samples = open_recording(meta).read(0, end - begin)
        if datatype == "cf32_le":
            assert np.array_equal(samples, iq[begin:end])
        else:
            assert np.abs(samples - iq[begin:end]).max() < 1 / 32768
    first, second = kept.read
    assert first.get_global_info()["core:hw"] == "a test"
    # The first burst goes on beyond its recording, the second is one frame in the middle of its own.
    (note,) = first.get_annotations()
    assert (note["core:label"], note["core:sample_start"], note["core:sample_count"]) == ("LTE", BEFORE, N + AFTER)
    (note,) = second.get_annotations()
    assert (note["core:sample_start"], note["core:sample_count"]) == (BEFORE, N)
    for each, (begin, _) in zip(kept.read, wanted, strict=True):
        (capture,) = each.get_captures()
        assert datetime.fromisoformat(capture["core:datetime"]).timestamp() - BEGAN == pytest.approx(begin / RATE, abs=2e-6)


def test_a_recording_is_dated_once_by_the_record_that_it_began_with(tmp_path: Path) -> None:
    """In its name and its metadata, whatever is lost before it ends; what goes on in the next one is dated anew."""
    rate = 100.0
    recorder = iq_recorder(KeepIq(str(tmp_path), 1e9, "cf32_le", 1.0, 900.0), rate, FREQ, 0.04, 0, "a test", 256)
    feed(recorder, 50_000)
    recorder.write(found(1000, 4, rate, "2026-05-02T12:00:10.250000Z"))
    feed(recorder, 10_000)
    recorder.write(found(50_000, 4, rate, "2026-05-02T12:30:00.500000Z"))  # most of half an hour was lost in silence
    feed(recorder, 40_000)
    recorder.finish()
    first, second = sorted(tmp_path.glob("*.sigmf-meta"))
    for meta, began in ((first, "12:00:09.250000"), (second, "12:31:49.500000")):
        (capture,) = sigmf.fromfile(str(meta)).get_captures()
        assert capture["core:datetime"] == f"2026-05-02T{began}Z"
        assert meta.name.startswith(f"ata-iq-20260502T{began.replace(':', '')}Z")


def test_what_is_kept_can_be_replayed(tmp_path: Path) -> None:
    kept = Kept(vector(on_air(40, (10, 20))), tmp_path)
    recording = open_recording(kept.metas[0])
    sensor = Sensor(recording.samp_rate, recording.center_freq, kept.model, frame_ms=1e3 * N / RATE)
    labels = [[band.label for band in analysis.record.bands] for analysis in replay(sensor, recording)]
    assert labels[-1] == ["LTE"] and labels[0] == []


def test_the_folder_never_holds_more_than_it_may(tmp_path: Path) -> None:
    iq = on_air(600, *((n, n + 2) for n in range(10, 600, 290)))
    kept = Kept(vector(iq), tmp_path, max_bytes=1e6)
    sizes = [path.stat().st_size for path in (tmp_path / "iq").glob("*.sigmf-data")]
    assert 0.7e6 < sum(sizes) <= 1e6 and max(sizes) <= 0.25e6
    # A recording that would be too long goes on in the next one, and the newest are there.
    assert kept.spans()[-1][1] == (10 + 2 * 290 + 1) * N + AFTER
    assert kept.spans()[-2][1] == kept.spans()[-1][0]
    assert kept.recorder.counts.recordings == 6
    assert len(list((tmp_path / "iq").iterdir())) == 2 * len(sizes)
    begin, end = kept.spans()[-1]
    assert np.array_equal(open_recording(kept.metas[-1]).read(0, end - begin), iq[begin:end])


def test_a_recording_of_many_minutes_goes_on_in_the_next(tmp_path: Path) -> None:
    """Its records are in memory until it ends, however much the folder may hold."""
    rate = 100.0
    recorder = iq_recorder(KeepIq(str(tmp_path), 1e9, "cf32_le", 0.0, 900.0), rate, FREQ, 0.04, 0, "a test", 256)
    feed(recorder, 100_000)
    recorder.write(found(0, 4, rate))
    recorder.finish()
    sizes = {int(path.stem.rpartition("-")[2]): path.stat().st_size for path in tmp_path.glob("*.sigmf-data")}
    assert sizes == {0: 8 * 60_000, 60_000: 8 * 30_004}


def test_samples_that_come_before_a_first_piece_is_handed_over_cost_no_more_than_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all that is remembered is wanted, the next samples take the place of the oldest."""
    rate, until = 1e4, 150_000 + 400 + 40_000
    recorder = iq_recorder(KeepIq(str(tmp_path), 1e9, "cf32_le", 10.0, 4.0), rate, FREQ, 0.04, 0, "a test", 256)
    feed(recorder, 200_000)
    oldest = 200_000 - len(recorder._ring)
    assert oldest > 150_000 - 100_000
    monkeypatch.setattr(recorder, "_keep_a_piece", lambda: False)  # the flowgraph has its turn first
    recorder.write(found(150_000, 400, rate))
    feed(recorder, 1000)
    monkeypatch.undo()
    recorder.finish()
    (data,) = tmp_path.glob("*.sigmf-data")
    start, lost = int(data.stem.rpartition("-")[2]), recorder.counts.lost
    assert 0 < lost <= 1000
    assert (start, data.stat().st_size // 8, recorder.counts.samples) == (oldest + lost, until - start, until - start)


def test_what_was_overtaken_as_a_whole_is_lost_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rate = 1e4
    recorder = iq_recorder(KeepIq(str(tmp_path), 1e9, "cf32_le", 0.0, 0.0), rate, FREQ, 0.04, 0, "a test", 256)
    feed(recorder, 1000)
    for handing_over in ("_keep_on", "_keep_a_piece"):
        monkeypatch.setattr(recorder, handing_over, lambda: None)
    recorder.write(found(0, 400, rate))
    feed(recorder, 2 * len(recorder._ring))
    monkeypatch.undo()
    recorder.finish()
    assert (recorder.counts.samples, recorder.counts.lost, list(tmp_path.iterdir())) == (0, 400, [])


def test_damaged_recordings_of_ours_make_room_and_foreign_ones_stay(tmp_path: Path) -> None:
    """After a power cut metadata may be empty, of zeros, cut short or missing, and half written beside the ones before."""
    folder = tmp_path / "iq"
    folder.mkdir()
    foreign = {"global": {"core:datatype": "cf32_le", "core:version": "1.0.0", "core:description": "mine"}}
    foreign |= {"captures": [], "annotations": []}
    names = [f"ata-iq-20260101T000000.000000Z-{i}" for i in range(5)]
    metas = [json.dumps(foreign).encode(), b"", bytes(100), b'{"global": {"core:des', None]
    for name, meta in zip([*names, "ata-iq-of-mine"], [*metas, None], strict=True):
        (folder / f"{name}.sigmf-data").write_bytes(bytes(300_000))
        if meta is not None:
            (folder / f"{name}.sigmf-meta").write_bytes(meta)
        (folder / f"{name}.sigmf-meta.part").touch()
    kept = Kept(vector(on_air(40, (10, 12))), tmp_path, max_bytes=500_000)
    assert (kept.recorder.counts.lost, kept.recorder.counts.samples) == (0, BEFORE + N + AFTER)
    left = {path.name.partition(".sigmf")[0] for path in folder.iterdir()}
    assert left.intersection([*names, "ata-iq-of-mine"]) == {names[0], "ata-iq-of-mine"}


def test_a_folder_that_takes_nothing_any_more_costs_samples_and_not_the_watch(tmp_path: Path) -> None:
    """Not even when the radio is opened again, in a process of its own; a folder that is there again is used."""
    folder, counts = tmp_path / "iq", []
    folder.write_text("in the way")
    for there in (False, True):
        if there:
            folder.unlink()
        recorder = iq_recorder(KeepIq(str(folder), 1e9, "cf32_le", 0.0, 0.0), RATE, FREQ, N / RATE, 0, "a test", 256)
        feed(recorder, 100_000)
        recorder.write(found(0, N, RATE))
        recorder.finish()
        counts.append((recorder.counts.recordings, recorder.counts.samples, recorder.counts.lost))
    assert counts == [(1, 0, N), (1, N, 0)]
    assert len(list(folder.iterdir())) == 2


def test_metadata_are_read_once_however_many_recordings_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, read = tmp_path / "iq", []
    folder.mkdir()
    (folder / "ata-iq-20260101T000000.000000Z-0.sigmf-data").touch()
    ours = iq_files._ours
    monkeypatch.setattr(iq_files, "_ours", lambda path: read.append(path) or ours(path))
    kept = Kept(vector(on_air(900, (10, 12), (300, 302), (600, 602))), tmp_path)
    assert kept.recorder.counts.recordings == 3
    assert [path.name for path in read if path.suffix == ".sigmf-data"] == ["ata-iq-20260101T000000.000000Z-0.sigmf-data"]


def test_a_retune_in_a_recording_is_a_capture_of_its_own(tmp_path: Path) -> None:
    """The emitter stands at 801 to 803 MHz."""
    rate = 10e6
    stretches = [Stretch(10 * N, 780e6, rate), Stretch(2 * N, FREQ, rate), Stretch(4 * N, 804e6, rate, lost=10_000_000)]
    kept = Kept(usrp_source(stretches, (1_700_000_000, 0.0)), tmp_path, rate=rate)
    first = kept.read[0].get_captures()
    assert [c["core:frequency"] for c in first] == [780e6, FREQ, 804e6]
    start = first[0]["core:global_index"]
    assert [c["core:sample_start"] for c in first] == [0, 10 * N - start, 12 * N - start]
    moments = [datetime.fromisoformat(c["core:datetime"]).timestamp() - 1_700_000_000 for c in first]
    assert moments == pytest.approx([start / rate, 10 * N / rate, 1 + 12 * N / rate], abs=2e-6)
    assert {note["core:label"] for note in kept.read[0].get_annotations()} == {"LTE"}


@pytest.mark.parametrize("began", [(3, 0.0), (1_700_000_000, 0.25)])
def test_a_gap_in_a_recording_is_a_capture_of_its_own(tmp_path: Path, began: tuple[int, float]) -> None:
    """By a radio's clock that counts from its own start, too: who replays it may not run frames over the gap."""
    rate = 10e6
    stretches = [Stretch(10 * N, 780e6, rate), Stretch(3 * N, FREQ, rate), Stretch(5 * N, FREQ, rate, lost=40_000_000)]
    kept = Kept(usrp_source(stretches, began), tmp_path, rate=rate)
    recording = open_recording(kept.metas[0])
    start = kept.read[0].get_captures()[0]["core:global_index"]
    assert [c.start for c in recording.captures] == [0, 10 * N - start, 13 * N - start]
    if began[0] > 3:
        passed = [(c.began - recording.captures[0].began).total_seconds() for c in recording.captures[1:]]
        assert passed == pytest.approx([(10 * N - start) / rate, 4 + (13 * N - start) / rate], abs=2e-6)


def test_a_stream_that_ends_leaves_a_shorter_recording(tmp_path: Path) -> None:
    kept = Kept(vector(on_air(12, (11, 12))), tmp_path)
    assert kept.spans() == [(11 * N - BEFORE, 12 * N)]


def test_a_full_disk_leaves_whole_samples_and_a_count(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_tiny_model(tmp_path / "tiny.onnx", rows=16)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_003, before[1]))
    try:
        iq, retune = on_air(40, (10, 20)).tolist(), gr.tag_t()
        retune.offset, retune.key, retune.value = 11 * N, pmt.intern("rx_freq"), pmt.from_double(FREQ + 1e5)
        kept = Kept(blocks.vector_source_c(iq, False, 1, [retune]), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    for meta in kept.metas:
        assert len(open_recording(meta).captures) == 1  # what the disk had no room for is not described
    counts = kept.recorder.counts
    assert counts.lost > 0
    assert kept.spans() == [] or kept.spans()[0][0] == 10 * N - BEFORE
    assert counts.samples + counts.lost == BEFORE + N + AFTER
    assert sum("IQ is being lost" in r.getMessage() for r in caplog.records) == 1


def test_tags_that_say_nothing_that_can_be_are_passed_over(tmp_path: Path) -> None:
    tags = []
    late = pmt.make_tuple(pmt.from_uint64(2**64 - 1), pmt.from_double(0.5))
    for key, value in (
        (b"\xff", pmt.PMT_NIL), (b"rx_freq", pmt.from_double(float("nan"))), (b"rx_freq", pmt.intern(b"\xff")),
        (b"rx_time", late), (b"rx_time", pmt.from_double(1.0)),
    ):  # fmt: skip
        tags.append(gr.tag_t())
        tags[-1].offset, tags[-1].key, tags[-1].value = 10 * N, pmt.intern(key), value
    kept = Kept(blocks.vector_source_c(on_air(60, (10, 20)).tolist(), False, 1, tags), tmp_path)
    assert kept.recorder.failure is None
    assert kept.spans() == [(10 * N - BEFORE, 11 * N + AFTER)]
    (capture,) = kept.read[0].get_captures()
    assert capture["core:frequency"] == FREQ
