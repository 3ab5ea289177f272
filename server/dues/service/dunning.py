"""The ladder, taken a step a day for every debt that stays: a job that can stop and go on anywhere.

A run belongs to a day and goes through the accounts that owe in the order of their ids, a slice in
each transaction; how far it came is kept. A step of a bill is a row with a unique key, so whatever
is tried again, nobody hears of a step twice. On holidays nothing is taken; the next day makes good.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import bindparam, literal_column, select

from server import clock
from server.accounts.models import Account
from server.billing.models import AccountBalance
from server.billing.service import ledger
from server.db import Session, among, insert_new, insert_rows, many_ids, run, transaction
from server.dues.models import DisconnectProposal, Dispute, DunningRun, DunningStep
from server.dues.rules.ladder import Step, Taken, cut_day
from server.dues.service import known, settling
from server.dues.service.known import ZERO, Debt, DuesAccount
from server.notify.models import Holiday
from server.notify.service import Notice, enqueue
from server.operator import Operator, current

SLICE = 1000

_OWING = (
    select(AccountBalance.account_id)
    .join(Account, Account.id == AccountBalance.account_id)
    .where(
        AccountBalance.account_id > bindparam("after"),
        AccountBalance.unit == bindparam("unit"),
        AccountBalance.balance < literal_column("0"),
        Account.mode == literal_column("'postpaid'"),
    )
    .order_by(AccountBalance.account_id)
    .limit(bindparam("most"))
)

_TAKEN = select(DunningStep.bill_id, DunningStep.step, DunningStep.day, DunningStep.cut_from).where(
    among(DunningStep.bill_id, many_ids("ids"))
)


@dataclass(frozen=True, slots=True)
class _Due:
    """A step that a debt has come to."""

    account: DuesAccount
    debt: Debt
    step: Step
    fee: Decimal
    cut_from: date | None


def take_steps(most_slices: int | None = None) -> int:
    """Take today's steps, a slice of accounts in each transaction; returns how many were taken.

    A run that was interrupted goes on where it was; a finished one does nothing.
    """
    taken = slices = 0
    while most_slices is None or slices < most_slices:
        with transaction() as session:
            count = next_slice(session)
        if count is None:
            break
        taken += count
        slices += 1
    return taken


def next_slice(session: Session) -> int | None:
    """Take the steps of the next slice of accounts; None when the day is done."""
    if session.get(Operator, 1) is None:
        return None  # a system that has not been set up owes nobody anything
    now = clock.now()
    today = now.astimezone(known.zone_of(session)).date()
    holidays = set(session.scalars(select(Holiday.day).where(Holiday.day >= today)))
    if today in holidays:
        return None
    insert_rows(
        session,
        DunningRun,
        [{"day": today, "started_at": now, "through_account_id": 0, "steps": 0}],
        on_conflict=("day",),
    )
    progress = session.get_one(DunningRun, today, with_for_update=True)
    if progress.finished_at is not None:
        return None
    values = {
        "after": progress.through_account_id,
        "unit": current(session).currency,
        "most": SLICE,
    }
    ids = [row[0] for row in run(session, _OWING, values)]
    if not ids:
        progress.finished_at = now
        return None
    taken = steps_of(session, ids, today, holidays)
    progress.through_account_id, progress.steps = ids[-1], progress.steps + taken
    return taken


def steps_of(
    session: Session, account_ids: Sequence[int], today: date, holidays: Collection[date]
) -> int:
    """Take the steps that these accounts' debts have come to; returns how many."""
    ids = ledger.lock_accounts(session, account_ids)
    settling.settle(session, ids)
    debts = known.debts(session, ids)
    accounts = known.accounts(session, debts)
    taken = _taken(session, debts.values())
    held = _held(session, ids)
    due = [
        one
        for account_id, account in sorted(accounts.items())
        for one in _due(session, account, debts[account_id], taken, held, today, holidays)
    ]
    fresh = _keep(session, due, today)
    _tell(session, fresh, today)
    _propose(session, fresh)
    return len(fresh)


def _taken(session: Session, debts: Iterable[Sequence[Debt]]) -> Mapping[int, Mapping[str, Taken]]:
    found: dict[int, dict[str, Taken]] = defaultdict(dict)
    ids = sorted(debt.bill_id for listed in debts for debt in listed)
    for bill_id, step, day, cut_from in run(session, _TAKEN, {"ids": ids}):
        found[bill_id][step] = Taken(day, cut_from)
    return found


