"""Commands of metering: open the read orders of a period, exchange a meter."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal, InvalidOperation

import click
from sqlalchemy import select

from server.accounts.models import ServicePoint
from server.db import Session, transaction
from server.errors import NotFound
from server.identity.actor import SYSTEM
from server.metering.service import NewRegister, exchange_meter, open_orders
from server.operator import current
from server.rounds.models import Route
from server.terminal import command


@command("open-orders")
@click.option("--period", required=True, metavar="YYYY-MM", help="The month to read.")
@click.option(
    "--due", required=True, type=click.DateTime(["%Y-%m-%d"]), help="Day it is to be read by."
)
@click.option("--route", "books", multiple=True, help="Number of a route; all when not given.")
def open_orders_command(period: str, due: datetime, books: tuple[str, ...]) -> None:
    """Open a read order for every point of the routes that has none for the period."""
    with transaction() as session:
        opened = open_orders(session, _routes(session, books), period, due.date())
    click.echo(f"{opened} read orders opened.")


def _routes(session: Session, books: tuple[str, ...]) -> list[int]:
    """The ids of the named routes, of all when none is named.

    Raises:
        NotFound: ``route.unknown`` with the numbers that are not there.
    """
    found = {book: number for number, book in session.execute(select(Route.id, Route.book_no))}
    missing = [book for book in books if book not in found]
    if missing:
        raise NotFound("route.unknown", "There is no such route.", {"routes": missing})
    return [found[book] for book in books] if books else list(found.values())


@command("exchange-meter")
@click.option("--point", required=True, help="Number of the service point.")
@click.option(
    "--final",
    "finals",
    required=True,
    multiple=True,
    metavar="KIND=VALUE",
    help="What a register of the old meter shows, as total=1230; once for each register.",
)
@click.option("--serial", required=True, help="Serial number of the new meter.")
@click.option(
    "--initial",
    "initials",
    required=True,
    multiple=True,
    metavar="KIND=VALUE",
    help="What the new meter shows; its digits follow after a colon, as in total=12:6.",
)
@click.option("--at", required=True, help="When, as 2026-10-20T10:00, in the operator's zone.")
@click.option(
    "--multiplier", default="1", show_default=True, help="Units of supply per dial unit (CT x PT)."
)
@click.option("--rollover", is_flag=True, help="An old dial has passed zero; somebody saw it.")
def exchange_meter_command(
    point: str,
    finals: tuple[str, ...],
    serial: str,
    initials: tuple[str, ...],
    at: str,
    multiplier: str,
    rollover: bool,
) -> None:
    """Take the meter of a point down and hang another; both shares are billed."""
    with transaction() as session:
        point_id = session.scalar(select(ServicePoint.id).where(ServicePoint.point_no == point))
        if point_id is None:
            raise NotFound("exchange.unknown_point", f"There is no service point {point}.")
        made = exchange_meter(
            session,
            SYSTEM,
            point_id,
            finals={kind: _number(value) for kind, value in map(_pair, finals)},
            serial=serial,
            registers=[_register(each) for each in initials],
            at=_instant(session, at),
            multiplier=_number(multiplier),
            rollover=rollover,
        )
    click.echo(f"Meter {serial} hangs at {point} as installation {made.installation_id}.")


def _pair(text: str) -> tuple[str, str]:
    kind, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not KIND=VALUE")
    return kind, value


def _register(text: str) -> NewRegister:
    kind, rest = _pair(text)
    value, _, digits = rest.partition(":")
    return NewRegister(kind, _number(value), int(_number(digits)) if digits else 5)


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise click.BadParameter(f"{text!r} is not a number") from None


def _instant(session: Session, text: str) -> datetime:
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a time such as 2026-10-20T10:00") from None
    return given if given.tzinfo else given.replace(tzinfo=current(session).zone)
