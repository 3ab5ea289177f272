"""``python -m device_sim fleet``: many handhelds from a plan file."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from datetime import datetime
from pathlib import Path

from device_sim.fleet import Fleet, Options, load_plan
from device_sim.rep import Dials, Habits

DEFAULT_SERVER = "http://127.0.0.1:8000"

DESCRIPTION = """\
Simulated handhelds walk their rounds, read meters and sync.

The plan is a JSON file: {"server": URL, "dials": CSV, "handhelds": [{"name": …, "code": "XXXX-XXXX"}]}.
The dials file (meter_serial,kind,value,per_day,as_of) says what really stands on the meters; without
it the use since the previous reading is drawn around the expected one. Each handheld keeps its outbox
in STATE/<name>/device.sqlite3 and writes every captured id to STATE/<name>/witness.jsonl first. A fleet
started again with the same STATE goes on: same tokens, unsent items first. It waits for a server that
is not up. Ctrl-C or SIGTERM ends the shifts, tries a last sync and keeps what is unsent.
"""

EXAMPLES = """\
examples:
  the demo, four seconds a stop:
    python -m device_sim fleet --plan var/demo/fleet.json --pace 4
  no signal half of the time, until everything is read and sent:
    python -m device_sim fleet --plan fleet.json --pace 1 --signal 0.5 --until-done
  a working day since 08:00 in a second, without a signal, then sync in the present:
    python -m device_sim fleet --plan fleet.json --live-from 2026-11-21T08:00:00+08:00 --until-done
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    add = parser.add_argument
    add("--plan", type=Path, required=True, metavar="FILE", help="the plan file")
    add("--server", metavar="URL", help=f"instead of the plan's server (else {DEFAULT_SERVER})")
    add("--state", type=Path, default=Path("var/fleet"), metavar="DIR", help="default: %(default)s")
    add("--dials", type=Path, metavar="CSV", help="instead of the plan's dials")
    add("--seed", default="1", help="of people, walks, receivers and signal (default: %(default)s)")
    add("--pace", type=float, metavar="S", help="seconds per stop; default: real walking, 1.2 m/s")
    add(
        "--signal",
        type=float,
        default=0.85,
        help="part of the time with signal (default: %(default)s)",
    )
    add(
        "--sync-every",
        type=float,
        metavar="S",
        help="seconds between syncs (default: 60, or by the pace)",
    )
    add("--skip", type=float, default=0.02, help="part of the stops skipped (default: %(default)s)")
    add(
        "--fat-finger",
        type=float,
        default=0.02,
        help="part of the entries mistyped (default: %(default)s)",
    )
    add("--photos", type=float, default=0.0, help="part of the readings with a photo")
    add(
        "--until-done", action="store_true", help="end when every order is read and every item sent"
    )
    add("--duration", type=float, metavar="S", help="end after so many seconds")
    add(
        "--live-from",
        type=datetime.fromisoformat,
        metavar="TIME",
        help="live through the time since then first",
    )
    add("--verbose", action="store_true", help="log every stop and every failed sync")


def run(args: argparse.Namespace) -> int:
    """Run the fleet; 0 when every handheld lived through it."""
    level = logging.DEBUG if args.verbose else logging.INFO
    logging.basicConfig(level=level, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        plan = load_plan(args.plan)
        dials_path = args.dials or plan.dials
        dials = Dials.load(dials_path) if dials_path else Dials()
        fleet = Fleet(plan.handhelds, _options(args, plan.server), dials)
    except (OSError, KeyError, ValueError) as error:
        sys.stderr.write(f"fleet: {error}\n")
        return 2
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: fleet.stop.set())
    return 0 if fleet.run(args.duration) else 1


def _options(args: argparse.Namespace, planned_server: str | None) -> Options:
    if not 0 <= args.signal <= 1:
        raise ValueError("--signal is a fraction of time between 0 and 1")
    live_from = args.live_from
    return Options(
        server=args.server or planned_server or DEFAULT_SERVER,
        state=args.state,
        seed=args.seed,
        pace=args.pace,
        signal=args.signal,
        sync_every=_cadence(args),
        until_done=args.until_done,
        live_from=live_from and live_from.astimezone(),
        habits=Habits(skip=args.skip, fat_finger=args.fat_finger, photo=args.photos),
    )


def _cadence(args: argparse.Namespace) -> float:
    if args.sync_every is not None:
        return float(args.sync_every)
    return 60.0 if args.pace is None else min(60.0, max(2.0, args.pace * 1.5))
