# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Detected bands against a scene's truth: an edge is right anywhere between what is active and the whole carrier.

All frequencies in Hz.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from training.scene_model import Emitter, Scene, by_carrier, truth
from training.waveforms.ofdm import OfdmWaveform

CELLULAR = ("LTE", "NR")
NARROWEST_COLUMNS = 8  # carriers with less of them in the band are too narrow to count
SHORTEST_ACTIVE = 0.1  # of the frame
LEAST_IOU = 0.7
OVERLAP = 0.1  # of a carrier under another one, which then stands on it

Band = tuple[str, float, float]  # label, lower and upper edge re the scene's centre


@dataclass
class Carrier:
    """One LTE or NR carrier of a scene and how it fared.

    width: N_RB x 12 x SCS of its widest station; `carrier` and `active` are cut to the sampled band.
    counts: whether it is wide and active enough to be asked for, and no DSS. overlapped: another carrier stands on it, so
    that no band can have the edges of both. edge_columns: how far the worse edge lies
    outside the range between active and carrier; None where it was not found.
    """

    label: str
    kind: str
    carrier: tuple[float, float]
    active: tuple[float, float]
    width: float
    snr_db: float
    samp_rate: float
    frame_ms: float
    counts: bool
    overlapped: bool = False
    found: bool = False
    edge_columns: float | None = None

    def to_dict(self) -> dict:
        return asdict(self)


def carriers(scene: Scene, columns: int = 256) -> list[Carrier]:
    """The LTE and NR carriers of a scene."""
    found = []
    for emitters in by_carrier(scene.emitters):
        for entry in truth(replace(scene, emitters=emitters)):
            if entry.label not in CELLULAR:
                continue
            wide = (entry.active[1] - entry.active[0]) >= NARROWEST_COLUMNS * scene.samp_rate / columns
            busy = max(_active_share(e, scene.duration) for e in emitters) >= SHORTEST_ACTIVE
            width = max(e.waveform.carrier[1] - e.waveform.carrier[0] for e in emitters)
            found.append(Carrier(entry.label, entry.kind, entry.carrier, entry.active, width, entry.snr_db,
                                 scene.samp_rate, 1e3 * scene.duration, wide and busy and entry.kind != "dss"))  # fmt: skip
    for one in found:
        shared = [min(one.carrier[1], c.carrier[1]) - max(one.carrier[0], c.carrier[0]) for c in found if c is not one]
        one.overlapped = max(shared, default=0.0) > OVERLAP * (one.carrier[1] - one.carrier[0])
    return found


def compare(there: list[Carrier], bands: list[Band], column_hz: float) -> int:
    """Fills in `found` and `edge_columns` of each carrier, by its best band; -> number of false LTE and NR bands.

    A band is false when less than half of it lies in carriers of its label; shared spectrum may be called either.
    """
    for carrier in there:
        for label, low, high in bands:
            if label != carrier.label or high <= low:
                continue
            # the band that truth allows and that comes nearest
            right = (_clip(low, carrier.carrier[0], carrier.active[0]), _clip(high, carrier.active[1], carrier.carrier[1]))
            shared = min(high, right[1]) - max(low, right[0])
            if shared >= LEAST_IOU * (max(high, right[1]) - min(low, right[0])):
                error = max(abs(low - right[0]), abs(high - right[1])) / column_hz
                carrier.edge_columns = min(error, carrier.edge_columns) if carrier.found else error
                carrier.found = True
    false = 0
    for label, low, high in bands:
        if label not in CELLULAR:
            continue
        own = [c.carrier for c in there if c.label == label or c.kind == "dss"]
        false += _covered(low, high, own) < 0.5 * (high - low)
    return false


def _covered(low: float, high: float, bands: list[tuple[float, float]]) -> float:
    """How much of low to high lies in any of the bands; where some overlap it counts once."""
    total, reached = 0.0, low
    for a, b in sorted(bands):
        a, b = max(a, reached), min(b, high)
        total += max(0.0, b - a)
        reached = max(reached, b)
    return total


def _clip(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def _active_share(emitter: Emitter, duration: float) -> float:
    """Share of the frame in which a carrier's symbols hold any power."""
    if not isinstance(emitter.waveform, OfdmWaveform):
        return 1.0
    busy = 0.0
    for grid in emitter.waveform.grids:
        lengths = grid.cp + 1 / grid.scs
        inside = (grid.start + lengths).clamp(0, duration) - grid.start.clamp(0, duration)
        busy += float(inside[grid.power.sum(1) > 0].sum())
    return busy / duration
