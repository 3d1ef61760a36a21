# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The flowgraph of `ata-sense live`: radio -> segmenter, and beside it the recorder of IQ if asked for."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from gnuradio import blocks, gr

from .errors import AtaError, RadioLost, first_line
from .frontend import frame_samples
from .host_clock import HostClock
from .iq_recorder import iq_recorder
from .isolated import Channel
from .live import Base, Finished, LiveSettings, Lost, Opening, Progress, Streaming
from .radios import open_radio
from .records import Record, utc
from .segmenter import segmenter

PROGRESS_EVERY = 0.2  # s
LET_GO = 3.0  # s that a block has to stop beside a driver that hangs


class _Outlet:
    """A sink that continues the counts of earlier runs, and dates the records of a radio without a clock."""

    def __init__(self, channel: Channel, base: Base, samp_rate: float, recorder: iq_recorder | None) -> None:
        self._channel, self._base, self._recorder = channel, base, recorder
        self._clock = HostClock(samp_rate)

    def write(self, record: Record) -> None:
        arrived = time.time() - 1e-3 * record.latency_ms
        began = self._clock.time(record.sample_start, record.sample_count, arrived)
        record = replace(
            record,
            frame=self._base.frames + record.frame,
            sample_start=self._base.samples + record.sample_start,
            dropped_frames=self._base.dropped + record.dropped_frames,
            time=record.time or utc(int(began), began % 1),
        )
        self._channel.send(record)
        if self._recorder is not None:
            self._recorder.write(record)

    def flush(self) -> None:
        """Nothing is ever held back."""

    def close(self) -> None:
        """There is nothing to close."""


class _Segmenter(segmenter):
    """Says when it has stopped: beside a driver that hangs, the flowgraph as a whole never does."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)
        self.stopped = threading.Event()

    def stop(self) -> bool:
        try:
            return super().stop()
        finally:
            self.stopped.set()


def run_flowgraph(channel: Channel, settings: LiveSettings, base: Base) -> None:
    """Runs until the other end says stop or the radio is gone; sends records, and the messages of `live.py`.

    Raises AtaError for settings, a model, an engine or an analysis that cannot work, and for what the radio refuses.
    """
    block = _Segmenter(settings.samp_rate, settings.center_freq, mode="live", model=settings.model,
                       engine=settings.engine, frame_ms=settings.frame_ms)  # fmt: skip
    channel.send(Opening())
    try:
        radio = open_radio(settings.device, settings.samp_rate, settings.center_freq, settings.gain)
    except RadioLost as failure:
        channel.send(Lost(str(failure)))
        return
    frame_samples(radio.samp_rate, 1e3 * block.frame_seconds)  # AtaError for what the radio took it for
    block.set_samp_rate(radio.samp_rate)
    block.set_center_freq(radio.center_freq)

    flowgraph = gr.top_block("ata-sense live")
    flowgraph.connect(radio.block, block, blocks.null_sink(gr.sizeof_gr_complex))
    recorder = None
    if settings.keep is not None:
        recorder = iq_recorder(settings.keep, radio.samp_rate, radio.center_freq, block.frame_seconds, base.samples,
                               radio.device, block.columns)  # fmt: skip
        flowgraph.connect(radio.block, recorder)
    block.add_sink(_Outlet(channel, base, radio.samp_rate, recorder))

    def progress() -> Progress:
        kept = base.iq + recorder.counts if recorder is not None else base.iq
        counted = block.counters
        return Progress(base.samples + counted["samples"], base.frames + block.frames,
                        base.dropped + counted["dropped_frames"], base.retunes + counted["retunes"],
                        base.gaps + counted["gaps"], time.monotonic(), kept)  # fmt: skip

    over = threading.Event()
    flowgraph.start()
    threading.Thread(target=lambda: (flowgraph.wait(), over.set()), daemon=True).start()
    channel.send(Streaming(radio.device, radio.samp_rate, radio.center_freq, *block.names))
    while not (stopped := channel.stop_asked(PROGRESS_EVERY)) and not over.is_set():
        channel.send(progress())
    flowgraph.stop()
    block.stopped.wait(LET_GO)
    if recorder is not None:
        recorder.finish()
    channel.send(progress())
    failure = block.failure or (recorder and recorder.failure)
    if failure is not None:
        raise AtaError(f"the analysis stopped: {first_line(failure)}")
    elif not stopped:
        file = settings.device.startswith("file=")
        why = radio.failure() or f"{settings.device} ended its stream: it was unplugged or switched off"
        channel.send(Finished() if file else Lost(first_line(why)))
