"""The form of every item type. A published type never changes its meaning.

New fields have defaults; anything else is a new version. Unknown fields are not an error: they
stay in the raw payload.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate, validates

from server.accounts.models import REGISTER_KINDS
from server.capture.codes import SKIPS, TROUBLES

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
