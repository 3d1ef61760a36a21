# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`ata-sense live` for tests: as a command, and what stands in for its screen and sinks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from gnuradio.ata.live import Totals
from gnuradio.ata.records import Record

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 90  # s; only a test that fails waits so long


def command(*args: object) -> list[str]:
    return [sys.executable, str(ROOT / "apps" / "ata-sense"), "live", *map(str, args)]


def run(*args: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        command(*args), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, timeout=PATIENCE
    )


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


class Quiet:
    """No screen."""

    def started(self, streaming: object) -> None: ...

    def lost(self) -> None: ...

    def show(self, record: Record) -> None: ...

    def tick(self, totals: Totals) -> None: ...


class Collected(list):
    """A sink in memory, of records as JSON has them."""

    def write(self, record: Record) -> None:
        self.append(json.loads(record.to_json()))
