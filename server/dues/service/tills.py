"""Tills: opened with change, closed against counted cash; the cash that reps hand in.

What a till should hold is summed from its payments, refunds and handovers, never kept beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import ColumnElement, func, select, update

from server import audit, clock
from server.billing.rules.chart import CASH_COUNTER, CASH_DIFFERENCE, CASH_FIELD
from server.billing.service.ledger import Entry, Posting, post
from server.db import Session, take_ids
from server.dues.models import CashHandover, Payment, Refund, Till, TillSession
from server.dues.service import known
from server.dues.service.known import ZERO
from server.errors import Conflict, Forbidden, Invalid, NotFound
from server.identity.actor import Actor
from server.operator import current

_MOST = Decimal(10) ** 9


@dataclass(frozen=True, slots=True)
class Cash:
    """What moved through a till in a session, and what it should hold now."""

    floated: Decimal
    received: Decimal
    handed_in: Decimal
    refunded: Decimal

    @property
    def expected(self) -> Decimal:
        """What should be in the drawer."""
        return self.floated + self.received + self.handed_in - self.refunded


def add_till(session: Session, actor: Actor, code: str, name: str) -> Till:
    """Set up a till.

    Raises:
        Invalid: ``till.bad`` without code or name; Conflict ``till.exists``.
    """
    actor.require("till", "approve")
    if not code.strip() or not name.strip() or len(code.strip()) > 24:
        raise Invalid("till.bad", "A till has a short code and a name.")
    if session.scalar(select(Till.id).where(Till.code == code.strip())) is not None:
        raise Conflict("till.exists", f"There is a till {code.strip()} already.")
    till = Till(code=code.strip(), name=name.strip()[:80], org_unit_id=actor.org_unit_id)
    session.add(till)
    session.flush()
    audit.record(session, actor, "till.add", "till", till.id, after={"code": till.code})
    return till


def open_till(session: Session, actor: Actor, till_id: int, floated: Decimal) -> TillSession:
    """Open a till with change in it, in the actor's hands.

    Raises:
        NotFound: ``till.unknown``.
        Conflict: ``till.in_use`` when somebody has it, ``till.another_open`` when the actor has another.
        Invalid: ``till.amount``.
    """
    actor.require("till", "use")
    _check(floated)
    till = session.get(Till, till_id, with_for_update=True)
    if till is None or not till.active:
        raise NotFound("till.unknown", f"There is no till {till_id}.")
    open_now = select(TillSession).where(TillSession.status != "closed")
    if session.scalar(open_now.where(TillSession.till_id == till_id)) is not None:
        raise Conflict("till.in_use", f"Till {till.code} has not been closed yet.")
    if session_of(session, actor) is not None:
        raise Conflict("till.another_open", "You have another till open: close it first.")
    opened = TillSession(till_id=till_id, staff_id=_staff(actor), floated=floated)
    session.add(opened)
    session.flush()
    told = {"till": till.code, "floated": str(floated)}
    audit.record(session, actor, "till.open", "till_session", opened.id, after=told)
    return opened


def session_of(session: Session, actor: Actor, *, lock: bool = False) -> TillSession | None:
    """The till session that is open in the actor's hands; locked against closing when asked."""
    mine = select(TillSession).where(
        TillSession.staff_id == actor.staff_id, TillSession.status == "open"
    )
    if lock:
        mine = mine.with_for_update(read=True)
    return session.scalar(mine)


def own_session(session: Session, actor: Actor) -> TillSession:
    """As :func:`session_of`, locked.

    Raises:
        Conflict: ``till.none_open``.
    """
    found = session_of(session, actor, lock=True)
    if found is None:
        raise Conflict("till.none_open", "Open a till before you take or give cash.")
    return found


def cash_of(session: Session, opened: TillSession) -> Cash:
    """What moved through a till so far."""
    received = session.scalar(
        select(func.sum(Payment.amount)).where(
            Payment.till_session_id == opened.id,
            Payment.method == "cash",
            Payment.status != "reversed",
        )
    )
    refunded = session.scalar(
        select(func.sum(Refund.amount)).where(
            Refund.till_session_id == opened.id, Refund.method == "cash", Refund.status == "paid"
        )
    )
    handed_in = session.scalar(
        select(func.sum(CashHandover.counted)).where(CashHandover.till_session_id == opened.id)
    )
    return Cash(opened.floated, received or ZERO, handed_in or ZERO, refunded or ZERO)


def close_till(
    session: Session, actor: Actor, session_id: int, counted: Decimal, reason: str | None = None
) -> TillSession:
    """Close a till against counted cash; a large difference waits for a second person.

    Raises:
        NotFound: ``till.unknown``; Forbidden: ``till.not_yours``.
        Conflict: ``till.not_open``.
        Invalid: ``till.reason`` for a difference without a reason, ``till.amount``.
    """
    actor.require("till", "use")
    _check(counted)
    opened = _locked(session, session_id)
    if opened.staff_id != actor.staff_id:
        raise Forbidden("till.not_yours", "Only the cashier who opened a till counts it.")
    if opened.status != "open":
        raise Conflict("till.not_open", "This till has been counted already.")
    expected = cash_of(session, opened).expected
    difference = counted - expected
    if difference and not (reason or "").strip():
        told = {"expected": str(expected), "difference": str(difference)}
        raise Invalid("till.reason", "A difference needs a reason.", told)
    opened.status, opened.counted_at = "counted", clock.now()
    opened.counted, opened.expected, opened.difference = counted, expected, difference
    opened.reason = (reason or "").strip()[:255] or None
    told = {"counted": str(counted), "expected": str(expected), "reason": opened.reason or ""}
    audit.record(session, actor, "till.count", "till_session", opened.id, after=told)
    if abs(difference) <= known.rules(session).till_limit:
        _close(session, opened)
    session.flush()
    return opened


