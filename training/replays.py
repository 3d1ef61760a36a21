# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings through the command `ata-sense replay`, as a user runs it: many of them by one process."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

from training.errors import DataError

AGAIN = Path(__file__).with_name("again.py")


class Replays:
    """`ata-sense replay` with one model on the CPU, ready to be called; a context manager that ends its process."""

    def __init__(self, model: Path) -> None:
        beside = Path(sys.executable).parent / "ata-sense"
        command = str(beside) if beside.exists() else shutil.which("ata-sense")
        if command is None:
            raise DataError("there is no ata-sense here to replay with: `make setup` installs it")
        with Path(command).open() as script:
            first = script.readline().strip()
        own = first.removeprefix("#!") if first.endswith(("python", "python3")) and "env " not in first else sys.executable
        self.model, self.command = model, command
        self.process = subprocess.Popen([own, AGAIN, command], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(self, recording: Path, records: Path, frame_ms: float, *more: str) -> list[dict]:
        """Replays a recording into the file `records` -> its records; DataError with what the command said if it fails.

        more: further arguments, such as those of raw IQ.
        """
        asked = ["replay", recording, "--jsonl", records, "--model", self.model, "--engine", "onnxruntime-cpu",
                 "--frame-ms", repr(frame_ms), *more]  # fmt: skip
        try:
            self.process.stdin.write(json.dumps([str(part) for part in asked]) + "\n")
            self.process.stdin.flush()
            code, said = json.loads(self.process.stdout.readline() or '[1, ""]')
        except BrokenPipeError:
            code, said = 1, ""
        if code:
            last = said.strip().splitlines()[-1:] or [f"ata-sense ended while it replayed {recording}"]
            raise DataError(last[0])
        return [json.loads(line) for line in records.read_text().splitlines()]

    def __enter__(self) -> Replays:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(BrokenPipeError):  # it has ended already
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
