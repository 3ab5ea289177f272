"""Notices as e-mails: their subjects, wordings of their own, contacts with an address and no number."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select

from server.db import snapshot, transaction
from server.errors import Invalid
from server.notify import queries, service
from server.notify.models import NoticeTemplate, OutboxMessage
from server.notify.rules import events, mails, templates
from server.notify.rules.phones import key_part
from tests.notify.conftest import bill

MAIL = {"host": "127.0.0.1", "port": 25, "security": "none", "sender": "notices@example.com"}
ADDRESS = "li@example.com"


@pytest.mark.parametrize("name", [name for name, event in events.EVENTS.items() if not event.free])
@pytest.mark.parametrize("language", events.LANGUAGES)
def test_every_notice_has_a_subject_of_one_line(name: str, language: str) -> None:
    event = events.event(name)
    body = mails.derived(event, language, events.DEFAULT_TEMPLATES[name, language])
    assert not [
        one
        for one in templates.findings(event, mails.of(language), body, "东岭电力")
        if one.severity == "error"
    ]
    subject, text = mails.split(templates.example(event, mails.of(language), body, "东岭电力"))
    assert "东岭电力" in subject
    assert "\n" not in subject
    assert text


def test_a_long_address_is_named_by_its_digest_in_keys() -> None:
    assert key_part("+8612000000001") == "+8612000000001"
    long = "x" * 60 + "@example.com"
    assert len(key_part(long)) == 40
    assert key_part(long) != key_part("y" + long[1:])


def _queue(*notices: service.Notice) -> list[OutboxMessage]:
    with transaction() as session:
        ids = service.enqueue(session, notices)
        return [session.get_one(OutboxMessage, ids[one.key]) for one in notices]


def test_an_e_mail_says_what_its_own_wording_or_else_the_text_says(outbox: Flask) -> None:
    (unsent,) = _queue(bill(1, ADDRESS))
    assert (unsent.status, unsent.error) == ("suppressed", "notify.no_mail")
    with transaction() as session:
        service.put_gateway(session, "mail", "email", MAIL, simulated=True)
        service.put_template(session, "bill.issued", "zh_Hans", "【{co}】{no}应交{amt}元")
    derived, text = _queue(bill(2, ADDRESS), bill(3))
    assert derived.text == "东岭电力:户号10000002,10月电费账单\n\n【东岭电力】10000002应交137.73元"
    assert (derived.status, derived.segments) == ("queued", 1)
    assert text.text == "【东岭电力】10000003应交137.73元"
    own = mails.joined("账单 {no}", "尊敬的客户:\n\n应交{amt}元。")
    with transaction() as session:
        service.put_template(session, "bill.issued", mails.of("zh_Hans"), own)
        with pytest.raises(Invalid, match="a subject and a text"):
            service.put_template(session, "bill.issued", mails.of("en"), "{no} {amt}")
    (worded, other) = _queue(bill(4, ADDRESS), bill(5))
    assert worded.text == "账单 10000004\n\n尊敬的客户:\n\n应交137.73元。"
    assert "尊敬" not in other.text
    free = service.Notice("operator.text", "f", ADDRESS, None, {"text": "Hello"})
    titled = service.Notice("operator.text", "g", ADDRESS, None, {"text": "Title\n\nHello"})
    assert [one.text for one in _queue(free, titled)] == ["东岭电力\n\nHello", "Title\n\nHello"]
    with transaction() as session:
        service.put_template(session, "bill.issued", mails.of("zh_Hans"), None)
        follows = queries.wordings(session)["bill.issued", mails.of("zh_Hans")]
    assert follows.endswith("【{co}】{no}应交{amt}元")


def test_a_fan_out_tells_addresses_with_a_subject(outbox: Flask) -> None:
    with transaction() as session:
        service.put_gateway(session, "mail", "email", MAIL, simulated=True)
        outage = service.Announcement("o:1", "outage.fault", {"area": "A", "etr": "21:30"})
        people = [service.Recipient(ADDRESS, "en"), service.Recipient("+8612000000001", "en")]
        service.announce(session, outage, people)
    with transaction() as session:
        service.next_slice(session)
        rows = {row.phone: row.text for row in session.scalars(select(OutboxMessage))}
    assert rows[ADDRESS].startswith(
        "东岭电力: power failure in A\n\n[东岭电力] Power failure in A."
    )
    assert rows["+8612000000001"].startswith("[东岭电力]")


def test_a_wording_that_can_no_longer_be_filled_gives_way_to_the_default(outbox: Flask) -> None:
    with transaction() as session:
        row = NoticeTemplate(event="bill.issued", language="zh_Hans", version=1, body="{gone}")
        session.add(row)
    (sent,) = _queue(bill(1))
    assert sent.text.startswith("【东岭电力】户号10000001")
    with snapshot() as session:
        assert queries.wordings(session)["bill.issued", "zh_Hans"].startswith("【{co}】")
