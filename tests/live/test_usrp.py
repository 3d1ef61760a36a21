# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The block, and the flowgraph of `ata-sense live`, behind a USRP: tags at the start, at retunes and changes of rate, and
after overflows."""

import json
from datetime import UTC, datetime
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import pytest
from gnuradio import ata, blocks, gr
from gnuradio.ata import live_flowgraph
from gnuradio.ata.live import Base, LiveSettings, Lost, Progress, Streaming
from gnuradio.ata.radios import Radio
from gnuradio.ata.records import Record
from tiny_model import write_tiny_model
from tools.usrp_source import EMITTER, Stretch, usrp_source

RATE = 10e6
N = 40_000  # samples of a frame of 4 ms
COLUMNS = 256
A, B = 800e6, 804e6  # Hz; from either the emitter is on one side
BEGAN = (1_700_000_000, 0.25)


class Watched:
    """Stretches through the block in lossless mode: every frame has a record."""

    def __init__(self, stretches: list[Stretch], folder: Path, settle: int = 0, began: tuple = BEGAN) -> None:
        jsonl = folder / "out.jsonl"
        model = write_tiny_model(folder / "tiny.onnx", rows=16, columns=COLUMNS)
        self.block = ata.segmenter(RATE, A, mode="lossless", frame_ms=4.0, settle_samples=settle, model=str(model),
                                   jsonl=str(jsonl))  # fmt: skip
        top, source = gr.top_block(), usrp_source(stretches, began)
        top.connect(source, self.block, blocks.null_sink(gr.sizeof_gr_complex))
        top.run()
        self.lines = [json.loads(line) for line in jsonl.read_text().splitlines()]
        self.starts = [0, *accumulate(s.samples for s in stretches)]
        self.stretches = stretches

    def stretch_of(self, line: dict) -> int:
        """Index of the stretch that a record's frame lies in; a frame in two has none."""
        first, end = line["sample_start"], line["sample_start"] + line["sample_count"]
        (found,) = [i for i, (a, b) in enumerate(pairwise(self.starts)) if a <= first and end <= b]
        return found

    def check(self) -> None:
        """What holds whatever a radio does."""
        for line in self.lines:
            stretch = self.stretches[self.stretch_of(line)]
            assert (line["center_freq"], line["samp_rate"]) == (stretch.freq, stretch.rate)
            assert line["sample_count"] == round(4e-3 * stretch.rate)
        tally = self.block.tally
        assert tally.seen == self.starts[-1] == tally.framed + tally.discarded + tally.settled
        assert tally.framed == sum(line["sample_count"] for line in self.lines)
        assert self.block.frames == len(self.lines) + self.block.dropped_frames
        assert [line["frame"] for line in self.lines] == sorted({line["frame"] for line in self.lines})

    def bands(self) -> list[tuple[float, float]]:
        return [(b["freq_lower_edge"], b["freq_upper_edge"]) for line in self.lines for b in line["bands"]]


def moment(text: str) -> float:
    """Seconds after BEGAN's whole second."""
    return (datetime.fromisoformat(text) - datetime.fromtimestamp(BEGAN[0], UTC)).total_seconds()


def at_emitter(band: tuple[float, float], rate: float = RATE) -> bool:
    return all(abs(found - true) < 2 * rate / COLUMNS for found, true in zip(band, EMITTER, strict=True))