def approve_till(session: Session, actor: Actor, session_id: int) -> TillSession:
    """Accept the difference of a counted till, as somebody else than its cashier.

    Raises:
        NotFound: ``till.unknown``.
        Conflict: ``till.not_counted``.
        Forbidden: ``till.same_person``.
    """
    actor.require("till", "approve")
    opened = _locked(session, session_id)
    if opened.status != "counted":
        raise Conflict("till.not_counted", "This till does not wait for anybody.")
    if opened.staff_id == actor.staff_id:
        raise Forbidden("till.same_person", "Somebody else must accept the difference.")
    opened.approved_by_id = actor.staff_id
    _close(session, opened)
    told = {"difference": str(opened.difference)}
    audit.record(session, actor, "till.approve", "till_session", opened.id, after=told)
    session.flush()
    return opened


def _close(session: Session, opened: TillSession) -> None:
    opened.status, opened.closed_at = "closed", clock.now()
    difference = opened.difference or ZERO
    if difference:
        entries = _differ(CASH_COUNTER, difference, current(session).currency)
        [opened.journal_id] = post(
            session, [Posting(f"till_session:{opened.id}", "till_difference", entries)]
        )


def _differ(ledger: str, difference: Decimal, unit: str) -> tuple[Entry, ...]:
    """More cash than expected is a gain of the difference ledger, less a loss."""
    more, less = max(difference, ZERO), max(-difference, ZERO)
    return (
        Entry(ledger, None, unit, debit=more, credit=less),
        Entry(CASH_DIFFERENCE, None, unit, debit=less, credit=more),
    )


# --- cash of reps -------------------------------------------------------------------------


def reps_with_cash(session: Session) -> Sequence[tuple[int, int, Decimal]]:
    """(staff id, payments, amount) of the reps who carry cash."""
    rows = session.execute(
        select(Payment.staff_id, func.count(), func.sum(Payment.amount))
        .where(*_in_hand(None))
        .group_by(Payment.staff_id)
        .order_by(Payment.staff_id)
    )
    return [(staff_id, count, amount) for staff_id, count, amount in rows if staff_id is not None]


def hand_in(
    session: Session, actor: Actor, staff_id: int, counted: Decimal, reason: str | None = None
) -> CashHandover:
    """Take a rep's cash into the actor's open till, counted against what he collected.

    Raises:
        Conflict: ``till.none_open``, ``till.nothing_to_hand_in``.
        Invalid: ``till.reason`` for a difference without a reason.
        Forbidden: ``till.same_person`` when the rep counts his own cash.
    """
    actor.require("till", "use")
    _check(counted)
    if staff_id == actor.staff_id:
        raise Forbidden("till.same_person", "Somebody else must count your cash.")
    opened = own_session(session, actor)
    carried = session.execute(
        select(Payment.id, Payment.amount).where(*_in_hand(staff_id)).with_for_update()
    ).all()
    if not carried:
        raise Conflict("till.nothing_to_hand_in", "This rep carries no cash.")
    expected = sum((amount for _, amount in carried), ZERO)
    difference = counted - expected
    if difference and not (reason or "").strip():
        told = {"expected": str(expected), "difference": str(difference)}
        raise Invalid("till.reason", "A difference needs a reason.", told)
    [handover_id] = take_ids(session, {CashHandover: 1})[CashHandover]
    entries = _handed_in(expected, counted, current(session).currency)
    [journal] = post(session, [Posting(f"handover:{handover_id}", "handover", entries)])
    handover = CashHandover(
        id=handover_id,
        staff_id=staff_id,
        till_session_id=opened.id,
        expected=expected,
        counted=counted,
        difference=difference,
        reason=(reason or "").strip()[:255] or None,
        journal_id=journal,
    )
    session.add(handover)
    session.flush()
    session.execute(
        update(Payment)
        .where(Payment.id.in_([number for number, _ in carried]))
        .values(handover_id=handover_id)
    )
    after = {"staff_id": staff_id, "counted": str(counted), "expected": str(expected)}
    audit.record(session, actor, "till.hand_in", "cash_handover", handover_id, after=after)
    return handover


def _handed_in(expected: Decimal, counted: Decimal, unit: str) -> tuple[Entry, ...]:
    """The rep's cash moves to the till as it was counted; a difference stands by itself."""
    entries = [Entry(CASH_FIELD, None, unit, credit=expected)]
    if counted:
        entries.append(Entry(CASH_COUNTER, None, unit, debit=counted))
    if counted != expected:
        entries.append(_differ(CASH_COUNTER, counted - expected, unit)[1])
    return tuple(entries)


def _in_hand(staff_id: int | None) -> list[ColumnElement[bool]]:
    carried = [
        Payment.channel == "field",
        Payment.method == "cash",
        Payment.handover_id.is_(None),
        Payment.status != "reversed",
    ]
    return carried if staff_id is None else [*carried, Payment.staff_id == staff_id]


def _locked(session: Session, session_id: int) -> TillSession:
    opened = session.get(TillSession, session_id, with_for_update=True, populate_existing=True)
    if opened is None:
        raise NotFound("till.unknown", f"There is no till session {session_id}.")
    return opened


def _staff(actor: Actor) -> int:
    if actor.staff_id is None:
        raise Forbidden("till.nobody", "A till is in the hands of a person.")
    return actor.staff_id


def _check(amount: Decimal) -> None:
    if not amount.is_finite() or not 0 <= amount < _MOST:
        raise Invalid("till.amount", "The cash counted is 0 or more.")
    if amount != amount.quantize(Decimal("0.01")):
        raise Invalid("till.amount", "An amount has two decimals.")
