"""Whose data a person sees: every list, detail, export and live frame filters through here."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, exists, or_, select, true

from server.accounts.models import Account, ServicePoint
from server.db import Session
from server.identity.actor import Actor
from server.identity.models import Device, Staff
from server.identity.service import team_ids
from server.review import ReviewItem
from server.rounds.models import Route, RouteStop


@dataclass(frozen=True)
class Scope:
    """The part of the data that one right opens: ``all``, a team's, or one's own routes."""

    width: str
    staff_id: int | None
    units: tuple[int, ...]

    @property
    def sees_all(self) -> bool:
        """Whether nothing needs to be filtered."""
        return self.width == "all"

    def routes(self) -> ColumnElement[bool]:
        """Condition on ``route``."""
        if self.sees_all:
            return true()
        if self.width == "team":
            return Route.org_unit_id.in_(self.units)
        return Route.reader_id == self.staff_id

    def points(self) -> ColumnElement[bool]:
        """Condition on ``service_point``: it is a stop of a visible route."""
        if self.sees_all:
            return true()
        return exists(
            select(RouteStop.id)
            .join(Route, Route.id == RouteStop.route_id)
            .where(
                RouteStop.kind == "service_point",
                RouteStop.subject_id == ServicePoint.id,
                self.routes(),
            )
        )

    def accounts(self) -> ColumnElement[bool]:
        """Condition on ``account``: one of its service points is visible."""
        if self.sees_all:
            return true()
        return exists(
            select(ServicePoint.id)
            .where(ServicePoint.account_id == Account.id, self.points())
            .correlate(Account)
        )

    def staff(self) -> ColumnElement[bool]:
        """Condition on ``staff``."""
        if self.sees_all:
            return true()
        if self.width == "team":
            return Staff.org_unit_id.in_(self.units)
        return Staff.id == self.staff_id

    def devices(self) -> ColumnElement[bool]:
        """Condition on ``device``: it is carried by somebody visible."""
        if self.sees_all:
            return true()
        return Device.staff_id.in_(select(Staff.id).where(self.staff()))

    def review_items(self) -> ColumnElement[bool]:
        """Condition on ``review_item``: its team's, or about a visible route."""
        if self.sees_all:
            return true()
        on_route = ReviewItem.route_id.in_(select(Route.id).where(self.routes()))
        if self.width == "team":
            return or_(ReviewItem.org_unit_id.in_(self.units), on_route)
        return on_route


def scope_of(session: Session, actor: Actor, resource: str, action: str) -> Scope:
    """The scope of one right of an actor.

    Raises:
        Forbidden: ``identity.forbidden`` without the right.
    """
    width = actor.scope(resource, action)
    units = team_ids(session, actor.org_unit_id) if width == "team" else []
    return Scope(width, actor.staff_id, tuple(units))
