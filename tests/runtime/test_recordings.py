# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SigMF and raw IQ in every type, and what is said of files that do not fit."""

import json
import logging
import os
from pathlib import Path

import numpy as np
import pytest
from gnuradio.ata.errors import AtaError
from gnuradio.ata.recordings import files_of, open_described, open_recording

SAMPLES = np.array([0.5 - 0.25j, -1 + 0j, 0.125 + 0.75j, -0.5 - 0.5j], np.complex64)


def encode(datatype: str) -> bytes:
    pairs = SAMPLES.view(np.float32)
    kind, _, order = datatype.partition("_")
    types = {"cf32": "f4", "cf64": "f8", "ci16": "i2", "ci8": "i1", "ci32": "i4", "cu8": "u1", "cu16": "u2"}
    scale = {"ci16": 2**15, "ci8": 2**7, "ci32": 2**31, "cu8": 2**7, "cu16": 2**15}.get(kind, 1)
    offset = {"cu8": 127.5, "cu16": 2**15 - 0.5}.get(kind, 0)
    values = pairs.astype(np.float64) * scale + offset
    if kind.startswith(("ci", "cu")):
        limits = np.iinfo(types[kind])
        values = np.clip(np.round(values), limits.min, limits.max)
    return values.astype((">" if order == "be" else "<") + types[kind]).tobytes()


def sigmf(folder: Path, data: bytes, captures: list[dict] | None = None, **head: object) -> Path:
    meta = {
        "global": {"core:datatype": "cf32_le", "core:sample_rate": 1e6, "core:version": "1.0.0", **head},
        "captures": captures if captures is not None else [{"core:sample_start": 0, "core:frequency": 8e8}],
        "annotations": [],
    }
    (folder / "x.sigmf-data").write_bytes(data)
    path = folder / "x.sigmf-meta"
    path.write_text(json.dumps(meta))
    return path


@pytest.mark.parametrize(
    "datatype",
    ["cf32_le", "cf32_be", "cf64_le", "ci16_le", "ci16_be", "ci32_le", "ci8", "cu8", "cu16_le", "cu16_be"],
)
def test_every_type_gives_the_same_samples(tmp_path: Path, datatype: str) -> None:
    recording = open_recording(sigmf(tmp_path, encode(datatype), **{"core:datatype": datatype}))
    assert (recording.samples, recording.samp_rate, recording.center_freq) == (4, 1e6, 8e8)
    tolerance = 1 / 128 if datatype in ("ci8", "cu8") else 1e-4
    np.testing.assert_allclose(recording.read(0, 4), SAMPLES, atol=tolerance)
    raw = open_recording(tmp_path / "x.sigmf-data")
    assert np.array_equal(raw.read(1, 2), recording.read(0, 4)[1:3])


def test_raw_iq_needs_rate_and_type(tmp_path: Path) -> None:
    path = tmp_path / "dump.bin"
    path.write_bytes(encode("ci16_le"))
    with pytest.raises(AtaError, match="--rate"):
        open_recording(path)
    assert open_recording(path, rate=2.4e6, freq=9e8, datatype="ci16_le").center_freq == 9e8


def test_sigmf_without_a_rate_needs_one_too(tmp_path: Path) -> None:
    path = sigmf(tmp_path, encode("cf32_le"))
    meta = json.loads(path.read_text())
    del meta["global"]["core:sample_rate"]
    path.write_text(json.dumps(meta))
    with pytest.raises(AtaError, match=r"x\.sigmf-meta does not say its sample rate: give it \(--rate 2\.4e6\)$"):
        open_recording(path)
    with pytest.raises(AtaError, match=r"give it \(samp_rate 2\.4e6\)$"):
        open_recording(path, names=("samp_rate", "center_freq", "datatype"))
    for opens in (open_described, files_of):  # whose callers have no such option
        with pytest.raises(AtaError, match=r"add core:sample_rate, in Hz, to its global$"):
            opens(path)
    for opens in (open_recording, open_described):
        assert opens(path, 2e6).samp_rate == 2e6
    with pytest.raises(AtaError, match="a sample rate of -1 Hz makes no sense"):
        open_recording(path, -1.0)


