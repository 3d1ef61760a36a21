# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sweeps kept in SQLite: what is the same band, how much it was on, and what survives."""

import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from gnuradio.ata import occupancy
from gnuradio.ata.errors import AtaError
from gnuradio.ata.occupancy import Occupancy, Occupied, SweepSpan
from gnuradio.ata.occupancy_plot import _times, draw_occupancy
from gnuradio.ata.records import Band
from gnuradio.ata.scan import Plan, Sweep
from gnuradio.ata.stitch import Wide

MHZ = 1e6
START = 1_790_000_000.0  # s since 1970


def band(label: str, low: float, high: float, confidence: float = 0.9, snr: float | None = 20.0, duty: float = 1.0) -> Band:
    """Edges in MHz."""
    return Band(label, low * MHZ, high * MHZ, confidence, snr, duty)


def sweep(number: int, *bands: Band, low: float = 700, high: float = 960) -> Sweep:
    """The sweep of minute `number`; edges in MHz."""
    plan = Plan(low * MHZ, high * MHZ, 2.4e6, 40.0, 9375.0, 4, 192, (800 * MHZ,))
    wide = Wide(np.ones((1, 4), np.float32), low * MHZ, (high - low) * MHZ / 4, 40e-3)
    begun = START + 60 * number
    return Sweep(number, begun, begun + 20, plan, 1, "tiny-1", "none", wide, bands)


@pytest.fixture
def store(tmp_path: Path) -> Occupancy:
    return Occupancy(tmp_path / "occupancy.db")


def only(store: Occupancy) -> Occupied:
    (found,) = store.bands()
    return found


def test_duty_first_and_last_seen_over_all_sweeps_that_covered_the_band(store: Occupancy) -> None:
    store.add(sweep(0))
    store.add(sweep(1, band("LTE", 791, 801, duty=0.5)))
    store.add(sweep(2, band("LTE", 791.1, 801.1)))
    store.add(sweep(3))
    store.add(sweep(4, low=850))  # does not reach it
    store.add(sweep(5, high=795))
    found = only(store)
    assert (found.seen, found.sweeps, found.duty_cycle) == (2, 4, 0.375)
    assert (found.first_seen, found.last_seen) == ("2026-09-21T14:14:20.000000Z", "2026-09-21T14:15:20.000000Z")
    assert (found.freq_lower_edge, found.freq_upper_edge) == pytest.approx((791.05 * MHZ, 801.05 * MHZ))
    assert store.sweeps == 6


def test_the_label_has_most_confidence_and_the_others_votes_are_kept(store: Occupancy) -> None:
    for number, (label, confidence) in enumerate([("LTE", 0.4), ("NR", 0.9), ("LTE", 0.4), ("other", 0.3)]):
        store.add(sweep(number, band(label, 791, 801, confidence, snr=10.0 + number)))
    found = only(store)
    assert (found.label, found.confidence, found.snr_db) == ("NR", 0.9, 11.0)
    assert found.votes == {"NR": 1, "LTE": 2, "other": 1}


def test_a_band_is_the_same_while_its_edges_stay_within_a_tenth_of_it(store: Occupancy) -> None:
    store.add(sweep(0, band("LTE", 791, 801), band("NR", 811, 821), band("other", 935.2, 935.4)))
    store.add(sweep(1, band("LTE", 791.7, 800.4), band("NR", 811, 822.5), band("other", 935.22, 935.42)))
    found = [(round(b.freq_lower_edge / MHZ, 2), round(b.freq_upper_edge / MHZ, 2), b.seen) for b in store.bands()]
    assert found == [(791.35, 800.7, 2), (811, 821, 1), (811, 822.5, 1), (935.21, 935.41, 2)]


def test_two_bands_of_one_sweep_are_never_one(store: Occupancy) -> None:
    store.add(sweep(0, band("LTE", 791, 801)))
    store.add(sweep(1, band("LTE", 791.5, 801.5), band("NR", 790.8, 800.8)))
    assert sorted((round(b.freq_lower_edge / MHZ, 2), b.seen) for b in store.bands()) == [(790.9, 2), (791.5, 1)]


def test_levels_that_are_unknown_stay_unknown(store: Occupancy) -> None:
    store.add(sweep(0, band("LTE", 791, 801, snr=None)))
    assert only(store).snr_db is None


def test_a_file_goes_on_where_it_was_and_is_read_while_it_is_written(tmp_path: Path) -> None:
    first = Occupancy(tmp_path / "o.db")
    first.add(sweep(0, band("LTE", 791, 801)))
    reader = Occupancy(tmp_path / "o.db", read_only=True)
    first.add(sweep(1, band("LTE", 791, 801)))
    assert only(reader).seen == 2
    first.close()
    again = Occupancy(tmp_path / "o.db")
    again.add(sweep(2, band("LTE", 791, 801)))
    assert only(reader).seen == 3


