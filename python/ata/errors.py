# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception a user is meant to read."""

from __future__ import annotations

import sys


class AtaError(Exception):
    """Something the user can mend; its text is one sentence that says what and, where known, how."""


def package_missing(name: str, failure: ImportError) -> AtaError:
    """-> the sentence for one of the two Python packages that GNU Radio does not bring."""
    mend = f"{sys.executable} -m pip install onnx onnxruntime (where pip refuses: docs/install.md)"
    return AtaError(f"the Python package {name} does not load ({failure}): {mend}")
