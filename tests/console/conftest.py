"""A small utility with an administrator, a clerk and a manager at their desks."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from flask import Flask
from sqlalchemy import select

from server.db import snapshot
from server.identity.models import Staff
from tests import world
from tests.console.office import Desk, hire


@dataclass
class Office:
    """The app, its world, and the people at the desks."""

    app: Flask
    world: world.World
    admin_id: int
    clerk_id: int
    manager_id: int

    def desk(self, staff_id: int | None) -> Desk:
        """A browser signed in as a person; as nobody with None."""
        return Desk(self.app, staff_id)


@pytest.fixture
def office(app: Flask) -> Office:
    """Three metered points on one route, nothing read yet."""
    made = world.build(app, points=3)
    with app.app_context(), snapshot() as session:
        admin_id = session.execute(select(Staff.id).where(Staff.username == "admin")).scalar_one()
    clerk_id = hire(app, "clerk", "billing_clerk")
    manager_id = hire(app, "manager", "manager", made.team_id)
    return Office(app, made, admin_id, clerk_id, manager_id)


@pytest.fixture
def admin(office: Office) -> Desk:
    """The administrator's browser."""
    return office.desk(office.admin_id)
