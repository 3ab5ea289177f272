"""The second factor: set up with the phone, asked for at the sign-in, rescued by codes and people."""

from __future__ import annotations

import base64
import hmac
import re
import struct
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from flask_security.utils import hash_password
from sqlalchemy import select

from config.settings import Settings
from server import clock, throttle
from server.audit import AuditEvent
from server.db import snapshot, transaction
from server.identity.models import Staff
from tests import world
from tests.console.conftest import Office
from tests.console.office import CODE, Desk, hire

PASSWORD = "correct horse battery"
KEY = re.compile(r'<p class="mono">([A-Z2-7-]+)</p>')
TARGET = re.compile(r'action="(/me/second-factor/[^"]+|/sign-in/code[^"]*)"')
RECOVERY = re.compile(r"<li>([0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4})</li>")
ENGLISH = {"Accept-Language": "en"}


def code_of(key: str, later_s: int = 0) -> str:
    """What an authenticator app shows (RFC 6238: SHA-1, 30 seconds, 6 digits)."""
    secret = base64.b32decode(key.replace("-", "") + "=" * (-len(key.replace("-", "")) % 8))
    step = int(clock.now().timestamp() + later_s) // 30
    digest = hmac.new(secret, struct.pack(">Q", step), "sha1").digest()
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at : at + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


def wait(seconds: int) -> None:
    """Let the clock of the tests go on."""
    clock.set(clock.now() + timedelta(seconds=seconds))


def send(desk: Desk, page: str, path: str | None = None, **fields: Any) -> Any:
    """Send a form with the token of the page it stands on."""
    token = CODE.search(desk.client.get(page, headers=ENGLISH).text)
    assert token is not None, page
    sent = {"csrf_token": token[1], **fields}
    return desk.client.post(path or page, data=sent, headers=ENGLISH)


def sign_in(desk: Desk, username: str = "clerk") -> Any:
    return send(desk, "/sign-in", identity=username, password=PASSWORD)


def set_up(desk: Desk) -> str:
    """Set the factor up as a person does; the key on his phone."""
    page = send(desk, "/me/second-factor", setup="authenticator").text
    key, target = KEY.search(page), TARGET.search(page)
    assert key is not None, page
    assert target is not None, page
    assert 'src="data:image/svg+xml' in page
    token = CODE.search(page)
    assert token is not None
    fields = {"csrf_token": token[1], "code": code_of(key[1])}
    assert desk.client.post(target[1], data=fields, headers=ENGLISH).status_code == 302
    return key[1]


@pytest.fixture
def clerk(office: Office) -> Desk:
    """The clerk's browser, signed in with the password."""
    give_password(office.app, office.clerk_id)
    desk = office.desk(None)
    assert sign_in(desk).location == "/"
    return desk


def give_password(app: Flask, staff_id: int) -> None:
    with app.app_context(), transaction() as session:
        session.get_one(Staff, staff_id).password = hash_password(PASSWORD)


def person(office: Office, staff_id: int | None = None) -> Staff:
    with office.app.app_context(), snapshot() as session:
        return session.get_one(Staff, staff_id or office.clerk_id)


def acts(office: Office) -> list[str]:
    with office.app.app_context(), snapshot() as session:
        return list(session.scalars(select(AuditEvent.action).order_by(AuditEvent.id)))


def test_a_person_without_one_signs_in_with_the_password_alone(office: Office, clerk: Desk) -> None:
    assert "Signing in takes the password alone." in clerk.see("/me")
    assert person(office).login_count == 1


def test_it_counts_only_when_the_phone_has_shown_a_right_code(office: Office, clerk: Desk) -> None:
    page = send(clerk, "/me/second-factor", setup="authenticator").text
    target = TARGET.search(page)
    assert target is not None
    send(clerk, "/me", target[1], code="000000")
    assert "The code is wrong" in clerk.see("/me/second-factor")
    assert not person(office).has_second_factor
    set_up(clerk)
    assert person(office).has_second_factor
    assert "No recovery codes" in clerk.see("/me")
    assert acts(office)[-1] == "staff.second_factor_on"


def test_the_key_is_kept_unreadable(office: Office, clerk: Desk) -> None:
    key = set_up(clerk).replace("-", "")
    kept = person(office).tf_totp_secret
    assert kept is not None
    assert '"enckey"' in kept
    assert key not in kept


