"""Tills and bank files: opening, counting, what reps hand in, what a file brought."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from server.console import entry, paging, scope, words
from server.console.queries import payments
from server.console.views.cashier import _amount
from server.db import Session, carry_out, snapshot, transaction
from server.dues.models import BankFile, BankRow
from server.dues.models.files import OUTCOMES
from server.dues.service import bank_files, tills
from server.errors import DomainError, Invalid


def page(wrong: str | None = None) -> str:
    """The tills, the one in the actor's hands, and the cash that reps carry."""
    actor = entry.actor()
    with snapshot() as session:
        actor.require("till", "view")
        own = tills.session_of(session, actor)
        cash = tills.cash_of(session, own) if own else None
        carried = tills.reps_with_cash(session)
        return render_template(
            "console/tills.html",
            tills=payments.tills(session),
            closed=payments.sessions(session),
            own=own,
            cash=cash,
            carried=carried,
            names=payments.names(session, [staff_id for staff_id, _count, _sum in carried]),
            wrong=wrong,
        )


def one(session_id: int) -> str:
    """One session of a till: what it took and how it was closed."""
    with snapshot() as session:
        entry.actor().require("till", "view")
        row = scope.found(payments.till_session(session, session_id), "till")
        cash = tills.cash_of(session, row.TillSession)
        taken = payments.of_session(session, session_id)
    return render_template("console/till.html", row=row, s=row.TillSession, cash=cash, taken=taken)


def add() -> Response | tuple[str, int]:
    """Set up a till."""
    sent = request.form
    return _then(
        lambda session: tills.add_till(
            session, entry.actor(), sent.get("code", ""), sent.get("name", "")
        )
    )


def take(till_id: int) -> Response | tuple[str, int]:
    """Open a till with change in it."""
    return _then(
        lambda session: tills.open_till(
            session, entry.actor(), till_id, _amount("floated", optional=True)
        )
    )


def close(session_id: int) -> Response | tuple[str, int]:
    """Count the cash of a till and close it."""
    reason = request.form.get("reason", "")
    return _then(
        lambda session: tills.close_till(
            session, entry.actor(), session_id, _amount("counted"), reason
        )
    )


def approve(session_id: int) -> Response | tuple[str, int]:
    """Accept the difference of a counted till."""
    return _then(lambda session: tills.approve_till(session, entry.actor(), session_id))


def hand_in(staff_id: int) -> Response | tuple[str, int]:
    """Count a rep's cash into the open till."""
    reason = request.form.get("reason", "")
    return _then(
        lambda session: tills.hand_in(session, entry.actor(), staff_id, _amount("counted"), reason)
    )


def _then(work: Callable[[Session], object]) -> Response | tuple[str, int]:
    try:
        carry_out(work)
    except DomainError as error:
        told = words.sentence(error)
        if "difference" in error.details:
            told += " " + _(
                "Expected %(expected)s, difference %(difference)s.",
                expected=f"{Decimal(error.details['expected']):.2f}",
                difference=f"{Decimal(error.details['difference']):+.2f}",
            )
        return page(told), error.status
    return redirect(url_for("console.dues_tills"))


def files(wrong: str | None = None) -> str:
    """The bank files that came."""
    with snapshot() as session:
        entry.actor().require("payment", "view")
        listed = payments.files(session)
    return render_template("console/bank_files.html", files=listed, wrong=wrong)


def add_file() -> Response | tuple[str, int]:
    """Take a bank file in; its rows are matched at once, or by the worker when there are many."""
    sent = request.files.get("file")
    try:
        if sent is None or not sent.filename:
            raise Invalid("bank_file.empty", "Choose a file.")
        content = sent.stream.read(bank_files.MOST_BYTES + 1)
        with transaction() as session:
            kept = bank_files.take_file(session, entry.actor(), sent.filename, content).id
        bank_files.match_files(most_slices=4)
    except DomainError as error:
        return files(words.sentence(error)), error.status
    flash(_("The file is taken in."), "message")
    return redirect(url_for("console.dues_file", file_id=kept))


def file(file_id: int) -> str:
    """The match report of a bank file."""
    outcome = request.args.get("outcome")
    with snapshot() as session:
        entry.actor().require("payment", "view")
        row = scope.found(session.get(BankFile, file_id), "bank_file")
        counts = bank_files.outcomes(session, file_id)
        rows = paging.page(
            session,
            payments.file_rows(file_id, outcome),
            BankRow.id,
            descending=False,
        )
    known = [name for name in (*OUTCOMES, "waiting") if counts.get(name)]
    return render_template(
        "console/bank_file.html", file=row, counts=counts, outcome=outcome, known=known, page=rows
    )
