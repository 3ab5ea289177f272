"""The shapes of an account in the JSON API. Amounts and quantities travel as text."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate

from server.notify.rules.categories import REFUSABLE

_TEXT = validate.Regexp(r"[^\x00\ud800-\udfff]*\Z", error="The text holds no real characters.")
_NOT_HERE = {"description": "None without the right to see it."}


def _amount(**more: Any) -> fields.Decimal:
    return fields.Decimal(as_string=True, **more)


def _time(**more: Any) -> fields.AwareDateTime:
    return fields.AwareDateTime(format="iso", **more)


class Place(fields.Field):  # type: ignore[type-arg]  # a position has no one Python type
    """Where something is or was taken, WGS-84; None when it is not known."""

    _CHECK_ATTRIBUTE = False

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:  # noqa: ARG002 - the base class sets the signature
        if obj.lat_e7 is None or obj.lon_e7 is None:
            return None
        return {"lat": obj.lat_e7 / 1e7, "lon": obj.lon_e7 / 1e7, "crs": "wgs84"}


class SearchQuery(Schema):
    """What is looked for."""

    q = fields.String(
        required=True,
        validate=(validate.Length(1, 80), _TEXT),
        metadata={
            "description": "A number from its beginning, a phone, a name or an address.",
            "example": "10000001",
        },
    )
    anywhere = fields.Boolean(
        load_default=False,
        metadata={"description": "Look inside names and addresses even when some begin so."},
    )


class HitOut(Schema):
    """An account and why it was found."""

    account_id = fields.Integer()
    account_no = fields.String()
    customer = fields.String()
    status = fields.String()
    why = fields.String(metadata={"example": "meter"})
    detail = fields.String()


class HitsOut(Schema):
    """What was found, the best first; ``more`` when there may be others."""

    accounts = fields.List(fields.Nested(HitOut))
    more = fields.Boolean()


class OverviewQuery(Schema):
    """What the answer may say."""

    phones = fields.Boolean(
        load_default=False,
        metadata={"description": "Whole phone numbers; that they were read is written down."},
    )


class CategoryRefusedOut(Schema):
    """A category that a phone refuses."""

    category = fields.String()
    since = _time()
    source = fields.String()
    note = fields.String(allow_none=True)


class PersonOut(Schema):
    """Somebody to reach."""

    id = fields.Integer()
    name = fields.String()
    kind = fields.String()
    phone = fields.String(allow_none=True)
    email = fields.String(allow_none=True)
    language = fields.String()
    verified = fields.Boolean()
    is_default = fields.Boolean()
    refuses = fields.List(fields.Nested(CategoryRefusedOut), allow_none=True, metadata=_NOT_HERE)


class PointOut(Schema):
    """A service point with its present meter."""

    id = fields.Integer()
    point_no = fields.String()
    status = fields.String()
    address = fields.String()
    location_hint = fields.String(allow_none=True)
    hazards = fields.String(allow_none=True)
    position = Place()
    meter = fields.String(allow_none=True)
    multiplier = _amount(allow_none=True)
    node = fields.String(allow_none=True)


class ReadPhotoOut(Schema):
    """A photo or document of a reading."""

    id = fields.Integer()
    type = fields.String()
    name = fields.String()


class ReadOut(Schema):
    """A reading; ``quantity`` is the use it ends, ``distance_m`` how far from the premise it was taken."""

    id = fields.Integer()
    point_id = fields.Integer()
    register = fields.String()
    value = _amount(allow_none=True)
    quantity = _amount(allow_none=True)
    read_at = _time()
    status = fields.String()
    quality = fields.String()
    source = fields.String()
    code = fields.String(allow_none=True)
    reader = fields.String(allow_none=True)
    position = Place()
    distance_m = fields.Float(allow_none=True)
    photos = fields.List(fields.Nested(ReadPhotoOut))


class BilledOut(Schema):
    """A bill in short."""

    id = fields.Integer()
    bill_no = fields.String()
    period = fields.String()
    period_from = fields.Date()
    period_to = fields.Date()
    status = fields.String()
    quantity = _amount()
    total = _amount()
    balance_after = _amount()
    due = fields.Date()
    cancels_id = fields.Integer(allow_none=True)


class OrderOut(Schema):
    """A reading that is to be taken."""

    id = fields.Integer()
    point_no = fields.String()
    period = fields.String()
    reason = fields.String()
    due = fields.Date()
    status = fields.String()
    book_no = fields.String(allow_none=True)


class ItemOut(Schema):
    """Something that waits for a decision."""

    id = fields.Integer()
    kind = fields.String()
    reason = fields.String()
    subject_type = fields.String()
    subject_id = fields.String()
    since = _time()


class SaidOut(Schema):
    """A text to the customer (``out``) or from him."""

    out = fields.Boolean()
    id = fields.Integer()
    at = _time()
    phone = fields.String()
    text = fields.String()
    status = fields.String()
    event = fields.String(allow_none=True)


class MonthOut(Schema):
    """The use of a month, and of the same month a year before."""

    year = fields.Integer()
    month = fields.Integer()
    this = _amount(allow_none=True)
    last = _amount(allow_none=True)


class ActOut(Schema):
    """What somebody did to the account."""

    actor = fields.String()
    action = fields.String()
    at = _time()


class AccountOwingOut(Schema):
    """What is open of a bill today; ``fee`` is the late fee so far."""

    bill_no = fields.String()
    period = fields.String()
    due = fields.Date()
    total = _amount()
    principal = _amount()
    fee = _amount()
    overdue_days = fields.Integer()
    disputed = fields.Boolean()


class PositionOut(Schema):
    """What has to be paid today, bill by bill; ``earlier`` is debt without a bill."""

    to_pay = _amount()
    overdue = _amount()
    earlier = _amount()
    credit = _amount()
    owing = fields.List(fields.Nested(AccountOwingOut))


class StepOut(Schema):
    """A step taken for a debt."""

    step = fields.String(metadata={"example": "demand"})
    day = fields.Date()
    overdue_days = fields.Integer()
    amount = _amount()
    fee = _amount()
    cut_from = fields.Date(allow_none=True)


class ProposalOut(Schema):
    """A proposal to cut the supply."""

    reason = fields.String(metadata={"example": "prepaid"})
    state = fields.String(metadata={"example": "proposed"})
    amount = _amount()
    created_at = _time()
    planned_at = _time(allow_none=True)
    closed_at = _time(allow_none=True)
    why = fields.String(allow_none=True)


class ContestedOut(Schema):
    """A dispute; without a bill it is about all debts."""

    bill_id = fields.Integer(allow_none=True)
    reason = fields.String()
    created_at = _time()
    closed_at = _time(allow_none=True)
    outcome = fields.String(allow_none=True)


class AccountDuesOut(Schema):
    """What is owed and what was done about it, the newest first."""

    position = fields.Nested(PositionOut)
    steps = fields.List(fields.Nested(StepOut))
    disputes = fields.List(fields.Nested(ContestedOut))
    proposals = fields.List(fields.Nested(ProposalOut))


class PaidOut(Schema):
    """A payment in short."""

    receipt_no = fields.String()
    paid_at = _time()
    amount = _amount()
    channel = fields.String()
    method = fields.String()
    status = fields.String()


class RuleOut(Schema):
    """What is done about a low balance; ``steps`` are shares of the last top-up, or days."""

    low_balance = _amount(allow_none=True)
    cut = fields.String()
    cut_below = _amount()
    basis = fields.String(allow_none=True)
    steps = fields.List(_amount())


class AlarmOut(Schema):
    """A low balance that was told."""

    kind = fields.String()
    balance = _amount()
    remaining = _amount()
    threshold = _amount()
    measure = _amount()
    created_at = _time()


class EstimateOut(Schema):
    """The charge that is not billed yet, by hourly values."""

    from_at = _time()
    as_of = _time()
    quantity = _amount()
    amount = _amount(allow_none=True)
    daily = _amount(allow_none=True)
    missing = fields.Integer(metadata={"description": "Hours without a value."})
    problem = fields.String(allow_none=True)


class WatchedOut(Schema):
    """How the balance is watched."""

    rule = fields.Nested(RuleOut)
    alarms = fields.List(fields.Nested(AlarmOut))
    estimate = fields.Nested(EstimateOut, allow_none=True)


class HourPointOut(Schema):
    """A point with hourly values, and how many hours of the last seven days are missing."""

    point_no = fields.String()
    first_at = _time()
    last_at = _time()
    missing = fields.Integer()


class HoursOut(Schema):
    """The points with hourly values."""

    states = fields.List(fields.Nested(HourPointOut))


def _list(schema: type[Schema]) -> fields.Nested:
    """The first rows of a list, and whether there are more."""
    name = schema.__name__.removesuffix("Out")
    rows: dict[str, fields.Field[Any]] = {
        "rows": fields.List(fields.Nested(schema)),
        "more": fields.Boolean(metadata={"description": "There are others behind these."}),
    }
    return fields.Nested(
        Schema.from_dict(rows, name=f"First{name}"), allow_none=True, metadata=_NOT_HERE
    )


class OverviewOut(Schema):
    """An account from every side. Parts the caller may not see are null; long lists are cut."""

    account_no = fields.String()
    customer = fields.String()
    customer_no = fields.String()
    account_class = fields.String()
    mode = fields.String(metadata={"example": "prepaid"})
    status = fields.String()
    tariff = fields.String()
    currency = fields.String()
    balance = _amount(metadata={"description": "Below zero: is owed."})
    as_of = _time()
    year_use = _amount(allow_none=True)
    months = fields.List(fields.Nested(MonthOut), allow_none=True, metadata=_NOT_HERE)
    contacts = _list(PersonOut)
    points = _list(PointOut)
    bills = _list(BilledOut)
    readings = _list(ReadOut)
    orders = _list(OrderOut)
    waiting = _list(ItemOut)
    messages = _list(SaidOut)
    dues = fields.Nested(AccountDuesOut, allow_none=True, metadata=_NOT_HERE)
    payments = _list(PaidOut)
    watched = fields.Nested(WatchedOut, allow_none=True, metadata=_NOT_HERE)
    hours = fields.Nested(HoursOut, allow_none=True, metadata=_NOT_HERE)
    trail = _list(ActOut)


class PreferenceIn(Schema):
    """What a contact wants: texts of a category, or none of them."""

    contact_id = fields.Integer(required=True, strict=True, validate=validate.Range(1, 2**63 - 1))
    category = fields.String(required=True, validate=validate.OneOf(REFUSABLE))
    wants = fields.Boolean(required=True)
    why = fields.String(
        required=True,
        validate=(validate.Length(1, 160), _TEXT),
        metadata={"example": "asked on the phone"},
    )


class PreferenceOut(Schema):
    """Whether anything changed."""

    changed = fields.Boolean()
