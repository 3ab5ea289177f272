"""Shifts and points in the database: idempotent, inside shifts only, live only when newer."""

from __future__ import annotations

import itertools
import random
import threading
from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete, event, func, select

from server import clock
from server.db import db, snapshot, transaction
from server.identity import service as identity
from server.identity.actor import SYSTEM
from server.tracking import queries, service
from server.tracking.models import LivePosition, QuarantinedPoint, Shift, TrackPoint
from server.tracking.rules import points as marks
from server.tracking.service import ShiftChange, TrackResult
from tests import world as worlds

NOW = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
SHIFT = UUID(int=1)
OTHER = UUID(int=2)
LAT, LON = 312_304_000, 1_214_737_000


@pytest.fixture
def rep(app):
    world = worlds.build(app, points=0, now=NOW)
    with app.app_context():
        yield world


def minutes(n):
    return NOW + timedelta(minutes=n)


def point(n, east_e7=0, *, seconds=0):
    """A point n minutes after NOW, some 1e-7 degrees (about 1 cm) to the east."""
    return [clock.to_ms(minutes(n)) + seconds * 1000, LAT, LON + east_e7, 50, 120, 900, 80, 0]


def started(rep, n, uuid=SHIFT):
    return ShiftChange(uuid, rep.reader_id, rep.device_id, "started", minutes(n))


def ended(rep, n, uuid=SHIFT):
    return ShiftChange(uuid, rep.reader_id, rep.device_id, "ended", minutes(n))


def shifts(*changes):
    with transaction() as session:
        service.record_shifts(session, changes)


def track(rep, *rows, crs="wgs84", received=NOW):
    with transaction() as session:
        return service.record_track(
            session,
            rep_id=rep.reader_id,
            device_id=rep.device_id,
            crs=crs,
            points=list(rows),
            received_at=received,
        )


def stored(model=TrackPoint):
    with snapshot() as session:
        found = session.execute(select(model.fix_ms).order_by(model.fix_ms)).scalars()
        return [round((ms - clock.to_ms(NOW)) / 60_000) for ms in found]


def live():
    with snapshot() as session:
        return queries.live_positions(session, None)


# --- shifts -------------------------------------------------------------------------------


def test_a_shift_is_one_row_however_often_and_in_which_order_its_ends_arrive(rep):
    shifts(ended(rep, 0))
    shifts(started(rep, -60), ended(rep, 0))
    shifts(started(rep, -60))
    with snapshot() as session:
        row = session.execute(select(Shift)).scalar_one()
        assert (row.started_at, row.ended_at) == (minutes(-60), NOW)
        assert (row.staff_id, row.device_id) == (rep.reader_id, rep.device_id)


def test_many_shifts_in_one_push_take_a_fixed_number_of_statements(rep):
    def statements(first, count):
        seen = []
        listener = lambda *args: seen.append(args[2])  # noqa: E731
        event.listen(db.engine, "before_cursor_execute", listener)
        changes = [started(rep, -n, UUID(int=n)) for n in range(first, first + count)]
        shifts(*changes)
        event.remove(db.engine, "before_cursor_execute", listener)
        return len(seen)

    few, many = statements(100, 2), statements(200, 40)
    assert many <= few + 3


def test_nobody_can_change_another_persons_shift(rep):
    shifts(started(rep, -60))
    with transaction() as session:
        other = identity.add_staff(
            session, SYSTEM, username="other", name="Other", password_hash="-", roles=[]
        )
    shifts(ShiftChange(SHIFT, other.id, rep.device_id, "ended", minutes(-30)))
    with snapshot() as session:
        assert session.execute(select(Shift.ended_at)).scalar_one() is None


@pytest.mark.parametrize("year", [1, 1969, 2100, 9999])
def test_a_shift_of_an_impossible_year_is_kept_and_covers_nothing(rep, year):
    at = datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)
    for state in ("started", "ended"):
        shifts(ShiftChange(SHIFT, rep.reader_id, rep.device_id, state, at))
    assert track(rep, point(-1)).quarantined == 1


# --- points -------------------------------------------------------------------------------


def test_points_inside_a_shift_are_kept_once(rep):
    shifts(started(rep, -60))
    rows = [point(-n) for n in range(5)]
    assert track(rep, *rows) == TrackResult(accepted=5)
    assert track(rep, *rows, point(-10)) == TrackResult(accepted=1, duplicate=5)
    assert len(stored()) == 6


def test_a_point_twice_in_one_push_is_one(rep):
    shifts(started(rep, -60))
    assert track(rep, point(-1), point(-1)) == TrackResult(accepted=1, duplicate=1)


def test_bad_points_are_counted_and_the_good_ones_go_through(rep):
    shifts(started(rep, -60))
    future = point(30)
    result = track(rep, point(-1), [1, 2], None, [clock.to_ms(NOW), 0, 0], future)
    assert result == TrackResult(accepted=2, flagged=4)
    assert track(rep, *[[None]] * 3) == TrackResult(flagged=3)
    assert track(rep, point(-2), crs="moon") == TrackResult(flagged=1)
    assert track(rep) == TrackResult()


