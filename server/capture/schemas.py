"""The form of every item type. A published type never changes its meaning.

New fields have defaults; anything else is a new version. Unknown fields are not an error: they
stay in the raw payload.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from marshmallow import (
    EXCLUDE,
    Schema,
    ValidationError,
    fields,
    validate,
    validates,
    validates_schema,
)

from server import geo
from server.accounts.models import REGISTER_KINDS
from server.capture.codes import MISSES, SKIPS, TROUBLES
from server.capture.plain import plain_reading
from server.rounds.models import STOP_KINDS

MAX_DIGITS = 18


class DialValue(fields.Field[Decimal]):
    """A dial's figure as text or number: digits with at most one point, no sign, no letters."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Decimal:  # noqa: ARG002 - the base class sets the signature
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if not isinstance(text, str):
            raise ValidationError('A dial\'s figure is text such as "01234".')
        whole, point, places = text.partition(".")
        digits = whole + places
        plain = digits.isascii() and digits.isdigit() and whole and (places or not point)
        if not plain or len(digits) > MAX_DIGITS or len(places) > 6:
            raise ValidationError(f"{text[:40]!r} is not a dial's figure.")
        return Decimal(text)


class ItemData(Schema):
    """Base of the schemas of item data."""

    class Meta:
        """Unknown fields are kept in the payload and not looked at."""

        unknown = EXCLUDE


class RegisterReading(ItemData):
    """One dial's figure; ``second_entry`` is the figure keyed again after a warning."""

    kind = fields.String(required=True, validate=validate.OneOf(REGISTER_KINDS))
    value = DialValue(required=True)
    second_entry = DialValue(load_default=None, allow_none=True)


class MeterReadingV1(ItemData):
    """``meter_reading.v1``: the dials of a meter at one time."""

    read_order = fields.Integer(load_default=None, allow_none=True, strict=True)
    service_point = fields.Integer(required=True, strict=True)
    meter_serial = fields.String(required=True, validate=validate.Length(1, 40))
    reason = fields.String(load_default="01", validate=validate.Length(2, 2))
    registers = fields.List(
        fields.Nested(RegisterReading), required=True, validate=validate.Length(1, 8)
    )
    trouble = fields.String(
        load_default=None, allow_none=True, validate=validate.OneOf(tuple(TROUBLES))
    )
    note = fields.String(load_default=None, allow_none=True, validate=validate.Length(max=255))

    def load(self, data: Any, **kwargs: Any) -> Any:
        """As the base class; an ordinary reading takes the short way."""
        return plain_reading(data) or super().load(data, **kwargs)

    @validates("registers")
    def each_register_once(self, value: list[dict[str, Any]], data_key: str) -> None:  # noqa: ARG002 - the base class sets the signature
        """Two figures for one dial say nothing certain."""
        if len({register["kind"] for register in value}) < len(value):
            raise ValidationError("A register is there twice.")


class MeterSkipV1(ItemData):
    """``meter_skip.v1``: why there is no reading."""

    read_order = fields.Integer(required=True, strict=True)
    service_point = fields.Integer(required=True, strict=True)
    skip = fields.String(required=True, validate=validate.OneOf(tuple(SKIPS)))
    note = fields.String(load_default=None, allow_none=True, validate=validate.Length(max=255))


class ShiftV1(ItemData):
    """``shift.v1``: a rep's working time begins or ends."""

    shift = fields.UUID(required=True)
    state = fields.String(required=True, validate=validate.OneOf(("started", "ended")))


class FinalRegister(ItemData):
    """What a dial of the old meter showed when it came down."""

    kind = fields.String(required=True, validate=validate.OneOf(REGISTER_KINDS))
    value = DialValue(required=True)


class InitialRegister(FinalRegister):
    """What a dial of the new meter showed when it was hung, and how many places it has."""

    integer_digits = fields.Integer(load_default=5, strict=True, validate=validate.Range(1, 12))
    decimals = fields.Integer(load_default=0, strict=True, validate=validate.Range(0, 6))


