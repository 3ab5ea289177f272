"""The machine's own Chromium, driven by Playwright, for tests that look at pages as a person does.

Playwright's downloads are not used. Without a Chromium a browser test is skipped, unless
FIELDBELL_REQUIRE_BROWSER says that it must not.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# No sandbox: containers and root have none. The rest keeps Chromium from calling home.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


def executable() -> str:
    """The path of the machine's Chromium; skips or fails the test that asks where there is none."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found:
        return found
    missing = "There is no Chromium: install Debian's package `chromium`."
    if os.environ.get("FIELDBELL_REQUIRE_BROWSER", "") not in ("", "0"):
        pytest.fail(missing)
    pytest.skip(missing)


@contextmanager
def launched() -> Iterator[Browser]:
    """A headless browser that ends with the block."""
    path = executable()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS, timeout=60_000)
        try:
            yield browser
        finally:
            browser.close()
