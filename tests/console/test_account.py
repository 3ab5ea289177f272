"""The page of one account: what an agent reads there and notes for the customer."""

from __future__ import annotations

from tests import world as worlds
from tests.console.conftest import Office


def test_an_agent_reads_one_account_and_notes_what_the_customer_wants(office: Office) -> None:
    point = office.world.points[0]
    pushed = office.app.test_client().post(
        "/device/v1/push",
        json=worlds.push_body([worlds.reading(point, 1200)]),
        headers={"Authorization": f"Bearer {office.world.token}"},
    )
    assert pushed.status_code == 200
    desk, path = office.desk(office.clerk_id), f"/accounts/{point.account_id}"
    page = desk.see(path)
    told = ("客户 001", "−107.60", "owes", "1,200", "107.60", "bill notice", "refuses nothing")
    assert [words for words in told if words not in page] == []
    contact = page.split('name="contact" value="')[1].split('"')[0]
    wish = {"contact": contact, "category": "bill", "wants": "0", "why": "called on Monday"}
    desk.post(f"{path}/preferences", 302, **wish)
    page = desk.see(path)
    assert "called on Monday" in page
    assert "noted for the customer that he wants no more of it" in page
    refused = desk.post(f"{path}/preferences", 422, **{**wish, "why": " "})
    assert "Say in a few words why." in refused.text
    assert "107.60" in desk.see(f"{path}/bills")
    assert desk.client.get("/search?q=客户 001").status_code == 302
    assert "A0003" in desk.see("/search?q=客户&anywhere=1")
    stranger = office.desk(office.manager_id)
    stranger.post(f"{path}/preferences", 403, **wish)
