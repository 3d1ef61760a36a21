# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a radio's tags, messages and setters say of its tuning, brought to a block's frames at the right sample."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pmt

from .errors import AtaError
from .pmt_records import number, radio_time, tuned_frequency
from .stream import FrameStream

if TYPE_CHECKING:
    from gnuradio import gr


@dataclass(frozen=True)
class Tuning:
    """A change that takes effect at one sample; None leaves a value as it is."""

    center_freq: float | None = None
    samp_rate: float | None = None
    time: tuple[int, float] | None = None


class RadioTuning:
    """Keeps a block's `FrameStream` at the tuning of the radio before it.

    Args:
        stream: is told of every change and jump in time.
        logger: the block's.
    """

    def __init__(self, stream: FrameStream, logger: gr.logger) -> None:
        self._stream, self._logger = stream, logger
        self._lock = threading.Lock()
        self._asked: Tuning | None = None

    def ask(self, center_freq: float | None = None, samp_rate: float | None = None) -> None:
        """From any thread: the radio was tuned to this, Hz; takes effect with the next chunk."""
        with self._lock:
            before = self._asked or Tuning()
            self._asked = Tuning(
                before.center_freq if center_freq is None else float(center_freq),
                before.samp_rate if samp_rate is None else float(samp_rate),
            )

    def ask_by_message(self, message: pmt.pmt_base) -> None:
        """The same by a message that says a frequency; anything else is logged."""
        freq = tuned_frequency(message)
        if freq is None:
            self._logger.error(f"message on freq is not a frequency: {message}")
        else:
            self.ask(center_freq=freq)

    def parts(self, count: int, seen: int, tags: Iterable[gr.tag_t], read: int) -> Iterator[tuple[int, int]]:
        """Cuts a chunk where its tags (`rx_freq`, `rx_rate`, `rx_time`) tell of a change -> (begin, end) of each part.

        The stream is told between the parts, so each has to be used before the next is asked for.
        count: samples of the chunk. seen: the first one's absolute index. read: its offset as tags count, which
        begins anew when a flowgraph is locked and unlocked.
        """
        with self._lock:
            asked, self._asked = self._asked, None
        if asked is not None:
            self._apply(asked, seen)
        done = 0
        for at, tuning in _tagged(tags, read):
            yield done, at
            self._apply(tuning, seen + at)
            done = at
        yield done, count

    def _apply(self, tuning: Tuning, offset: int) -> None:
        stream, logger = self._stream, self._logger
        try:
            if stream.retune(tuning.center_freq, tuning.samp_rate):
                logger.info(f"tuned to {stream.center_freq:.0f} Hz at {stream.samp_rate:.0f} S/s")
        except AtaError as refusal:
            logger.error(f"change of tuning refused: {refusal}")
        if tuning.time is not None and stream.clock(offset, *tuning.time):
            logger.info(f"rx_time jumps at sample {offset}: the frame in hand is discarded")


def _tagged(tags: Iterable[gr.tag_t], read: int) -> list[tuple[int, Tuning]]:
    """What the tags of a chunk say, as (sample within the chunk, change), in order, one entry a sample."""
    found: dict[int, dict] = {}
    for tag in tags:
        name = pmt.symbol_to_string(tag.key) if pmt.is_symbol(tag.key) else ""
        at = tag.offset - read
        if name == "rx_freq" and (value := number(tag.value)) is not None:
            found.setdefault(at, {})["center_freq"] = value
        elif name == "rx_rate" and (value := number(tag.value)) is not None:
            found.setdefault(at, {})["samp_rate"] = value
        elif name == "rx_time" and (when := radio_time(tag.value)) is not None:
            found.setdefault(at, {})["time"] = when
    return [(at, Tuning(**found[at])) for at in sorted(found)]
