"""The console served to a real browser, on SQLite; the clock stands still as in other tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask import Flask
from flask_security.utils import hash_password
from playwright.sync_api import Browser, BrowserContext, Page, expect
from sqlalchemy import select
from werkzeug.serving import make_server

from server.db import transaction
from server.identity.models import Staff
from tests import chromium, world
from tests.console.office import hire

PASSWORD = "demo of a password"
# A busy machine draws slowly; what a page never shows is told a minute later.
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)
AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"


@dataclass
class Site:
    """The running console and what is in it."""

    app: Flask
    world: world.World
    address: str
    clerk_id: int


@pytest.fixture
def engine_url(sqlite_url: str) -> str:
    """The browser looks at one kind of database; the pages' tests look at both."""
    return sqlite_url


@pytest.fixture(scope="session")
def chrome() -> Iterator[Browser]:
    """One browser for all tests."""
    with chromium.launched() as browser:
        yield browser


@pytest.fixture(scope="session")
def axe() -> str:
    """The library's text."""
    if not AXE.exists():
        pytest.skip("axe-core is missing: install npm and run make vendor")
    return AXE.read_text(encoding="utf-8")


@pytest.fixture
def site(app: Flask) -> Iterator[Site]:
    """The console on a free port of this machine."""
    made = world.build(app, points=3)
    clerk_id = hire(app, "clerk", "billing_clerk")
    with app.app_context(), transaction() as session:
        for person in session.scalars(select(Staff).where(Staff.username.in_(["admin", "clerk"]))):
            person.password, person.language = hash_password(PASSWORD), "en"
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Site(app, made, f"http://127.0.0.1:{server.server_port}", clerk_id)
    server.shutdown()
    thread.join(timeout=60)


def patient(context: BrowserContext) -> BrowserContext:
    """The same context, whose pages wait as long as tests do."""
    context.set_default_timeout(PATIENCE_MS)
    return context


@pytest.fixture
def page(chrome: Browser, site: Site) -> Iterator[Page]:
    """A tab of its own; what a page reports as broken fails the test."""
    context = patient(
        chrome.new_context(base_url=site.address, viewport={"width": 1280, "height": 800})
    )
    tab = context.new_page()
    broken: list[str] = []
    tab.on("pageerror", lambda error: broken.append(str(error)))
    tab.on(
        "console",
        lambda said: broken.append(said.text) if "Content Security Policy" in said.text else None,
    )
    yield tab
    context.close()
    assert broken == []


def key_in(page: Page, text: str) -> None:
    """Type into the field that the page has put the cursor into; before it has, keys would be lost."""
    expect(page.locator("input:focus")).to_have_count(1)
    page.keyboard.type(text)


def sign_in(page: Page, username: str = "admin") -> None:
    """Sign in as a person does, with the keyboard alone."""
    page.goto("/sign-in")
    key_in(page, username)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Today")).to_be_visible()
    page.wait_for_load_state("load")