def test_a_push_of_a_day_takes_as_few_statements_as_a_push_of_one_point(rep):
    shifts(started(rep, -600))

    def statements(*rows):
        seen = []
        listener = lambda *args: seen.append(args[2])  # noqa: E731
        event.listen(db.engine, "before_cursor_execute", listener)
        track(rep, *rows)
        event.remove(db.engine, "before_cursor_execute", listener)
        return len(seen)

    assert statements(point(-500)) == statements(*[point(-n) for n in range(300)])


def test_points_outside_any_known_shift_wait_unseen(rep):
    shifts(started(rep, -60), ended(rep, -30))
    result = track(rep, point(-70), point(-45), point(-10))
    assert result == TrackResult(accepted=1, quarantined=2)
    assert stored() == [-45]
    assert stored(QuarantinedPoint) == [-70, -10]
    assert [spot.fix_at for spot in live()] == [minutes(-45)]


def test_a_late_shift_lets_its_points_in_and_only_those(rep):
    assert track(rep, point(-70), point(-45), point(-40), point(-10)).quarantined == 4
    assert live() == []
    shifts(ended(rep, -30))
    assert stored() == []
    shifts(started(rep, -60))
    assert stored() == [-45, -40]
    assert stored(QuarantinedPoint) == [-70, -10]
    assert [spot.fix_at for spot in live()] == [minutes(-40)]


def test_what_was_recorded_after_a_late_end_is_hidden_again(rep):
    shifts(started(rep, -60))
    track(rep, point(-50), point(-40), point(-5))
    assert [spot.fix_at for spot in live()] == [minutes(-5)]
    clock.set(minutes(60))
    shifts(ended(rep, -30))
    assert stored() == [-50, -40]
    assert stored(QuarantinedPoint) == [-5]
    assert [spot.fix_at for spot in live()] == [minutes(-40)]
    shifts(started(rep, -10, OTHER))
    assert stored() == [-50, -40, -5]


def test_a_rep_without_any_point_inside_a_shift_is_not_shown_any_more(rep):
    shifts(started(rep, -60))
    track(rep, point(-5))
    shifts(ended(rep, -30))
    assert live() == []


def test_the_order_of_arrival_of_shifts_and_points_does_not_matter(rep):
    changes = [
        lambda: shifts(started(rep, -60)),
        lambda: shifts(ended(rep, -30)),
        lambda: track(rep, point(-70), point(-50), point(-40)),
        lambda: track(rep, point(-35), point(-20)),
    ]
    orders = list(itertools.permutations(changes))
    for order in random.Random(4).sample(orders, 8):
        with transaction() as session:
            for model in (Shift, TrackPoint, QuarantinedPoint, LivePosition):
                session.execute(delete(model))
        for step in order:
            step()
        assert stored() == [-50, -40, -35]
        assert stored(QuarantinedPoint) == [-70, -20]
        assert [spot.fix_at for spot in live()] == [minutes(-35)]


# --- the live position --------------------------------------------------------------------


def test_an_older_push_does_not_move_the_live_position_back(rep):
    shifts(started(rep, -60))
    track(rep, point(-5))
    track(rep, point(-20), received=minutes(1))
    [spot] = live()
    assert (spot.fix_at, spot.received_at) == (minutes(-5), NOW)


def test_a_point_of_the_future_or_a_wild_jump_is_kept_and_not_shown(rep):
    shifts(started(rep, -60))
    track(rep, point(-5))
    result = track(rep, point(30), point(-4, east_e7=3_000_000))
    assert (result.accepted, result.flagged) == (2, 1)
    [spot] = live()
    assert spot.fix_at == minutes(-5)
    with snapshot() as session:
        assert session.scalar(select(func.max(TrackPoint.flags))) == marks.FUTURE


def test_readers_of_live_positions_see_what_came_after_their_cursor_and_their_team_only(rep):
    shifts(started(rep, -60))
    track(rep, point(-5))
    [spot] = live()
    assert (spot.lat, spot.lon) == (LAT / 1e7, LON / 1e7)
    assert (spot.accuracy_m, spot.speed_mps, spot.course_deg, spot.battery) == (5, 1.2, 90, 80)
    with snapshot() as session:
        ask = lambda rev, reps=None: queries.live_positions(session, reps, rev)  # noqa: E731
        assert ask(spot.rev) == [spot], "readers overlap"
        assert ask(spot.rev + queries.OVERLAP_MS) == []
        assert ask(0, [rep.reader_id]) == [spot]
        assert ask(0, [rep.reader_id + 1]) == []
        assert ask(0, []) == []


# --- the day ------------------------------------------------------------------------------


