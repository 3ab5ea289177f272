"""The page of the simulated SMS centre in a real browser: phones that are read and written on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from device_sim.smsc.behaviour import Behaviour
from device_sim.smsc.centre import Centre
from device_sim.smsc.desk import Desk
from device_sim.smsc.door import Door
from device_sim.smsc.phones import Phones
from tests.browser.conftest import patient
from tests.browser.test_accessibility import findings
from tests.device_sim.esme import Esme

pytestmark = pytest.mark.browser


@pytest.fixture
def centre() -> Iterator[Centre]:
    behaviour = Behaviour(accounts=(("peer", "peer"),), delay=(0.0, 0.0))
    made = Centre(Phones(), behaviour, "127.0.0.1", 0)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def address(centre: Centre) -> Iterator[str]:
    door = Door(Desk(centre), "127.0.0.1", 0)
    serving = threading.Thread(target=door.serve_forever, args=(0.02,))
    serving.start()
    yield f"http://127.0.0.1:{door.server_address[1]}/"
    door.shutdown()
    serving.join()
    door.server_close()


def opened(chrome: Browser, address: str, width: int, **more: Any) -> Page:
    """The page in a tab whose errors are kept in ``broken``."""
    context = chrome.new_context(viewport={"width": width, "height": 800}, **more)
    page = patient(context).new_page()
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    page.goto(address)
    return page


def test_a_text_is_read_and_answered_on_the_page(
    chrome: Browser, centre: Centre, address: str
) -> None:
    with Esme(centre.port) as client:
        page = opened(chrome, address, 1280, locale="zh-CN")
        expect(page.get_by_text("还没有短信")).to_be_visible()
        text = "户号1，电费2元。"
        client.submit(short_message=text.encode("utf-16-be"), data_coding=8)
        phone = page.get_by_role("article").filter(has_text="+86 120 0000 0001")
        expect(phone.get_by_text(text)).to_be_visible()
        phone.get_by_role("textbox").fill("查")
        phone.get_by_role("textbox").press("Enter")
        heard = client.hear(2)[-1]
        assert heard.short_message.decode("utf-16-be") == "查"
        expect(phone.get_by_text("已收妥")).to_be_visible()
        page.get_by_role("button", name="慢运营商").click()
        expect(page.locator("#faults summary", has_text="限速").locator("b")).to_have_text("1")
        assert centre.behaviour.rate == 100
        page.get_by_role("button", name="断开").click()
        assert client.read() is None
        page.context.close()


@pytest.mark.parametrize(
    ("width", "locale", "scheme"), [(1280, "en-GB", "dark"), (360, "zh-CN", "light")]
)
def test_no_view_of_it_has_a_finding_or_runs_over(
    chrome: Browser, centre: Centre, address: str, axe: str, width: int, locale: str, scheme: Any
) -> None:
    with Esme(centre.port) as client:
        client.submit("hello", registered_delivery=0)
        page = opened(chrome, address, width, locale=locale, color_scheme=scheme)
        page.emulate_media(reduced_motion="reduce", color_scheme=scheme)
        expect(page.get_by_text("hello")).to_be_visible()
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        page.locator(".reply .round").first.click()
        found = findings(page, axe)
        for view in ("binds", "faults") if width < 900 else ():
            page.click(f"nav [data-view={view}]")
            found += findings(page, axe)
        assert found == [], "\n".join(found)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.context.close()
