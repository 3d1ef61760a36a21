# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The adversarial variants: which of them teach S anything, and that D can be told from a dead one."""

import pytest
import torch
from torch import nn

from training.ata import VARIANTS, Adversary, as_soft
from training.errors import DataError

SIZE = 64


class Small(nn.Module):
    """A segmenter that trains in no time."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 3, padding=1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.layers(image)


def striped(batch: int, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Images of noisy stripes, and the class of each pixel."""
    columns = torch.randint(0, 4, (batch, SIZE // 8), generator=rng).repeat_interleave(8, 1)
    truth = columns[:, None, :].expand(-1, SIZE, -1)
    return truth[:, None].float() + 0.3 * torch.randn(batch, 1, SIZE, SIZE, generator=rng), truth


def trained(variant: str, steps: int = 4, weight: float = 0.5) -> tuple[Small, Adversary]:
    torch.manual_seed(5)
    rng = torch.Generator().manual_seed(6)
    net = Small()
    adversary = Adversary(variant, 4, rate=1e-3, seed=5)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(steps):
        image, truth = striped(2, rng)
        logits = net(image + 0.1 * torch.rand(1))  # drawn from the common stream, which no variant may move on
        loss = nn.functional.cross_entropy(logits, truth) + weight * adversary.segmenter_loss(logits, image)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        adversary.discriminator_step(logits, truth, image)
    return net, adversary


def test_released_is_plain_cross_entropy():
    """The published code's adversarial term: D trains, and S is bit for bit what it is without."""
    plain, _ = trained("none")
    released, adversary = trained("released")
    for ours, theirs in zip(plain.parameters(), released.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    fresh = Adversary("released", 4, seed=5).net
    assert any(not torch.equal(a, b) for a, b in zip(adversary.net.parameters(), fresh.parameters(), strict=True))


@pytest.mark.parametrize("variant", ["figure", "patch", "conditional"])
def test_differentiable_variants_reach_s(variant):
    plain, _ = trained("none")
    taught, _ = trained(variant)
    assert any(not torch.equal(a, b) for a, b in zip(plain.parameters(), taught.parameters(), strict=True))


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_side_leaves_the_other_alone(variant):
    adversary = Adversary(variant, 4, seed=1)
    image, truth = striped(2, torch.Generator().manual_seed(0))
    logits = torch.randn(2, 4, SIZE, SIZE, requires_grad=True)
    loss = adversary.segmenter_loss(logits, image)
    if variant in ("none", "released"):
        assert not loss.requires_grad
    else:
        loss.backward()
        assert logits.grad.any()
    if adversary.net is not None:
        assert all(p.grad is None for p in adversary.net.parameters())
        assert all(p.requires_grad for p in adversary.net.parameters())
    logits.grad = None
    adversary.discriminator_step(logits, truth, image)
    assert logits.grad is None


def test_the_condition_is_seen():
    image, _ = striped(1, torch.Generator().manual_seed(0))
    maps = torch.full((1, 4, SIZE, SIZE), 0.25).log()
    for variant, sees in (("patch", False), ("conditional", True)):
        adversary = Adversary(variant, 4, seed=1)
        losses = {float(adversary.segmenter_loss(maps, k * image)) for k in (1, 3)}
        assert (len(losses) == 2) == sees


def test_truth_as_soft_as_the_output():
    output = torch.softmax(4 * torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0)), 1)
    truth = torch.randint(0, 4, (2, 8, 8), generator=torch.Generator().manual_seed(1))
    real = torch.nn.functional.one_hot(truth, 4).permute(0, 3, 1, 2).float()
    soft = as_soft(real, output)
    assert torch.allclose(soft.sum(1), torch.ones(2, 8, 8), atol=1e-5)
    assert torch.equal(soft.argmax(1), truth)
    sure = output.gather(1, truth[:, None]) > 0.9
    assert torch.allclose(soft.gather(1, truth[:, None])[sure], output.gather(1, truth[:, None])[sure])


def test_a_discriminator_that_has_won_is_told():
    """Against an S that never learns, D's loss falls until it is called collapsed; at the beginning it is not."""
    adversary = Adversary("patch", 4, rate=3e-3, seed=1)
    assert not adversary.collapsed
    rng = torch.Generator().manual_seed(2)
    for _ in range(300):
        image, truth = striped(2, rng)
        adversary.discriminator_step(torch.randn(2, 4, SIZE, SIZE, generator=rng), truth, image)
        if adversary.collapsed:
            break
    assert adversary.collapsed


def test_unknown_variant_is_one_sentence():
    with pytest.raises(DataError, match="choose one of"):
        Adversary("wgan", 4)
