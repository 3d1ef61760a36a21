# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a Python command again and again in one process, so that its imports are paid for once.

usage: python training/again.py COMMAND < ARGUMENTS

Each line of standard input is a JSON list of arguments; each line of standard output is the JSON list
[exit code, what the command wrote to standard output and error].
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import runpy
import sys


def main() -> None:
    command = sys.argv[1]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not come between the answers
    with contextlib.suppress(KeyboardInterrupt):  # a terminal's Ctrl-C; who gave the arguments has its own word to say
        for line in sys.stdin:
            sys.argv = [command, *json.loads(line)]
            code, said = 0, io.StringIO()
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                try:
                    runpy.run_path(command, run_name="__main__")
                except SystemExit as end:
                    code = end.code if isinstance(end.code, int) else int(end.code is not None)
            print(json.dumps([code, said.getvalue()]), file=answers, flush=True)


if __name__ == "__main__":
    main()
