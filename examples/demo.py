# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays a recording through the GNU Radio block, then prints the bands and draws them.

usage: demo.py RECORDING [--png FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from gnuradio import ata, blocks, gr
from gnuradio.ata.cli import Table
from gnuradio.ata.errors import first_line
from gnuradio.ata.frontend import FRAME_MS, SHORTEST_FRAME, FrontEnd
from gnuradio.ata.model import ModelFile, read_model
from gnuradio.ata.plot import Spectrogram
from gnuradio.ata.recordings import Recording, open_described
from gnuradio.ata.records import Record
from gnuradio.ata.sensor import Analysis


def play(recording: Recording, model: ModelFile, path: str, jsonl: Path) -> None:
    """The flowgraph: recording -> segmenter -> nowhere; the block writes its records itself.

    Frames are the model's, or shorter where the recording is. AtaError for what ends the flowgraph early.
    """
    longest = max(capture.count for capture in recording.captures)
    if longest < max(SHORTEST_FRAME, 1e-3 * FRAME_MS[0] * recording.samp_rate):
        raise ata.AtaError(f"{path} has only {longest} samples at one frequency, too few for the block: use `ata-sense replay`")
    frame_ms = min(model.default_frame_ms, 1e3 * longest / recording.samp_rate)
    source = ata.recording_source(path)
    segmenter = ata.segmenter(source.samp_rate, source.center_freq, mode="lossless", frame_ms=frame_ms, jsonl=str(jsonl))
    flowgraph = gr.top_block("demo")
    flowgraph.connect(source, segmenter, blocks.null_sink(gr.sizeof_gr_complex))
    flowgraph.run()
    for failure in filter(None, (source.failure, segmenter.failure)):
        raise ata.AtaError(f"the flowgraph stopped: {first_line(failure)}") from failure


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recording")
    parser.add_argument("--png", type=Path, default=Path("demo.png"))
    args = parser.parse_args()
    try:
        recording, model = open_described(args.recording), read_model()
        with tempfile.TemporaryDirectory() as folder:
            jsonl = Path(folder) / "records.jsonl"
            play(recording, model, args.recording, jsonl)
            records = [Record.from_dict(json.loads(line)) for line in jsonl.read_text().splitlines()]
        table, picture = Table(), Spectrogram(f"{recording.path.name}, {records[0].model}")
        for record in records:
            front = FrontEnd(model.rows, model.columns, model.overlap, record.sample_count)
            front.push(recording.read(record.sample_start, record.sample_count))
            analysis = Analysis(record, np.zeros(model.columns, np.uint8), front.finish())
            table.add(analysis)
            picture.add(analysis)
        table.print()
        args.png.parent.mkdir(parents=True, exist_ok=True)
        picture.save(args.png)
    except ata.AtaError as failure:
        print(f"demo: {failure}", file=sys.stderr)
        return 2
    print(f"picture: {args.png}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
