"""Phones that write: texts and their parts, people with a script, the page's JSON, the options."""

from __future__ import annotations

import argparse
import contextlib
import json
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smpplib import gsm, smpp

from device_sim.smsc import alphabet, behaviour, cli, kinds, wire
from device_sim.smsc.behaviour import Behaviour
from device_sim.smsc.centre import Centre
from device_sim.smsc.desk import Desk, Refused
from device_sim.smsc.door import Door
from device_sim.smsc.people import BadScript, People, read_script
from device_sim.smsc.phones import Phones
from device_sim.smsc.writing import Draft, parts, read_draft
from tests.device_sim.esme import Esme
from tests.waiting import wait_until

EXAMPLE = Path(cli.__file__).parent / "people.json"
PHONE = "8612000000001"
LONG = "停电了，" * 40


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A running centre as people use it."""
    accounts = (("peer", "peer"),)
    centre = Centre(Phones(), Behaviour(accounts=accounts, delay=(0, 0)), "127.0.0.1", 0)
    centre.start()
    yield Desk(centre)
    centre.stop()


@pytest.fixture
def url(desk: Desk) -> Iterator[str]:
    """The address of the centre's JSON door."""
    door = Door(desk, "127.0.0.1", 0)
    serving = threading.Thread(target=door.serve_forever, args=(0.02,))
    serving.start()
    yield f"http://127.0.0.1:{door.server_address[1]}"
    door.shutdown()
    serving.join()
    door.server_close()


class Numbers:
    """What smpplib asks a client for when it makes a PDU."""

    def next_sequence(self) -> int:
        return 1


def get(url: str) -> Any:
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)


def post(url: str, body: Any, kind: str = "application/json") -> Any:
    octets = body if isinstance(body, bytes) else json.dumps(body).encode()
    with urllib.request.urlopen(
        urllib.request.Request(url, octets, {"Content-Type": kind})
    ) as answer:
        return json.load(answer)


def whole(deliveries: list[Any]) -> str:
    """The text of deliveries as smpplib reads them, put together by their user data headers."""
    pieces = {}
    for pdu in deliveries:
        octets = getattr(pdu, "short_message", None) or pdu.message_payload
        place = 1
        if pdu.esm_class & 0x40:
            place, octets = octets[octets[0]], octets[octets[0] + 1 :]
        elif pdu.sar_segment_seqnum:
            place = pdu.sar_segment_seqnum
        pieces[place] = alphabet.read_text(octets, pdu.data_coding)
    return "".join(pieces[place] for place in sorted(pieces))


# Alphabets and parts.


@given(st.text(max_size=500))
def test_a_text_put_together_from_its_parts_is_the_text(text: str) -> None:
    text = text.encode("utf-16-be", "ignore").decode("utf-16-be")
    coding = alphabet.coding_for(text)
    pieces = alphabet.cut(text, coding)
    assert "".join(alphabet.read_text(piece, coding) for piece in pieces) == text
    assert all(len(piece) <= 160 for piece in pieces)


@pytest.mark.parametrize("text", ["a€" * 90, "😀" * 50, "👩‍👩‍👧" * 12, "é" * 200])
def test_no_character_is_cut_in_two(text: str) -> None:
    coding = alphabet.coding_for(text)
    for piece in alphabet.cut(text, coding):
        read = alphabet.read_text(piece, coding)
        assert "\ufffd" not in read
        assert not read.startswith("\u200d")


@given(
    st.text(
        alphabet="@£$¥èéùìòÇ\nØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./09:;<=>?¡AZÄÖÑÜ¿azäöñüà^{}\\[~]|€"
    )
)
def test_a_second_library_writes_the_same_gsm_octets(text: str) -> None:
    # Without §, at whose place smpplib has a character of its own.
    assert alphabet.write_text(text, alphabet.GSM) == gsm.gsm_encode(text)


@given(st.binary(max_size=300), st.sampled_from([wire.read_submit, wire.read_data]))
def test_no_octets_bring_the_reader_down(body: bytes, read: Any) -> None:
    with contextlib.suppress(wire.Broken):
        wire.parts(read(body))


