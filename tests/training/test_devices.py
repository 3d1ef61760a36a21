# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From grids to images everything stays on the device it was asked for: checked on a device that is only pretended.

Tensors "there" are wrappers around CPU tensors; an operation between here and there fails as it would between a CPU and
a GPU. So this says nothing about what a GPU computes.
"""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from benchmarks.scenes import hard_scene
from training.channel import make_channel
from training.data import Drawn
from training.scene_iq import scene_iq
from training.scene_model import Emitter, Scene
from training.spectrogram import mathworks_image, normalise, pixel_power
from training.waveforms.others import random_other

THERE = torch.device("meta")  # a device whose name torch knows and that nothing here uses otherwise
COPIES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
INDEXED = (torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default, torch.ops.aten._index_put_impl_.default)


class There(torch.Tensor):
    """A tensor on the pretended device; `inner` is the CPU tensor it stands for."""

    @staticmethod
    def __new__(cls, inner):
        self = torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype, device=THERE
        )
        self.inner = inner
        return self

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return run(func, args, kwargs or {})


class Pretence(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return run(func, args, kwargs or {})


def run(func, args, kwargs):
    flat, _ = tree_flatten((args, kwargs))
    here = [x for x in flat if isinstance(x, torch.Tensor) and not isinstance(x, There)]
    there = [x for x in flat if isinstance(x, There)]
    if there and func not in COPIES:
        data = here if func not in INDEXED else [x for x in args[:1] if x in here]  # places may be named by the CPU
        assert all(x.dim() == 0 for x in data), f"{func} between the CPU and the device"
    device = kwargs.get("device")
    inner_args, inner_kwargs = tree_map(lambda x: x.inner if isinstance(x, There) else x, (args, kwargs))
    if device is not None:
        inner_kwargs = {**inner_kwargs, "device": torch.device("cpu")}
    if func is torch.ops.aten._conj.default:  # no lazy view: down here nothing would resolve it
        out = torch.complex(inner_args[0].real, -inner_args[0].imag)
    else:
        out = func(*inner_args, **inner_kwargs)
    if device is not None:
        stays = torch.device(device) == THERE
    else:
        stays = isinstance(args[0], There) if func in COPIES else bool(there)
    if not stays:
        return out
    same = {id(x.inner): x for x in there}  # in place: the tensor itself
    return tree_map(lambda x: same[id(x)] if id(x) in same else There(x) if isinstance(x, torch.Tensor) else x, out)


@pytest.fixture
def there(monkeypatch):
    class AnyGenerator(torch.Generator):
        def __new__(cls, _device="cpu"):
            return super().__new__(cls, "cpu")

    made = torch.tensor  # which no mode sees
    monkeypatch.setattr(torch, "tensor", lambda data, dtype=None, device="cpu": made(data, dtype=dtype).to(device))
    monkeypatch.setattr(torch, "Generator", AnyGenerator)
    with torch.no_grad(), Pretence():
        yield THERE


def test_the_pretence_notices(there):
    far = torch.ones(3, device=there)
    assert far.device == there and (far * 2).device == there and far.cpu().device.type == "cpu"
    with pytest.raises(AssertionError, match="between"):
        far + torch.ones(3)


def test_a_scene_with_every_fault_stays_on_its_device(there):
    scene = hard_scene(1)
    scene.count //= 20
    iq = scene_iq(scene, there)
    assert iq.device == there and len(iq) == scene.count
    assert normalise(pixel_power(iq[None])).device == there
    assert mathworks_image(iq[None]).device == there


def test_neighbours_and_steady_channels_stay_on_it(there):
    rng = torch.Generator().manual_seed(1)
    duration = 0.001
    emitters = [Emitter(random_other(rng, duration + 2e-4, 10e6), 1e6, 10.0, make_channel("A", 1e-7, 0.0, rng))
                for _ in range(12)]
    scene = Scene(15.36e6, 15360, [e for e in emitters if e.waveform.active], None, 1, "test")
    assert scene_iq(scene, there).device == there


@pytest.mark.parametrize("front_end", ["ata", "mathworks"])
def test_training_draws_through_a_device(there, front_end):
    """The same examples but for rounding, since the pretended device computes as the CPU does."""
    fixed = {"frame_ms": 0.5, "samp_rate": 7.68e6}
    for seed in (3, 4, 5):
        far, near = (Drawn("wideband", seed, 1.0, front_end, fixed, device=device)[0] for device in ("meta", "cpu"))
        assert far[0].device.type == "cpu"
        assert (far[0] - near[0]).abs().max() < 2e-3 and torch.equal(far[1], near[1])
