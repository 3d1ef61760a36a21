# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A long live run: retunes every few seconds, gaps, stalls of the radio and of the analysis; was anything lost uncounted?

    python benchmarks/soak.py [--minutes 60] [--rate 61.44e6] [--fast] [--seed 1]

The signal is noise and a tone whose column tells the frequency that the radio really is tuned to, so that a frame that
mixes two tunings shows both. --fast: a radio faster than the machine, not paced. Prints figures as JSON on standard
output; exit code 1 where something does not add up.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT / "build" / "test_modules"), str(ROOT)]

import numpy as np  # noqa: E402
import pmt  # noqa: E402
from gnuradio import ata, gr  # noqa: E402
from gnuradio.ata.engines.choose import ENGINES  # noqa: E402
from gnuradio.ata.engines.onnxruntime_engine import OnnxRuntime  # noqa: E402
from gnuradio.ata.model import read_model  # noqa: E402

LOOP = 1 << 19  # samples of the signal of a tuning, played over and over
# A message is not bound to a sample: it is sent so long before the radio really retunes, and so long is skipped after it
# was read. Both are longer than what may wait in the buffers between radio and block.
MESSAGE_LEAD, SETTLE = 1 << 20, 1 << 21
FREQS = [700e6 + 50e6 * k for k in range(6)]
TONES = [-96, -61, -33, 29, 58, 90]  # columns from DC
NOISE = 0.01  # amplitude re the tone; 20 dB lower in a column's width
FOREIGN = 0.5  # of the network's input range of a tone: more in another tuning's column is not noise


@dataclass
class Plan:
    """A run. retune, stall, gap: s of signal between retunes, stalls of the radio and losses of samples, at random."""

    samples: int | None  # None: as many as `wall` seconds hold
    wall: float = 0.0
    rate: float = 61.44e6
    frame_ms: float = 40.0
    paced: bool = True
    seed: int = 1
    retune: tuple[float, float] = (1.0, 5.0)
    stall: tuple[float, float] = (3.0, 20.0)
    gap: tuple[float, float] = (5.0, 30.0)
    longest_stall: float = 0.3  # s
    analysis_stalls: float = 0.02  # share of the frames
    model: str = ""


class Radio(gr.sync_block):
    """Plays the tone of its frequency in real time and does what radios do; keeps what the truth was."""

    def __init__(self, plan: Plan, columns: int) -> None:
        gr.sync_block.__init__(self, name="radio", in_sig=None, out_sig=[np.complex64])
        self.message_port_register_out(pmt.intern("freq"))
        self._plan, self._rng = plan, np.random.default_rng(plan.seed)
        noise = NOISE * self._rng.standard_normal(2 * LOOP, np.float32).view(np.complex64)
        turns = np.arange(LOOP) / columns
        self._signals = [(noise + np.exp(2j * np.pi * tone * turns)).astype(np.complex64) for tone in TONES]
        self._tuned = 0
        self._at = 0
        self._seconds, self._lost = 1_800_000_000, 0
        self._later: tuple[int, int] | None = None  # sample at which a tuning announced by message comes true
        self._next = {what: self._after(what) for what in ("retune", "stall", "gap")}
        self._begun: float | None = None
        self.tunings: list[tuple[int, float]] = [(0, FREQS[0])]
        self.clocks: list[tuple[int, int]] = []  # sample, and the samples lost before it
        self.by_tag = self.by_message = self.stalls = 0
        self.worst_lag = 0.0

    def _ends(self) -> bool:
        """Whether the run is over."""
        if self._plan.samples is None and time.monotonic() - self._begun > self._plan.wall:
            self._plan.samples = self._at
        return self._at == self._plan.samples

    def work(self, input_items: list[np.ndarray], output_items: list[np.ndarray]) -> int:
        if self._begun is None:
            self._begun = time.monotonic()
            self._clock()
        if self._ends():
            return -1
        self._happen()
        out = output_items[0]
        stops = [*self._next.values(), *filter(None, (self._plan.samples, self._later and self._later[0]))]
        phase = self._at % LOOP
        count = min(len(out), LOOP - phase, min(stops) - self._at)
        out[:count] = self._signals[self._tuned][phase : phase + count]
        self._at += count
        if self._plan.paced:
            self._pace()
        return count

    def _pace(self) -> None:
        due = self._begun + (self._at + self._lost) / self._plan.rate
        ahead = due - time.monotonic()
        self.worst_lag = max(self.worst_lag, -ahead)
        if ahead > 0.002:
            time.sleep(ahead)

    def _after(self, what: str) -> int:
        low, high = getattr(self._plan, what)
        return self._at + int(self._plan.rate * self._rng.uniform(low, high)) + 1

    def _happen(self) -> None:
        """What is due at this sample."""
        if self._later and self._later[0] == self._at:
            self._tune(self._later[1])
            self._later = None
        due = [what for what, at in self._next.items() if at == self._at]
        if "gap" in due:
            self._lost += int(self._rng.integers(1000, int(0.05 * self._plan.rate)))
            self._clock()
        if "stall" in due:
            length = self._rng.uniform(0.005, self._plan.longest_stall)
            time.sleep(length)
            self._begun += length  # a radio that is held up, not one that is late
            self.stalls += 1
        if "retune" in due and not self._later:
            to = int((self._tuned + self._rng.integers(1, len(FREQS))) % len(FREQS))
            if self._rng.random() < 0.5:
                self._tune(to)
                self._clock()  # as UHD does
                self.add_item_tag(0, self._at, pmt.intern("rx_freq"), pmt.from_double(FREQS[to]))
                self.by_tag += 1
            else:
                message = pmt.cons(pmt.intern("freq"), pmt.from_double(FREQS[to]))
                self.message_port_pub(pmt.intern("freq"), message)
                self._later = (self._at + MESSAGE_LEAD, to)
                self.by_message += 1
        for what in due:
            self._next[what] = self._after(what)

    def _tune(self, to: int) -> None:
        self._tuned = to
        self.tunings.append((self._at, FREQS[to]))

    def _clock(self) -> None:
        self.clocks.append((self._at, self._lost))
        seconds, fraction = self.time_of(self._at, self._lost)
        when = pmt.make_tuple(pmt.from_uint64(seconds), pmt.from_double(fraction))
        self.add_item_tag(0, self._at, pmt.intern("rx_time"), when)

    def time_of(self, sample: int, lost: int) -> tuple[int, float]:
        whole, part = divmod(sample + lost, self._plan.rate)
        return self._seconds + int(whole), part / self._plan.rate


