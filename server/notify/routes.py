"""Routing with the database: what gateways and prices there are now, budgets, and moving what waits.

The choice itself is `rules.routing`. `cached` is what to call for each batch; `reroute` gives queued
messages of gateways that are away, disabled or over their budget to the next choice.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, func, literal_column, or_, select, tuple_, update

from server import clock
from server.db import Session, among, insert_rows
from server.notify import setup, spending
from server.notify.models import (
    Gateway,
    GatewayLease,
    GatewayPrice,
    NoticePolicy,
    OutboxMessage,
    OutboxTransition,
)
from server.notify.rules.categories import DEFAULT_POLICIES
from server.notify.rules.routing import PriceRow, Prices, Routes, Way
from server.operator import Operator

__all__ = ["Routes", "cached", "is_due", "load", "look_after", "reroute", "under"]

log = logging.getLogger(__name__)

# States in which a gateway sends, or will by itself in a moment.
_AT_WORK = ("bound", "paused", "up")
_AT_ONCE = 1000
_BUDGETS_SECONDS = 10.0
_REROUTE_SECONDS = 2.0
_PAGES = 20
_G = Gateway
_M = OutboxMessage
_QUEUED = _M.status == literal_column("'queued'")


def cached(session: Session) -> Routes:
    """The routes of at most some seconds ago; a change of prices or terms is seen at once."""
    return under(session, setup.token(session))


def under(session: Session, token: str | None) -> Routes:
    """As `cached`, for a caller who has read the token of `setup` already."""
    return setup.by_age(session, "routes", token, load)


def load(session: Session) -> Routes:
    """The routes of this moment; immutable."""
    now = clock.now()
    lease = select(func.max(GatewayLease.expires_at)).where(GatewayLease.gateway_id == _G.id)
    rows = session.execute(
        select(
            *(_G.id, _G.kind, _G.position, _G.weight, _G.categories, _G.prefixes, _G.enabled),
            *(_G.simulated, _G.state, _G.state_at, _G.over_until, _G.patience_seconds),
            *(_G.daily_budget, _G.monthly_budget),
            lease.scalar_subquery().label("lease"),
        ).order_by(_G.id)
    )
    demo = bool(session.scalar(select(Operator.is_demo)))
    ways = [_way(row, demo, now) for row in rows]
    return Routes(ways, _prices(session, now), now, _frugal(session))


def _way(row: Any, demo: bool, now: datetime) -> Way:
    over = row.over_until is not None and now < row.over_until
    return Way(
        row.id,
        row.kind,
        row.position,
        row.weight,
        frozenset(row.categories) if row.categories else None,
        tuple(row.prefixes) if row.prefixes else None,
        usable=row.enabled and not over and (row.simulated or not demo),
        away=_away(row, now),
        limited=row.daily_budget is not None or row.monthly_budget is not None,
    )


def _away(row: Any, now: datetime) -> bool:
    """Whether nobody has run the gateway, or it has not been connected, for longer than its patience."""
    patience = timedelta(seconds=row.patience_seconds)
    if row.lease is None or row.lease + patience < now:
        return True
    if row.state in _AT_WORK or row.state_at is None:
        return False
    return bool(row.state_at + patience < now)


def _prices(session: Session, now: datetime) -> Prices:
    """Rows that hold now or will; prices of the past serve nothing that is still to be sent."""
    p = GatewayPrice
    rows = session.execute(
        select(p.gateway_id, p.prefix, p.price, p.valid_from, p.valid_to).where(
            or_(p.valid_to.is_(None), p.valid_to > now - timedelta(days=1))
        )
    )
    return Prices(PriceRow(*row) for row in rows)


def _frugal(session: Session) -> frozenset[str]:
    """The categories that have a budget."""
    n = NoticePolicy
    own = {
        row[0]: row[1] is not None or row[2] is not None
        for row in session.execute(select(n.category, n.budget_day, n.budget_month))
    }
    budgets = {name: policy.has_budget for name, policy in DEFAULT_POLICIES.items()} | own
    return frozenset(name for name, has in budgets.items() if has)


# --- moving what waits --------------------------------------------------------------------


def is_due(session: Session) -> bool:
    """Whether `look_after` may find something to do now; one or two reads."""
    routes = cached(session)
    if routes.limited and setup.is_due(session, "budgets", _BUDGETS_SECONDS):
        return True
    if not setup.is_due(session, "reroute", _REROUTE_SECONDS):
        return False
    lost = _M.gateway_id.is_(None) | _M.gateway_id.in_(sorted(routes.shut))
    waits = session.scalar(select(exists().where(_QUEUED, lost)))
    if not waits:
        setup.done(session, "reroute")
    return bool(waits)


def look_after(session: Session, now: datetime) -> int:
    """Stop gateways that have spent their budget and give what waits in vain to others; how many moved.

    To be called again and again by whoever runs a gateway: the budgets are looked at every ten
    seconds, the queues every two, or at once while there is more to move.
    """
    if setup.is_due(session, "budgets", _BUDGETS_SECONDS):
        setup.done(session, "budgets")
        spending.stop_spenders(session, now)
    if not setup.is_due(session, "reroute", _REROUTE_SECONDS):
        return 0
    moved = reroute(session, now)
    if not moved:
        setup.done(session, "reroute")
    return moved


def reroute(session: Session, now: datetime, at_once: int = _AT_ONCE) -> int:
    """Give queued messages without a gateway, and of gateways that are shut, to the next choice.

    At most about `at_once` messages in a call, those that leave first first; returns how many moved.
    What no other gateway serves stays where it is.
    """
    routes = load(session)
    moved = 0
    for number in (None, *sorted(routes.shut)):
        if moved < at_once and routes.others(number):
            moved += _reroute_one(session, routes, number, now, at_once - moved)
    return moved


def _reroute_one(
    session: Session, routes: Routes, gateway_id: int | None, now: datetime, most: int
) -> int:
    """Read the queue of one gateway until something in it can move, or for some pages."""
    after = (-1, 0)
    for _ in range(_PAGES):
        page = _waiting(session, gateway_id, after, most)
        moves: dict[int | None, list[Any]] = defaultdict(list)
        for row in page:
            target = _target(routes, row)
            if target != gateway_id:
                moves[target].append(row)
        if moves or len(page) < most:
            return sum(_move(session, target, rows, now) for target, rows in moves.items())
        after = (page[-1].priority, page[-1].id)
    return 0


def _waiting(
    session: Session, gateway_id: int | None, after: tuple[int, int], most: int
) -> list[Any]:
    """Queued messages of one gateway in the queue's order; the queue's own index serves it."""
    of_gateway = _M.gateway_id.is_(None) if gateway_id is None else _M.gateway_id == gateway_id
    return list(
        session.execute(
            select(_M.id, _M.priority, _M.phone, _M.category, _M.gateway_id)
            .where(
                _QUEUED,
                of_gateway,
                tuple_(_M.priority, _M.id) > tuple_(*after),
            )
            .order_by(_M.priority, _M.id)
            .limit(most)
            .with_for_update(skip_locked=True)
        )
    )


def _target(routes: Routes, row: Any) -> int | None:
    """Where a waiting message goes: another one that is there; an away one keeps it if none is."""
    if row.gateway_id is None:
        return routes.choose(row.phone, row.category)
    other = routes.next(row.phone, row.category, {row.gateway_id})
    if other is not None or routes.open(row.gateway_id):
        return other if other is not None else int(row.gateway_id)
    return routes.choose(row.phone, row.category)


def _move(session: Session, target: int | None, rows: Sequence[Any], now: datetime) -> int:
    moved = session.execute(
        update(_M)
        .where(among(_M.id, [row.id for row in rows]), _QUEUED)
        .values(gateway_id=target)
        .returning(_M.id)
    ).scalars()
    ids = set(moved)
    noted = [
        {
            "created_at": now,
            "message_id": row.id,
            "source": "queued",
            "target": "queued",
            "reason": "route.changed" if row.gateway_id is not None else "route.found",
            "gateway_id": target,
        }
        for row in rows
        if row.id in ids
    ]
    insert_rows(session, OutboxTransition, noted)
    log.info("%d queued messages moved to gateway %s", len(ids), target)
    return len(ids)
