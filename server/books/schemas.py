"""What the JSON API takes and gives about bills, bill runs and the ledger."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from marshmallow import Schema, fields, validate

# PostgreSQL stores no NUL, and half of a surrogate pair is no character.
_TEXT = validate.Regexp(r"[^\x00\ud800-\udfff]*\Z", error="The text holds no real characters.")
_TIME = validate.Range(
    datetime(1900, 1, 1, tzinfo=UTC),
    datetime(2200, 1, 1, tzinfo=UTC),
    error="Not a valid datetime.",
)
_PERIOD = validate.Regexp(r"[0-9]{4}-(0[1-9]|1[0-2])\Z", error="A period is YYYY-MM.")
_MONEY = validate.Range(0, 100_000_000_000, min_inclusive=False)
_DIAL = validate.Range(0, 10**12)


def _word(length: int, **more: Any) -> fields.String:
    return fields.String(validate=(validate.Length(1, length), _TEXT), **more)


def _decimal(**more: Any) -> fields.Decimal:
    return fields.Decimal(as_string=True, **more)


class BillLineOut(Schema):
    """One line: what was charged, how much, at which price, by which tariff version."""

    position = fields.Integer()
    component = fields.String()
    register = fields.String(allow_none=True)
    tariff_version = fields.Integer(allow_none=True)
    tariff_valid_from = fields.Date(allow_none=True)
    quantity = _decimal()
    price = _decimal()
    amount = _decimal()
    year = fields.Integer(allow_none=True)
    cumulative_before = _decimal()
    reading_from = _decimal(allow_none=True)
    reading_to = _decimal(allow_none=True)


class RelatedOut(Schema):
    """A document that cancels, credits or replaces this one, or the other way round."""

    what = fields.String()
    bill_no = fields.String()
    total = _decimal()
    reason = fields.String(allow_none=True)


class BillOut(Schema):
    """A bill as it was issued, for ever."""

    bill_no = fields.String()
    kind = fields.String(metadata={"description": "bill, cancellation or credit_note"})
    status = fields.String()
    account_no = fields.String()
    customer = fields.String()
    address = fields.String(allow_none=True)
    period = fields.String()
    period_from = fields.Date()
    period_to = fields.Date()
    issued_at = fields.AwareDateTime()
    due = fields.Date()
    currency = fields.String()
    quantity = _decimal()
    total = _decimal()
    credited = _decimal()
    balance_after = _decimal()
    estimated = fields.Boolean()
    reason = fields.String(allow_none=True)
    tariff = fields.String()
    lines = fields.List(fields.Nested(BillLineOut))
    related = fields.List(fields.Nested(RelatedOut))


class BillsQuery(Schema):
    """Which bills of an account: before a number, so many."""

    before = _word(24, load_default=None)
    limit = fields.Integer(load_default=50, validate=validate.Range(1, 500))


class BillHeadOut(Schema):
    """A bill without its lines."""

    bill_no = fields.String()
    kind = fields.String()
    status = fields.String()
    period = fields.String()
    period_from = fields.Date()
    period_to = fields.Date()
    issued_at = fields.AwareDateTime()
    due = fields.Date()
    quantity = _decimal()
    total = _decimal()
    balance_after = _decimal()
    estimated = fields.Boolean()


class BillsOut(Schema):
    """Bills, newest first; ``next`` asks for older ones."""

    bills = fields.List(fields.Nested(BillHeadOut))
    next = fields.String(allow_none=True)


class CancelIn(Schema):
    """Why a bill is cancelled, and whether what it charged for is billed again at once."""

    reason = _word(255, required=True)
    again = fields.Boolean(load_default=False)


class CreditIn(Schema):
    """How much of a bill is given back, and why."""

    amount = fields.Decimal(required=True, places=None, validate=_MONEY)
    reason = _word(255, required=True)


class CorrectedOut(Schema):
    """What a correction made; ``waits`` when a second person decides first."""

    waits = fields.Boolean()
    cancelled = fields.List(fields.String())
    notes = fields.List(fields.String())
    issued = fields.List(fields.String())


class RunIn(Schema):
    """Which period to bill, of which route; without one, of all that are not billed on reading."""

    period = fields.String(required=True, validate=_PERIOD)
    route = _word(40, load_default=None, allow_none=True)
    estimate = fields.Boolean(load_default=False)


class RunOut(Schema):
    """How far a bill run is."""

    run_id = fields.Integer()
    period = fields.String()
    scope = fields.String()
    status = fields.String()
    started_at = fields.AwareDateTime()
    finished_at = fields.AwareDateTime(allow_none=True)
    accounts = fields.Integer()
    done = fields.Integer()
    bills = fields.Integer()
    total = _decimal()
    estimates = fields.Integer()
    waiting = fields.Integer()


class DialIn(Schema):
    """What a register of a point shows."""

    point_no = _word(40, required=True)
    register = _word(16, load_default="total")
    value = fields.Decimal(required=True, validate=_DIAL)


class TurnIn(Schema):
    """A turn of an account: closed, handed over, suspended, resumed, or given another class."""

    act = fields.String(
        required=True,
        validate=validate.OneOf(("close", "hand_over", "suspend", "resume", "change_class")),
    )
    reason = _word(255, required=True)
    at = fields.AwareDateTime(load_default=None, format="iso", validate=_TIME)
    dials = fields.List(fields.Nested(DialIn), load_default=list, validate=validate.Length(0, 200))
    sure = fields.Boolean(load_default=False)
    balance_to = _word(40, load_default=None, metadata={"description": "close: an account"})
    customer_no = _word(40, load_default=None, metadata={"description": "hand_over: who takes it"})
    account_no = _word(40, load_default=None, metadata={"description": "hand_over: the new number"})
    with_balance = fields.Boolean(load_default=False)
    account_class = _word(40, load_default=None, metadata={"description": "change_class"})
    tariff = _word(40, load_default=None, metadata={"description": "change_class"})


class TurnedOut(Schema):
    """What a turn made."""

    bills = fields.List(fields.String())
    balance = _decimal()
    new_account_no = fields.String(allow_none=True)


class ExportQuery(Schema):
    """Which periods, and sums or every line."""

    period = fields.String(required=True, validate=_PERIOD)
    to = fields.String(load_default=None, validate=_PERIOD)
    lines = fields.Boolean(load_default=False)


class PeriodOut(Schema):
    """An accounting period with its state."""

    period = fields.String()
    status = fields.String()
    closed_at = fields.AwareDateTime(allow_none=True)


class PeriodsOut(Schema):
    """Periods that were ever closed or posted into late, newest first; any other is open."""

    periods = fields.List(fields.Nested(PeriodOut))


class PeriodIn(Schema):
    """What to do with a period; opening a closed one needs a reason."""

    status = fields.String(required=True, validate=validate.OneOf(("open", "closed")))
    reason = _word(255, load_default="")
