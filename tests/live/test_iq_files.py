# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of kept IQ: which recordings make room, and what becomes of those that somebody removes or a kill leaves."""

from pathlib import Path

import numpy as np
import pytest
from gnuradio.ata.errors import AtaError
from gnuradio.ata.iq_files import IqFiles, KeepIq, Recording, Tuned

RATE, FREQ = 2e6, 800e6


@pytest.mark.parametrize("year", ["2026", "9999"])
def test_recordings_that_a_clock_once_ahead_named_are_the_oldest(tmp_path: Path, year: str) -> None:
    folder = tmp_path / "iq"
    folder.mkdir()
    for i in range(3):
        (folder / f"ata-iq-{year}0101T00000{i}.000000Z-{i}.sigmf-data").write_bytes(bytes(1_900_000))
    files = IqFiles(KeepIq(str(folder), 8e6), RATE, "a test", 0)
    made = [Recording(1000 * i, RATE, [Tuned(1000 * i, FREQ, (4_000_000_000 - 10 * i, 0.0))]) for i in range(3)]
    for recording in made:  # dated backwards, and by a radio whose clock is ahead
        files.begin(recording)
        files.add(recording, np.zeros(200_000, np.complex64))
        files.end(recording)
    files.close()
    left = sorted(int(path.stem.rpartition("-")[2]) for path in folder.glob("*.sigmf-data"))
    assert (files.counts.lost, left) == (0, [0, 1, 2, 1000, 2000])
    assert {path.stem for path in folder.glob("*.sigmf-meta")} == {recording.path.name for recording in made}


def test_a_recording_that_is_gone_before_its_end_is_not_described(tmp_path: Path) -> None:
    files = IqFiles(KeepIq(str(tmp_path), 1e9), RATE, "a test", 0)
    recording = Recording(0, RATE, [Tuned(0, FREQ, None)])
    files.begin(recording)
    files.add(recording, np.zeros(1000, np.complex64))
    files.close()
    recording.path.with_name(recording.path.name + ".sigmf-data").unlink()
    files._end(recording)
    assert list(tmp_path.iterdir()) == []


def test_what_a_kill_leaves_of_metadata_goes_with_the_oldest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the kill comes: when half of a recording's files are there, or metadata that have not their name yet."""

    def killed(*_: object) -> None:
        raise SystemExit

    for number, what in enumerate(("replace", "touch")):
        files = IqFiles(KeepIq(str(tmp_path), 1e9), RATE, "a test", 0)
        monkeypatch.setattr(Path, what, killed)
        with pytest.raises(SystemExit):
            files._begin(Recording(number, RATE, [Tuned(number, FREQ, (1_700_000_000, 0.0))]))
        monkeypatch.undo()
    assert list(tmp_path.iterdir())
    for data in tmp_path.glob("*.sigmf-data"):
        data.write_bytes(bytes(1_000_000))
    IqFiles(KeepIq(str(tmp_path), 1e6), RATE, "a test", 0)._begin(Recording(2, RATE, [Tuned(2, FREQ, None)]))
    assert {path.name.partition("Z-")[2] for path in tmp_path.iterdir()} == {"2.sigmf-data", "2.sigmf-meta"}


def test_a_recording_that_is_removed_while_it_is_written_stays_gone(tmp_path: Path) -> None:
    """By somebody, or by another watch that makes room in the same folder; what comes after is lost, and counted."""
    files = IqFiles(KeepIq(str(tmp_path), 1e9), RATE, "a test", 0)
    recording = Recording(0, RATE, [Tuned(0, FREQ, None)])
    files._begin(recording)
    files._add(recording, np.zeros(1000, np.complex64))
    for path in tmp_path.iterdir():
        path.unlink()
    for _ in range(2):
        files.add(recording, np.ones(500, np.complex64))
    files.end(recording)
    files.close()
    assert list(tmp_path.iterdir()) == []
    assert (files.counts.samples, files.counts.lost) == (1000, 1000)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"datatype": "cu8"}, "kept as"),
        ({"before": -1.0}, "0 to 10 s before"),
        ({"folder": "/dev/null"}, "takes no recordings"),
        ({"max_bytes": 10.0}, "0.5 s around a band take 4 MB at 2 MS/s"),
    ],
)
def test_what_cannot_be_kept_is_one_sentence(tmp_path: Path, change: dict, says: str) -> None:
    with pytest.raises(AtaError, match=says):
        KeepIq(**{"folder": str(tmp_path), "max_bytes": 1e8, **change}).check(RATE)
