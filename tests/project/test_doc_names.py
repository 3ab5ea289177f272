"""The check of names in the docs, held against small examples."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.checks import names


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {
        "Makefile": "run: x ## Start\n",
        "server/feed.py": "def touch(): ...\n",
        "server/review.py": "class Way: ...\n",
        "server/shop/models.py": '__tablename__ = "shop"\n',
        "server/capture/parse.py": 'def f():\n    _BadItemError("item.nul", "x", "gps.lat")\n',
        "server/shop/checks.py": 'MESSAGES = {"reading.high": "x"}\n',
        "server/jobs.py": 'JOBS = (Job("shop.close", 1),)\n',
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def wrong(root: Path, text: str) -> list[str]:
    page = root / "README.md"
    page.write_text(text, encoding="utf-8")
    found = names.unknown_names(root, [page], frozenset({"FIELDBELL_BIND"}))
    return [problem.removeprefix("README.md: ") for problem in found]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("`server/gone.py`", "there is no server/gone.py"),
        ("`vanished()`", "nothing is called vanished()"),
        ("`feed.Way()`", "nothing is called feed.Way()"),
        ("`server/feed.py`, `Way()`", "nothing is called Way() in server/feed.py"),
        ("FIELDBELL_COLOUR", "FIELDBELL_COLOUR is not a setting"),
        ("`make coffee`", "there is no `make coffee`"),
        ("```json\n{'a'}\n```", "an example is not JSON: \"{'a'}\\n\""),
    ],
)
def test_a_name_that_belongs_to_nothing_is_a_problem(root: Path, text: str, problem: str) -> None:
    assert wrong(root, text) == [problem]


def test_names_that_exist_are_none(root: Path) -> None:
    text = (
        "`server/feed.py`, `touch()`\n\n`Way()`, `make run`, `FIELDBELL_BIND`\n\n```json\n{}\n```\n"
    )
    assert wrong(root, text) == []


def test_each_row_of_a_table_is_read_by_itself(root: Path) -> None:
    rows = "| `server/feed.py` | `touch()` |\n| `server/review.py` | `touch()` |\n"
    assert wrong(root, rows) == ["nothing is called touch() in server/review.py"]


def test_tables_jobs_and_verdict_codes_stand_on_their_pages(root: Path) -> None:
    (root / "docs").mkdir()
    (root / "docs/data-model.md").write_text("nothing", encoding="utf-8")
    (root / "docs/sync-protocol.md").write_text("`item.nul`", encoding="utf-8")
    (root / "docs/architecture.md").write_text("`server/feed.py`", encoding="utf-8")
    assert list(names.unlisted(root)) == [
        "docs/data-model.md: the table shop is not on it",
        "docs/operations.md: the job shop.close is not on it",
        "docs/sync-protocol.md: the verdict code reading.high is not on it",
        "docs/architecture.md: the part server/jobs.py is not on it",
        "docs/architecture.md: the part server/review.py is not on it",
    ]
