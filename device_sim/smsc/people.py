"""People with phones: what they answer to texts, and what they write by themselves.

A script is JSON: a list of groups, each with the numbers it is about, rules, and chatter.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from device_sim.smsc import kinds
from device_sim.smsc.writing import Draft

if TYPE_CHECKING:
    from device_sim.smsc.desk import Desk

_LONGEST = 2000


class BadScript(ValueError):
    """A script that cannot be read; says where."""


@dataclass(frozen=True)
class Rule:
    """An answer to texts that match `when`; with `nth` only to the nth of them."""

    when: re.Pattern[str]
    answer: tuple[str, ...]
    after: tuple[float, float] = (1.0, 4.0)
    chance: float = 1.0
    nth: int = 0
    to: str = ""


@dataclass(frozen=True)
class Chatter:
    """Texts that people of a group write unasked, one after each `every`."""

    every: tuple[float, float]
    texts: tuple[str, ...]
    to: str = ""


@dataclass(frozen=True)
class Group:
    """The people whose numbers lie between `first` and `last`."""

    first: int
    last: int
    rules: tuple[Rule, ...] = ()
    chatter: Chatter | None = None


@dataclass
class People:
    """Lets the phones of a centre answer and write as their script says."""

    desk: Desk
    groups: tuple[Group, ...]
    _heard: Counter[tuple[str, int]] = field(default_factory=Counter)

    def start(self) -> None:
        """Listen to the phones and begin to write. Raises BadScript for numbers that are no phones."""
        for group in self.groups:
            if not all(
                self.desk.centre.behaviour.serves(str(n)) for n in (group.first, group.last)
            ):
                raise BadScript(f"{group.first}-{group.last} are not all phones of this centre")
        self.desk.phones.heard = self.heard
        for group in self.groups:
            if group.chatter is not None:
                self._wait(group, group.chatter)

    def heard(self, phone: str, sender: str, text: str) -> None:
        """A phone has received a text: its first fitting rule answers."""
        number = int(phone.removeprefix("+"))
        for group in self.groups:
            if group.first <= number <= group.last and self._answer(group, phone, sender, text):
                return

    def _answer(self, group: Group, phone: str, sender: str, text: str) -> bool:
        for rule in group.rules:
            found = rule.when.search(text)
            if found is None or not self._fires(rule, phone):
                continue
            row = self.desk.centre.chance.row("people")
            answer = found.expand(row.choice(rule.answer))
            after = row.uniform(*rule.after)
            to = rule.to or sender
            if re.fullmatch(r"\+?[0-9]+", to):  # nobody can answer a name
                self.desk.send(phone, Draft(answer, to=to, after=after))
            return True
        return False

    def _fires(self, rule: Rule, phone: str) -> bool:
        key = phone, id(rule)
        self._heard[key] += 1
        if rule.nth and self._heard[key] != rule.nth:
            return False
        return rule.chance >= 1 or self.desk.centre.chance.hit("people", rule.chance)

    def _wait(self, group: Group, chatter: Chatter) -> None:
        seconds = self.desk.centre.chance.row("chatter").uniform(*chatter.every)
        self.desk.centre.later(seconds, lambda: self._chat(group, chatter))

    def _chat(self, group: Group, chatter: Chatter) -> None:
        row = self.desk.centre.chance.row("chatter")
        phone = str(row.randint(group.first, group.last))
        self.desk.send(phone, Draft(row.choice(chatter.texts), to=chatter.to))
        self._wait(group, chatter)


def read_script(path: Path) -> tuple[Group, ...]:
    """The groups of a script. Raises BadScript."""
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise BadScript(f"{path}: {problem}") from problem
    if not isinstance(given, list):
        raise BadScript(f"{path}: a script is a list of groups")
    return tuple(
        _guarded(f"{path}, group {number}", _group, group)
        for number, group in enumerate(given, start=1)
    )


def _guarded(place: str, read: Any, given: Any) -> Any:
    """Read one part of a script. Raises BadScript that names the place."""
    try:
        return read(given)
    except BadScript as problem:
        raise BadScript(f"{place}, {problem}") from None
    except KeyError as missing:
        raise BadScript(f"{place}: {missing.args[0]} is missing") from None
    except (TypeError, ValueError, AttributeError, re.error) as problem:
        raise BadScript(f"{place}: {problem}") from None


def _group(given: Mapping[str, Any]) -> Group:
    _only(given, "numbers", "rules", "chatter", "note")
    first, _, last = str(given["numbers"]).replace("+", "").partition("-")
    rules = tuple(
        _guarded(f"rule {number}", _rule, rule)
        for number, rule in enumerate(given.get("rules", ()), start=1)
    )
    chatter = given.get("chatter")
    return Group(
        int(first),
        int(last or first),
        rules,
        _guarded("chatter", _chatter, chatter) if chatter else None,
    )


def _rule(given: Mapping[str, Any]) -> Rule:
    _only(given, "when", "answer", "after", "chance", "nth", "to")
    when, answers = re.compile(given["when"], re.IGNORECASE), _texts(given["answer"])
    for answer in answers:
        when.sub(answer, "")  # complains of a group that is not there
    return Rule(
        when,
        answers,
        kinds.SECONDS.read(given.get("after", "1-4")),
        kinds.SHARE.read(given.get("chance", 1)),
        kinds.COUNT.read(given.get("nth", 0)),
        str(given.get("to", "")),
    )


def _chatter(given: Mapping[str, Any]) -> Chatter:
    _only(given, "every", "texts", "to")
    every = kinds.SECONDS.read(given["every"])
    if every[0] <= 0:
        raise ValueError("every: must be more than 0 seconds")
    return Chatter(every, _texts(given["texts"]), str(given.get("to", "")))


def _texts(given: Any) -> tuple[str, ...]:
    texts = tuple([given] if isinstance(given, str) else given)
    if not texts or not all(isinstance(text, str) and 0 < len(text) <= _LONGEST for text in texts):
        raise ValueError(f"give a text or a list of texts of at most {_LONGEST} characters")
    return texts


def _only(given: Mapping[str, Any], *known: str) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: there is no such field")
