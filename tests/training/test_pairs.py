# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sums of two frames of the paper protocol."""

from __future__ import annotations

import pytest
import torch

from training import data, pairs
from training.pairs import Pairs, together
from training.scene_draw import draw_scene
from training.scene_images import CLASSES, COLUMNS
from training.train import arguments, drawn

LTE, NR = CLASSES.index("LTE"), CLASSES.index("NR")


def frame(low: int, high: int, label: int) -> tuple[torch.Tensor, torch.Tensor]:
    power, columns = torch.full((8, COLUMNS), 0.5), torch.zeros(COLUMNS, dtype=torch.uint8)
    power[:, low:high], columns[low:high] = 4.0 + label, label
    return power, columns


def test_the_second_signal_stands_where_nothing_of_the_first_is():
    places = set()
    for seed in range(20):
        power, columns = together(*frame(40, 90, LTE), *frame(10, 60, NR), seed)
        assert (columns[40:90] == LTE).all() and (columns == LTE).sum() == 50
        where = (columns == NR).nonzero().flatten()
        assert len(where) == 50 and where[-1] - where[0] == 49
        assert (power[:, where] == 4.0 + NR + 0.5).all() and (power[:, 40:90] == 4.0 + LTE + 0.5).all()
        places.add(int(where[0]))
    assert len(places) > 5


def test_a_signal_that_finds_no_room_is_left_out():
    power, columns = frame(20, 220, LTE)
    for other in (frame(0, 100, NR), (torch.ones(8, COLUMNS), torch.zeros(COLUMNS, dtype=torch.uint8))):
        summed = together(power, columns, *other, 1)
        assert torch.equal(summed[0], power) and torch.equal(summed[1], columns)


def test_examples_are_single_frames_and_then_pairs_and_always_the_same():
    examples = [Pairs(7 << 32, 0.0)[i] for i in (2, 3)]
    for (image, columns), (again, its) in zip(examples, (Pairs(7 << 32, 0.0)[i] for i in (2, 3)), strict=True):
        assert torch.equal(image, again) and torch.equal(columns, its)
        assert image.shape == (1, COLUMNS, COLUMNS)
    alone, both = (columns for _, columns in examples)
    assert len(alone.unique()) == 2
    assert (both > 0).sum() > (alone > 0).sum()


def test_both_signals_of_a_sum_leave_with_one_density(monkeypatch):
    """The second frame is weighed before the sum: 1 / 4 where its transmitter is four times as dense, and 4 the other way
    round; and a frame's density is the one that its own scene was drawn with."""
    weighed = []

    def summed(power, columns, its_power, *_):
        weighed.append(its_power)
        return power, columns

    monkeypatch.setattr(pairs, "together", summed)
    monkeypatch.setattr(Pairs, "_frame", lambda _, n: (*frame(40, 90, LTE), (2.0, 8.0)[n]))
    summing = Pairs(7 << 32, 0.0)
    summing[1], summing[3]
    power, _ = frame(40, 90, LTE)
    assert torch.equal(weighed[0], power / 4) and torch.equal(weighed[1], power * 4)
    monkeypatch.undo()
    scene = draw_scene("paper", 7 << 32)
    assert Pairs(7 << 32, 0.0)._frame(0)[2] == scene.emitters[0].gain(scene.duration)


def test_no_frame_is_kept_after_its_sums():
    both = Pairs(7 << 32, 0.0)
    for index in (0, 2, 1, 3):
        both[index]
    assert not both._seen


def test_sums_are_the_same_where_few_frames_are_kept(monkeypatch):
    whole = Pairs(7 << 32, 0.0)[3]
    monkeypatch.setattr(data, "MOST_SEEN", 1)
    few = Pairs(7 << 32, 0.0)
    few[2]
    assert all(torch.equal(a, b) for a, b in zip(few[3], whole, strict=True))


def test_pairs_of_another_preset_are_refused(capsys):
    for asked in (["--pairs"], ["--pairs", "--preset", "paper", "--front-end", "mathworks"]):
        with pytest.raises(SystemExit):
            arguments(asked)
        assert "--pairs sums frames of --preset paper" in capsys.readouterr().err
    assert isinstance(drawn(arguments(["--pairs", "--preset", "paper"])), Pairs)
