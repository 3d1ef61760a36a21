# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`ata-sense doctor`: what works here, and how to mend what does not."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from .engines.choose import engine_report
from .errors import AtaError
from .frontend import FrontEnd
from .model import read_model
from .publish.common import PACKAGES, package
from .sinks import writing

RADIOS = (  # module, what it is, Debian package
    ("osmosdr", "gr-osmosdr", "gr-osmosdr"),
    ("gnuradio.uhd", "gr-uhd", "gnuradio"),
    ("gnuradio.soapy", "gr-soapy", "gnuradio"),
)
Check = tuple[str, bool, str]  # what, whether it works, what to know


def examine() -> int:
    """Prints a line for each check -> 0 if the block will run, else 2. One engine that works is enough."""
    faults = 0
    for checks in (_gnuradio, _kernel, _model, _grc):
        for what, works, detail in checks():
            faults += not works
            _say(f"{'ok ' if works else 'BAD'}  {what:16s} {detail}")
    engines = list(_engines())
    for what, works, detail in [*_radios(), *_waterfall(), *_outputs(), *engines]:
        _say(f"{'ok ' if works else ' - '}  {what:16s} {detail}")
    if engines and not any(works for _, works, _ in engines):
        faults += 1
        _say("BAD  engines          none works")
    _say("everything that the block needs works" if not faults else f"{faults} to mend: see docs/troubleshooting.md")
    return 2 if faults else 0


@writing("standard output")
def _say(line: str) -> None:
    print(line)


def _gnuradio() -> Iterator[Check]:
    try:
        from gnuradio import blocks, gr

        blocks.null_sink(gr.sizeof_gr_complex)
    except Exception as failure:  # a numpy of the wrong major fails in ways of its own
        mend = f"install gnuradio from apt; with numpy {np.__version__} its bindings may need another major: make setup"
        yield "GNU Radio", False, f"{failure}; {mend}"
        return
    yield "GNU Radio", True, f"{gr.version()}, Python {sys.version.split()[0]}, numpy {np.__version__}"


def _kernel() -> Iterator[Check]:
    front = FrontEnd(256, 256, 0.5, 20_000)
    front.push(np.ones(20_000, np.complex64))
    image = front.finish()
    right = int(image.sum(0).argmax()) == 128
    yield "kernel", right, str(Path(__file__).parent) if right else "gives a wrong spectrum: make setup"


def _model() -> Iterator[Check]:
    try:
        model = read_model()
    except AtaError as failure:
        yield "model", False, str(failure)
        return
    yield "model", True, f"{model.name}, {', '.join(model.classes)}, {model.path.stat().st_size / 1e6:.1f} MB"


def _grc() -> Iterator[Check]:
    try:
        from gnuradio import gr

        settings = [gr.prefs().get_string("grc", f"{where}_blocks_path", "") for where in ("local", "global")]
    except ImportError:
        return  # said by _gnuradio
    paths = os.pathsep.join([os.environ.get("GRC_BLOCKS_PATH", ""), *settings]).split(os.pathsep)
    searched = [Path(p).expanduser() for p in paths if p]
    prefixes = Path(__file__).resolve().parents
    beside = [p / "share/gnuradio/grc/blocks" for p in prefixes] + [p / "grc" for p in prefixes]  # installed; built only
    found = next((f for f in searched + beside if (f / "ata_segmenter.block.yml").exists()), None)
    if found is None:
        yield "GRC blocks", False, "not installed: cmake --install build"
    elif found in searched:
        yield "GRC blocks", True, str(found)
    elif (starter := Path(sys.prefix) / "bin" / "gnuradio-companion").exists() and sys.prefix != sys.base_prefix:
        yield "GRC blocks", True, f"start GNU Radio Companion as: {starter}"
    else:
        yield "GRC blocks", True, f"start GNU Radio Companion as: GRC_BLOCKS_PATH={found} gnuradio-companion"


def _radios() -> Iterator[Check]:
    """Looked for, not imported: drivers talk."""
    for module, what, name in RADIOS:
        there = find_spec(module) is not None
        yield what, there, "is there" if there else f"not installed: apt install {name}"


def _waterfall() -> Iterator[Check]:
    try:
        import pyqtgraph
        from PyQt5 import QtCore
    except ImportError as failure:
        yield "waterfall", False, f"{failure}: apt install python3-pyqt5 python3-pyqtgraph"
        return
    yield "waterfall", True, f"PyQt {QtCore.PYQT_VERSION_STR}, pyqtgraph {pyqtgraph.__version__}"


def _outputs() -> Iterator[Check]:
    for what, module, name in PACKAGES:
        try:
            package(module, name)
        except AtaError as failure:
            yield what, False, str(failure)
        else:
            yield what, True, f"{name.partition('>')[0]} is there"


def _engines() -> Iterator[Check]:
    try:
        yield from engine_report(read_model())
    except AtaError:
        return  # said by _model
