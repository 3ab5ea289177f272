"""Founding a new system with `flask init`, on both databases."""

from __future__ import annotations

from flask import Flask
from flask_security import verify_password
from sqlalchemy import select

from server.db import snapshot
from server.identity.models import OrgUnit, Role, Staff
from server.identity.roles import DEFAULT_ROLES
from server.identity.service import actor_of
from server.operator import Operator

OPTIONS = {
    "operator": "Acme Energy",
    "currency": "eur",
    "time-zone": "Europe/Helsinki",
    "language": "en",
    "username": "chief",
    "name": "Chief",
    "email": "chief@example.com",
    "password": "correct horse battery",
}


def arguments(**changed: str) -> list[str]:
    given = {**OPTIONS, **{name.replace("_", "-"): value for name, value in changed.items()}}
    return ["init", *(part for name, value in given.items() for part in (f"--{name}", value))]


def test_it_founds_operator_roles_root_and_administrator(app: Flask) -> None:
    ran = app.test_cli_runner().invoke(args=arguments())
    assert ran.exit_code == 0, ran.output
    with app.app_context(), snapshot() as session:
        operator = session.scalars(select(Operator)).one()
        assert (operator.name, operator.currency) == ("Acme Energy", "EUR")
        assert (operator.time_zone, operator.language) == ("Europe/Helsinki", "en")
        assert not operator.is_demo
        assert set(session.scalars(select(Role.name))) == set(DEFAULT_ROLES)
        staff = session.scalars(select(Staff)).one()
        assert verify_password(OPTIONS["password"], staff.password or "")
        assert actor_of(session, staff).scope("settings", "edit") == "all"
        assert session.get_one(OrgUnit, staff.org_unit_id).parent_id is None


def test_it_asks_for_what_is_not_given(app: Flask) -> None:
    answers = "Acme\n\n\n\n\nChief\n\nlong enough\nlong enough\n"
    ran = app.test_cli_runner().invoke(args=["init"], input=answers)
    assert ran.exit_code == 0, ran.output
    assert "long enough" not in ran.output
    with app.app_context(), snapshot() as session:
        operator = session.scalars(select(Operator)).one()
        assert (operator.currency, operator.time_zone) == ("CNY", "Asia/Shanghai")
        assert session.scalars(select(Staff.username)).one() == "admin"


def test_an_existing_system_is_never_founded_again(app: Flask) -> None:
    runner = app.test_cli_runner()
    runner.invoke(args=arguments())
    ran = runner.invoke(args=["init"])
    assert ran.exit_code == 1
    assert "operator.exists" in ran.output
    assert "Name of the operator" not in ran.output


def test_what_cannot_be_used_is_told_and_nothing_is_kept(app: Flask) -> None:
    ran = app.test_cli_runner().invoke(args=arguments(currency="euro", time_zone="Mars/Base"))
    assert ran.exit_code == 1
    assert "currency" in ran.output
    assert "time_zone" in ran.output
    with app.app_context(), snapshot() as session:
        assert session.scalars(select(Staff)).all() == []
        assert session.scalars(select(Role)).all() == []


def test_a_weak_password_is_refused(app: Flask) -> None:
    ran = app.test_cli_runner().invoke(args=arguments(password="short"))
    assert ran.exit_code == 1
    assert "staff.weak_password" in ran.output


def test_a_password_in_full_width_letters_opens_the_sign_in_page(app: Flask) -> None:
    ran = app.test_cli_runner().invoke(args=arguments(password="ｐａｓｓ word 密码"))
    assert ran.exit_code == 0, ran.output
    with app.app_context(), snapshot() as session:
        staff = session.scalars(select(Staff)).one()
        # The sign-in page normalises what is typed before it compares.
        assert verify_password("pass word 密码", staff.password or "")
