# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The GNU Radio block: a thin skin on `stream.py` and `sensor.py`."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pmt
from gnuradio import gr

from .errors import WORK_DONE, AtaError, stops_on_failure
from .message_port import BoundedPort
from .pmt_records import labels_pdu, record_pmt
from .publish import open_publishers
from .recordings import files_of
from .sensor import Analysis, Sensor
from .sigmf_sink import SigmfAnnotations
from .sinks import JsonLines, Sink, spare
from .stream import Frame, Tally
from .thread_state import KeepsThreadState
from .tuning import SAMPLE_INDEX, RadioTuning
from .worker import NewestWins

# A Python block costs some 100 us a call, so its chunks have to be large. History makes the scheduler enlarge the
# buffer in front of the block, which the minimum output buffer alone does not, and unlike an output multiple it
# loses no tail. What arrives is handed over at once, though, and radios deliver little at a time: in live mode a call
# that got little lets some more arrive before the next, for a fraction of what the buffer holds.
CHUNK = 1 << 19
LITTLE = CHUNK >> 2  # samples
LONGEST_PAUSE = 3e-3  # s
MODES = ("lossless", "live")


class segmenter(KeepsThreadState, gr.sync_block):
    """Names 5G NR and LTE in a stream of IQ samples.

    Input: complex64 samples. Output: the same samples, unchanged, with the detections as stream tags:
    `ata_frame` (the detection record as a dict) and one `ata_band` (dict) per band; where a flowgraph begins again,
    `ata_sample` (uint64) with the first sample's index.
    Message ports: `detects` (the record), `labels` (PDU of the record and one class id per spectrogram column,
    u8vector), and `freq` (in: `cons('freq', Hz)`, tells of a retune that no tag announces).

    Tags read: `rx_freq`, `rx_rate` (a new value is a retune), `rx_time` (UTC of the records; a jump against the
    sample count is a gap). At a retune or gap the frame in hand is discarded and counted. A setter or message that tells
    of a retune ahead of the tag that confirms it has samples skipped until then, for half a second at most; at a rate
    that is not accepted nothing is analysed. Behind a decimator, resampler or frequency translation those tags no longer
    hold: a Tag Gate in front of this block keeps them away.

    Args:
        samp_rate: sample rate, Hz (0.5e6 to 245.76e6).
        center_freq: frequency of 0 Hz in the samples, Hz.
        mode: "lossless" analyses every whole frame before its last sample leaves and puts the tags on that sample;
            "live" never makes the source wait: the newest frame wins, the others are counted, and the tags stand at
            the write head.
        model: path of an ONNX model file; empty for the one that ships with the module.
        engine: "auto", "tensorrt", "onnxruntime-cuda" or "onnxruntime-cpu".
        frame_ms: frame duration, ms; 0 for the model's own.
        settle_samples: samples to skip after a retune or a gap; for a source without tags at least what its buffers hold,
            which were filled before the retune.
        jsonl: file for the records as JSON lines, written by the block itself, begun anew; empty for none.
        sigmf: file for the detections as SigMF annotations, kept in memory and written when the flowgraph stops; empty
            for none.
        dataset: path of the recording that the SigMF annotations speak of.
        datatype: the recording's SigMF data type ("ci16_le"); for raw IQ only.
        zmq: `[HOST:]PORT` to publish the records on as JSON over ZeroMQ PUB, for this machine alone unless a host is
            named; empty for none.
        mqtt: `mqtt://HOST[:PORT][/TOPIC]` of a broker to send them to; empty for none.
        metrics: `[HOST:]PORT` to serve Prometheus metrics on; empty for none.

    Attributes: failure (what ended the flowgraph, a full disk or a broken engine, which is logged too; else None).

    Raises AtaError for values that cannot work, with a sentence that says why.
    """

    def __init__(
        self,
        samp_rate: float,
        center_freq: float = 0.0,
        mode: str = "lossless",
        model: str = "",
        engine: str = "auto",
        frame_ms: float = 0.0,
        settle_samples: int = 0,
        jsonl: str = "",
        sigmf: str = "",
        dataset: str = "",
        datatype: str = "",
        zmq: str = "",
        mqtt: str = "",
        metrics: str = "",
    ) -> None:
        gr.sync_block.__init__(self, name="ata.segmenter", in_sig=[np.complex64], out_sig=[np.complex64])
        if mode not in MODES:
            raise AtaError(f"mode is {mode!r}; it has to be one of {', '.join(MODES)}")
        if settle_samples < 0:
            raise AtaError(f"settle_samples is {settle_samples}; it cannot be negative")
        self._live = mode == "live"
        self._sensor = Sensor(samp_rate, center_freq, model or None, engine, frame_ms or None, alone=not self._live)
        self._stream = self._sensor.stream(int(settle_samples))
        spare(files_of(Path(dataset)) if dataset else (), [jsonl, sigmf])
        annotations = SigmfAnnotations(sigmf, dataset or None, datatype or None, self.columns) if sigmf else None
        self._sinks: list[Sink] = [annotations] if annotations else []
        self.failure: Exception | None = None
        self._published = 0
        self._worker: NewestWins | None = None
        self._tuning = RadioTuning(self._stream, self.logger)
        self._finished: list[pmt.pmt_base] = []
        self._base = 0
        self._restart = 0  # index of the first sample after one, until it is told
        self._seen = 0

        self.set_history(CHUNK)
        self.set_min_output_buffer(CHUNK)
        self._detects, self._labels = (BoundedPort(self, name, patient=not self._live) for name in ("detects", "labels"))
        self.message_port_register_in(pmt.intern("freq"))
        self.set_msg_handler(pmt.intern("freq"), self._on_freq)
        publishers: list[Sink] = []
        try:
            publishers = open_publishers(zmq, mqtt, metrics, lambda: self.counters)
            self._sinks += [*publishers, JsonLines(jsonl)] if jsonl else publishers  # last, for it begins the file anew
        except AtaError:
            for publisher in publishers:
                publisher.close()
            if annotations:
                annotations.let_go()
            raise

    # What a flowgraph may change while it runs

    def set_center_freq(self, center_freq: float) -> None:
        """Tells the block that the radio was tuned to `center_freq`, Hz; takes effect at the next samples.

        One that no radio has changes nothing, and the log says so.
        """
        self._tuning.ask_by_setter(center_freq)

    def set_samp_rate(self, samp_rate: float) -> None:
        """Tells the block that the radio's rate became `samp_rate`, Hz; at one that is not accepted nothing is analysed
        until another comes, and the log says so: by then the radio has it, and an exception ends a Qt program.
        """
        self._tuning.ask(samp_rate=samp_rate)

    @property
    def dropped_frames(self) -> int:
        """Frames that got no record since the block was made: overload, retunes, gaps and unfinished ones."""
        return self._stream.dropped

    @property
    def tally(self) -> Tally:
        """Where every sample that reached the block went."""
        return self._stream.tally

    @property
    def frames(self) -> int:
        """Frames since the block was made, those without a record too."""
        return self._stream.next_index

    @property
    def names(self) -> tuple[str, str]:
        """Of the model and of the engine."""
        return self._sensor.model.name, self._sensor.engine.name

    @property
    def columns(self) -> int:
        """Of the model's image."""
        return self._sensor.model.columns

    @property
    def frame_seconds(self) -> float:
        """Duration of a frame, s."""
        return 1e-3 * self._sensor.frame_ms

    def add_sink(self, sink: Sink) -> None:
        """Lets `sink` have every record; before the flowgraph starts."""
        self._sinks.append(sink)

    @property
    def unsent_messages(self) -> int:
        """Messages left out because their subscriber let too many wait."""
        return self._detects.unsent + self._labels.unsent

    @property
    def counters(self) -> dict[str, int]:
        """Totals since the block was made, as the metrics show them."""
        stream = self._stream
        return {
            "samples": stream.tally.seen,
            "dropped_frames": stream.dropped,
            "retunes": stream.retunes,
            "gaps": stream.gaps,
            "unsent_messages": self.unsent_messages,
        }

    def close(self) -> None:
        """Ends files, connections and the engine after the flowgraph, for good; only a program that goes on without the
        block needs it.
        """
        sinks, self._sinks = self._sinks, []
        for sink in sinks:
            sink.close()
        self._sensor.engine.close()

    # What GNU Radio calls

    def start(self) -> bool:
        """In live mode starts the analysis thread. lock()/unlock() comes here again."""
        self._base = self._restart = self._seen
        if self._live:
            with stops_on_failure(self):
                self._worker = NewestWins(self._analyse_beside)
        return super().start()

    def stop(self) -> bool:
        """Ends the analysis thread after what waits is analysed, and brings the files up to date."""
        worker, self._worker = self._worker, None
        if worker is not None:
            with stops_on_failure(self):
                worker.close()
        unfinished = self._stream.end()
        for _ in range(self._stream.next_index - self._stream.dropped - self._published):
            self._stream.drop(index_too=False)  # what a failure left without a record
        if unfinished:
            self.logger.info(f"stream ended {unfinished} samples into a frame, which stays unanalysed")
        for sink in self._sinks:
            with stops_on_failure(self):
                sink.flush()
        self.set_max_output_buffer(-1)  # GNU Radio has set it to what this run got, and would heed it before the least
        self.logger.info(f"{self._stream.next_index} frames, {self._stream.dropped} of them dropped")
        return super().stop()

    def _on_freq(self, message: pmt.pmt_base) -> None:
        with stops_on_failure(self):
            self._tuning.ask_by_message(message)

    def work(self, input_items: list[np.ndarray], output_items: list[np.ndarray]) -> int:
        """One chunk: pass it on, cut it at retunes and gaps, analyse the frames that it completes."""
        with stops_on_failure(self):
            if self.failure is None:
                return self._pass_on(input_items[0], output_items[0])
        return WORK_DONE

    # From samples to outputs

    def _pass_on(self, given: np.ndarray, out: np.ndarray) -> int:
        count = len(out)
        samples = given[self.history() - 1 :][:count]
        out[:] = samples
        if self._restart:
            self._tell_index()
        tags = self.get_tags_in_window(0, 0, count)
        for frame in self._tuning.frames(samples, self._seen, tags, self.nitems_read(0)):
            self._finish(frame)
        self._tag_finished(count)
        self._seen += count
        if self._live and count < LITTLE:
            time.sleep(min((LITTLE - count) / self._stream.samp_rate, LONGEST_PAUSE))
        return count

    def _finish(self, frame: Frame) -> None:
        if not self._live:
            self._lossless(frame)
        elif self._worker.offer((frame, time.monotonic())) is not None:
            self._stream.drop(index_too=False)

    def _lossless(self, frame: Frame) -> None:
        analysis = self._sensor.analyse(frame, dropped_frames=self._stream.dropped)
        last_sample = frame.sample_start + frame.sample_count - 1
        self._tag(self._publish(analysis), last_sample - self._base)

    def _analyse_beside(self, item: tuple[Frame, float]) -> None:
        """In the analysis thread: messages and files at once; the tags wait for `work`, the only place for them."""
        frame, arrived = item
        dropped = frame.index - self._published  # before this frame: the stream may have dropped later ones by now
        analysis = self._sensor.analyse(frame, dropped_frames=dropped, arrived=arrived)
        self._finished.append(self._publish(analysis))

    def _publish(self, analysis: Analysis) -> pmt.pmt_base:
        """-> the record as a message, for the tags."""
        for sink in self._sinks:
            sink.write(analysis.record)
        self._published += 1
        record = record_pmt(analysis.record)
        self._detects.publish(record)
        self._labels.publish(labels_pdu(record, analysis.column_labels))
        return record

    def _tell_index(self) -> None:
        """What stood in buffers behind this block at the stop is lost: those who count samples there learn of it."""
        index, self._restart = pmt.from_uint64(self._restart), 0
        self.add_item_tag(0, self.nitems_written(0), SAMPLE_INDEX, index, pmt.intern(self.alias()))

    def _tag_finished(self, count: int) -> None:
        while count and self._finished:
            self._tag(self._finished.pop(0), self.nitems_written(0))

    def _tag(self, record: pmt.pmt_base, offset: int) -> None:
        source = pmt.intern(self.alias())
        self.add_item_tag(0, offset, pmt.intern("ata_frame"), record, source)
        bands = pmt.dict_ref(record, pmt.intern("bands"), pmt.PMT_NIL)
        for i in range(pmt.length(bands)):
            self.add_item_tag(0, offset, pmt.intern("ata_band"), pmt.vector_ref(bands, i), source)
