"""What a torture run plans, computes and concludes, without any server."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from device_sim.__main__ import main
from device_sim.gps import Gps
from device_sim.handheld import Handheld
from device_sim.torture.oracle import Applied, Expected, Home, bills, charge, read_twice
from device_sim.torture.plan import (
    FIRST,
    ONCE,
    PUSH,
    SERVER,
    STEPS,
    WORKER,
    describe,
    make_plan,
)
from device_sim.torture.stored import Tracks, read_tracks
from device_sim.torture.verdict import Evidence, decide, true_time, witnessed
from device_sim.torture.world import ZONE, first_morning
from device_sim.witness import read_witness

AT = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
HOME = Home(
    account_no="A-1",
    serial="M-1",
    point_no="P-1",
    phone="+8612000000001",
    previous=Decimal(1000),
    per_day=Decimal(10),
    used=Decimal(2750),
    balance=Decimal("-5.00"),
)


# --- the plan -----------------------------------------------------------------------------


def test_the_same_seed_plans_the_same_run_and_another_seed_another():
    assert describe(make_plan(7, 8, 5, 6, 200)) == describe(make_plan(7, 8, 5, 6, 200))
    assert describe(make_plan(7, 8, 5, 6, 200)) != describe(make_plan(8, 8, 5, 6, 200))


def test_two_hundred_kills_cover_every_step_of_a_handheld_and_every_point_of_the_server():
    plan = make_plan(1, 8, 5, 6, 200)
    points = Counter(kill.point for kill in plan.kills)
    assert len(plan.kills) == 200
    assert set(points) == {*STEPS, *SERVER, *WORKER}
    assert min(points[point] for point in STEPS) >= 4
    assert min(points[point] for point in SERVER) >= 12


def test_no_kill_waits_for_a_step_that_the_handheld_does_not_pass_that_day():
    for seed in range(30):
        plan = make_plan(seed, 8, 5, 6, 120)
        for day in plan.days:
            for kill in day.device_kills:
                assert day.number == 0 or kill.point not in FIRST
                assert kill.victim not in day.silent or kill.point not in PUSH


def test_what_happens_once_in_a_life_is_struck_once_at_most():
    for seed in range(20):
        ends = [k.victim for k in make_plan(seed, 3, 5, 2, 400).kills if k.point == ONCE]
        assert len(ends) == len(set(ends))


def test_a_large_fleet_lives_through_every_event():
    plan = make_plan(3, 8, 5, 6, 0)
    assert [day.revoke for day in plan.days if day.revoke] == [6]
    assert [day.reassign for day in plan.days if day.reassign] == [(2, 1)]
    assert sum(day.restore for day in plan.days) == 1
    assert sum(len(day.silent) for day in plan.days) == 3
    assert sum(len(day.old) for day in plan.days) == 1
    assert any(day.rush for day in plan.days)


def test_a_plan_is_printed_without_a_server(capsys):
    assert main(["torture", "--plan", "--seed", "5", "--kills", "20"]) == 0
    assert capsys.readouterr().out.startswith("seed 5: 8 handhelds")
    assert main(["torture", "--devices", "0", "--seed", "5"]) == 2


def test_all_days_of_a_run_are_past_and_lie_in_one_year():
    for now in (AT, datetime(2026, 1, 3, tzinfo=UTC), datetime(2026, 12, 31, 20, tzinfo=UTC)):
        first = first_morning(now, 6)
        last = first + timedelta(days=6)
        assert last < now
        years = {day.astimezone(ZONE).year for day in (first - timedelta(days=2), first, last)}
        assert len(years) == 1


# --- the battery --------------------------------------------------------------------------


class Pulled(BaseException):
    """The battery is out."""


@pytest.mark.parametrize(
    ("point", "kept", "said"),
    [
        ("witness.begin", 0, 0),
        ("witness.torn", 0, 0),
        ("witness.begun", 0, 0),
        ("capture.commit", 0, 0),
        ("capture.committed", 1, 0),
        ("witness.saved", 1, 1),
    ],
)
def test_a_battery_pulled_while_capturing_leaves_all_or_nothing(
    tmp_path: Path, make_handheld, point: str, kept: int, said: int
):
    handheld: Handheld = make_handheld()

    def pull(name: str) -> None:
        if name == point:
            raise Pulled

    handheld.store.step = handheld.witness.step = pull
    with pytest.raises(Pulled):
        handheld.start_shift()
    handheld.store.close()
    handheld.witness.close()
    again = Handheld(handheld.folder, handheld.clock.true, handheld.gps)
    assert len(again.store.items()) == kept
    assert bool(again.store.get("shift")) == bool(kept)
    again.start_shift()
    seen = read_witness(again.folder / "witness.jsonl")
    assert sum(entry.saved for entry in seen) == max(said, 1 - kept)
    assert {item.id for item in again.store.items()} <= {entry.id for entry in seen}
    assert [item.seq for item in again.store.items()] == [1]


@pytest.fixture
def make_handheld(tmp_path: Path):
    from random import Random  # noqa: PLC0415

    from device_sim.clock import VirtualClock  # noqa: PLC0415

    return lambda: Handheld(tmp_path / "h", VirtualClock(AT), Gps(Random(1)))


# --- the oracle ---------------------------------------------------------------------------


def test_a_bill_across_a_tier_is_rounded_line_by_line():
    assert charge(Decimal(0), Decimal(200)) == Decimal("107.60")
    assert charge(Decimal(2750), Decimal(25)) == Decimal("5.38") + Decimal("8.82")
    assert charge(Decimal(2000), Decimal(3000)) == (
        Decimal("408.88") + Decimal("1199.52") + Decimal("167.60")
    )
    assert charge(Decimal(9000), Decimal(0)) == 0


def applied(value: int, day: int, order: int, item_id: str = "") -> Applied:
    return Applied(item_id or f"i{order}", "M-1", order, AT + timedelta(days=day), Decimal(value))


def test_readings_are_billed_in_the_order_of_their_times_and_fill_the_tiers():
    found = bills(HOME, [applied(1025, 2, 2), applied(1010, 1, 1)])
    assert found == [
        Expected("A-1", Decimal(10), Decimal("5.38"), Decimal("-10.38")),
        Expected("A-1", Decimal(15), Decimal("8.82"), Decimal("-19.20")),
    ]


def test_readings_of_one_push_are_on_one_bill():
    together = [replace(applied(1010, 1, 1), batch="b"), replace(applied(1025, 2, 2), batch="b")]
    assert bills(HOME, together) == [
        Expected("A-1", Decimal(25), Decimal("14.20"), Decimal("-19.20"))
    ]


def test_a_dial_that_passed_zero_used_what_lies_between():
    home = replace(HOME, previous=Decimal(99_990))
    assert bills(home, [applied(5, 1, 1)])[0].quantity == 15


def test_an_order_with_two_applied_readings_is_found():
    assert read_twice([applied(1, 1, 1), applied(2, 2, 2)]) == []
    assert read_twice([applied(1, 1, 1, "a"), applied(2, 2, 1, "b")]) == [1]


def test_a_clock_that_is_far_off_is_set_right_by_its_skew():
    line = {
        "payload": {"captured_at": "1970-01-01T00:10:00+00:00"},
        "received_at": (AT + timedelta(hours=5)).isoformat(),
        "skew_ms": -int(AT.timestamp() * 1000),
    }
    assert true_time(line) == AT + timedelta(minutes=10)
    assert true_time({**line, "skew_ms": -200_000}).year == 1970
    ahead = {**line, "received_at": AT.isoformat()}
    assert true_time(ahead) == AT


# --- the verdict --------------------------------------------------------------------------


@pytest.fixture
def evidence(tmp_path: Path, make_handheld) -> Evidence:
    """One reading of ten units, captured, acknowledged, billed and texted."""
    handheld = make_handheld()
    data = {
        "read_order": 1,
        "service_point": 1,
        "meter_serial": "M-1",
        "registers": [{"kind": "total", "value": "1010"}],
    }
    item_id = handheld.capture("meter_reading.v1", data)
    body = handheld.store.items()[0].body
    handheld.close()
    line = {
        "uuid": item_id,
        "device_id": 1,
        "seq": 1,
        "type": "meter_reading.v1",
        "received_at": (AT + timedelta(minutes=1)).isoformat(),
        "verdict": "applied",
        "code": None,
        "payload": body,
        "variants": [],
    }
    return Evidence(
        lines=[line],
        status={
            "review": {"reasons": {}},
            "bills": {"issued": 1},
            "ledger": {"receivable": "-10.38", "balanced": True},
            "messages": {"delivered": 1, "queued": 0},
        },
        reconcile={"ledger_lines": 3, "differences": []},
        phones=[
            {
                "phone": "+8612000000001",
                "texts": [
                    {
                        "text": "【试】户号A-1,2026-11月用电10度,电费5.38元,余额-10.38元,请于…前交费。"
                    }
                ],
            }
        ],
        fleet=tmp_path,
        blobs=tmp_path / "blobs",
        homes={"A-1": HOME},
    )


def with_line(found: Evidence, **changed) -> Evidence:
    return replace(found, lines=[{**found.lines[0], **changed}])


def with_status(found: Evidence, **changed) -> Evidence:
    return replace(found, status={**found.status, **changed})


def test_a_run_that_kept_every_promise_has_nothing_wrong(evidence: Evidence):
    assert len(witnessed(evidence.fleet)) == 1
    verdict = decide(evidence)
    assert verdict.wrong == []
    assert verdict.counts["bills"] == 1


def other_content(line) -> dict:
    payload = json.loads(json.dumps(line["payload"]))
    payload["data"]["note"] = "other"
    return payload


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda e: replace(e, lines=[]), "the server lacks 1"),
        (lambda e: replace(e, lines=[*e.lines, *e.lines]), "has more than once 1"),
        (
            lambda e: with_line(e, payload=other_content(e.lines[0])),
            "has with other content 1",
        ),
        (lambda e: with_line(e, variants=[e.lines[0]["payload"]]), "has more than once 1"),
        (lambda e: with_line(e, uuid="b" * 32), "though nobody captured it"),
        (lambda e: with_line(e, verdict="held", code=None), "without a reason"),
        (lambda e: with_line(e, verdict="held", code="reading.high"), "0 wait for review"),
        (lambda e: with_line(e, received_at="2026-11-19T00:00:00+00:00"), "of the future"),
        (lambda e: with_status(e, bills={"issued": 2}), "2 bills are issued"),
        (
            lambda e: with_status(e, ledger={"receivable": "-10.37", "balanced": True}),
            "the oracle -10.38",
        ),
        (
            lambda e: with_status(e, ledger={"receivable": "-10.38", "balanced": False}),
            "debits are not credits",
        ),
        (lambda e: with_status(e, messages={"delivered": 2}), "2 messages stand"),
        (lambda e: with_status(e, messages={"failed": 1}), "not every text is delivered"),
        (lambda e: replace(e, phones=[]), "never texted"),
        (lambda e: replace(e, homes={"A-1": replace(HOME, used=Decimal(2755))}), "never texted"),
        (lambda e: replace(e, reconcile={"ledger_lines": 3, "differences": ["x"]}), "differ"),
        (lambda e: replace(e, differing_documents=["r01"]), "documents differ: r01"),
    ],
)
def test_a_broken_promise_is_said(evidence: Evidence, spoil, sentence: str):
    wrong = decide(spoil(evidence)).wrong
    assert any(sentence in said for said in wrong), wrong


def test_more_unknown_texts_than_a_gateway_has_under_way_are_wrong(evidence: Evidence):
    lost = with_status(evidence, messages={"delivered": 0, "unknown": 21})
    assert any("the fate of 21 texts" in said for said in decide(lost).wrong)


# --- tracks -------------------------------------------------------------------------------

FIX_MS = int(AT.timestamp() * 1000)


@pytest.fixture
def walked(evidence: Evidence, make_handheld) -> Evidence:
    """The evidence of a handheld, number 7, that kept two points; the server has both."""
    handheld = make_handheld()
    handheld.store.put(device_id=7)
    handheld._track = [[FIX_MS, 10, 20, 50], [FIX_MS + 1000, 11, 21, 50]]
    handheld.close()
    return replace(evidence, tracks=stored({FIX_MS: (10, 20), FIX_MS + 1000: (11, 21)}))


def stored(points, device_id: int = 7) -> Tracks:
    places = {(device_id, fix_ms): place for fix_ms, place in points.items()}
    return Tracks(Counter(places.keys()), places)


def test_a_track_that_is_stored_once_and_whole_is_right(walked: Evidence):
    verdict = decide(walked)
    assert (verdict.wrong, verdict.counts["track points witnessed"]) == ([], 2)


def test_a_track_that_waits_for_the_office_is_not_lost(walked: Evidence):
    shown = Tracks(shown={(7, FIX_MS), (7, FIX_MS + 1000)}, reasons=Counter({"device.revoked": 1}))
    waiting = {"reasons": {"device.revoked": {"count": 1}}}
    verdict = decide(with_status(replace(walked, tracks=shown), review=waiting))
    assert (verdict.wrong, verdict.counts["review device.revoked"]) == ([], 1)


def test_a_point_the_handheld_had_not_kept_may_be_stored_or_not(walked: Evidence):
    with (walked.fleet / "h" / "witness.jsonl").open("a") as file:
        file.write(json.dumps({"passing": [[FIX_MS + 2000, 12, 22]]}) + "\n")
    assert decide(walked).wrong == []
    more = {FIX_MS: (10, 20), FIX_MS + 1000: (11, 21), FIX_MS + 2000: (12, 22)}
    assert decide(replace(walked, tracks=stored(more))).wrong == []


@pytest.mark.parametrize(
    ("points", "sentence"),
    [
        ({FIX_MS: (10, 20)}, "1 of 2 track points are missing"),
        ({FIX_MS: (10, 20), FIX_MS + 1000: (99, 21)}, "stored at another place"),
        (
            {FIX_MS: (10, 20), FIX_MS + 1000: (11, 21), FIX_MS + 9000: (1, 1)},
            "no handheld has passed",
        ),
    ],
)
def test_a_track_with_a_fault_is_said(walked: Evidence, points, sentence: str):
    wrong = decide(replace(walked, tracks=stored(points))).wrong
    assert any(sentence in said for said in wrong), wrong


def test_a_point_from_nowhere_is_kept_by_nobody(walked: Evidence):
    with (walked.fleet / "h" / "witness.jsonl").open("a") as file:
        file.write(json.dumps({"passing": [[FIX_MS + 2000, 0, 0]]}) + '\n{"passed": true}\n')
        file.write(json.dumps({"passing": [[FIX_MS + 2000, 12, 22]]}) + '\n{"passed": true}\n')
    assert decide(walked).wrong == []


def test_a_point_that_is_stored_twice_is_said(walked: Evidence):
    walked.tracks.counts[7, FIX_MS] += 1
    assert any("stored twice" in said for said in decide(walked).wrong)


def test_points_and_tracks_that_wait_are_read_from_the_servers_database(tmp_path: Path):
    columns = "(device_id, fix_ms, lat_e7, lon_e7)"
    kept = json.dumps({"crs": "wgs84", "points": [[5, 1, 2]]})
    with sqlite3.connect(tmp_path / "server.db") as db:
        for table in ("track_point", "quarantined_point"):
            db.execute(f"CREATE TABLE {table} {columns}")
            db.execute(f"INSERT INTO {table} VALUES (7, 4, 1, 2)")
        db.execute("CREATE TABLE capture_reject (device_id, code, body)")
        rows = [(7, "device.revoked", kept), (7, "sync.bad_json", "{"), (7, "x", "3")]
        db.executemany("INSERT INTO capture_reject VALUES (?, ?, ?)", rows)
    found = read_tracks(f"sqlite:///{tmp_path}/server.db")
    assert found.counts == {(7, 4): 2}
    assert found.places == {(7, 4): (1, 2)}
    assert found.shown == {(7, 5)}
    assert +found.reasons == {"device.revoked": 1}


def test_a_text_whose_fate_is_unknown_may_be_missing_and_is_counted(evidence: Evidence):
    lost = with_status(replace(evidence, phones=[]), messages={"delivered": 0, "unknown": 1})
    verdict = decide(lost)
    assert (verdict.wrong, verdict.counts["texts left unknown"]) == ([], 1)


def test_a_text_of_no_bill_is_wrong_unless_the_bill_was_before_a_restore(evidence: Evidence):
    stray = {"text": "户号A-1,2026-11月用电99度,电费1.00元,余额-9.00元,请于"}
    phones = [{"phone": "+8612000000001", "texts": [*evidence.phones[0]["texts"], stray]}]
    assert any("of no bill" in said for said in decide(replace(evidence, phones=phones)).wrong)
    assert decide(replace(evidence, phones=phones, restored=True)).wrong == []
