# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults while a flowgraph runs: it ends, says why in one sentence, and every frame is accounted for."""

import json
from pathlib import Path

import numpy as np
import pmt
import pytest
from gnuradio import ata, blocks, gr
from gnuradio.ata.engines.choose import ENGINES
from gnuradio.ata.engines.onnxruntime_engine import OnnxRuntime
from gnuradio.ata.model import read_model
from gnuradio.ata.stream import FrameStream
from gnuradio.ata.tuning import CONFIRMED_WITHIN, RadioTuning
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stand_ins import GatedEngine, ends
from tiny_model import write_tiny_model

RATE, FREQ, N = 2e6, 8e8, 2000  # N: samples of a frame of 1 ms
TIME = pmt.make_tuple(pmt.from_uint64(1_700_000_000), pmt.from_double(0.25))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx"))


@pytest.fixture
def gated(monkeypatch: pytest.MonkeyPatch) -> list[GatedEngine]:
    """The engine "gated" can be chosen; here are those that were made."""
    made: list[GatedEngine] = []
    monkeypatch.setitem(ENGINES, "gated", lambda model, _: made.append(GatedEngine(model)) or made[-1])
    return made


def block_of(tiny: str, **options) -> ata.segmenter:
    return ata.segmenter(RATE, FREQ, **{"model": tiny, "frame_ms": 1.0, "engine": "onnxruntime-cpu", **options})


def tag(offset: int, key: str | bytes, value: pmt.pmt_base) -> gr.tag_t:
    made = gr.tag_t()
    made.offset, made.key, made.value = offset, pmt.intern(key), value
    return made


def run(block: ata.segmenter, frames: int, tags: tuple = ()) -> None:
    """Silence through the block, and what has to hold whatever went wrong."""
    top = gr.top_block()
    iq = np.zeros(frames * N, np.complex64)
    top.connect(blocks.vector_source_c(iq, False, 1, list(tags)), block, blocks.null_sink(gr.sizeof_gr_complex))
    top.start()
    assert ends(top)
    tally = block.tally
    assert tally.seen == tally.framed + tally.discarded + tally.settled
    assert tally.held == 0


