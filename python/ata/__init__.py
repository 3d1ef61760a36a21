# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""gr-ata: names 5G NR and LTE in IQ samples."""

from .errors import AtaError
from .segmenter import segmenter
from .sources import recording_source
from .waterfall import waterfall

__all__ = ["AtaError", "recording_source", "segmenter", "waterfall"]