def test_empty_metadata_beside_raw_iq_say_nothing(tmp_path: Path) -> None:
    path = tmp_path / "dump.bin"
    path.write_bytes(encode("ci16_le"))
    (tmp_path / "dump.bin.sigmf-meta").touch()
    assert open_recording(path, rate=2.4e6, datatype="ci16_le").samples == 4


def test_captures_are_retunes_with_their_own_time(tmp_path: Path) -> None:
    captures = [
        {"core:sample_start": 0, "core:frequency": 8e8, "core:datetime": "2026-01-02T03:04:05.250000Z"},
        {"core:sample_start": 3, "core:frequency": 9e8},
    ]
    first, second = open_recording(sigmf(tmp_path, encode("cf32_le"), captures)).captures
    assert (first.start, first.count, first.center_freq) == (0, 3, 8e8)
    assert first.time(750_000, 1e6) == (1767323046, 0.0)
    assert (second.start, second.count, second.center_freq, second.time(0, 1e6)) == (3, 1, 9e8, None)


def test_a_capture_without_a_frequency_has_that_of_the_one_before(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    captures = [
        {"core:sample_start": 0, "core:frequency": 8e8, "core:datetime": "2026-01-02T03:04:05Z"},
        {"core:sample_start": 1, "core:datetime": "2026-01-02T03:04:12Z"},  # after an overflow
        {"core:sample_start": 2, "core:frequency": 9e8},
        {"core:sample_start": 3},
    ]
    recording = open_recording(sigmf(tmp_path, encode("cf32_le"), captures))
    assert [(c.start, c.center_freq) for c in recording.captures] == [(0, 8e8), (1, 8e8), (2, 9e8)]
    assert not caplog.messages
    with pytest.raises(AtaError, match="recorded at 800000000 Hz, which --freq 850000000 cannot change"):
        open_recording(tmp_path / "x.sigmf-meta", freq=8.5e8)


def test_the_first_captures_have_the_frequency_that_is_given(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    captures = [{"core:sample_start": at} for at in range(4)]
    for capture in captures:
        capture["core:datetime"] = f"2026-01-02T03:04:0{capture['core:sample_start']}Z"
    captures[2]["core:frequency"] = 9e8
    path = sigmf(tmp_path, encode("cf32_le"), captures)
    with caplog.at_level(logging.WARNING, "ata"):
        assert [c.center_freq for c in open_recording(path, freq=8e8).captures] == [8e8, 8e8, 9e8, 9e8]
        assert not caplog.messages
        for _ in range(2):
            assert [c.center_freq for c in open_recording(path).captures] == [0, 0, 9e8, 9e8]
        assert [text.partition(".sigmf-data ")[2] for text in caplog.messages] == [
            "says the frequency of its later captures alone: the first count as 0 Hz"
        ]
        del captures[2]["core:frequency"]
        assert not open_recording(sigmf(tmp_path, encode("cf32_le"), captures)).tuned
    assert len(caplog.messages) == 1


@pytest.mark.parametrize(
    ("seconds", "began"),
    [
        ((None, None), [None]),
        (("00.000000", None), ["00.000000"]),
        ((None, "00.500000"), ["00.499997"]),
        (("00.000000", "00.000003"), ["00.000000"]),
        (("00.000000", "00.000008"), ["00.000000", "00.000008"]),
        (("00.000008", "00.000000"), ["00.000008", "00.000000"]),
    ],
)
def test_captures_that_go_on_are_one(tmp_path: Path, seconds: tuple[str | None, ...], began: list[str | None]) -> None:
    captures = [{"core:sample_start": at, "core:frequency": 8e8} for at in (0, 3)]
    for capture, second in zip(captures, seconds, strict=True):
        if second:
            capture["core:datetime"] = f"2026-01-02T03:04:{second}Z"
    found = open_recording(sigmf(tmp_path, encode("cf32_le"), captures)).captures
    assert [c.began and f"{c.began:%S.%f}" for c in found] == began
    assert [c.count for c in found] == ([4] if len(began) == 1 else [3, 1])


def test_an_index_that_comes_late_still_tells_of_missing_samples(tmp_path: Path) -> None:
    captures = [{"core:sample_start": at, "core:frequency": 8e8} for at in range(3)]
    captures[1]["core:global_index"], captures[2]["core:global_index"] = 7, 90
    found = open_recording(sigmf(tmp_path, encode("cf32_le"), captures)).captures
    assert [(c.start, c.count, c.global_index) for c in found] == [(0, 2, 6), (2, 2, 90)]
    captures[1]["core:global_index"] = 0  # which the sample before it cannot have counted up to
    (joined,) = open_recording(sigmf(tmp_path, encode("cf32_le"), captures[:2])).captures
    assert (joined.count, joined.global_index) == (4, None)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"core:datatype": "rf32_le"}, "rf32_le"),
        ({"core:datatype": "cf16_le"}, "cf16_le"),
        ({"core:datatype": "ci16"}, "ci16"),
        ({"core:sample_rate": 0}, "sample rate"),
        ({"core:sample_rate": 5e-324}, "sample rate"),
        ({"core:sample_rate": "fast"}, "is no SigMF recording"),
        ({"core:num_channels": 2}, "2 channels"),
        ({"core:dataset": "elsewhere.bin"}, "elsewhere.bin is missing"),
    ],
)
def test_headers_that_do_not_fit_are_said(tmp_path: Path, change: dict, says: str) -> None:
    with pytest.raises(AtaError, match=says):
        open_recording(sigmf(tmp_path, encode("cf32_le"), **change))


