"""Watching balances: low ones are told once, large customers are warned, supply is cut and given back.

The ledger is looked at from the line where the last look ended, so that every crossing of the threshold
is seen, whenever the look comes; a look that is repeated finds nothing. See `rules.prepaid`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from sqlalchemy import and_, func, or_, select, tuple_

from server import clock
from server.accounts.models import Account
from server.billing.models import AccountBalance, Journal, LedgerLine
from server.billing.rules.chart import RECEIVABLE
from server.billing.service.ledger import lock_accounts
from server.db import Session, among, bulk_upsert, insert_new
from server.dues.models import BalanceAlarm, BalanceWatch, ChargeEstimate
from server.dues.rules.prepaid import ZERO, Alarm, Movement, Rule, Watch, alarm, look, wants_cut
from server.dues.service import known, prepaid_cuts, prepaid_rules, terminals
from server.notify.service import Notice, enqueue
from server.operator import current

SLICE = 500
_A, _B, _W, _E = Account, AccountBalance, BalanceWatch, ChargeEstimate
_TOP_UPS = ("payment",)


@dataclass(frozen=True, slots=True)
class Watched:
    """An account that is watched, with what is known of it."""

    id: int
    account_no: str
    customer_id: int
    mode: str
    rule: Rule
    watch: Watch
    unbilled: Decimal
    daily: Decimal | None


@dataclass(slots=True)
class Told:
    """What a look has to tell of one account."""

    account: Watched
    watch: Watch
    low: bool = False
    alarm: Alarm | None = None

    @property
    def remaining(self) -> Decimal:
        """The balance less the estimated charge that is not billed yet."""
        return self.watch.balance - self.account.unbilled

    @property
    def key(self) -> str:
        """The name of what is told, for ever: the line that crossed, or the step after a top-up."""
        if self.alarm is not None:
            return f"step:{self.account.id}:{self.watch.top_up_line_id or 0}:{self.alarm.step}"
        return f"low:{self.account.id}:{self.watch.line_id}"


def candidates(session: Session, after: int = 0) -> list[int]:
    """The next accounts (by id) whose ledger or estimate has moved since the last look."""
    rules = prepaid_rules.load(session)
    ruled = [key for key, rule in rules.own.items() if rule.low_balance is not None or rule.steps]
    watched: list[Any] = [_A.mode == "prepaid", _A.alert_threshold.is_not(None)]
    if ruled:
        watched.append(tuple_(_A.account_class, _A.mode).in_(ruled))
    moved = or_(func.coalesce(_W.line_id, 0) < _B.last_line_id, _E.estimated_at > _W.looked_at)
    rows = session.scalars(
        select(_A.id)
        .join(_B, and_(_B.account_id == _A.id, _B.unit == current(session).currency))
        .outerjoin(_W, _W.account_id == _A.id)
        .outerjoin(_E, _E.account_id == _A.id)
        .where(_A.id > after, _A.status == "active", or_(*watched), moved)
        .order_by(_A.id)
        .limit(SLICE)
    )
    return list(rows)


def look_at(session: Session, account_ids: Collection[int]) -> int:
    """Look at these accounts and tell what is to be told; how many were told something.

    The number of statements does not grow with the accounts.
    """
    if not account_ids:
        return 0
    ids = lock_accounts(session, account_ids)
    accounts = _watched(session, ids)
    movements = _movements(session, accounts)
    looked = [_look(account, movements.get(account.id, ())) for account in accounts]
    _remember(session, looked)
    told = _news(session, [one for one in looked if one.low or one.alarm is not None])
    _announce(session, told)
    prepaid_cuts.settle(
        session,
        [(o.account.id, o.account.rule, o.watch.balance) for o in looked if _is_cut(o.account)],
    )
    return len(told)


def paid(session: Session, account_ids: Collection[int]) -> None:
    """Money came for these accounts (locked): proposals to cut that it has settled are taken back."""
    open_ones = prepaid_cuts.open_proposals(session, account_ids)
    if not open_ones:
        return
    balances = known.balances(session, [row.account_id for row in open_ones])
    rules = {one.id: one.rule for one in _watched(session, sorted(balances))}
    settled = [
        row for row in open_ones if not wants_cut(rules[row.account_id], balances[row.account_id])
    ]
    prepaid_cuts.give_back(session, settled)


def _is_cut(account: Watched) -> bool:
    return account.mode == "prepaid"


def _look(account: Watched, movements: Iterable[Movement]) -> Told:
    """One account: a step of the alarm is told instead of the low balance, never both at once."""
    crossings = account.mode == "prepaid"
    found = look(account.watch, movements, account.rule.low_balance, crossings=crossings)
    told = Told(account, found.watch, low=found.low_at is not None)
    told.alarm = alarm(account.rule, found.watch, told.remaining, account.daily)
    if told.alarm is not None:
        told.watch = replace(found.watch, step=told.alarm.step)
        told.low = False
    return told


# --- reading ------------------------------------------------------------------------------


def _watched(session: Session, ids: Sequence[int]) -> list[Watched]:
    rules = prepaid_rules.load(session)
    rows = session.execute(
        select(_A, _W, _E.amount, _E.daily)
        .outerjoin(_W, _W.account_id == _A.id)
        .outerjoin(_E, _E.account_id == _A.id)
        .where(among(_A.id, ids))
        .order_by(_A.id)
    )
    return [
        Watched(
            a.id,
            a.account_no,
            a.customer_id,
            a.mode,
            rules.of(a.account_class, a.mode, a.alert_threshold),
            _watch(w),
            unbilled or ZERO,
            daily,
        )
        for a, w, unbilled, daily in rows
    ]


def _watch(row: BalanceWatch | None) -> Watch:
    if row is None:
        return Watch()
    return Watch(row.line_id, row.balance, row.told, row.step, row.top_up, row.top_up_line_id)


def _movements(session: Session, accounts: Sequence[Watched]) -> Mapping[int, list[Movement]]:
    """The lines of the receivables since the last look at each account, in their order."""
    line = LedgerLine
    rows = session.execute(
        select(line.account_id, line.id, line.credit, line.debit, Journal.kind)
        .join(Journal, Journal.id == line.journal_id)
        .outerjoin(_W, _W.account_id == line.account_id)
        .where(
            among(line.account_id, [account.id for account in accounts]),
            line.unit == current(session).currency,
            line.ledger == RECEIVABLE,
            line.id > func.coalesce(_W.line_id, 0),
        )
        .order_by(line.id)
    )
    found: dict[int, list[Movement]] = defaultdict(list)
    for account_id, number, credit, debit, kind in rows:
        amount = credit - debit
        assert account_id is not None, "the condition names accounts"
        word = "top_up" if kind in _TOP_UPS and amount > ZERO else kind
        found[account_id].append(Movement(number, amount, word))
    return found


# --- writing ------------------------------------------------------------------------------


def _remember(session: Session, looked: Iterable[Told]) -> None:
    now = clock.now()
    rows = [
        {
            "account_id": one.account.id,
            "line_id": one.watch.line_id,
            "balance": one.watch.balance,
            "told": one.watch.told,
            "step": one.watch.step,
            "top_up": one.watch.top_up,
            "top_up_line_id": one.watch.top_up_line_id,
            "looked_at": now,
        }
        for one in looked
    ]
    bulk_upsert(session, _W, rows, ("account_id",))


def _news(session: Session, told: Sequence[Told]) -> list[Told]:
    """Write down what is told; what was told before is left out."""
    rows = [_alarm_row(one) for one in told]
    new = set(insert_new(session, BalanceAlarm, rows, ("key",), "key")) if rows else set()
    return [one for one in told if one.key in new]


def _alarm_row(one: Told) -> dict[str, Any]:
    rule, found = one.account.rule, one.alarm
    threshold = found.threshold if found is not None else rule.low_balance
    return {
        "created_at": clock.now(),
        "key": one.key,
        "account_id": one.account.id,
        "kind": rule.basis if found is not None else "low",
        "balance": one.watch.balance,
        "remaining": one.remaining,
        "threshold": threshold,
        "measure": found.measure if found is not None else one.watch.balance,
    }


def _announce(session: Session, told: Sequence[Told]) -> None:
    """Tell the default contacts by text, and the load terminal by a call."""
    if not told:
        return
    phones = known.phones(session, {one.account.customer_id for one in told})
    notices = [
        Notice(
            event=event,
            key=f"balance:{one.key}:{phone.phone}",
            phone=phone.phone,
            language=phone.language,
            data=data,
            contact_id=phone.contact_id,
            account_id=one.account.id,
        )
        for one in told
        for event, data in (_words(one),)
        for phone in phones.get(one.account.customer_id, ())
    ]
    enqueue(session, notices)
    unit = current(session).currency
    calls = [(one.account.id, one.key, call_body(one, unit)) for one in told]
    terminals.enqueue(session, calls)


def _words(one: Told) -> tuple[str, dict[str, Any]]:
    """The event and the values of its text."""
    number, found = one.account.account_no, one.alarm
    if found is None:
        limit = one.account.rule.low_balance
        return "balance.low", {"no": number, "bal": one.watch.balance, "limit": limit}
    rest = max(one.remaining, ZERO)
    if one.account.rule.basis == "share":
        share = f"{found.measure * 100:.0f}"
        return "balance.share", {"no": number, "rest": rest, "pct": share}
    days = f"{found.measure:.1f}"
    return "balance.days", {"no": number, "rest": rest, "days": days}


def call_body(one: Told, currency: str) -> dict[str, Any]:
    """What a load terminal is told; amounts as text (docs/load-terminals.md)."""
    found = one.alarm
    return {
        "event": "balance.low" if found is None else f"balance.{one.account.rule.basis}",
        "account_no": one.account.account_no,
        "currency": currency,
        "balance": str(one.watch.balance),
        "remaining": str(one.remaining),
        "threshold": str(one.account.rule.low_balance if found is None else found.threshold),
        "measure": None if found is None else str(found.measure),
        "at": clock.to_iso(clock.now()),
    }
