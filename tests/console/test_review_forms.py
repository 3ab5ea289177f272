"""What was typed into the forms of the review stays there when it cannot be used."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from server.db import snapshot
from server.review import ReviewItem
from tests.console.conftest import Office
from tests.console.office import Desk, key
from tests.sync.conftest import Handheld, verdicts
from tests.world import reading


def _item(office: Office, reason: str) -> int:
    with office.app.app_context(), snapshot() as session:
        return session.execute(
            select(ReviewItem.id).where(ReviewItem.reason == reason)
        ).scalar_one()


@pytest.fixture
def manager(office: Office) -> Desk:
    """The manager's browser."""
    return office.desk(office.manager_id)


def test_a_corrected_capture_that_is_no_json_can_be_typed_on(office: Office, manager: Desk) -> None:
    bad = reading(office.world.points[0], "12O0")
    assert verdicts(Handheld(office.app, office.world.token).push(bad)) == ["rejected"]
    item = _item(office, "item.invalid")
    page = manager.see(f"/review?item={item}")
    assert "is not a dial&#39;s figure." in page
    assert page.count("12O0") == 2, "in what was wrong and in the field, not once more beside it"
    typed = {"way": "correct", "why": "the letter O", "payload": "{almost"}
    answer = manager.post(f"/review/{item}", 422, **typed)
    assert "no JSON object" in answer.text
    assert "{almost</textarea>" in answer.text
    assert "the letter O</textarea>" in answer.text


def test_a_figure_that_is_no_figure_is_said_above_the_form(office: Office, manager: Desk) -> None:
    key(office.app, office.clerk_id, office.world.points[0], 9000)
    item = _item(office, "reading.high")
    typed = {"way": "correct", "why": "looked again", "dial.total": "12a"}
    answer = manager.post(f"/review/{item}", 422, **typed)
    assert "A dial shows digits only." in answer.text
    assert 'value="12a"' in answer.text
    answer = manager.post(f"/review/{item}", 422, **{**typed, "why": ""})
    assert 'aria-describedby="w-why"' in answer.text
