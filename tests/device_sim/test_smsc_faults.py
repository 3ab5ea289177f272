"""The SMS centre against a client that speaks through smpplib: manners, receipts, and every fault."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from device_sim.smsc import tls
from device_sim.smsc.behaviour import Behaviour
from device_sim.smsc.centre import Centre
from device_sim.smsc.desk import Desk
from device_sim.smsc.phones import Phones
from device_sim.smsc.tally import Tally
from tests.device_sim.esme import ENDED, Esme
from tests.waiting import wait_until

pytestmark = pytest.mark.sockets

Start = Callable[..., Centre]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a centre with these options and an account that fits into smpplib's passwords."""
    running = []

    def begin(phones: Phones | None = None, tls: Any = None, **more: Any) -> Centre:
        more = {"delay": (0.0, 0.0), "accounts": (("peer", "peer"),), **more}
        centre = Centre(phones or Phones(), Behaviour(**more), "127.0.0.1", 0, tls)
        centre.start()
        running.append(centre)
        return centre

    yield begin
    for centre in running:
        centre.stop()


def receipt_of(pdu: Any) -> tuple[str, str, str]:
    """(id in the text, id in the optional parameter, state in the text) of a delivery report."""
    words = (pdu.short_message or b"").decode()
    fields = dict(word.split(":", 1) for word in words.split() if ":" in word)
    return fields.get("id", ""), (pdu.receipted_message_id or b"").decode(), fields.get("stat", "")


# Binds.


@pytest.mark.parametrize(
    ("words", "behaviour", "status"),
    [
        ({"system_id": "nobody"}, {}, 0x0F),
        ({"password": "wrong"}, {}, 0x0E),
        ({}, {"bind_status": 0x0D}, 0x0D),
        ({}, {}, 0),
    ],
)
def test_a_bind_is_let_in_or_refused_with_its_status(
    start: Start, words: dict[str, Any], behaviour: dict[str, Any], status: int
) -> None:
    with Esme(start(**behaviour).port, **words) as client:
        assert client.bound.status == status


def test_an_account_has_no_more_binds_than_it_may_and_a_connection_only_one(start: Start) -> None:
    centre = start(binds=2)
    with Esme(centre.port) as one, Esme(centre.port, "rx"), Esme(centre.port) as third:
        assert one.bind().status == 0x05
        assert third.bound.status == 0x0D


def test_a_receiver_submits_nothing_and_a_transmitter_hears_nothing(start: Start) -> None:
    centre = start()
    with Esme(centre.port, "tx") as writer:
        writer.submit("one")
        assert writer.read().status == 0
        assert writer.silent()
        with Esme(centre.port, "rx") as reader:
            assert receipt_of(reader.hear(1)[0])[2] == "DELIVRD"
            reader.submit("two")
            assert reader.read().status == 0x04


# Delivery reports.


@pytest.mark.parametrize(
    ("answers", "reports", "convert"),
    [
        ("decimal", "same", str),
        ("hex", "decimal", lambda given: str(int(given, 16))),
        ("decimal", "hex", lambda given: f"{int(given):x}"),
        ("hex", "HEX", str.upper),
        ("zeros", "decimal", lambda given: given.lstrip("0")),
        ("empty", "same", lambda given: given),
    ],
)
def test_ids_are_written_in_the_style_that_is_asked_for(
    start: Start, answers: str, reports: str, convert: Callable[[str], str]
) -> None:
    with Esme(start(id_style=answers, receipt_id_style=reports).port) as client:
        client.submit()
        given = (client.read().message_id or b"").decode()
        assert bool(given) is (answers != "empty")
        in_text, in_tlv, _ = receipt_of(client.hear(1)[0])
        assert in_text == in_tlv == convert(given)


def test_a_report_may_be_about_an_id_that_nobody_was_given(start: Start) -> None:
    with Esme(start(receipt_unknown=1.0).port) as client:
        client.submit()
        given = client.read().message_id.decode()
        known, unknown = (receipt_of(pdu)[0] for pdu in client.hear(2))
        assert known == given
        assert unknown not in ("", given)