@settings(max_examples=40)
@given(
    st.binary(min_size=1, max_size=254),
    st.from_regex(r"[0-9]{1,20}", fullmatch=True),
    st.sampled_from([0, 3, 8]),
)
def test_a_second_library_reads_what_phones_send(body: bytes, number: str, coding: int) -> None:
    octets = wire.deliver(7, wire.Delivery(number, "95598", 0x40, coding, body))
    pdu = smpp.parse_pdu(octets, client=Numbers(), allow_unknown_opt_params=True)
    assert (pdu.source_addr, pdu.destination_addr) == (number.encode(), b"95598")
    assert (pdu.short_message, pdu.data_coding, pdu.esm_class) == (body, coding, 0x40)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, [1, 2, 3]),
        ({"order": "reversed"}, [3, 2, 1]),
        ({"missing": "last"}, [1, 2]),
        ({"missing": "first"}, [2, 3]),
        ({"twice": True}, [1, 1, 2, 2, 3, 3]),
    ],
)
def test_parts_go_astray_as_asked(more: dict[str, Any], expected: list[int]) -> None:
    draft = Draft(LONG, to="95598", **more)
    made = parts(draft, PHONE, behaviour.Chance(1).row("x"))
    assert [part.body[5] for part in made] == expected


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"text": ""},
        {"text": 1},
        {"text": "x", "order": "odd"},
        {"text": "x", "after": -1},
        {"text": "x", "twice": "yes"},
        {"text": "x", "what": 1},
        {"text": "x", "to": "9\0"},
        {"text": "x", "sender": "a" * 21},
    ],
)
def test_a_draft_that_makes_no_sense_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        read_draft(given)


# From the phone to the client.


@pytest.mark.sockets
@pytest.mark.parametrize(
    ("draft", "coding", "inbound"),
    [
        ({"text": "BAL [1]"}, 0, "deliver_sm"),
        ({"text": "查"}, 8, "deliver_sm"),
        ({"text": "é", "encoding": "latin1"}, 3, "deliver_sm"),
        ({"text": "plain", "encoding": "ucs2"}, 8, "payload"),
        ({"text": LONG}, 8, "data_sm"),
        ({"text": LONG, "join": "sar"}, 8, "deliver_sm"),
        ({"text": "x" * 400, "order": "shuffled"}, 0, "payload"),
    ],
)
def test_what_is_typed_on_a_phone_reaches_the_client(
    desk: Desk, draft: dict[str, Any], coding: int, inbound: str
) -> None:
    desk.set({"inbound_as": inbound})
    with Esme(desk.centre.port) as client:
        sent = desk.send(f"+{PHONE}", Draft(to="95598", account="peer", **draft))
        heard = client.hear(sent["parts"])
        assert whole(heard) == draft["text"]
        assert {pdu.data_coding for pdu in heard} == {coding}
        assert {pdu.source_addr for pdu in heard} == {PHONE.encode()}
        wait_until(lambda: desk.phones.document()[0]["sent"][0]["left"] == 0)


@pytest.mark.sockets
def test_a_name_as_sender_is_alphanumeric(desk: Desk) -> None:
    with Esme(desk.centre.port) as client:
        desk.send(PHONE, Draft("win!", account="peer", sender="LOTTERY"))
        (pdu,) = client.hear(1)
        assert (pdu.source_addr, pdu.source_addr_ton) == (b"LOTTERY", 5)


@pytest.mark.sockets
def test_a_phone_answers_whoever_wrote_to_it_last(desk: Desk) -> None:
    with Esme(desk.centre.port) as client:
        client.submit("hello", to=PHONE, source_addr="106901", registered_delivery=0)
        client.read()
        desk.send(PHONE, Draft("thanks"))
        assert client.hear(1)[0].destination_addr == b"106901"


@pytest.mark.sockets
def test_a_text_the_client_refuses_is_shown_as_refused(desk: Desk) -> None:
    with Esme(desk.centre.port) as client:
        desk.send(PHONE, Draft("x", account="peer"))
        client.acknowledge(client.read(), 0x65)
        wait_until(lambda: desk.phones.document()[0]["sent"][0]["refused"] == 0x65)