def test_signing_in_takes_the_code_as_well(office: Office, clerk: Desk) -> None:
    key = set_up(clerk)
    wait(60)
    desk = office.desk(None)
    assert sign_in(desk).location == "/sign-in/code?next=/"
    assert desk.client.get("/readings").status_code == 302
    assert person(office).login_count == 1
    wrong = send(desk, "/sign-in/code", code=f"{(int(code_of(key)) + 1) % 1_000_000:06}")
    assert "The code is wrong or has been used." in wrong.text
    assert desk.client.get("/readings").status_code == 302
    right = send(desk, "/sign-in/code", code=code_of(key))
    assert right.location == "/"
    desk.see("/readings")
    assert person(office).login_count == 2
    assert acts(office)[-1] == "staff.signed_in"


def test_the_wanted_page_opens_after_the_code(office: Office, clerk: Desk) -> None:
    key = set_up(clerk)
    wait(60)
    desk = office.desk(None)
    given = {"identity": "clerk", "password": PASSWORD}
    there = send(desk, "/sign-in?next=%2Freadings%3Fstatus%3Dheld", **given).location
    assert there.startswith("/sign-in/code?next=")
    assert send(desk, there, code=code_of(key)).location == "/readings?status=held"


def test_a_code_is_used_once_and_only_in_its_time(office: Office, clerk: Desk) -> None:
    key = set_up(clerk)
    desk = office.desk(None)
    sign_in(desk)
    assert "has been used" in send(desk, "/sign-in/code", code=code_of(key)).text
    wait(60)
    seen = code_of(key)
    assert send(desk, "/sign-in/code", code=seen).location == "/"
    other = office.desk(None)
    sign_in(other)
    assert "has been used" in send(other, "/sign-in/code", code=seen).text
    wait(90)
    assert "has been used" in send(other, "/sign-in/code", code=code_of(key, -60)).text
    assert send(other, "/sign-in/code", code=code_of(key, -30)).location == "/"


def test_of_two_who_show_the_same_code_at_once_one_gets_in(office: Office, clerk: Desk) -> None:
    key = set_up(clerk)
    wait(60)
    desks = [office.desk(None) for _ in range(4)]
    for desk in desks:
        sign_in(desk)
    start = Barrier(len(desks))

    def show(desk: Desk) -> int:
        token = CODE.search(desk.client.get("/sign-in/code", headers=ENGLISH).text)
        assert token is not None
        start.wait(30)
        fields = {"csrf_token": token[1], "code": code_of(key)}
        return int(desk.client.post("/sign-in/code", data=fields).status_code)

    with ThreadPoolExecutor(len(desks)) as threads:
        assert sorted(threads.map(show, desks)) == [200, 200, 200, 302]
    assert person(office).login_count == 2


def test_who_guesses_codes_has_to_wait_wherever_he_is(office: Office, clerk: Desk) -> None:
    key = set_up(clerk)
    wait(60)
    for _ in range(throttle.SECOND_FACTOR.burst):
        desk = office.desk(None)
        sign_in(desk)
        send(desk, "/sign-in/code", code="000000")
    refused = send(desk, "/sign-in/code", code=code_of(key))
    assert "Too many attempts" in refused.text
    assert "Too many attempts" in send(desk, "/sign-in/recovery-code", code="x").text


def test_a_recovery_code_opens_once(office: Office, clerk: Desk) -> None:
    set_up(clerk)
    codes = RECOVERY.findall(send(clerk, "/me/recovery-codes", generate_new_codes="yes").text)
    assert len(codes) == 10
    assert codes[0] not in str(person(office).mf_recovery_codes)
    assert codes[0] not in clerk.see("/me/recovery-codes?show_codes=1")
    desk = office.desk(None)
    sign_in(desk)
    answer = send(desk, "/sign-in/recovery-code", code=f" {codes[3].upper()} ")
    assert answer.location == "/"
    assert "9 recovery codes left" in desk.see("/me")
    assert acts(office)[-2:] == ["staff.recovery_code_used", "staff.signed_in"]
    again = office.desk(None)
    sign_in(again)
    refused = send(again, "/sign-in/recovery-code", code=codes[3])
    assert "wrong or has been used" in refused.text
    assert again.client.get("/readings").status_code == 302


