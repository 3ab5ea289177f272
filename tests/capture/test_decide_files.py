"""A file that does not come, or is not what was promised, has a way out of the queue too."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from config.settings import Settings
from server import clock
from server.audit import AuditEvent
from server.capture import decide_files
from server.db import snapshot, transaction
from server.errors import Conflict, Forbidden, Invalid
from server.identity import service as identity
from server.identity.actor import SYSTEM, Actor
from server.review import ReviewItem
from tests import world as worlds
from tests.sync.test_attachments import Uploader, picture, promise, reasons, run_job, sha, slots


@pytest.fixture
def world(app):
    return worlds.build(app)


@pytest.fixture
def handheld(app, world):
    return Uploader(app, world.token)


@pytest.fixture
def manager(app, world):
    with app.app_context(), transaction() as session:
        staff = identity.add_staff(
            session,
            SYSTEM,
            username="manager",
            name="王主任",
            password_hash="-",
            roles=["manager"],
            org_unit_id=world.team_id,
        )
        return identity.actor_of(session, staff)


@pytest.fixture
def decide(app, manager):
    """Decide about the one item that waits, as the manager."""

    def run(verb, *more, actor=manager, why="the rep was asked"):
        with app.app_context(), transaction() as session:
            item = session.scalars(select(ReviewItem.id).where(ReviewItem.status == "open")).one()
            return verb(session, actor, item, why, *more)

    return run


def late(app, hours):
    clock.set(worlds.NOW + timedelta(hours=hours))
    return run_job(app, "attachments.overdue")


def test_a_missing_photo_gets_more_time_and_is_shown_again_after_it(app, world, handheld, decide):
    photo = picture()
    handheld.push(worlds.reading(world.points[0], 1200, attachments=[promise(photo)]))
    assert late(app, 73) == 1
    decide(decide_files.wait_longer, Settings())
    assert reasons(app) == []
    assert late(app, 140) == 0
    assert handheld.push()["need"] == [sha(photo)], "the handheld is still asked"
    assert late(app, 146) == 1
    assert reasons(app) == ["attachment.overdue"]
    handheld.send_file(photo)
    assert (slots(app), reasons(app)) == ([("received", None)], [])


def test_the_office_goes_without_a_photo_and_nobody_is_asked_any_more(app, world, handheld, decide):
    photo = picture()
    handheld.push(worlds.reading(world.points[0], 1200, attachments=[promise(photo)]))
    late(app, 73)
    with pytest.raises(Invalid) as unsaid:
        decide(decide_files.go_without, why=" ")
    himself = Actor(
        "staff", 9, "reader", staff_id=world.reader_id, rights={("review", "decide"): "all"}
    )
    with pytest.raises(Forbidden) as own:
        decide(decide_files.go_without, actor=himself)
    assert (unsaid.value.code, own.value.code) == ("review.why", "capture.same_person")
    decide(decide_files.go_without)
    assert handheld.push()["need"] == []
    assert handheld.patch(sha(photo), 0, photo).status_code == 404
    assert (late(app, 500), slots(app)) == (0, [("waived", None)])
    with app.app_context(), snapshot() as session:
        acts = session.scalars(select(AuditEvent).where(AuditEvent.subject_type == "review_item"))
        assert [(act.action, (act.after or {})["why"]) for act in acts] == [
            ("review.discarded", "the rep was asked")
        ]


def test_a_photo_that_came_damaged_is_asked_for_from_its_start(app, world, handheld, decide):
    photo = picture()
    handheld.push(worlds.reading(world.points[0], 1200, attachments=[promise(photo)]))
    for _ in range(3):
        handheld.patch(sha(photo), 0, b"x" * len(photo))
    assert reasons(app) == ["attachment.hash_mismatch"]
    decide(decide_files.wait_longer, Settings())
    for _ in range(3):
        handheld.patch(sha(photo), 0, b"x" * len(photo))
    assert reasons(app) == ["attachment.hash_mismatch"], "it is shown a second time"


def test_what_was_too_large_is_asked_for_once_the_limit_allows_it(app, world, handheld, decide):
    photo = picture()
    size = Settings().max_attachment_bytes + 1
    promised = promise(photo, size=size)
    handheld.push(worlds.reading(world.points[0], 1200, attachments=[promised]))
    with pytest.raises(Conflict) as still:
        decide(decide_files.wait_longer, Settings())
    assert still.value.code == "attachment.too_large"
    decide(decide_files.wait_longer, Settings(max_attachment_bytes=size))
    assert handheld.push()["need"] == [sha(photo)]


def test_a_harmless_file_of_another_kind_is_taken_as_it_is(app, world, handheld, decide):
    photo = picture()
    promised = promise(photo, type="application/pdf")
    handheld.push(worlds.reading(world.points[0], 1200, attachments=[promised]))
    handheld.send_file(photo)
    assert slots(app) == [("refused", "attachment.type_mismatch")]
    with pytest.raises(Conflict) as here:
        decide(decide_files.wait_longer, Settings())
    assert here.value.code == "attachment.here"
    decide(decide_files.accept_as_it_is)
    assert (slots(app), reasons(app)) == ([("received", None)], [])


def test_what_is_never_shown_cannot_be_accepted(app, world, handheld, decide):
    page = b"<!doctype html><script>alert(1)</script>" * 10
    handheld.push(worlds.reading(world.points[0], 1200, attachments=[promise(page)]))
    handheld.send_file(page)
    with pytest.raises(Conflict) as never:
        decide(decide_files.accept_as_it_is)
    assert never.value.code == "attachment.type_not_allowed"
    decide(decide_files.go_without)
    assert reasons(app) == []
