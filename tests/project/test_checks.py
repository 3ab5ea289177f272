"""The checks of `make check` find what they are there to find, in small made-up projects."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from scripts.checks import docs, errors, house, pins, translations
from scripts.checks.commands import commands_page, without_help
from scripts.checks.settings import example_env, settings_page


def _write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


# --- pins ---------------------------------------------------------------------------------

PINNED = {
    "requirements.txt": "flask==3.1.3   # web\n\n# What those need\nclick==8.5.1\n",
    "requirements-dev.txt": "-r requirements.txt\n",
    "requirements-npm.txt": "",
    "package-lock.json": "{}",
}
BROUGHT_BY = {"flask": ["Flask"], "click": ["click"]}


def test_a_pinned_import_is_fine(tmp_path: Path) -> None:
    root = _write(tmp_path, {**PINNED, "server/app.py": "import os\nfrom flask import Flask\n"})
    assert pins.problems(root, BROUGHT_BY) == []


def test_an_import_that_only_comes_along_with_another_package_is_found(tmp_path: Path) -> None:
    root = _write(tmp_path, {**PINNED, "server/app.py": "import click\n"})
    (problem,) = pins.problems(root, BROUGHT_BY)
    assert "click is imported by server/app.py" in problem


def test_a_range_is_no_pin(tmp_path: Path) -> None:
    root = _write(tmp_path, {**PINNED, "requirements-dev.txt": "-r requirements.txt\nmypy>=2\n"})
    assert pins.problems(root, BROUGHT_BY) == ["requirements-dev.txt: mypy>=2 is not an exact pin"]


def test_a_lock_file_with_download_addresses_is_found(tmp_path: Path) -> None:
    root = _write(tmp_path, {**PINNED, "package-lock.json": '{"resolved": "x"}'})
    (problem,) = pins.problems(root, BROUGHT_BY)
    assert "download addresses" in problem


# --- house rules --------------------------------------------------------------------------


def test_a_commit_outside_the_one_place_is_found(tmp_path: Path) -> None:
    text = "def save(session):\n    session.commit()\n"
    root = _write(tmp_path, {"server/db.py": text, "server/billing/service.py": text})
    assert house.problems(root, []) == ["server/billing/service.py:2: only server/db commits"]


@pytest.mark.parametrize(
    "line",
    [
        "see /ro" + "ot/notes",
        "cd /wo" + "rk/main",
        "pip --index" + "-url x",
        "files.python" + "hosted",
    ],
)
def test_what_belongs_to_one_machine_is_found(tmp_path: Path, line: str) -> None:
    page = _write(tmp_path, {"README.md": f"fine\n{line}\n"}) / "README.md"
    (problem,) = house.problems(tmp_path, [page])
    assert problem.startswith("README.md:2: ")


def test_an_address_of_our_own_api_belongs_to_no_machine(tmp_path: Path) -> None:
    page = (
        _write(tmp_path, {"docs/api.md": "`/api/v1/work/12` and server/work/rules.py\n"})
        / "docs/api.md"
    )
    assert house.problems(tmp_path, [page]) == []


def test_a_function_nobody_can_read_at_once_is_found(tmp_path: Path) -> None:
    long = "def long():\n" + "    a = 1\n" * house.LONGEST_FUNCTION
    (problem,) = house.problems(_write(tmp_path, {"server/x.py": long}), [])
    assert problem == "server/x.py:1: long has 61 lines; split it"


# --- docs ---------------------------------------------------------------------------------


def test_a_link_to_a_missing_page_or_heading_is_found(tmp_path: Path) -> None:
    text = "[a](docs/a.md#the-way-of-a-reading) [b](docs/b.md) [c](docs/a.md#none) [d](https://example.org)\n"
    root = _write(tmp_path, {"README.md": text, "docs/a.md": "# The way of `a` reading\n"})
    assert list(docs.broken_links(root, [root / "README.md"])) == [
        "README.md: the link to docs/b.md leads nowhere",
        "README.md: docs/a.md#none has no such heading",
    ]


def test_a_link_in_a_code_block_is_no_link(tmp_path: Path) -> None:
    root = _write(tmp_path, {"README.md": "```\n[a](nowhere.md)\n```\n"})
    assert list(docs.broken_links(root, [root / "README.md"])) == []


def test_a_made_page_that_differs_from_the_code_is_found(tmp_path: Path) -> None:
    root = _write(tmp_path, {"docs/a.md": "old"})
    pages = {root / "docs" / "a.md": "new", root / "docs" / "b.md": "new"}
    assert [problem.partition(" ")[0] for problem in docs.stale_pages(pages, root)] == [
        "docs/a.md",
        "docs/b.md",
    ]


def test_every_error_is_listed_with_its_status_and_sentence(tmp_path: Path) -> None:
    text = """
