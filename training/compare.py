# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws generated LTE and NR beside recordings, and writes down the figures of both.

usage: python training/compare.py RECORDINGS [RECORDINGS ...] --out DIR

RECORDINGS: folders of SigMF recordings, or single .sigmf-meta files, whose annotations name carriers LTE or NR. Each
gets a picture with the recording on the left and, on the right, a scene of the same standard, bandwidth, spacing,
duplexing, rate, length and SNR: of --tries drawn the one whose load comes nearest. DIR/figures.md holds the figures
(`compare_figures` says what they are), DIR/generated.png the generated carriers alone.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from training.channel import random_channel
from training.compare_figures import FIGURES, Carrier, figures, read, sync_period
from training.errors import DataError, command
from training.impairments import random_receiver
from training.scene_iq import scene_iq
from training.scene_model import Emitter, Scene
from training.waveforms.lte import lte_downlink
from training.waveforms.lte_random import random_lte
from training.waveforms.nr import nr_downlink, random_nr

SHOWN = 0.010  # s of a recording that its picture shows
RANGE_DB = 45.0  # of a spectrogram's colours
GALLERY = 6  # generated carriers shown together


@command("compare")
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="compare.py", description=__doc__.split("\n")[0])
    parser.add_argument("recordings", type=Path, nargs="+", metavar="RECORDINGS", help="folders or .sigmf-meta files")
    parser.add_argument("--out", type=Path, required=True, help="folder for pictures and figures")
    parser.add_argument("--tries", type=int, default=24, help="scenes drawn for each recording; the nearest is shown")
    parser.add_argument("--seed", type=int, default=1, help="of the first scene")
    args = parser.parse_args(argv)
    compare(args.recordings, args.out, max(1, args.tries), args.seed)
    return 0


def compare(recordings: list[Path], out: Path, tries: int, seed: int) -> None:
    metas = [m for path in recordings for m in (sorted(path.rglob("*.sigmf-meta")) if path.is_dir() else [path])]
    if not metas:
        raise DataError(f"no .sigmf-meta file lies in {', '.join(map(str, recordings))}")
    out.mkdir(parents=True, exist_ok=True)
    shown: list[tuple[Carrier, torch.Tensor]] = []
    with (out / "figures.md").open("w") as table:
        table.write(f"recording / generated | {' | '.join(FIGURES)}\n" + "--- | " * len(FIGURES) + "---\n")
        for meta in metas:
            carrier = read(meta)
            if carrier is None:
                continue
            theirs = figures(carrier, carrier.iq)
            drawn = [generated(carrier, theirs["snr_db"], seed + n) for n in range(tries)]
            ours = [figures(carrier, iq) for iq in drawn]
            best = min(range(tries), key=lambda n: _apart(theirs, ours[n]))
            pair = (carrier.iq, carrier.name), (drawn[best], f"generated, seed {seed + best}")
            draw(carrier, pair, out / f"{carrier.name}.png")
            for values, (iq, _) in zip((theirs, ours[best]), pair, strict=True):
                values["sync_ms"] = sync_period(carrier, iq)
            cells = (f"{theirs[name]:.3g} / {ours[best][name]:.3g}" for name in FIGURES)
            table.write(f"{carrier.name} | {' | '.join(cells)}\n")
            print(carrier.name, flush=True)
            shown.append((carrier, drawn[best]))
    if not shown:
        raise DataError("no recording has an annotated LTE or NR carrier that lies wholly in its band")
    gallery(shown, out / "generated.png")


def generated(carrier: Carrier, snr_db: float, seed: int) -> torch.Tensor:
    """A scene of one such carrier, of the recording's rate and length; if that was heard by a radio, through channel
    and receiver, and every other time with a second base station below it."""
    rng = torch.Generator().manual_seed(seed)
    duration = len(carrier.iq) / carrier.rate
    levels = [snr_db, snr_db - 5 - 15 * float(torch.rand(1, generator=rng))][: 1 + (carrier.real and seed % 2)]
    emitters: list[Emitter] = []
    while len(emitters) < len(levels):
        fixed = {"duplex": "tdd" if carrier.tdd else "fdd", "bandwidth": carrier.bandwidth}
        if carrier.label == "LTE":
            waveform = lte_downlink(random_lte(rng, **fixed), duration, rng)
        else:
            waveform = nr_downlink(random_nr(rng, scs=carrier.scs, **fixed), duration, rng)
        if waveform.active is not None:
            channel = random_channel(rng) if carrier.real else None
            shoulder = 30.0 if carrier.real else 0.0  # what software writes to a file passed no transmitter's filter
            emitters.append(Emitter(waveform, 0.0, levels[len(emitters)], channel, shoulder))
    receiver = random_receiver(rng) if carrier.real else None
    return scene_iq(Scene(carrier.rate, len(carrier.iq), emitters, receiver, seed, "compare"))


