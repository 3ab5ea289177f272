"""Tariffs on the console: read, tried, put in from a file, each under its right."""

from __future__ import annotations

from io import BytesIO

import pytest
from sqlalchemy import select

from server.audit import AuditEvent
from server.billing.models import Tariff, TariffVersion
from server.billing.service.tariffs import SHIPPED
from server.db import snapshot
from tests.console.conftest import Office
from tests.console.office import Desk, hire


@pytest.fixture
def boss(office: Office) -> Desk:
    """An administrator who reads English."""
    return office.desk(hire(office.app, "boss", "admin"))


@pytest.fixture
def page(office: Office) -> str:
    """The address of the one tariff of the world."""
    with office.app.app_context(), snapshot() as session:
        return f"/bills/tariffs/{session.scalars(select(Tariff.id)).one()}"


CHARGED = {"first": "2026-10-01", "last": "2026-10-31", "year": "2700", "total": "200"}


def put_in(desk: Desk, text: str, way: str, status: int, **fields: str) -> str:
    data = {"csrf_token": desk.code(), "way": way, **fields}
    file = (BytesIO(text.encode()), "tariff.yaml")
    answer = desk.client.post("/bills/tariffs/new", data={**data, "file": file})
    assert answer.status_code == status, answer.text[:2000]
    return answer.text


def test_a_tariff_is_shown_in_words_and_tells_what_a_use_would_cost(boss: Desk, page: str) -> None:
    assert "zhejiang-residential" in boss.see("/bills/tariffs")
    shown = boss.see(page)
    told = ("tiers of the calendar year", "up to 2760", "2760 – 4800", "above 4800", "0.838")
    assert [words for words in (*told, "half up") if words not in shown] == []
    query = "&".join(f"{name}={value}" for name, value in CHARGED.items())
    assert "<strong>114.60</strong>" in boss.see(f"{page}?{query}")
    assert "at most six decimal places" in boss.see(f"{page}?total=1e")
    boss.see("/bills/tariffs/999999", 404)


def test_a_file_is_checked_tried_and_put_in(office: Office, boss: Desk) -> None:
    good = (SHIPPED / "zhejiang-residential-tou.yaml").read_text("utf-8")
    bad = good.replace("0.568", "much").replace("sum", "gas")
    refused = put_in(boss, bad, "put", 422)
    assert "components[0].prices.peak" in refused
    assert "components[1].register" in refused
    tried = put_in(boss, good, "check", 200, peak="100", valley="100")
    assert "<strong>85.60</strong>" in tried
    assert put_in(boss, good, "put", 302)
    assert put_in(boss, good, "put", 302), "the same again is harmless"
    dearer = good.replace("0.568", "0.668")
    assert "other prices from that day already" in put_in(boss, dearer, "put", 409)
    with office.app.app_context(), snapshot() as session:
        tariff = session.scalars(
            select(Tariff).where(Tariff.code == "zhejiang-residential-tou")
        ).one()
        assert session.scalars(
            select(TariffVersion.id).where(TariffVersion.tariff_id == tariff.id)
        ).one()
        said = session.scalars(select(AuditEvent).where(AuditEvent.action == "tariff.put")).first()
        assert said is not None
        assert said.after == {"code": "zhejiang-residential-tou", "valid_from": "2012-07-01"}
    assert "Peak and valley energy" in boss.see(f"/bills/tariffs/{tariff.id}")


def test_who_may_only_look_at_tariffs_cannot_put_one_in(office: Office, page: str) -> None:
    clerk, reader = (
        office.desk(office.clerk_id),
        office.desk(hire(office.app, "rd", "meter_reader")),
    )
    clerk.see("/bills/tariffs")
    clerk.see(page)
    assert "New version from a file" not in clerk.see("/bills/tariffs")
    clerk.see("/bills/tariffs/new", 403)
    clerk.post("/bills/tariffs/new", 403, text="code: x", way="put")
    for path in ("/bills/tariffs", page):
        reader.see(path, 403)
