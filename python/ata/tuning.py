# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a radio's tags, messages and setters say of its tuning, brought to a block's frames at the right sample."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pmt

from .errors import AtaError
from .frontend import SAME_RATE
from .pmt_records import number, radio_time, shown, tuned_frequency
from .records import HIGHEST_FREQ, center_frequency
from .stream import Frame, FrameStream

if TYPE_CHECKING:
    from gnuradio import gr


# A setter or message is ahead of the samples: those of the old tuning still wait in buffers. Where the samples' own tags
# tell of tunings, what comes before the tag is skipped, for at most so many s: some sources tag nothing but their start.
CONFIRMED_WITHIN = 0.5
FOR_EVER = 1 << 62  # samples
SAMPLE_INDEX = pmt.intern("ata_sample")  # tag: the sample's index since the block before was made


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
        self._tagged: set[str] = set()  # what tags have told
        self._doubted: set[str] = set()  # what the samples may not have as the stream knows it
        self._refused: set[str] = set()  # what they surely do not

    def ask(self, center_freq: float | None = None, samp_rate: float | None = None) -> None:
        """From any thread: the radio was tuned to this, Hz; takes effect with the next chunk.

        AtaError for a frequency that no radio has.
        """
        if center_freq is not None:
            center_freq = center_frequency(center_freq)
        with self._lock:
            before = self._asked or Tuning()
            self._asked = Tuning(
                before.center_freq if center_freq is None else center_freq,
                before.samp_rate if samp_rate is None else float(samp_rate),
            )

    def ask_by_message(self, message: pmt.pmt_base) -> None:
        """The same by a message that says a frequency; anything else is logged."""
        freq = tuned_frequency(message)
        if freq is None:
            self._logger.error(f"message on freq is not a frequency: {shown(message)}")
            return
        self._ask_or_log(freq, "message on freq")

    def ask_by_setter(self, center_freq: float) -> None:
        """The same by a setter, whose refusal is logged: widgets of Qt call it, and an exception there ends the program."""
        self._ask_or_log(center_freq, "change of tuning")

    def _ask_or_log(self, center_freq: float, what: str) -> None:
        try:
            self.ask(center_freq=center_freq)
        except AtaError as refusal:
            self._logger.error(f"{what} refused: {refusal}")

    def frames(self, samples: np.ndarray, seen: int, tags: Iterable[gr.tag_t], read: int) -> Iterator[Frame]:
        """A chunk, complex64 [n], cut where its tags (`rx_freq`, `rx_rate`, `rx_time`) tell of a change -> the frames
        that it completes.

        seen: the first sample's absolute index. read: its offset as tags count, which begins anew when a flowgraph is
        locked and unlocked.
        """
        with self._lock:
            asked, self._asked = self._asked, None
        if asked is not None:
            self._apply(asked, seen, by_tag=False)
        done = 0
        for at, tuning in tagged(tags, read, self._logger):
            yield from self._stream.push(samples[done:at], seen + done)
            self._apply(tuning, seen + at, by_tag=True)
            done = at
        yield from self._stream.push(samples[done:], seen + done)

    def _apply(self, tuning: Tuning, offset: int, by_tag: bool) -> None:
        stream, logger = self._stream, self._logger
        before, changed = (self._doubted.copy(), self._refused.copy()), False
        for name in ("center_freq", "samp_rate"):
            if (value := getattr(tuning, name)) is None:
                continue
            if by_tag:
                if name == "samp_rate" and name not in self._tagged:
                    self._warn_of_rate(value)
                self._tagged.add(name)
            try:
                retuned = stream.retune(**{name: value})
            except AtaError as refusal:
                logger.error(f"change of tuning refused, nothing is analysed until another: {refusal}")
                self._doubted.add(name)
                self._refused.add(name)
                continue
            changed |= retuned
            self._refused.discard(name)
            if by_tag or name not in self._tagged:
                self._doubted.discard(name)
            elif retuned:
                self._doubted.add(name)
        if changed:
            logger.info(f"tuned to {stream.center_freq:.0f} Hz at {stream.samp_rate:.0f} S/s")
        jumped = tuning.time is not None and stream.clock(offset, *tuning.time)
        if jumped:
            logger.info(f"rx_time jumps at sample {offset}: the frame in hand is discarded")
        if (self._doubted, self._refused) != before or (self._doubted and (changed or jumped)):
            waits = FOR_EVER if self._refused else round(CONFIRMED_WITHIN * stream.samp_rate)
            stream.interrupt(waits if self._doubted else None)

    def _warn_of_rate(self, tagged: float) -> None:
        """A first tag that contradicts the block: decimators and resamplers pass on a tag that no longer holds."""
        told = self._stream.samp_rate
        if abs(tagged - told) > SAME_RATE * told:
            self._logger.warn(
                f"rx_rate says {tagged:.0f} S/s where this block was told {told:.0f}, and is believed; behind a block that "
                "changes the rate put a Tag Gate for rx_rate in front of this one"
            )


def tagged(tags: Iterable[gr.tag_t], read: int, logger: gr.logger) -> list[tuple[int, Tuning]]:
    """What the tags of a chunk say, as (sample within the chunk, change), in order, one entry a sample.

    read: offset of the chunk's first sample as tags count. Tags that say nothing that can be are one line in the log.
    """
    found: dict[int, dict] = {}
    refused = []
    for tag in tags:
        # Compared as symbols: one that is no UTF-8 has no text.
        name, read_value = next((said for key, said in TAGS if pmt.eqv(tag.key, key)), (None, None))
        if name is None:
            continue
        value = read_value(tag.value)
        if value is None:
            refused.append(tag)
        else:
            found.setdefault(tag.offset - read, {})[name] = value
    if refused:  # one line, however many: the log may not slow the radio down
        first = f"{shown(refused[0].key)} {shown(refused[0].value)}"
        logger.error(f"{len(refused)} tags of tuning refused, the first of them {first}")
    return [(at, Tuning(**found[at])) for at in sorted(found)]


def _frequency(value: pmt.pmt_base) -> float | None:
    freq = number(value)
    return freq if freq is not None and abs(freq) <= HIGHEST_FREQ else None


def _rate(value: pmt.pmt_base) -> float | None:
    rate = number(value)
    return rate if rate is not None and 0 < rate < math.inf else None


# Tags: what each of them sets, and how its value is read.
TAGS = (
    (pmt.intern("rx_freq"), ("center_freq", _frequency)),
    (pmt.intern("rx_rate"), ("samp_rate", _rate)),
    (pmt.intern("rx_time"), ("time", radio_time)),
)