def _apart(theirs: dict[str, float], ours: dict[str, float]) -> float:
    """How different two carriers' loads are."""
    return (4 * abs(theirs["busy"] - ours["busy"]) + 2 * abs(theirs["rows_busy"] - ours["rows_busy"])
            + 0.1 * abs(theirs["rows_db"] - ours["rows_db"])
            + abs(theirs["width_mhz"] - ours["width_mhz"]) / max(theirs["width_mhz"], 0.1))


# --- pictures --------------------------------------------------------------------------------------------------------


def spectrogram(carrier: Carrier, iq: torch.Tensor, axes: object) -> None:
    """SHOWN s at one symbol's resolution, four spectra to a symbol; colours over RANGE_DB."""
    iq = iq[: round(SHOWN * carrier.rate)]
    pieces = iq.unfold(0, carrier.symbol, carrier.symbol // 4) * torch.hann_window(carrier.symbol)
    level = 10 * torch.log10(torch.fft.fftshift(torch.fft.fft(pieces), dim=1).abs().square() + 1e-20)
    top = float(torch.quantile(level.flatten()[:: max(1, level.numel() >> 20)], 0.995))
    half = carrier.rate / 2e6
    axes.imshow(level.numpy(), aspect="auto", vmin=top - RANGE_DB, vmax=top,
                extent=(-half, half, 1e3 * len(iq) / carrier.rate, 0))


def draw(carrier: Carrier, pair: tuple[tuple[torch.Tensor, str], ...], path: Path) -> None:
    """Spectrogram, mean spectrum and power over time of two stretches of samples with their titles, side by side."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 9), layout="constrained")
    for (top, middle, below), (iq, title) in zip(figure.subplots(3, 2, height_ratios=(4, 1.3, 1.3)).T, pair, strict=True):
        spectrogram(carrier, iq, top)
        top.set(title=title, ylabel="ms")
        half = carrier.rate / 2e6
        spectrum = torch.fft.fftshift(torch.fft.fft(iq.unfold(0, 2048, 1024) * torch.hann_window(2048)), dim=1)
        mean = 10 * torch.log10(spectrum.abs().square().mean(0) + 1e-20)
        middle.plot(np.linspace(-half, half, 2048, endpoint=False), mean - mean.max(), lw=0.8)
        middle.set(xlabel="MHz", ylabel="dB", ylim=(-60, 3), xlim=(-half, half))
        step = carrier.symbol // 8
        power = iq[: round(SHOWN * carrier.rate)].abs().square().unfold(0, step, step).mean(1)
        power = 10 * torch.log10(power / power.mean() + 1e-9)
        below.plot(1e3 * step / carrier.rate * np.arange(len(power)), power, lw=0.6)
        below.set(xlabel="ms", ylabel="dB", ylim=(-40, 10))
    FigureCanvasAgg(figure).print_png(str(path))


def gallery(shown: list[tuple[Carrier, torch.Tensor]], path: Path) -> None:
    """Spectrograms of up to GALLERY generated carriers, in as few colours as keep the file small."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    some = [shown[i * (len(shown) - 1) // (GALLERY - 1)] for i in range(GALLERY)] if len(shown) > GALLERY else shown
    figure = Figure(figsize=(9.5, 6), layout="constrained")
    for number, (carrier, iq) in enumerate(some):
        axes = figure.add_subplot(2, -(-len(some) // 2), number + 1)
        spectrogram(carrier, iq, axes)
        duplex = "TDD" if carrier.tdd else "FDD"
        axes.set_title(f"{carrier.label} {carrier.bandwidth / 1e6:g} MHz, {carrier.scs / 1e3:g} kHz, {duplex}", fontsize=8)
        axes.tick_params(labelsize=7)
    figure.supxlabel("MHz", fontsize=8)
    figure.supylabel("ms", fontsize=8)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").quantize(24).save(path, optimize=True)


if __name__ == "__main__":
    sys.exit(main())
