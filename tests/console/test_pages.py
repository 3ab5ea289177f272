"""Every page answers, in both languages, to those who may see it, and to nobody else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from server.console import urls
from tests.console.conftest import Office
from tests.console.office import Desk, hire, key

STATIC = Path(urls.__file__).parent / "static"
ASKS_FOR_A_PERIOD = {"/bills/ledger.csv"}
PLAIN = [
    rule
    for method, rule, _, _ in urls.TABLE
    if method == "GET" and "<" not in rule and rule not in ASKS_FOR_A_PERIOD
]
OPEN_ENDPOINTS = {"language"}
FOR_DOERS = {
    "/readings/new",
    "/staff/new",
    "/readings.csv",
    "/messages/new",
    "/gateways/new",
    "/bills/tariffs/new",
}


@pytest.mark.parametrize("rule", PLAIN)
def test_a_page_of_an_empty_system_answers(admin: Desk, rule: str) -> None:
    assert not re.search(r"None(?! yet| waits)", re.sub(r"<[^>]*>", "", admin.see(rule)))


def test_every_address_turns_a_stranger_to_the_sign_in(office: Office) -> None:
    stranger = office.desk(None)
    for method, rule, endpoint, _ in urls.TABLE:
        if endpoint in OPEN_ENDPOINTS:
            continue
        path = re.sub(r"<int:\w+>", "1", rule)
        answer = stranger.client.open(path, method=method, data={"csrf_token": "x"})
        assert answer.status_code in (302, 422), (path, answer.status_code)
        if answer.status_code == 302:
            assert "/sign-in" in answer.location


def test_the_details_of_a_read_point_answer(office: Office, admin: Desk) -> None:
    point = office.world.points[0]
    reading_id = key(office.app, office.clerk_id, point, 1200)
    assert "1,200" in admin.see(f"/readings/{reading_id}")
    page = admin.see(f"/accounts/{point.account_id}")
    assert point.account_no in page
    bill = re.search(r'href="(/bills/\d+)"', page)
    assert bill is not None
    assert "200" in admin.see(bill[1])
    assert "南京路" in admin.see(f"/routes/{office.world.route_id}")
    assert "李抄表" in admin.see(f"/devices/{office.world.device_id}")
    message = re.search(r'href="(/messages/\d+)"', admin.see("/messages"))
    assert message is not None
    assert point.account_no in admin.see(message[1])


def test_no_page_carries_inline_script_or_style(office: Office, admin: Desk) -> None:
    for path in (*PLAIN, f"/routes/{office.world.route_id}", f"/devices/{office.world.device_id}"):
        page = admin.client.get(path).text
        assert "<style" not in page, path
        assert not re.search(r"<[^>]+\s(style|on\w+)=", page), path
        for script in re.findall(r"<script([^>]*)>", page):
            assert "src=" in script or 'type="application/json"' in script, path


def test_pages_forbid_frames_foreign_scripts_and_caches(admin: Desk) -> None:
    headers = admin.client.get("/").headers
    assert "script-src 'self'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


def test_the_style_sheets_stay_under_20_kb() -> None:
    layers = ("tokens", "base", "layout", "components")
    assert sum((STATIC / "css" / f"{name}.css").stat().st_size for name in layers) < 20 * 1024


def test_an_unknown_address_is_a_page_with_words(admin: Desk) -> None:
    assert "There is no page at this address" in admin.see("/nowhere?lang=en", 404) or (
        "没有页面" in admin.see("/nowhere", 404)
    )


def test_a_page_speaks_the_persons_language_before_the_browsers(office: Office) -> None:
    clerk = office.desk(office.clerk_id)
    answer = clerk.client.get("/readings", headers={"Accept-Language": "zh-CN"})
    assert "<h1>Readings</h1>" in answer.text
    assert '<html lang="en">' in answer.text


def test_switching_the_language_stays_for_the_person(office: Office) -> None:
    clerk = office.desk(office.clerk_id)
    clerk.post("/language", language="zh_Hans", back="/readings")
    assert "<h1>抄表</h1>" in clerk.see("/readings")
    assert "<h1>抄表</h1>" in office.desk(office.clerk_id).see("/readings")


def test_switching_the_language_never_leads_elsewhere(office: Office) -> None:
    clerk = office.desk(office.clerk_id)
    for back in ("https://evil.example/", "//evil.example", "/\\evil.example"):
        assert clerk.post("/language", language="en", back=back).location == "/"


def test_a_stranger_gets_the_language_of_his_browser(office: Office) -> None:
    stranger = office.desk(None)
    page = stranger.client.get("/sign-in", headers={"Accept-Language": "en-GB,en;q=0.8"})
    assert "User name or e-mail" in page.text
    page = stranger.client.get("/sign-in", headers={"Accept-Language": "zh-CN,zh;q=0.8"})
    assert "用户名或邮箱" in page.text


def test_the_auditor_sees_everything_and_no_button_that_changes_it(office: Office) -> None:
    key(office.app, office.clerk_id, office.world.points[0], 900)
    auditor = office.desk(hire(office.app, "auditor", "auditor"))
    for rule in PLAIN:
        if rule not in FOR_DOERS:
            auditor.see(rule)
    assert "Decide</h2>" in auditor.see("/review")
    assert 'name="way"' not in auditor.see("/review")
    assert "/devices/enrol" not in auditor.see("/devices")


def test_settings_show_help_and_no_secret(office: Office, admin: Desk) -> None:
    page = admin.see("/settings")
    assert "FIELDBELL_MAX_PUSH_ITEMS" in page
    assert "Items a device may send in one push" in page
    assert office.app.config["SECRET_KEY"] not in page
