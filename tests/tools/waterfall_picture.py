# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays a recording through segmenter and waterfall until the screen is full, clicks on a band and saves the window.

usage: xvfb-run -a .venv/bin/python tests/tools/waterfall_picture.py RECORDING PNG [--seconds S] [--title TEXT]
"""

from __future__ import annotations

import argparse
import sys

from gnuradio import ata, gr
from PIL import Image
from PyQt5 import QtCore, QtTest, QtWidgets

SIZE = (1100, 640)


def place(widget: QtWidgets.QWidget, mhz: float, seconds: float) -> QtCore.QPoint:
    """Where a frequency and an age stand in the waterfall's window, from the axes' ranges and the picture's corners."""
    (low, high), (newest, oldest) = widget.view.viewRange()
    corners = widget.view.sceneBoundingRect()
    x = corners.left() + (mhz - low) / (high - low) * corners.width()
    y = corners.top() + (seconds - newest) / (oldest - newest) * corners.height()
    in_plot = widget.plot.mapFromScene(QtCore.QPointF(x, y))
    return widget.plot.viewport().mapTo(widget, in_plot)


def click(widget: QtWidgets.QWidget, mhz: float, seconds: float) -> None:
    """A left click into the picture."""
    at = widget.plot.viewport().mapFrom(widget, place(widget, mhz, seconds))
    QtTest.QTest.mouseClick(widget.plot.viewport(), QtCore.Qt.LeftButton, QtCore.Qt.NoModifier, at)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recording")
    parser.add_argument("png")
    parser.add_argument("--seconds", type=float, default=1.0, help="from top to bottom")
    parser.add_argument("--title", default="")
    args = parser.parse_args()
    application = QtWidgets.QApplication(sys.argv[:1])
    try:
        source = ata.recording_source(args.recording, repeat=True)
        segmenter = ata.segmenter(source.samp_rate, source.center_freq, mode="lossless")
        waterfall = ata.waterfall(source.samp_rate, source.center_freq, args.seconds, args.title)
    except ata.AtaError as failure:
        print(f"waterfall_picture: {failure}", file=sys.stderr)
        return 2
    flowgraph = gr.top_block()
    flowgraph.connect(source, segmenter, waterfall)
    flowgraph.msg_connect(segmenter, "detects", waterfall, "detects")
    widget = waterfall.qwidget()
    widget.resize(*SIZE)
    widget.show()
    flowgraph.start()
    while waterfall.nitems_read(0) < 1.1 * args.seconds * source.samp_rate:
        QtTest.QTest.qWait(10)
    flowgraph.stop()
    flowgraph.wait()
    widget.refresh(names=True)
    names = widget.picture.names()
    if names:
        widest = max(names, key=lambda n: n.high - n.low)
        click(widget, widest.center / 1e6, 0.6 * args.seconds)
    application.processEvents()
    if not widget.grab().save(args.png):
        print(f"waterfall_picture: {args.png} cannot be written", file=sys.stderr)
        return 2
    with Image.open(args.png) as picture:  # 256 colours are enough, and half as long a file
        picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(args.png, optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
