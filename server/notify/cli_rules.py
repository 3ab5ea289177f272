"""Commands about what an operator rules: policies of categories, holidays, terms and prices of gateways.

`cli.notify_cli` takes them in; they are a file of their own for its length.
"""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

import click

from server import clock
from server.db import snapshot, transaction
from server.identity.actor import SYSTEM
from server.notify import consent, service
from server.notify.rules.categories import CATEGORIES, Policy
from server.operator import current
from server.terminal import spoken


class _Amount(click.ParamType[Decimal]):
    """An amount of the operator's currency."""

    name = "amount"

    def convert(self, value: Any, param: Any, ctx: Any) -> Decimal:
        """Read it exactly."""
        try:
            return Decimal(value)
        except InvalidOperation:
            self.fail(f"{value} is not an amount such as 0.045", param, ctx)


class _Hours(click.ParamType[tuple[time, time]]):
    """Quiet hours, as 22:00-07:30."""

    name = "hours"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[time, time]:
        """Read both ends."""
        try:
            start, end = (time.fromisoformat(part) for part in str(value).split("-"))
        except ValueError:
            self.fail(f"{value} is not like 22:00-07:30", param, ctx)
        return start, end


class _Cap(click.ParamType[tuple[int, int]]):
    """So many in so many hours, as 2/24."""

    name = "cap"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        """Read both numbers."""
        try:
            count, hours = (int(part) for part in str(value).split("/"))
        except ValueError:
            self.fail(f"{value} is not like 2/24", param, ctx)
        return count, hours


@click.command("policies")
def policies() -> None:
    """Show what holds for each category, and the holidays to come."""
    with spoken(), snapshot() as session:
        found = consent.load_rules(session)
        today = clock.now().astimezone(current(session).zone).date()
    for name in CATEGORIES:
        click.echo(f"{name:<10} {_words(found.policy(name))}")
    coming = sorted(day for day in found.holidays if day >= today)
    click.echo(f"holidays   {', '.join(map(str, coming)) or 'none'}")


def _words(policy: Policy) -> str:
    words = []
    if policy.quiet_from is not None and policy.quiet_to is not None:
        words.append(f"quiet {policy.quiet_from:%H:%M}-{policy.quiet_to:%H:%M}")
    if policy.quiet_holidays:
        words.append("quiet on holidays")
    if policy.cap_count is not None:
        words.append(f"at most {policy.cap_count} in {policy.cap_hours} h")
    if policy.budget_day is not None:
        words.append(f"{policy.budget_day} a day")
    if policy.budget_month is not None:
        words.append(f"{policy.budget_month} a month")
    return ", ".join(words) or "at any time, without limit"


@click.command("policy")
@click.argument("category", type=click.Choice(CATEGORIES))
@click.option("--quiet", type=_Hours(), help="Of the recipient's clock, as 22:00-07:30.")
@click.option("--quiet-holidays", is_flag=True, help="Nothing on holidays.")
@click.option("--spread", default=30, show_default=True, help="Minutes of the release.")
@click.option("--cap", type=_Cap(), help="Messages for a phone in so many hours, as 2/24.")
@click.option("--budget-day", type=_Amount(), help="What may be queued in a day.")
@click.option("--budget-month", type=_Amount(), help="What may be queued in a month.")
def policy(
    category: str,
    quiet: tuple[time, time] | None,
    quiet_holidays: bool,
    spread: int,
    cap: tuple[int, int] | None,
    budget_day: Decimal | None,
    budget_month: Decimal | None,
) -> None:
    """Rule a category; what is not named is at its emptiest."""
    start, end = quiet or (None, None)
    count, hours = cap or (None, 24)
    wanted = Policy(start, end, quiet_holidays, spread, count, hours, budget_day, budget_month)
    with spoken(), transaction() as session:
        service.put_policy(session, SYSTEM, category, wanted)
    click.echo(f"{category}: {_words(wanted)}")


@click.command("holidays")
@click.option("--add", multiple=True, metavar="DAY=NAME", help="As 2027-02-17=春节.")
@click.option("--drop", multiple=True, metavar="DAY", help="As 2027-02-17.")
def holidays(add: tuple[str, ...], drop: tuple[str, ...]) -> None:
    """Name days as holidays, or make ordinary days of them; `policies` shows them."""
    named = {}
    for one in add:
        day, _, name = one.partition("=")
        named[_day(day)] = name
    gone = [_day(one) for one in drop]
    with spoken(), transaction() as session:
        if named:
            service.put_holidays(session, SYSTEM, named)
        if gone:
            service.drop_holidays(session, SYSTEM, gone)
    click.echo(f"{len(named)} named, {len(gone)} dropped.")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as problem:
        raise click.BadParameter(f"{text} is not a day such as 2027-02-17.") from problem


@click.command("terms")
@click.argument("name")
@click.option("--category", "categories", multiple=True, help="Only these; none means all.")
@click.option("--prefix", "prefixes", multiple=True, help="Only such numbers, as +8613.")
@click.option("--weight", default=100, show_default=True, help="Share among equals.")
@click.option("--patience", default=60, show_default=True, help="Seconds it may be away.")
@click.option("--budget-day", type=_Amount(), help="What it may cost in a day.")
@click.option("--budget-month", type=_Amount(), help="What it may cost in a month.")
def terms(
    name: str,
    categories: tuple[str, ...],
    prefixes: tuple[str, ...],
    weight: int,
    patience: int,
    budget_day: Decimal | None,
    budget_month: Decimal | None,
) -> None:
    """Say what a gateway carries and may cost; what is not named is unlimited."""
    wanted = service.Terms(categories, prefixes, weight, budget_day, budget_month, patience)
    with spoken(), transaction() as session:
        service.put_terms(session, SYSTEM, name, wanted)
    click.echo(f"The terms of {name} are set.")


@click.command("price")
@click.argument("name")
@click.argument("amount", type=_Amount())
@click.option("--prefix", default="", help="For such numbers, as +8613; none means all others.")
@click.option("--from", "since", type=click.DateTime(), help="Since when, local time; now.")
def price(name: str, amount: Decimal, prefix: str, since: datetime | None) -> None:
    """Set the price of a segment at a gateway; the one before it ends."""
    with spoken(), transaction() as session:
        zone = current(session).zone
        begins = clock.now() if since is None else since.replace(tzinfo=zone)
        service.put_price(session, SYSTEM, name, service.Price(prefix, amount, begins))
    click.echo(f"A segment by {name} to {prefix or 'all others'} costs {amount}.")


@click.command("prices")
@click.argument("name")
def prices(name: str) -> None:
    """List the prices of a gateway, the present and the past."""
    with spoken(), snapshot() as session:
        zone = current(session).zone
        for row in service.prices(session, name):
            until = f" until {row.valid_to.astimezone(zone):%Y-%m-%d %H:%M}" if row.valid_to else ""
            since = row.valid_from.astimezone(zone)
            click.echo(f"{row.prefix or 'all':<12} {row.price} from {since:%Y-%m-%d %H:%M}{until}")


COMMANDS = (policies, policy, holidays, terms, price, prices)
