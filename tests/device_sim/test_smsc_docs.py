"""The page about the SMS centre names what there is."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from device_sim.smsc import behaviour
from device_sim.smsc.writing import Draft

PAGE = (Path(__file__).parents[2] / "docs" / "sms-centre.md").read_text()


@pytest.mark.parametrize("name", [behaviour.name_of(found) for found in behaviour.options()])
def test_every_option_stands_on_the_page(name: str) -> None:
    assert f"`{name.replace('_', '-')}`" in PAGE


@pytest.mark.parametrize("name", [found.name for found in fields(Draft)])
def test_every_field_of_a_text_stands_on_the_page(name: str) -> None:
    assert f"`{name}`" in PAGE
