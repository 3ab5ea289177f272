"""Which command a text is: the whole of it, or none. Nothing is guessed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from server.commands.rules.words import word, words

# What a command makes of the words behind its keyword.
Arguments = Mapping[str, Any]
Takes = Callable[[tuple[str, ...]], Arguments]
OpenTo = Literal["registered", "anyone"]

_ATTACHED = re.compile("[0-9A-Z][0-9A-Z-]*")
_ACCOUNT_NO = re.compile("[0-9A-Z][0-9A-Z_/-]{0,39}")
_SHOWN = 12


class NoMatch(Exception):
    """The words behind the keyword make another text of it: it is no command at all."""


class BadToken(Exception):
    """It is the command, and `token` is what is wrong with it."""

    def __init__(self, token: str) -> None:
        super().__init__(token)
        self.token = token


@dataclass(frozen=True)
class Command:
    """A command: the words that begin it, what may follow them, who may use it, how it is written.

    `use` shows the writing and `purpose` what it is for, by language.
    """

    name: str
    keywords: tuple[str, ...]
    takes: Takes
    open_to: OpenTo
    use: Mapping[str, str]
    purpose: Mapping[str, str]


@dataclass(frozen=True)
class Parsed:
    """A text that is a command; `bad` is the word that keeps it from being carried out."""

    command: Command
    arguments: Arguments = field(default_factory=dict)
    bad: str | None = None


def index(commands: Iterable[Command]) -> dict[str, Command]:
    """Commands by keyword.

    Raises ValueError for a keyword that is not one word, or that two commands share.
    """
    found: dict[str, Command] = {}
    for command in commands:
        for keyword in command.keywords:
            name = word(keyword)
            if words(name) != (name,):
                raise ValueError(f"{keyword!r} of {command.name} is not one word")
            if name in found:
                raise ValueError(f"{keyword!r} is of {found[name].name} and of {command.name}")
            found[name] = command
    return found


def parse(text: str, keywords: Mapping[str, Command]) -> Parsed | None:
    """The command a text is, or None. Never raises."""
    said = words(text)
    if not said:
        return None
    found, rest = _begins(said, keywords)
    if found is None:
        return None
    try:
        return Parsed(found, found.takes(rest))
    except NoMatch:
        return None
    except BadToken as problem:
        return Parsed(found, bad=problem.token[:_SHOWN])


def _begins(
    said: tuple[str, ...], keywords: Mapping[str, Command]
) -> tuple[Command | None, tuple[str, ...]]:
    """The command that the first word names, and the words behind; a number may cling to a Chinese word."""
    first = word(said[0])
    if first in keywords:
        return keywords[first], said[1:]
    for size in range(len(first) - 1, 0, -1):
        keyword, tail = first[:size], first[size:]
        if keyword in keywords and not keyword[-1].isascii() and _ATTACHED.fullmatch(tail):
            return keywords[keyword], (tail, *said[1:])
    return None, ()


def nothing(rest: tuple[str, ...]) -> Arguments:
    """The keyword is the whole text, else it is no command: a `T` may begin any sentence."""
    if rest:
        raise NoMatch
    return {}


def perhaps_account(rest: tuple[str, ...]) -> Arguments:
    """Nothing, or one account number."""
    if not rest:
        return {}
    if not _ACCOUNT_NO.fullmatch(word(rest[0])):
        raise BadToken(rest[0])
    if len(rest) > 1:
        raise BadToken(rest[1])
    return {"account_no": word(rest[0])}
