# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run's loss by hand, and what it does not go on with."""

from __future__ import annotations

import pytest
import torch

from training import train
from training.data import CLASSES
from training.trainer import RESUMED, column_weights, commit


def band(columns: int, *runs: tuple[str, int, int]) -> torch.Tensor:
    made = torch.zeros(columns, dtype=torch.int64)
    for label, low, high in runs:
        made[low:high] = CLASSES.index(label)
    return made


def test_weights_of_columns_by_hand():
    """Two columns on either side of an edge of LTE or NR count four times as much; beside that a carrier of 128 columns
    half, one of 8 twice as much, and one of 4 no more than that."""
    rows = torch.stack([band(256, ("LTE", 20, 148), ("other", 180, 220)), band(256, ("NR", 20, 28), ("LTE", 100, 104)),
                        band(256, ("NR", 252, 256)), band(256, ("NR", 0, 128))])  # fmt: skip
    wanted = torch.ones(4, 256)
    wanted[0, 20:148] = 0.5
    wanted[1, 20:28] = wanted[1, 100:104] = 2.0
    wanted[2, 252:256] = 2.0  # and the next row's carrier, of the same class, is another one
    wanted[3, :128] = 0.5
    for row, edge in ((0, 20), (0, 148), (1, 20), (1, 28), (1, 102), (2, 252), (3, 128)):
        wanted[row, edge - 2 : edge + 2] *= 4
    wanted[1, 98:100] = wanted[1, 104:106] = 4.0  # the narrowest is all edge: its four columns, and two on either side
    torch.testing.assert_close(column_weights(rows), wanted)


@pytest.mark.parametrize(("name", "given"), [("seed", "7"), ("variant", "none"), ("batch", "3"), ("width", "8"),
                                             ("segmenter", "unet")])  # fmt: skip
def test_a_run_goes_on_only_as_what_it_was(tmp_path, capsys, name, given):
    """What decides its examples and its networks."""
    kept = {"seed": 1, "variant": "patch", "batch": 2}
    state = {"segmenter": "ata_net", "options": {}, "average": {}, "trained": kept, "arguments": kept}
    torch.save(dict.fromkeys(RESUMED) | state, tmp_path / "checkpoint.pt")
    asked = ["--out", str(tmp_path), "--resume", "--device", "cpu", "--threads", "1", f"--{name}", given]
    assert train.main(asked) == 2
    said = capsys.readouterr().err.strip()
    assert f"was trained with {'options' if name == 'width' else name}" in said.replace("--", "") and "\n" not in said


def test_where_there_is_no_git_there_is_no_commit(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert commit() == ""
