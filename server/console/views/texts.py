"""Writing a text: to whom, what, a look at count, cost and hours, and only then off it goes."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation

from flask import flash, jsonify, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from sqlalchemy import select
from werkzeug.wrappers import Response

from server.accounts.models import Account
from server.console import entry, scope, words
from server.console.queries import staff
from server.console.show import zone
from server.db import Session, snapshot, transaction
from server.desk import campaigns
from server.desk.campaigns import Campaign, Plan
from server.errors import DomainError
from server.identity.models import Staff
from server.notify import service
from server.notify.rules import events, segments
from server.rounds.models import Route
from server.rounds.scope import Scope

KINDS = {
    "account": _l("customers by account number"),
    "route": _l("the customers of a route"),
    "class": _l("a class of accounts"),
    "list": _l("a list of numbers"),
    "staff": _l("a colleague"),
    "team": _l("a team"),
}
CATEGORIES = ("service", "outage", "safety", "job", "order", "bill", "staff", "promotion")
LONGEST = 2000
_TOKEN = re.compile(r"[0-9a-f]{16}")


@dataclass
class Form:
    """What was typed, and what is wrong with it, field by field."""

    to: str = "account"
    whom: str = ""
    text: str = ""
    text_en: str = ""
    category: str = "service"
    not_before: str = ""
    budget: str = ""
    token: str = ""
    wrong: dict[str, str] = field(default_factory=dict)


def enter() -> str:
    """The form; `to` of the address says who is meant."""
    to = request.args.get("to", "")
    form = Form(to=to if to in KINDS else "account", token=secrets.token_hex(8))
    form.whom = request.args.get("whom", "")
    entry.actor().require("messages", "send")
    return _page(form)


def preview() -> str | tuple[str, int]:
    """Show how many, what it costs and when it goes, before anything is queued."""
    form = _read()
    with snapshot() as session:
        seen = scope.of(session, "messages", "send")
        plan = _plan(session, seen, form)
    if plan is None or form.wrong:
        return _page(form), 422
    return _look_first(form, plan)


def edit() -> str:
    """Back to the form with everything that was typed."""
    entry.actor().require("messages", "send")
    form = _read()
    form.wrong.clear()
    return _page(form)


def send() -> Response | str | tuple[str, int]:
    """Queue it as it was shown; when it has grown since, show it again instead."""
    form = _read()
    with transaction() as session:
        seen = scope.of(session, "messages", "send")
        plan = _plan(session, seen, form)
        if plan is None or form.wrong:
            return _page(form), 422
        if not campaigns.covers(_shown(), plan):
            form.wrong["grown"] = _("It has grown since you looked. Look again before it goes.")
            return _look_first(form, plan), 409
        number = campaigns.send(session, entry.actor(), plan)
    if number is not None:
        flash(
            _("It is announced; the worker writes the texts, some thousands at a time."), "message"
        )
        return redirect(url_for("console.messages", sending=number))
    said = ngettext("%(num)d text is queued.", "%(num)d texts are queued.", plan.count)
    flash(said, "message")
    return redirect(url_for("console.messages", batch=form.token))


def count() -> Response:
    """What a text costs as it stands, for the counter beside the field: the one the gateways use."""
    actor = entry.actor()
    actor.require("messages", "view")
    text, name = request.form.get("text", "")[: 2 * LONGEST], request.form.get("event", "")
    if name not in events.EVENTS:
        return jsonify({"line": line(text), "problems": []})
    language = events.language(request.form.get("language"))
    with snapshot() as session:
        shown = service.preview_template(session, name, language, text)
    return jsonify(
        {
            "line": line(shown.text),
            "text": shown.text,
            "problems": [words.reason(one.code) for one in shown.findings],
        }
    )


def line(text: str) -> str:
    """How long a text is, in words."""
    split = segments.split(text, maximum=segments.MOST_PARTS * 4)
    parts = ngettext("%(num)d part", "%(num)d parts", split.count)
    if split.count > segments.MAX_SEGMENTS:
        return str(_("%(parts)s: too long, at most %(n)s", parts=parts, n=segments.MAX_SEGMENTS))
    alphabet = _("Latin letters") if split.encoding == "gsm7" else _("all scripts")
    return str(
        _(
            "%(parts)s · %(units)s characters, %(left)s left · %(alphabet)s",
            parts=parts,
            units=split.units,
            left=segments.room(split) - split.units,
            alphabet=alphabet,
        )
    )


def _read() -> Form:
    sent = request.form
    form = Form(
        to=sent.get("to", ""),
        whom=sent.get("whom", "").strip(),
        text=sent.get("text", "").replace("\r\n", "\n").strip(),
        text_en=sent.get("text_en", "").replace("\r\n", "\n").strip(),
        category=sent.get("category", ""),
        not_before=sent.get("not_before", ""),
        budget=sent.get("budget", "").strip(),
        token=sent.get("token", ""),
    )
    if not form.text or len(form.text) > LONGEST or len(form.text_en) > LONGEST:
        form.wrong["text"] = _("Write the text, in at most %(n)s characters.", n=LONGEST)
    if form.category not in CATEGORIES:
        form.wrong["category"] = _("Choose what it is about.")
    if not _TOKEN.fullmatch(form.token):
        form.token = secrets.token_hex(8)
    return form


def _plan(session: Session, seen: Scope, form: Form) -> Plan | None:
    """What would be sent; None when the form says too little, with what is wrong in it."""
    at, budget = _instant(form), _budget(form)
    if form.wrong:
        return None
    try:
        return campaigns.plan(
            session,
            entry.actor(),
            seen,
            Campaign(
                token=form.token,
                to=form.to,
                whom=form.whom,
                text=form.text,
                text_en=form.text_en or None,
                category=form.category,
                not_before=at,
                budget=budget,
            ),
        )
    except DomainError as error:
        place = "text" if error.code.startswith("notify.text") else "whom"
        form.wrong[place] = words.sentence(error)
        return None


def _instant(form: Form) -> datetime | None:
    if not form.not_before:
        return None
    try:
        found = datetime.fromisoformat(form.not_before).replace(tzinfo=zone())
    except ValueError:
        found = None
    if found is None or not 1900 < found.year < 2200:
        form.wrong["not_before"] = _("This is no date and time.")
        return None
    return found


def _budget(form: Form) -> Decimal | None:
    if not form.budget:
        if form.category == "promotion":
            form.wrong["budget"] = _("Say what a promotion may cost at most.")
        return None
    try:
        found = Decimal(form.budget)
    except InvalidOperation:
        found = Decimal(-1)
    if not found.is_finite() or not 0 <= found < 10**9:
        form.wrong["budget"] = _("This is no amount.")
        return None
    return found


def _shown() -> tuple[int, Decimal]:
    """The count and the cost that were on the page when the button was pressed."""
    n, cost = request.form.get("count", ""), request.form.get("cost", "")
    try:
        return int(n[:9]), Decimal(cost[:20])
    except (ValueError, InvalidOperation):
        return 0, Decimal(0)


def _look_first(form: Form, plan: Plan) -> str:
    return render_template(
        "console/text_preview.html",
        form=form,
        plan=plan,
        line=line,
        kind=KINDS[form.to],
    )


def _page(form: Form) -> str:
    form.to = form.to if form.to in KINDS else "account"
    with snapshot() as session:
        seen = scope.of(session, "messages", "send")
        choices = _choices(session, seen, form.to)
    return render_template(
        "console/text_new.html",
        form=form,
        kinds=KINDS,
        choices=choices,
        categories=CATEGORIES,
        longest=LONGEST,
    )


def _choices(session: Session, seen: Scope, to: str) -> list[tuple[str, str]]:
    """What can be chosen in the one field that says who is meant; nothing where it is typed."""
    if to == "route":
        rows = session.execute(
            select(Route.id, Route.book_no, Route.name).where(seen.routes()).order_by(Route.book_no)
        )
        return [(str(row.id), f"{row.book_no} {row.name}") for row in rows]
    if to == "class":
        classes = session.scalars(select(Account.account_class).distinct().where(seen.accounts()))
        return [(each, words.name(each)) for each in sorted(classes)]
    if to == "team":
        return [(str(unit.id), unit.name) for unit in staff.teams(session)]
    if to == "staff":
        people = session.scalars(
            select(Staff)
            .where(seen.staff(), Staff.active.is_(True), Staff.phone.is_not(None))
            .order_by(Staff.name)
            .limit(1000)
        )
        return [(str(person.id), person.name) for person in people]
    return []