def test_200_retunes_and_no_frame_of_two_frequencies(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    lengths = rng.integers(1, 5 * N, 201)
    freqs = [(A, B)[i % 2] for i in range(201)]
    stretches = [
        Stretch(int(n), f, RATE, late=min(int(n), 3000) * (i > 0))
        for i, (n, f) in enumerate(zip(lengths, freqs, strict=True))
    ]
    watched = Watched(stretches, tmp_path, settle=5000)
    watched.check()
    assert len({watched.stretch_of(line) for line in watched.lines}) > 100
    for line in watched.lines:
        since = line["sample_start"] - watched.starts[watched.stretch_of(line)]
        assert since >= 5000 or line["sample_start"] == 0
    assert all(at_emitter(band) for band in watched.bands())
    assert len(watched.bands()) == len(watched.lines)


def test_without_settling_the_samples_of_before_are_in_the_frame(tmp_path: Path) -> None:
    """Why there are settle samples: what comes late from a radio cannot be told from what is on the air."""
    stretches = [Stretch(2 * N, A, RATE), Stretch(2 * N, B, RATE, late=N)]
    assert not all(at_emitter(band) for band in Watched(stretches, tmp_path).bands())
    (tmp_path / "settled").mkdir()  # JSON lines that a block still holds are no other's
    assert all(at_emitter(band) for band in Watched(stretches, tmp_path / "settled", settle=N).bands())


def test_an_overflow_is_no_retune_but_its_gap_ends_the_frame(tmp_path: Path) -> None:
    stretches = [Stretch(2 * N + 10_000, A, RATE), Stretch(3 * N, A, RATE, lost=700_000)]
    watched = Watched(stretches, tmp_path)
    watched.check()
    assert [line["sample_start"] for line in watched.lines] == [0, N, *(2 * N + 10_000 + i * N for i in range(3))]
    assert watched.block.tally.discarded == 10_000
    assert watched.block.dropped_frames == 1
    times = [moment(line["time"]) for line in watched.lines]
    assert times == pytest.approx([0.25, 0.254, *(0.25 + 0.009 + 0.07 + 0.004 * i for i in range(3))], abs=2e-6)


def test_tags_that_say_nothing_new_change_nothing(tmp_path: Path) -> None:
    watched = Watched([Stretch(n, A, RATE) for n in (15_000, 1, 70_000, 2 * N + 3, 9999)], tmp_path, settle=200)
    assert [line["sample_start"] for line in watched.lines] == [0, N, 2 * N, 3 * N]
    assert watched.block.tally.settled == 0
    assert watched.block.tally.discarded == watched.starts[-1] - 4 * N


def test_after_a_gap_the_radio_settles(tmp_path: Path) -> None:
    watched = Watched([Stretch(500, A, RATE), Stretch(3 * N, A, RATE, lost=9)], tmp_path, settle=200)
    watched.check()
    assert [line["sample_start"] for line in watched.lines] == [700, 700 + N]


def test_a_change_of_rate_makes_frames_of_the_same_duration(tmp_path: Path) -> None:
    rates = [RATE, 2 * RATE, RATE, 0.75 * RATE]
    stretches = [Stretch(int(2.5 * 4e-3 * rate), A, rate, lost=int(rate) if i == 3 else 0) for i, rate in enumerate(rates)]
    watched = Watched(stretches, tmp_path)
    watched.check()
    assert [watched.stretch_of(line) for line in watched.lines] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert all(at_emitter(band, 2 * RATE) for band in watched.bands())
    times = [moment(line["time"]) - 0.25 for line in watched.lines]
    assert times == pytest.approx([0, 0.004, 0.010, 0.014, 0.020, 0.024, 1.030, 1.034], abs=2e-6)


def test_a_radio_that_counts_from_its_start_has_gaps_but_no_date(tmp_path: Path) -> None:
    watched = Watched([Stretch(N + 10, A, RATE), Stretch(N, A, RATE, lost=5)], tmp_path, began=(3, 0.5))
    watched.check()
    assert [line["time"] for line in watched.lines] == [None, None]
    assert [line["sample_start"] for line in watched.lines] == [0, N + 10]


class paced(gr.hier_block2):
    """A USRP in real time, tags and all."""

    def __init__(self, stretches: list[Stretch], rate: float) -> None:
        gr.hier_block2.__init__(self, "paced", gr.io_signature(0, 0, 0), gr.io_signature(1, 1, gr.sizeof_gr_complex))
        self._source = usrp_source(stretches, BEGAN)  # GNU Radio does not keep a Python block alive
        self.connect(self._source, blocks.throttle(gr.sizeof_gr_complex, rate), self)


class Sent(list):
    """What the radio's process sends."""

    send = list.append

    def stop_asked(self, timeout: float) -> bool:
        return False


def test_live_follows_a_usrp_and_goes_on_counting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A retune, an overflow, a change of rate, as a second connection after 1000 samples and 7 frames, 2 of them dropped."""
    rate, n = 4e6, 160_000  # of a frame of 40 ms
    stretches = [
        Stretch(10 * n + 99, A, rate), Stretch(10 * n + 5, B, rate), Stretch(10 * n, B, rate, lost=700_000),
        Stretch(20 * n, B, 2 * rate),
    ]  # fmt: skip
    starts = [1000, *(1000 + end for end in accumulate(s.samples for s in stretches))]
    radio = Radio("uhd:", paced(stretches, rate), rate, A, lambda freq: freq, lambda gain: None)
    monkeypatch.setattr(live_flowgraph, "open_radio", lambda *_: radio)
    model = write_tiny_model(tmp_path / "tiny.onnx", rows=16, columns=COLUMNS)
    sent = Sent()
    base = Base(samples=1000, frames=7, dropped=2, retunes=3, gaps=1)
    live_flowgraph.run_flowgraph(sent, LiveSettings("uhd:", rate, A, model=str(model), frame_ms=40.0), base)

    assert [m.samp_rate for m in sent if isinstance(m, Streaming)] == [rate]
    assert "ended its stream" in next(m.sentence for m in sent if isinstance(m, Lost))
    records = [m for m in sent if isinstance(m, Record)]
    seen = set()
    for index, record in enumerate(records):
        assert record.frame == base.frames - base.dropped + index + record.dropped_frames
        first, end = record.sample_start, record.sample_start + record.sample_count
        (at,) = [i for i, (a, b) in enumerate(pairwise(starts)) if a <= first and end <= b]
        stretch = stretches[at]
        assert (record.center_freq, record.samp_rate) == (stretch.freq, stretch.rate)
        assert record.sample_count == round(0.04 * stretch.rate)
        before = sum(s.samples / s.rate for s in stretches[:at]) + sum(s.lost / s.rate for s in stretches[: at + 1])
        assert moment(record.time) == pytest.approx(0.25 + before + (first - starts[at]) / stretch.rate, abs=2e-6)
        seen.add(at)
    assert seen == {0, 1, 2, 3}
    last = [m for m in sent if isinstance(m, Progress)][-1]
    assert (last.samples, last.retunes, last.gaps) == (starts[-1], base.retunes + 2, base.gaps + 1)
    assert last.frames == base.frames - base.dropped + len(records) + records[-1].dropped_frames
    assert last.dropped == records[-1].dropped_frames
