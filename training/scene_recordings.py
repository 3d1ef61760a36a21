# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes as SigMF recordings with their truth as annotations, each with a picture beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from sigmf import SigMFFile

from training.scene_draw import draw_scene
from training.scene_iq import scene_iq
from training.scene_model import Scene, truth
from training.spectrogram import normalise, pixel_power
from training.writing import replacing

FULL_SCALE = 0.9 * 32767  # of the 16-bit samples, for the recording's largest I or Q
COLOURS = {"LTE": "tab:green", "NR": "tab:red", "other": "tab:blue"}


def write_recordings(preset: str, count: int, seed: int, out: Path, **fixed) -> Iterator[Path]:
    """Writes the scenes of `count` seeds from `seed` on, yielding each recording's `.sigmf-meta` when it is complete.

    A single scene is named after the preset, more carry their seed. Data and picture come first and the metadata
    last, each moved into place whole: what has metadata is complete, and is not made again.
    """
    out.mkdir(parents=True, exist_ok=True)
    for number in range(seed, seed + count):
        base = out / (preset if count == 1 else f"{preset}-{number}")
        meta = Path(f"{base}.sigmf-meta")
        wanted = {"ata:preset": preset, "ata:seed": number, "ata:fixed": fixed}
        if not _is_there(meta, wanted):
            meta.unlink(missing_ok=True)
            _write(draw_scene(preset, number, **fixed), base, wanted)
        yield meta


def _is_there(meta: Path, wanted: dict) -> bool:
    try:
        found = json.loads(meta.read_text())["global"]
    except (OSError, ValueError, KeyError):
        return False
    return all(found.get(name) == value for name, value in wanted.items()) and meta.with_suffix(".sigmf-data").exists()


def _write(scene: Scene, base: Path, origin: dict) -> None:
    iq = scene_iq(scene)
    data = Path(f"{base}.sigmf-data")
    parts = torch.view_as_real(iq)
    scale = FULL_SCALE / max(float(parts.abs().max()), 1e-30)
    with replacing(data) as part, part.open("wb") as file:
        for begin in range(0, len(iq), 1 << 20):
            file.write((parts[begin : begin + (1 << 20)] * scale).round().numpy().astype("<i2").tobytes())
    with replacing(Path(f"{base}.png")) as part, part.open("wb") as file:
        draw_picture(scene, iq, file)
    meta = annotate(scene, data, origin)
    with replacing(Path(f"{base}.sigmf-meta")) as part:
        part.write_text(meta)


def annotate(scene: Scene, data: Path, origin: dict) -> str:
    """The recording's metadata as JSON: one annotation for each emitter, its edges those of the carrier.

    The `ata` fields add the band that was active, the in-band SNR and the kind of emitter.
    """
    center = scene.info.get("center_freq", 0.0)
    meta = SigMFFile(global_info={
        "core:datatype": "ci16_le",
        "core:sample_rate": scene.samp_rate,
        "core:description": f"generated scene: preset {scene.preset}, seed {scene.seed}",
        "core:extensions": [{"name": "ata", "version": "1.0.0", "optional": True}],
        **origin,
    })
    meta.set_data_file(str(data))
    meta.add_capture(0, metadata={"core:frequency": center})
    for entry in truth(scene):
        meta.add_annotation(0, scene.count, metadata={
            "core:freq_lower_edge": center + entry.carrier[0],
            "core:freq_upper_edge": center + entry.carrier[1],
            "core:label": entry.label,
            "ata:kind": entry.kind,
            "ata:active_lower_edge": center + entry.active[0],
            "ata:active_upper_edge": center + entry.active[1],
            "ata:snr_db": round(entry.snr_db, 2),
        })
    return meta.dumps(pretty=True)


def draw_picture(scene: Scene, iq: torch.Tensor, file) -> None:
    """The image the network sees, with the truth over it: solid lines for active bands, dotted for carriers."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    image = normalise(pixel_power(iq[None]))[0].numpy()
    half = scene.samp_rate / 2e6
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(image, aspect="auto", extent=(-half, half, scene.duration * 1e3, 0), vmin=-0.5, vmax=2)
    for entry in truth(scene):
        colour = COLOURS[entry.label]
        for edge in entry.active:
            axes.axvline(edge / 1e6, color=colour, lw=1)
        for edge in entry.carrier:
            axes.axvline(edge / 1e6, color=colour, lw=1, ls=":")
        axes.text(np.mean(entry.active) / 1e6, 0, f"{entry.kind}\n{entry.snr_db:.0f} dB", color=colour, ha="center",
                  va="bottom", fontsize=8)
    axes.set(xlabel="MHz from the centre", ylabel="ms", xlim=(-half, half))
    axes.set_title(f"{scene.preset} {scene.seed}: {scene.samp_rate / 1e6:g} MS/s", pad=28, fontsize=9)
    FigureCanvasAgg(figure).print_png(file)
