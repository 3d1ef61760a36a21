# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The waterfall on the screen: everything here runs in Qt's thread."""

from __future__ import annotations

import time
from html import escape

import numpy as np
from PyQt5 import QtCore, QtGui, QtWidgets  # before pyqtgraph, which takes the binding that is there

import pyqtgraph as pg  # isort: skip

from .plot_style import COLOURS, QUIET_DB
from .records import Band, Record
from .waterfall_picture import ROWS, Box, Inbox, Name, Picture

REFRESH_MS = 40
DRAWING_SHARE = 0.2  # of Qt's time, at most
SLOW_EVERY = 10  # refreshes between two updates of names and colours: text has to stand still to be read
NAME_LEVELS = 6  # names above each other at most
LOWEST_BOX_PX = 24
GROUND, INK, DIM = "#12161b", "#e8eaed", "#9aa4af"
HINT = "Click into the picture to see the record of that frame and band."


class WaterfallWidget(QtWidgets.QWidget):
    """Draws what an inbox holds, newest on top.

    A click shows the record there, the wheel and dragging zoom and move, a double click shows everything again.

    Args:
        inbox: where rows and records come from; emptied up to 25 times a second while the widget can be seen.
        seconds: time from top to bottom.
        title: stands above the picture.
    """

    def __init__(self, inbox: Inbox, seconds: float, title: str = "") -> None:
        super().__init__()
        self._inbox, self._seconds = inbox, seconds
        self.picture = Picture()
        self._refreshes = 0
        self._chosen: tuple[Record, Band] | None = None
        self._status = QtWidgets.QLabel("waiting for samples")
        self.pause = QtWidgets.QPushButton("Pause", checkable=True)
        self.pause.toggled.connect(self._name_pause)
        self.details = QtWidgets.QLabel(HINT)
        self.plot = pg.PlotWidget(background=GROUND)
        self._build_plot()
        self._build_layout(title)
        self._begun = 0.0
        self._timer = QtCore.QTimer(self, singleShot=True)
        self._timer.timeout.connect(self._tick)
        self._drawn = QtCore.QTimer(self, singleShot=True)
        self._drawn.timeout.connect(self._rest)
        self._timer.start(REFRESH_MS)

    # What stands where

    def _build_layout(self, title: str) -> None:
        self.setStyleSheet(
            f"WaterfallWidget {{ background: {GROUND}; }} QLabel {{ color: {INK}; background: {GROUND}; }}"
            f"QPushButton {{ color: {INK}; background: #2b333c; border: 1px solid #55606b; border-radius: 3px;"
            " padding: 3px 0; min-width: 76px; } QPushButton:checked { background: #8a4b12; }"
        )
        self.setAttribute(QtCore.Qt.WA_StyledBackground)
        self._status.setStyleSheet(f"color: {DIM};")
        self._status.setSizePolicy(QtWidgets.QSizePolicy.Ignored, QtWidgets.QSizePolicy.Preferred)
        self._status.setAlignment(QtCore.Qt.AlignRight | QtCore.Qt.AlignVCenter)
        head = QtWidgets.QHBoxLayout()
        if title:
            head.addWidget(QtWidgets.QLabel(f"<b>{escape(title)}</b>"))
            head.addSpacing(8)
        self.legend: dict[str, QtWidgets.QLabel] = {}
        for label, colour in COLOURS.items():
            swatch = self.legend[label] = QtWidgets.QLabel()
            swatch.setFixedSize(18, 12)
            swatch.setStyleSheet(f"background: {colour}; border: 1px solid black;")
            head.addWidget(swatch)
            head.addWidget(QtWidgets.QLabel(label))
            head.addSpacing(6)
        head.addWidget(self._status, 1)
        head.addSpacing(6)
        head.addWidget(self.pause)
        self.details.setTextInteractionFlags(QtCore.Qt.TextSelectableByMouse)
        # Neither wrapped nor as wide as its text: GNU Radio Companion's windows would grow scroll bars.
        self.details.setSizePolicy(QtWidgets.QSizePolicy.Ignored, QtWidgets.QSizePolicy.Fixed)
        self.details.setAlignment(QtCore.Qt.AlignTop)
        self.details.setFixedHeight(3 * self.fontMetrics().lineSpacing() + 4)
        layout = QtWidgets.QVBoxLayout(self)
        layout.addLayout(head)
        layout.addWidget(self.plot, 1)
        layout.addWidget(self.details)
        self.setMinimumSize(480, 320)

    def sizeHint(self) -> QtCore.QSize:
        return QtCore.QSize(1000, 640)

    def _build_plot(self) -> None:
        item = self.plot.getPlotItem()
        self.view = item.getViewBox()
        item.hideButtons()
        item.setMenuEnabled(False)
        self.view.disableAutoRange()
        self.view.invertY()
        for side, text in (("bottom", "frequency / MHz"), ("left", "seconds ago")):
            axis = item.getAxis(side)
            axis.enableAutoSIPrefix(False)
            axis.setPen(DIM)
            axis.setTextPen(INK)
            axis.setLabel(text, color=INK)
            axis.setStyle(hideOverlappingLabels=False)
        item.setContentsMargins(0, 8, 0, 0)  # for the upper half of the 0 at the top
        self._image = pg.ImageItem(axisOrder="row-major")
        colours = pg.colormap.get("viridis")
        self._image.setLookupTable(colours.getLookupTable(nPts=256))
        self._bar = pg.ColorBarItem(colorMap=colours, interactive=False, width=14)
        self._bar.axis.setTextPen(INK)
        self._bar.axis.setLabel("dB over the floor", color=INK)
        item.layout.addItem(self._bar, 2, 5)
        item.layout.setColumnFixedWidth(4, 12)
        self.plot.addItem(self._image)
        self._outlines = {}
        for z, (label, colour, width) in enumerate(
            [(label, "black", 4) for label in COLOURS] + [(label, COLOURS[label], 2) for label in COLOURS]
        ):
            outline = QtWidgets.QGraphicsPathItem()
            outline.setPen(pg.mkPen(colour, width=width, joinstyle=QtCore.Qt.MiterJoin))
            outline.setZValue(1 + z)
            self._outlines.setdefault(label, []).append(outline)
            self.plot.addItem(outline, ignoreBounds=True)
        self._mark = QtWidgets.QGraphicsPathItem()
        self._mark.setPen(pg.mkPen("white", width=3, style=QtCore.Qt.DashLine))
        self._mark.setZValue(10)
        self.plot.addItem(self._mark, ignoreBounds=True)
        self._names: list[pg.TextItem] = []
        self.plot.scene().sigMouseClicked.connect(self._clicked)

    # From the inbox to the screen

    def _tick(self) -> None:
        self._begun = time.monotonic()
        self.refresh()
        self._drawn.start(0)  # after Qt has painted

    def _rest(self) -> None:
        """Until the next time: where drawing takes long, the stream needs the processor more than the screen does."""
        took = 1e3 * (time.monotonic() - self._begun)
        self._timer.start(round(max(REFRESH_MS - took, took * (1 / DRAWING_SHARE - 1))))

    def refresh(self, names: bool = False) -> None:
        """Draws what came since the last time, unless paused or out of sight: then the inbox forgets by itself.

        names: names and colours too, whether or not it is their turn.
        """
        if self.pause.isChecked() or not self.isVisible():
            return
        rows, records = self._inbox.take()
        if not rows and not records and not names:
            return
        before = self.picture.frequencies
        self.picture.add(rows, records)
        self._say_status()
        if not self.picture.samp_rate:
            return
        if self.picture.frequencies != before:
            self.show_everything()
            names = True
        names = names or self._refreshes % SLOW_EVERY == 0
        if names:
            floor, loud = self.picture.scale()
            self._levels = floor + QUIET_DB, loud
            self._bar.setLevels((QUIET_DB, loud - floor))
        self._draw()
        if names:
            self._place_names(self.picture.names())
        self._refreshes += 1

    def show_everything(self) -> None:
        """The whole band and all rows."""
        low, high = (f / 1e6 for f in self.picture.frequencies)
        if high > low:
            self.view.setLimits(xMin=low, xMax=high, yMin=0, yMax=self._seconds)
            self.view.setRange(xRange=(low, high), yRange=(0, self._seconds), padding=0)

    def _draw(self) -> None:
        picture = self.picture
        low, high = picture.frequencies
        self._image.setImage(picture.levels, autoLevels=False, levels=self._levels)
        self._image.setRect(QtCore.QRectF(low / 1e6, 0, (high - low) / 1e6, self._seconds))
        paths = {label: QtGui.QPainterPath() for label in COLOURS}
        second_per_px = self.view.viewPixelSize()[1]
        for box in picture.boxes():
            if box.label in paths and box.high > low and box.low < high:
                _outline(paths[box.label], self._rectangle(box), LOWEST_BOX_PX * second_per_px)
        for label, path in paths.items():
            for outline in self._outlines[label]:
                outline.setPath(path)
        self._draw_mark()

    def _rectangle(self, box: Box) -> QtCore.QRectF:
        """In MHz and seconds; what reaches far beyond the axis ends a bit beyond it."""
        second = self._seconds / ROWS
        low, high = self.picture.frequencies
        left, right = max(box.low, low - self.picture.samp_rate), min(box.high, high + self.picture.samp_rate)
        return QtCore.QRectF(left / 1e6, box.top * second, (right - left) / 1e6, (box.bottom - box.top) * second)

    def _draw_mark(self) -> None:
        path = QtGui.QPainterPath()
        if self._chosen is not None:
            record, band = self._chosen
            start = record.sample_start
            top, bottom = self.picture.rows_of(np.array([start + record.sample_count, start]))
            if bottom > top:
                path.addRect(self._rectangle(Box(band.label, band.freq_lower_edge, band.freq_upper_edge, top, bottom)))
        self._mark.setPath(path)

    def _place_names(self, names: list[Name]) -> None:
        """Each under the top edge at its band, lower where a neighbour stands already, inside the picture."""
        while len(self._names) < len(names):
            self._names.append(pg.TextItem(anchor=(0.5, 0), color="black", border=pg.mkPen("black")))
            self._names[-1].setZValue(20)
            self.plot.addItem(self._names[-1], ignoreBounds=True)
        (low, high), (newest, _) = self.view.viewRange()
        mhz, second = self.view.viewPixelSize()
        free = [low] * NAME_LEVELS  # where each level is free from, MHz
        for item, name in zip(self._names, names):  # noqa: B905  (the rest is hidden below)
            item.setText(f"{name.label}  {name.center / 1e6:.2f} MHz\n{_width(name)} wide, {name.confidence:.0%}")
            item.fill = pg.mkBrush(COLOURS.get(name.label, "white"))
            size = item.textItem.boundingRect()
            half = size.width() / 2 * mhz
            middle = min(max(name.center / 1e6, low + half), high - half)
            level = next((i for i in range(NAME_LEVELS) if free[i] <= middle - half), None)
            item.setVisible(level is not None and low <= name.center / 1e6 <= high)
            if item.isVisible():
                free[level] = middle + half + 3 * mhz
                item.setPos(middle, newest + (6 + level * (size.height() + 3)) * second)
        for item in self._names[len(names) :]:
            item.hide()

    def _say_status(self) -> None:
        if not self.picture.records:
            self._status.setText("no records yet")
            return
        record = self.picture.records[-1]
        dropped = f", {record.dropped_frames} dropped" if record.dropped_frames else ""
        text = f"frame {record.frame}{dropped} · {record.model} · {record.engine}"
        self._status.setText(self.fontMetrics().elidedText(text, QtCore.Qt.ElideRight, self._status.width()))

    # What the mouse does

    def _name_pause(self, paused: bool) -> None:
        self.pause.setText("Resume" if paused else "Pause")

    def _clicked(self, event: pg.GraphicsScene.mouseEvents.MouseClickEvent) -> None:
        if event.button() != QtCore.Qt.LeftButton or not self.view.sceneBoundingRect().contains(event.scenePos()):
            return
        if event.double():
            self.show_everything()
            return
        at = self.view.mapSceneToView(event.scenePos())
        found = self.picture.find(at.x() * 1e6, at.y() * ROWS / self._seconds)
        record, band = found or (None, None)
        self._chosen = (record, band) if band else None
        self.details.setText(_describe(record, band) if record else "No record of this moment: a frame that is still "
                             "being analysed, or one that was dropped.")  # fmt: skip
        self._draw_mark()


