"""Tariff files: YAML or JSON text in, dated versions or the list of all mistakes out.

Numbers are read as text, so that no digit is lost on the way through a binary float.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import yaml

from server.billing.rules.tariff.mistakes import Mistakes
from server.billing.rules.tariff.model import Tariff, Version
from server.billing.rules.tariff.parse import read
from server.errors import Invalid

LARGEST_FILE = 256 * 1024
"""The most characters a tariff file may have."""


@dataclass(frozen=True, slots=True)
class FileVersion:
    """A version as a file tells it: from which day, the data as written, and what it means."""

    valid_from: date
    definition: Mapping[str, Any]
    tariff: Tariff


@dataclass(frozen=True, slots=True)
class TariffFile:
    """A tariff file: its code, its name, its versions by the day they begin."""

    code: str
    name: str
    versions: tuple[FileVersion, ...]

    def dated(self) -> list[Version]:
        """The versions ready to price with, numbered from 1; each ends before the next."""
        ends = [each.valid_from - timedelta(days=1) for each in self.versions[1:]]
        return [
            Version(number, each.valid_from, end, each.tariff)
            for number, (each, end) in enumerate(
                zip(self.versions, [*ends, None], strict=True), start=1
            )
        ]


def read_text(text: str) -> dict[str, Any]:
    """The data in a YAML or JSON text, its numbers as text.

    Raises:
        Invalid: ``tariff.file`` when it is no such text.
    """
    if len(text) > LARGEST_FILE:
        raise Invalid("tariff.file", f"A tariff file has at most {LARGEST_FILE} characters.")
    try:
        if text.lstrip().startswith("{"):
            content = json.loads(
                text, parse_float=str, parse_int=str, object_pairs_hook=_without_twins
            )
        else:
            content = yaml.load(text, Loader=_TextLoader)  # noqa: S506 - makes texts only
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        told = " ".join(str(error).split()) or "it is nested too deeply"
        raise Invalid("tariff.file", f"The file cannot be read: {told}") from error
    if not isinstance(content, dict):
        raise Invalid("tariff.file", "The file must hold a mapping with code, name and versions.")
    return content


def read_content(content: Any) -> TariffFile:
    """Read what a tariff file holds.

    Raises:
        Invalid: ``tariff.invalid`` with every mistake as {"where", "what"} in the details.
    """
    found = Mistakes()
    fields = {"code", "name", "versions", "valid_from", "definition"}
    raw = found.mapping("file", content, fields)
    code = found.word("code", raw.get("code"))
    name = found.word("name", raw.get("name"), 120)
    versions = _versions(raw, found)
    found.refuse()
    return TariffFile(code, name, tuple(sorted(versions, key=lambda each: each.valid_from)))


def _versions(raw: Mapping[str, Any], found: Mistakes) -> list[FileVersion]:
    if "versions" not in raw:
        return [_version(raw, found, "")]
    if {"valid_from", "definition"} & set(raw):
        found.wrong("versions", "stands beside valid_from and definition: only one of the two")
    entries = found.listing("versions", raw["versions"])
    versions = []
    for i, each in enumerate(entries):
        where = f"versions[{i}]"
        versions.append(
            _version(found.mapping(where, each, {"valid_from", "definition"}), found, f"{where}.")
        )
    days = [each.valid_from for each in versions]
    for day in sorted({day for day in days if days.count(day) > 1}):
        found.wrong("versions", f"two of them begin on {day}")
    return versions


def _version(raw: Mapping[str, Any], found: Mistakes, at: str) -> FileVersion:
    start = found.day(f"{at}valid_from", raw.get("valid_from"))
    definition = raw.get("definition")
    prefix = f"{at}definition" if at else ""
    if definition is None:
        found.wrong(f"{at}definition", "is missing")
        return FileVersion(start, {}, Tariff("", ()))
    tariff = read(definition, found, prefix)
    return FileVersion(start, definition if isinstance(definition, Mapping) else {}, tariff)


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twin!r} is there twice in one mapping")
    return found


class _TextLoader(yaml.BaseLoader):
    """Makes mappings, lists and texts only; refuses aliases and fields that are there twice."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse an alias: a few of them can stand for billions of values."""
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases cannot be used here")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a field that is there twice."""
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                what = f"{name!r} is there twice in one mapping"
                raise yaml.constructor.ConstructorError(None, None, what, key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)
