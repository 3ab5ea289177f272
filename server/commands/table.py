"""Every command and what carries it out. A new one is one more row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from server.commands.calls import Call, Handler, Outcome, Reply, Sender
from server.commands.handlers.balance import balance
from server.commands.handlers.consent import start, stop
from server.commands.rules import topics
from server.commands.rules.grammar import Command, index, nothing, perhaps_account
from server.db import Session


def _help(_session: Session, calls: Sequence[Call]) -> list[Outcome]:
    return [Outcome(Reply("reply.help", {"list": _list(call.sender)})) for call in calls]


def _list(sender: Sender) -> str:
    language = sender.language
    items = [f"{one.use[language]} {one.purpose[language]}" for one in offered(sender)]
    return "; ".join(items)


TABLE: tuple[tuple[Command, Handler], ...] = (
    (
        Command(
            "balance",
            ("余额", "查余额", "欠费", "YE", "CXYE", "BAL", "BALANCE"),
            perhaps_account,
            "registered",
            use={"zh_Hans": "余额 户号", "en": "BAL account"},
            purpose={"zh_Hans": "查余额", "en": "balance"},
        ),
        balance,
    ),
    (
        Command(
            "stop",
            ("退订", "取消订阅", "TD", "T", "STOP", "UNSUBSCRIBE"),
            topics.to_stop,
            "anyone",
            use={"zh_Hans": "TD", "en": "STOP"},
            purpose={"zh_Hans": "退订推广", "en": "no promotions"},
        ),
        stop,
    ),
    (
        Command(
            "start",
            ("开通", "订阅", "KT", "START", "UNSTOP", "SUBSCRIBE"),
            topics.to_start,
            "anyone",
            use={"zh_Hans": "开通", "en": "START"},
            purpose={"zh_Hans": "恢复", "en": "messages again"},
        ),
        start,
    ),
    (
        Command(
            "help",
            ("帮助", "指令", "BZ", "HELP", "?"),
            nothing,
            "registered",
            use={"zh_Hans": "帮助", "en": "HELP"},
            purpose={"zh_Hans": "本说明", "en": "this list"},
        ),
        _help,
    ),
)
KEYWORDS: Mapping[str, Command] = index(command for command, _ in TABLE)
HANDLERS: Mapping[str, Handler] = {command.name: handler for command, handler in TABLE}


def offered(sender: Sender) -> list[Command]:
    """The commands that a phone may use."""
    return [one for one, _ in TABLE if one.open_to == "anyone" or sender.registered]
