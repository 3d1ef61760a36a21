# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real radio that is sent from frequency to frequency, in a process of its own: a driver that hangs can be left."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from gnuradio import gr

from .errors import AtaError, RadioLost
from .frame_sink import frame_sink
from .isolated import Channel, Ended, Isolated
from .pauses import OPENING_LIMIT, POLL, STALL_LIMIT, stood_still
from .radios import Gain, open_radio
from .stream import Frame, FrameStream, Grid

CLOSING = 3.0  # s that it has to close


@dataclass(frozen=True)
class RadioSettings:
    """What a radio is opened with, and how its frames are made; `settle_samples` are skipped after each retune."""

    device: str
    samp_rate: float
    center_freq: float
    gain: Gain
    grid: Grid
    frame_ms: float
    settle_samples: int
    period: int


class RadioTuner:
    """A `Tuner` on any radio that `radios.py` opens.

    Args:
        settings: of the radio.
        stopped: whether it is time to end; asked while the radio is waited for, which then counts as lost.

    RadioLost where it does not open, or does not answer.
    """

    def __init__(self, settings: RadioSettings, stopped: Callable[[], bool] = lambda: False) -> None:
        self._device, self._stopped = settings.device, stopped
        self._patience = STALL_LIMIT + 1e-3 * settings.frame_ms
        self._patience += (settings.settle_samples + settings.period) / settings.samp_rate
        try:
            self._process = Isolated(_serve, settings)
        except Ended as end:
            raise RadioLost(f"{self._device} cannot be opened: its driver's process {end}") from None
        try:
            self._receive(OPENING_LIMIT, "does not answer")
        except BaseException:
            self._process.kill()
            raise

    def capture(self, center_freq: float) -> Frame:
        """See `Tuner`."""
        self._process.send(center_freq)
        return self._receive(self._patience, "gives no more samples")

    def _receive(self, timeout: float, fault: str) -> object:
        until = time.monotonic() + timeout
        got = None
        try:
            while got is None and not self._stopped() and (asked := time.monotonic()) < until:
                got = self._process.receive(min(POLL, timeout))
                until += stood_still(asked, POLL)
        except Ended as how:
            raise RadioLost(f"{self._device} is gone: its driver's process {str(how) or 'ended'}") from None
        if got is None:
            raise RadioLost(f"{self._device} {fault}")
        return got

    def close(self) -> None:
        """Lets the driver give its device back, if it does so soon."""
        self._process.ask_to_stop()
        with suppress(AtaError, Ended):
            while self._process.receive(CLOSING) is not None:
                pass
        self._process.kill()


def _serve(channel: Channel, settings: RadioSettings) -> None:
    """In the radio's process: a frame for each frequency asked for."""
    radio = open_radio(settings.device, settings.samp_rate, settings.center_freq, settings.gain)
    stream = FrameStream(settings.grid, settings.samp_rate, radio.center_freq, settings.frame_ms, settings.settle_samples,
                         settings.period)  # fmt: skip
    stream.interrupt()  # a radio that has just been opened has to settle too
    sink = frame_sink(stream)
    flowgraph = gr.top_block("ata scan")
    flowgraph.connect(radio.block, sink)
    flowgraph.start()
    channel.send("open")
    while (center_freq := channel.receive()) != "stop":
        channel.send(sink.frame_at(radio.set_center_freq(center_freq)))
    flowgraph.stop()
    flowgraph.wait()
