"""The gateway of a GSM modem at a pty, sentence by sentence of what is asked of one."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

import pytest

from device_sim.modem import tpdu as sim_tpdu
from device_sim.modem.manners import Faults, Manners
from device_sim.modem.sim import Sim
from device_sim.modem.tpdu import CHINA
from server.notify.gateways.modem.config import ModemConfig
from server.notify.gateways.modem.session import ModemGateway
from server.notify.gateways.modem.talk import Line, Prompt, Stored, Talk, Unit
from server.notify.rules import answers, charsets, tpdu
from tests.notify.modem_bench import PHONE, QUICK, Notes, plugged, send
from tests.waiting import wait_until

LONG = "您的电费账单已出,请及时交费。" * 8


def decoded(texts: list) -> str:
    """The parts of one text, joined in order."""
    parts = sorted(texts, key=lambda one: one.part)
    return "".join(charsets.decode(one.body, one.charset).text for one in parts)


def test_a_two_part_chinese_text_goes_out_in_pdu_mode_and_both_reports_come_back(
    tmp_path: Path,
) -> None:
    with plugged(tmp_path) as (modem, gateway, notes):
        tokens = send(gateway, LONG[:100], 40)
        wait_until(lambda: len(notes.receipts) == 2)
        assert len(tokens) == 2
        assert "".join(one.unit.text for one in modem.sent) == LONG[:100]
        assert [one.unit.join for one in modem.sent] == [(40, 2, 1), (40, 2, 2)]
        assert {one.unit.to for one in modem.sent} == {PHONE}
        assert {one.unit.validity for one in modem.sent} == {tpdu.relative_validity(3600)}
        names = [notes.answers[token] for token in tokens]
        assert [status for status, _ in names] == [0, 0]
        assert [one.message_id for one in notes.receipts] == [name for _, name in names]
        assert {one.state for one in notes.receipts} == {"delivered"}
        assert "AT+CMGF=0" in modem.heard
        assert "AT+CMGF=1" not in modem.heard


def test_a_long_text_comes_in_and_is_deleted_only_after_it_is_stored(tmp_path: Path) -> None:
    with plugged(tmp_path, source="10086") as (modem, gateway, notes):
        modem.receive(PHONE, LONG, reference=9)
        wait_until(lambda: len(notes.texts) == 2)
        assert decoded(notes.texts) == LONG
        assert {(one.reference, one.total, one.to, one.phone) for one in notes.texts} == {
            (9, 2, "10086", PHONE)
        }
        assert len({one.carrier_id for one in notes.texts}) == 2
        assert len(modem.sim.places) == 2

        gateway.acknowledge(notes.deliveries[:1], 0)
        wait_until(lambda: len(modem.sim.places) == 1)
        gateway.acknowledge(notes.deliveries[1:], 8)
        wait_until(lambda: len(notes.texts) == 3)
        assert notes.texts[2].carrier_id == notes.texts[1].carrier_id
        gateway.acknowledge(notes.deliveries[2:], 0)
        wait_until(lambda: not modem.sim.places)


def test_a_text_that_waited_on_the_sim_card_is_found_when_the_port_is_opened(
    tmp_path: Path,
) -> None:
    sim = Sim()
    unit = sim_tpdu.deliver(PHONE, b"BALANCE", 0, sim_time())
    sim.keep(sim_tpdu.with_centre(unit, "+8613800100500"), len(unit))
    with plugged(tmp_path, sim=sim) as (_, _gateway, notes):
        wait_until(lambda: len(notes.texts) == 1)
        assert decoded(notes.texts) == "BALANCE"


def sim_time() -> datetime:
    """A time that the simulator's centre may write."""
    return datetime(2026, 11, 22, 16, 0, tzinfo=CHINA)


def test_references_wrap_after_255_and_reports_keep_to_their_texts(tmp_path: Path) -> None:
    with plugged(tmp_path, Manners(first_reference=254, report_s=0.0)) as (modem, gateway, notes):
        for token in (1, 2, 3, 4):
            send(gateway, f"text {token}", token, phone=f"+861200000000{token}")
        wait_until(lambda: len(notes.receipts) == 4)
        assert [one.reference for one in modem.sent] == [254, 255, 0, 1]
        named = [notes.answers[token][1] for token in (1, 2, 3, 4)]
        assert [one.message_id for one in notes.receipts] == named
        assert [name.split("/")[0] for name in named] == ["254", "255", "0", "1"]


