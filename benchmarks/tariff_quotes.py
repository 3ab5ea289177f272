"""How many quotes the tariff engine gives on one core, with every line as exact decimals."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from benchmarks.databases import Databases
from benchmarks.figures import Figure, machine, median
from benchmarks.options import Options
from server.billing.rules.tariff import Part, Usage, Version, charge, read_content, read_text
from server.billing.service.tariffs import SHIPPED

USED = {
    "zhejiang-residential": {"total": 230},
    "zhejiang-residential-tou": {"peak": 150, "valley": 80},
    "taiwan-residential": {"total": 400},
    "bc-hydro-residential": {"total": 1000},
    "hong-kong-water": {"total": 60},
    "india-sample-water": {"total": 25},
}
"""Which tariffs, with about what each register counts in a month."""

AFTER, UNTIL = date(2026, 6, 30), date(2026, 7, 31)
_AT_ONCE = 500


def tariff_quotes(options: Options, databases: Databases) -> list[Figure]:
    """Measure each shipped tariff; there is no database in it, so one kind is enough."""
    if databases.kind != "sqlite":
        return []
    state = machine()
    seconds = min(options.seconds, 2.0)
    figures = []
    for name, registers in USED.items():
        versions = read_content(read_text((SHIPPED / f"{name}.yaml").read_text("utf-8"))).dated()
        usages = [_usage(registers, number) for number in range(_AT_ONCE)]
        lines = sum(len(charge(versions, usage).lines) for usage in usages) / _AT_ONCE
        rounds = [_rate(versions, usages, seconds) for _ in range(options.rounds)]
        options.say(f"tariff_quotes {name}: {median(rounds):.0f}/s, {lines:.1f} lines each")
        figures.append(
            Figure(
                f"tariff_quotes.{name}",
                "none",
                median(rounds),
                "quotes/s of one core's time",
                "more",
                rounds=[round(rate) for rate in rounds],
                parameters={"lines_of_a_quote": round(lines, 2)},
                machine=state,
            )
        )
    return figures


def _usage(registers: dict[str, int], number: int) -> Usage:
    """A month of use; numbers differ so that quotes touch different tiers."""
    parts = tuple(
        Part(register, AFTER, UNTIL, Decimal(counted + number % 300))
        for register, counted in registers.items()
    )
    return Usage(AFTER, UNTIL, parts, {2026: Decimal(number * 37 % 5200)})


def _rate(versions: Sequence[Version], usages: Sequence[Usage], seconds: float) -> float:
    """Quotes for a second of processor time."""
    done, begun = 0, time.process_time()
    while (spent := time.process_time() - begun) < seconds:
        for usage in usages:
            charge(versions, usage)
        done += len(usages)
    return done / spent
