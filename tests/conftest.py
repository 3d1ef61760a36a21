# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the tests find the module, the training package and the recordings."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STAGED = ROOT / "build" / "test_modules"

# The module as just built, before any that is installed.
sys.path[:0] = [str(STAGED), str(ROOT)]
os.environ["PYTHONPATH"] = os.pathsep.join([str(STAGED), str(ROOT), os.environ.get("PYTHONPATH", "")])


@pytest.fixture(scope="session")
def captures() -> Path:
    """The folder of recordings with ground truth that lies beside the repository."""
    folder = ROOT.parent / "shared" / "captures"
    if not folder.is_dir():
        pytest.skip(f"no recordings at {folder}")
    return folder
