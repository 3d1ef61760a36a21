# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON lines and SigMF annotations, as other programs read them."""

import argparse
import errno
import fcntl
import json
import logging
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sigmf
from gnuradio.ata.errors import AtaError
from gnuradio.ata.iq_files import IqFiles, KeepIq, Tuned
from gnuradio.ata.iq_files import Recording as IqRecording
from gnuradio.ata.live import Totals
from gnuradio.ata.live_cli import _sinks, add_live
from gnuradio.ata.recordings import open_recording
from gnuradio.ata.records import Band, Record
from gnuradio.ata.sigmf_sink import SigmfAnnotations
from gnuradio.ata.sinks import JsonLines
from tiny_model import write_tiny_model

RATE = 25.6e6  # 100 kHz a column


def record(start: int, *bands: tuple[str, float, float], count: int = 1000, freq: float = 8e8) -> Record:
    """bands: (label, lower edge, upper edge) in MHz."""
    found = tuple(Band(label, 1e6 * low, 1e6 * high, 0.8, 10.0, 1.0) for label, low, high in bands)
    return Record(start // count, start, count, None, freq, RATE, "m-1", "e", False, 0, None, found)


def annotations(path: Path, *records: Record) -> list[tuple[str, int, int]]:
    sink = SigmfAnnotations(path)
    for r in records:
        sink.write(r)
    sink.close()
    notes = json.loads(path.read_text())["annotations"]
    return [(n["core:label"], n["core:sample_start"], n["core:sample_count"]) for n in notes]


def dataset(folder: Path, **head: object) -> Path:
    np.zeros(8000, np.int8).tofile(folder / "iq.sigmf-data")
    offset = head.get("core:offset", 0)
    meta = {
        "global": {"core:datatype": "ci8", "core:sample_rate": RATE, "core:version": "1.0.0", **head},
        "captures": [
            {"core:sample_start": offset, "core:frequency": 8e8, "core:datetime": "2026-01-01T00:00:00Z"},
            {"core:sample_start": offset + 2000, "core:frequency": 9e8},
        ],
        "annotations": [{"core:sample_start": offset, "core:label": "mine"}],
    }
    (folder / "iq.sigmf-meta").write_text(json.dumps(meta))
    return folder / "iq.sigmf-data"


def test_a_band_that_stays_is_one_annotation(tmp_path: Path) -> None:
    frames = [record(1000 * i, ("LTE", 795 + 0.1 * (i % 2), 805)) for i in range(4)]
    assert annotations(tmp_path / "a.sigmf-meta", *frames) == [("LTE", 0, 4000)]


def test_a_gap_a_label_or_an_edge_ends_a_run_and_all_are_sorted(tmp_path: Path) -> None:
    assert annotations(
        tmp_path / "a.sigmf-meta",
        record(0, ("LTE", 795, 805), ("NR", 806, 809)),
        record(1000, ("LTE", 795, 805)),
        record(2000, ("NR", 795, 805)),
        record(3000, ("NR", 795, 806)),
        record(5000, ("NR", 795, 806)),
    ) == [("LTE", 0, 2000), ("NR", 0, 1000), ("NR", 2000, 1000), ("NR", 3000, 1000), ("NR", 5000, 1000)]


def test_a_frame_moved_back_continues_a_run(tmp_path: Path) -> None:
    frames = [record(0, ("LTE", 795, 805)), record(1000, ("LTE", 795, 805)), record(1400, ("LTE", 795, 805))]
    assert annotations(tmp_path / "a.sigmf-meta", *frames) == [("LTE", 0, 2400)]


def test_an_edge_that_creeps_does_not_drag_a_run_along(tmp_path: Path) -> None:
    frames = [record(1000 * i, ("LTE", 795, 805 + 0.15 * i)) for i in range(12)]
    assert len(annotations(tmp_path / "a.sigmf-meta", *frames)) > 1


@pytest.mark.parametrize(("columns", "runs"), [(128, 1), (256, 2)])
def test_how_far_an_edge_may_wander_is_the_model_s_wherever_a_watch_writes_it(
    tmp_path: Path, columns: int, runs: int
) -> None:
    frames = [record(1000 * i, ("LTE", 795, 805 + 0.3 * i)) for i in range(2)]  # by 3 of 256 columns
    commands = argparse.ArgumentParser()
    add_live(commands.add_subparsers())
    model = write_tiny_model(tmp_path / "tiny.onnx", columns=columns)
    args = commands.parse_args(
        ["live", "--source", "rtl=0", "--model", str(model), "--sigmf", str(tmp_path / "found.sigmf-meta")]
    )
    (sink,) = _sinks(args, Totals())
    for frame in frames:
        sink.write(frame)
    sink.close()
    files = IqFiles(KeepIq(str(tmp_path / "iq"), 1e9), RATE, "sim", 0, columns)
    recording = IqRecording(0, RATE, [Tuned(0, 8e8, (1_700_000_000, 0.0))], records=frames)
    files.begin(recording)
    files.add(recording, np.ones(2000, np.complex64))
    files.end(recording)
    files.close()
    (kept,) = (tmp_path / "iq").glob("*.sigmf-meta")
    for path in (tmp_path / "found.sigmf-meta", kept):
        assert len(json.loads(path.read_text())["annotations"]) == runs


@pytest.mark.filterwarnings("ignore:Data source ends")  # the sigmf package leaves core:offset out of that sum
def test_other_programs_read_the_annotations_beside_their_samples(tmp_path: Path) -> None:
    """All that the schema leaves open: extensions, dataset, captures, order; and it validates."""
    out = tmp_path / "found.sigmf-meta"
    sink = SigmfAnnotations(out, dataset(tmp_path, **{"core:offset": 500}))
    sink.write(record(0, ("LTE", 795, 805), count=2000))
    sink.write(record(2000, ("NR", 895, 905), count=2000, freq=9e8))
    sink.close()
    read = sigmf.fromfile(str(out))
    read.validate()
    head = read.get_global_info()
    assert head["core:dataset"] == "iq.sigmf-data"
    assert (head["core:datatype"], head["core:sample_rate"], head["core:offset"]) == ("ci8", RATE, 500)
    assert {e["name"] for e in head["core:extensions"]} == {"ata", "signal"}
    assert [(c["core:sample_start"], c["core:frequency"]) for c in read.get_captures()] == [(500, 8e8), (2500, 9e8)]
    first, second = read.get_annotations()
    assert (first["core:sample_start"], second["core:sample_start"]) == (500, 2500)
    assert first["signal:detail"]["standard"] == "3gpp_lte"
    assert first["ata:confidence"] == 0.8
    assert "m-1" in first["core:generator"]


def test_a_file_somewhere_else_names_its_samples_from_there(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    out = tmp_path / "results" / "found.sigmf-meta"
    sink = SigmfAnnotations(out, dataset(tmp_path))
    sink.close()
    named = json.loads(out.read_text())["global"]["core:dataset"]
    assert (out.parent / named).resolve() == tmp_path / "iq.sigmf-data"


@pytest.mark.parametrize(("out", "samples"), [("link", "."), (".", "link"), ("link", "link")])
def test_samples_are_found_through_linked_folders(tmp_path: Path, out: str, samples: str) -> None:
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "away")
    meta = tmp_path / out / "found.sigmf-meta"
    sink = SigmfAnnotations(meta, dataset(tmp_path / samples))
    sink.write(record(0))
    sink.close()
    assert open_recording(meta).path.samefile(tmp_path / samples / "iq.sigmf-data")


@pytest.mark.parametrize("name", ["iq.sigmf-data", "iq.sigmf-meta", "iq"])
def test_the_type_of_the_samples_is_what_their_metadata_say(tmp_path: Path, name: str) -> None:
    dataset(tmp_path)
    out = tmp_path / "found.sigmf-meta"
    SigmfAnnotations(out, tmp_path / name).close()
    head = json.loads(out.read_text())["global"]
    assert (head["core:datatype"], head["core:dataset"]) == ("ci8", "iq.sigmf-data")


def test_what_stands_around_the_samples_is_said_too(tmp_path: Path) -> None:
    """A file with a header and a trailer, under a name of its own: the annotations still lead to its samples."""
    (tmp_path / "blue.tmp").write_bytes(b"H" * 512 + bytes(range(200)) + b"T" * 24)
    meta = {
        "global": {"core:datatype": "ci8", "core:sample_rate": RATE, "core:version": "1.0.0", "core:dataset": "blue.tmp",
                   "core:trailing_bytes": 24},
        "captures": [{"core:sample_start": 0, "core:frequency": 8e8, "core:header_bytes": 512}],
        "annotations": [],
    }  # fmt: skip
    (tmp_path / "r.sigmf-meta").write_text(json.dumps(meta))
    recording = open_recording(tmp_path / "r.sigmf-meta")
    out = tmp_path / "found.sigmf-meta"
    sink = SigmfAnnotations(out, recording)
    sink.write(record(0, ("LTE", 795, 805)))
    sink.close()
    again = open_recording(out)
    assert again.samples == recording.samples == 100 and again.center_freq == 8e8
    assert np.array_equal(again.read(0, 100), recording.read(0, 100))


def test_a_gap_that_indices_alone_tell_of_is_said_too(tmp_path: Path) -> None:
    data = dataset(tmp_path)
    meta = json.loads((tmp_path / "iq.sigmf-meta").read_text())
    meta["captures"] = [{"core:sample_start": at, "core:global_index": 5 * at} for at in (0, 2000)]
    (tmp_path / "iq.sigmf-meta").write_text(json.dumps(meta))
    out = tmp_path / "found.sigmf-meta"
    sink = SigmfAnnotations(out, data)
    sink.write(record(0))
    sink.close()
    assert open_recording(out).captures == open_recording(data).captures
    assert len(open_recording(out).captures) == 2


def test_a_change_of_rate_is_warned_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    records = [replace(record(1000 * i), samp_rate=rate) for i, rate in enumerate((RATE, RATE, 2e6, RATE))]
    with caplog.at_level(logging.WARNING, "ata"):
        annotations(tmp_path / "a.sigmf-meta", *records[:2])
        assert not caplog.records
        annotations(tmp_path / "a.sigmf-meta", *records)
    (said,) = caplog.messages
    assert "before sample 2000 it was 25600000 Hz, from there on 2000000 Hz" in said


def test_raw_samples_need_a_type(tmp_path: Path) -> None:
    np.zeros(100, np.uint8).tofile(tmp_path / "raw.iq")
    out = tmp_path / "found.sigmf-meta"
    with pytest.raises(AtaError, match=r"raw.iq has no SigMF metadata beside it: give the data type"):
        SigmfAnnotations(out, tmp_path / "raw.iq")
    with pytest.raises(AtaError, match="'u8' is not read"):
        SigmfAnnotations(out, tmp_path / "raw.iq", "u8")
    assert not out.exists()
    SigmfAnnotations(out, tmp_path / "raw.iq", "cu8").close()
    assert json.loads(out.read_text())["global"]["core:datatype"] == "cu8"


def test_metadata_that_somebody_wrote_are_never_overwritten(tmp_path: Path) -> None:
    data = dataset(tmp_path)
    before = (tmp_path / "iq.sigmf-meta").read_text()
    with pytest.raises(AtaError, match="did not write"):
        SigmfAnnotations(tmp_path / "iq.sigmf-meta", data)
    assert (tmp_path / "iq.sigmf-meta").read_text() == before


def test_a_recording_that_was_kept_is_no_earlier_annotations(tmp_path: Path) -> None:
    files = IqFiles(KeepIq(str(tmp_path), 1e9), RATE, "sim", 0)
    recording = IqRecording(0, RATE, [Tuned(0, 8e8, (1_700_000_000, 0.0))])
    files.begin(recording)
    files.add(recording, np.ones(1000, np.complex64))
    files.end(recording)
    files.close()
    (kept,) = tmp_path.glob("*.sigmf-meta")
    before = kept.read_text()
    with pytest.raises(AtaError, match="did not write"):
        SigmfAnnotations(kept)
    assert kept.read_text() == before and open_recording(kept).samples == 1000


def test_a_file_too_large_for_metadata_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.sigmf-meta"
    annotations(path)
    with path.open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(AtaError, match="did not write"):
        SigmfAnnotations(path)


def test_annotations_of_an_earlier_run_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.sigmf-meta"
    assert annotations(path, record(0, ("LTE", 795, 805))) == [("LTE", 0, 1000)]
    assert annotations(path, record(0, ("NR", 795, 805))) == [("NR", 0, 1000)]


def test_every_finished_line_is_there_before_the_next(tmp_path: Path) -> None:
    sink = JsonLines(tmp_path / "r.jsonl")
    for i in range(3):
        sink.write(record(1000 * i))
        lines = (tmp_path / "r.jsonl").read_text().splitlines()
        assert [json.loads(line)["frame"] for line in lines] == list(range(i + 1))


def test_a_run_without_records_leaves_a_file_that_is_valid(tmp_path: Path) -> None:
    SigmfAnnotations(tmp_path / "x.sigmf-meta").close()
    sigmf.sigmffile.SigMFFile(metadata=json.loads((tmp_path / "x.sigmf-meta").read_text())).validate()


def test_annotations_that_come_to_nothing_leave_no_file(tmp_path: Path) -> None:
    (tmp_path / "link.sigmf-meta").symlink_to("there.sigmf-meta")
    for name in ("a.sigmf-meta", "link.sigmf-meta"):
        SigmfAnnotations(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["link.sigmf-meta"]


def test_a_file_that_others_empty_goes_on_from_its_beginning(tmp_path: Path) -> None:
    sink = JsonLines(tmp_path / "r.jsonl")
    sink.write(record(0))
    os.truncate(tmp_path / "r.jsonl", 0)  # as logrotate does with copytruncate
    sink.write(record(1000))
    sink.close()
    assert [json.loads(line)["frame"] for line in (tmp_path / "r.jsonl").read_text().splitlines()] == [1]


def test_a_file_that_somebody_writes_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text("of a run before, and longer than one record\n" * 20)
    first = JsonLines(path)
    first.write(record(0))
    with pytest.raises(AtaError, match="another block or program"):
        JsonLines(path)
    first.write(record(1000))
    first.close()
    assert [json.loads(line)["frame"] for line in path.read_text().splitlines()] == [0, 1]
    JsonLines(path).close()
    assert path.read_text() == ""


@pytest.mark.parametrize("earlier", [True, False])
@pytest.mark.parametrize("written", [True, False])
def test_annotations_that_somebody_writes_are_left_alone(tmp_path: Path, earlier: bool, written: bool) -> None:
    path = tmp_path / "a.sigmf-meta"
    if earlier:
        annotations(path, record(0, ("NR", 795, 805)))
    first = SigmfAnnotations(path)
    first.write(record(0, ("LTE", 795, 805)))
    for _ in range(2 * written):  # the file is another each time
        first.flush()
    before = path.read_bytes()
    with pytest.raises(AtaError, match=r"a\.sigmf-meta is being written by another block or program; name another file"):
        SigmfAnnotations(path)
    assert path.read_bytes() == before
    first.write(record(1000, ("LTE", 795, 805)))
    first.close()
    assert [n["core:sample_count"] for n in json.loads(path.read_text())["annotations"]] == [2000]
    assert annotations(path, record(0, ("NR", 795, 805))) == [("NR", 0, 1000)]  # free again
    assert list(tmp_path.iterdir()) == [path]


def test_annotations_that_went_are_not_written_over_those_that_came(tmp_path: Path) -> None:
    path = tmp_path / "a.sigmf-meta"
    first = SigmfAnnotations(path)
    first.flush()
    path.unlink()
    first.flush()
    assert json.loads(path.read_text())["annotations"] == []
    path.unlink()
    second = SigmfAnnotations(path)
    second.write(record(0, ("NR", 795, 805)))
    with pytest.raises(AtaError, match="another block or program"):
        first.close()
    second.close()
    assert [n["core:label"] for n in json.loads(path.read_text())["annotations"]] == ["NR"]


def test_a_killed_program_holds_no_annotations(tmp_path: Path) -> None:
    path = tmp_path / "a.sigmf-meta"
    program = "import sys; from gnuradio.ata.sigmf_sink import *; x = SigmfAnnotations(sys.argv[1]); x.flush()"
    command = [sys.executable, "-c", f"{program}; print(flush=True); input()", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline()
        with pytest.raises(AtaError, match="another block or program"):
            SigmfAnnotations(path)
        other.kill()
    assert annotations(path, record(0, ("NR", 795, 805))) == [("NR", 0, 1000)]
    assert list(tmp_path.iterdir()) == [path]


def test_where_nothing_is_locked_annotations_are_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(file: object, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    path = tmp_path / "a.sigmf-meta"
    assert annotations(path, record(0, ("LTE", 795, 805))) == [("LTE", 0, 1000)]
    assert annotations(path, record(0, ("NR", 795, 805))) == [("NR", 0, 1000)]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("sink", [JsonLines, SigmfAnnotations])
def test_what_cannot_be_written_is_said_at_once(tmp_path: Path, sink: type) -> None:
    with pytest.raises(AtaError, match="cannot be written"):
        sink(tmp_path / "no" / "such" / "file")


def test_annotations_whose_folder_takes_no_file_beside_them_are_refused_at_once(tmp_path: Path) -> None:
    """They are written to the end under another name, so that nobody reads half of them."""
    longest = tmp_path / f"{'x' * 244}.sigmf-meta"
    with pytest.raises(AtaError, match="cannot be written: File name too long"):
        SigmfAnnotations(longest)
    assert not list(tmp_path.iterdir())
    path = tmp_path / "a.sigmf-meta"
    annotations(path, record(0, ("LTE", 795, 805)))
    before = path.read_text()
    (tmp_path / "a.sigmf-meta.part").mkdir()
    with pytest.raises(AtaError, match="cannot be written: Is a directory"):
        SigmfAnnotations(path)
    assert path.read_text() == before


def test_annotations_that_do_not_fit_leave_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.sigmf-meta"
    annotations(path, record(0, ("LTE", 795, 805)))
    before = path.read_text()
    sink = SigmfAnnotations(path)
    sink.write(record(0, ("NR", 795, 805)))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(AtaError, match="cannot be written"):
            sink.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_text() == before and list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_one_sentence() -> None:
    with pytest.raises(AtaError, match="No space"):
        JsonLines("/dev/full").write(record(0))