@pytest.mark.parametrize(("place", "text", "tlv"), [("tlv", False, True), ("text", True, False)])
def test_a_report_carries_its_id_in_one_place_only(
    start: Start, place: str, text: bool, tlv: bool
) -> None:
    with Esme(start(receipt_ids=place).port) as client:
        client.submit()
        in_text, in_tlv, _ = receipt_of(client.hear(1)[0])
        assert (bool(in_text), bool(in_tlv)) == (text, tlv)


def test_a_report_may_come_before_the_answer(start: Start) -> None:
    with Esme(start(receipt_early=1.0, delay=(9.0, 9.0)).port) as client:
        client.submit()
        assert [client.read().command for _ in range(2)] == ["deliver_sm", "submit_sm_resp"]


def test_reports_are_lost_doubled_and_announced(start: Start) -> None:
    centre = start(receipt_loss=1.0)
    with Esme(centre.port) as client:
        client.submit()
        client.read()
        assert client.silent()
        centre.set(receipt_loss=0, receipt_double=1, receipt_midway=1, receipt_as="data_sm")
        client.submit()
        heard = client.hear(3)
        assert {pdu.command for pdu in heard} == {"data_sm"}
        assert [pdu.esm_class for pdu in heard] == [0x20, 0x04, 0x04]
        wait_until(lambda: centre.phones.counts()["reports_owed"] == 0)


@pytest.mark.parametrize("where", ["same", "other"])
def test_a_report_takes_the_bind_that_is_asked_for(start: Start, where: str) -> None:
    with (
        Esme((centre := start(receipt_bind=where)).port) as one,
        Esme(centre.port) as two,
    ):
        for _ in range(3):
            one.submit()
        (one if where == "same" else two).hear(3)


def test_reports_out_of_order_are_so_in_the_same_way_for_the_same_seed(start: Start) -> None:
    orders = []
    for _ in range(2):
        centre = start(receipt_shuffle=True, seed=5)
        with Esme(centre.port, "tx") as writer:
            for number in range(12):
                writer.submit(to=f"86120000000{number:02d}")
                writer.read()
            with Esme(centre.port, "rx") as reader:
                orders.append([pdu.source_addr for pdu in reader.hear(12)])
    assert orders[0] == orders[1]
    assert orders[0] != sorted(orders[0])


def test_only_the_ends_that_were_asked_for_are_reported(start: Start) -> None:
    centre = start()
    with Esme(centre.port) as client:
        client.submit(registered_delivery=2)
        client.read()
        assert client.silent()
        centre.set(undeliverable="100%")
        client.submit(registered_delivery=2)
        assert receipt_of(client.hear(1)[0])[2] == "UNDELIV"


def test_a_text_that_would_come_too_late_is_reported_as_expired(start: Start) -> None:
    with Esme(start(delay=(60.0, 60.0)).port) as client:
        client.submit(validity_period="000000000000000R")
        assert receipt_of(client.hear(1)[0])[2] == "EXPIRED"