class Multiplier(fields.Decimal):
    """A factor above zero with at most six places."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Decimal:
        factor = Decimal(super()._deserialize(value, attr, data, **kwargs))
        exponent = factor.normalize().as_tuple().exponent
        if not factor.is_finite() or not 0 < factor <= 1_000_000 or int(exponent) < -6:
            raise ValidationError("A multiplier is above 0, at most 1000000, with 6 places.")
        return factor


class MeterExchangeV1(ItemData):
    """``meter_exchange.v1``: the old meter's final readings, the new one's initial ones."""

    service_point = fields.Integer(required=True, strict=True)
    old_meter_serial = fields.String(required=True, validate=validate.Length(1, 40))
    new_meter_serial = fields.String(required=True, validate=validate.Length(1, 40))
    finals = fields.List(
        fields.Nested(FinalRegister), required=True, validate=validate.Length(1, 8)
    )
    initials = fields.List(
        fields.Nested(InitialRegister), required=True, validate=validate.Length(1, 8)
    )
    multiplier = Multiplier(load_default=Decimal(1))
    reason = fields.String(load_default=None, allow_none=True, validate=validate.Length(max=24))
    note = fields.String(load_default=None, allow_none=True, validate=validate.Length(max=255))


class StopRef(ItemData):
    """A stop of a round: what stands there."""

    kind = fields.String(required=True, validate=validate.OneOf(STOP_KINDS))
    id = fields.Integer(required=True, strict=True)


class VisitV1(ItemData):
    """``visit.v1``: a stop of any kind was served, or missed and why."""

    stop = fields.Nested(StopRef, required=True)
    outcome = fields.String(required=True, validate=validate.OneOf(("served", "missed")))
    reason = fields.String(
        load_default=None, allow_none=True, validate=validate.OneOf(tuple(MISSES))
    )
    started_at = fields.AwareDateTime(load_default=None, allow_none=True, format="iso")
    note = fields.String(load_default=None, allow_none=True, validate=validate.Length(max=255))

    @validates_schema
    def a_miss_has_a_reason(self, data: dict[str, Any], **kwargs: Any) -> None:  # noqa: ARG002 - marshmallow passes more
        """Why a stop was missed is what the office needs to know."""
        if data["outcome"] == "missed" and data["reason"] is None:
            raise ValidationError("A missed stop needs its reason.", "reason")


class Subject(ItemData):
    """What a note is about."""

    kind = fields.String(
        required=True, validate=validate.OneOf(("service_point", "account", "premise", "route"))
    )
    id = fields.Integer(required=True, strict=True)


class NoteV1(ItemData):
    """``note.v1``: free words."""

    subject = fields.Nested(Subject, load_default=None, allow_none=True)
    text = fields.String(required=True, validate=validate.Length(1, 1000))


class Position(ItemData):
    """A place with the datum it is told in."""

    lat = fields.Float(required=True, validate=validate.Range(-90, 90))
    lon = fields.Float(required=True, validate=validate.Range(-180, 180))
    crs = fields.String(load_default="wgs84", validate=validate.OneOf(geo.CRS))
    accuracy_m = fields.Float(
        load_default=None, allow_none=True, validate=validate.Range(0, 100_000)
    )


class PremisePositionV1(ItemData):
    """``premise_position.v1``: where a premise really is."""

    service_point = fields.Integer(required=True, strict=True)
    position = fields.Nested(Position, required=True)
    note = fields.String(load_default=None, allow_none=True, validate=validate.Length(max=255))


class Cash(fields.Decimal):
    """An amount above zero with at most two decimals, as text or number."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Decimal:
        amount = Decimal(super()._deserialize(value, attr, data, **kwargs))
        exponent = amount.normalize().as_tuple().exponent
        if not amount.is_finite() or not 0 < amount < 10**9 or int(exponent) < -2:
            raise ValidationError("An amount is above 0, with two decimals.")
        return amount


class PaymentV1(ItemData):
    """``payment.v1``: money collected at the door, with the receipt that the handheld printed."""

    account_no = fields.String(required=True, validate=validate.Length(1, 40))
    amount = Cash(required=True)
    method = fields.String(
        load_default="cash", validate=validate.OneOf(("cash", "card", "cheque", "wallet"))
    )
    receipt = fields.String(required=True, validate=validate.Length(1, 24))
    bill_no = fields.String(load_default=None, allow_none=True, validate=validate.Length(1, 24))
    payer = fields.String(load_default=None, allow_none=True, validate=validate.Length(max=120))
    note = fields.String(load_default=None, allow_none=True, validate=validate.Length(max=255))
