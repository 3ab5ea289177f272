"""A re-read that takes the place of a confirmed reading, on a second person's word.

A rep may take his own reading back until its use is billed. What another reader, the office or a second
visit read instead is held; here a person lets it stand for the confirmed one. The old reading keeps its value and is
superseded, and what was used before and after it is found anew as far as it is on no bill. After the
bill it remains a request, with the difference in its review item.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import or_, select

from server import audit
from server.db import Session
from server.errors import Conflict
from server.identity.actor import Actor
from server.metering.models import Reading
from server.metering.service import context as known
from server.metering.service.captures import EXCHANGE_REASONS, Judged
from server.metering.service.decide import Release, held_capture


def replace_confirmed(
    session: Session, actor: Actor, reading_id: int, why: str, *, rollover: bool = False
) -> Judged:
    """Confirm a held re-read in place of the confirmed reading it contradicts.

    Raises:
        NotFound, Invalid, Forbidden, Conflict: as :func:`server.metering.service.release`;
        Conflict: ``reading.nothing_to_replace`` when no confirmed reading is meant;
            ``reading.exchange`` for one that belongs to an exchange; ``reading.billed`` when its use,
            or the one after it, is on a bill.
    """
    rows = held_capture(session, actor, reading_id, why)
    targets = _targets(session, rows)
    _refuse(targets)
    judged = Release(session, actor, rows, why, rollover=rollover, instead_of=targets).run()
    for target in targets:
        audit.record(
            session,
            actor,
            "reading.superseded",
            "reading",
            target.reading_id,
            before={"status": "confirmed"},
            after={"why": why.strip(), "by": list(judged.reading_ids)},
        )
    return judged


def _refuse(targets: Sequence[known.Target]) -> None:
    if not targets:
        raise Conflict("reading.nothing_to_replace", "No confirmed reading is meant by it.")
    if any(target.reason in EXCHANGE_REASONS for target in targets):
        raise Conflict("reading.exchange", "An exchange cannot be taken back by a reading.")
    billed = next((target for target in targets if target.bill_id is not None), None)
    if billed is not None:
        raise Conflict(
            "reading.billed",
            "The confirmed reading has been billed: cancel the bill first.",
            {"bill_id": billed.bill_id},
        )


def _targets(session: Session, rows: Sequence[Reading]) -> list[known.Target]:
    """The confirmed readings meant: those it names, else those of the same order."""
    named = [row.supersedes_id for row in rows if row.supersedes_id is not None]
    of_order = [row.order_id for row in rows if row.order_id is not None]
    meant = session.execute(
        select(Reading.id, Reading.capture_uuid).where(
            Reading.id.in_(named) if named else Reading.order_id.in_(of_order),
            Reading.service_point_id == rows[0].service_point_id,
            Reading.status == "confirmed",
        )
    ).all()
    captures = {uuid for _, uuid in meant if uuid is not None}
    ids = {number for number, _ in meant}
    return known.load_targets_where(
        session,
        or_(Reading.id.in_(sorted(ids)), Reading.capture_uuid.in_(sorted(captures))),
        Reading.status == "confirmed",
    )
