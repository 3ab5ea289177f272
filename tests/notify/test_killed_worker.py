"""A worker killed again and again under load: what must arrive arrives, what must not double does not."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.notify import killing

pytestmark = [pytest.mark.e2e, pytest.mark.never_again]


def test_a_worker_killed_under_load_loses_no_bill_and_doubles_no_text(
    outbox: Flask, engine_url: str
) -> None:
    books = killing.run(engine_url, kills=3, window=5, texts=200)
    assert not books.wrong()
    assert max(books.shown.values()) <= 4, "a bill is sent again after each crash, not for ever"
