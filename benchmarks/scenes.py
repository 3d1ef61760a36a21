# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes a second: as samples with every receiver fault, and as images by the fast path; drawing included.

The IQ scene is 40 ms at 61.44 MS/s with two 20 MHz carriers, each through a moving TDL channel; the fast path takes the
`wideband` preset as training does. One process a core, each on one thread, as the training's loaders work. The figure of
a GPU alone leaves drawing out: samples and images of eight scenes drawn beforehand.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import time
from dataclasses import replace

import torch

IQ_SCENES = 8  # for each process
FAST_FRAMES = 120
RATE, DURATION = 61.44e6, 0.04


def measure() -> dict[str, float]:
    """-> scenes_per_second, scenes_rss_mb (all processes together), fast_frames_per_second, and where the time goes, in
    ms of processor time, which says the same beside other work: iq_draw_ms, iq_make_ms, iq_image_ms, fast_draw_ms,
    fast_image_ms. With a GPU also gpu_scenes_per_second."""
    cores = len(os.sched_getaffinity(0))
    figures: dict[str, float] = {}
    for name, work, count in (("scenes", _iq_scenes, IQ_SCENES), ("fast_frames", _fast_frames, FAST_FRAMES)):
        with multiprocessing.get_context("spawn").Pool(cores, _one_thread) as pool:
            pool.map(work, [(seed, 2) for seed in range(cores)], chunksize=1)  # warm caches and FFT plans
            begin = time.perf_counter()
            parts = pool.map(work, [(1000 * (seed + 1), count) for seed in range(cores)], chunksize=1)
            figures[f"{name}_per_second"] = cores * count / (time.perf_counter() - begin)
        for key in parts[0]:
            figures[key] = sum(p[key] for p in parts) / (1 if key.endswith("_mb") else cores)
    if torch.cuda.is_available():
        figures["gpu_scenes_per_second"] = _on_gpu()
    return figures


def _one_thread() -> None:
    torch.set_num_threads(1)


def hard_scene(seed: int):
    """Two carriers, moving TDL channels and a receiver with all of its faults."""
    from training.channel import make_channel
    from training.impairments import Receiver
    from training.scene_model import Emitter, Scene
    from training.waveforms.lte import lte_downlink, random_lte
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


def _iq_scenes(job: tuple[int, int]) -> dict[str, float]:
    from training.scene_iq import scene_iq
    from training.spectrogram import pixel_power

    first, count = job
    spent = [0.0, 0.0, 0.0]
    for seed in range(first, first + count):
        marks = [time.thread_time()]
        scene = hard_scene(seed)
        marks.append(time.thread_time())
        iq = scene_iq(scene)
        marks.append(time.thread_time())
        pixel_power(iq[None])
        marks.append(time.thread_time())
        spent = [s + b - a for s, a, b in zip(spent, marks, marks[1:], strict=False)]
    draw, make, image = (1e3 * s / count for s in spent)
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"iq_draw_ms": draw, "iq_make_ms": make, "iq_image_ms": image, "scenes_rss_mb": largest}


def _fast_frames(job: tuple[int, int]) -> dict[str, float]:
    from training.fastpath import fast_power
    from training.scene_draw import draw_scene

    first, count = job
    drawing = making = 0.0
    for seed in range(first, first + count):
        begin = time.thread_time()
        scene = draw_scene("wideband", seed)
        middle = time.thread_time()
        fast_power(scene)
        drawing, making = drawing + middle - begin, making + time.thread_time() - middle
    return {"fast_draw_ms": 1e3 * drawing / count, "fast_image_ms": 1e3 * making / count}


def _on_gpu(count: int = 64) -> float:
    """Scenes drawn beforehand, a second's worth of samples and images on the GPU."""
    from training.scene_iq import scene_iq
    from training.spectrogram import pixel_power

    scenes = [hard_scene(seed) for seed in range(8)]
    for n in range(-4, count):
        if n == 0:
            torch.cuda.synchronize()
            begin = time.perf_counter()
        scene = replace(scenes[n % len(scenes)], seed=n)
        pixel_power(scene_iq(scene, "cuda")[None])
    torch.cuda.synchronize()
    return count / (time.perf_counter() - begin)
