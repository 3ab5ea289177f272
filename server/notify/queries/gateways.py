"""Gateways and how they are: their state, their binds, what waits for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select

from server import clock
from server.db import Session
from server.errors import NotFound
from server.notify.models import Gateway, GatewayLease, OutboxMessage
from server.notify.queries.messages import in_state


@dataclass(frozen=True)
class GatewayState:
    """How a gateway is; `alive` says whether a worker owns it now."""

    name: str
    kind: str
    enabled: bool
    simulated: bool
    alive: bool
    state: str
    detail: str
    state_at: datetime | None


@dataclass(frozen=True)
class Bind:
    """One bind of a gateway and what its owner says of it now."""

    number: int
    owner: str
    alive: bool
    state: str
    detail: str
    state_at: datetime | None
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class GatewayView:
    """A gateway with its binds and its queue; `queued` counts by priority, `oldest_at` is of the first."""

    id: int
    now: GatewayState
    position: int
    weight: int
    categories: tuple[str, ...]
    prefixes: tuple[str, ...]
    daily_budget: Decimal | None
    over_until: datetime | None
    window: int | None
    binds: tuple[Bind, ...]
    queued: Mapping[int, int]
    oldest_at: datetime | None

    @property
    def waiting(self) -> int:
        """How many messages wait for it."""
        return sum(self.queued.values())

    def is_over(self, now: datetime) -> bool:
        """Whether it takes nothing because its budget is spent."""
        return self.over_until is not None and now < self.over_until

    def figure(self, name: str) -> float | None:
        """The sum of a figure over the living binds; None when none of them tells it."""
        told = [bind.figures[name] for bind in self.binds if bind.alive and name in bind.figures]
        numbers = [value for value in told if isinstance(value, int | float)]
        return sum(numbers) if numbers else None

    def errors(self) -> dict[str, int]:
        """Refusals by class, over the living binds."""
        found: dict[str, int] = {}
        for bind in self.binds:
            for name, count in (bind.figures.get("errors") or {}).items() if bind.alive else ():
                found[name] = found.get(name, 0) + int(count)
        return found


def gateway_states(session: Session) -> list[GatewayState]:
    """Every gateway and how it is, in the operator's order."""
    return [_state(row, _living(session)) for row in _rows(session)]


def gateway_views(session: Session) -> list[GatewayView]:
    """Every gateway with its binds and what waits for it, with four statements."""
    living = _living(session)
    binds: dict[int, list[Bind]] = {}
    for lease in session.scalars(select(GatewayLease).order_by(GatewayLease.bind)):
        binds.setdefault(lease.gateway_id, []).append(_bind(lease, clock.now()))
    queued: dict[int, dict[int, int]] = {}
    first: dict[int, int] = {}
    for row in session.execute(_QUEUED):
        queued.setdefault(row.gateway_id or 0, {})[row.priority] = row.n
        first[row.gateway_id or 0] = min(row.first, first.get(row.gateway_id or 0, row.first))
    written = {
        row.id: row.created_at
        for row in session.execute(
            select(OutboxMessage.id, OutboxMessage.created_at).where(
                OutboxMessage.id.in_(first.values())
            )
        )
    }
    return [
        GatewayView(
            id=row.id,
            now=_state(row, living),
            position=row.position,
            weight=row.weight,
            categories=tuple(row.categories or ()),
            prefixes=tuple(row.prefixes or ()),
            daily_budget=row.daily_budget,
            over_until=row.over_until,
            window=row.config.get("window"),
            binds=tuple(binds.get(row.id, ())),
            queued=queued.get(row.id, {}),
            oldest_at=written.get(first.get(row.id, 0)),
        )
        for row in _rows(session)
    ]


def gateway_named(session: Session, name: str) -> Gateway:
    """The row of one gateway. Raises NotFound `notify.no_gateway`."""
    row = session.scalar(select(Gateway).where(Gateway.name == name))
    if row is None:
        raise NotFound("notify.no_gateway", f"There is no gateway {name}.", {"gateway": name})
    return row


def gateway_names(session: Session) -> dict[int, str]:
    """The name of every gateway by its id."""
    return {row.id: row.name for row in session.execute(select(Gateway.id, Gateway.name))}


_QUEUED = (
    select(
        OutboxMessage.gateway_id,
        OutboxMessage.priority,
        func.count().label("n"),
        func.min(OutboxMessage.id).label("first"),
    )
    .where(*in_state("queued"))
    .group_by(OutboxMessage.gateway_id, OutboxMessage.priority)
)


def _rows(session: Session) -> list[Gateway]:
    return list(session.scalars(select(Gateway).order_by(Gateway.position, Gateway.id)))


def _living(session: Session) -> set[int]:
    alive = select(GatewayLease.gateway_id).where(GatewayLease.expires_at > clock.now())
    return set(session.scalars(alive))


def _state(row: Gateway, living: set[int]) -> GatewayState:
    alive = row.id in living
    state = row.state if alive or row.state == "refused" else "stopped"
    return GatewayState(
        row.name, row.kind, row.enabled, row.simulated, alive, state, row.detail, row.state_at
    )


def _bind(lease: GatewayLease, now: datetime) -> Bind:
    alive = lease.expires_at > now
    return Bind(
        number=lease.bind,
        owner=lease.owner,
        alive=alive,
        state=lease.state if alive else "stopped",
        detail=lease.detail,
        state_at=lease.state_at,
        figures=lease.figures or {},
    )