def test_texts_a_phone_has_sent_outlive_a_kill(tmp_path: Path) -> None:
    phones = Phones(tmp_path / "state")
    made = parts(Draft(LONG, to="95598"), PHONE, behaviour.Chance(1).row("x"))
    phones.send(PHONE, "peer", LONG, made)
    first, *rest = phones.due({"peer"})
    phones.reported(first.key)
    again = Phones(tmp_path / "state")
    assert [parcel.key for parcel in again.due({"peer"})] == [parcel.key for parcel in rest]
    assert again.document()[0]["sent"][0]["left"] == 2


@pytest.mark.sockets
def test_nobody_writes_from_a_number_that_is_no_phone(desk: Desk) -> None:
    with pytest.raises(Refused, match="none of the simulated phones"):
        desk.send("8613800000000", Draft("x"))
    with pytest.raises(Refused, match=r"GSM 03\.38 has no '电'"):
        desk.send(PHONE, Draft("电", encoding="gsm7"))


# People.


def script(folder: Path, *groups: Any) -> Path:
    path = folder / "people.json"
    path.write_text(json.dumps(groups))
    return path


@pytest.mark.sockets
def test_people_answer_as_their_script_says(desk: Desk, tmp_path: Path) -> None:
    rules = [
        {"when": "promotion", "nth": 3, "answer": "STOP", "after": 0},
        {"when": r"code (\d+)", "answer": r"got \1", "after": 0},
    ]
    People(desk, read_script(script(tmp_path, {"numbers": f"{PHONE}", "rules": rules}))).start()
    with Esme(desk.centre.port) as client:
        texts = [*["a Promotion!"] * 4, "your code 4711", "nothing"]
        for text in texts:
            client.submit(text, to=PHONE, registered_delivery=0)
            client.submit(text, to="8612000000002", registered_delivery=0)
        assert [pdu.short_message for pdu in client.hear(2)] == [b"STOP", b"got 4711"]


@pytest.mark.sockets
def test_people_write_unasked(desk: Desk, tmp_path: Path) -> None:
    group = {"numbers": f"{PHONE}-8612000000003", "chatter": {"every": 0.01, "texts": ["BAL"]}}
    People(desk, read_script(script(tmp_path, group))).start()
    wait_until(lambda: desk.phones.counts()["written"] > 3)
    assert {screen["phone"][-1] for screen in desk.phones.document()} <= {"1", "2", "3"}


