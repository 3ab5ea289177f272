"""Which of the messages at hand go now, cut into parts, and what the gateway is given. No database."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from server.db import scaled
from server.notify.dispatch.claims import Claimed, Part, Wanted
from server.notify.gateways.port import Submission
from server.notify.rules import segments
from server.notify.rules.routing import Routes

_MONEY_PLACES = 4


class Going(NamedTuple):
    """A message that goes now, in `parts` rows that stand for `units` segments each."""

    message: Claimed
    split: segments.Split
    parts: int
    units: int


class Choice(NamedTuple):
    """What goes now, and what must wait because an earlier text of its phone is under way."""

    go: list[Going]
    wait: list[Claimed]


def choose(
    candidates: Sequence[Claimed],
    flying: set[str],
    room: int,
    reference_bits: int,
    *,
    whole: bool,
) -> Choice:
    """Take `candidates` in their order as far as `room` segments reach, one for each phone.

    `flying` are the phones that have a text under way. A text larger than the room goes alone.
    """
    go: list[Going] = []
    wait: list[Claimed] = []
    busy = set(flying)
    for one in candidates:
        if one.phone in busy:
            wait.append(one)  # a later one for the same phone must not overtake
            continue
        going = _cut(one, reference_bits, whole=whole)
        cost = going.parts * going.units
        if room < cost and (go or flying):
            break
        busy.add(one.phone)
        go.append(going)
        room -= cost
    return Choice(go, wait)


def _cut(one: Claimed, reference_bits: int, *, whole: bool) -> Going:
    if whole:
        encoding: segments.Encoding = "gsm7" if segments.is_gsm7(one.text) else "ucs2"
        return Going(one, segments.Split(encoding, 0, (one.text,)), 1, one.segments)
    split = segments.split(one.text, reference_bits=reference_bits, maximum=segments.MOST_PARTS)
    return Going(one, split, split.count, 1)


def wanted(going: Sequence[Going], gateway_id: int, ways: Routes, now: datetime) -> list[Wanted]:
    """The segment rows that are to be made, each at today's price."""
    found = []
    for one in going:
        price = ways.price(gateway_id, one.message.phone, now)
        cost = scaled(price, _MONEY_PLACES) if price else 0
        found.append(Wanted(one.message, one.parts, one.units, cost))
    return found


def submissions(going: Sequence[Going], parts: Collection[Part], now: datetime) -> list[Submission]:
    """What the gateway is to send, in the order of the messages."""
    by_id = {one.message.id: one for one in going}
    found = []
    for number, part, segment_id, copy in parts:
        message, split, total, _ = by_id[number]
        text = split.parts[part - 1]
        left = None
        if message.expires_at is not None:
            left = max(int((message.expires_at - now).total_seconds()), 1)
        found.append(
            Submission(
                token=segment_id,
                message_id=number,
                phone=message.phone,
                text=text,
                encoding=split.encoding,
                body=segments.encode(text, split.encoding),
                part=part,
                parts=total,
                copy=copy,
                # The same for every try of a message, so that parts of two tries still join.
                reference=number,
                validity=left,
            )
        )
    return found
