# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who was on the air, where, when and for how long: the bands of many sweeps, kept in SQLite.

A sweep is one transaction: a scan that is killed leaves all the sweeps before it whole.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from .errors import AtaError, first_line
from .records import Band
from .scan import Sweep, utc_of

APPLICATION = 0x41544131  # "ATA1", in the header of the file
SCHEMA_VERSION = 1
SCHEMA = f"""
CREATE TABLE sweeps (
    id INTEGER PRIMARY KEY,
    begun TEXT NOT NULL,              -- UTC, ISO 8601
    ended TEXT NOT NULL,
    freq_lower_edge REAL NOT NULL,    -- Hz, of what was swept
    freq_upper_edge REAL NOT NULL,
    samp_rate REAL NOT NULL,
    model TEXT NOT NULL
);
CREATE TABLE bands (
    id INTEGER PRIMARY KEY,
    freq_lower_edge REAL NOT NULL,    -- Hz, mean of the sightings
    freq_upper_edge REAL NOT NULL,
    sightings INTEGER NOT NULL
);
CREATE TABLE sightings (
    sweep INTEGER NOT NULL REFERENCES sweeps (id),
    band INTEGER NOT NULL REFERENCES bands (id),
    label TEXT NOT NULL,
    freq_lower_edge REAL NOT NULL,
    freq_upper_edge REAL NOT NULL,
    confidence REAL NOT NULL,
    snr_db REAL,
    duty_cycle REAL NOT NULL,
    PRIMARY KEY (band, sweep)
) WITHOUT ROWID;
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {SCHEMA_VERSION};
"""
# Not in the schema, for files of before: what a long scan asks of every band that it finds.
INDEX = "CREATE INDEX IF NOT EXISTS bands_by_edge ON bands (freq_lower_edge)"
PATIENCE = 60.0  # s that another program may hold the file
LARGEST = 1e13  # Hz, dB, shares: more is no number of a band
SAME_SHARE, SAME_HZ = 0.1, 30e3  # of its width, and at least: a band's edges wander so far from sweep to sweep


@dataclass(frozen=True)
class Occupied:
    """A band over all sweeps that covered it.

    label: the one with most confidence summed over the sightings; votes: sightings by label. confidence, snr_db: means
    over those of this label. duty_cycle: mean over all sweeps that covered the band, those without it counting as 0.
    seen of sweeps: how many had it. first_seen, last_seen: UTC of the sweeps' beginnings.
    """

    id: int
    label: str
    freq_lower_edge: float
    freq_upper_edge: float
    confidence: float
    snr_db: float | None
    duty_cycle: float
    seen: int
    sweeps: int
    first_seen: str
    last_seen: str
    votes: dict[str, int]


@dataclass(frozen=True)
class SweepSpan:
    """When and where a sweep was: UTC, ISO 8601, and Hz."""

    begun: str
    ended: str
    freq_lower_edge: float
    freq_upper_edge: float


