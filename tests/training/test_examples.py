# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which examples a training sees, and in which order."""

from __future__ import annotations

import json
from itertools import islice

import pytest
import torch

from training import train
from training.data import APART, Batches, Drawn, Stored
from training.scene_images import open_images, write_images
from training.spectrogram import normalise, with_legend


def test_stored_frames_come_once_a_turn_each_with_its_own_scale(tmp_path):
    """Which frame came is told from its picture; every frame has another rate here, which its legend has to say."""
    for _ in write_images("wideband", 5, 3, tmp_path, iq_share=0.0, samp_rate=3.84e6, frame_ms=1.0):
        pass
    truth = tmp_path / "truth.jsonl"
    lines = [json.loads(line) for line in truth.read_text().splitlines()]
    for k, line in enumerate(lines):
        line["samp_rate"] = (k + 1) * 2e6
    truth.write_text("".join(json.dumps(line) + "\n" for line in lines))
    kept = open_images(tmp_path)
    level = torch.from_numpy(kept.level.astype("float32"))
    pictures = [with_legend(normalise(10 ** (one / 10)[None]), line["count"], line["samp_rate"])
                for one, line in zip(level, lines, strict=True)]  # fmt: skip
    stored, order = Stored(tmp_path, seed=1), []
    for index in range(15):
        image, columns = stored[index]
        (frame,) = (k for k, picture in enumerate(pictures) if torch.equal(image[..., 1:], picture[..., 1:]))
        assert torch.equal(image[..., 0], pictures[frame][..., 0])
        assert torch.equal(columns, torch.from_numpy(kept.mask[frame].copy()))
        order.append(frame)
    turns = [tuple(order[k : k + 5]) for k in (0, 5, 10)]
    assert all(sorted(turn) == list(range(5)) for turn in turns) and len(set(turns)) > 1


def test_two_looks_at_a_scene_are_so_many_batches_apart():
    class Numbers:
        looks = 2

        def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
            return torch.tensor([index // 2]), torch.tensor([index % 2])

    made = list(islice(Batches(Numbers(), 3), 4 * APART))
    scenes, looks = torch.stack([m[0][:, 0] for m in made]), torch.stack([m[1][:, 0] for m in made])
    first = torch.arange(6 * APART).view(2, APART, 3)  # of each turn
    for turn in (0, 1):
        begin = 2 * APART * turn
        one, other = slice(begin, begin + APART), slice(begin + APART, begin + 2 * APART)
        assert torch.equal(scenes[one], first[turn]) and torch.equal(scenes[other], first[turn])
        assert not looks[one].any() and looks[other].all()


def test_the_second_look_is_the_mirror_image():
    source = Drawn("wideband", 5, 0.0, fixed={"samp_rate": 3.84e6, "frame_ms": 1.0}, looks=2)
    seen = [(source[2 * number], source[2 * number + 1]) for number in range(6)]
    for (image, columns), (other, its) in seen:
        assert torch.equal(its, columns.flip(0).roll(1, 0)) and torch.equal(image[..., 0], other[..., 0])
        assert not torch.equal(image, other)
    assert any(torch.equal(image[..., 1:].flip(-1), other[..., 1:]) for (image, _), (other, _) in seen)  # no more noise
    assert not source._seen


@pytest.mark.parametrize(
    ("asked", "fixed", "looks"),
    [
        ([], {"crowded": train.CROWDED}, 2),
        (["--preset", "paper"], {}, 2),
        (["--front-end", "mathworks"], {"crowded": train.CROWDED}, 1),
    ],
)
def test_what_is_drawn_for_a_training(asked, fixed, looks):
    source = train.drawn(train.arguments([*asked, "--seed", "3", "--iq-share", "0.2", "--device", "cpu"]))
    assert (source.fixed, source.looks, source.first, source.iq_share) == (fixed, looks, 3 << 32, 0.2)
