"""What a handler of a command is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from server.commands.rules.grammar import Arguments, Command
from server.db import Session


@dataclass(frozen=True)
class Sender:
    """Who texts: a phone and the contacts that have it; `contact_id` is the one he is answered as."""

    phone: str
    language: str
    contact_id: int | None = None
    customer_ids: tuple[int, ...] = ()

    @property
    def registered(self) -> bool:
        """Whether any customer has given this number."""
        return self.contact_id is not None


@dataclass(frozen=True)
class Call:
    """One text that is a command, allowed and sound."""

    inbound_id: int
    sender: Sender
    command: Command
    arguments: Arguments


@dataclass(frozen=True)
class Reply:
    """An answer: the event of its template and its data."""

    event: str
    data: Mapping[str, Any] = field(default_factory=dict)
    account_id: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a call; a `code` says that it was refused."""

    reply: Reply | None = None
    code: str | None = None


# Carries out calls of one command, at most one of each phone, in the caller's transaction, and says
# what became of each. It asks once for all of them; it raises when it can do nothing.
Handler = Callable[[Session, Sequence[Call]], Sequence[Outcome]]