def is_being_written(path: Path) -> bool:
    """SQLite lets no new reader in while a writer waits for those who read already."""
    with closing(sqlite3.connect(path, timeout=0)) as db:
        try:
            return not db.execute("SELECT COUNT(*) FROM sweeps").fetchone()
        except sqlite3.OperationalError:
            return True


def test_a_reader_that_holds_the_file_is_waited_for(tmp_path: Path) -> None:
    store = Occupancy(tmp_path / "o.db")
    for number in range(2):
        store.add(sweep(number, band("LTE", 791, 801)))
    reader = sqlite3.connect(tmp_path / "o.db").execute("SELECT * FROM sweeps")
    reader.fetchone()  # a question half answered
    with ThreadPoolExecutor(1) as pool:
        scan = pool.submit(lambda: Occupancy(tmp_path / "o.db").add(sweep(2, band("LTE", 791, 801))))
        while not scan.done() and not is_being_written(tmp_path / "o.db"):
            pass
        assert not scan.done()
        reader.close()
        scan.result()
    assert only(store).seen == 3


def test_a_copy_that_nobody_may_write_is_read(tmp_path: Path) -> None:
    store = Occupancy(tmp_path / "o.db")
    store.add(sweep(0, band("LTE", 791, 801)))
    shutil.copy(tmp_path / "o.db", tmp_path / "copy.db")
    (tmp_path / "copy.db").chmod(0o400)
    assert Occupancy(tmp_path / "copy.db", read_only=True).bands() == store.bands()


def test_a_reader_that_holds_the_file_for_ever_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(occupancy, "PATIENCE", 0.1)
    store = Occupancy(tmp_path / "o.db")
    for number in range(2):
        store.add(sweep(number))
    reader = sqlite3.connect(tmp_path / "o.db").execute("SELECT * FROM sweeps")
    reader.fetchone()
    with pytest.raises(AtaError, match="database is locked"):
        store.add(sweep(2))


def test_scans_that_begin_a_file_together_share_it(tmp_path: Path) -> None:
    together = Barrier(8)

    def begin(path: Path) -> None:
        together.wait()
        Occupancy(path).close()

    with ThreadPoolExecutor(8) as scans:
        for file in range(20):
            list(scans.map(begin, [tmp_path / f"{file}.db"] * 8))


def test_a_file_that_takes_nothing_is_refused_before_the_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite opens one that it may only read without a word."""
    Occupancy(tmp_path / "o.db").close()
    connect = sqlite3.connect

    def only_read(path: str, **options: object) -> sqlite3.Connection:
        return connect(f"{Path(path).as_uri()}?mode=ro", **(options | {"uri": True}))

    monkeypatch.setattr(sqlite3, "connect", only_read)
    with pytest.raises(AtaError, match="readonly database"):
        Occupancy(tmp_path / "o.db")


def test_what_is_read_is_of_one_moment(tmp_path: Path) -> None:
    """A scan that goes on finishes its sweep before or after, never between two questions."""
    store = Occupancy(tmp_path / "o.db")
    store.add(sweep(0, band("LTE", 791, 801)))
    writer, refused = sqlite3.connect(tmp_path / "o.db", timeout=0, isolation_level=None), []

    def write(question: str) -> None:
        if question.startswith("SELECT") and "sightings" in question and not refused:
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                writer.execute("DELETE FROM sightings")
            refused.append(question)

    store._db.set_trace_callback(write)
    for read in store.bands, lambda: store.history(9):
        refused.clear()
        read()
        assert refused
    writer.close()


def test_a_sweep_is_as_long_in_the_picture_as_it_was() -> None:
    """Two scans in one file: a long sweep does not end where a short one begins."""
    hour = SweepSpan("2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z", 7e8, 9.6e8)
    minutes = [SweepSpan(f"2026-01-01T00:{n}0:00Z", f"2026-01-01T00:{n}4:00Z", 1.7e9, 2.2e9) for n in range(1, 5)]
    spans = [24 * 60 * (end - begin) for begin, end in _times([[hour], *([m] for m in minutes)])]
    assert spans == pytest.approx([60, 4, 4, 4, 4], abs=0.01)


def test_a_file_of_before_the_index_goes_on(tmp_path: Path) -> None:
    store = Occupancy(tmp_path / "o.db")
    store.add(sweep(0, band("LTE", 791, 801)))
    store.close()
    sqlite3.connect(tmp_path / "o.db").execute("DROP INDEX bands_by_edge").connection.commit()
    assert only(Occupancy(tmp_path / "o.db", read_only=True)).seen == 1
    again = Occupancy(tmp_path / "o.db")
    again.add(sweep(1, band("LTE", 791, 801)))
    assert only(again).seen == 2


WRITER = """
import sys
sys.path.insert(0, sys.argv[2])
from test_occupancy import band, sweep
from gnuradio.ata.occupancy import Occupancy
store = Occupancy(sys.argv[1])
for number in range(10**9):
    store.add(sweep(number, *(band("LTE", 700 + 2 * i, 701 + 2 * i) for i in range(50))))
    print(number, flush=True)
