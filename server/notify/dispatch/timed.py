"""What time alone brings about: messages whose hour has come, owners who died, texts to be sent again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, bindparam, case, exists, or_, select, update

from server.db import Session, among
from server.notify import routes, transitions
from server.notify.dispatch.claims import in_status
from server.notify.models import GatewayLease, OutboxMessage, OutboxSegment
from server.notify.transitions import Transition

# A crash or a cut line is no carrier's silence: each allows one more resend, up to so many.
MOST_LOSSES = 5

_M = OutboxMessage
_ALIVE = select(GatewayLease.owner).where(GatewayLease.expires_at > bindparam("now"))
_DEAD = _M.owner.not_in(_ALIVE)
_LATE = and_(_M.expires_at.is_not(None), _M.expires_at <= bindparam("now"))


def due(session: Session, resend_seconds: float, now: datetime) -> bool:
    """Whether `step` would change anything; without locks."""
    if routes.is_due(session):
        return True
    statement = select(
        exists().where(in_status("held"), _M.not_before <= bindparam("now")),
        exists().where(in_status("claimed"), _DEAD),
        exists().where(in_status("submitted"), _DEAD),
        exists().where(*_again(resend_seconds, now)),
        exists().where(in_status("unknown"), _LATE),
    )
    return any(session.connection().execute(statement, {"now": now}).one())


def step(session: Session, resend_seconds: float, now: datetime) -> None:
    """Do what is due by time.

    Held messages whose time has come are queued; held and unknown ones whose time has passed expire.
    What a dead owner claimed goes back, what he submitted is unknown. Unknown ones of the
    at-least-once class are sent once more, flagged, after a silence of `resend_seconds`, longer each
    time; a crash or a cut line since allows another. Messages of gateways that are away go elsewhere.
    """
    found: list[Transition] = []
    move = _Mover(session, now, found)
    move("unknown", (_LATE,), "expired", "gave_up")
    come = _M.not_before <= bindparam("now")
    move("held", (come, _LATE), "expired", "too_late", error="notify.expired")
    move("held", (come,), "queued", "time_has_come", error=None)
    move("claimed", (_DEAD,), "queued", "owner_died")
    lost = move("submitted", (_DEAD,), "unknown", "owner_died", losses=_M.losses + 1)
    if lost:
        segments_unknown(session, lost)
    again = {"copies": _M.copies + 1, "possible_duplicate": True}
    move("unknown", _again(resend_seconds, now), "queued", "sent_again", **again)
    transitions.record(session, found)
    routes.look_after(session, now)


def segments_unknown(session: Session, message_ids: Iterable[int]) -> None:
    """The parts of these messages that were under way may or may not have arrived."""
    session.connection().execute(
        update(OutboxSegment)
        .where(among(OutboxSegment.message_id, message_ids), OutboxSegment.status == "submitted")
        .values(status="unknown")
    )


class _Mover:
    """Moves all messages of one state that meet conditions, and notes each."""

    def __init__(self, session: Session, now: datetime, found: list[Transition]) -> None:
        self._session = session
        self._now = now
        self._found = found

    def __call__(
        self,
        source: str,
        conditions: Iterable[ColumnElement[bool]],
        target: str,
        reason: str,
        **values: object,
    ) -> list[int]:
        statement = (
            update(_M)
            .where(in_status(source), *conditions)
            .values(status=target, status_at=self._now, **values)
            .returning(_M.id, _M.gateway_id)
        )
        rows = self._session.connection().execute(statement, {"now": self._now}).all()
        self._found += [Transition(row[0], source, target, reason, row[1]) for row in rows]
        return [row[0] for row in rows]


def _again(resend_seconds: float, now: datetime) -> tuple[ColumnElement[bool], ...]:
    allowed = 1 + case((_M.losses < MOST_LOSSES, _M.losses), else_=MOST_LOSSES)
    waited = or_(
        *(
            and_(_M.copies == copies, _M.status_at <= now - timedelta(seconds=seconds))
            for copies, seconds in (
                (copies, resend_seconds * 2 ** max(copies - 1, 0))
                for copies in range(MOST_LOSSES + 1)
            )
        )
    )
    return (
        in_status("unknown"),
        _M.status_at <= now - timedelta(seconds=resend_seconds),
        _M.delivery == "at_least_once",
        _M.copies < allowed,
        waited,
    )
