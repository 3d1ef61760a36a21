# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A radio watched for as long as one likes: what `ata-sense live` does, without its screen.

The radio and the flowgraph run in a process of their own (`isolated.py`, `live_flowgraph.py`), which sends each record
as it is found. This side hands the records to the sinks, counts, and notices when the radio is gone: its process ends,
or goes silent, or no more samples come. Then it ends the process, and opens the radio again if that is wanted.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .errors import AtaError
from .iq_files import IqCounts, KeepIq
from .isolated import Ended, Isolated
from .pauses import OPENING_LIMIT, POLL, STALL_LIMIT, Pauses, stood_still
from .records import Record
from .sinks import Sink

ENGINE_LIMIT = 1800.0  # s; TensorRT builds one for minutes
GRACE = 10.0  # s that a process has to finish what it found, once its radio streams
log = logging.getLogger("ata")


class Screen(Protocol):
    """What a person sees while it runs."""

    def started(self, streaming: Streaming) -> None: ...

    def lost(self) -> None: ...

    def show(self, record: Record) -> None: ...

    def tick(self, totals: Totals) -> None: ...


@dataclass(frozen=True)
class LiveSettings:
    """What the flowgraph is made of; the names are those of `open_radio` and of the segmenter. Hz, ms."""

    device: str
    samp_rate: float
    center_freq: float
    gain: float | dict[str, float] | None = None
    model: str = ""
    engine: str = "auto"
    frame_ms: float = 0.0
    keep: KeepIq | None = None


@dataclass(frozen=True)
class Base:
    """Where the counts of a stream go on after the radio was away."""

    samples: int = 0
    frames: int = 0
    dropped: int = 0
    retunes: int = 0
    gaps: int = 0
    iq: IqCounts = field(default_factory=IqCounts)


# What the radio's process sends, beside records


@dataclass(frozen=True)
class Opening:
    """The engine runs; the radio comes next."""


@dataclass(frozen=True)
class Streaming:
    """The radio is open, and what it really gives."""

    device: str
    samp_rate: float
    center_freq: float
    model: str
    engine: str


@dataclass(frozen=True)
class Progress:
    """Counts since the very first start, at a time of `time.monotonic()`, and what is kept of the IQ.

    frames: begun, the one that is being analysed too; retunes: changes of frequency or rate; gaps: jumps of the radio's
    clock.
    """

    samples: int
    frames: int
    dropped: int
    retunes: int
    gaps: int
    at: float
    iq: IqCounts


@dataclass(frozen=True)
class Lost:
    """The radio is missing, refuses, or has gone, in one sentence."""

    sentence: str


@dataclass(frozen=True)
class Finished:
    """The device was a file, and it is played."""


@dataclass
class Totals:
    """Counts since the very first start; labels: bands by label.

    Every frame has a record or is dropped, but for one that is being analysed.
    """

    samples: int = 0
    frames: int = 0
    records: int = 0
    dropped: int = 0
    reconnects: int = 0
    retunes: int = 0
    gaps: int = 0
    labels: Counter = field(default_factory=Counter)
    iq: IqCounts = field(default_factory=IqCounts)

    @property
    def counters(self) -> dict[str, int]:
        """What never decreases and no record tells, as the metrics show it."""
        return {name: getattr(self, name) for name in ("samples", "retunes", "gaps", "reconnects")}

    def add(self, record: Record) -> None:
        self.records += 1
        self.frames = max(self.frames, record.frame + 1)
        self.dropped = max(self.dropped, record.dropped_frames)
        self.samples = max(self.samples, record.sample_start + record.sample_count)
        self.labels.update(band.label for band in record.bands)


class _DeviceLost(Exception):
    """Its text is the sentence."""


