"""Tariff files: what is read from them, and every mistake of a bad one, listed at once."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from server.billing.rules.tariff import parse, read_content, read_text
from server.errors import Invalid

GOOD = """
code: t
name: T
valid_from: 2026-01-01
definition:
  currency: CNY
  components:
    - {code: energy, price: 0.10000}
"""


def mistakes(content: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        read_content(content)
    assert caught.value.code == "tariff.invalid"
    found = caught.value.details["mistakes"]
    assert len({(each["where"], each["what"]) for each in found}) == len(found)
    return {each["where"]: each["what"] for each in found}


def unreadable(text: str) -> str:
    with pytest.raises(Invalid) as caught:
        read_text(text)
    assert caught.value.code == "tariff.file"
    return caught.value.message


def test_yaml_and_json_say_the_same():
    content = read_text(GOOD)
    assert read_content(read_text(json.dumps(content))) == read_content(content)


def test_no_digit_of_a_number_is_lost():
    for text in (GOOD, json.dumps(read_text(GOOD)).replace('"0.10000"', "0.10000")):
        content = read_text(text.replace("0.10000", "0.538001"))
        (version,) = read_content(content).versions
        assert version.definition["components"][0]["price"] == "0.538001"
        assert version.tariff.components[0].tiers[0].price == Decimal("0.538001")


def test_versions_of_a_file_follow_each_other():
    body = {"currency": "CNY", "components": [{"code": "energy", "price": "1"}]}
    days = ("2026-07-01", "2026-01-01")
    content = {
        "code": "t",
        "name": "T",
        "versions": [{"valid_from": day, "definition": body} for day in days],
    }
    first, second = read_content(content).dated()
    assert (first.valid_from, first.valid_to) == (date(2026, 1, 1), date(2026, 6, 30))
    assert (second.valid_from, second.valid_to) == (date(2026, 7, 1), None)


def test_every_mistake_of_a_bad_file_is_listed_with_its_place():
    content = read_text(
        """
        code: ""
        valid_from: 2026-13-01
        shade: red
        definition:
          currency: yuan
          colour: red
          change: sometimes
          rounding: {exponent: 9, mode: up, order: none, places: 2}
          seasons:
            summer: {from: 06-31, to: 09-30}
            autumn: {from: 09-01, to: 11-30}
          components:
            - {code: energy, register: gas, basis: week, tiers: [{up_to: 10}, {up_to: 5, price: 1.2.3}]}
            - {code: energy, price: -1, blocks: round, new_account: twelfths}
            - {code: peak, prices: {total: 1}, register: peak, season: winter}
            - {code: year, basis: calendar_year, register: flat, blocks: slab, tiers: [
                {up_to: 10, amount: 5}, {up_to: 8, price: 1}, {price: 0.1234567}]}
            - {code: other, basis: calendar_year, register: total, price: 1, normal_days: 30}
            - {code: rent, kind: fixed, price: 5}
            - {code: vat, kind: tax, percent: 13, of: [nobody], each_line: perhaps}
            - {code: least, kind: minimum, per: week}
            - {code: rounding, price: 1, allowances: [{persons: 0}]}
            - {kind: gift, price: 1_000, classes: [""]}
            - energy
        """
    )
    found = mistakes(content)
    assert set(found) == {
        "code",
        "name",
        "valid_from",
        "file",
        "tariff",
        "currency",
        "change",
        "rounding",
        "rounding.exponent",
        "rounding.mode",
        "rounding.order",
        "seasons",
        "seasons.summer.from",
        "components",
        "components[0].register",
        "components[0].basis",
        "components[0].tiers[0].price",
        "components[0].tiers[1].price",
        "components[0].tiers[1].up_to",
        "components[0].tiers",
        "components[1].price",
        "components[1].blocks",
        "components[1].new_account",
        "components[2].prices",
        "components[2].season",
        "components[3].blocks",
        "components[3].tiers",
        "components[3].tiers[2].price",
        "components[4].normal_days",
        "components[5].per",
        "components[6].of",
        "components[6].each_line",
        "components[7].amount",
        "components[7].per",
        "components[8].allowances[0].persons",
        "components[8].allowances[0]",
        "components[9].kind",
        "components[9].code",
        "components[9].price",
        "components[9].classes[0]",
        "components[10]",
    }
    assert found["components[1].price"] == "must not be negative"
    assert found["components[3].tiers[2].price"] == "has more than 6 decimal places"


@pytest.mark.parametrize(
    ("more", "where", "what"),
    [
        ({"versions": []}, "versions", "at least one"),
        ({"definition": None}, "definition", "is missing"),
        ({"definition": []}, "tariff", "must be a mapping"),
        ({"definition": {"currency": "CNY"}}, "components", "at least one"),
        ({"definition": {"currency": "CNY", "components": "x"}}, "components", "must be a list"),
    ],
)
def test_a_file_without_its_parts_says_which(more, where, what):
    assert what in mistakes({**read_text(GOOD), **more})[where]


def test_mistakes_of_a_later_version_name_it():
    body = {"currency": "CNY", "components": [{"code": "energy", "price": "free"}]}
    versions = [{"valid_from": "2026-01-01", "definition": body}] * 2
    found = mistakes({"code": "t", "name": "T", "versions": versions})
    assert set(found) == {
        "versions",
        "versions[0].definition.components[0].price",
        "versions[1].definition.components[0].price",
    }


def test_energy_without_a_price_in_some_season_is_a_mistake():
    seasons = {"summer": {"from": "06-01", "to": "09-30"}}
    energy = {"code": "energy", "price": "1", "season": "summer"}
    with pytest.raises(Invalid) as caught:
        parse({"currency": "CNY", "seasons": seasons, "components": [energy]})
    (mistake,) = caught.value.details["mistakes"]
    assert mistake["where"] == "seasons"
    assert "no price on 01-01" in mistake["what"]


@pytest.mark.parametrize(
    "raw", [0.1, True, "1e3", "1_0", "0,5", "½", "", "NaN", "0x10", "1 0", "-"]
)
def test_what_is_not_plainly_a_number_is_none(raw):
    with pytest.raises(Invalid) as caught:
        parse({"currency": "CNY", "components": [{"code": "energy", "price": raw}]})
    assert caught.value.details["mistakes"][0]["where"] == "components[0].price"


def test_a_field_that_is_there_twice_is_refused():
    assert "'code' is there twice" in unreadable("code: a\ncode: b\n")
    assert "'code' is there twice" in unreadable('{"code": "a", "code": "b"}')


def test_a_file_that_is_no_tariff_is_refused_in_words():
    assert "aliases" in unreadable("a: &a [x]\nb: *a\n")
    assert "line 1" in unreadable("a: [")
    assert "mapping" in unreadable("- a\n")
    assert "cannot be read" in unreadable("{")
    assert "characters" in unreadable("a: " + "x" * 300_000)
    assert "cannot be read" in unreadable("[" * 5000)
    assert "cannot be read" in unreadable('{"a": ' * 200_00)


def test_tags_make_no_objects():
    content = read_text("code: !!python/object/apply:os.system ['true']\nname: !!binary aGk=\n")
    assert content == {"code": ["true"], "name": "aGk="}