class DomainError(Exception):
    status = 409
class NotFound(DomainError):
    status: int = 404
class Conflict(DomainError):
    pass
def find(number):
    raise NotFound("route.unknown", f"There is no route {number}.")
def close():
    raise Conflict(code="route.closed", message="It is closed.")
def other():
    raise DomainError("route.gone", sentence(), status=410)
"""
    root = _write(tmp_path, {"server/rounds/service.py": text})
    assert errors.raised_errors(root) == {
        errors.Raised("route.unknown", 404, "There is no route …."),
        errors.Raised("route.closed", 409, "It is closed."),
        errors.Raised("route.gone", 410, ""),
    }
    assert "| `route.gone` | 410 | – |" in errors.errors_page(root)


def test_every_setting_is_on_the_page_and_in_the_example() -> None:
    for text in (settings_page(), example_env()):
        assert "FIELDBELL_DATABASE_URL" in text
        assert "sqlite:///var/fieldbell.db" in text


def test_a_command_of_a_group_is_listed_with_its_options() -> None:
    load = click.Command(
        "load", help="Load the demo.", params=[click.Option(["--small"], help="Few customers.")]
    )
    page = commands_page({"flask demo load": load})
    assert "## `flask demo load`" in page
    assert "| `--small` | Few customers. |" in page


def test_a_command_without_help_is_found() -> None:
    bare = click.Command("bare", params=[click.Option(["--quiet"])])
    assert list(without_help({"flask bare": bare})) == [
        "`flask bare` has no help",
        "`flask bare --quiet` has no help",
    ]


# --- translations -------------------------------------------------------------------------

CODE = 'title = _("Today")\nwrong = _("%(n)s readings", n=3)\n'
MAPPING = "[python: server/**.py]\n"
CATALOGUE = "server/translations/zh_Hans/LC_MESSAGES/messages.po"
EMPTY = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n'


def _translated(root: Path, today: str, readings: str, flag: str = "") -> Path:
    catalogue = f'{EMPTY}\n{flag}msgid "Today"\nmsgstr "{today}"\n\n#, python-format\nmsgid "%(n)s readings"\nmsgstr "{readings}"\n'
    _write(root, {"config/babel.cfg": MAPPING, "server/page.py": CODE, CATALOGUE: catalogue})
    translations._write(root / translations.TEMPLATE, translations.collect(root))
    return root


def test_a_whole_translation_is_fine(tmp_path: Path) -> None:
    assert translations.problems(_translated(tmp_path, "今天", "%(n)s 条读数")) == []


@pytest.mark.parametrize(
    ("today", "readings", "flag", "word"),
    [
        ("", "%(n)s 条读数", "", "not translated"),
        ("今天", "%(n)s 条读数", "#, fuzzy\n", "fuzzy"),
        ("今天", "%(m)s 条读数", "", "'%(n)s readings'"),
    ],
    ids=["missing", "fuzzy", "wrong placeholder"],
)
def test_a_doubtful_translation_is_found(
    tmp_path: Path, today: str, readings: str, flag: str, word: str
) -> None:
    (problem, *_) = translations.problems(_translated(tmp_path, today, readings, flag))
    assert word in problem


def test_a_text_that_was_never_collected_is_found_and_update_collects_it(tmp_path: Path) -> None:
    root = _translated(tmp_path, "今天", "%(n)s 条读数")
    (root / "server" / "new.py").write_text('title = _("Review")\n')
    found = translations.problems(root)
    assert found == [
        "server/translations/messages.pot: lacks 'Review': make translations",
        f"{CATALOGUE}: lacks 'Review': make translations",
    ]
    translations.update(root)
    assert translations.problems(root) == [f"{CATALOGUE}: 'Review' is not translated"]


def test_translations_survive_an_update(tmp_path: Path) -> None:
    root = _translated(tmp_path, "今天", "%(n)s 条读数")
    translations.update(root)
    assert "今天" in (root / CATALOGUE).read_text()
