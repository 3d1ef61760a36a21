# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are set aside before they become too large or too old, and lose nothing."""

import json
import os
import re
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import sigmf
from gnuradio.ata.errors import AtaError
from gnuradio.ata.records import Band, Record, utc
from gnuradio.ata.rotation import Rotating, oldest_beyond
from gnuradio.ata.sigmf_sink import SigmfAnnotations
from gnuradio.ata.sinks import JsonLines

RATE = 1e6
NAME = re.compile(r"r-\d{8}T\d{6}Z(-\d+)?\.(jsonl|sigmf-meta)")


def record(frame: int, away: float = 0.0) -> Record:
    """One band; every other frame elsewhere. away: s that the radio was away before it."""
    low = 8e8 + 1e5 * (frame % 2)
    bands = (Band("LTE", low, low + 5e4, 0.8, 10.0, 1.0),)
    time = utc(1_700_000_000, 0.01 * frame + away)
    return Record(frame, 10_000 * frame, 10_000, time, 8e8, RATE, "m-1", "e", False, 0, None, bands)


def in_order(folder: Path) -> list[Path]:
    """The files set aside, oldest first, then the one in use."""
    number = re.compile(r"(Z)(?:-(\d+))?\.")
    aside = [p for p in folder.iterdir() if NAME.fullmatch(p.name)]
    aside.sort(key=lambda p: (p.name.partition("Z")[0], int(number.search(p.name)[2] or 1)))
    return [*aside, *(p for p in folder.iterdir() if p.stem == "r")]


def frames(path: Path) -> list[int]:
    return [json.loads(line)["frame"] for line in path.read_text().splitlines()]


def test_no_record_is_lost_between_two_files(tmp_path: Path) -> None:
    sink = Rotating(tmp_path / "r.jsonl", JsonLines, 2000, float("inf"))
    for i in range(40):
        sink.write(record(i))
        assert frames(tmp_path / "r.jsonl")[-1] == i  # written at once
    sink.close()
    files = in_order(tmp_path)
    assert len(files) == len(list(tmp_path.iterdir())) > 5
    assert [i for path in files for i in frames(path)] == list(range(40))
    assert all(path.stat().st_size < 2000 + 500 for path in files)


def test_a_file_that_is_too_old_is_set_aside(tmp_path: Path) -> None:
    sink = Rotating(tmp_path / "r.jsonl", JsonLines, float("inf"), 0.0)
    for i in range(3):
        sink.write(record(i))
    sink.close()
    assert [frames(path) for path in in_order(tmp_path)] == [[0], [1], [2]]


@pytest.mark.parametrize("created", [None, b"", b"of another\n"])
def test_a_file_that_others_remove_or_move_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, created: bytes | None
) -> None:
    """`rm`, or logrotate, which may put an empty file in its place."""
    sink = Rotating(tmp_path / "r.jsonl", JsonLines)
    sink.write(record(0))
    (tmp_path / "r.jsonl").rename(tmp_path / "moved")
    sink.write(record(1))
    assert frames(tmp_path / "moved") == [0, 1] and not (tmp_path / "r.jsonl").exists()
    if created is not None:
        (tmp_path / "r.jsonl").write_bytes(created)
    monkeypatch.setattr("gnuradio.ata.rotation.FLUSH_EVERY", -1.0)
    for i in (2, 3):
        sink.write(record(i))
    sink.close()
    assert frames(tmp_path / "moved") == [0, 1] and frames(tmp_path / "r.jsonl") == [2, 3]
    assert [path.read_bytes() for path in in_order(tmp_path)[:-1]] == ([created] if created else [])


