# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The second look at a scene: what another receiver, a noisier one, would have made of the same signals."""

import pytest
import torch

from training.augment import HIGHEST, second_look
from training.fast_mixing import Frame
from training.fast_speckle import looks_variance, speckle

FRAME = Frame(20e6, 400_000, 256, 256)  # 20 ms
EMPTY = torch.zeros(256, dtype=torch.uint8)


def field(seed: int, level: float = 1.0) -> torch.Tensor:
    white = torch.ones(256, 256)
    return level * speckle(FRAME, white, torch.zeros(3, 256, 256), torch.Generator().manual_seed(seed))


def lifted(power: torch.Tensor, columns: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Of twenty seeds, the looks to which noise was added."""
    looks = [second_look(power, columns, FRAME, seed) for seed in range(20)]
    return [(p, c) for p, c in looks if p.mean() > 1.05 * power.mean()]


def test_it_is_the_mirror_image() -> None:
    power, columns = field(1), EMPTY.clone()
    columns[10:20] = 2
    plain = next(look for look in (second_look(power, columns, FRAME, s) for s in range(20)) if look[0].mean() < 1.01)
    assert torch.equal(plain[0][:, 1:], power[:, 1:].flip(1)) and torch.equal(plain[0][:, 0], power[:, 0])
    assert plain[1].nonzero().flatten().tolist() == list(range(237, 247))


@pytest.mark.parametrize("level", [1.0, 1e18])
def test_noise_upon_noise_spreads_like_noise(level: float) -> None:
    """Powers do not simply add up: without the cross term the spread would be up to half too small."""
    looks = lifted(field(2, level), EMPTY)
    assert len(looks) > 3
    for power, _ in looks:
        relative = (power.double().var() / power.double().mean().square()).item()
        assert relative == pytest.approx(looks_variance(FRAME).mean().item(), rel=0.06)
        assert power.min() > 0 and torch.isfinite(power).all()


def test_no_emitter_is_buried() -> None:
    power, columns = field(3), EMPTY.clone()
    power[:, 200:220] *= 0.05  # a weak carrier among what fills the band and is taken for the floor
    columns[200:220] = 2
    looks = lifted(power, columns)
    assert looks
    for noisy, _ in looks:
        assert noisy.mean() - power.mean() < 1.1 * HIGHEST * 0.05
