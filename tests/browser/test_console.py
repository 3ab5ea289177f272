"""What a dispatcher does in a browser: sign in, watch the map, decide a held reading."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from server.db import snapshot
from server.metering.models import Reading
from tests.browser.conftest import Site, key_in, sign_in
from tests.console.office import key, walk

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAGES = ("/", "/map", "/review", "/readings", "/messages", "/devices", "/accounts", "/staff", "/me")


def until(page: Page, condition: str, seconds: int = 60) -> None:
    """Wait for a condition; the page's policy forbids Playwright's own way to ask."""
    for _ in range(seconds * 10):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(100)
    pytest.fail(f"not within {seconds} s: {condition}")


def test_a_person_signs_in_with_the_keyboard_alone(page: Page) -> None:
    sign_in(page)
    page.keyboard.press("/")
    key_in(page, "A0002")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="客户 002")).to_be_visible()


def test_the_map_shows_a_rep_and_follows_him(site: Site, page: Page) -> None:
    walk(site.app, site.world, ago_s=60)
    sign_in(page)
    page.goto("/map")
    page.wait_for_selector("#map[data-ready=yes]")
    assert page.evaluate("map.fieldbell.reps.size") == 1
    assert page.evaluate("map.fieldbell.stops.size") == 3
    place = f"map.fieldbell.reps.get({site.world.reader_id}).getLatLng().lat"
    assert abs(page.evaluate(place) - 31.2331) < 1e-6
    walk(site.app, site.world, lat=31.2340, ago_s=1)
    until(page, f"Math.abs({place} - 31.2340) < 1e-6")


def test_a_stop_changes_its_mark_when_its_reading_comes(site: Site, page: Page) -> None:
    sign_in(page)
    page.goto("/map")
    page.wait_for_selector("#map[data-ready=yes]")
    point = site.world.points[0]
    state = f"map.fieldbell.stops.get({point.service_point_id}).options.state"
    assert page.evaluate(state) == 0
    key(site.app, site.clerk_id, point, 1200)
    until(page, f"{state} === 1")


def test_a_map_without_its_library_says_so_and_keeps_its_list(site: Site, page: Page) -> None:
    walk(site.app, site.world)
    page.route(re.compile("leaflet"), lambda route: route.abort())
    sign_in(page)
    page.goto("/map")
    expect(page.get_by_text("The map needs the library Leaflet")).to_be_visible()
    expect(page.locator("#reps")).to_contain_text("李抄表")


def test_a_held_reading_is_released_from_the_inbox(site: Site, page: Page) -> None:
    first = key(site.app, site.clerk_id, site.world.points[0], 9000)
    second = key(site.app, site.clerk_id, site.world.points[1], 8000)
    sign_in(page)
    page.goto("/review")
    expect(page.locator("tr[aria-selected=true]")).to_contain_text("客户 001")
    page.keyboard.press("j")
    expect(page.locator("tr[aria-selected=true]")).to_contain_text("客户 002")
    expect(page.locator("aside")).to_contain_text("客户 002")
    page.get_by_label("Why").fill("the customer sent a photo")
    page.get_by_role("button", name="Release", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("Released: the reading counts.")
    expect(page.locator("table")).not_to_contain_text("客户 002")
    with site.app.app_context(), snapshot() as session:
        assert session.get_one(Reading, second).status == "confirmed"
        assert session.get_one(Reading, first).status == "held"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_a_phone(site: Site, page: Page, scheme: str) -> None:
    key(site.app, site.clerk_id, site.world.points[0], 9000)
    key(site.app, site.clerk_id, site.world.points[1], 1200)
    sign_in(page)
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    for width in (360, 1280):
        page.set_viewport_size({"width": width, "height": 740})
        for path in (*PAGES, f"/accounts/{site.world.points[1].account_id}"):
            page.goto(path)
            wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, (path, width, wide)
