"""Every example of the page about tariffs is what the program does, and the page names every field."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.cli import ScriptInfo

import server.billing
from config.settings import Settings
from server.app import create_app
from server.billing.cli import quote_command
from server.billing.rules.tariff import model, parse, read_content, read_text
from server.billing.rules.tariff.parse import FIELDS
from server.billing.service.tariffs import SHIPPED

PAGE = Path(server.billing.__file__).parent.parent.parent / "docs" / "tariffs.md"
TEXT = PAGE.read_text("utf-8")
EXAMPLES = re.findall(r"```yaml tariff\n(.*?)```\n\n```quote\n(.*?)```", TEXT, re.DOTALL)
ZHEJIANG = SHIPPED / "zhejiang-residential.yaml"


def quote(*arguments: object, make: Callable[[], Flask] = lambda: Flask("none")) -> Result:
    """Run the command with an application that knows no database."""
    given = [str(each) for each in arguments]
    return CliRunner().invoke(quote_command, given, obj=ScriptInfo(create_app=make))


def lines_of(result: Result) -> list[str]:
    """The lines of a quote as the page shows them."""
    told: dict[str, Any] = json.loads(result.output)
    shown = [
        " ".join(
            word
            for word in (
                line["component"],
                line["register"] if line["register"] not in (None, "total") else "",
                line["quantity"],
                line["price"],
                line["amount"],
            )
            if word
        )
        for line in told["lines"]
    ]
    return [*shown, f"total {told['total']}"]


@pytest.mark.parametrize(
    ("tariff", "quotes"), EXAMPLES, ids=re.findall(r"^code: (\S+)", TEXT, re.MULTILINE)
)
def test_an_example_of_the_page_costs_what_the_page_says(tariff, quotes, tmp_path):
    file = tmp_path / "tariff.yaml"
    file.write_text(tariff, "utf-8")
    told = re.split(r"^(?=--)", quotes, flags=re.MULTILINE)[1:]
    assert told
    for each in told:
        arguments, *expected = each.strip().splitlines()
        result = quote("--tariff", file, *shlex.split(arguments), "--json")
        assert result.exit_code == 0, result.output
        assert lines_of(result) == expected, arguments


def test_every_tariff_on_the_page_is_an_example_with_a_quote():
    assert len(EXAMPLES) == TEXT.count("```yaml tariff\n") == TEXT.count("```quote\n") >= 15


def test_the_page_names_every_field_and_choice():
    choices = {
        *model.KINDS,
        *model.BASES,
        *model.BLOCK_KINDS,
        *model.PER,
        *model.PART_MONTHS,
        *model.CHANGES,
        *model.NEW_ACCOUNT,
        *model.ROUNDING_MODES,
        *model.ROUNDING_ORDERS,
        *model.REGISTER_KINDS,
        model.SUM,
        *{path.name for path in SHIPPED.iterdir()},
    }
    assert [word for word in sorted(FIELDS | choices) if f"`{word}`" not in TEXT] == []


def test_a_quote_needs_no_database(tmp_path):
    nowhere = tmp_path / "missing" / "none.db"
    made = create_app(Settings(database_url=f"sqlite:///{nowhere}", secret_key="k" * 40))
    given = ("--quantity", 200, "--from", "2026-06-01", "--to", "2026-06-30")
    result = quote("--tariff", ZHEJIANG, *given, "--year-to-date", 2700, make=lambda: made)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1] == "total 114.60 CNY"
    assert "energy total 60 0.538 32.28 2700 30" in re.sub(" +", " ", result.output)
    assert not nowhere.exists()


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (("--to", "2026-05-31"), "quote.period"),
        (("--quantity", "much"), "quote.number"),
        (("--quantity", "0.1234567"), "quote.number"),
        (("--register", "night=3"), "quote.register"),
        (("--year-to-date", "year=3"), "quote.year"),
    ],
)
def test_a_quote_of_nonsense_is_refused_in_words(more, code):
    given = ("--quantity", 1, "--from", "2026-06-01", "--to", "2026-06-30")
    result = quote("--tariff", ZHEJIANG, *given, *more)
    assert result.exit_code == 1
    assert f"[{code}]" in result.output


def test_a_quote_says_what_the_tariff_charges_for():
    days = ("--from", "2026-06-01", "--to", "2026-06-30")
    assert "charges for: total" in quote("--tariff", ZHEJIANG, *days).output
    shared = SHIPPED / "zhejiang-shared-meter.yaml"
    result = quote("--tariff", shared, *days, "--quantity", 1, "--class", "industrial")
    assert "has no price for industrial" in result.output


def test_a_quote_by_a_bad_file_lists_every_mistake(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text(ZHEJIANG.read_text("utf-8").replace("0.538", "x").replace("CNY", "yuan"))
    result = quote("--tariff", file, "--quantity", 1, "--from", "2026-06-01", "--to", "2026-06-30")
    assert result.exit_code == 1
    assert "  currency: must be three capital letters such as CNY" in result.output
    assert "  components[0].tiers[0].price: 'x' is not a number such as 0.538" in result.output


def test_a_tariff_read_from_the_database_is_the_one_of_the_file():
    content = read_text(ZHEJIANG.read_text("utf-8"))
    (version,) = read_content(content).versions
    assert parse(json.loads(json.dumps(version.definition))) == version.tariff