def test_a_report_not_acknowledged_or_put_off_comes_again_and_one_refused_does_not(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device_sim.smsc.client._AGAIN_SECONDS", 0.05)
    centre = start(receipt_again=0.1)
    with Esme(centre.port) as client:
        client.submit()
        client.read()
        first = client.read()
        again = client.read()
        assert receipt_of(first) == receipt_of(again)
        client.acknowledge(again, 0x64)
        third = client.read()
        assert receipt_of(third) == receipt_of(first)
        client.acknowledge(third, 0x65)
        wait_until(lambda: centre.phones.counts()["refused"] == 1)
        assert centre.phones.counts()["reports_owed"] == 0


def test_what_a_lost_connection_did_not_acknowledge_is_handed_to_the_next(start: Start) -> None:
    centre = start()
    with Esme(centre.port) as client:
        client.submit()
        client.read()
        report = client.read()
    with Esme(centre.port) as client:
        assert receipt_of(client.hear(1)[0]) == receipt_of(report)


def test_a_bind_is_never_handed_more_than_its_window(start: Start) -> None:
    centre = start(receipt_window=2)
    with Esme(centre.port) as client:
        for _ in range(5):
            client.submit()
        seen = [client.read() for _ in range(7)]
        reports = [pdu for pdu in seen if pdu.command == "deliver_sm"]
        assert len(reports) == 2
        assert client.silent()
        client.acknowledge(reports[0])
        assert client.read().command == "deliver_sm"


# Errors and pace.


def test_above_the_rate_texts_are_throttled_and_the_rest_are_taken(start: Start) -> None:
    centre = start(rate=10.0)
    with Esme(centre.port) as client:
        for _ in range(30):
            client.submit(registered_delivery=0)
        statuses = [client.read().status for _ in range(30)]
    assert set(statuses) == {0, 0x58}
    assert statuses[0] == 0
    assert centre.phones.counts()["segments"] == statuses.count(0)


def test_a_full_queue_and_a_full_window_say_so(start: Start) -> None:
    centre = start(queue=1, delay=(60.0, 60.0))
    with Esme(centre.port) as client:
        for _ in range(2):
            client.submit()
        assert [client.read().status for _ in range(2)] == [0, 0x14]
        centre.set(queue=0, window=2, answer_delay=1.5)
        for _ in range(3):
            client.submit()
        assert sorted(client.read().status for _ in range(3)) == [0, 0, 0x58]


def test_errors_come_by_number_and_by_a_chance_that_repeats(start: Start) -> None:
    runs = []
    for _ in range(2):
        centre = start(seed=3)
        centre.set(errors="0x08=30%,0x45=0.2", refuse="+8612000000007=0x0B,86120000001*=0x64")
        with Esme(centre.port) as client:
            for to in ("8612000000007", "8612000000123"):
                client.submit(to=to, registered_delivery=0)
            assert [client.read().status for _ in range(2)] == [0x0B, 0x64]
            for _ in range(40):
                client.submit(registered_delivery=0)
            runs.append([client.read().status for _ in range(40)])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {0, 0x08, 0x45}


# The line.


@pytest.mark.parametrize(
    ("when", "taken", "answered", "half"),
    [
        ("before", 0, False, False),
        ("taken", 1, False, False),
        ("half", 1, False, True),
        ("answered", 1, True, False),
    ],
)
def test_the_connection_breaks_around_an_answer(
    start: Start, when: str, taken: int, answered: bool, half: bool
) -> None:
    centre = start(drop=1.0, drop_at=when)
    with Esme(centre.port) as client:
        client.submit(registered_delivery=0)
        answer = client.read()
        assert (answer is not ENDED) is answered
        assert answer is ENDED or client.read() is ENDED
        assert bool(client.left()) is half
    assert centre.phones.counts()["segments"] == taken


@pytest.mark.parametrize("size", [1, 7])
def test_pdus_arrive_whole_although_they_are_written_in_pieces(start: Start, size: int) -> None:
    with Esme(start(pieces=size, piece_pause=0.0001).port) as client:
        for _ in range(3):
            client.submit()
        assert len(client.hear(3)) == 3


def test_answers_come_late_and_some_never(start: Start) -> None:
    centre = start(answer_late=1.0, late_seconds=2.0)
    with Esme(centre.port) as client:
        late = client.submit(registered_delivery=0)
        assert client.silent()
        centre.set(answer_late=0, answer_never=1)
        client.submit(registered_delivery=0)
        assert client.read().sequence == late
        assert client.silent()
        assert centre.clients()[0].document()["unanswered"] == 1
    assert centre.phones.counts()["segments"] == 2


def test_a_deaf_centre_answers_no_enquiry(start: Start) -> None:
    centre = start()
    with Esme(centre.port) as client:
        client.send("enquire_link")
        assert client.read().command == "enquire_link_resp"
        centre.set(deaf=True)
        client.send("enquire_link")
        assert client.silent()


def test_the_centre_enquires_and_hangs_up_when_it_hears_nothing(start: Start) -> None:
    with Esme(start(enquire_every=0.1).port) as client:
        assert [client.read().command for _ in range(2)] == ["enquire_link"] * 2
        assert client.read() is ENDED


@pytest.mark.parametrize("by", ["time", "hand"])
def test_the_centre_unbinds(start: Start, by: str) -> None:
    centre = start(unbind_after=0.1 if by == "time" else 0.0)
    with Esme(centre.port) as client:
        if by == "hand":
            Desk(centre).do("unbind")
        unbind = client.read()
        assert unbind.command == "unbind"
        client.send("unbind_resp", sequence=unbind.sequence)
        assert client.read() is ENDED


def test_who_unbinds_is_answered_and_let_go(start: Start) -> None:
    with Esme(start().port) as client:
        client.send("unbind")
        assert client.read().command == "unbind_resp"
        assert client.read() is ENDED


def test_it_speaks_tls_with_a_certificate_of_its_own(start: Start, tmp_path: Path) -> None:
    centre = start(tls=tls.context(tmp_path, "127.0.0.1"))
    trusting = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    with Esme(centre.port, tls=trusting) as client:
        for _ in range(50):
            client.submit("x" * 140)
        assert len(client.hear(50)) == 50
    assert tls.context(tmp_path, "127.0.0.1"), "the same certificate serves again"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        Esme(centre.port, tls=ssl.create_default_context())
    with Esme(centre.port, tls=trusting) as client:
        assert client.bound.status == 0, "who spoke no TLS has not stopped it"


# What no client expects.


def test_unknown_commands_and_optional_parameters_are_sent(start: Start) -> None:
    with Esme(start(strange_pdus=1.0, strange_tlvs=True).port) as client:
        client.submit()
        seen = [client.read_octets() for _ in range(3)]
        assert any(octets and octets[4:8] == b"\x00\x01\x02\x00" for octets in seen)
        assert sum(b"vendor" in (octets or b"") for octets in seen) == 2


def test_an_unknown_command_of_a_client_is_refused_and_an_impossible_length_ends_it(
    start: Start,
) -> None:
    with Esme(start().port) as client:
        client.socket.sendall(b"\0\0\0\x10\0\0\x0b\xad\0\0\0\0\0\0\0\x09")
        nack = client.read()
        assert (nack.command, nack.status, nack.sequence) == ("generic_nack", 0x03, 9)
        client.socket.sendall(b"\xff" * 16)
        assert client.read() is ENDED


def test_an_alert_names_the_phone(start: Start) -> None:
    centre = start()
    with Esme(centre.port) as client:
        assert Desk(centre).do("alert", phone="+8612000000042") == 1
        alert = client.read()
        assert (alert.command, alert.source_addr) == ("alert_notification", b"8612000000042")


def test_a_text_may_come_as_data_sm(start: Start) -> None:
    centre = start()
    with Esme(centre.port) as client:
        client.send(
            "data_sm",
            source_addr="95598",
            destination_addr="8612000000001",
            registered_delivery=1,
            message_payload=b"by data",
        )
        answer = client.read()
        assert (answer.command, answer.status) == ("data_sm_resp", 0)
        assert receipt_of(client.hear(1)[0])[0] == answer.message_id.decode()
    assert centre.phones.document()[0]["texts"][0]["text"] == "by data"


def test_a_client_can_ask_what_became_of_a_text(start: Start) -> None:
    with Esme(start(delay=(60.0, 60.0)).port) as client:
        client.submit()
        given = client.read().message_id
        client.send("query_sm", message_id=given.decode(), source_addr="95598")
        state = client.read()
        assert (state.message_id, state.message_state) == (given, 1)
        client.send("query_sm", message_id="nobodys", source_addr="95598")
        assert client.read().status == 0x67


# Counters.


def test_the_quiet_mode_counts_what_is_lost_and_what_is_double(start: Start) -> None:
    phones = Tally()
    with Esme(start(phones).port) as client:
        for text in ("one", "two", "two"):
            client.submit(text)
        client.hear(3)
        wait_until(lambda: phones.tally()["reports_missing"] == 0)
        client.submit("unheard")
        client.read()
        client.read()
        tally = phones.tally()
        assert (tally["segments"], tally["distinct"], tally["doubled"]) == (4, 3, 1)
        assert (tally["reports_wanted"], tally["reports_missing"]) == (4, 1)
        assert sorted(phones.ids()["reports"].values()) == [0, 1, 1, 1]
        assert phones.document() == []