def test_a_days_track_has_pieces_gaps_and_distance_whatever_the_order_of_arrival(rep):
    shifts(started(rep, -300))
    walk = [point(-200, east_e7=n * 1500, seconds=10 * n) for n in range(100)]
    later = [point(-100, east_e7=200_000 + n * 1500, seconds=10 * n) for n in range(50)]
    for rows in (later, walk[50:], walk[:50], walk):
        track(rep, *rows)
    with snapshot() as session:
        day = queries.day_track(
            session, rep.reader_id, date(2026, 11, 20), ZoneInfo("Asia/Shanghai")
        )
        empty = queries.day_track(
            session, rep.reader_id, date(2026, 11, 19), ZoneInfo("Asia/Shanghai")
        )
    assert (day.points, day.left_out, len(day.gaps)) == (150, 0, 1)
    assert [len(piece) for piece in day.pieces] == [2, 2]
    assert day.distance_m == pytest.approx((99 + 49) * 14.3, rel=0.05)
    assert (empty.points, empty.pieces, empty.gaps, empty.distance_m) == (0, [], [], 0)


def test_a_rep_is_at_work_while_his_shift_is_open(rep):
    with snapshot() as session:
        assert queries.open_shift_reps(session, None) == set()
    shifts(started(rep, -60))
    with snapshot() as session:
        assert queries.open_shift_reps(session, None) == {rep.reader_id}
        assert queries.open_shift_reps(session, []) == set()
    shifts(ended(rep, -30))
    with snapshot() as session:
        assert queries.open_shift_reps(session, None) == set()


# --- jobs ---------------------------------------------------------------------------------


def test_quarantine_is_dropped_and_counted_after_forty_eight_hours(rep):
    track(rep, point(-2), point(-1))
    track(rep, point(60), received=minutes(60))
    clock.set(NOW + timedelta(hours=48))
    with transaction() as session:
        assert service.drop_quarantine(session) == 0
    clock.set(NOW + timedelta(hours=48, seconds=1))
    with transaction() as session:
        assert service.drop_quarantine(session) == 2
    assert stored(QuarantinedPoint) == [60]


@pytest.mark.parametrize("engine_url", ["postgresql"], indirect=True)
def test_points_and_their_shift_that_came_at_the_same_moment_find_each_other(rep):
    """On two connections neither sees the other; what waits is looked at before it is dropped."""
    with transaction() as slow:
        service.record_shifts(slow, [started(rep, -60), ended(rep, -5)])
        with transaction() as quick:
            result = service.record_track(
                quick,
                rep_id=rep.reader_id,
                device_id=rep.device_id,
                crs="wgs84",
                points=[point(-50), point(-1)],
                received_at=NOW,
            )
        assert (result.accepted, result.quarantined) == (0, 2)
    assert (stored(), len(stored(QuarantinedPoint))) == ([], 2)
    with transaction() as session:
        assert service.drop_quarantine(session) == 0
    assert (len(stored()), len(stored(QuarantinedPoint)), len(live())) == (1, 1, 1)
    clock.set(NOW + timedelta(hours=49))
    with transaction() as session:
        assert service.drop_quarantine(session) == 1
    assert (len(stored()), stored(QuarantinedPoint)) == (1, [])


def test_tracks_older_than_the_retention_are_dropped(rep):
    shifts(started(rep, -60))
    track(rep, point(-50), point(-10))
    clock.set(minutes(-30) + timedelta(days=180))
    with transaction() as session:
        assert service.drop_old_tracks(session, 180) == 1
    assert stored() == [-10]
    clock.set(NOW + timedelta(days=181))
    with transaction() as session:
        assert service.drop_old_tracks(session, 180) == 1
    assert (stored(), live()) == ([], [])


def test_every_place_of_a_rep_can_be_erased(rep):
    shifts(started(rep, -60), ended(rep, -5))
    track(rep, point(-50), point(-1))
    with transaction() as session:
        assert service.erase_rep(session, rep.reader_id + 1) == 0
        assert service.erase_rep(session, rep.reader_id) == 2
    assert (stored(), stored(QuarantinedPoint), live()) == ([], [], [])


def test_the_same_push_on_two_connections_at_once_is_kept_once(app, rep):
    rows = [point(-50, seconds=n) for n in range(200)]
    gate, results = threading.Barrier(4), []

    def push():
        with app.app_context():
            gate.wait()
            with transaction() as session:
                service.record_shifts(session, [started(rep, -60)])
                results.append(
                    service.record_track(
                        session,
                        rep_id=rep.reader_id,
                        device_id=rep.device_id,
                        crs="wgs84",
                        points=rows,
                        received_at=NOW,
                    )
                )

    threads = [threading.Thread(target=push) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result.accepted for result in results) == [0, 0, 0, 200]
    assert sorted(result.duplicate for result in results) == [0, 200, 200, 200]
    assert len(stored()) == 200
    assert len(live()) == 1