@pytest.mark.parametrize(
    ("group", "complaint"),
    [
        ({}, "group 1: numbers is missing"),
        ({"numbers": "1-x"}, "group 1"),
        ({"numbers": "1-2", "rules": [{"when": "(", "answer": "x"}]}, "group 1, rule 1"),
        ({"numbers": "1-2", "rules": [{"when": "a", "answer": []}]}, "give a text"),
        ({"numbers": "1-2", "rules": [{"when": "a", "answer": r"\2"}]}, "group 1, rule 1"),
        ({"numbers": "1-2", "chatter": {"every": 0, "texts": ["x"]}}, "chatter: every"),
        ({"numbers": "1-2", "rulez": []}, "rulez: there is no such field"),
    ],
)
def test_a_script_that_cannot_be_read_says_where(
    tmp_path: Path, group: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(BadScript) as refused:
        read_script(script(tmp_path, group))
    assert complaint in str(refused.value)


@pytest.mark.sockets
def test_a_script_about_numbers_that_are_no_phones_is_refused(desk: Desk, tmp_path: Path) -> None:
    groups = read_script(script(tmp_path, {"numbers": "8612000000000-8613000000000"}))
    with pytest.raises(BadScript, match="not all phones"):
        People(desk, groups).start()


def test_the_example_of_a_script_can_be_read() -> None:
    assert len(read_script(EXAMPLE)) == 2


# Options.


@pytest.mark.parametrize("option", behaviour.document(Behaviour()), ids=lambda found: found["name"])
def test_every_option_takes_back_what_it_shows_and_stands_in_the_help(
    option: dict[str, Any],
) -> None:
    assert behaviour.changed(Behaviour(), {option["name"]: option["value"]}) == Behaviour()
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    assert f"--{option['name'].replace('_', '-')}" in parser.format_help()


@pytest.mark.parametrize(
    "wanted",
    [
        {"rate": -1},
        {"rate": "fast"},
        {"drop": 2},
        {"drop_at": "noon"},
        {"errors": "0x08"},
        {"errors": "8=60%,9=60%"},
        {"refuse": "x=y"},
        {"deaf": "maybe"},
        {"queue": 1.5},
        {"password": "x"},
        {"rate": 1, "nonsense": 1},
        {"bind_status": -1},
        {"receipt_delay": "3-1"},
    ],
)
def test_a_value_no_option_can_take_is_refused_and_named(wanted: dict[str, Any]) -> None:
    with pytest.raises(behaviour.Unreadable) as refused:
        behaviour.changed(Behaviour(), wanted)
    assert str(refused.value).startswith(tuple(wanted))


def test_the_command_line_sets_the_behaviour() -> None:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    words = "--drop 5% --drop-at half --errors 0x08=0.1,0x14=5% --deaf --accounts a=b,c=d"
    made = cli._behaviour(parser.parse_args(words.split()))
    assert (made.drop, made.drop_at, made.deaf) == (0.05, "half", True)
    assert made.errors == ((0x08, 0.1), (0x14, 0.05))
    assert made.let_in("c", "d") == wire.OK
    assert kinds.STATUSES.show(made.errors) == "0x08=0.1, 0x14=0.05"


# The JSON door.


@pytest.mark.sockets
def test_options_are_changed_by_json_all_or_none(desk: Desk, url: str) -> None:
    values = {
        option["name"]: option["value"] for option in post(f"{url}/behaviour.json", {"rate": 9})
    }
    assert values["rate"] == 9
    with pytest.raises(HTTPError) as refused:
        post(f"{url}/behaviour.json", {"rate": 1, "drop": "often"})
    assert refused.value.code == 422
    assert json.load(refused.value)["message"].startswith("drop: ")
    assert desk.centre.behaviour.rate == 9
    assert not any(
        option["value"] != option["standard"] for option in post(f"{url}/behaviour/reset", {})
    )
    assert desk.centre.behaviour.let_in("peer", "peer") == wire.OK, "accounts stay"


@pytest.mark.sockets
def test_a_program_reads_and_writes_what_the_page_does(desk: Desk, url: str) -> None:
    with Esme(desk.centre.port) as client:
        assert post(f"{url}/phones/{PHONE}/send", {"text": "查", "account": "peer"})["parts"] == 1
        assert whole(client.hear(1)) == "查"
        client.submit("hello", to=PHONE)
        client.hear(1)
        wait_until(lambda: get(f"{url}/counts.json")["acknowledged"] == 2)
        live = get(f"{url}/live.json?since=0&find={PHONE}")
        assert live["phones"][0]["texts"][0]["text"] == "hello"
        assert get(f"{url}/live.json?since={live['revision']}")["phones"] == []
        (bind,) = get(f"{url}/binds.json")
        assert (bind["kind"], bind["account"], bind["taken"]) == ("trx", "peer", 1)
        assert post(f"{url}/binds/{bind['number']}/drop", {}) == {"binds": 1}
        assert client.read() is None
    assert post(f"{url}/forget", {})["texts"] == 0
    assert get(f"{url}/phones.json") == []


@pytest.mark.sockets
@pytest.mark.parametrize(
    ("path", "body", "kind", "status"),
    [
        ("phones/1/send", {"text": "x"}, "application/json", 422),
        ("behaviour.json", b"rate=1", "application/x-www-form-urlencoded", 422),
        ("behaviour.json", b"{", "application/json", 422),
        ("behaviour.json", b"[]", "application/json", 422),
        ("binds/7/drop", {}, "application/json", 422),
        ("binds/explode", {}, "application/json", 422),
        ("binds/alert", {"phone": "1"}, "application/json", 422),
        ("nothing", {}, "application/json", 404),
    ],
)
def test_what_makes_no_sense_is_refused_at_the_door(
    url: str, path: str, body: Any, kind: str, status: int
) -> None:
    with pytest.raises(HTTPError) as refused:
        post(f"{url}/{path}", body, kind)
    assert refused.value.code == status