@pytest.mark.parametrize("mode", ["lossless", "live"])
@pytest.mark.parametrize("frames", [1, 400])
def test_an_engine_that_breaks_ends_the_flowgraph(
    tiny: str, gated: list[GatedEngine], mode: str, frames: int, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    jsonl = tmp_path / "x.jsonl"
    block = block_of(tiny, engine="gated", mode=mode, jsonl=str(jsonl))
    gated[0].fails = RuntimeError("out of memory\nsomewhere")
    gated[0].open()
    run(block, frames)
    assert block.failure is gated[0].fails
    said = capfd.readouterr().out
    assert said.count("stopped: out of memory") == 1
    assert "Traceback" not in said and "thread_body_wrapper" not in said
    assert jsonl.read_text() == ""
    assert block.dropped_frames == block._stream.next_index >= 1


@pytest.mark.parametrize("output", [{"jsonl": "/dev/full"}, {"sigmf": "/dev/full"}], ids=["jsonl", "sigmf"])
@pytest.mark.parametrize("mode", ["lossless", "live"])
def test_a_full_disk_ends_the_flowgraph(tiny: str, mode: str, output: dict, capfd: pytest.CaptureFixture) -> None:
    block = block_of(tiny, mode=mode, **output)
    run(block, 5)
    assert str(block.failure) == "/dev/full cannot be written: No space left on device"
    said = capfd.readouterr().out
    assert said.count("stopped: /dev/full cannot be written") == 1
    assert "thread_body_wrapper" not in said


def test_an_output_that_cannot_be_written_is_said_at_once(tiny: str, tmp_path: Path) -> None:
    for name in ("jsonl", "sigmf"):
        with pytest.raises(ata.AtaError, match="cannot be written: No such file"):
            block_of(tiny, **{name: str(tmp_path / "absent" / "x")})


def test_an_output_that_is_refused_costs_no_earlier_records(tiny: str, tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    kept.write_text("of a run before\n")
    (tmp_path / "foreign.sigmf-meta").write_text("{}")
    for output in ({"zmq": "5556x"}, {"metrics": ":x"}, {"sigmf": str(tmp_path / "foreign.sigmf-meta")}):
        with pytest.raises(ata.AtaError):
            block_of(tiny, jsonl=str(kept), **output)
        assert kept.read_text() == "of a run before\n"


def test_a_block_that_is_refused_leaves_no_annotations(tiny: str, tmp_path: Path) -> None:
    for output in ({"zmq": "5556x"}, {"jsonl": str(tmp_path)}):
        with pytest.raises(ata.AtaError) as refusal:
            block_of(tiny, sigmf=str(tmp_path / "x.sigmf-meta"), **output)
        assert not list(tmp_path.iterdir()), refusal  # while it, and so the block, is still remembered


@pytest.mark.parametrize(
    ("outputs", "says"),
    [
        ({"jsonl": "one", "sigmf": "./one"}, "two outputs"),
        ({"jsonl": "dump.bin"}, "belongs to the recording"),
        ({"jsonl": "hard.link"}, "belongs to the recording"),
        ({"sigmf": "dump.bin.sigmf-meta"}, "belongs to the recording"),
    ],
)
def test_no_output_overwrites_the_recording_or_another(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outputs: dict, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dump.bin").write_bytes(bytes(800))
    Path("hard.link").hardlink_to("dump.bin")
    with pytest.raises(ata.AtaError, match=says):
        block_of(tiny, dataset="dump.bin", datatype="cf32_le", **outputs)
    assert Path("dump.bin").stat().st_size == 800
    assert len(list(tmp_path.iterdir())) == 2


def test_two_blocks_do_not_write_one_file(tiny: str, tmp_path: Path) -> None:
    jsonl = tmp_path / "x.jsonl"
    block = block_of(tiny, jsonl=str(jsonl))
    with pytest.raises(ata.AtaError, match="another block or program"):
        block_of(tiny, jsonl=str(jsonl))
    run(block, 3)
    assert len(jsonl.read_text().splitlines()) == 3
    block.close()
    block_of(tiny, jsonl=str(jsonl)).close()


def test_a_block_that_is_closed_holds_no_engine(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []
    monkeypatch.setattr(OnnxRuntime, "close", lambda engine: closed.append(engine))
    block = block_of(tiny)
    run(block, 3)
    assert closed == []
    block.close()
    assert len(closed) == 1


def test_the_source_names_its_own_parameters(tmp_path: Path) -> None:
    raw = tmp_path / "x.bin"
    raw.write_bytes(bytes(800))
    with pytest.raises(ata.AtaError, match=r"data type \(samp_rate 2.4e6, datatype cu8\)"):
        ata.recording_source(str(raw))
    head = {"core:datatype": "cf32_le", "core:sample_rate": 1e6, "core:version": "1.0.0", "core:dataset": "x.bin"}
    captures = [{"core:sample_start": 0, "core:frequency": 8e8}]
    Path(f"{raw}.sigmf-meta").write_text(json.dumps({"global": head, "captures": captures, "annotations": []}))
    for name, value in (("samp_rate", 2e6), ("center_freq", 9e8), ("datatype", "cu8")):
        with pytest.raises(ata.AtaError, match=f"which {name} .* cannot change"):
            ata.recording_source(str(raw), **{name: value})


def test_a_recording_that_becomes_shorter_ends_the_flowgraph(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    path = tmp_path / "x.bin"
    np.zeros(1_000_000, np.complex64).tofile(path)
    source = ata.recording_source(str(path), samp_rate=1e6, datatype="cf32_le")
    path.write_bytes(b"")
    top = gr.top_block()
    top.connect(source, blocks.null_sink(gr.sizeof_gr_complex))
    top.start()
    assert ends(top)
    assert str(source.failure) == f"{path} became shorter while it was read"
    assert "stopped: " in capfd.readouterr().out


# What radios and other blocks say

NUMBERS = [0.0, -1.0, 1e9, -1e9, 1e13, 1e300, 5e-324, float("nan"), float("inf"), float("-inf")]
NO_TEXT = b"\xff\xfe{}%s\n"
scalars = st.one_of(
    st.sampled_from(NUMBERS).map(pmt.from_double),
    st.floats().map(pmt.from_double),
    st.integers(-(2**63), 2**63 - 1).map(pmt.from_long),
    st.integers(0, 2**64 - 1).map(pmt.from_uint64),
    st.complex_numbers().map(pmt.from_complex),
    st.sampled_from([pmt.PMT_NIL, pmt.PMT_T, pmt.PMT_F, pmt.PMT_EOF]),
    (st.sampled_from([NO_TEXT, b"freq", b""]) | st.binary(max_size=9)).map(pmt.intern),
    st.binary(max_size=9).map(lambda b: pmt.init_u8vector(len(b), list(b))),
    st.lists(st.floats(), max_size=3).map(lambda v: pmt.init_f64vector(len(v), v)),
)


def dict_of(entries: dict) -> pmt.pmt_base:
    made = pmt.make_dict()
    for key, value in entries.items():
        made = pmt.dict_add(made, pmt.intern(key), value)
    return made


def vector_of(items: list) -> pmt.pmt_base:
    made = pmt.make_vector(len(items), pmt.PMT_NIL)
    for i, item in enumerate(items):
        pmt.vector_set(made, i, item)
    return made


anything = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: pmt.cons(*p)),
        inner.map(lambda v: pmt.cons(pmt.intern("freq"), v)),
        st.dictionaries(st.sampled_from(["freq", "x"]), inner, max_size=2).map(dict_of),
        st.lists(inner, max_size=3).map(vector_of),
        st.tuples(inner, inner).map(lambda p: pmt.make_tuple(*p)),
    ),
    max_leaves=6,
)
times = st.builds(
    lambda s, f: pmt.make_tuple(pmt.from_uint64(s), pmt.from_double(f)),
    st.integers(0, 2**64 - 1) | st.integers(253_370_764_700, 253_402_300_800),
    st.floats() | st.floats(0, 1),
)
tags = st.lists(
    st.builds(
        tag,
        st.integers(0, 8 * N),
        st.sampled_from(["rx_freq", "rx_rate", "rx_time", NO_TEXT]),
        anything | times,
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(tags, st.lists(anything, max_size=5), st.sampled_from([0, 1, 3000, 2**40]))
def test_no_tag_and_no_message_stops_the_block(tiny: str, given_tags: list, messages: list, settle: int) -> None:
    block = block_of(tiny, settle_samples=settle)
    records = blocks.message_debug()
    top = gr.top_block()
    source = blocks.vector_source_c(np.zeros(8 * N, np.complex64), False, 1, given_tags)
    top.connect(source, block, blocks.null_sink(gr.sizeof_gr_complex))
    top.msg_connect(block, "detects", records, "store")
    for message in messages:
        block.to_basic_block()._post(pmt.intern("freq"), message)
    top.start()
    assert ends(top)
    assert block.failure is None
    tally = block.tally
    assert tally.seen == 8 * N == tally.framed + tally.discarded + tally.settled
    for i in range(records.num_messages()):
        record = pmt.to_python(records.get_message(i))
        json.dumps(record, allow_nan=False)
        assert abs(record["center_freq"]) <= 1e12 and 0.4995e6 <= record["samp_rate"] <= 246.1e6


@pytest.mark.parametrize("value", NUMBERS)
def test_a_frequency_that_no_radio_has_is_a_line_in_the_log(tiny: str, value: float, capfd: pytest.CaptureFixture) -> None:
    """And not an exception, which would end the program that has a Qt entry for it."""
    block = block_of(tiny)
    block.set_center_freq(value)
    run(block, 1)
    refused = not abs(value) <= 1e12
    assert block._stream.center_freq == (FREQ if refused else value)
    assert capfd.readouterr().out.count("change of tuning refused: a centre frequency of") == refused


@pytest.mark.parametrize("value", NUMBERS)
def test_a_rate_that_is_refused_is_a_line_in_the_log(tiny: str, value: float, capfd: pytest.CaptureFixture) -> None:
    """By a setter too: GNU Radio Companion calls it when the radio has the rate already, and an exception ends Qt."""
    block = block_of(tiny)
    block.set_samp_rate(value)
    run(block, 4)
    assert block.tally.framed == 0
    assert capfd.readouterr().out.count("nothing is analysed until another: the sample rate is") == 1
    block.set_samp_rate(RATE)
    run(block, 4)
    assert block.tally.framed == 4 * N


def test_what_was_refused_stays_refused_when_the_flowgraph_starts_again(tiny: str) -> None:
    block = block_of(tiny)
    refused = (tag(N + 100, "rx_rate", pmt.from_double(1e3)),)
    run(block, 4, refused)
    assert block.tally.framed == N
    run(block, 4)
    run(block, 4, refused)
    assert block.tally.framed == N
    run(block, 4, (tag(0, "rx_rate", pmt.from_double(RATE)),))
    assert block.tally.framed == 5 * N


def test_nothing_is_analysed_at_a_rate_that_is_refused(tiny: str, capfd: pytest.CaptureFixture) -> None:
    """Its bands would have wrong widths and times; a frequency told meanwhile counts."""
    block = block_of(tiny)
    records = blocks.message_debug()
    at, back = 2 * N + 500, 5 * N + 100
    top = gr.top_block()
    tuned = [tag(at, "rx_rate", pmt.from_double(1e3)), tag(at, "rx_freq", pmt.from_double(9e8)),
             tag(at + N, "rx_time", TIME), tag(at + N + 50, "rx_time", TIME),
             tag(back, "rx_rate", pmt.from_double(RATE))]  # fmt: skip
    source = blocks.vector_source_c(np.zeros(8 * N, np.complex64), False, 1, tuned)
    top.connect(source, block, blocks.null_sink(gr.sizeof_gr_complex))
    top.msg_connect(block, "detects", records, "store")
    top.start()
    assert ends(top)
    found = [pmt.to_python(records.get_message(i)) for i in range(records.num_messages())]
    starts = [(0, 8e8), (N, 8e8), (back, 9e8), (back + N, 9e8)]
    assert [(r["sample_start"], r["center_freq"]) for r in found] == starts
    assert block.tally.settled == back - at
    assert "nothing is analysed until another: the sample rate is 0.001 MS/s" in capfd.readouterr().out


@pytest.mark.parametrize("rate", [np.nan, np.inf, -1.0, 0.0])
def test_a_rate_that_is_none_changes_nothing(tiny: str, rate: float) -> None:
    block = block_of(tiny)
    run(block, 4, (tag(N + 5, "rx_rate", pmt.from_double(rate)),))
    assert block.tally.framed == 4 * N


def test_a_setter_ahead_of_the_samples_waits_for_their_tag(tiny: str) -> None:
    """As with a USRP: old samples wait in buffers when the flowgraph's variable changes, and the new ones bring a tag."""
    model = read_model(Path(tiny))
    stream = FrameStream(model, RATE, FREQ, 1.0)
    tuning = RadioTuning(stream, gr.logger("test"))
    silence = np.zeros(3 * N, np.complex64)

    def frames(start: int, *tags: gr.tag_t) -> list[tuple[int, float]]:
        return [(f.sample_start, f.center_freq) for f in tuning.frames(silence, start, tags, start)]

    tuning.ask(center_freq=8.1e8)  # no tag has ever told: the setter is all there is
    assert frames(0) == [(0, 8.1e8), (N, 8.1e8), (2 * N, 8.1e8)]
    assert frames(3 * N, tag(3 * N, "rx_freq", pmt.from_double(8e8)))[0] == (3 * N, 8e8)
    tuning.ask(center_freq=8.2e8)
    assert frames(6 * N) == []
    confirmed = 9 * N + 700
    assert frames(9 * N, tag(confirmed, "rx_freq", pmt.from_double(8.2e8))) == [(confirmed, 8.2e8), (confirmed + N, 8.2e8)]
    tuning.ask(center_freq=8.3e8)  # of a source that tagged its start alone
    first = 12 * N + round(CONFIRMED_WITHIN * RATE)
    found = [f for n in range(12, first // N + 3, 3) for f in frames(n * N)]
    assert found[0] == (first, 8.3e8)


def test_a_rate_that_is_set_is_analysed_though_no_tag_confirms_it(tiny: str) -> None:
    """Half a second later: the source tagged its start alone, and a refused rate in between is another matter."""
    stream = FrameStream(read_model(Path(tiny)), RATE, FREQ, 1.0)
    tuning = RadioTuning(stream, gr.logger("test"))
    told = [tag(0, "rx_rate", pmt.from_double(RATE))]
    half = np.zeros(round(RATE / 2), np.complex64)
    assert len(list(tuning.frames(half, 0, told, 0))) == len(half) // N
    start = len(half)
    for rate, before in ((4e6, None), (RATE, None), (4e6, 1e3)):
        if before:
            refused = [tag(start, "rx_rate", pmt.from_double(before))]
            assert [*tuning.frames(half, start, refused, start), *tuning.frames(half, start + len(half), [], start)] == []
            start += 2 * len(half)
        tuning.ask(samp_rate=rate)
        found = [f for n in range(6) for f in tuning.frames(half, start + n * len(half), [], start)]
        assert found[0].sample_start == start + round(rate / 2)
        assert {f.samp_rate for f in found} == {rate}
        start += 6 * len(half)


@pytest.mark.parametrize("gated", [False, True])
def test_a_decimator_in_front_is_warned_of(tiny: str, gated: bool, capfd: pytest.CaptureFixture) -> None:
    """GNU Radio's decimators pass rx_rate on as it was."""
    block = block_of(tiny)
    told = [tag(0, "rx_rate", pmt.from_double(2 * RATE))]
    top = gr.top_block()
    chain = [blocks.vector_source_c(np.zeros(16 * N, np.complex64), False, 1, told),
             blocks.keep_one_in_n(gr.sizeof_gr_complex, 2)]  # fmt: skip
    if gated:
        gate = blocks.tag_gate(gr.sizeof_gr_complex, False)
        gate.set_single_key("rx_rate")
        chain.append(gate)
    top.connect(*chain, block, blocks.null_sink(gr.sizeof_gr_complex))
    top.start()
    assert ends(top)
    assert block.frames == (8 if gated else 4)
    said = "rx_rate says 4000000 S/s where this block was told 2000000" in capfd.readouterr().out
    assert said != gated


def test_many_wrong_tags_are_one_line_in_the_log(tiny: str, capfd: pytest.CaptureFixture) -> None:
    run(block_of(tiny), 2, tuple(tag(i, "rx_freq", pmt.intern("high")) for i in range(1000)))
    said = capfd.readouterr().out
    assert "tags of tuning refused, the first of them rx_freq high" in said
    assert said.count("refused") <= 3


@pytest.mark.parametrize("fill", [np.nan, np.inf, -np.inf, 3e38, 1e-45, 1e-40, 1e19, -1e30])
def test_no_sample_stops_the_block(tmp_path: Path, fill: float) -> None:
    """With the shipped network: what is no signal gives a record whose numbers are numbers."""
    jsonl = tmp_path / "x.jsonl"
    block = ata.segmenter(RATE, FREQ, frame_ms=1.0, engine="onnxruntime-cpu", jsonl=str(jsonl))
    rng = np.random.default_rng(5)
    iq = rng.standard_normal(2 * 4 * N).astype(np.float32).view(np.complex64)
    iq[N : 2 * N] = fill
    iq[2 * N : 3 * N].real = fill
    iq[3 * N :: 7] = complex(0, fill)
    top = gr.top_block()
    top.connect(blocks.vector_source_c(iq, False), block, blocks.null_sink(gr.sizeof_gr_complex))
    top.start()
    assert ends(top)
    assert block.failure is None
    lines = jsonl.read_text().splitlines()
    assert len(lines) == 4
    for line in lines:
        json.loads(line, parse_constant=pytest.fail)