class Live:
    """Watches one radio.

    Args:
        settings: of the flowgraph.
        sinks: get every record; whoever made them closes them.
        screen: told what goes on.
        reconnect: open the radio again whenever it is missing or gone, after pauses that grow to a minute.
        frames: end after so many records. seconds: end after so long, s.
        opening_limit, stall_limit: s that opening the radio may take, and that may pass without a new sample.
        totals: to count in, where somebody else reads along.
    """

    def __init__(self, settings: LiveSettings, sinks: Sequence[Sink], screen: Screen, *, reconnect: bool = False,
                 frames: int | None = None, seconds: float | None = None, opening_limit: float = OPENING_LIMIT,
                 stall_limit: float = STALL_LIMIT, totals: Totals | None = None) -> None:
        self._settings, self._sinks, self._screen = settings, list(sinks), screen
        self._reconnect = reconnect
        self._most_frames = math.inf if frames is None else frames
        self._seconds = math.inf if seconds is None else seconds
        self._opening_limit, self._stall_limit = opening_limit, stall_limit
        self._deadline = math.inf
        self._stopping = self._finished = False
        self._grace = 0.0
        self._away: float | None = None
        self._failure: BaseException | None = None
        self._screen_failure: OSError | None = None
        self.totals = totals or Totals()
        self._pauses = Pauses(self._over, lambda: self._tell(screen.tick, self.totals))

    def stop(self) -> None:
        """Ends `run` soon; for signal handlers."""
        self._stopping = True

    def run(self) -> None:
        """Returns when it was stopped or has seen enough.

        Raises AtaError for what cannot work and for a sink that fails, and for a lost radio unless it reconnects.
        """
        self._deadline = time.monotonic() + self._seconds
        while not self._over():
            try:
                self._watch()
            except _DeviceLost as loss:
                if not self._reconnect:
                    raise AtaError(str(loss)) from None
                self._away = self._away or time.monotonic()
                self._tell(self._screen.lost)
                self._pauses.wait(str(loss))
        # a terminal that is closed fails, and SIGHUP, which comes with it, stops the watch: then that is all it was
        failure = self._failure if self._stopping else self._failure or self._screen_failure
        if failure is not None:
            raise failure

    def _over(self) -> bool:
        enough = self.totals.records >= self._most_frames or time.monotonic() >= self._deadline
        failed = self._failure is not None or self._screen_failure is not None
        return self._stopping or self._finished or failed or enough

    def _watch(self) -> None:
        """The radio from its opening to its end."""
        from .live_flowgraph import run_flowgraph

        t = self.totals
        base = Base(t.samples, t.frames, t.dropped, t.retunes, t.gaps, t.iq)
        try:
            process = Isolated(run_flowgraph, self._settings, base)
        except Ended as end:
            raise _DeviceLost(f"{self._settings.device} cannot be opened: its driver's process {end}") from None
        self._grace = 0.0
        try:
            lost = self._follow(process)
        finally:
            self._end(process)
            t.dropped = t.frames - t.records  # with one that was being analysed as the process ended
        if lost is not None and not self._over():
            raise _DeviceLost(lost)

    def _follow(self, process: Isolated) -> str | None:
        """Takes what comes -> how the radio was lost, or None when it is time to end."""
        silence_limit, who = ENGINE_LIMIT, "the engine"
        heard = moved = time.monotonic()
        while not self._over():
            asked = time.monotonic()
            try:
                message = process.receive(POLL)
            except Ended as end:
                return f"{self._settings.device} is gone: its driver's process {str(end) or 'ended'}"
            if stood_still(asked, POLL):
                heard = moved = time.monotonic()
            self._tell(self._screen.tick, self.totals)
            if message is None:
                if time.monotonic() - heard > silence_limit:
                    self._grace = 0.0  # nor would it hear
                    return f"{self._settings.device} does not answer: {who} says nothing for {silence_limit:g} s"
                continue
            heard = time.monotonic()
            if isinstance(message, Opening):
                silence_limit, who = self._opening_limit, "its driver"
            elif isinstance(message, Lost):
                return message.sentence
            elif isinstance(message, Streaming):
                silence_limit, moved, self._grace = self._stall_limit, heard, GRACE
                self._tell(self._screen.started, message)
            elif isinstance(message, Record):  # may come before the progress that it is part of
                moved = heard
                self._is_back()
            elif isinstance(message, Progress) and message.samples > self.totals.samples:
                moved = message.at
                self._is_back()
            elif isinstance(message, Progress) and message.at - moved > self._stall_limit:
                return f"{self._settings.device} gives no more samples: unplugged, or its server is gone"
            self._take(message)
        return None

    def _take(self, message: object) -> None:
        if isinstance(message, Record):
            if self.totals.records < self._most_frames:
                self.totals.add(message)
                self._write(message)
                self._tell(self._screen.show, message)
        elif isinstance(message, Progress):
            self.totals.iq, self.totals.retunes, self.totals.gaps = message.iq, message.retunes, message.gaps
            if self.totals.records < self._most_frames:
                self.totals.samples = max(self.totals.samples, message.samples)
                self.totals.frames = max(self.totals.frames, message.frames)
                self.totals.dropped = max(self.totals.dropped, message.dropped)
        elif isinstance(message, Finished):
            self._finished = True

    def _write(self, record: Record) -> None:
        """A sink that fails ends the watch; the others get this record and what the process still holds."""
        for sink in list(self._sinks):
            try:
                sink.write(record)
            except BaseException as failure:  # a second Ctrl-C too, where a sink hangs
                self._sinks.remove(sink)
                self._failure = self._failure or failure

    def _tell(self, say: Callable[..., None], *about: object) -> None:
        """A screen that fails, its reader gone or the disk behind it full, ends the watch, and the sinks lose nothing."""
        if self._screen_failure is not None:
            return
        try:
            say(*about)
        except OSError as failure:
            self._screen_failure = failure

    def _is_back(self) -> None:
        self._pauses.end()
        if self._away is not None:
            self.totals.reconnects += 1
            log.info("%s is back after %.0f s", self._settings.device, time.monotonic() - self._away)
            self._away = None

    def _end(self, process: Isolated) -> None:
        """Lets the process finish what it found, and ends it in any case."""
        try:
            process.ask_to_stop()
            until = time.monotonic() + self._grace
            while (message := process.receive(max(0.0, until - time.monotonic()))) is not None:
                self._take(message)
        except Ended:
            pass
        except AtaError as sentence:  # that the process ended with
            self._failure = self._failure or sentence
        finally:
            process.kill()
