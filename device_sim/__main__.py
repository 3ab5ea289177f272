"""The command line: ``python -m device_sim COMMAND …``; each command's module is imported only when asked for."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

COMMANDS = {
    "fleet": ("many handhelds walking their rounds", "device_sim.cli_fleet"),
    "handheld": ("one handheld, step by step or one whole round", "device_sim.cli_handheld"),
    "check": ("compare witness files with what the handhelds hold", "device_sim.cli_check"),
    "torture": ("kill server, worker and handhelds; nothing may be lost", "device_sim.torture.cli"),
    "stampede": ("a fleet hands in its day in the same second", "device_sim.torture.stampede"),
    "proxy": ("a bad link: a TCP proxy that loses requests and answers", "device_sim.faults"),
    "modem": ("a GSM modem at a pty: texts out and in, and its quirks", "device_sim.modem.cli"),
    "serial": ("the far ends of serial lines: meter, GPS, scanner, cable", "device_sim.serial.cli"),
    "smsc": ("an SMS centre with phones and every fault", "device_sim.smsc.cli"),
}

EXAMPLES = """examples:
  python -m device_sim fleet --plan var/demo/fleet.json --pace 4
  python -m device_sim handheld --server http://127.0.0.1:8000 --code ABCD-2345 --state var/h1 --once
  python -m device_sim smsc
  python -m device_sim COMMAND --help     what a command does, with examples of its own
"""


def _parser() -> argparse.ArgumentParser:
    lines = "\n".join(f"  {name:<10} {summary}" for name, (summary, _) in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="python -m device_sim",
        description=f"Simulated field devices.\n\ncommands:\n{lines}",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=sorted(COMMANDS), metavar="COMMAND")
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (0 done, 1 not done, 2 wrong use)."""
    outer = _parser().parse_args(argv)
    summary, module_name = COMMANDS[outer.command]
    module = importlib.import_module(module_name)
    parser = argparse.ArgumentParser(
        prog=f"python -m device_sim {outer.command}",
        description=summary,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    return int(module.run(parser.parse_args(outer.rest)) or 0)


if __name__ == "__main__":
    sys.exit(main())
