"""What a text was found to be, before anything is done."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from server.commands.calls import Call, Outcome, Reply, Sender
from server.commands.rules.grammar import Parsed, parse
from server.commands.rules.replies import Limits, kept_silent
from server.commands.table import KEYWORDS

UNREADABLE = "commands.unreadable"
NOT_REGISTERED = "commands.not_registered"
MALFORMED = "commands.malformed"


class Heard(NamedTuple):
    """A text that has come; `damaged` when some of it could not be read."""

    id: int
    phone: str
    text: str
    damaged: bool


@dataclass(frozen=True)
class Judged:
    """What a text was found to be. Without a `call` it is not carried out and `outcome` says all."""

    inbound_id: int
    sender: Sender
    parsed: Parsed | None
    call: Call | None = None
    state: str = "handled"
    outcome: Outcome = field(default_factory=Outcome)


def judge(sender: Sender, heard: Heard, own: Collection[str], limits: Limits) -> Judged:
    """What a text is and whether it is carried out; `own` are the numbers we send from."""
    parsed = None if heard.damaged else parse(heard.text, KEYWORDS)
    judged = Judged(heard.id, sender, parsed)
    if parsed is None:
        code = UNREADABLE if heard.damaged else None
        return replace(judged, state="unmatched", outcome=Outcome(code=code))
    refused = _refused(sender, parsed, own, limits)
    if refused is not None:
        return replace(judged, state="refused", outcome=refused)
    return replace(judged, call=Call(heard.id, sender, parsed.command, parsed.arguments))


def _refused(
    sender: Sender, parsed: Parsed, own: Collection[str], limits: Limits
) -> Outcome | None:
    """Why a command is not carried out."""
    machine = kept_silent(sender.phone, own, 0, limits)
    if machine is not None:
        return Outcome(code=machine)
    if parsed.command.open_to == "registered" and not sender.registered:
        return Outcome(Reply("reply.stranger"), NOT_REGISTERED)
    if parsed.bad is not None:
        use = parsed.command.use[sender.language]
        return Outcome(Reply("reply.refused", {"token": parsed.bad, "use": use}), MALFORMED)
    return None