"""


def test_a_scan_that_is_killed_leaves_every_finished_sweep_whole(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    command = [sys.executable, "-c", WRITER, path, Path(__file__).parent]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        said = [int(writer.stdout.readline()) for _ in range(20)]
        writer.kill()
        said += [int(line) for line in writer.stdout if line.endswith("\n")]
    store = Occupancy(path, read_only=True)
    assert store.sweeps in (len(said), len(said) + 1)
    assert {b.seen for b in store.bands()} == {store.sweeps} and len(store.bands()) == 50
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)


HALF_WRITTEN = """
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA cache_size = 1")  # so that what is not committed is in the file already
db.execute("BEGIN")
db.execute("DELETE FROM sightings")
db.execute("CREATE TABLE x AS SELECT zeroblob(1000000)")
os._exit(0)
"""


def test_what_a_killed_scan_had_begun_is_undone_by_who_only_reads(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    Occupancy(path).add(sweep(0, band("LTE", 791, 801)))
    subprocess.run([sys.executable, "-c", HALF_WRITTEN, path], check=True)
    assert path.with_name("o.db-journal").stat().st_size > 0
    store = Occupancy(path, read_only=True)
    assert (store.sweeps, only(store).seen) == (1, 1)
    with pytest.raises(AtaError, match="readonly"):
        store.add(sweep(1, band("LTE", 791, 801)))


def foreign(path: Path) -> None:
    sqlite3.connect(path).execute("CREATE TABLE birds (name TEXT)").connection.commit()


def newer(path: Path) -> None:
    Occupancy(path).close()
    sqlite3.connect(path).execute("PRAGMA user_version = 7")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.write_bytes(b"frequency,label\n" * 100), "not a database"),
        (foreign, "is no occupancy file of gr-ata"),
        (newer, "has version 7; this gr-ata reads version 1"),
        (lambda path: path.mkdir(), "unable to open database file"),
    ],
)
def test_a_file_that_is_not_ours_is_refused_and_left_as_it_is(tmp_path: Path, make, says: str) -> None:
    path = tmp_path / "o.db"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(AtaError, match=says) as refusal:
        Occupancy(path)
    assert "\n" not in str(refusal.value)
    assert before is None or path.read_bytes() == before


def test_what_is_not_there_is_not_made_by_looking(tmp_path: Path) -> None:
    with pytest.raises(AtaError, match="there is no occupancy file"):
        Occupancy(tmp_path / "absent.db", read_only=True)
    assert not (tmp_path / "absent.db").exists()


def test_a_disk_that_is_full_is_one_sentence(tmp_path: Path) -> None:
    store = Occupancy(tmp_path / "o.db")
    store._db.execute("PRAGMA max_page_count = 4")
    with pytest.raises(AtaError, match="cannot be used: database or disk is full"):
        store.add(sweep(0, *(band("LTE", 700 + i, 700.5 + i) for i in range(200))))
    assert store.sweeps == 0 and store.bands() == []


@pytest.mark.parametrize("sweeps", [1, 7, 1000])
def test_a_picture_of_few_and_of_many_sweeps(tmp_path: Path, sweeps: int) -> None:
    store = Occupancy(":memory:")
    for number in range(sweeps):
        bands = [band("LTE", 791, 801)] if number % 2 else [band("LTE", 791, 801), band("NR", 811, 821, duty=0.3)]
        store.add(sweep(number, *bands))
    draw_occupancy(store, tmp_path / "o.png")
    assert (tmp_path / "o.png").read_bytes()[:4] == b"\x89PNG"


def test_the_moments_of_a_picture_hold_every_sighting(store: Occupancy) -> None:
    for number in range(25):
        store.add(sweep(number, *([band("LTE", 791, 801, duty=0.5)] if number >= 10 else [])))
    sweeps, each, duty = store.history(5)
    assert (len(sweeps), each) == (25, 5)
    assert duty == {1: {2: 2.5, 3: 2.5, 4: 2.5}}


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM sweeps", "DELETE FROM sightings", "UPDATE bands SET freq_lower_edge = 'low'",
        "UPDATE bands SET freq_upper_edge = 1e999", "UPDATE sightings SET duty_cycle = 1e300",
        "UPDATE sweeps SET begun = 'yesterday'", "UPDATE sweeps SET begun = x'ff'", "DROP TABLE sightings",
    ],
)  # fmt: skip
def test_a_damaged_file_is_said(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "occupancy.db"
    store = Occupancy(path)
    store.add(sweep(0, band("LTE", 791, 801)))
    store.close()
    sqlite3.connect(path).execute(damage).connection.commit()
    with pytest.raises(AtaError, match=r"occupancy\.db (is damaged|cannot be used)"):
        Occupancy(path, read_only=True).bands()
