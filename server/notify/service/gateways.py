"""Setting gateways up: how they connect, what they carry, what they cost."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import delete, select

from server import audit, clock
from server.db import Session
from server.errors import Conflict, Invalid, NotFound
from server.notify import setup
from server.notify.gateways import kinds
from server.notify.models import Gateway, GatewayPrice
from server.notify.rules.categories import CATEGORIES
from server.notify.secrets import reseal

_LONGEST_PREFIX = 15


def put_gateway(
    session: Session,
    name: str,
    kind: str,
    config: Mapping[str, Any],
    *,
    enabled: bool = True,
    simulated: bool = False,
    position: int = 100,
) -> None:
    """Set a gateway up or change it; workers take the change over within seconds.

    Secrets are stored sealed; one that `config` leaves out or empty stays what it was. Raises Invalid
    `notify.bad_gateway` with every problem of the configuration, or Conflict `notify.wrong_key`.
    """
    row = session.scalar(select(Gateway).where(Gateway.name == name))
    before = row.config if row is not None and row.kind == kind else None
    stored = kinds.sealed(kind, name, config, before)
    if row is None:
        row = Gateway(name=name)
        session.add(row)
    row.kind, row.config = kind, stored
    row.enabled, row.simulated, row.position = enabled, simulated, position
    setup.changed(session)


def reseal_gateways(session: Session) -> int:
    """Seal the secrets of every gateway under the newest key; how many gateways have secrets.

    Raises Conflict `notify.wrong_key` when one cannot be opened; then nothing is changed.
    """
    count = 0
    for row in session.scalars(select(Gateway).order_by(Gateway.id)):
        names = kinds.secrets_of(row.kind) & row.config.keys()
        row.config = {
            key: reseal(value) if key in names and value else value
            for key, value in row.config.items()
        }
        count += bool(names)
    return count


@dataclass(frozen=True)
class Terms:
    """What a gateway carries and may cost; see the columns of `Gateway`. Empty means everything."""

    categories: Collection[str] = ()
    prefixes: Collection[str] = ()
    weight: int = 100
    daily_budget: Decimal | None = None
    monthly_budget: Decimal | None = None
    patience_seconds: int = 60


def put_terms(session: Session, actor: audit.Acting, name: str, terms: Terms) -> None:
    """Say what the gateway `name` carries; queued messages follow within seconds.

    Raises NotFound `notify.no_gateway`, or Invalid `notify.bad_terms` with every problem.
    """
    row = _gateway(session, name)
    problems = _problems(terms)
    if problems:
        raise Invalid("notify.bad_terms", f"{'; '.join(problems)}.", {"problems": problems})
    before = _terms(row)
    row.categories = sorted(set(terms.categories)) or None
    row.prefixes = sorted(set(terms.prefixes)) or None
    row.weight, row.patience_seconds = terms.weight, terms.patience_seconds
    row.daily_budget, row.monthly_budget = terms.daily_budget, terms.monthly_budget
    # The next look at what was spent decides anew.
    row.over_until = None
    setup.changed(session)
    audit.record(session, actor, "gateway.terms", "gateway", row.id, before, _terms(row))


def _problems(terms: Terms) -> list[str]:
    """Everything that is wrong with terms, one sentence each."""
    amounts = (terms.daily_budget, terms.monthly_budget)
    wrong = [
        *(f"there is no category {one}" for one in terms.categories if one not in CATEGORIES),
        *(f"{one} is not a beginning such as +8613" for one in terms.prefixes if not _prefix(one)),
    ]
    if not 0 <= terms.weight <= 10_000:
        wrong.append("the weight must be 0 to 10000")
    if not 5 <= terms.patience_seconds <= 86_400:
        wrong.append("the patience must be 5 to 86400 seconds")
    if any(amount is not None and not _amount(amount) for amount in amounts):
        wrong.append("a budget must be an amount with at most four places, not below 0")
    return wrong


def _prefix(text: str) -> bool:
    return text[:1] == "+" and text[1:].isdecimal() and 1 < len(text) <= _LONGEST_PREFIX + 1


def _amount(value: Decimal) -> bool:
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -4 and Decimal(0) <= value < Decimal(10**12)


def _terms(row: Gateway) -> dict[str, Any]:
    money = {name: getattr(row, name) for name in ("daily_budget", "monthly_budget")}
    return {
        "categories": row.categories,
        "prefixes": row.prefixes,
        "weight": row.weight,
        "patience_seconds": row.patience_seconds,
        **{name: None if value is None else str(value) for name, value in money.items()},
    }


@dataclass(frozen=True)
class Price:
    """The price of a segment to numbers that begin with `prefix` (empty: all others) in a time."""

    prefix: str
    price: Decimal
    valid_from: datetime
    valid_to: datetime | None = None


def prices(session: Session, name: str) -> list[GatewayPrice]:
    """The price rows of a gateway by prefix and time. Raises NotFound `notify.no_gateway`."""
    p = GatewayPrice
    rows = session.scalars(
        select(p)
        .where(p.gateway_id == _gateway(session, name).id)
        .order_by(p.prefix, p.valid_from.desc())
    )
    return list(rows)


def put_price(session: Session, actor: audit.Acting, name: str, price: Price) -> int:
    """Add a price; the one of the same prefix that is open until then ends when it begins. Its id.

    Prices of the past are not changed: what was submitted keeps the price it had.

    Raises NotFound `notify.no_gateway`, Invalid `notify.bad_price`, or Conflict
    `notify.price_exists` when one of the prefix begins at the same instant.
    """
    row = _gateway(session, name)
    if not (price.prefix == "" or _prefix(price.prefix)) or not _amount(price.price):
        raise Invalid(
            "notify.bad_price",
            "A price has a beginning such as +8613, or none, and an amount with at most four places.",
        )
    if price.valid_to is not None and price.valid_to <= price.valid_from:
        raise Invalid("notify.bad_price", "A price must end after it begins.")
    others = _prices_of(session, row.id, price.prefix)
    if any(other.valid_from == price.valid_from for other in others):
        raise Conflict("notify.price_exists", "A price of this beginning starts then already.")
    for other in others:
        if other.valid_from < price.valid_from and other.valid_to is None:
            other.valid_to = price.valid_from
    new = GatewayPrice(
        gateway_id=row.id,
        prefix=price.prefix,
        price=price.price,
        valid_from=price.valid_from,
        valid_to=price.valid_to,
    )
    session.add(new)
    setup.changed(session)
    what = {
        "prefix": price.prefix,
        "price": str(price.price),
        "from": clock.to_iso(price.valid_from),
    }
    audit.record(session, actor, "gateway.price", "gateway", row.id, after=what)
    return new.id


def drop_price(session: Session, actor: audit.Acting, price_id: int) -> None:
    """Take back a price that has not begun; one that has begun is ended now.

    Raises NotFound `notify.no_price`.
    """
    row = session.get(GatewayPrice, price_id)
    if row is None:
        raise NotFound("notify.no_price", f"There is no price {price_id}.")
    now = clock.now()
    what = {"prefix": row.prefix, "price": str(row.price), "from": clock.to_iso(row.valid_from)}
    if row.valid_from >= now:
        session.execute(delete(GatewayPrice).where(GatewayPrice.id == price_id))
    elif row.valid_to is None or row.valid_to > now:
        row.valid_to = now
    setup.changed(session)
    audit.record(session, actor, "gateway.price_ended", "gateway", row.gateway_id, before=what)


def _prices_of(session: Session, gateway_id: int, prefix: str) -> Sequence[GatewayPrice]:
    p = GatewayPrice
    return session.scalars(select(p).where(p.gateway_id == gateway_id, p.prefix == prefix)).all()


def _gateway(session: Session, name: str) -> Gateway:
    row = session.scalar(select(Gateway).where(Gateway.name == name))
    if row is None:
        raise NotFound("notify.no_gateway", f"There is no gateway {name}.")
    return row
