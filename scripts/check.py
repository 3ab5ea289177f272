"""Every check of the code without running it: `make check`.

All checks run even when one fails, so that one run tells everything; the ending says which failed.
Names of checks on the command line choose some of them.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CODE = ("server", "device_sim", "config", "scripts", "benchmarks", "tests", "wsgi.py")


def checks(root: Path = ROOT) -> Mapping[str, Sequence[str]]:
    """The checks by name, each with the command that makes it, over the folders that exist."""
    code = [name for name in CODE if (root / name).exists()]
    python = sys.executable
    return {
        "format": ["ruff", "format", "--check", "--quiet", "--diff", *code],
        "lint": ["ruff", "check", "--quiet", *code],
        "types": [python, "-m", "mypy", "--no-error-summary", *code],
        "imports": ["lint-imports", "--no-logo"],
        "pins": [python, "-m", "scripts.checks.pins"],
        "house": [python, "-m", "scripts.checks.house"],
        "translations": [python, "-m", "scripts.checks.translations"],
        "docs": [python, "-m", "scripts.checks.docs"],
    }


def main(arguments: Sequence[str]) -> int:
    """Run the named checks, or all; 0 when every one passed."""
    known = checks()
    unknown = sorted(set(arguments) - set(known))
    if unknown:
        print(f"There is no check {', '.join(unknown)}; there are {', '.join(known)}.")
        return 2
    wanted = {
        name: command for name, command in known.items() if name in arguments or not arguments
    }
    failed = [name for name, command in wanted.items() if not _passes(name, command)]
    if failed:
        print(f"\nFailed: {', '.join(failed)}. One alone: make check ARGS={failed[0]}")
        return 1
    print(f"\nAll {len(wanted)} checks passed.")
    return 0


def _passes(name: str, command: Sequence[str]) -> bool:
    started = time.monotonic()
    run = subprocess.run(
        command, cwd=ROOT, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    seconds = time.monotonic() - started
    print(f"{'ok  ' if run.returncode == 0 else 'FAIL'} {name:13} {seconds:5.1f} s", flush=True)
    if run.returncode:
        print("\n".join(f"     {line}" for line in run.stdout.splitlines()), flush=True)
    return run.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