class Watched:
    """The real engine, with stalls; writes which columns stood out of each image: one line a frame."""

    name = "onnxruntime-cpu"

    def __init__(self, engine: OnnxRuntime, plan: Plan, notes: Path) -> None:
        self._engine, self._plan = engine, plan
        self._rng = np.random.default_rng(plan.seed + 1)
        self._notes = notes.open("w", encoding="utf-8")
        self._proved = False
        self.stalls = 0

    def run(self, images: np.ndarray) -> np.ndarray:
        if self._proved:
            rows = images[0, 0][:, [images.shape[3] // 2 + tone for tone in TONES]]
            there = np.flatnonzero(rows.max(0) > FOREIGN * rows.max()).tolist()
            always = np.flatnonzero(rows.min(0) > FOREIGN * rows.max()).tolist()
            self._notes.write(json.dumps([there, always]) + "\n")
            self._notes.flush()
            if self._rng.random() < self._plan.analysis_stalls:
                self.stalls += 1
                time.sleep(self._rng.uniform(0.005, self._plan.longest_stall))
        self._proved = True
        return self._engine.run(images)

    def close(self) -> None:
        self._notes.close()
        self._engine.close()


class Sink(gr.sync_block):
    """Counts."""

    def __init__(self) -> None:
        gr.sync_block.__init__(self, name="sink", in_sig=[np.complex64], out_sig=None)
        self.samples = 0

    def work(self, input_items: list[np.ndarray], output_items: list[np.ndarray]) -> int:
        self.samples += len(input_items[0])
        return len(input_items[0])


def soak(plan: Plan) -> dict:
    """One run -> its figures; `wrong` names what does not add up."""
    with tempfile.TemporaryDirectory() as folder:
        jsonl, notes = Path(folder) / "records.jsonl", Path(folder) / "notes"
        watched: list[Watched] = []
        ENGINES["watched"] = lambda model, _: (
            watched.append(Watched(OnnxRuntime(model, "onnxruntime-cpu"), plan, notes)) or watched[-1]
        )
        try:
            block = ata.segmenter(
                plan.rate, FREQS[0], mode="live", model=plan.model, engine="watched", frame_ms=plan.frame_ms,
                settle_samples=SETTLE, jsonl=str(jsonl),
            )  # fmt: skip
        finally:
            del ENGINES["watched"]
        radio, sink = Radio(plan, read_model(plan.model or None).columns), Sink()
        top = gr.top_block()
        top.connect(radio, block, sink)
        top.msg_connect(radio, "freq", block, "freq")
        begun = time.monotonic()
        top.start()
        memory = _watch_memory(top)
        figures = {
            "plan": asdict(plan), "seconds": round(time.monotonic() - begun, 1), "samples": sink.samples,
            "tally": asdict(block.tally), "retunes_by_tag": radio.by_tag, "retunes_by_message": radio.by_message,
            "gaps": len({lost for _, lost in radio.clocks}) - 1, "radio_stalls": radio.stalls,
            "analysis_stalls": watched[0].stalls, "radio_worst_lag_ms": round(1e3 * radio.worst_lag, 1),
            "frames": block.frames, "dropped": block.dropped_frames, "unsent_messages": block.unsent_messages,
            "memory_mb": memory, **_check(jsonl, notes, radio, block),
        }  # fmt: skip
    figures["wrong"] = _wrong(figures, plan, block)
    return figures


def _watch_memory(top: gr.top_block) -> dict[str, float]:
    """Waits for the end -> resident MB at the beginning (second 2 on), in the middle and at the end, and the most."""
    ended = threading.Event()
    threading.Thread(target=lambda: (top.wait(), ended.set()), daemon=True).start()
    held = []
    while not ended.wait(1.0 if len(held) > 10 else 0.1):
        held.append(int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6)
    first, middle, last = held[min(12, len(held) - 1)], held[len(held) // 2], held[-1]
    return {"start": round(first, 1), "middle": round(middle, 1), "end": round(last, 1), "most": round(max(held), 1)}


def _check(jsonl: Path, notes: Path, radio: Radio, block: ata.segmenter) -> dict:
    """Each record against what the radio did, and against the tone in its image."""
    starts = np.array([at for at, _ in radio.tunings])
    gaps = np.array([at for (at, lost), (_, before) in zip(radio.clocks[1:], radio.clocks, strict=False) if lost > before])
    clocks = np.array([at for at, _ in radio.clocks])
    found = {"records": 0, "index_gaps": 0, "mixed_by_tone": 0, "mixed_by_sample": 0, "over_a_gap": 0, "wrong_time": 0}
    latency, last, end_before = [], -1, 0
    with jsonl.open() as records, notes.open() as seen:
        for line, note in zip(records, seen, strict=True):
            r, (there, always) = json.loads(line), json.loads(note)
            first, end = r["sample_start"], r["sample_start"] + r["sample_count"]
            tone = FREQS.index(r["center_freq"])
            tuning = int(np.searchsorted(starts, first, "right")) - 1
            alone = radio.tunings[tuning][1] == r["center_freq"] and (tuning + 1 == len(starts) or starts[tuning + 1] >= end)
            clock = radio.clocks[int(np.searchsorted(clocks, first, "right")) - 1]
            found["records"] += 1
            found["index_gaps"] += r["frame"] - last - 1
            found["mixed_by_tone"] += not (there == always == [tone])
            found["mixed_by_sample"] += not alone
            found["over_a_gap"] += bool(((gaps > first) & (gaps < end)).any()) or first < end_before
            found["wrong_time"] += r["time"] is None or abs(_seconds(r["time"], radio.time_of(first, clock[1]))) > 2e-6
            last, end_before = r["frame"], end
            latency.append(r["latency_ms"])
    found["index_gaps"] += block.frames - last - 1
    p50, p90, p99, most = np.percentile(latency or [0.0], [50, 90, 99, 100]).round(2).tolist()
    return {**found, "latency_ms": {"p50": p50, "p90": p90, "p99": p99, "most": most}}


def _seconds(text: str, truth: tuple[int, float]) -> float:
    """How far a record's time is from the truth."""
    moment = np.datetime64(text.rstrip("Z"), "us").astype(np.int64)
    return (int(moment) - 1_000_000 * truth[0]) / 1e6 - truth[1]


def _wrong(f: dict, plan: Plan, block: ata.segmenter) -> list[str]:
    t = f["tally"]
    per_frame = round(plan.frame_ms * 1e-3 * plan.rate)
    held = {
        "the block runs to the end": block.failure is None,
        "samples out = samples in": f["samples"] == t["seen"] == plan.samples,
        "samples in = in frames + discarded + settled": t["seen"] == t["framed"] + t["discarded"] + t["settled"],
        "records + dropped = frames": f["records"] + f["dropped"] == f["frames"],
        "gaps of the index = dropped": f["index_gaps"] == f["dropped"],
        "whole frames alone are analysed or dropped": f["records"] <= t["framed"] // per_frame <= f["frames"]
        and t["framed"] % per_frame == 0,
        "no frame mixes two frequencies": f["mixed_by_tone"] == f["mixed_by_sample"] == 0,
        "no frame spans a gap": f["over_a_gap"] == 0,
        "every time is right": f["wrong_time"] == 0,
    }
    return [what for what, holds in held.items() if not holds]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=61.44e6)
    parser.add_argument("--fast", action="store_true", help="not in real time: all that the machine takes")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    samples = None if args.fast else int(args.minutes * 60 * args.rate)
    plan = Plan(samples, args.minutes * 60, args.rate, paced=not args.fast, seed=args.seed)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # GNU Radio logs to standard output
    figures = soak(plan)
    print(json.dumps(figures, indent=1), file=out)
    return 1 if figures["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
