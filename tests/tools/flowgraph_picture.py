# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs examples/live_rtlsdr.grc on a generated recording that an rtl_tcp server plays, and saves the screen.

usage: xvfb-run -a -s "-screen 0 1100x760x24" .venv/bin/python tests/tools/flowgraph_picture.py RECORDING PNG [--seconds S]
"""

from __future__ import annotations

import argparse
import json
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
from tools.rtl_tcp_server import RtlTcpServer  # noqa: E402

FREQ = 806e6  # Hz; generated recordings have none, and nothing below 0 Hz can be tuned
SPEED = 0.25  # re real time: rate and width are a wideband radio's, which rtl_tcp has to convert in Python here


def on_the_air(recording: Path, folder: Path) -> tuple[Path, float]:
    """-> a copy of a recording's metadata at FREQ beside a link to its samples, and its rate, samples/s."""
    meta = json.loads(recording.read_text())
    meta["captures"][0]["core:frequency"] = FREQ
    copy = folder / recording.name
    copy.write_text(json.dumps(meta))
    copy.with_suffix(".sigmf-data").symlink_to(recording.with_suffix(".sigmf-data").resolve())
    return copy, meta["global"]["core:sample_rate"]


def _show(args: argparse.Namespace, grcc: str) -> int:
    """Runs the flowgraph and saves the screen -> its exit code."""
    application = QtWidgets.QApplication(sys.argv[:1])
    with tempfile.TemporaryDirectory() as scratch:
        recording, rate = on_the_air(args.recording, Path(scratch))
        env = {**os.environ, "GRC_BLOCKS_PATH": str(ROOT / "grc"), "HOME": scratch}
        compiling = [grcc, "-o", scratch, ROOT / "examples" / "live_rtlsdr.grc"]
        subprocess.run(compiling, env=env, check=True, stdout=subprocess.DEVNULL)
        with RtlTcpServer(recording, speed=SPEED) as server:
            command = [sys.executable, Path(scratch) / "live_rtlsdr.py", "--device", server.device,
                       "--freq", str(FREQ), "--samp-rate", str(rate)]  # fmt: skip
            program = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=env)
            try:
                QtTest.QTest.qWait(round(1000 * args.seconds))  # until the waterfall is full
                seen = application.primaryScreen().grabWindow(0).save(str(args.png))
                program.send_signal(signal.SIGINT)
                ended = program.wait(60)
            finally:
                program.kill()
    if not seen:
        raise OSError(f"{args.png} cannot be written")
    return ended


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recording", type=Path)
    parser.add_argument("png", type=Path)
    parser.add_argument("--seconds", type=float, default=50.0, help="from its start to the picture")
    args = parser.parse_args()
    grcc = shutil.which("grcc")
    if grcc is None:
        print("flowgraph_picture: grcc is not installed", file=sys.stderr)
        return 2
    try:
        ended = _show(args, grcc)
    except LookupError:
        print(f"flowgraph_picture: {args.recording} has no capture or no sample rate", file=sys.stderr)
        return 2
    except (OSError, ValueError, subprocess.SubprocessError) as failure:
        print(f"flowgraph_picture: {failure}", file=sys.stderr)
        return 2
    if ended:
        print(f"flowgraph_picture: the flowgraph ended with {ended}", file=sys.stderr)
        return 2
    with Image.open(args.png) as picture:
        shown = picture.convert("RGB").crop(picture.convert("L").point(lambda v: 255 * (v > 0)).getbbox())
        shown.quantize(256, dither=Image.Dither.NONE).save(args.png, optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