def test_what_an_earlier_run_left_is_set_aside_under_its_date(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text("of yesterday\n")
    os.utime(tmp_path / "r.jsonl", (1_700_000_000, 1_700_000_000))
    sink = Rotating(tmp_path / "r.jsonl", JsonLines, 1e9, 1e9)
    sink.write(record(0))
    sink.close()
    assert (tmp_path / "r-20231114T221320Z.jsonl").read_text() == "of yesterday\n"
    assert frames(tmp_path / "r.jsonl") == [0]


def test_a_file_that_another_watch_writes_is_left_to_it(tmp_path: Path) -> None:
    first = Rotating(tmp_path / "r.jsonl", JsonLines)
    first.write(record(0))
    with pytest.raises(AtaError, match=r"r\.jsonl is being written by another block or program; name another file"):
        Rotating(tmp_path / "r.jsonl", JsonLines)
    first.write(record(1))
    first.close()
    assert [frames(path) for path in tmp_path.iterdir()] == [[0, 1]]
    Rotating(tmp_path / "r.jsonl", JsonLines).close()  # free again
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("written", [True, False])
def test_annotations_that_another_watch_writes_are_left_to_it(tmp_path: Path, written: bool) -> None:
    sink = Rotating(tmp_path / "r.sigmf-meta", SigmfAnnotations, max_bytes=2000)
    for i in range(24):
        sink.write(record(i))
    if written:
        sink.flush()
    before = in_order(tmp_path)
    with pytest.raises(AtaError, match=r"r\.sigmf-meta is being written by another block or program; name another file"):
        Rotating(tmp_path / "r.sigmf-meta", SigmfAnnotations, keep_bytes=1)
    assert in_order(tmp_path) == before and len(before) > 3
    sink.close()
    Rotating(tmp_path / "r.sigmf-meta", SigmfAnnotations).close()  # free again
    assert len(in_order(tmp_path)) == len(before) + 1 == len(list(tmp_path.iterdir()))


def test_the_oldest_go_when_there_is_no_room(tmp_path: Path) -> None:
    others = [tmp_path / name for name in ("r-notes.jsonl", "s-20260101T000000Z.jsonl", "r-20260101T000000Z.sigmf-meta")]
    for path in others:
        path.write_text(5000 * "x")
    (tmp_path / "r-20231114T221320Z.jsonl").write_text(2000 * "x")
    sink = Rotating(tmp_path / "r.jsonl", JsonLines, 2000, keep_bytes=7000)
    assert (tmp_path / "r-20231114T221320Z.jsonl").exists()
    for i in range(80):
        sink.write(record(i))
    sink.close()
    *aside, used = [path for path in in_order(tmp_path) if path not in others]
    assert 4000 < sum(path.stat().st_size for path in aside) <= 7000
    left = [i for path in [*aside, used] for i in frames(path)]
    assert left == list(range(left[0], 80)) and left[0] > 40
    assert all(path.exists() for path in others)


def test_files_that_a_clock_once_ahead_named_are_the_oldest(tmp_path: Path) -> None:
    ahead = [tmp_path / f"r-9999010{day}T000000Z.jsonl" for day in (1, 2)]
    for path in ahead:
        path.write_text(3000 * "x")
    (tmp_path / "r-20260101T000000Z.jsonl").write_text(500 * "x")
    sink = Rotating(tmp_path / "r.jsonl", JsonLines, 500, keep_bytes=7000)
    assert all(path.exists() for path in ahead)
    for i in range(12):
        sink.write(record(i))
    sink.close()
    assert not ahead[0].exists() and (tmp_path / "r-20260101T000000Z.jsonl").exists()
    aside = [path for path in in_order(tmp_path) if path not in ahead]
    assert [i for path in aside[1:] for i in frames(path)] == list(range(12))


def test_what_others_take_away_and_folders_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    aside = [tmp_path / f"r-2026010{day}T000000Z.jsonl" for day in (1, 2, 3, 4)]
    aside[0].mkdir()
    aside[1].symlink_to(tmp_path / "gone")  # as a file is that went since its folder was read
    for path in aside[2:]:
        path.write_text(5000 * "x")

    def taken_by_another(allowed: float, files: list[Path]) -> list[Path]:
        going = oldest_beyond(allowed, files)
        for path in going:
            path.unlink()
        return going

    monkeypatch.setattr("gnuradio.ata.rotation.oldest_beyond", taken_by_another)
    sink = Rotating(tmp_path / "r.jsonl", JsonLines, keep_bytes=7000)
    sink.write(record(0))
    sink.close()
    assert [os.path.lexists(path) for path in aside] == [True, True, False, True]


def test_what_is_not_there_holds_nothing(tmp_path: Path) -> None:
    files = [tmp_path / name for name in "abc"]
    for path in (files[0], files[2]):
        path.write_text(1000 * "x")
    assert oldest_beyond(1500, files) == files[:1]
    assert oldest_beyond(2000, files) == []
    assert oldest_beyond(0, files) == files


@pytest.mark.parametrize("meta", [b'{"global": {"core:description": "mine"}}', 99_999 * b"[", b"notes"])
def test_metadata_of_somebody_else_stay_and_do_not_count(tmp_path: Path, meta: bytes) -> None:
    mine, old = tmp_path / "r-20200101T000000Z.sigmf-meta", tmp_path / "r-20200102T000000Z.sigmf-meta"
    mine.write_bytes(meta)
    SigmfAnnotations(old).close()
    sink = Rotating(tmp_path / "r.sigmf-meta", SigmfAnnotations, max_bytes=0, keep_bytes=4000)
    assert old.exists()
    for i in range(12):
        sink.write(record(i))
    sink.close()
    assert mine.read_bytes() == meta and not old.exists()
    kept = [path for path in in_order(tmp_path) if path != mine]
    assert 2 < len(kept) < 12 and sum(path.stat().st_size for path in kept[:-1]) <= 4000


def test_a_device_is_never_set_aside() -> None:
    sink = Rotating("/dev/null", JsonLines, 1, 0)
    for i in range(3):
        sink.write(record(i))
    sink.close()
    assert Path("/dev/null").is_char_device()


def test_a_pipe_is_written_to_its_end(tmp_path: Path) -> None:
    """Opened anew it would wait for another reader."""
    pipe, read = tmp_path / "r.jsonl", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.extend(frames(pipe)), daemon=True)
    reader.start()
    sink = Rotating(pipe, JsonLines, 1, 0)
    for i in range(3):
        sink.write(record(i))
    sink.close()
    reader.join()
    assert read == [0, 1, 2] and pipe.is_fifo()


