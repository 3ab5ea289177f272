"""States, answers, reports and templates: the rules that need nothing but values."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import Invalid
from server.notify.rules import answers, events, phones, receipts, segments, states, templates
from server.notify.rules.receipts import Receipt, normalise_id, parse, response_id

BILL = {
    "co": "东岭电力",
    "no": "10000001",
    "m": "2026-10",
    "kwh": Decimal("256.000000"),
    "amt": Decimal("137.7300"),
    "bal": Decimal("-137.7300"),
    "due": date(2026, 12, 20),
}


# --- states ----------------------------------------------------------------------------------


def test_every_transition_names_known_states_and_final_states_are_final() -> None:
    for old, new in states.TRANSITIONS:
        assert old in states.STATES
        assert new in states.STATES
        assert old not in states.FINAL


def test_the_ways_back_to_the_queue_are_those_without_a_double() -> None:
    assert set(states.sources("queued")) == {"held", "claimed", "submitted", "unknown"}


def test_only_waiting_messages_can_be_cancelled() -> None:
    assert set(states.sources("cancelled")) == {"queued", "held"}


@pytest.mark.parametrize(
    ("total", "news", "state"),
    [
        (1, [], None),
        (1, [(1, "submitted")], "submitted"),
        (2, [(1, "accepted"), (2, "submitted")], "submitted"),
        (2, [(1, "accepted"), (2, "accepted")], "accepted"),
        (2, [(1, "delivered"), (2, "accepted")], "accepted"),
        (2, [(1, "delivered"), (2, "delivered")], "delivered"),
        (2, [(1, "delivered"), (2, "failed")], "failed"),
        (2, [(1, "delivered"), (2, "expired")], "expired"),
        (2, [(1, "accepted"), (2, "unknown")], "unknown"),
        (1, [(1, "returned")], "requeue"),
        (2, [(1, "accepted")], "requeue"),
        (1, [(1, "refused")], "retry"),
        (1, [(1, "unknown"), (1, "delivered")], "delivered"),
        (1, [(1, "delivered"), (1, "failed")], "delivered"),
        (1, [(1, "unknown"), (1, "submitted")], "submitted"),
    ],
)
def test_a_message_is_what_its_segments_add_up_to(
    total: int, news: list[tuple[int, str]], state: str | None
) -> None:
    assert states.of_message(total, _single(news)) == state


_PARTS = st.lists(st.tuples(st.integers(1, 3), st.sampled_from(states.SEGMENT_STATES)), max_size=8)


def _single(news: list[tuple[int, str]]) -> list[tuple[int, int, str]]:
    """Every row stands for one segment."""
    return [(part, 1, state) for part, state in news]


@given(_PARTS, st.randoms())
def test_the_order_of_news_does_not_matter(news: list[tuple[int, str]], chance: object) -> None:
    shuffled = news[:]
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert states.of_message(3, _single(news)) == states.of_message(3, _single(shuffled))


def test_a_text_that_a_gateway_took_whole_stands_for_all_its_segments() -> None:
    assert states.of_message(3, [(1, 3, "accepted")]) == "accepted"
    assert states.of_message(3, [(1, 1, "accepted")]) == "requeue"


# --- answers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (0x00, answers.OK),
        (0x58, answers.THROTTLE),
        (0x14, answers.THROTTLE),
        (0x08, answers.TRANSIENT),
        (0x64, answers.TRANSIENT),
        (0xFF, answers.TRANSIENT),
        (0x45, answers.TRANSIENT),
        (0x0A, answers.PERMANENT),
        (0x0B, answers.PERMANENT),
        (0x33, answers.PERMANENT),
        (0x66, answers.PERMANENT),
        (0x61, answers.CONFIGURATION),
        (0x15, answers.CONFIGURATION),
        (0x0D, answers.BIND),
        (0x0F, answers.BIND),
        (0x777, answers.PERMANENT),
    ],
)
def test_command_statuses_have_classes(status: int, kind: str) -> None:
    assert answers.classify(status) == kind


def test_a_carrier_may_mean_something_else_by_a_status() -> None:
    assert answers.classify(0x0B, {0x0B: answers.TRANSIENT}) == answers.TRANSIENT


def test_back_off_grows_and_ends() -> None:
    waits = [answers.back_off(attempts, 1.0) for attempts in range(1, 6)]
    assert waits == sorted(waits, key=float)  # type: ignore[arg-type]
    assert answers.back_off(1, 0.0) == answers.BACK_OFF_SECONDS[0] / 2
    assert answers.back_off(6, 1.0) is None


# --- reports ---------------------------------------------------------------------------------

TEXT = (
    b"id:0123456789 sub:001 dlvrd:001 submit date:2611221100 done date:2611221101 "
    b"stat:DELIVRD err:000 text:Hello stat:UNDELIV"
)


def test_a_report_is_read_from_its_text() -> None:
    assert parse({}, TEXT) == Receipt("0123456789", "delivered", "000", "2611221101")


def test_optional_parameters_stand_before_the_text() -> None:
    tlvs = {receipts.RECEIPTED_MESSAGE_ID: b"abc\0", receipts.MESSAGE_STATE: b"\x05"}
    assert parse(tlvs, TEXT) == Receipt("abc", "undeliverable", "000", "2611221101")


def test_an_id_without_its_nul_keeps_its_last_character() -> None:
    tlvs = {receipts.RECEIPTED_MESSAGE_ID: b"abc", receipts.MESSAGE_STATE: b"\x02"}
    assert parse(tlvs, b"") == Receipt("abc", "delivered", "", "")


@pytest.mark.parametrize(
    "text",
    [
        b"ID: 77  STAT: DELIVERED ERR: 0",
        b"id:77 stat:delivrd",
        b"  id:77 sub:1 dlvrd:1 submit date:1 done date:2 stat:DELIVRD err:0 Text:",
        b"sub:001\nid:77\nstat:DELIVRD",
    ],
)
def test_the_text_of_a_report_is_read_tolerantly(text: bytes) -> None:
    found = parse({}, text)
    assert found is not None
    assert (found.message_id, found.state) == ("77", "delivered")


def test_a_report_in_the_payload_is_read() -> None:
    found = parse({receipts.MESSAGE_PAYLOAD: TEXT}, b"")
    assert found is not None
    assert found.state == "delivered"


def test_a_person_s_text_is_no_report() -> None:
    assert parse({}, "查 10000001".encode("utf-16-be")) is None


@pytest.mark.parametrize(
    ("mode", "response", "report"),
    [
        ("as_is", "12ab", "12ab"),
        ("casefold", "12AB", "12ab"),
        ("hex_to_dec", "4779", "12AB"),
        ("hex_to_dec", "0004779", "12ab"),
        ("dec_to_hex", "12AB", "4779"),
        ("dec_to_hex", "012AB", "4779"),
    ],
)
def test_ids_of_responses_and_reports_meet(mode: str, response: str, report: str) -> None:
    assert response_id(response, mode) == normalise_id(report, mode)


@pytest.mark.parametrize("mode", receipts.ID_MODES)
def test_an_empty_id_is_no_id(mode: str) -> None:
    assert normalise_id(" \0", mode) is None
    assert response_id("", mode) is None


# --- templates -------------------------------------------------------------------------------


def _render(name: str, language: str, data: dict[str, object]) -> str:
    body = events.DEFAULT_TEMPLATES[name, language]
    return templates.render(events.EVENTS[name], language, body, data)


def test_every_event_has_a_default_text_in_every_language_that_can_be_used() -> None:
    for name, event in events.EVENTS.items():
        for language in events.LANGUAGES:
            templates.check(event, language, events.DEFAULT_TEMPLATES[name, language], "东岭电力")


def test_a_typical_bill_is_one_segment_in_chinese() -> None:
    text = _render("bill.issued", "zh_Hans", BILL)
    assert text == (
        "【东岭电力】户号10000001,10月用电256度,电费137.73元,余额-137.73元,请于12月20日前交费。"
    )
    assert len(text) <= 70
    assert segments.count(text) == 1


def test_a_typical_bill_is_one_gsm_segment_in_english() -> None:
    text = _render("bill.issued", "en", {**BILL, "co": "Dongling Power"})
    assert text == (
        "[Dongling Power] Account 10000001: 256 kWh in Oct 2026, charge 137.73, "
        "balance -137.73. Please pay by 20 Dec."
    )
    assert segments.split(text).encoding == "gsm7"
    assert segments.count(text) == 1


@pytest.mark.parametrize(
    ("value", "kind", "written"),
    [
        (Decimal("137.7300"), "money", "137.73"),
        (Decimal("0.0050"), "money", "0.01"),
        (Decimal(-12), "money", "-12.00"),
        ("1015", "money", "1015"),
        (Decimal("256.000000"), "quantity", "256"),
        (Decimal("1E+3"), "quantity", "1000"),
        (Decimal("0.50"), "quantity", "0.5"),
        ("a\0b\tc\nd", "text", "a b c\nd"),
        ("\ud800x", "text", " x"),
        ("2026-02", "month", "2"),
        ("spring", "month", "spring"),
    ],
)
def test_values_are_written_plainly(value: object, kind: events.Kind, written: str) -> None:
    assert templates.write(value, kind, "zh_Hans") == written


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("{no} {amt} {name}", "template.unknown_variable"),
        ("{no} {amt} {}", "template.unknown_variable"),
        ("{no} {amt} {no.real}", "template.unknown_variable"),
        ("{amt} {no!r}", "template.format"),
        ("{amt} {no:>9}", "template.format"),
        ("{no", "template.bad_braces"),
        ("{no}", "template.missing_variable"),
        ("  ", "template.empty"),
        ("{no} {amt}" + "长" * 700, "template.too_long"),
        ("{no} {amt} \x07", "template.characters"),
        ("{no} {amt} \ue000", "template.characters"),
    ],
)
def test_every_mistake_in_a_template_has_its_code(body: str, code: str) -> None:
    event = events.EVENTS["bill.issued"]
    with pytest.raises(Invalid) as refused:
        templates.check(event, "zh_Hans", body, "东岭电力")
    assert refused.value.code == "notify.bad_template"
    assert code in {found["code"] for found in refused.value.details["findings"]}


def test_all_mistakes_of_a_template_are_listed_at_once() -> None:
    found = templates.findings(events.EVENTS["bill.issued"], "en", "{x} {no!r} \x07", "Dongling")
    assert [one.code for one in found if one.severity == "error"] == [
        "template.unknown_variable",
        "template.format",
        "template.missing_variable",
        "template.characters",
    ]


def test_what_makes_a_text_dearer_is_said_without_refusing_it() -> None:
    body = "[{co}] {no} {amt} {bal} {due} {m} {kwh} – please pay at the office in time." + "." * 30
    found = templates.findings(events.EVENTS["bill.issued"], "en", body, "Dongling")
    assert [one.code for one in found] == ["template.segments", "template.encoding"]
    assert {one.severity for one in found} == {"warning"}


def test_missing_and_unknown_data_are_named() -> None:
    with pytest.raises(Invalid) as missing:
        _render("bill.issued", "en", {"co": "x", "no": "1"})
    assert missing.value.details["missing"] == ["amt", "bal", "due", "kwh", "m"]
    with pytest.raises(Invalid) as unknown:
        _render("bill.issued", "en", {**BILL, "more": 1})
    assert unknown.value.code == "notify.unknown_data"


@pytest.mark.parametrize(
    ("wanted", "served"),
    [
        ("zh_Hans_CN", "zh_Hans"),
        ("en", "en"),
        ("en_GB", "en"),
        (None, "zh_Hans"),
        ("fr", "zh_Hans"),
    ],
)
def test_a_contact_s_language_finds_a_template(wanted: str | None, served: str) -> None:
    assert events.language(wanted) == served


# --- phones ----------------------------------------------------------------------------------


def test_numbers_are_masked_for_logs() -> None:
    assert phones.masked("+8612000001234") == "+8612•••••••34"
    assert "1234" not in phones.masked("1234")


@pytest.mark.parametrize(
    "text", ["8612000000000", "+012345678", "+86 120", "+861", "", "+86١٢٠٠٠٠٠٠"]
)
def test_what_is_no_e164_number_is_told_apart(text: str) -> None:
    assert not phones.is_phone(text)