def test_a_full_sim_card_raises_an_alarm_and_what_waited_comes_when_there_is_room(
    tmp_path: Path,
) -> None:
    with plugged(tmp_path, sim=Sim(size=2)) as (modem, gateway, notes):
        for number in range(3):
            modem.receive(PHONE, f"text {number}")
        wait_until(lambda: any("SIM card is full (2 of 2)" in d for _, d in notes.states))
        assert len(modem.sim.waiting) == 1
        gateway.acknowledge(notes.deliveries[:1], 0)
        wait_until(lambda: len(notes.texts) == 3)
        gateway.acknowledge(notes.deliveries[1:], 0)
        wait_until(lambda: notes.states[-1] == ("bound", ""))


@pytest.mark.parametrize("moment", ["prompt", "unit"])
def test_unplugged_before_ctrl_z_the_text_was_not_sent(tmp_path: Path, moment: str) -> None:
    with plugged(tmp_path, faults=Faults(unplug=moment)) as (modem, gateway, notes):
        send(gateway, LONG[:60])
        wait_until(lambda: bool(notes.returned_tokens or notes.lost_tokens) and not modem.plugged)
        assert modem.sent == []
        if moment == "prompt":
            assert (notes.returned_tokens, notes.lost_tokens) == ([1], [])
        modem.plug_in()
        wait_until(lambda: gateway.room() == 1)
        send(gateway, "again", 2)
        wait_until(lambda: 2 in notes.answers)
        # In the middle of the unit Ctrl-Z may be on the line already: then nobody can know.
        assert notes.returned_tokens + notes.lost_tokens == [1]
        assert [one.unit.text for one in modem.sent] == ["again"]


def test_unplugged_after_ctrl_z_the_text_is_unknown_and_never_sent_again_blindly(
    tmp_path: Path,
) -> None:
    with plugged(tmp_path, faults=Faults(unplug="sent")) as (modem, gateway, notes):
        send(gateway, "once")
        wait_until(lambda: notes.lost_tokens == [1] and not modem.plugged)
        modem.plug_in()
        wait_until(lambda: gateway.room() == 1)
        send(gateway, "next", 2)
        wait_until(lambda: 2 in notes.answers)
        assert [one.unit.text for one in modem.sent] == ["once", "next"]
        assert notes.returned_tokens == []


def test_a_modem_that_says_nothing_after_ctrl_z_leaves_the_text_unknown_and_is_heard_late(
    tmp_path: Path,
) -> None:
    manners, faults = Manners(report_s=None), Faults(silent_sends=1)
    with plugged(tmp_path, manners, faults, send_seconds=0.5) as (modem, gateway, notes):
        send(gateway, "slow")
        wait_until(lambda: notes.lost_tokens == [1])
        modem.say("+CMGS: 0")
        wait_until(lambda: 1 in notes.answers)
        assert notes.answers[1] == (0, tpdu.carrier_id(0, PHONE))


def test_without_a_prompt_the_modem_is_told_to_forget_and_the_text_goes_back(
    tmp_path: Path,
) -> None:
    with plugged(tmp_path, faults=Faults(no_prompt=1), prompt_seconds=2.0) as (
        modem,
        gateway,
        notes,
    ):
        before = modem.escapes
        send(gateway, "hello")
        wait_until(lambda: notes.returned_tokens == [1])
        wait_until(lambda: modem.escapes > before)
        wait_until(lambda: gateway.room() == 1)
        send(gateway, "hello", 2)
        wait_until(lambda: 2 in notes.answers)
        assert [one.unit.text for one in modem.sent] == ["hello"]


@pytest.mark.parametrize(
    ("code", "kind"),
    [(38, "transient"), (30, "permanent"), (50, "configuration"), (310, "bind")],
)
def test_an_error_of_the_network_is_answered_by_its_class(
    tmp_path: Path, code: int, kind: str
) -> None:
    with plugged(tmp_path, faults=Faults(errors=[code])) as (_modem, gateway, notes):
        send(gateway, "hello")
        wait_until(lambda: 1 in notes.answers)
        status = notes.answers[1][0]
        assert answers.classify(status) == kind
        assert answers.error_code(status) == f"cms.{code}"


def test_an_unknown_error_after_ctrl_z_proves_nothing_and_before_it_everything(
    tmp_path: Path,
) -> None:
    faults = Faults(errors=[500], early_errors=[])
    with plugged(tmp_path, faults=faults) as (_modem, gateway, notes):
        send(gateway, "after")
        wait_until(lambda: notes.lost_tokens == [1])
        faults.early_errors.append(500)
        wait_until(lambda: gateway.room() == 1)
        send(gateway, "before", 2)
        wait_until(lambda: 2 in notes.answers)
        assert answers.classify(notes.answers[2][0]) == "transient"


