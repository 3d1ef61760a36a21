# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The adversarial training approach: a discriminator that learns to tell truth from output, and a term that fools it.

Variants: `none` (cross entropy alone); `released` (what the published code does: argmax cuts the gradient, so the
segmenter's training equals `none`); `figure` (the paper's hourglass on softmax maps); `patch` (Hung et al. 2018);
`conditional` (patch, and the discriminator sees the spectrogram too).
"""

from __future__ import annotations

import torch
from torch import distributed, nn
from torch.nn import functional

from training.discriminator import Hourglass, Patch
from training.errors import DataError

VARIANTS = ("none", "released", "figure", "patch", "conditional")
SURE = 0.9  # least probability that truth gives the right class
COLLAPSED = 0.05  # mean loss of D below which it has won on statistics and teaches S nothing


def as_soft(real: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
    """One-hot truth with the doubts of S, both [N, C, T, F], as Luc et al. 2016 do.

    The right class has what S gives it, at least `SURE`; the others share the rest as S has it. D then cannot tell
    truth by its being all zeros and ones, and has to look at the shapes.
    """
    right = (real * output).sum(1, keepdim=True)
    lifted = right.clamp(min=SURE)
    return torch.where(real > 0, lifted, output * (1 - lifted) / (1 - right).clamp(min=1e-6))


def share_gradients(net: nn.Module) -> None:
    """Averages the gradients over the processes that train together, where there are several."""
    if not distributed.is_initialized():
        return
    gradients = [parameter.grad for parameter in net.parameters()]
    together = torch.cat([g.flatten() for g in gradients])  # one message: over loopback, a hundred cost as much as a step
    distributed.all_reduce(together)
    together /= distributed.get_world_size()
    for gradient, part in zip(gradients, together.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


class Adversary:
    """The discriminator of one variant, its optimiser, and both sides' losses.

    Args: variant: one of VARIANTS. classes: channels of the maps. rate: D's learning rate. seed: of D's weights, in a
    random stream of its own, so that a segmenter's draws are the same in every variant.
    """

    def __init__(self, variant: str, classes: int, rate: float = 1e-4, seed: int = 0) -> None:
        if variant not in VARIANTS:
            raise DataError(f"there is no adversarial variant {variant!r}: choose one of {', '.join(VARIANTS)}")
        self.variant, self.classes = variant, classes
        self.health = 0.5
        self.net: nn.Module | None = None
        if variant != "none":
            state = torch.get_rng_state()
            torch.manual_seed(seed + 1)
            self.net = Hourglass(classes) if variant == "figure" else Patch(classes + (variant == "conditional"))
            torch.set_rng_state(state)
            self.optimizer = torch.optim.Adam(self.net.parameters(), rate, betas=(0.9, 0.99))

    def segmenter_loss(self, logits: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """How far D is from taking the output for truth: a scalar with a gradient for S only (none if `released`)."""
        if self.net is None:
            return logits.new_zeros(())
        self.net.requires_grad_(False)
        judged = self.net(self._maps(self._output(logits), image))
        self.net.requires_grad_(True)
        return functional.binary_cross_entropy_with_logits(judged, torch.ones_like(judged))

    def discriminator_step(self, logits: torch.Tensor, truth: torch.Tensor, image: torch.Tensor) -> None:
        """One step of D on S's detached output and the truth, uint8 [N, T, F]; `health` follows its loss."""
        if self.net is None:
            return
        output = self._output(logits.detach())
        real = functional.one_hot(truth.long(), self.classes).permute(0, 3, 1, 2).float()
        if self.variant in ("patch", "conditional"):
            real = as_soft(real, output)
        fake_judged = self.net(self._maps(output, image))
        real_judged = self.net(self._maps(real, image))
        loss = 0.5 * (
            functional.binary_cross_entropy_with_logits(fake_judged, torch.zeros_like(fake_judged))
            + functional.binary_cross_entropy_with_logits(real_judged, torch.ones_like(real_judged))
        )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        share_gradients(self.net)
        self.optimizer.step()
        self.health = 0.98 * self.health + 0.02 * float(loss.detach())

    @property
    def collapsed(self) -> bool:
        return self.net is not None and self.health < COLLAPSED

    def _output(self, logits: torch.Tensor) -> torch.Tensor:
        if self.variant == "released":
            return functional.one_hot(logits.argmax(1), self.classes).permute(0, 3, 1, 2).float()
        return logits.softmax(1)

    def _maps(self, maps: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """What D sees; the image at the maps' own size, where the segmenter gave them coarser."""
        if self.variant != "conditional":
            return maps
        return torch.cat([maps, functional.adaptive_avg_pool2d(image, maps.shape[2:])], 1)

    def state_dict(self) -> dict:
        if self.net is None:
            return {}
        return {"net": self.net.state_dict(), "optimizer": self.optimizer.state_dict(), "health": self.health}

    def load_state_dict(self, state: dict) -> None:
        if self.net is not None:
            self.net.load_state_dict(state["net"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.health = state["health"]