@pytest.mark.parametrize(
    "captures",
    [
        [{"core:sample_start": 5}],
        [{"core:sample_start": 0}, {"core:sample_start": 0}],
        [{"core:sample_start": 0}, {"core:sample_start": 99}],
        [{"core:sample_start": 0, "core:frequency": "high"}],
        [{"core:sample_start": 0, "core:frequency": 1e300}],
        [{"core:sample_start": 0, "core:datetime": "yesterday"}],
    ],
)
def test_captures_that_do_not_fit_are_said(tmp_path: Path, captures: list[dict]) -> None:
    with pytest.raises(AtaError, match="captures of"):
        open_recording(sigmf(tmp_path, encode("cf32_le"), captures))


ODD = (None, [], {}, "", "x", -1, 0, float("inf"), float("nan"), 2**70, True, [1], {"a": 1}, 1.5, "../..")


@pytest.mark.parametrize(
    "place",
    [(), ("global",), ("captures",), ("captures", 0)]
    + [("global", f"core:{k}") for k in ("datatype", "sample_rate", "num_channels", "dataset", "offset")]
    + [("global", "core:trailing_bytes")]
    + [("captures", 0, f"core:{k}") for k in ("sample_start", "frequency", "datetime", "header_bytes")],
    ids=lambda place: "/".join(map(str, place)),
)
def test_whatever_stands_in_the_metadata_is_read_or_refused(tmp_path: Path, place: tuple) -> None:
    path = sigmf(tmp_path, encode("cf32_le"))
    for odd in ODD:
        meta = json.loads(path.read_text()) if place else odd
        within = meta
        for key in place[:-1]:
            within = within[key]
        if place:
            within[place[-1]] = odd
        (tmp_path / "y.sigmf-meta").write_text(json.dumps(meta))
        (tmp_path / "y.sigmf-data").write_bytes(encode("cf32_le"))
        try:
            recording = open_recording(tmp_path / "y.sigmf-meta")
            assert recording.read(0, recording.samples).dtype == np.complex64
        except AtaError as refusal:
            assert "\n" not in str(refusal)


@pytest.mark.parametrize(
    "dataset", ["x" * 300, "a\nb", "\ud800", "\x1b[2J", "pipe", ".", "/dev/zero", "\0"], ids=lambda name: ascii(name[:9])
)
def test_samples_that_are_no_file_are_said_in_one_printable_line(tmp_path: Path, dataset: str) -> None:
    os.mkfifo(tmp_path / "pipe")  # which would be waited for
    with pytest.raises(AtaError) as said:
        open_recording(sigmf(tmp_path, b"", **{"core:dataset": dataset}))
    sentence = str(said.value)
    assert sentence.isprintable() and len(sentence) <= 500


def test_a_name_too_long_for_the_system_is_said(tmp_path: Path) -> None:
    for name in ("x" * 300, "x" * 300 + ".sigmf-meta"):
        with pytest.raises(AtaError, match="name too long"):
            open_recording(tmp_path / name)


def test_metadata_too_large_to_be_any_is_not_read(tmp_path: Path) -> None:
    path = sigmf(tmp_path, encode("cf32_le"))
    with path.open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(AtaError, match="1048576 MB"):
        open_recording(path)


