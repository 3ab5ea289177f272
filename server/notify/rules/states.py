"""The life of a message and of each of its segments: one table of what may follow what.

Every change of a message's state is a compare-and-set against this table, so that whatever arrives
late, twice or out of order can only move a message forward. The three ways back to the queue are
those in which the carrier certainly does not hold the message, and the bounded resend of an unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

STATES = (
    "queued",
    "held",
    "claimed",
    "submitted",
    "accepted",
    "delivered",
    "failed",
    "expired",
    "unknown",
    "suppressed",
    "cancelled",
)
FINAL = ("delivered", "failed", "expired", "suppressed", "cancelled")

TRANSITIONS: Mapping[tuple[str, str], str] = {
    ("queued", "claimed"): "a bind took it",
    ("queued", "submitted"): "a bind took it and hands it to the socket after the same commit",
    ("queued", "held"): "the quiet hours began, or the source of texts says later",
    ("queued", "cancelled"): "withdrawn by the sender",
    ("queued", "suppressed"): "the phone has refused this category",
    ("queued", "expired"): "its time passed before it was sent",
    ("held", "queued"): "its time has come",
    ("held", "cancelled"): "withdrawn by the sender",
    ("held", "suppressed"): "the phone has refused this category",
    ("held", "expired"): "its time passed while it waited",
    ("claimed", "submitted"): "handed to the socket",
    ("claimed", "queued"): "the owner's lease expired, or the bind pauses",
    ("claimed", "held"): "the quiet hours began while it waited for another to the same phone",
    ("claimed", "expired"): "its time passed before it was sent",
    ("claimed", "failed"): "it cannot be sent as it stands",
    ("claimed", "suppressed"): "the phone has refused this category",
    ("submitted", "accepted"): "the carrier took every segment",
    ("submitted", "delivered"): "the report came before the response",
    ("submitted", "failed"): "the carrier refused it for good",
    ("submitted", "expired"): "the carrier or the clock gave it up",
    ("submitted", "unknown"): "in flight at a disconnect, crash or time-out",
    ("submitted", "queued"): "refused by throttling, or never written to the socket",
    ("submitted", "held"): "refused for a while; tried again later",
    ("accepted", "delivered"): "every segment reported delivered",
    ("accepted", "failed"): "a segment reported undeliverable",
    ("accepted", "expired"): "a segment reported expired",
    ("unknown", "accepted"): "a late response",
    ("unknown", "delivered"): "a report",
    ("unknown", "failed"): "a late refusal or a report",
    ("unknown", "expired"): "given up without an answer",
    ("unknown", "held"): "a late refusal for a while",
    ("unknown", "queued"): "sent once more, flagged as a possible duplicate",
}

# A segment row is one submission of one part; `returned` and `refused` may be submitted again.
SEGMENT_STATES = (
    "submitted",
    "returned",
    "refused",
    "unknown",
    "accepted",
    "delivered",
    "failed",
    "expired",
)
SEGMENT_TRANSITIONS: Mapping[str, tuple[str, ...]] = {
    "submitted": ("returned", "refused"),
    "returned": ("submitted", "unknown"),
    "refused": ("submitted", "unknown"),
    "unknown": ("submitted",),
    "accepted": ("submitted", "unknown"),
    "delivered": ("submitted", "unknown", "accepted"),
    "failed": ("submitted", "unknown", "accepted"),
    "expired": ("submitted", "unknown", "accepted"),
}

# Of several submissions of one part the one that got furthest speaks for the part.
_RANK = {
    state: rank
    for rank, state in enumerate(
        (
            "expired",
            "failed",
            "returned",
            "refused",
            "unknown",
            "submitted",
            "accepted",
            "delivered",
        )
    )
}


def sources(target: str) -> tuple[str, ...]:
    """The message states from which `target` may be reached."""
    return tuple(old for old, new in TRANSITIONS if new == target)


def allowed(old: str, new: str) -> bool:
    """Whether a message may go from `old` to `new`."""
    return (old, new) in TRANSITIONS


def of_message(total: int, segments: Iterable[tuple[int, int, str]]) -> str | None:
    """The state that a message's segments add up to.

    `segments` are (part, segments it stands for, segment state) of all submissions so far, `total` the
    number of segments. The answer is `retry` when nothing is under way and some part was refused for a
    while, `requeue` when it was never written, and None when nothing was submitted yet.
    """
    best: dict[int, str] = {}
    units: dict[int, int] = {}
    for part, stands_for, state in segments:
        units[part] = stands_for
        if part not in best or _RANK[state] > _RANK[best[part]]:
            best[part] = state
    if not best:
        return None
    states = set(best.values())
    for final in ("failed", "expired"):
        if final in states:
            return final
    if "submitted" in states:
        return "submitted"
    if "unknown" in states:
        return "unknown"
    if "refused" in states:
        return "retry"
    if "returned" in states or sum(units.values()) < total:
        return "requeue"
    return "delivered" if states == {"delivered"} else "accepted"
