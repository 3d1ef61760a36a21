# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The block in real flowgraphs: samples, tags, messages and files."""

import hashlib
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pmt
import pytest
from gnuradio import ata, blocks, gr, pdu
from gnuradio.ata.cli import main
from gnuradio.ata.recordings import open_recording
from gnuradio.ata.sensor import Sensor, replay
from stand_ins import PATIENCE, Counting, Reader, Stepped, ends, plain

RATE = 2e6
FREQ = 8e8
N = 2000  # samples of a frame of 1 ms


def samples(count: int, seed: int = 3) -> np.ndarray:
    """Noise with a strong block of band-limited signal, so that there are bands to report."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(2 * count).astype(np.float32).view(np.complex64)
    spectrum = np.fft.fft(rng.standard_normal(2 * count).astype(np.float32).view(np.complex64))
    spectrum[count // 4 : -count // 4] = 0
    return (0.03 * noise + np.fft.ifft(spectrum)).astype(np.complex64)


def tag(offset: int, key: str, value: pmt.pmt_base) -> gr.tag_t:
    made = gr.tag_t()
    made.offset, made.key, made.value = offset, pmt.intern(key), value
    return made


class Messages(Reader):
    """Keeps every message as it came."""

    def _on_record(self, record: pmt.pmt_base) -> None:
        self.records.put(record)


class Run:
    """Samples through the block to their end. `messages` are complete in lossless mode only."""

    def __init__(self, iq: np.ndarray, chunk: int = 0, tags: tuple = (), folder: Path | None = None, **options) -> None:
        self.jsonl = folder / "out.jsonl" if folder else None
        self.sigmf = folder / "out.sigmf-meta" if folder else None
        options = {"mode": "lossless", "frame_ms": 1.0, **options}
        self.block = ata.segmenter(RATE, FREQ, jsonl=str(self.jsonl or ""), sigmf=str(self.sigmf or ""), **options)
        source, self.sink, counting, reader = Stepped(), blocks.vector_sink_c(), Counting(len(iq)), Messages()
        top = gr.top_block()
        top.connect(source, self.block, self.sink)
        top.connect(self.block, counting)
        top.msg_connect(self.block, "detects", reader, "in")
        top.start(*([chunk] if chunk else []))
        edges = sorted({0, *(t.offset for t in tags), len(iq)})
        for first, last in pairwise(edges):
            source.send(iq[first:last], **{pmt.symbol_to_string(t.key): t.value for t in tags if t.offset == first})
        assert counting.reached.wait(PATIENCE)
        published = self.block.frames - self.block.dropped_frames if options["mode"] == "lossless" else 0
        self.messages = [reader.records.get(timeout=PATIENCE) for _ in range(published)]
        source.send(None)
        assert ends(top)
        self.out = np.array(self.sink.data(), np.complex64)
        self.tags = [(t.offset, pmt.symbol_to_string(t.key), plain(t.value)) for t in self.sink.tags()]
        self.frames = [(offset, value) for offset, key, value in self.tags if key == "ata_frame"]

    @property
    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.jsonl.read_text().splitlines()]


@pytest.mark.parametrize("chunk", [0, 100])
@pytest.mark.parametrize("mode", ["lossless", "live"])
def test_samples_pass_unchanged_tail_included(mode: str, chunk: int) -> None:
    iq = samples(4 * N + 777)
    iq[:4] = np.nan, np.inf, 1e-40, complex(-0.0, -np.inf)
    tags = (tag(1234, "rx_freq", pmt.from_double(9e8)), tag(3 * N, "rx_rate", pmt.from_double(2 * RATE)))
    for options in ({}, {"tags": tags, "settle_samples": 100}):
        out = Run(iq, chunk, mode=mode, **options).out
        assert hashlib.sha256(out).digest() == hashlib.sha256(iq).digest()


def test_tags_sit_on_the_last_sample_of_their_frame(tmp_path: Path) -> None:
    run = Run(samples(5 * N + 10), folder=tmp_path)
    assert [offset for offset, _ in run.frames] == [N - 1, 2 * N - 1, 3 * N - 1, 4 * N - 1, 5 * N - 1]
    assert [f["sample_start"] for _, f in run.frames] == [0, N, 2 * N, 3 * N, 4 * N]
    assert run.block.dropped_frames == 1  # the stream ended inside the sixth
    assert all(line["latency_ms"] is None for line in run.lines)


def test_every_output_says_the_same(tmp_path: Path) -> None:
    time = tag(0, "rx_time", pmt.make_tuple(pmt.from_uint64(1_700_000_000), pmt.from_double(0.25)))
    run = Run(samples(5 * N), tags=(time, tag(N + 500, "rx_freq", pmt.from_double(9e8))), folder=tmp_path)
    assert [line["dropped_frames"] for line in run.lines] == [0, 1, 1, 1] and any(line["bands"] for line in run.lines)
    assert [frame for _, frame in run.frames] == run.lines == [plain(message) for message in run.messages]
    for line, (offset, _) in zip(run.lines, run.frames, strict=True):
        assert [band for at, key, band in run.tags if key == "ata_band" and at == offset] == line["bands"]
    tagged = [t.value for t in run.sink.tags() if pmt.symbol_to_string(t.key) == "ata_frame"]
    for record in (*tagged, *run.messages):
        types = {key: pmt.dict_ref(record, pmt.intern(key), pmt.PMT_NIL) for key in run.lines[0]}
        whole = {key for key, value in types.items() if pmt.is_uint64(value)}
        assert whole == {"frame", "sample_start", "sample_count", "dropped_frames"}
        assert pmt.is_real(types["center_freq"]) and pmt.is_bool(types["tail"])


@pytest.mark.parametrize("chunk", [1, 997, N, 4096])
def test_chunks_change_nothing(tmp_path: Path, chunk: int) -> None:
    iq = samples(4 * N + 123)
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    whole, cut = Run(iq, folder=tmp_path / "a"), Run(iq, chunk, folder=tmp_path / "b")
    assert cut.jsonl.read_bytes() == whole.jsonl.read_bytes()
    assert cut.sigmf.read_bytes() == whole.sigmf.read_bytes()
    assert cut.lines and json.loads(cut.sigmf.read_text())["annotations"]
    assert cut.tags == whole.tags
    assert list(map(pmt.serialize_str, cut.messages)) == list(map(pmt.serialize_str, whole.messages))
    assert np.array_equal(cut.out, iq)


def played(recording: Path, frame_ms: float, jsonl: Path) -> tuple[list[dict], list[dict]]:
    """A recording through the block and through `replay` -> the records of each."""
    source = ata.recording_source(str(recording))
    block = ata.segmenter(source.samp_rate, source.center_freq, mode="lossless", frame_ms=frame_ms, jsonl=str(jsonl))
    top = gr.top_block()
    top.connect(source, block, blocks.null_sink(gr.sizeof_gr_complex))
    top.run()
    opened = open_recording(recording)
    records = [a.record for a in replay(Sensor(opened.samp_rate, frame_ms=frame_ms), opened)]
    return [json.loads(line) for line in jsonl.read_text().splitlines()], [json.loads(r.to_json()) for r in records]


def test_same_records_as_replay(tmp_path: Path, captures: Path) -> None:
    streamed, replayed = played(captures / "real-lte" / "fdd20-a.sigmf-meta", 15.0, tmp_path / "out.jsonl")
    assert streamed == [r for r in replayed if not r["tail"]]
    assert (len(streamed), len(replayed)) == (5, 6)


@pytest.mark.parametrize("sigmf", [True, False])
def test_a_recording_that_does_not_say_its_frequency_leaves_the_block_its_own(tmp_path: Path, sigmf: bool) -> None:
    path = tmp_path / ("x.sigmf-data" if sigmf else "x.iq")
    samples(2 * N).tofile(path)
    if sigmf:
        head = {"core:datatype": "cf32_le", "core:sample_rate": RATE, "core:version": "1.0.0"}
        meta = {"global": head, "captures": [{"core:sample_start": 0}], "annotations": []}
        path.with_suffix(".sigmf-meta").write_text(json.dumps(meta))
    source = ata.recording_source(str(path), samp_rate=RATE, datatype="cf32_le")
    block = ata.segmenter(RATE, 806e6, frame_ms=1e3 * N / RATE, jsonl=str(tmp_path / "x.jsonl"))
    top = gr.top_block()
    top.connect(source, block, blocks.null_sink(gr.sizeof_gr_complex))
    top.run()
    assert [json.loads(line)["center_freq"] for line in (tmp_path / "x.jsonl").read_text().splitlines()] == [806e6] * 2


def test_same_annotations_as_replay(tmp_path: Path, captures: Path) -> None:
    path = captures / "real-lte" / "fdd20-a.sigmf-meta"
    source = ata.recording_source(str(path))
    block = ata.segmenter(source.samp_rate, source.center_freq, mode="lossless", frame_ms=20.0,
                          sigmf=str(tmp_path / "block.sigmf-meta"), dataset=str(path))  # fmt: skip
    top = gr.top_block()
    top.connect(source, block, blocks.null_sink(gr.sizeof_gr_complex))
    top.run()
    assert main(["replay", str(path), "--frame-ms", "20", "--sigmf", str(tmp_path / "replay.sigmf-meta")]) == 0
    streamed, replayed = (json.loads((tmp_path / f"{by}.sigmf-meta").read_text()) for by in ("block", "replay"))
    assert streamed == replayed
    assert streamed["global"]["core:datatype"] == "ci8" and streamed["annotations"]


WHOLE = range(0, 9 * N, N)  # frames of a recording that nothing cuts
GAP = [0, N, 2 * N, *range(6700, 6700 + 6 * N, N)]
THREE = [0, N, 2 * N, 6700, 8700, *range(10_700, 10_700 + 4 * N, N)]


@pytest.mark.parametrize(
    ("captures", "starts", "dated"),
    [
        ([(0, 8e8, 0.25), (6700, 9e8, 1.25), (10_700, 7e8, 2.25)], THREE, {8e8, 9e8, 7e8}),
        ([(0, 8e8, None), (6700, 9e8, None), (10_700, 7e8, None)], THREE, set()),
        ([(0, 8e8, 0.25), (6700, 9e8, None), (10_700, 7e8, 2.25)], THREE, {8e8, 7e8}),
        ([(0, 8e8, None), (6700, 9e8, 0.25)], GAP, {9e8}),
        ([(0, 8e8, 0.25), (6700, 8e8, 1.25)], GAP, {8e8}),
        ([(0, 8e8, 0.25), (6700, 8e8, 0.253_37)], GAP, {8e8}),
        ([(0, 8e8, None), (6700, 8e8, None)], WHOLE, set()),
        ([(0, 8e8, 0.25), (6700, 8e8, 0.253_35), (7000, 8e8, 0.253_5)], WHOLE, {8e8}),
        ([(0, 8e8, 0.25), (6700, 8e8, None)], WHOLE, {8e8}),
        ([(0, 8e8, None), (6700, 8e8, 0.25)], WHOLE, {8e8}),
        ([(0, 8e8, None, 500), (6700, 8e8, None, 8000)], GAP, set()),
        ([(0, 8e8, None, 500), (6700, 8e8, None, 7200)], WHOLE, set()),
        ([(0, 8e8, 0.25, 500), (6700, 8e8, None, 8000)], GAP, {8e8}),
        ([(0, 8e8, 0.25), (1500, 9e8, None), (2500, 8e8, 1.25)], range(2500, 2500 + 8 * N, N), {8e8}),
    ],
    ids=["retunes", "undated retunes", "undated retune", "date at a retune", "gap", "gap of 20 us", "undated", "unbroken",
         "dated once", "dated late", "undated gap", "index unbroken", "gap after a date", "shorter than a frame"],
)  # fmt: skip
def test_same_records_as_replay_whatever_the_captures(
    tmp_path: Path, captures: list[tuple], starts: list[int], dated: set[float]
) -> None:
    (samples(9 * N + 701) * 8000).view(np.float32).astype("<i2").tofile(tmp_path / "r.sigmf-data")
    entries = [{"core:sample_start": at, "core:frequency": freq} for at, freq, *_ in captures]
    for entry, (_, _, second, *index) in zip(entries, captures, strict=True):
        entry |= {"core:global_index": index[0]} if index else {}
        if second is not None:
            entry["core:datetime"] = f"2026-01-01T00:00:{second:09.6f}Z"
    head = {"core:datatype": "ci16_le", "core:sample_rate": RATE, "core:version": "1.0.0"}
    (tmp_path / "r.sigmf-meta").write_text(json.dumps({"global": head, "captures": entries, "annotations": []}))
    streamed, replayed = played(tmp_path / "r.sigmf-meta", 1.0, tmp_path / "out.jsonl")
    for i, record in enumerate(streamed):  # what replay moves back or shortens the block drops, in the same place
        assert record.pop("dropped_frames") == record["frame"] - i
    for i, record in enumerate(replayed):
        assert record.pop("dropped_frames") == record["frame"] - i
    assert streamed == [r for r in replayed if not r["tail"]]
    assert [r["sample_start"] for r in streamed] == list(starts)
    assert {r["center_freq"] for r in streamed if r["time"]} == dated
    assert any(r["bands"] for r in streamed)


def test_no_frame_mixes_two_frequencies(tmp_path: Path) -> None:
    retunes = {500: 9e8, 3 * N + 200: 7e8, 6 * N: 7e8, 7 * N + 1: 6e8}
    tags = tuple(tag(at, "rx_freq", pmt.from_double(freq)) for at, freq in retunes.items())
    lines = Run(samples(12 * N), tags=tags, folder=tmp_path, settle_samples=100).lines
    tunings = [(0, FREQ), *((at, freq) for at, freq in retunes.items() if at != 6 * N)]
    assert lines[0]["center_freq"] == 9e8
    for line in lines:
        first, last = line["sample_start"], line["sample_start"] + line["sample_count"] - 1
        at = {max(t for t in tunings if t[0] <= place) for place in (first, last)}
        assert len(at) == 1
        start, freq = at.pop()
        assert line["center_freq"] == freq
        assert first >= start + (100 if start else 0)
    assert lines[-1]["dropped_frames"] == 3
    assert [line["frame"] for line in lines] == sorted({line["frame"] for line in lines})


def test_rates_and_times_come_from_tags(tmp_path: Path) -> None:
    time = pmt.make_tuple(pmt.from_uint64(1_700_000_000), pmt.from_double(0.25))
    tags = (tag(0, "rx_time", time), tag(N, "rx_rate", pmt.from_double(2 * RATE)))
    lines = Run(samples(6 * N), tags=tags, folder=tmp_path).lines
    assert lines[0]["time"] == "2023-11-14T22:13:20.250000Z"
    found = [(x["sample_start"], x["sample_count"], x["samp_rate"]) for x in lines[:2]]
    assert found == [(0, N, RATE), (N, 2 * N, 2 * RATE)]


def test_a_frequency_message_is_a_retune() -> None:
    block = ata.segmenter(RATE, FREQ, mode="lossless", frame_ms=1.0)
    messages = blocks.message_debug()
    top = gr.top_block()
    top.connect(blocks.vector_source_c(samples(4 * N).tolist()), block, blocks.null_sink(gr.sizeof_gr_complex))
    top.msg_connect(block, "detects", messages, "store")
    block._on_freq(pmt.cons(pmt.intern("freq"), pmt.from_double(9e8)))
    block._on_freq(pmt.intern("nonsense"))
    top.run()
    records = [plain(messages.get_message(i)) for i in range(messages.num_messages())]
    assert records and all(r["center_freq"] == 9e8 for r in records)


def test_live_mode_counts_what_it_drops(tmp_path: Path) -> None:
    run = Run(samples(60 * N), folder=tmp_path, mode="live")
    assert len(run.lines) + run.block.dropped_frames == 60
    assert all(line["latency_ms"] > 0 for line in run.lines)
    frames = [line["frame"] for line in run.lines]
    assert frames == sorted(set(frames)) and frames[-1] == 59


def test_live_tags_stand_after_their_frames() -> None:
    block = ata.segmenter(RATE, FREQ, mode="live", frame_ms=1.0)
    source, sink, reader = Stepped(), blocks.vector_sink_c(), Messages()
    top = gr.top_block()
    top.connect(source, block, sink)
    top.msg_connect(block, "detects", reader, "in")
    top.start()
    messages = []
    for seed in range(5):
        source.send(samples(N, seed))
        messages.append(plain(reader.records.get(timeout=PATIENCE)))
    source.send(samples(N // 2))
    source.send(None)
    assert ends(top)
    tags = [(t.offset, plain(t.value)) for t in sink.tags() if pmt.symbol_to_string(t.key) == "ata_frame"]
    assert len(tags) >= 4  # the last one's may come after the last sample
    assert [value for _, value in tags] == messages[: len(tags)]
    assert all(offset >= value["sample_start"] + value["sample_count"] - 1 for offset, value in tags)


def test_labels_become_a_tagged_stream() -> None:
    block = ata.segmenter(RATE, FREQ, mode="lossless", frame_ms=1.0)
    to_stream = pdu.pdu_to_tagged_stream(gr.types.byte_t, "length")
    sink = blocks.vector_sink_b()
    head = blocks.head(1, 3 * 256)
    top = gr.top_block()
    top.connect(blocks.vector_source_c(samples(40 * N).tolist()), block, blocks.null_sink(gr.sizeof_gr_complex))
    top.msg_connect(block, "labels", to_stream, "pdus")
    top.connect(to_stream, head, sink)
    top.run()
    assert len(sink.data()) == 3 * 256
    assert set(sink.data()) <= {0, 1, 2, 3}
    lengths = [pmt.to_long(t.value) for t in sink.tags() if pmt.symbol_to_string(t.key) == "length"]
    assert lengths == [256, 256, 256]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"mode": "fast"}, "mode"),
        ({"frame_ms": 200.0}, "frame is 200 ms"),
        ({"engine": "abacus"}, "no engine 'abacus'"),
        ({"settle_samples": -1}, "negative"),
        ({"model": "absent.onnx"}, "absent.onnx cannot be read"),
    ],
)
def test_settings_that_cannot_work_are_said(options: dict, says: str) -> None:
    with pytest.raises(ata.AtaError, match=says):
        ata.segmenter(RATE, FREQ, **options)