def test_of_a_link_the_file_is_set_aside_where_it_lies(tmp_path: Path) -> None:
    """A link from a small disk to a large one: what is set aside counts, and goes, there."""
    large = tmp_path / "large"
    large.mkdir()
    link = tmp_path / "r.jsonl"
    link.symlink_to(large / "r.jsonl")
    sink = Rotating(link, JsonLines, 1, keep_bytes=1500)
    for i in range(12):
        sink.write(record(i))
    sink.close()
    assert link.is_symlink() and frames(link) == [11]
    assert [p.name for p in tmp_path.iterdir() if p.name != "large"] == ["r.jsonl"]
    aside = [p for p in large.iterdir() if p.name != "r.jsonl"]
    assert 1 <= len(aside) < 6


def test_annotations_are_set_aside_whole_and_valid(tmp_path: Path) -> None:
    sink = Rotating(tmp_path / "r.sigmf-meta", SigmfAnnotations, 2000, float("inf"))
    for i in range(24):
        sink.write(record(i, away=3600 if i >= 13 else 0))
    sink.close()
    files = in_order(tmp_path)
    assert len(files) > 3
    read = [sigmf.fromfile(str(path)) for path in files]
    for each in read:
        each.validate()
        assert each.get_global_info()["core:metadata_only"]
        start, capture = each.get_annotations()[0]["core:sample_start"], each.get_captures()[0]
        assert capture["core:sample_start"] == start
        assert capture["core:datetime"] == record(start // 10_000, away=3600 * (start >= 130_000)).time
    starts = [note["core:sample_start"] for each in read for note in each.get_annotations()]
    assert starts == [10_000 * i for i in range(24)]
    captures = [c["core:sample_start"] for each in read for c in each.get_captures()]
    assert 130_000 in captures  # where the radio came back, with its new time


def test_a_file_without_bands_grows_old_too(tmp_path: Path) -> None:
    sink = Rotating(tmp_path / "r.sigmf-meta", SigmfAnnotations, max_seconds=0.0)
    for i in range(2):
        sink.write(replace(record(i), bands=()))
    sink.close()
    assert len(in_order(tmp_path)) == 2


def test_annotations_in_use_are_written_every_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gnuradio.ata.rotation.FLUSH_EVERY", -1.0)
    sink = Rotating(tmp_path / "r.sigmf-meta", SigmfAnnotations, 1e9, 1e9)
    sink.write(record(0))
    assert len(json.loads((tmp_path / "r.sigmf-meta").read_text())["annotations"]) == 1


def test_a_folder_that_takes_no_other_name_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / f"{'x' * 240}.jsonl"
    path.write_text("full of names\n")
    with pytest.raises(AtaError, match="cannot be set aside"):
        Rotating(path, JsonLines, 1e9, 1e9)
