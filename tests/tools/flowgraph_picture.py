# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs examples/live_rtlsdr.grc on a recording that an rtl_tcp server plays, and saves its window once it shows names.

usage: xvfb-run -a .venv/bin/python tests/tools/flowgraph_picture.py RECORDING PNG [--seconds S]
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from PIL import Image  # noqa: E402
from PyQt5 import QtTest, QtWidgets  # noqa: E402
from tools.rtl_tcp_server import RtlTcpServer, Tuner  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recording", type=Path)
    parser.add_argument("png", type=Path)
    parser.add_argument("--seconds", type=float, default=14.0, help="from its start to the picture")
    args = parser.parse_args()
    grcc = shutil.which("grcc")
    if grcc is None:
        print("flowgraph_picture: grcc is not installed", file=sys.stderr)
        return 2
    tuner = Tuner(str(args.recording))
    application = QtWidgets.QApplication(sys.argv[:1])
    with tempfile.TemporaryDirectory() as folder, RtlTcpServer(args.recording) as server:
        env = {**os.environ, "GRC_BLOCKS_PATH": str(ROOT / "grc"), "HOME": folder}
        compiling = [grcc, "-o", folder, ROOT / "examples" / "live_rtlsdr.grc"]
        subprocess.run(compiling, env=env, check=True, stdout=subprocess.DEVNULL)
        command = [sys.executable, Path(folder) / "live_rtlsdr.py", "--device", server.device,
                   "--freq", str(tuner.freq), "--samp-rate", str(tuner.rate)]  # fmt: skip
        program = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        QtTest.QTest.qWait(round(1000 * args.seconds))  # for the waterfall to fill: a picture, not a test
        screen = application.primaryScreen()
        seen = screen.grabWindow(0).save(str(args.png))
        program.send_signal(signal.SIGINT)
        ended = program.wait(60)
    if not seen or ended:
        print(f"flowgraph_picture: {args.png} cannot be written, or the flowgraph ended with {ended}", file=sys.stderr)
        return 2
    with Image.open(args.png) as picture:
        cropped = picture.convert("RGB").crop(picture.convert("L").point(lambda v: 255 * (v > 0)).getbbox())
        cropped.quantize(256, dither=Image.Dither.NONE).save(args.png, optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
