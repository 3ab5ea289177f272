"""`python -m benchmarks`: run measurements and print one line of JSON for each figure."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import postgres
from benchmarks.bill_run import bill_run
from benchmarks.databases import KINDS, Databases, databases
from benchmarks.figures import Figure, table
from benchmarks.history import settled_with_history
from benchmarks.options import Options
from benchmarks.pulls import pulls
from benchmarks.settled import settled_readings
from benchmarks.sms_codec import sms_codec
from benchmarks.sms_commands import sms_commands
from benchmarks.sms_enqueue import sms_enqueue
from benchmarks.sms_inbound import sms_inbound
from benchmarks.sms_kannel import sms_kannel
from benchmarks.sms_peer import Missing
from benchmarks.sms_send import sms_drain, sms_paced
from benchmarks.sms_throttled import sms_throttled
from benchmarks.tariff_quotes import tariff_quotes

MEASUREMENTS: Mapping[str, Callable[[Options, Databases], list[Figure]]] = {
    "settled_readings": settled_readings,
    "settled_with_history": settled_with_history,
    "pulls": pulls,
    "sms_codec": sms_codec,
    "sms_paced": sms_paced,
    "sms_drain": sms_drain,
    "sms_throttled": sms_throttled,
    "sms_kannel": sms_kannel,
    "sms_inbound": sms_inbound,
    "sms_enqueue": sms_enqueue,
    "sms_commands": sms_commands,
    "tariff_quotes": tariff_quotes,
    "bill_run": bill_run,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; 0 when every measurement gave its figures."""
    asked = parser().parse_args(arguments)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="fieldbell-bench-", dir=asked.folder) as folder:
        options = read_options(asked, Path(folder))
        for kind in asked.database or KINDS:
            try:
                with databases(kind, options.folder, asked.postgres) as chosen:
                    for name in asked.measurement or MEASUREMENTS:
                        for figure in MEASUREMENTS[name](options, chosen):
                            figures.append(figure)
                            if not asked.table:
                                print(figure.line(), flush=True)
            except (postgres.Unavailable, Missing) as missing:
                print(missing, file=sys.stderr)
                return 1
    if asked.table:
        print(table(figures))
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure speed. One line of JSON for each figure goes to standard output.",
    )
    made.add_argument(
        "measurement", nargs="*", help=f"which: {', '.join(MEASUREMENTS)} (default: all)"
    )
    made.add_argument("--database", action="append", choices=KINDS, help="default: both")
    made.add_argument("--postgres", metavar="URL", help="a server whose user may create databases")
    made.add_argument("--folder", help="where databases and logs are put (default: temporary)")
    made.add_argument("--quick", action="store_true", help="a few seconds: does it run at all")
    made.add_argument("--table", action="store_true", help="a table for people instead of JSON")
    for name, kind, what in (
        ("points", int, "service points, each with an open order"),
        ("rounds", int, "rounds; the median is shown"),
        ("seconds", float, "longest time of the batches of a round"),
        ("connections", int, "clients that send at once"),
        ("batch", int, "readings in a push"),
        ("workers", int, "web processes"),
        ("threads", int, "threads of each web process"),
        ("contacts", int, "contacts who get one notice"),
        ("accounts", int, "accounts that a bill run bills"),
        ("texts", int, "texts that phones send"),
    ):
        made.add_argument(f"--{name}", type=kind, help=what)
    return made


def read_options(asked: argparse.Namespace, folder: Path) -> Options:
    """The sizes of the run; what is named on the command line stands before ``--quick``.

    Raises:
        SystemExit: for a measurement that does not exist.
    """
    unknown = sorted(set(asked.measurement) - set(MEASUREMENTS))
    if unknown:
        raise SystemExit(
            f"There is no measurement {', '.join(unknown)}; there are {', '.join(MEASUREMENTS)}."
        )
    options = Options(folder)
    if asked.quick:
        options = options.quick()
    names = (
        "points",
        "rounds",
        "seconds",
        "connections",
        "batch",
        "workers",
        "threads",
        "contacts",
        "accounts",
        "texts",
    )
    given = {name: getattr(asked, name) for name in names if getattr(asked, name) is not None}
    return replace(options, **given)


if __name__ == "__main__":
    sys.exit(main())