def _held(session: Session, account_ids: Collection[int]) -> set[tuple[int, int | None]]:
    """(account, bill) in dispute; without a bill all of the account's debts are."""
    rows = session.execute(
        select(Dispute.account_id, Dispute.bill_id).where(
            among(Dispute.account_id, account_ids), Dispute.closed_at.is_(None)
        )
    )
    return {(account_id, bill_id) for account_id, bill_id in rows}


def _due(
    session: Session,
    account: DuesAccount,
    debts: Sequence[Debt],
    taken: Mapping[int, Mapping[str, Taken]],
    held: Collection[tuple[int, int | None]],
    today: date,
    holidays: Collection[date],
) -> list[_Due]:
    """The steps that the debts of one account have come to today."""
    rules = known.rules(session)
    ladder = rules.ladder(account.account_class)
    overdue = [debt for debt in debts if debt.due < today and debt.principal > 0]
    if (account.id, None) in held or sum((d.principal for d in overdue), ZERO) < ladder.least:
        return []
    found = []
    for debt in overdue:
        if (account.id, debt.bill_id) in held:
            continue
        step = ladder.next(debt.due, today, taken.get(debt.bill_id, {}))
        if step is None:
            continue
        fee = max(debt.fee_so_far(today, rules.late_fee), ZERO)
        until = cut_day(today, step.notice_days, holidays) if step.notice_days else None
        found.append(_Due(account, debt, step, fee, until))
    # One notice a day: what is less urgent is told tomorrow.
    first = max(found, key=_urgency, default=None)
    return [one for one in found if first is not None and one.step.name == first.step.name]


def _keep(session: Session, due: Sequence[_Due], today: date) -> list[_Due]:
    """Write the steps down; those that were not there before."""
    now = clock.now()
    rows = [
        {
            "created_at": now,
            "account_id": one.account.id,
            "bill_id": one.debt.bill_id,
            "step": one.step.name,
            "day": today,
            "overdue_days": (today - one.debt.due).days,
            "amount": one.debt.principal,
            "fee": one.fee,
            "cut_from": one.cut_from,
        }
        for one in due
    ]
    fresh = set(insert_new(session, DunningStep, rows, ("bill_id", "step"), "bill_id"))
    return [one for one in due if one.debt.bill_id in fresh]


def _urgency(one: _Due) -> tuple[bool, bool, int, int, int]:
    """What comes later on the ladder is more urgent; of equal steps the oldest debt speaks."""
    step, debt = one.step, one.debt
    last = step.kind == "proposal", step.notice_days is not None, step.after_due
    return (*last, -debt.due.toordinal(), -debt.bill_id)


def _tell(session: Session, due: Sequence[_Due], today: date) -> None:
    """Send each account one notice of the step that its debts have come to."""
    by_account: dict[int, list[_Due]] = defaultdict(list)
    for one in due:
        if one.step.event is not None:
            by_account[one.account.id].append(one)
    phones = known.phones(session, {one.account.customer_id for one in due})
    notices: list[Notice] = []
    for same in by_account.values():
        first = max(same, key=_urgency)
        notices += [
            Notice(
                event=str(first.step.event),
                key=f"dues.{first.step.name}:{first.debt.bill_id}:{phone.phone}",
                phone=phone.phone,
                language=phone.language,
                data=_values(first, same, today),
                contact_id=phone.contact_id,
                account_id=first.account.id,
            )
            for phone in phones.get(first.account.customer_id, ())
        ]
    enqueue(session, notices)


def _values(first: _Due, same: Sequence[_Due], today: date) -> dict[str, Any]:
    """The variables of a notice: the debts of one step together."""
    amount = sum((one.debt.principal for one in same), ZERO)
    about: dict[str, Any] = {"no": first.account.account_no, "amt": amount}
    if first.step.event == "dues.reminder":
        return about | {"due": first.debt.due}
    fee = sum((one.fee for one in same), ZERO)
    day = first.cut_from or today + timedelta(days=7)
    return about | {"d": str((today - first.debt.due).days), "fee": fee, "date": day}


def _propose(session: Session, due: Sequence[_Due]) -> None:
    """Propose to disconnect the accounts whose debts have come to the end of the ladder."""
    by_account: dict[int, list[_Due]] = defaultdict(list)
    for one in due:
        if one.step.kind == "proposal":
            by_account[one.account.id].append(one)
    insert_rows(
        session,
        DisconnectProposal,
        [
            {
                "created_at": clock.now(),
                "account_id": account_id,
                "reason": "dunning",
                "state": "proposed",
                "amount": sum((one.debt.principal for one in listed), ZERO),
                "detail": {"bills": [one.debt.bill_no for one in listed]},
            }
            for account_id, listed in sorted(by_account.items())
        ],
        on_conflict=(),
    )
