# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the tests find the module, the training package and the recordings."""

import os
import signal
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
STAGED = ROOT / "build" / "test_modules"

# One thread each, before numpy and torch are loaded: small work gains nothing from more, and suites run side by side.
for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(threads, "1")

# A shell starts what it runs in the background deaf to Ctrl-C, and so would be the commands that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The module as just built, before any that is installed; commands that tests start find it too.
sys.path[:0] = [str(STAGED), str(ROOT), str(TESTS)]
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(STAGED), str(ROOT), os.environ.get("PYTHONPATH")]))


@pytest.fixture(scope="session")
def captures() -> Path:
    """The folder of recordings with ground truth that lies beside the repository."""
    folder = ROOT.parent / "shared" / "captures"
    if not folder.is_dir():
        pytest.skip("needs the folder of recordings, which is not published")
    return folder


@pytest.fixture(scope="session")
def screen() -> None:
    """A screen for windows: pytest-xvfb's, where Xvfb is installed."""
    if not os.environ.get("DISPLAY"):
        pytest.skip("Xvfb is not installed, and there is no other screen")
