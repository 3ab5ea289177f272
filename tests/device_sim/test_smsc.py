"""The simulator's SMS centre: its codec, its memory, and its page."""

from __future__ import annotations

import argparse
import json
import threading
import urllib.request
from pathlib import Path

import pytest

from device_sim.smsc import cli, wire
from device_sim.smsc.behaviour import Behaviour, Chance
from device_sim.smsc.centre import Centre
from device_sim.smsc.desk import Desk
from device_sim.smsc.door import Door
from device_sim.smsc.phones import Phones


def submitted(text: str, to: str = "8612000000001", header: bytes = b"") -> wire.Submitted:
    """A text as a gateway hands it over."""
    body = header + text.encode("utf-16-be")
    return wire.Submitted("95598", to, bool(header), 8, True, body)


def joined(
    text: str, reference: int, total: int, part: int, to: str = "8612000000001"
) -> wire.Submitted:
    """One part of a long text."""
    return submitted(text, to, bytes([5, 0, 3, reference, total, part]))


class Clock:
    """A clock that stands until it is moved."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def texts(phones: Phones) -> dict[str, list[str]]:
    """What every phone shows."""
    return {
        phone["phone"]: [text["text"] for text in phone["texts"]] for phone in phones.document()
    }


def test_a_text_appears_on_its_phone() -> None:
    phones = Phones(clock=Clock())
    phones.accept(submitted("户号1,电费2元。"), "a", None)
    assert phones.document() == [
        {
            "phone": "+8612000000001",
            "texts": [
                {
                    "at": "2027-01-15T08:00:00Z",
                    "text": "户号1,电费2元。",
                    "parts": 1,
                    "from": "95598",
                }
            ],
            "sent": [],
        }
    ]


def test_parts_are_put_together_in_any_order_and_for_each_phone_apart() -> None:
    phones = Phones(clock=Clock())
    for part in (
        joined("三", 9, 3, 3),
        joined("一", 9, 3, 1),
        joined("x", 9, 3, 1, "8612000000002"),
    ):
        phones.accept(part, "a", None)
    assert texts(phones) == {}
    phones.accept(joined("二", 9, 3, 2), "a", None)
    assert texts(phones) == {"+8612000000001": ["一二三"]}


def test_a_16_bit_reference_joins_as_well() -> None:
    phones = Phones(clock=Clock())
    for part, text in ((1, "一"), (2, "二")):
        phones.accept(submitted(text, header=bytes([6, 8, 4, 1, 2, 2, part])), "a", None)
    assert texts(phones) == {"+8612000000001": ["一二"]}


def test_parts_joined_by_optional_parameters_are_put_together() -> None:
    phones = Phones(clock=Clock())
    for part, text in ((2, "二"), (1, "一")):
        tlvs = wire.sar_tlvs(300, 2, part) + wire.tlv(wire.TAG_PAYLOAD, text.encode("utf-16-be"))
        body = b"\0\0\x0195598\0\x01\x018612000000001\0\0\0\0\0\0\1\0\x08\0\0" + tlvs
        phones.accept(wire.read_submit(body), "a", None)
    assert texts(phones) == {"+8612000000001": ["一二"]}


def test_a_part_left_over_from_long_ago_does_not_join_a_new_text() -> None:
    clock = Clock()
    phones = Phones(clock=clock)
    phones.accept(joined("old", 9, 2, 1), "a", None)
    clock.now += 3600
    phones.accept(joined("new", 9, 2, 2), "a", None)
    assert texts(phones) == {}


def test_reports_are_owed_until_they_are_acknowledged() -> None:
    clock = Clock()
    phones = Phones(clock=clock)
    first = phones.accept(submitted("x"), "a", ("DELIVRD", 5.0))
    phones.accept(submitted("x"), "b", ("DELIVRD", 5.0))
    assert phones.due({"a"}) == []
    clock.now += 5
    assert [report.key for report in phones.due({"a"})] == [first]
    assert phones.due({"a"}) == [], "it is under way"
    phones.postpone(first, 2.0)
    assert phones.due({"a"}) == []
    clock.now += 2
    phones.reported(first)
    assert phones.due({"a"}) == []
    counts = phones.counts()
    assert (counts["segments"], counts["texts"], counts["reports_owed"]) == (2, 2, 1)


def test_a_killed_centre_goes_on_where_it_stood(tmp_path: Path) -> None:
    clock = Clock()
    phones = Phones(tmp_path / "state", clock)
    reported = phones.accept(submitted("一"), "a", ("DELIVRD", 0.0))
    owed = phones.accept(joined("前", 1, 2, 1), "a", ("UNDELIV", 0.0))
    phones.reported(reported)
    with (tmp_path / "state").open("a") as file:
        file.write('{"id": "half a li')
    again = Phones(tmp_path / "state", clock)
    assert [report.key for report in again.due({"a"})] == [owed]
    last = again.accept(joined("后", 1, 2, 2), "a", None)
    assert texts(again) == {"+8612000000001": ["一", "前后"]}
    assert int(last) > int(owed) > int(reported)


def test_what_was_written_after_a_torn_line_is_not_lost(tmp_path: Path) -> None:
    state = tmp_path / "state"
    Phones(state, Clock()).accept(submitted("一"), "a", None)
    with state.open("a") as file:
        file.write('{"torn')
    Phones(state, Clock()).accept(submitted("二"), "a", None)
    assert texts(Phones(state, Clock())) == {"+8612000000001": ["一", "二"]}


@pytest.mark.parametrize(
    ("octets", "coding", "text"),
    [
        (b"\x00\x02\x1b\x65\x1b\x3c", 0, "@$€["),
        ("电😀".encode("utf-16-be"), 8, "电😀"),
        (b"\xe9", 3, "é"),
        (b"a\x1b", 0, "a"),
    ],
)
def test_texts_are_read_in_their_alphabet(octets: bytes, coding: int, text: str) -> None:
    assert wire.read_text(octets, coding) == text


@pytest.mark.parametrize("body", [b"", b"\0\1\1abc", b"\0\1\1a\0\1\1b\0\0\0\0\0\0\1\0\0\0\x09abc"])
def test_a_broken_submission_is_told_apart(body: bytes) -> None:
    with pytest.raises(wire.Broken):
        wire.read_submit(body)


def test_equal_seeds_give_equal_fates() -> None:
    behaviour = Behaviour(undeliverable=0.5, seed=4)
    one, other = Chance(behaviour.seed), Chance(behaviour.seed)
    drawn = [one.fate(behaviour) for _ in range(20)]
    assert drawn == [other.fate(behaviour) for _ in range(20)]
    assert {state for state, _ in drawn} == {"DELIVRD", "UNDELIV"}


@pytest.mark.parametrize(
    ("number", "served"),
    [
        ("8612000000000", True),
        ("+8612000009999", True),
        ("8612000010000", False),
        ("8613800000000", False),
        ("", False),
        ("８６12000000000", False),
    ],
)
def test_only_the_simulated_phones_are_served(number: str, served: bool) -> None:
    assert Behaviour().serves(number) is served


def test_the_command_line_is_read() -> None:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    standard = parser.parse_args([])
    assert standard.range == (8612000000000, 8612000009999)
    args = parser.parse_args(
        ["--range", "8612000000000-8612000000099", "--receipt-delay", "0.5-3", "--state", "x"]
    )
    assert (args.range, args.receipt_delay, args.state) == (
        (8612000000000, 8612000000099),
        (0.5, 3.0),
        Path("x"),
    )
    for wrong in (["--receipt-delay", "3-1"], ["--range", "phones"]):
        with pytest.raises(SystemExit):
            parser.parse_args(wrong)


@pytest.mark.sockets
def test_the_page_shows_the_phones() -> None:
    phones = Phones(clock=Clock())
    phones.accept(submitted("你好"), "a", None)
    centre = Centre(phones, Behaviour(), "127.0.0.1", 0)
    door = Door(Desk(centre), "127.0.0.1", 0)
    serving = threading.Thread(target=door.serve_forever)
    serving.start()
    base = f"http://127.0.0.1:{door.server_address[1]}"
    try:
        html = urllib.request.urlopen(f"{base}/").read().decode()
        document = json.load(urllib.request.urlopen(f"{base}/phones.json"))
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{base}/other")
    finally:
        door.shutdown()
        serving.join()
        door.server_close()
        centre.stop()
    assert "客户手机" in html
    assert document == phones.document()