def test_lines_of_its_own_in_the_middle_of_every_answer_disturb_nothing(tmp_path: Path) -> None:
    manners = Manners(chatter=("^RSSI:18", "RING", "+CREG: 1"), report_s=0.0)
    with plugged(tmp_path, manners) as (modem, gateway, notes):
        modem.receive(PHONE, "BALANCE")
        send(gateway, LONG[:100], 5)
        wait_until(lambda: len(notes.receipts) == 2 and len(notes.texts) == 1)
        assert decoded(notes.texts) == "BALANCE"
        assert {status for status, _ in notes.answers.values()} == {0}


def test_reports_may_be_kept_on_the_sim_card_and_are_deleted_after_they_are_stored(
    tmp_path: Path,
) -> None:
    manners = Manners(stored_reports=True)
    with plugged(tmp_path, manners, reports="stored") as (modem, gateway, notes):
        send(gateway, "hello")
        wait_until(lambda: len(notes.receipts) == 1)
        assert len(modem.sim.places) == 1
        assert notes.receipts[0].message_id == notes.answers[1][1]
        gateway.acknowledge(notes.deliveries, 0)
        wait_until(lambda: not modem.sim.places)


def test_the_watchdog_opens_the_port_anew_when_the_modem_falls_silent(tmp_path: Path) -> None:
    with plugged(tmp_path, answer_seconds=0.4) as (modem, gateway, notes):
        modem.faults.dead = True
        wait_until(lambda: any(state == "waiting" for state, _ in notes.states))
        assert gateway.room() == 0
        modem.faults.dead = False
        wait_until(lambda: gateway.room() == 1)


def test_a_port_has_one_owner(tmp_path: Path) -> None:
    with plugged(tmp_path) as (modem, first, _):
        notes = Notes()
        second = ModemGateway("other", 8, ModemConfig(device=modem.port, **QUICK), notes)
        second.start()
        wait_until(lambda: any(state == "waiting" for state, _ in notes.states))
        second.stop()
        assert first.room() == 1
        assert ("bound", "") not in notes.states


def test_a_text_under_way_is_finished_when_the_gateway_stops(tmp_path: Path) -> None:
    with plugged(tmp_path, Manners(pace_s=0.1)) as (modem, gateway, notes):
        send(gateway, LONG[:100], 1)
        wait_until(lambda: len(modem.sent) == 1)
    assert notes.answers[1][0] == 0
    assert 2 in notes.answers or notes.returned_tokens == [2]
    assert notes.states[-1] == ("stopped", "")


def test_a_sim_card_without_its_pin_is_refused_and_the_pin_is_not_tried_twice(
    tmp_path: Path,
) -> None:
    faults = Faults(pin="1234")
    with plugged(tmp_path, faults=faults, open_at_once=False, pin="9999") as (modem, _, notes):
        wait_until(lambda: notes.states[-1][0] == "refused")
        time.sleep(0.3)
        assert modem.heard.count("AT+CPIN=9999") == 1
    assert not any("9999" in detail for _, detail in notes.states)


def test_a_sim_card_that_was_taken_out_stops_the_gateway_and_the_text_is_kept(
    tmp_path: Path,
) -> None:
    faults = Faults()
    with plugged(tmp_path, faults=faults) as (_modem, gateway, notes):
        faults.no_sim = True
        faults.early_errors.append(310)
        send(gateway, "hello")
        wait_until(lambda: ("refused", "There is no SIM card in the modem.") in notes.states)
        assert answers.classify(notes.answers[1][0]) == "bind"
        assert gateway.room() == 0


def test_the_talk_of_a_modem_is_cut_right_however_it_arrives() -> None:
    unit = "07915892000000F0040B915892214365F700001110221540520A0AE8329BFD4697D9EC37"
    said = (
        b'AT+CMGL=4\r\r\n+CMGL: 1,1,,24\r\n+CMTI: "SM",3\r\n+CDS: 25\r\n'
        + unit[:-2].encode()
        + b"\r\n"
        + unit.encode()
        + b"\r\n^BOOT:1,0\r\n\r\nOK\r\n\r\n> "
    )
    wanted = [
        Line("AT+CMGL=4"),
        Stored("SM", 3),
        Unit("CDS", ("25",), unit[:-2]),
        Unit("CMGL", ("1", "1", "", "24"), unit),
        Line("^BOOT:1,0"),
        Line("OK"),
        Prompt(),
    ]
    for size in (1, 2, 3, 7, len(said)):
        talk = Talk()
        found = [
            event for at in range(0, len(said), size) for event in talk.feed(said[at : at + size])
        ]
        assert found == wanted


def test_a_modem_gone_mad_fills_no_memory() -> None:
    talk = Talk()
    for _ in range(100):
        assert talk.feed(b"x" * 1000) == []
    assert talk.feed(b"\r\nOK\r\n") == [Line("OK")]