def _outline(path: QtGui.QPainterPath, r: QtCore.QRectF, lowest: float) -> None:
    """Adds a box; of one lower than `lowest` only the sides, because its top and bottom would hide what is in it."""
    if r.height() >= lowest:
        path.addRect(r)
        return
    for side in (r.left(), r.right()):
        path.moveTo(side, r.top())
        path.lineTo(side, r.bottom())


def _width(name: Name) -> str:
    width = (name.high - name.low) / 1e6
    return f"{width:.2f} MHz" if width >= 1 else f"{1e3 * width:.0f} kHz"


def _describe(record: Record, band: Band | None) -> str:
    """A record and one of its bands as rich text."""
    if band is None:
        lines = [f"No band here; the frame has {len(record.bands)}."]
    else:
        snr = "" if band.snr_db is None else f" · SNR {band.snr_db:.1f} dB"
        width = (band.freq_upper_edge - band.freq_lower_edge) / 1e6
        lines = [
            f"<b style='color: {COLOURS.get(band.label, INK)}'>{escape(band.label)}</b> "
            f"{band.freq_lower_edge / 1e6:.3f} to {band.freq_upper_edge / 1e6:.3f} MHz ({width:.3f} MHz) "
            f"· confidence {band.confidence:.0%}{snr} · duty cycle {band.duty_cycle:.0%}"
        ]
    lines += [
        f"frame {record.frame} · samples {record.sample_start} + {record.sample_count}"
        + (f" · {escape(str(record.time))}" if record.time else "")
        + f" · centre {record.center_freq / 1e6:.6f} MHz · {record.samp_rate / 1e6:g} MS/s",
        f"{escape(record.model)} on {escape(record.engine)} · {record.dropped_frames} frames dropped so far"
        + (f" · {record.latency_ms:.1f} ms after its last sample" if record.latency_ms is not None else ""),
    ]
    return "<br>".join(lines)
