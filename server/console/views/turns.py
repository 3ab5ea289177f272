"""The turns of an account: the form for each, with what the dials show, and carrying it out."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from marshmallow import ValidationError
from sqlalchemy import select
from werkzeug.wrappers import Response

from server import clock
from server.accounts.models import Account, Customer, Installation, Meter, Register, ServicePoint
from server.billing.models import Tariff
from server.books import turning
from server.books.accounts import Dials
from server.books.setting import billing_rules
from server.capture.schemas import DialValue
from server.console import entry, scope, show, words
from server.db import Session, snapshot, transaction
from server.errors import DomainError, Invalid


def page(account_id: int, wrong: str | None = None) -> str:
    """The form of one turn; ``?act=`` says which."""
    act = request.values.get("act", "close")
    act = act if act in turning.ACTS else "close"
    with snapshot() as session:
        row = _found(session, account_id)
        dials = _dials(session, account_id)
        tariffs = session.execute(select(Tariff.code, Tariff.name).order_by(Tariff.code)).all()
    return render_template(
        "console/account_turn.html",
        row=row,
        act=act,
        acts=turning.ACTS,
        dials=dials,
        tariffs=tariffs,
        sent=request.form,
        now=f"{clock.now().astimezone(show.zone()):%Y-%m-%dT%H:%M}",
        wrong=wrong,
    )


def carry_out(account_id: int) -> Response | tuple[str, int]:
    """Carry a turn out, or show the form again with what stands against it."""
    sent = request.form
    try:
        asked: dict[str, Any] = {**sent.to_dict(), "at": _at(sent.get("at", ""))}
        with transaction() as session:
            seen = scope.of(session, "accounts", "edit")
            _found(session, account_id)
            turn = turning.turn_of(asked, _read(), billing_rules(entry.settings()))
            done = turning.carry_out(session, entry.actor(), account_id, turn, asked, seen)
    except DomainError as error:
        return page(account_id, words.sentence(error)), error.status
    flash(
        _("Done: %(n)s bills, the balance is %(sum)s.", n=len(done.bills), sum=done.balance),
        "message",
    )
    return redirect(url_for("console.accounts_one", account_id=account_id))


def _found(session: Session, account_id: int) -> Any:
    seen = scope.of(session, "accounts", "edit")
    return scope.found(
        session.execute(
            select(Account, Customer)
            .join(Customer, Customer.id == Account.customer_id)
            .where(Account.id == account_id, seen.accounts())
        ).first(),
        "account",
    )


def _dials(session: Session, account_id: int) -> list[Any]:
    """The registers that hang at the account's points now."""
    return list(
        session.execute(
            select(ServicePoint.point_no, Meter.serial, Register.kind)
            .join(Installation, Installation.service_point_id == ServicePoint.id)
            .join(Meter, Meter.id == Installation.meter_id)
            .join(Register, Register.meter_id == Meter.id)
            .where(ServicePoint.account_id == account_id, Installation.removed_at.is_(None))
            .order_by(ServicePoint.point_no, Register.id)
        )
    )


def _read() -> Dials:
    """What was typed for the dials: fields ``dial.<point>.<register>``; empty ones are left out."""
    read: dict[str, dict[str, Decimal]] = {}
    for name, text in request.form.items():
        if name.startswith("dial.") and text.strip():
            point_no, _dot, kind = name.removeprefix("dial.").rpartition(".")
            try:
                value = DialValue().deserialize(text.strip())
            except ValidationError as error:
                raise Invalid("account.dial", "A dial shows digits only.") from error
            read.setdefault(point_no, {})[kind] = value
    return read


def _at(text: str) -> datetime | None:
    """The time that was typed, in the operator's zone; none is now."""
    if not text.strip():
        return None
    try:
        at = datetime.fromisoformat(text).replace(tzinfo=show.zone())
    except ValueError:
        raise Invalid("account.future", "This is no time.") from None
    return min(at, clock.now()) if (at - clock.now()).total_seconds() < 60 else at
