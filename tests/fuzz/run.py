# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Coverage-guided fuzzing of everything that reads what others wrote (targets.py), with atheris.

    python tests/fuzz/run.py [TARGET ...] [--seconds 60]     (each target for so long; all of them without arguments)

What reaches new code is kept in build/fuzz/TARGET for the next run, what breaks something in build/fuzz/findings.
Prints a line for each target and a sum; exit code 1 after a finding.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "build" / "fuzz"
LONGEST_UNIT, MOST_MEMORY = 20, 3072  # s and MB of one input: more is a finding


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        fuzz(args.targets[0], args.seconds)
    try:
        import atheris  # noqa: F401
    except ImportError:
        print("fuzz: atheris is not installed (pip install atheris; there is none for some machines)", file=sys.stderr)
        return 2
    os.environ["PYTHONPATH"] = os.pathsep.join(str(ROOT / p) for p in ("build/test_modules", "tests"))
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.path[:0] = os.environ["PYTHONPATH"].split(os.pathsep)
    from fuzz.targets import TARGETS

    unknown = [name for name in args.targets if name not in TARGETS]
    if unknown:
        print(f"fuzz: there is no target {unknown[0]!r}: choose from {', '.join(TARGETS)}", file=sys.stderr)
        return 2
    total = {"inputs": 0, "accepted": 0, "bytes": 0, "findings": 0}
    for name in args.targets or TARGETS:
        done = in_process_of_its_own(name, args.seconds)
        kept = len(list((CORPUS / name).iterdir()))
        print(f"{name:16s} {done['inputs']:9d} inputs, {done['accepted']:9d} accepted, {done['bytes']:11d} bytes, "
              f"{kept:5d} kept, {done['findings']} findings", flush=True)  # fmt: skip
        total = {key: total[key] + done[key] for key in total}
    print(json.dumps(total))
    return 1 if total["findings"] else 0


def in_process_of_its_own(name: str, seconds: float) -> dict:
    """Runs one target -> what it counted. A crash of any library is a finding too."""
    command = [sys.executable, "-W", "ignore", __file__, name, "--inside", "--seconds", str(seconds)]
    ran = subprocess.run(command, capture_output=True, text=True, errors="replace", cwd=ROOT, check=False)
    if ran.returncode == 0:
        return json.loads(ran.stdout.splitlines()[-1])
    print(ran.stdout[-2000:], ran.stderr[-6000:], sep="\n", file=sys.stderr)
    return {"inputs": 0, "accepted": 0, "bytes": 0, "findings": 1}


def fuzz(name: str, seconds: float) -> None:
    """In the inner process, which this ends."""
    import atheris
    import gnuradio.gr  # noqa: F401  (its types, before the module's own)

    with atheris.instrument_imports(include=["gnuradio.ata", "json"]):
        from fuzz import targets

    logging.getLogger("ata").setLevel(logging.CRITICAL)
    for folder in (CORPUS / name, CORPUS / "findings"):
        folder.mkdir(parents=True, exist_ok=True)
    for i, seed in enumerate(targets.seeds(name)):
        (CORPUS / name / f"seed{i}").write_bytes(seed)
    end = time.monotonic() + seconds
    counted = {"inputs": 0, "accepted": 0, "bytes": 0, "findings": 0}

    def once(data: bytes) -> None:
        counted["accepted"] += targets.run(name, data)
        counted["inputs"] += 1
        counted["bytes"] += len(data)
        if time.monotonic() > end:
            print(json.dumps(counted), flush=True)
            targets.FOLDER.cleanup()
            os._exit(0)

    findings = f"-artifact_prefix={CORPUS / 'findings'}/{name}-"
    limits = [f"-timeout={LONGEST_UNIT}", f"-rss_limit_mb={MOST_MEMORY}", "-max_len=4096", "-verbosity=0"]
    atheris.Setup([sys.argv[0], str(CORPUS / name), findings, *limits], once)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
