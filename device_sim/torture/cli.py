"""``python -m device_sim torture``: kill everything, lose nothing."""

from __future__ import annotations

import argparse
import logging
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from device_sim.torture.plan import describe, make_plan
from device_sim.torture.run import Options, report, torture
from device_sim.torture.system import SystemFault

DESCRIPTION = """\
A fleet of simulated handhelds works against a real server (two web processes, a worker, an SMS centre),
while server, worker and handhelds are killed with kill -9 at points drawn from the seed and every link
loses, doubles and delays requests. At the end everything is sent, and the handhelds' witness files are
compared with the server's export, the bills with an oracle, the texts with the bills.

The database must be empty. Exit code 0: nothing lost, nothing double; 1: a broken promise.
"""

EXAMPLES = """\
examples:
  python -m device_sim torture --kills 40 --days 3
  python -m device_sim torture --seed 7 --minutes 15 --kills 200
  python -m device_sim torture --seed 7 --database postgresql+psycopg://fieldbell@127.0.0.1/torture
  python -m device_sim torture --seed 7 --plan
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    add = parser.add_argument
    add("--seed", type=int, help="of everything that is drawn (default: a new one, printed)")
    add("--minutes", type=float, default=10.0, help="to live in, at most (default: %(default)s)")
    add("--devices", type=int, default=8, help="handhelds (default: %(default)s)")
    add("--stops", type=int, default=8, help="meters of each route (default: %(default)s)")
    add("--days", type=int, default=6, help="days on the rounds (default: %(default)s)")
    add("--kills", type=int, default=60, help="kills altogether (default: %(default)s)")
    add(
        "--database",
        default="sqlite",
        metavar="URL",
        help="sqlite (a file of its own) or the address of an empty database",
    )
    add("--migrated", action="store_true", help="the database has its empty tables already")
    add("--state", type=Path, metavar="DIR", help="keep all files here (default: thrown away)")
    add("--plan", action="store_true", help="only print what a seed would do")


def run(args: argparse.Namespace) -> int:
    """Make a run; 0 when every promise was kept, 1 when not, 2 for wrong use."""
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(1_000_000)
    try:
        plan = make_plan(seed, args.devices, args.stops, args.days, args.kills)
    except ValueError as error:
        sys.stderr.write(f"torture: {error}\n")
        return 2
    if args.plan:
        sys.stdout.write(describe(plan) + "\n")
        return 0
    folder = args.state or Path(tempfile.mkdtemp(prefix="fieldbell-torture-"))
    database = args.database
    if database == "sqlite":
        database = f"sqlite:///{folder.absolute()}/fieldbell.db"
    day_s = args.minutes * 60 / args.days
    logging.getLogger("device_sim").setLevel(logging.ERROR)
    # Whoever ends a run ends the programs it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = Options(plan, folder, database, Path.cwd(), day_s, args.migrated, _say)
    try:
        ran = torture(options)
    except SystemFault as fault:
        sys.stderr.write(f"seed {seed}: {fault}\n")
        return 1
    _say(report(ran))
    if ran.ok and args.state is None:
        shutil.rmtree(folder, ignore_errors=True)
    elif not ran.ok:
        _say(f"  files: {folder}")
    return 0 if ran.ok else 1


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
