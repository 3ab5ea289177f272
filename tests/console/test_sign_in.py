"""Signing in: by user name or e-mail, one sentence for every failure, forms only from our pages."""

from __future__ import annotations

from typing import Any

from flask_security.utils import hash_password
from sqlalchemy import select

from server.audit import AuditEvent
from server.db import snapshot, transaction
from server.identity.models import Staff
from tests.console.conftest import Office
from tests.console.office import CODE, Desk

PASSWORD = "correct horse battery"


def _with_password(office: Office) -> None:
    with office.app.app_context(), transaction() as session:
        clerk = session.get_one(Staff, office.clerk_id)
        clerk.password, clerk.email = hash_password(PASSWORD), "clerk@example.org"


def _try(desk: Desk, identity: str, password: str, path: str = "/sign-in") -> Any:
    code = CODE.search(desk.client.get(path, headers={"Accept-Language": "en"}).text)
    assert code is not None
    return desk.client.post(
        path,
        data={"csrf_token": code[1], "identity": identity, "password": password},
        headers={"Accept-Language": "en"},
    )


def test_a_person_signs_in_by_user_name_or_e_mail(office: Office) -> None:
    _with_password(office)
    for identity in ("clerk", "CLERK", " clerk ", "clerk@example.org"):
        answer = _try(office.desk(None), identity, PASSWORD)
        assert answer.status_code == 302, identity
        assert answer.location == "/"


def test_after_signing_in_the_wanted_page_opens_and_no_foreign_one(office: Office) -> None:
    _with_password(office)
    answer = _try(office.desk(None), "clerk", PASSWORD, "/sign-in?next=%2Freadings%3Fstatus%3Dheld")
    assert answer.location == "/readings?status=held"
    answer = _try(office.desk(None), "clerk", PASSWORD, "/sign-in?next=https%3A%2F%2Fevil.example")
    assert "evil" not in answer.location


def test_every_failure_says_the_same(office: Office) -> None:
    _with_password(office)
    with office.app.app_context(), transaction() as session:
        person = session.get_one(Staff, office.manager_id)
        person.password, person.active = hash_password(PASSWORD), False
    pages = [
        _try(office.desk(None), identity, password)
        for identity, password in (("clerk", "wrong"), ("nobody", "x"), ("manager", "wrong"))
    ]
    for page in pages:
        assert page.status_code == 200
        assert "do not match an active account" in page.text
    assert _try(office.desk(None), "manager", PASSWORD).status_code == 200


def test_signing_in_is_written_down(office: Office) -> None:
    _with_password(office)
    _try(office.desk(None), "clerk", PASSWORD)
    with office.app.app_context(), snapshot() as session:
        acts = session.scalars(select(AuditEvent.action)).all()
        assert "staff.signed_in" in acts
        assert session.get_one(Staff, office.clerk_id).login_count == 1


def test_a_form_without_its_token_changes_nothing(office: Office, admin: Desk) -> None:
    answer = admin.client.post("/me/tokens", data={"name": "x"})
    assert answer.status_code == 422
    answer = admin.client.post("/me/tokens", data={"name": "x", "csrf_token": "made up"})
    assert answer.status_code == 422
    assert "fb_" not in admin.see("/me")


def test_leaving_ends_the_session(admin: Desk) -> None:
    admin.post("/leave")
    assert admin.client.get("/").status_code == 302


def test_a_person_switched_off_is_out_at_once(office: Office, admin: Desk) -> None:
    clerk = office.desk(office.clerk_id)
    clerk.see("/readings")
    admin.post(f"/staff/{office.clerk_id}/active", active="no")
    assert clerk.client.get("/readings").status_code == 302


def test_nobody_switches_himself_off(office: Office, admin: Desk) -> None:
    admin.post(f"/staff/{office.admin_id}/active", 409, active="no")
    admin.see("/")