def test_a_code_is_of_no_use_without_the_password(office: Office, clerk: Desk) -> None:
    set_up(clerk)
    desk = office.desk(None)
    for path in ("/sign-in/code", "/sign-in/recovery-code", "/me/second-factor"):
        assert desk.client.get(path).location == "/sign-in", path


def test_the_person_takes_it_off_again(office: Office, clerk: Desk) -> None:
    set_up(clerk)
    send(clerk, "/me/recovery-codes", generate_new_codes="yes")
    assert send(clerk, "/me/second-factor", setup="disable").location == "/me"
    kept = person(office)
    assert (kept.tf_totp_secret, kept.mf_recovery_codes, kept.tf_last_counter) == (None,) * 3
    assert acts(office)[-1] == "staff.second_factor_off"
    assert sign_in(office.desk(None)).location == "/"


def test_an_old_sign_in_gives_the_password_again_before_it_changes_anything(office: Office) -> None:
    give_password(office.app, office.clerk_id)
    desk = office.desk(office.clerk_id)
    asked = desk.client.get("/me/second-factor").location
    assert asked.startswith("/me/verify?next=")
    assert "The password is wrong." in send(desk, asked, password="no").text
    assert send(desk, asked, password=PASSWORD).location == "/me/second-factor"
    set_up(desk)
    assert person(office).has_second_factor


def test_an_administrator_removes_it_from_who_lost_the_phone(
    office: Office, clerk: Desk, admin: Desk
) -> None:
    set_up(clerk)
    assert f"/staff/{office.clerk_id}/second-factor" in admin.see(f"/staff/{office.clerk_id}")
    admin.post(f"/staff/{office.clerk_id}/second-factor")
    with office.app.app_context(), snapshot() as session:
        row = session.scalars(select(AuditEvent).order_by(AuditEvent.id.desc())).first()
        assert row is not None
        assert (row.action, row.actor_id) == ("staff.second_factor_removed", office.admin_id)
        assert row.subject_id == str(office.clerk_id)
        assert (row.before, row.after) == ({"second_factor": True}, {"second_factor": False})
    assert sign_in(office.desk(None)).location == "/"
    admin.post(f"/staff/{office.clerk_id}/second-factor", 409)


def test_nobody_else_removes_it(office: Office, clerk: Desk, admin: Desk) -> None:
    set_up(clerk)
    clerk.post(f"/staff/{office.clerk_id}/second-factor", 403)
    office.desk(office.manager_id).post(f"/staff/{office.clerk_id}/second-factor", 403)
    admin.post(f"/staff/{office.admin_id}/second-factor", 409)
    assert person(office).has_second_factor


def test_the_server_itself_removes_it_from_the_only_administrator(
    office: Office, clerk: Desk
) -> None:
    set_up(clerk)
    send(clerk, "/me/recovery-codes", generate_new_codes="yes")
    ran = office.app.test_cli_runner().invoke(args=["users", "reset_access", "clerk"])
    assert ran.exit_code == 0, ran.output
    assert not person(office).has_second_factor
    assert not person(office).mf_recovery_codes
    assert sign_in(office.desk(None)).location == "/"


def test_the_unused_doors_of_the_sign_in_are_shut(office: Office, clerk: Desk) -> None:
    set_up(clerk)
    desk = office.desk(None)
    sign_in(desk)
    for path in ("/sign-in/rescue", "/sign-in/factor"):
        assert desk.client.get(path).status_code == 404
        assert desk.client.post(path, data={"help_setup": "help"}).status_code == 404


@pytest.fixture
def strict(settings: Settings) -> Any:
    """An installation that demands the second factor of administrators and managers."""
    from server.app import create_app  # noqa: PLC0415 - after the database is there

    app = create_app(replace(settings, require_second_factor=True))
    world.build(app, points=1)
    for name, role in (("manager", "manager"), ("clerk", "billing_clerk")):
        give_password(app, hire(app, name, role))
    return app


def test_a_role_can_demand_it(strict: Flask) -> None:
    assert sign_in(Desk(strict, None), "clerk").location == "/"
    desk = Desk(strict, None)
    assert sign_in(desk, "manager").location == "/me/second-factor"
    assert desk.client.get("/readings").status_code == 302
    set_up(desk)
    desk.see("/readings")
    refused = send(desk, "/me/second-factor", setup="disable")
    assert "Your role needs the second factor." in refused.text
