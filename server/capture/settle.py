"""From a reading to the bill: metering judges, billing issues, in the same transaction.

Handhelds, the office's form, the API and the release of a held reading all come through here,
so that a reading is billed by the same rules whoever brought it.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from sqlalchemy import select

from server.audit import record
from server.billing.rules.classes import BillingRules
from server.billing.service import IssuedBill, bill_judged, bill_points
from server.books.setting import billing_rules as billing_rules
from server.capture.models import CaptureEvent
from server.db import Session
from server.dues.service import use_credit
from server.errors import Conflict, Forbidden
from server.identity.actor import Actor
from server.metering import service as metering
from server.metering.models import Consumption, Reading
from server.metering.service import DialEntry, Judged, NewReading
from server.review import ReviewItem, close_for


def settle_readings(
    session: Session, readings: Sequence[NewReading], rules: BillingRules
) -> list[Judged]:
    """Judge captures as a set and bill those whose route bills at once."""
    judged = metering.record(session, readings)
    _bill(session, judged, rules)
    return judged


def _bill(session: Session, judged: Sequence[Judged], rules: BillingRules) -> list[IssuedBill]:
    """Bill what is confirmed; credit of the accounts settles it at once."""
    issued = bill_judged(session, judged, rules)
    use_credit(session, issued)
    return issued


def release_reading(
    session: Session,
    actor: Actor,
    reading_id: int,
    why: str,
    rules: BillingRules,
    *,
    rollover: bool = False,
) -> Judged:
    """Confirm a held reading on a second person's word, and bill it.

    Args:
        rollover: the person has seen that the dial passed zero.

    Raises:
        Forbidden: ``identity.forbidden`` without the right.
        DomainError: ``reading.same_person`` when the actor captured it himself, and metering's
            other refusals.
    """
    actor.require("readings", "release")
    _refuse_corrector(session, actor, reading_id)
    judged = metering.release(session, actor, reading_id, why, rollover=rollover)
    _bill(session, [judged], rules)
    return judged


def _refuse_corrector(session: Session, actor: Actor, reading_id: int) -> None:
    """Whoever corrected a capture is its author too: a third person decides about its reading.

    Raises:
        Forbidden: ``reading.same_person``.
    """
    payload = session.scalar(
        select(CaptureEvent.payload)
        .join(Reading, Reading.capture_uuid == CaptureEvent.uuid)
        .where(Reading.id == reading_id)
    )
    first = (payload or {}).get("supersedes")
    if actor.staff_id is None or first is None:
        return
    corrected = select(ReviewItem.id).where(
        ReviewItem.subject_type == "capture",
        ReviewItem.subject_id == str(first),
        ReviewItem.status == "corrected",
        ReviewItem.closed_by_id == actor.staff_id,
    )
    if session.execute(corrected.limit(1)).first() is not None:
        raise Forbidden("reading.same_person", "Nobody decides about his own correction.")


def move_reading(
    session: Session, actor: Actor, reading_id: int, why: str, rules: BillingRules
) -> Judged:
    """Put a reading held for the wrong meter on the one that hung there, and bill it.

    Raises:
        Forbidden, DomainError: as :func:`release_reading`.
    """
    actor.require("readings", "release")
    _refuse_corrector(session, actor, reading_id)
    judged = metering.move(session, actor, reading_id, why)
    _bill(session, [judged], rules)
    return judged


def replace_confirmed(
    session: Session, actor: Actor, reading_id: int, why: str, rules: BillingRules
) -> Judged:
    """Let a held re-read stand for the confirmed reading it contradicts, and bill it.

    Raises:
        Forbidden, DomainError: as :func:`release_reading`; ``reading.billed`` after the bill.
    """
    actor.require("readings", "release")
    _refuse_corrector(session, actor, reading_id)
    judged = metering.replace_confirmed(session, actor, reading_id, why)
    _bill(session, [judged], rules)
    return judged


def correct_reading(
    session: Session,
    actor: Actor,
    reading_id: int,
    registers: Sequence[DialEntry],
    why: str,
    rules: BillingRules,
) -> Judged:
    """Replace a held reading by what the office knows to be right; the old row keeps its value.

    The new reading is judged like any other and may be held itself.

    Raises:
        Forbidden: ``identity.forbidden`` without the right, ``reading.same_person`` when the
            actor captured it himself.
        NotFound: ``reading.unknown``.
        Conflict: ``reading.not_held``.
        Invalid: ``reading.why`` without a reason.
    """
    actor.require("readings", "release")
    held = metering.held_capture(session, actor, reading_id, why)[0]
    if held.capture_uuid is None:
        metering.discard(session, actor, reading_id, why)
    corrected = NewReading(
        service_point_id=held.service_point_id,
        meter_serial=held.meter_serial,
        registers=tuple(registers),
        read_at=held.read_at,
        source="office",
        order_id=held.order_id,
        reason=held.reason,
        capture_uuid=uuid4(),
        staff_id=actor.staff_id,
        note=why[:500],
        supersedes=held.capture_uuid,
    )
    judged = settle_readings(session, [corrected], rules)[0]
    close_for(session, actor, "reading", [reading_id], "corrected", why)
    record(session, actor, "reading.corrected", "reading", reading_id, after={"why": why})
    return judged


def bill_account(
    session: Session, actor: Actor, account_id: int, rules: BillingRules
) -> list[IssuedBill]:
    """Bill what an account has used and could not be charged for, now that it has a tariff.

    Raises:
        Forbidden: ``identity.forbidden`` without the right.
        Conflict: ``billing.nothing_billed`` when there is nothing, or still no tariff for it.
    """
    actor.require("bills", "issue")
    points = session.scalars(
        select(Consumption.service_point_id)
        .where(
            Consumption.account_id == account_id,
            Consumption.status == "active",
            Consumption.bill_id.is_(None),
        )
        .distinct()
    ).all()
    bills = bill_points(session, points, rules)
    if not bills:
        raise Conflict("billing.nothing_billed", "There is nothing to bill, or no tariff for it.")
    return bills


def discard_reading(session: Session, actor: Actor, reading_id: int, why: str) -> None:
    """Refuse a held reading with a reason; its order is open again.

    Raises:
        Forbidden: ``identity.forbidden`` without the right.
    """
    actor.require("readings", "release")
    metering.discard(session, actor, reading_id, why)
