"""One account from every side: one answer, its rights, what its people want."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event, select

from server.accounts.models import Account, Contact
from server.audit import AuditEvent
from server.db import db, snapshot, transaction
from server.desk.account import usage
from server.notify.models import InboundMessage, OutboxMessage
from tests import world as worlds
from tests.desk.test_messages_api import Caller as TextCaller

SHANGHAI = ZoneInfo("Asia/Shanghai")


class Caller(TextCaller):
    """Somebody with a personal token at the addresses of accounts."""

    def get(self, path, status=200, **query):
        answer = self.client.get(
            f"/api/v1/accounts{path}", query_string=query, headers=self.headers
        )
        assert answer.status_code == status, answer.text[:1000]
        return answer.get_json()

    def put(self, path, body, status=200):
        answer = self.client.put(f"/api/v1/accounts{path}", json=body, headers=self.headers)
        assert answer.status_code == status, answer.text[:1000]
        return answer.get_json()


@pytest.fixture
def world(app):
    made = worlds.build(app, points=2)
    items = [worlds.reading(made.points[0], 1200, 1), worlds.reading(made.points[1], 5000, 2)]
    answer = app.test_client().post(
        "/device/v1/push",
        json=worlds.push_body(items),
        headers={"Authorization": f"Bearer {made.token}"},
    )
    assert answer.status_code == 200, answer.text
    return made


@pytest.fixture
def clerk(app, world):
    return Caller(app, world, "clerk", "billing_clerk")


def test_one_answer_tells_what_an_agent_needs(app, world, clerk):
    point = world.points[0]
    found = clerk.get(f"/{point.account_no}/overview")
    assert (found["account_no"], found["customer"], found["status"]) == (
        *(point.account_no, "客户 001", "active"),
    )
    (bill,) = found["bills"]["rows"]
    figures = (bill["quantity"], bill["total"], found["balance"])
    assert [Decimal(text) for text in figures] == [200, Decimal("107.60"), Decimal("-107.60")]
    newest = found["readings"]["rows"][0]
    assert (newest["value"], newest["status"], newest["reader"]) == (
        *("1200.000000", "confirmed", "李抄表"),
    )
    assert newest["position"]["crs"] == "wgs84"
    assert newest["distance_m"] < 200
    assert found["months"][-1]["this"] == "200.000000"
    assert found["contacts"]["rows"][0]["phone"] == "+8612•••••••01"
    assert found["messages"]["rows"][0]["event"] == "bill.issued"
    assert (found["orders"]["rows"], found["waiting"]["rows"]) == ([], [])
    (owing,) = found["dues"]["position"]["owing"]
    assert (Decimal(owing["principal"]), owing["overdue_days"]) == (Decimal("107.60"), 0)
    assert found["watched"]["rule"]["low_balance"] is None


def test_what_waits_for_a_decision_is_told(world, clerk):
    found = clerk.get(f"/{world.points[1].account_no}/overview")
    (item,) = found["waiting"]["rows"]
    assert (item["reason"], item["subject_type"]) == ("reading.high", "reading")
    assert found["orders"]["rows"][0]["status"] == "held"


def test_each_part_stands_under_its_own_right_and_scope(app, world):
    account = world.points[0].account_no
    cashier = Caller(app, world, "cash", "cashier").get(f"/{account}/overview")
    assert cashier["bills"] is not None
    hidden = ("readings", "orders", "waiting", "messages", "hours")
    assert all(cashier[part] is None for part in hidden)
    assert cashier["contacts"]["rows"][0]["refuses"] is None
    dispatcher = Caller(app, world, "disp", "dispatcher").get(f"/{account}/overview")
    assert [dispatcher[part] for part in ("bills", "dues", "payments")] == [None] * 3
    assert dispatcher["readings"]["rows"]
    stranger = Caller(app, world, "own", "account_manager")
    assert stranger.get(f"/{account}/overview", 404)["code"] == "account.unknown"
    assert stranger.get("", q=account)["accounts"] == []
    reader = Caller(app, world, "reader2", "meter_reader")
    assert reader.get(f"/{account}/overview", 403)["code"] == "identity.forbidden"


def test_the_number_of_statements_does_not_depend_on_the_account(app, world, clerk):
    def statements():
        seen = []
        with app.app_context():
            engine = db.engine

        def note(_c, _cursor, statement, *_more):
            seen.append(statement)

        event.listen(engine, "before_cursor_execute", note)
        clerk.get(f"/{world.points[0].account_no}/overview")
        event.remove(engine, "before_cursor_execute", note)
        return len(seen)

    before = [statements(), statements()][-1]
    with app.app_context(), transaction() as session:
        account = session.get_one(Account, world.points[0].account_id)
        session.add_all(
            Contact(customer_id=account.customer_id, name=f"同事{n}", phone=f"+861200009{n:04}")
            for n in range(5)
        )
    assert statements() == before <= 45


def test_accounts_are_found_by_whatever_the_caller_says(world, clerk):
    point = world.points[0]
    found = {
        "A0001": "account",
        point.serial: "meter",
        "S0001": "point",
        point.phone: "phone",
        "12000000001": "phone",
        "客户 001": "customer",
        "南京路1号": "place",
        "京路1": "place",
    }
    for text, why in found.items():
        hits = clerk.get("", q=text)["accounts"]
        assert [(hit["account_no"], hit["why"]) for hit in hits] == [("A0001", why)], text
    assert len(clerk.get("", q="客户")["accounts"]) == 2
    assert clerk.get("", q="100%")["accounts"] == []


def test_an_agent_notes_what_a_customer_wants_and_it_is_written_down(app, world, clerk):
    account = world.points[0].account_no
    contact = clerk.get(f"/{account}/overview")["contacts"]["rows"][0]["id"]
    body = {"contact_id": contact, "category": "bill", "wants": False, "why": "rang on Monday"}
    assert clerk.put(f"/{account}/preferences", body) == {"changed": True}
    assert clerk.put(f"/{account}/preferences", body) == {"changed": False}
    person = clerk.get(f"/{account}/overview")["contacts"]["rows"][0]
    assert [(r["category"], r["note"]) for r in person["refuses"]] == [("bill", "rang on Monday")]
    assert clerk.put(f"/{account}/preferences", {**body, "wants": True}) == {"changed": True}
    assert clerk.get(f"/{account}/overview")["contacts"]["rows"][0]["refuses"] == []
    other = clerk.get(f"/{world.points[1].account_no}/overview")["contacts"]["rows"][0]["id"]
    wrong = clerk.put(f"/{account}/preferences", {**body, "contact_id": other}, 404)
    assert wrong["code"] == "contact.unreachable"
    clerk.put(f"/{account}/preferences", {**body, "category": "safety"}, 422)
    with app.app_context(), snapshot() as session:
        acts = session.scalars(
            select(AuditEvent.action).where(AuditEvent.subject_type == "account")
        ).all()
    assert acts == ["preference.refused", "preference.wanted"]


def test_whole_numbers_are_told_on_request_and_that_is_written_down(app, world, clerk):
    point = world.points[0]
    found = clerk.get(f"/{point.account_no}/overview", phones=True)
    assert found["contacts"]["rows"][0]["phone"] == point.phone
    with app.app_context(), snapshot() as session:
        assert "phone.shown" in session.scalars(select(AuditEvent.action)).all()


def test_texts_of_both_ways_are_told_in_their_order(app, world, clerk):
    point = world.points[0]
    at = datetime(2026, 11, 1, 12, tzinfo=UTC)
    with app.app_context(), transaction() as session:
        out = session.scalars(select(OutboxMessage)).first()
        session.add(
            InboundMessage(
                **dict.fromkeys(("total", "arrived"), 1),
                gateway_id=_gateway(session),
                phone=point.phone,
                destination="95598",
                text="什么时候来电",
                state="unmatched",
                received_at=at,
            )
        )
        assert out is not None
    told = clerk.get(f"/{point.account_no}/overview")["messages"]["rows"]
    assert [(one["out"], one["status"]) for one in told] == [(False, "unmatched"), (True, "queued")]
    other = clerk.get(f"/{world.points[1].account_no}/overview")["messages"]["rows"]
    assert all(one["out"] for one in other)


def _gateway(session):
    from server.notify.models import Gateway  # noqa: PLC0415

    made = Gateway(name="test", kind="log", enabled=True, config={})
    session.add(made)
    session.flush()
    return made.id


def test_use_is_counted_in_the_month_it_was_read_in_by_the_wall_clock():
    late = datetime(2026, 10, 31, 17, 0, tzinfo=UTC)  # already November in Shanghai
    found = usage.months([(late, "total", Decimal(5)), (late, "peak", Decimal(3))], SHANGHAI)
    assert (found[-1].year, found[-1].month, found[-1].this) == (2026, 11, Decimal(5))
    assert len(found) == 12
    assert usage.months([], SHANGHAI) == []


def test_without_a_total_register_its_parts_are_the_use():
    at = datetime(2026, 5, 3, tzinfo=UTC)
    before = at.replace(year=2025)
    found = usage.months(
        [
            (at, "peak", Decimal(3)),
            (at, "valley", Decimal(4)),
            (at, "reactive", Decimal(9)),
            (before, "total", Decimal(6)),
        ],
        SHANGHAI,
    )
    assert (found[-1].this, found[-1].last) == (Decimal(7), Decimal(6))
