"""The form of payments and dues over the JSON API."""

from __future__ import annotations

from datetime import UTC, datetime

from marshmallow import Schema, fields, validate

from server.dues.models.payments import METHODS

_TEXT = validate.Regexp(r"[^\x00\ud800-\udfff]*\Z", error="The text holds no real characters.")
_TIME = validate.Range(datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))


class PaymentIn(Schema):
    """A payment that was made elsewhere."""

    external_ref = fields.String(
        required=True,
        validate=(validate.Length(1, 100), _TEXT),
        metadata={"description": "Yours, for ever: the same again is the same payment."},
    )
    account_no = fields.String(required=True, validate=(validate.Length(1, 40), _TEXT))
    amount = fields.Decimal(
        required=True, as_string=True, metadata={"description": "Above 0, two decimals."}
    )
    method = fields.String(load_default="wallet", validate=validate.OneOf(METHODS))
    paid_at = fields.AwareDateTime(
        format="iso",
        load_default=None,
        allow_none=True,
        validate=_TIME,
        metadata={"description": "When the customer paid; decides about late fees."},
    )
    bill_no = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Length(1, 24),
        metadata={"description": "The bill the customer names; else the oldest due comes first."},
    )
    payer = fields.String(load_default=None, allow_none=True, validate=validate.Length(max=120))
    note = fields.String(load_default=None, allow_none=True, validate=validate.Length(max=255))
    suspense = fields.Boolean(
        load_default=False,
        metadata={"description": "Take it even when the account is unknown: it waits in suspense."},
    )


class SettledPartOut(Schema):
    """A part of a bill that the payment settled."""

    bill_no = fields.String()
    part = fields.String(metadata={"example": "principal"})
    amount = fields.Decimal(as_string=True)


class PaymentOut(Schema):
    """A payment as it stands."""

    id = fields.Integer(attribute="payment_id")
    receipt_no = fields.String()
    external_ref = fields.String()
    status = fields.String(metadata={"example": "received"})
    account_no = fields.String(allow_none=True)
    amount = fields.Decimal(as_string=True)
    settled = fields.List(fields.Nested(SettledPartOut))
    credit = fields.Decimal(
        as_string=True, metadata={"description": "What has settled nothing yet."}
    )
    earlier = fields.Decimal(
        as_string=True, metadata={"description": "What went to debt without a bill."}
    )
    replayed = fields.Boolean()


class ReasonIn(Schema):
    """Why."""

    reason = fields.String(required=True, validate=(validate.Length(1, 255), _TEXT))


class OwingOut(Schema):
    """What is open of a bill today."""

    bill_no = fields.String()
    period = fields.String()
    due = fields.Date()
    total = fields.Decimal(as_string=True)
    principal = fields.Decimal(as_string=True)
    fee = fields.Decimal(as_string=True)
    overdue_days = fields.Integer()
    disputed = fields.Boolean()


class DuesOut(Schema):
    """An account's dues today; ``to_pay`` ends every debt."""

    account_no = fields.String()
    balance = fields.Decimal(as_string=True)
    to_pay = fields.Decimal(as_string=True)
    overdue = fields.Decimal(as_string=True)
    earlier = fields.Decimal(as_string=True)
    credit = fields.Decimal(as_string=True)
    owing = fields.List(fields.Nested(OwingOut))
