"""The page of promises names tests; a renamed test must not leave a promise without one."""

from __future__ import annotations

import re

from tests.notify.conftest import ROOT

_PAGE = ROOT / "docs" / "sending.md"


def test_every_promise_names_tests_that_exist() -> None:
    rows = [line for line in _PAGE.read_text().splitlines() if line.startswith("| ")]
    tested = [re.findall(r"`(test_\w+)`", row) for row in rows if "`" in row or row[2:3].isdigit()]
    assert all(tested), "every row names a test"
    assert len(tested) > 30
    exist = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)
    }
    assert {name for names in tested for name in names} <= exist
