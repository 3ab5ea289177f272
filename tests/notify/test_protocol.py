"""One connection driven by hand: no socket, no thread, no clock."""

from __future__ import annotations

import struct

import pytest

from device_sim.smsc import wire
from server.notify.gateways.port import Delivery, Submission
from server.notify.gateways.smpp.config import SmppConfig
from server.notify.gateways.smpp.protocol import Closed, Handle, Link, News, validity_period
from tests.notify.test_codec import deliver

CONFIG = SmppConfig("carrier", 2775, "fieldbell", "secret", source="95598", window=3)


def submission(token: int, **more: object) -> Submission:
    """A short text to one of the simulated phones."""
    fields: dict[str, object] = {"text": "hi", "encoding": "gsm7", "body": b"hi", **more}
    return Submission(token, token, "+8612000000001", **fields)  # type: ignore[arg-type]


def events(news: News) -> list[object]:
    """What a link said, as a list of plain values."""
    said: list[object] = [("answered", *answer) for answer in news.answered]
    said += [("late", token) for token in news.late]
    said += [("timed out", token) for token in news.timed_out]
    said += [state for state, _ in news.states]
    said += news.deliveries
    return said + ([news.closed] if news.closed else [])


def submit(link: Link, *tokens: int, **more: object) -> None:
    """Hand submissions in at time 0."""
    link.submit([submission(token, **more) for token in tokens], 0.0)


def written(link: Link) -> list[wire.Frame]:
    """Take what the link wants to write."""
    found = list(wire.frames(link.outgoing))
    assert not link.outgoing
    return found


def bound(config: SmppConfig = CONFIG) -> Link:
    """A link that the carrier let in at time 0."""
    link = Link(config, 0.0)
    (bind,) = written(link)
    assert events(link.receive(wire.pdu(0x80000009, bind.sequence, b"smsc\0"), 0.0)) == ["bound"]
    return link


def answer(
    link: Link, frame: wire.Frame, status: int = 0, now: float = 0.0, name: str = "id"
) -> list:
    """Have the carrier answer a submission."""
    body = b"" if status else f"{name}{frame.sequence}".encode() + b"\0"
    return events(link.receive(wire.pdu(0x80000004, frame.sequence, body, status), now))


def test_it_binds_as_transceiver_with_its_name_and_password() -> None:
    link = Link(CONFIG, 0.0)
    (frame,) = written(link)
    assert frame.command == 0x00000009
    assert wire.read_bind(frame.body) == ("fieldbell", "secret")
    submit(link, 1)
    assert written(link) == [], "nothing is sent before the carrier lets us in"


def test_a_refused_bind_says_so_with_its_status() -> None:
    link = Link(CONFIG, 0.0)
    (event,) = events(link.receive(wire.pdu(0x80000009, 1, status=wire.INVALID_PASSWORD), 0.0))
    assert isinstance(event, Closed)
    assert event.status == 0x0E


def test_a_bind_that_is_not_answered_is_given_up() -> None:
    link = Link(CONFIG, 0.0)
    assert events(link.tick(29.9)) == []
    (event,) = events(link.tick(30.0))
    assert isinstance(event, Closed)


def test_no_more_than_the_window_is_in_flight() -> None:
    link = bound()
    submit(link, *range(5))
    first = written(link)
    assert len(first) == 3
    assert answer(link, first[1]) == [("answered", 1, 0, f"id{first[1].sequence}")]
    assert len(written(link)) == 1
    assert link.in_flight() == [0, 2, 3]


def test_a_submission_asks_for_a_report_and_carries_its_text() -> None:
    link = bound()
    more = {
        "encoding": "ucs2",
        "body": "电".encode("utf-16-be"),
        "parts": 2,
        "part": 1,
        "reference": 1,
    }
    submit(link, 1, **more, validity=90)
    (frame,) = written(link)
    read = wire.read_submit(frame.body)
    assert (read.source, read.destination, read.coding) == ("95598", "8612000000001", 8)
    assert read.wants_report
    assert wire.parts(read) == ((1, 2, 1), "电".encode("utf-16-be"))
    assert b"000000000130000R\0" in frame.body


@pytest.mark.parametrize(
    ("seconds", "written_as"),
    [
        (None, ""),
        (0, "000000000001000R"),
        (90, "000000000130000R"),
        (31 * 86400, "000101000000000R"),
    ],
)
def test_what_is_left_of_the_time_is_a_relative_validity(
    seconds: int | None, written_as: str
) -> None:
    assert validity_period(seconds) == written_as


def test_a_submission_without_an_answer_times_out_and_a_late_answer_is_still_matched() -> None:
    link = bound()
    submit(link, 8)
    (frame,) = written(link)
    assert events(link.tick(29.0)) == []
    assert ("timed out", 8) in events(link.tick(30.0))
    assert link.in_flight() == []
    assert answer(link, frame, now=200.0) == [
        ("answered", 8, 0, f"id{frame.sequence}"),
        ("late", 8),
    ]
    assert answer(link, frame, now=201.0) == [], "an answer counts once"


def test_an_answer_far_too_late_is_forgotten() -> None:
    link = bound(SmppConfig("c", 1, "a", "b", late_seconds=60, enquire_seconds=9999))
    submit(link, 8)
    (frame,) = written(link)
    link.tick(30.0)
    link.tick(100.0)
    assert answer(link, frame, now=100.0) == []


