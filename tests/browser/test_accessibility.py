"""Every page read by axe-core and walked with the keyboard: languages, palettes, a desk and a phone."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from sqlalchemy import select

from server.billing.models import Bill
from server.db import snapshot, transaction
from server.identity.models import Staff
from server.notify.models import OutboxMessage
from server.review import ReviewItem
from tests.browser.conftest import PASSWORD, Site, patient
from tests.console.office import key, walk
from tests.sync.conftest import Handheld, verdicts
from tests.world import reading

pytestmark = [pytest.mark.browser, pytest.mark.slow]

RULES = r"""() => axe.run(document, {
  runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
  resultTypes: ["violations"],
}).then((found) => found.violations.flatMap((rule) => rule.nodes.map((node) =>
  [rule.impact, rule.id, node.target.join(" "), node.failureSummary.replace(/\s+/g, " ")].join(" | "))))"""
FOCUS = """() => {
  const at = document.activeElement, style = getComputedStyle(at);
  const shown = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  const box = at.getBoundingClientRect();
  return [at === document.body, shown, box.width * box.height > 0, at.outerHTML.slice(0, 120)];
}"""
OPEN = ("/sign-in",)
LISTS = (
    "/",
    "/map",
    "/review",
    "/readings",
    "/readings/new",
    "/routes",
    "/accounts",
    "/cashier",
    "/tills",
    "/messages",
    "/devices",
    "/staff",
    "/staff/new",
    "/settings",
    "/search?q=A0002",
    "/me",
    "/me/second-factor",
    "/me/recovery-codes",
    "/me/password",
    "/nowhere",
)


@pytest.fixture
def pages(site: Site) -> list[str]:
    """The main pages, those of single things among them, with something on each."""
    point = site.world.points[1]
    held = key(site.app, site.clerk_id, site.world.points[0], 9000)
    done = key(site.app, site.clerk_id, point, 1200)
    walk(site.app, site.world)
    with site.app.app_context(), snapshot() as session:
        bill = session.execute(select(Bill.id)).scalar_one()
        message = session.execute(select(OutboxMessage.id)).scalars().first()
    ones = [
        f"/bills/{bill}",
        f"/messages/{message}",
        f"/review?item={_rejected(site)}",
        f"/readings/{held}",
        f"/readings/{done}",
        f"/accounts/{point.account_id}",
        f"/cashier/{point.account_id}",
        f"/routes/{site.world.route_id}",
        f"/devices/{site.world.device_id}",
        f"/staff/{site.clerk_id}",
    ]
    return [*LISTS, *ones]


def _rejected(site: Site) -> int:
    """A capture that could not be read, as it waits for review; the item's id."""
    bad = reading(site.world.points[2], "12O0")
    assert verdicts(Handheld(site.app, site.world.token).push(bad)) == ["rejected"]
    with site.app.app_context(), snapshot() as session:
        return session.execute(
            select(ReviewItem.id).where(ReviewItem.reason == "item.invalid")
        ).scalar_one()


def tab(chrome: Browser, site: Site, language: str, scheme: Any, width: int) -> Page:
    """A tab of an administrator; axe-core needs the page's policy out of its way."""
    with site.app.app_context(), transaction() as session:
        for person in session.scalars(select(Staff)):
            person.language = language
    context = chrome.new_context(
        base_url=site.address,
        viewport={"width": width, "height": 800},
        color_scheme=scheme,
        locale="en-US" if language == "en" else "zh-CN",
        bypass_csp=True,
    )
    return patient(context).new_page()


def _sign_in(page: Page) -> None:
    page.goto("/sign-in")
    page.fill("#identity", "admin")
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/")


def findings(page: Page, axe: str) -> list[str]:
    """What axe-core finds on the page as it stands."""
    page.evaluate(axe)
    found = page.evaluate(RULES)
    return [f"{page.url}: {text}" for text in found]


@pytest.mark.parametrize(
    ("language", "scheme", "width"),
    [
        ("en", "light", 1280),
        ("zh_Hans", "dark", 1280),
        ("zh_Hans", "light", 360),
        ("en", "dark", 360),
    ],
)
def test_no_page_has_a_finding(
    chrome: Browser, site: Site, pages: list[str], axe: str, language: str, scheme: str, width: int
) -> None:
    page = tab(chrome, site, language, scheme, width)
    found = []
    for path in OPEN:
        page.goto(path)
        found += findings(page, axe)
    _sign_in(page)
    for path in pages:
        page.goto(path)
        found += findings(page, axe)
    page.evaluate("document.querySelectorAll('details').forEach((menu) => { menu.open = true })")
    found += [text for text in findings(page, axe) if "target-size" not in text]
    page.context.close()
    assert not found, "\n".join(found)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_keyboard_reaches_what_it_shows(
    chrome: Browser, site: Site, pages: list[str], scheme: str
) -> None:
    page = tab(chrome, site, "en", scheme, 1280)
    _sign_in(page)
    for path in ("/review", "/readings/new", pages[-2], "/me"):
        page.goto(path)
        reached = 0
        for _ in range(60):
            page.keyboard.press("Tab")
            nowhere, shown, visible, what = page.evaluate(FOCUS)
            if nowhere:
                break
            reached += 1
            assert shown, (path, what)
            assert visible, (path, what)
        assert reached > 10, path
    page.context.close()