class Occupancy:
    """The store.

    Args:
        path: of the file, made where there is none; ":memory:" for one that goes with the process.
        read_only: nothing is written, and the file has to be there.

    AtaError where the file cannot be opened, is not one of these, or comes from a later version.
    """

    def __init__(self, path: str | Path, read_only: bool = False) -> None:
        self._path = path
        if read_only and not Path(path).is_file():
            raise AtaError(f"there is no occupancy file {path}")
        with self._told():
            # Not mode=ro: what a killed writer had begun has to be rolled back before the rest can be read.
            target = f"{Path(path).absolute().as_uri()}?mode=rw" if read_only else str(path)
            self._db = sqlite3.connect(target, uri=read_only, isolation_level=None, timeout=PATIENCE)
            try:
                if read_only:
                    self._db.execute("PRAGMA query_only = ON")
                self._check(read_only)
            except BaseException:
                self._db.close()
                raise

    def _check(self, read_only: bool) -> None:
        if read_only:
            self._recognise_file()
            return
        with self._transaction():  # as whole: two scans may begin a file at once
            empty = not self._value("SELECT COUNT(*) FROM sqlite_master")
            if empty and not self._value("PRAGMA application_id"):
                for statement in filter(str.strip, SCHEMA.split(";")):
                    self._db.execute(statement)
            self._recognise_file()
            self._db.execute(INDEX)
            self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")  # a file that takes nothing says so now

    def _recognise_file(self) -> None:
        if self._value("PRAGMA application_id") != APPLICATION:
            raise AtaError(f"{self._path} is no occupancy file of gr-ata; name another file")
        if (version := self._value("PRAGMA user_version")) != SCHEMA_VERSION:
            raise AtaError(f"{self._path} has version {version}; this gr-ata reads version {SCHEMA_VERSION}")

    def add(self, sweep: Sweep) -> None:
        """Keeps a sweep: whole, or not at all. AtaError where that fails, or another program holds the file for a minute."""
        with self._told(), self._transaction():
            row = (utc_of(sweep.begun), utc_of(sweep.ended), sweep.wide.low, sweep.wide.high, sweep.plan.samp_rate,
                   sweep.model)  # fmt: skip
            number = self._db.execute(
                "INSERT INTO sweeps (begun, ended, freq_lower_edge, freq_upper_edge, samp_rate, model) "
                "VALUES (?, ?, ?, ?, ?, ?)", row,
            ).lastrowid  # fmt: skip
            for band, known in self._recognise(sweep.bands):
                self._db.execute(
                    "INSERT INTO sightings VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (number, known, band.label, band.freq_lower_edge, band.freq_upper_edge, band.confidence, band.snr_db,
                     band.duty_cycle),
                )  # fmt: skip

    def _recognise(self, bands: tuple[Band, ...]) -> list[tuple[Band, int]]:
        """-> each band with the id of the stored one that it is, new or known; the nearest of all pairs first."""
        pairs = []
        for at, band in enumerate(bands):
            near = _near(band.freq_lower_edge, band.freq_upper_edge)
            known = self._db.execute(
                "SELECT id, freq_lower_edge, freq_upper_edge FROM bands WHERE freq_lower_edge BETWEEN ? AND ?",
                (band.freq_lower_edge - near, band.freq_lower_edge + near),
            )
            for number, low, high in known:
                apart = max(abs(low - band.freq_lower_edge), abs(high - band.freq_upper_edge))
                if apart <= near:
                    pairs.append((apart, at, number))
        found: dict[int, int] = {}
        for _, at, number in sorted(pairs):
            if at not in found and number not in found.values():
                found[at] = number
        return [(band, self._meet(band, found.get(at))) for at, band in enumerate(bands)]

    def _meet(self, band: Band, known: int | None) -> int:
        low, high = band.freq_lower_edge, band.freq_upper_edge
        if known is None:
            return self._db.execute(
                "INSERT INTO bands (freq_lower_edge, freq_upper_edge, sightings) VALUES (?, ?, 1)", (low, high)
            ).lastrowid
        self._db.execute(
            "UPDATE bands SET sightings = sightings + 1, "
            "freq_lower_edge = freq_lower_edge + (? - freq_lower_edge) / (sightings + 1), "
            "freq_upper_edge = freq_upper_edge + (? - freq_upper_edge) / (sightings + 1) WHERE id = ?",
            (low, high, known),
        )
        return known

    @property
    def sweeps(self) -> int:
        with self._told():
            return self._value("SELECT COUNT(*) FROM sweeps")

    def bands(self) -> list[Occupied]:
        """All bands ever seen, lowest first."""
        ask = self._db.execute
        with self._told(), self._transaction("BEGIN"):
            rows = ask("SELECT id, freq_lower_edge, freq_upper_edge FROM bands ORDER BY 2, 3").fetchall()
            labels, seen = defaultdict(list), defaultdict(list)
            for number, *row in ask(
                "SELECT band, label, COUNT(*), AVG(confidence), AVG(snr_db), SUM(duty_cycle) FROM sightings "
                "GROUP BY band, label ORDER BY SUM(confidence) DESC"
            ):
                labels[number].append(row)
            for number, *row in ask(
                "SELECT band, sweeps.freq_lower_edge, sweeps.freq_upper_edge, COUNT(*), MIN(begun), MAX(begun) "
                "FROM sightings JOIN sweeps ON sweeps.id = sweep GROUP BY 1, 2, 3"
            ):
                seen[number].append(row)
            swept = ask("SELECT freq_lower_edge, freq_upper_edge, COUNT(*) FROM sweeps GROUP BY 1, 2").fetchall()
            return [_occupied(*row, labels[row[0]], seen[row[0]], swept) for row in rows]

    def history(self, most: int) -> tuple[list[SweepSpan], int, dict[int, dict[int, float]]]:
        """How occupation went, for a picture with room for `most` moments.

        -> all sweeps in order; how many consecutive ones make a moment; and for each band the sum of its duty cycles
        in each moment in which it was seen.
        """
        with self._told(), self._transaction("BEGIN"):
            sweeps = [SweepSpan(*row) for row in self._db.execute(
                "SELECT begun, ended, freq_lower_edge, freq_upper_edge FROM sweeps ORDER BY begun, id"
            )]  # fmt: skip
            each = max(1, -(-len(sweeps) // most))
            rows = self._db.execute(
                "SELECT band, place / ?, SUM(duty_cycle) FROM sightings JOIN "
                "(SELECT id, ROW_NUMBER() OVER (ORDER BY begun, id) - 1 AS place FROM sweeps) ON id = sweep "
                "GROUP BY 1, 2", (each,),
            )  # fmt: skip
            for sweep in sweeps:
                _sound([sweep.freq_lower_edge, sweep.freq_upper_edge], [sweep.begun, sweep.ended])
            duty: dict[int, dict[int, float]] = {}
            for band, moment, total in rows:
                _sound([total], [])
                duty.setdefault(band, {})[moment] = total
        return sweeps, each, duty

    def close(self) -> None:
        self._db.close()

    def _value(self, question: str) -> int:
        return self._db.execute(question).fetchone()[0]

    @contextmanager
    def _transaction(self, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
        """What is written comes whole or not at all; what is read is of one state."""
        self._db.execute(begin)
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # SQLite itself takes some failures back, a full disk for one
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as failure:
            raise AtaError(f"the occupancy file {self._path} cannot be used: {failure}") from failure
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as failure:
            raise AtaError(f"the occupancy file {self._path} is damaged: {first_line(failure)}") from failure


def covers(begin: float, end: float, low: float, high: float) -> bool:
    """Whether a sweep of begin to end would have seen a band; what its edges may wander is not asked for."""
    near = _near(low, high)
    return begin <= low + near and end >= high - near


def _occupied(number: int, low: float, high: float, labels: list, seen: list, swept: list) -> Occupied:
    """A band of its rows: labels (label, sightings, confidence, SNR, sum of duty cycles), most confident first; seen (begin
    and end, Hz, of sweeps that saw it, how many, when the first and the last of them began), swept (the same of all).
    """
    sweeps = sum(count for begin, end, count in swept if covers(begin, end, low, high))
    sweeps += sum(count for begin, end, count, _, _ in seen if not covers(begin, end, low, high))
    first, last = min(first for *_, first, _ in seen), max(last for *_, last in seen)
    label, _, confidence, snr_db, _ = labels[0]
    duty = [total for *_, total in labels]
    _sound([low, high, confidence, snr_db or 0.0, *duty], [first, last])
    return Occupied(
        id=number,
        label=str(label),
        freq_lower_edge=low,
        freq_upper_edge=high,
        confidence=round(confidence, 4),
        snr_db=None if snr_db is None else round(snr_db, 2),
        duty_cycle=round(sum(duty) / sweeps, 4),
        seen=sum(count for _, count, *_ in labels),
        sweeps=sweeps,
        first_seen=first,
        last_seen=last,
        votes={str(name): count for name, count, *_ in labels},
    )


def _sound(numbers: list[float], dates: list[str]) -> None:
    """SQLite keeps whatever stands in a file: TypeError or ValueError for what is no number, or no date."""
    if not all(abs(n) <= LARGEST for n in numbers):
        raise ValueError("it holds numbers that no band has")
    for date in dates:
        datetime.fromisoformat(date.replace("Z", "+00:00"))


def _near(low: float, high: float) -> float:
    """Hz by which a band's edges may wander."""
    return max(SAME_HZ, SAME_SHARE * (high - low))
