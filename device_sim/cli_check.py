"""``python -m device_sim check``: is every witnessed capture acknowledged?"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from device_sim.check import check_device, witness_files

DESCRIPTION = """\
Compares each handheld's witness file with the answers it got: every id that was called saved must have
been acknowledged once, with the same content. One JSON line per handheld; exit code 1 if anything is
missing. Items that are only waiting for a sync are listed as missing too: sync first.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = DESCRIPTION
    parser.epilog = "example:\n  python -m device_sim check --state var/fleet"
    parser.add_argument(
        "--state", type=Path, default=Path("var/fleet"), help="default: %(default)s"
    )


def run(args: argparse.Namespace) -> int:
    """Check every handheld below the state folder; 0 when all is well."""
    files = witness_files(args.state)
    if not files:
        sys.stderr.write(f"check: no witness file below {args.state}\n")
        return 2
    well = True
    for path in files:
        report = check_device(path.parent)
        well = well and report.ok
        line = {"handheld": path.parent.name, "ok": report.ok, **asdict(report)}
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
    return 0 if well else 1
