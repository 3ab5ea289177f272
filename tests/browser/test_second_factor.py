"""The second factor as a person meets it: set up, codes kept, signed in again; with the page's policy."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import PASSWORD, Site, key_in, sign_in
from tests.browser.test_accessibility import findings, tab
from tests.console.test_second_factor import code_of, wait

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def go_through(page: Page, seen: Callable[[], None]) -> None:
    """Set it up, make recovery codes, leave, come back with a code; ``seen`` looks at each page."""
    sign_in(page)
    page.goto("/me/second-factor")
    page.get_by_role("button", name="Set it up").click()
    picture = page.get_by_alt_text("QR code with the key below")
    expect(picture).to_be_visible()
    assert picture.evaluate("picture => picture.complete && picture.naturalWidth > 0")
    seen()
    key = page.locator("p.mono").inner_text()
    key_in(page, code_of(key))
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("The second factor is on.")
    seen()
    page.get_by_role("link", name="Recovery codes").click()
    page.get_by_role("button", name="Make recovery codes").click()
    expect(page.locator("#codes li")).to_have_count(10)
    seen()
    page.get_by_role("link", name="I have kept them").click()
    page.context.clear_cookies()
    wait(60)
    page.goto("/sign-in")
    page.fill("#identity", "admin")
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Code from your phone")).to_be_visible()
    key_in(page, "000000")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("wrong or has been used")
    seen()
    page.get_by_role("link", name="Use a recovery code instead").click()
    expect(page.get_by_role("heading", name="Recovery code")).to_be_visible()
    seen()
    page.get_by_role("link", name="Use the code from the phone").click()
    expect(page.get_by_role("heading", name="Code from your phone")).to_be_visible()
    key_in(page, code_of(key))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Today")).to_be_visible()


def test_it_works_under_the_policy_of_the_pages(page: Page) -> None:
    go_through(page, lambda: None)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_its_pages_have_no_finding(
    chrome: Browser, site: Site, axe: str, scheme: str, width: int
) -> None:
    page = tab(chrome, site, "en", scheme, width)
    found: list[str] = []
    go_through(page, lambda: found.extend(findings(page, axe)))
    page.context.close()
    assert not found, "\n".join(found)
