# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""TensorRT engines on disk."""

import logging
import os
from pathlib import Path

import pytest
from gnuradio.ata.engines import engine_cache

IDENTITY = {"name": "tiny-1", "classes": ["noise", "LTE"], "tensorrt": "10.12.0", "compute_capability": "8.7"}


def test_an_engine_comes_back_as_it_was_stored(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "X.engine"
    assert engine_cache.load(path, IDENTITY) is None
    engine_cache.store(path, b"plan", IDENTITY)
    assert sorted(p.name for p in path.parent.iterdir()) == ["X.engine", "X.engine.json"]
    assert engine_cache.load(path, IDENTITY) == b"plan"


@pytest.mark.parametrize("key", IDENTITY)
def test_an_engine_for_anything_else_is_not_run(tmp_path: Path, key: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "X.engine"
    engine_cache.store(path, b"plan", IDENTITY)
    with caplog.at_level(logging.INFO, "ata"):
        assert engine_cache.load(path, {**IDENTITY, key: "another"}) is None
    assert f"another {key}: building it again" in caplog.text


@pytest.mark.parametrize("sidecar", ["", "[]", "null", "{}", '{"engine_sha256": 1}', "[" * 100_000, None])
def test_an_engine_that_does_not_say_what_it_is_is_not_run(tmp_path: Path, sidecar: str | None) -> None:
    path = tmp_path / "X.engine"
    engine_cache.store(path, b"plan", IDENTITY)
    path.with_suffix(".engine.json").unlink()
    if sidecar is not None:
        path.with_suffix(".engine.json").write_text(sidecar)
    assert engine_cache.load(path, IDENTITY) is None


def test_a_cut_engine_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "X.engine"
    engine_cache.store(path, b"a whole plan", IDENTITY)
    path.write_bytes(b"a whole")
    assert engine_cache.load(path, IDENTITY) is None


def test_a_cache_that_cannot_be_written_is_said_and_no_more(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    engine_cache.store(tmp_path / "file" / "X.engine", b"plan", IDENTITY)
    assert "cannot be kept" in caplog.text


@pytest.mark.skipif(os.getuid() == 0, reason="root may look into every folder")
def test_a_cache_that_nobody_may_look_into_is_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A service under another user whose HOME is still root's."""
    closed = tmp_path / "root"
    closed.mkdir(mode=0)
    path = closed / ".cache" / "X.engine"
    assert engine_cache.load(path, IDENTITY) is None
    engine_cache.store(path, b"plan", IDENTITY)
    assert "cannot be kept" in caplog.text


def test_a_user_without_a_home_has_a_place_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert engine_cache.engine_path("X", "0" * 64).is_absolute()
