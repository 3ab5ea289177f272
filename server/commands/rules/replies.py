"""Whether a text may be answered at all, and answers that fit one segment."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from server.notify.rules.phones import is_phone

LIMIT = "commands.reply_limit"
OWN_NUMBER = "commands.own_number"
NOT_A_PHONE = "commands.not_a_phone"


@dataclass(frozen=True)
class Limits:
    """What an operator allows: answers to one phone in an hour, answers to phones nobody knows."""

    replies_per_hour: int = 20
    answer_strangers: bool = False


def kept_silent(phone: str, own: Collection[str], answered: int, limits: Limits) -> str | None:
    """Why `phone` gets no answer, or None; `answered` is how many it had in the last hour.

    Names and short numbers are other machines: answering them is how two machines talk for ever.
    """
    if not is_phone(phone):
        return NOT_A_PHONE
    if phone in own:
        return OWN_NUMBER
    return LIMIT if answered >= limits.replies_per_hour else None


def shortened(items: Sequence[str], between: str, room: int) -> str:
    """As many items as fit `room` characters, and an ellipsis for the rest; at least one."""
    text = ""
    for at, item in enumerate(items):
        longer = text + between + item if at else item
        left = 0 if at == len(items) - 1 else len(between) + 1
        if at and len(longer) + left > room:
            return f"{text}{between}…"
        text = longer
    return text