def test_what_is_said_of_many_captures_is_short(tmp_path: Path) -> None:
    with pytest.raises(AtaError, match=r"start at \[0, 0, ") as said:
        open_recording(sigmf(tmp_path, encode("cf32_le"), [{"core:sample_start": 0}] * 100_000))
    assert len(str(said.value)) <= 500


@pytest.mark.parametrize(
    "when", ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00+23:59"]
)
def test_a_time_before_or_after_all_recordings_is_none(tmp_path: Path, when: str) -> None:
    captures = [{"core:sample_start": 0, "core:datetime": when}]
    assert open_recording(sigmf(tmp_path, encode("cf32_le"), captures)).captures[0].time(0, 1e6) is None


@pytest.mark.parametrize(
    ("when", "seconds"),
    [("2016-12-31T23:59:60Z", 1483228800), ("2016-12-31T23:59:60.5Z", 1483228800.5), ("2016-12-31t23:59:59z", 1483228799)],
)
def test_a_leap_second_and_small_letters_are_a_time(tmp_path: Path, when: str, seconds: float) -> None:
    captures = [{"core:sample_start": 0, "core:datetime": when}]
    whole, fraction = open_recording(sigmf(tmp_path, encode("cf32_le"), captures)).captures[0].time(0, 1e6)
    assert whole + fraction == seconds


@pytest.mark.parametrize("offset", [0, 70])
def test_a_capture_that_begins_where_the_samples_end_is_left_out(tmp_path: Path, offset: int) -> None:
    captures = [{"core:sample_start": offset + at, "core:frequency": freq} for at, freq in ((0, 8e8), (4, 9e8))]
    recording = open_recording(sigmf(tmp_path, encode("cf32_le"), captures, **{"core:offset": offset}))
    assert [(c.start, c.count, c.center_freq) for c in recording.captures] == [(0, 4, 8e8)]


def test_indices_are_counted_from_the_offset_and_past_the_header(tmp_path: Path) -> None:
    captures = [{"core:sample_start": 70, "core:header_bytes": 5}, {"core:sample_start": 72, "core:frequency": 1e9}]
    head = {"core:offset": 70, "core:trailing_bytes": 3}
    recording = open_recording(sigmf(tmp_path, b"?" * 5 + encode("cf32_le") + b"!" * 3, captures, **head))
    assert [(c.start, c.count) for c in recording.captures] == [(0, 2), (2, 2)]
    assert np.array_equal(recording.read(0, 4), SAMPLES)


def test_headers_between_captures_are_refused(tmp_path: Path) -> None:
    captures = [{"core:sample_start": 0}, {"core:sample_start": 2, "core:header_bytes": 8}]
    with pytest.raises(AtaError, match="between its captures"):
        open_recording(sigmf(tmp_path, encode("cf32_le"), captures))


def test_a_file_that_shrinks_while_it_is_read_is_said(tmp_path: Path) -> None:
    recording = open_recording(sigmf(tmp_path, encode("cf32_le")))
    (tmp_path / "x.sigmf-data").write_bytes(encode("cf32_le")[:9])
    with pytest.raises(AtaError, match="became shorter"):
        recording.read(0, 4)


def test_a_folder_or_an_archive_is_said(tmp_path: Path) -> None:
    with pytest.raises(AtaError, match="folder"):
        open_recording(tmp_path, rate=1e6, datatype="cf32_le")
    (tmp_path / "a.sigmf").touch()
    with pytest.raises(AtaError, match="tar xf"):
        open_recording(tmp_path / "a.sigmf")


def test_files_that_are_not_whole_are_said(tmp_path: Path) -> None:
    with pytest.raises(AtaError, match="cut short"):
        open_recording(sigmf(tmp_path, encode("cf32_le")[:-3]))
    with pytest.raises(AtaError, match="no samples"):
        open_recording(sigmf(tmp_path, b""))
    path = sigmf(tmp_path, encode("cf32_le"))
    (tmp_path / "x.sigmf-data").unlink()
    with pytest.raises(AtaError, match="is missing"):
        open_recording(path)
    path.write_text("{")
    with pytest.raises(AtaError, match="no JSON"):
        open_recording(path)
    with pytest.raises(AtaError, match="cannot be read"):
        open_recording(tmp_path / "absent.sigmf-meta")
