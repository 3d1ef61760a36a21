# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes a second: as samples with every receiver fault, and as images by the fast path; drawing included.

The IQ scene is 40 ms at 61.44 MS/s with two 20 MHz carriers, each through a moving TDL channel; the fast path takes the
`wideband` preset as training does. One process a core, each on one thread, as the training's loaders work, and no scene
twice. With a GPU these processes share it: each draws its scenes, has their samples and images made there and takes the
images back, as in training. The fast path stays on the cores.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Callable
from multiprocessing.synchronize import Barrier

import torch

from benchmarks.flowgraph import largest_mb

IQ_SCENES = {"cpu": 8, "cuda": 48}  # for each process
FAST_FRAMES = 120
RATE, DURATION = 61.44e6, 0.04
Job = tuple[int, int, str]  # seed of the first scene, number of scenes, device


def measure() -> dict[str, float]:
    """-> scenes_per_second, scenes_rss_mb (all processes together), fast_frames_per_second, and where the time goes, in
    ms of processor time, which says the same beside other work: iq_draw_ms, iq_make_ms, iq_image_ms, fast_draw_ms,
    fast_image_ms. With a GPU also gpu_scenes_per_second, of a core gpu_draw_ms, gpu_make_ms and gpu_image_ms, which are
    launches and waiting, and of the GPU gpu_kernels and gpu_kernel_ms to a scene."""
    cores = len(os.sched_getaffinity(0))
    figures: dict[str, float] = {}
    rate, iq = at_once(iq_scenes, cores, IQ_SCENES["cpu"])
    _keep(figures, "", {"scenes_per_second": rate, "scenes_rss_mb": cores * iq.pop("rss_mb")})
    _keep(figures, "iq_", iq)
    rate, fast = at_once(fast_frames, cores, FAST_FRAMES)
    _keep(figures, "fast_", {"frames_per_second": rate, **fast})
    if torch.cuda.is_available():
        rate, gpu = at_once(iq_scenes, cores, IQ_SCENES["cuda"], "cuda")
        del gpu["rss_mb"]
        _keep(figures, "gpu_", {"scenes_per_second": rate, **gpu})
        _keep(figures, "gpu_", at_once(kernels, 1, 16, "cuda")[1])
    return figures


def _keep(figures: dict[str, float], prefix: str, more: dict[str, float]) -> None:
    """Adds figures, and says them at once: what is measured after them may fail or be cut short."""
    more = {prefix + name: value for name, value in more.items()}
    print(", ".join(f"{name} {value:.4g}" for name, value in more.items()), file=sys.stderr, flush=True)
    figures |= more


def at_once(work: Callable[[Job], dict[str, float]], processes: int, count: int, device: str = "cpu") -> tuple[float, dict]:
    """`count` scenes in each of several processes -> scenes a second of all together, and the means of what they tell."""
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(processes, _begin, (spawn.Barrier(processes),)) as pool:
        jobs = [(work, (1000 * n, 2, device)) for n in range(processes)]
        pool.starmap(_one_each, jobs, chunksize=1)  # warm caches and FFT plans
        begin = time.perf_counter()
        told = pool.starmap(_one_each, [(w, (first + 10, count, device)) for w, (first, _, _) in jobs], chunksize=1)
        rate = processes * count / (time.perf_counter() - begin)
    return rate, {name: sum(t[name] for t in told) / processes for name in told[0]}


def _begin(together: Barrier) -> None:
    from training.workers import begin

    begin()
    warnings.simplefilter("ignore")  # of as many processes as cores, between which figures would be lost
    _one_each.together = together


def _one_each(work: Callable[[Job], dict[str, float]], job: Job) -> dict[str, float]:
    _one_each.together.wait()  # so that no process takes two
    return work(job)


def hard_scene(seed: int):
    """Two carriers, moving TDL channels and a receiver with all of its faults."""
    from training.channel import make_channel
    from training.impairments import Receiver
    from training.scene_model import Emitter, Scene
    from training.waveforms.lte import lte_downlink
    from training.waveforms.lte_random import random_lte
    from training.waveforms.nr import nr_downlink, random_nr

    rng = torch.Generator().manual_seed(seed)
    lte = lte_downlink(random_lte(rng, bandwidth=20e6), DURATION, rng)
    nr = nr_downlink(random_nr(rng, bandwidth=20e6, scs=30e3), DURATION, rng)
    receiver = Receiver(
        tilt_db=2, ripple_db=1, ripple=(3.0, 0.1), edge=0.42, edge_db=10, fold_db=20, carrier_offset=5e3, clock_ppm=10,
        phase_noise=0.05, iq_db=30, dc_db=10, spurs=((0.2, 15), (-0.31, 10)), flicker_db=5, agc=((0.4, 2.0),),
        compression_db=10, bits=8,
        gaps=((0.7, 0.002),), splices=((0.5, 0.002),), seed=seed,
    )  # fmt: skip
    emitters = [
        Emitter(lte, -12e6, 20.0, make_channel("C", 3e-7, 70.0, rng), 20.0),
        Emitter(nr, 12e6, 10.0, make_channel("A", 1e-7, 70.0, rng), 20.0),
    ]
    return Scene(RATE, round(RATE * DURATION), emitters, receiver, seed, "benchmark")


def iq_scenes(job: Job) -> dict[str, float]:
    from training.scene_iq import scene_iq
    from training.spectrogram import pixel_power

    first, count, device = job
    spent = [0.0, 0.0, 0.0]
    for seed in range(first, first + count):
        marks = [time.thread_time()]
        scene = hard_scene(seed)
        marks.append(time.thread_time())
        iq = scene_iq(scene, device)
        marks.append(time.thread_time())
        pixel_power(iq[None]).cpu()
        marks.append(time.thread_time())
        spent = [s + b - a for s, a, b in zip(spent, marks, marks[1:], strict=False)]
    draw, make, image = (1e3 * s / count for s in spent)
    return {"draw_ms": draw, "make_ms": make, "image_ms": image, "rss_mb": largest_mb()}


def kernels(job: Job) -> dict[str, float]:
    """What a scene asks of the GPU: kernels and copies, and the time it works on them."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        iq_scenes(job)
    done = [e for e in profile.key_averages() if e.device_type == torch.autograd.DeviceType.CUDA]
    return {"kernels": sum(e.count for e in done) / job[1],
            "kernel_ms": sum(e.self_device_time_total for e in done) / 1e3 / job[1]}  # fmt: skip


def fast_frames(job: Job) -> dict[str, float]:
    from training.fastpath import fast_power
    from training.scene_draw import draw_scene

    first, count, _ = job
    drawing = making = 0.0
    for seed in range(first, first + count):
        begin = time.thread_time()
        scene = draw_scene("wideband", seed)
        middle = time.thread_time()
        fast_power(scene)
        drawing, making = drawing + middle - begin, making + time.thread_time() - middle
    return {"draw_ms": 1e3 * drawing / count, "image_ms": 1e3 * making / count}
