"""The turns of an account: closed, handed over, suspended and resumed, another class.

Each begins with what the dials show. A reading that has to be looked at first refuses the whole
turn, so that nothing is half done; then everything used is billed by the rules the account had, and
only then the account changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import select

from server import audit, clock, feed
from server.accounts.models import Account, Customer, Installation, Meter, ServicePoint
from server.billing.models import Tariff
from server.billing.rules.chart import RECEIVABLE
from server.billing.rules.classes import BillingRules
from server.billing.service import ledger
from server.billing.service.bills import DEFAULT_RULES, IssuedBill, Order, bill_points
from server.billing.service.corrections import unbilled_points
from server.db import Session
from server.dues.service import settle
from server.errors import Conflict, Invalid, NotFound
from server.identity.actor import Actor
from server.metering.models import Reading, ReadOrder
from server.metering.service import DialEntry, NewReading, record
from server.operator import current
from server.rounds.models import RouteStop

INTERIM, FINAL, CUT, RESTORED = "02", "03", "13", "18"
RECENT = timedelta(days=1)
"""How old a confirmed reading may be to stand for one at the moment of the turn."""

Dials = Mapping[str, Mapping[str, Decimal]]
"""What was read: by point number, the value of each register."""


@dataclass(frozen=True, slots=True)
class Turned:
    """What a turn has made: the bills, the balance left, and the new account of a handover."""

    account_id: int
    bills: tuple[IssuedBill, ...]
    balance: Decimal
    new_account_id: int | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """When and why an account turns, what its dials show, and the rules of its last bill.

    ``sure`` says that the dials were looked at twice: an unusual use is then believed.
    """

    at: datetime
    reason: str
    dials: Dials
    sure: bool = False
    rules: BillingRules = DEFAULT_RULES


def close_account(
    session: Session,
    actor: Actor,
    account_id: int,
    turn: Turn,
    *,
    balance_to: int | None = None,
) -> Turned:
    """End an account with its final reading and bill; its points are inactive from now on.

    Args:
        balance_to: the account that takes what is left of the balance over.

    Raises:
        Conflict: ``account.closed``; ``account.reading_held`` or ``account.no_reading`` as the dials
            say; what posting refuses.
        Invalid: ``account.reason``, ``account.future``.
        NotFound: ``account.unknown``.
    """
    account = _begin(session, actor, account_id, turn, others=[balance_to])
    points = _points(session, account_id)
    bills = _read_and_bill(session, actor, account, points, turn, FINAL)
    if balance_to is not None:
        _move_balance(session, actor, account_id, balance_to, turn.reason)
    _set_points(session, points, "inactive")
    _become(session, actor, account, "account.close", turn, {"status": "closed"})
    return Turned(account_id, bills, _balance(session, account_id))


def hand_over(
    session: Session,
    actor: Actor,
    account_id: int,
    turn: Turn,
    *,
    customer_id: int,
    account_no: str,
    with_balance: bool = False,
) -> Turned:
    """Transfer of name (过户): another customer takes the points over with an account of his own.

    The old account gets its final reading and bill and is closed. The new one has the same class,
    mode and tariff; its year starts at zero. The balance stays with the old holder unless it is
    said to go along.

    Raises:
        Conflict, Invalid, NotFound: as :func:`close_account`; ``account.exists`` for a number in use,
            ``customer.unknown``.
    """
    account = _begin(session, actor, account_id, turn)
    if session.get(Customer, customer_id) is None:
        raise NotFound("customer.unknown", f"There is no customer {customer_id}.")
    number = account_no.strip()
    taken = select(Account.id).where(Account.account_no == number)
    if not number or session.scalar(taken) is not None:
        raise Conflict("account.exists", f"There is an account {number!r} already.")
    points = _points(session, account_id)
    bills = _read_and_bill(session, actor, account, points, turn, FINAL)
    new = Account(
        account_no=number,
        customer_id=customer_id,
        account_class=account.account_class,
        mode=account.mode,
        tariff_code=account.tariff_code,
        alert_threshold=account.alert_threshold,
    )
    session.add(new)
    session.flush()
    for point in points:
        point.account_id = new.id
    _touch(session, points)
    if with_balance:
        _move_balance(session, actor, account_id, new.id, turn.reason)
    _become(session, actor, account, "account.hand_over", turn, {"status": "closed"})
    told = {"from": account.account_no, "reason": turn.reason}
    audit.record(session, actor, "account.take_over", "account", new.id, after=told)
    return Turned(account_id, bills, _balance(session, account_id), new.id)


def suspend(session: Session, actor: Actor, account_id: int, turn: Turn) -> Turned:
    """Suspend an account (暂停): read, billed, its points inactive until it is resumed.

    Raises:
        Conflict, Invalid, NotFound: as :func:`close_account`; ``account.suspended``.
    """
    account = _begin(session, actor, account_id, turn)
    if account.status == "suspended":
        raise Conflict("account.suspended", "The account is suspended already.")
    points = _points(session, account_id)
    bills = _read_and_bill(session, actor, account, points, turn, CUT)
    _set_points(session, points, "inactive")
    _become(session, actor, account, "account.suspend", turn, {"status": "suspended"})
    return Turned(account_id, bills, _balance(session, account_id))


def resume(session: Session, actor: Actor, account_id: int, turn: Turn) -> Turned:
    """Resume a suspended account; what the dials moved in between is billed, if they did.

    Raises:
        Conflict, Invalid, NotFound: as :func:`close_account`; ``account.not_suspended``.
    """
    account = _begin(session, actor, account_id, turn)
    if account.status != "suspended":
        raise Conflict("account.not_suspended", "The account is not suspended.")
    points = _points(session, account_id)
    _set_points(session, points, "active")
    session.flush()
    bills = _read_and_bill(session, actor, account, points, turn, RESTORED)
    _become(session, actor, account, "account.resume", turn, {"status": "active"})
    return Turned(account_id, bills, _balance(session, account_id))


def change_class(
    session: Session,
    actor: Actor,
    account_id: int,
    turn: Turn,
    *,
    account_class: str,
    tariff_code: str,
) -> Turned:
    """Change of class (改类): what was used is billed by the old prices, what comes by the new.

    Raises:
        Conflict, Invalid, NotFound: as :func:`close_account`; ``tariff.unknown``, ``account.class``.
    """
    account = _begin(session, actor, account_id, turn)
    if not account_class.strip():
        raise Invalid("account.class", "A class has a name.")
    if session.scalar(select(Tariff.id).where(Tariff.code == tariff_code)) is None:
        raise NotFound("tariff.unknown", f"There is no tariff {tariff_code!r}.")
    points = _points(session, account_id)
    bills = _read_and_bill(session, actor, account, points, turn, INTERIM)
    changed = {"account_class": account_class.strip()[:40], "tariff_code": tariff_code}
    _become(session, actor, account, "account.change_class", turn, changed)
    return Turned(account_id, bills, _balance(session, account_id))


# --- how ------------------------------------------------------------------------------------


def _begin(
    session: Session,
    actor: Actor,
    account_id: int,
    turn: Turn,
    others: Sequence[int | None] = (),
) -> Account:
    """The account of a turn that may begin. The points are locked before it, as readings do."""
    actor.require("accounts", "edit")
    if not turn.reason.strip():
        raise Invalid("account.reason", "A reason is needed.")
    if turn.at > clock.now():
        raise Invalid("account.future", "This lies in the future.")
    points = select(ServicePoint.id).where(ServicePoint.account_id == account_id)
    session.execute(points.order_by(ServicePoint.id).with_for_update(key_share=True)).all()
    ledger.lock_accounts(session, [account_id, *(i for i in others if i is not None)])
    account = session.get(Account, account_id, populate_existing=True)
    if account is None:
        raise NotFound("account.unknown", f"There is no account {account_id}.")
    if account.status == "closed":
        raise Conflict("account.closed", f"Account {account.account_no} is closed.")
    return account


def _points(session: Session, account_id: int) -> list[ServicePoint]:
    return list(
        session.scalars(
            select(ServicePoint)
            .where(ServicePoint.account_id == account_id)
            .order_by(ServicePoint.id)
        )
    )


def _read_and_bill(
    session: Session,
    actor: Actor,
    account: Account,
    points: Sequence[ServicePoint],
    turn: Turn,
    reason: str,
) -> tuple[IssuedBill, ...]:
    """Take the readings of the turn and bill everything the account has used."""
    serials = _serials(session, points, turn.at)
    known = {point.point_no for point in points}
    if unknown := sorted(set(turn.dials) - known):
        raise NotFound("account.other_point", f"{unknown[0]} is not a point of this account.")
    readings = [
        NewReading(
            service_point_id=point.id,
            meter_serial=serials.get(point.id, ""),
            registers=tuple(
                DialEntry(kind, value, value if turn.sure else None)
                for kind, value in turn.dials[point.point_no].items()
            ),
            read_at=turn.at,
            source="office",
            reason=reason,
            staff_id=actor.staff_id,
            note=turn.reason[:500],
        )
        for point in points
        if point.point_no in turn.dials
    ]
    _refuse_unread(session, [p for p in points if p.id in serials], turn)
    names = {point.id: point.point_no for point in points}
    for judged in record(session, readings):
        if judged.verdict != "applied":
            point_no = names.get(judged.service_point_id or 0, "")
            raise Conflict(
                "account.reading_held",
                f"The reading of {point_no} has to be looked at first: {judged.message or judged.code}",
                {"point_no": point_no, "code": judged.code},
            )
    _withdraw_orders(session, [point.id for point in points], reason)
    order = Order(account_id=account.id)
    bills = bill_points(session, unbilled_points(session, account.id), turn.rules, order)
    settle(session, [account.id])
    return tuple(bills)


def _serials(session: Session, points: Sequence[ServicePoint], at: datetime) -> dict[int, str]:
    """The serial number of the meter that hung at each point; points without one are left out."""
    rows = session.execute(
        select(Installation.service_point_id, Meter.serial)
        .join(Meter, Meter.id == Installation.meter_id)
        .where(
            Installation.service_point_id.in_([point.id for point in points]),
            Installation.installed_at <= at,
            (Installation.removed_at.is_(None)) | (Installation.removed_at > at),
        )
    )
    return {point_id: serial for point_id, serial in rows}


def _refuse_unread(session: Session, points: Sequence[ServicePoint], turn: Turn) -> None:
    """Every meter needs a reading of this turn, or a confirmed one of the last day."""
    read = set(
        session.scalars(
            select(Reading.service_point_id).where(
                Reading.service_point_id.in_([point.id for point in points]),
                Reading.status == "confirmed",
                Reading.read_at >= turn.at - RECENT,
            )
        )
    )
    for point in points:
        if point.point_no not in turn.dials and point.id not in read:
            raise Conflict(
                "account.no_reading",
                f"{point.point_no} needs a reading.",
                {"point_no": point.point_no},
            )


def _withdraw_orders(session: Session, point_ids: Sequence[int], reason: str) -> None:
    """A point that is read for the last time needs no other reading of an earlier order."""
    if reason not in (FINAL, CUT):
        return
    waiting = session.scalars(
        select(ReadOrder).where(
            ReadOrder.service_point_id.in_(point_ids), ReadOrder.status.in_(("open", "skipped"))
        )
    )
    for order in waiting:
        order.status = "cancelled"
        if order.route_id is not None:
            feed.touch(session, f"route:{order.route_id}", "read_order", order.id)


def _set_points(session: Session, points: Sequence[ServicePoint], status: str) -> None:
    for point in points:
        point.status = status
    _touch(session, points)


def _touch(session: Session, points: Sequence[ServicePoint]) -> None:
    """Let handhelds hear of changed points."""
    routes = session.execute(
        select(RouteStop.subject_id, RouteStop.route_id).where(
            RouteStop.kind == "service_point",
            RouteStop.subject_id.in_([point.id for point in points]),
        )
    )
    documents = [(f"route:{route_id}", point_id) for point_id, route_id in routes]
    feed.touch_many(session, "service_point", documents)


def _become(
    session: Session,
    actor: Actor,
    account: Account,
    action: str,
    turn: Turn,
    changed: Mapping[str, str],
) -> None:
    before = {name: getattr(account, name) for name in changed}
    for name, value in changed.items():
        setattr(account, name, value)
    after = {**changed, "at": turn.at.isoformat(), "reason": turn.reason.strip()[:255]}
    audit.record(session, actor, action, "account", account.id, before=before, after=after)
    session.flush()


def _balance(session: Session, account_id: int) -> Decimal:
    unit = current(session).currency
    return ledger.balances(session, [account_id], unit).get(account_id, Decimal(0))


def _move_balance(session: Session, actor: Actor, from_id: int, to_id: int, reason: str) -> None:
    """Post what is left of one account to another; nothing when nothing is left.

    Raises:
        NotFound: ``account.unknown`` for the other account.
        Conflict: ``account.same`` when it is the same.
    """
    if from_id == to_id:
        raise Conflict("account.same", "A balance goes to another account.")
    if session.get(Account, to_id) is None:
        raise NotFound("account.unknown", f"There is no account {to_id}.")
    balance = _balance(session, from_id)
    if not balance:
        return
    unit, zero = current(session).currency, Decimal(0)
    credit, debit = max(balance, zero), max(-balance, zero)
    sides = (
        ledger.Entry(RECEIVABLE, from_id, unit, debit=credit, credit=debit),
        ledger.Entry(RECEIVABLE, to_id, unit, debit=debit, credit=credit),
    )
    key = f"balance:{from_id}:{to_id}:{clock.to_ms(clock.now())}"
    ledger.post(session, [ledger.Posting(key, "balance_transfer", sides)])
    settle(session, sorted((from_id, to_id)))
    told = {"to": to_id, "amount": str(balance), "reason": reason.strip()[:255]}
    audit.record(session, actor, "account.move_balance", "account", from_id, after=told)
