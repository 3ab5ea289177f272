"""When a low balance is told, and what follows; amounts in the operator's currency, below zero is owed.

A balance is told low once for each time it goes below its threshold, and once more after every
month's issue that leaves it below; a top-up to the threshold or above makes it ready to be told
again. Who is in arrears hears of the debt instead, never of both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Cut = Literal["none", "propose", "automatic"]
CUTS = ("none", "propose", "automatic")
BASES = ("share", "days")
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Rule:
    """What is done about low balances of one class of accounts.

    ``steps`` fall from the first warning to the last: shares of the last top-up (``share``) or days
    that the balance will last (``days``).
    """

    low_balance: Decimal | None = None
    cut: str = "none"
    cut_below: Decimal = ZERO
    basis: str | None = None
    steps: tuple[Decimal, ...] = ()


DEFAULT_RULES = {
    "prepaid": Rule(low_balance=Decimal(50), cut="propose"),
    "postpaid": Rule(),
}


@dataclass(frozen=True, slots=True)
class Movement:
    """One ledger line of a receivable: what it adds, and whether it is a bill or a top-up."""

    line_id: int
    amount: Decimal
    kind: str


@dataclass(frozen=True, slots=True)
class Watch:
    """What is remembered of an account between two looks (see ``balance_watch``)."""

    line_id: int = 0
    balance: Decimal = ZERO
    told: bool = False
    step: int = 0
    top_up: Decimal | None = None
    top_up_line_id: int | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at new ledger lines found: the watch as it is now, and the line to tell of."""

    watch: Watch
    low_at: int | None


def look(
    watch: Watch, movements: Iterable[Movement], threshold: Decimal | None, *, crossings: bool
) -> Look:
    """Go through new lines in their order; ``low_at`` is the last line that calls for a notice.

    Args:
        crossings: tell of every downward crossing (prepaid accounts), not only after a bill.

    A balance that is back at the threshold at the end is not told, however low it was meanwhile;
    one in arrears is not told, and what it fell through counts as told. What an account brought with
    it from another system is no news either.
    """
    balance, told, low_at = watch.balance, watch.told, None
    top_up, top_up_line, step, line_id = (
        watch.top_up,
        watch.top_up_line_id,
        watch.step,
        watch.line_id,
    )
    for one in movements:
        balance, line_id = balance + one.amount, one.line_id
        if one.kind == "top_up":
            top_up, top_up_line, step = one.amount, one.line_id, 0
        if threshold is None or balance >= threshold:
            told, low_at = False, None
        elif one.kind == "opening":
            told = True
        elif one.kind == "bill" or (crossings and not told):
            told, low_at = True, one.line_id
    if balance < ZERO:
        low_at = None
    return Look(Watch(line_id, balance, told, step, top_up, top_up_line), low_at)


@dataclass(frozen=True, slots=True)
class Alarm:
    """A step that the balance has come down to: which one (from 1), and how it measures."""

    step: int
    threshold: Decimal
    measure: Decimal


def alarm(rule: Rule, watch: Watch, remaining: Decimal, daily: Decimal | None) -> Alarm | None:
    """The lowest step reached that was not told since the last top-up, or None.

    Args:
        remaining: the balance less the estimated charge that is not billed yet.
        daily: the estimated charge of a day; None when there is none.
    """
    measure = _measure(rule, watch, remaining, daily)
    if measure is None:
        return None
    reached = [n for n, step in enumerate(rule.steps, start=1) if measure <= step]
    if not reached or reached[-1] <= watch.step:
        return None
    return Alarm(reached[-1], rule.steps[reached[-1] - 1], measure)


def _measure(rule: Rule, watch: Watch, remaining: Decimal, daily: Decimal | None) -> Decimal | None:
    """The share of the last top-up that is left, or how many days it will last."""
    whole = {"share": watch.top_up, "days": daily}.get(rule.basis or "")
    if whole is None or whole <= 0:
        return None
    return (max(remaining, ZERO) / whole).quantize(Decimal("0.0001"))


def wants_cut(rule: Rule, balance: Decimal) -> bool:
    """Whether the balance has fallen so low that the supply is to be cut."""
    return rule.cut != "none" and balance < rule.cut_below


def steps_of(texts: Sequence[str]) -> tuple[Decimal, ...]:
    """Alarm steps as they are kept, the highest first."""
    return tuple(sorted({Decimal(text) for text in texts}, reverse=True))