def test_an_enquiry_is_answered_and_sent_when_it_is_quiet() -> None:
    link = bound()
    link.receive(wire.pdu(wire.ENQUIRE_LINK, 77), 1.0)
    (frame,) = written(link)
    assert (frame.command, frame.sequence) == (0x80000015, 77)
    link.tick(30.9)
    assert written(link) == []
    link.tick(31.0)
    assert [frame.command for frame in written(link)] == [wire.ENQUIRE_LINK]


def test_two_enquiries_without_an_answer_close_the_connection() -> None:
    link = bound()
    assert events(link.tick(30.0)) == []
    assert events(link.tick(60.0)) == []
    (event,) = events(link.tick(90.0))
    assert isinstance(event, Closed)
    assert "enquiries" in event.reason


def test_anything_heard_counts_as_a_sign_of_life() -> None:
    link = bound()
    link.tick(30.0)
    link.tick(60.0)
    link.receive(wire.pdu(0x80000015, 1), 61.0)
    assert events(link.tick(91.0)) == []
    assert link.state == "bound"


@pytest.mark.parametrize("status", [0x58, 0x14])
def test_throttling_pauses_the_whole_bind_and_each_time_longer(status: int) -> None:
    link = bound()
    submit(link, *range(6))
    first = written(link)
    said = answer(link, first[0], status) + answer(link, first[1], status)
    assert said.count("paused") == 1
    assert written(link) == [], "nothing goes out while it pauses"
    assert events(link.tick(0.4)) == []
    assert events(link.tick(0.5)) == ["bound"]
    again = written(link)
    assert len(again) == 1, "it goes on slowly"
    assert "paused" in answer(link, again[0], status, now=0.6)


def test_a_pause_starts_short_again_after_an_answer_that_is_good() -> None:
    link = bound()
    submit(link, *range(3))
    frames = written(link)
    answer(link, frames[0], 0x58)
    answer(link, frames[1], now=1.0)
    assert "paused" in answer(link, frames[2], 0x58, now=1.0)


def test_a_pdu_in_two_pieces_is_put_together() -> None:
    link = bound()
    submit(link, 4)
    (frame,) = written(link)
    octets = wire.pdu(0x80000004, frame.sequence, b"id\0")
    assert events(link.receive(octets[:9], 0.0)) == []
    assert events(link.receive(octets[9:18], 50.0)) == []
    assert events(link.receive(octets[18:], 99.0)) == [("answered", 4, 0, "id")]


def test_an_unknown_command_gets_a_generic_nack() -> None:
    link = bound()
    assert events(link.receive(wire.pdu(0x000000FF, 5), 0.0)) == []
    (frame,) = written(link)
    assert (frame.command, frame.sequence, frame.status) == (wire.GENERIC_NACK, 5, 3)


def test_an_impossible_length_gets_a_generic_nack_and_ends_the_connection() -> None:
    link = bound()
    (event,) = events(link.receive(struct.pack(">L", 70_000) + b"x" * 12, 0.0))
    assert isinstance(event, Closed)
    assert [frame.command for frame in written(link)] == [wire.GENERIC_NACK]


def test_a_carrier_that_takes_leave_gets_its_answer() -> None:
    link = bound()
    (event,) = events(link.receive(wire.pdu(wire.UNBIND, 6), 0.0))
    assert isinstance(event, Closed)
    assert [frame.command for frame in written(link)] == [0x80000006]


def test_an_unreadable_delivery_is_refused_under_its_own_name() -> None:
    link = bound()
    assert events(link.receive(deliver(b"x", length=99), 0.0)) == []
    (frame,) = written(link)
    assert (frame.command, frame.sequence, frame.status) == (0x80000005, 7, 2)


def test_a_delivery_is_answered_only_when_it_is_acknowledged() -> None:
    link = bound()
    (event,) = events(link.receive(deliver(b"stat:DELIVRD id:1", esm_class=4), 0.0))
    assert isinstance(event, Delivery)
    assert event.receipt is not None
    assert written(link) == []
    link.acknowledge([event], 0x64)
    (frame,) = written(link)
    assert (frame.command, frame.sequence, frame.status) == (0x80000005, 7, 0x64)


def test_data_sm_is_acknowledged_under_its_own_name() -> None:
    link = bound()
    body = b"\0\x01\x01123\0\x00\x0195598\0" + bytes([4, 0, 0])
    (event,) = events(link.receive(wire.pdu(0x00000103, 12, body), 0.0))
    assert isinstance(event, Delivery)
    link.acknowledge([event], 0)
    assert [frame.command for frame in written(link)] == [0x80000103]


def test_a_delivery_of_an_earlier_connection_is_not_answered_on_this_one() -> None:
    link = bound()
    link.acknowledge([Delivery(Handle(99, 7, "deliver_sm"))], 0)
    assert written(link) == []


def test_a_nacked_submission_is_answered_with_its_status() -> None:
    link = bound()
    submit(link, 3)
    (frame,) = written(link)
    assert events(link.receive(wire.pdu(wire.GENERIC_NACK, frame.sequence, status=3), 0.0)) == [
        ("answered", 3, 3, "")
    ]


def test_unbinding_waits_for_the_answer_but_not_for_ever() -> None:
    link = bound()
    link.unbind(10.0)
    (frame,) = written(link)
    assert frame.command == wire.UNBIND
    assert events(link.tick(14.9)) == []
    assert isinstance(events(link.tick(15.0))[0], Closed)
    other = bound()
    other.unbind(0.0)
    (event,) = events(other.receive(wire.pdu(0x80000006, 2), 0.1))
    assert event == Closed("unbound")
