"""What holds for each category of texts: hours, caps, budgets; and the days on which some keep quiet."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal, InvalidOperation

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from sqlalchemy import select
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from server import clock
from server.console import entry, scope, words
from server.console.queries import readings
from server.console.show import zone
from server.db import snapshot, transaction
from server.errors import DomainError, Invalid, NotFound
from server.notify import budgets, consent, service
from server.notify.models import Holiday
from server.notify.rules import categories
from server.notify.rules.categories import Policy

LONGEST_NAME = 60


@dataclass
class Form:
    """The fields of a policy as they stand in the form, and what is wrong with them."""

    values: dict[str, str]
    quiet_holidays: bool
    problems: list[str] = field(default_factory=list)


def page(wrong: str | None = None) -> str:
    """Every category with its rules, and the holidays."""
    with snapshot() as session:
        seen = scope.of(session, "messages", "view")
        rules = consent.load_rules(session)
        spent = budgets.spent(session, rules, clock.now()) if seen.sees_all else {}
        today = clock.now().astimezone(zone()).date()
        coming = select(Holiday).where(Holiday.day >= today).order_by(Holiday.day)
        holidays = session.scalars(coming).all()
        trail = readings.trail(session, "holiday", "")[-12:]
    return render_template(
        "console/message_rules.html",
        categories=[categories.category(name) for name in categories.CATEGORIES],
        policies={name: rules.policy(name) for name in categories.CATEGORIES},
        spent=spent,
        holidays=holidays,
        trail=trail,
        today=today,
        wrong=wrong,
    )


def one(name: str) -> str:
    """One category with the form that rules it."""
    return _one(name, None)


def put(name: str) -> Response | tuple[str, int]:
    """Rule a category; holds from now on, for texts that wait too."""
    actor = entry.actor()
    actor.require("settings", "edit")
    form = _read()
    name = _category(name).name
    try:
        policy = _policy(form.values, quiet_holidays=form.quiet_holidays)
        with transaction() as session:
            service.put_policy(session, actor, name, policy)
    except (ValueError, InvalidOperation):
        form.problems = [_("A number or a time cannot be read.")]
    except DomainError as error:
        form.problems = [words.reason(code) for code in error.details.get("codes", ())]
        form.problems = form.problems or [words.sentence(error)]
    if form.problems:
        return _one(name, form), 422
    flash(_("Kept; it holds for texts that wait, too."), "message")
    return redirect(url_for("console.messages_rules"))


def holidays() -> Response | tuple[str, int]:
    """Name a day as a holiday, or make an ordinary day of one."""
    actor, sent = entry.actor(), request.form
    actor.require("settings", "edit")
    try:
        dropped = sent.get("drop", "")
        day = _day(dropped or sent.get("day", ""))
        name = sent.get("name", "").strip()[:LONGEST_NAME]
        if not dropped and not name:
            raise Invalid("holiday.name", "A holiday has a name.")
        with transaction() as session:
            if dropped:
                service.drop_holidays(session, actor, [day])
            else:
                service.put_holidays(session, actor, {day: name})
    except DomainError as error:
        return page(words.sentence(error)), error.status
    return redirect(url_for("console.messages_rules") + "#holidays")


def _one(name: str, form: Form | None) -> str:
    category = _category(name)
    with snapshot() as session:
        scope.of(session, "messages", "view")
        policy = consent.load_rules(session).policy(name)
        trail = readings.trail(session, "notice_policy", name)
    return render_template(
        "console/message_rule.html",
        category=category,
        always=name in categories.ALWAYS_PASS,
        form=form or _filled(policy),
        trail=trail,
    )


def _category(name: str) -> categories.Category:
    if name not in categories.CATEGORIES:
        raise NotFound("category.unknown", "There is no such kind of text.")
    return categories.category(name)


def _filled(policy: Policy) -> Form:
    """The form of a policy as it stands."""
    values = {
        "quiet_from": f"{policy.quiet_from:%H:%M}" if policy.quiet_from else "",
        "quiet_to": f"{policy.quiet_to:%H:%M}" if policy.quiet_to else "",
        "spread_minutes": str(policy.spread_minutes),
        "cap_count": "" if policy.cap_count is None else str(policy.cap_count),
        "cap_hours": str(policy.cap_hours),
        "budget_day": "" if policy.budget_day is None else f"{policy.budget_day:.2f}",
        "budget_month": "" if policy.budget_month is None else f"{policy.budget_month:.2f}",
    }
    return Form(values, policy.quiet_holidays)


def _read() -> Form:
    sent: MultiDict[str, str] = request.form
    values = {name: sent.get(name, "").strip()[:20] for name in _filled(Policy()).values}
    return Form(values, sent.get("quiet_holidays") == "yes")


def _policy(values: dict[str, str], *, quiet_holidays: bool) -> Policy:
    """What the form says. Raises ValueError or InvalidOperation for what is no time or number."""
    start, end = (_time(values[name]) for name in ("quiet_from", "quiet_to"))
    daily, monthly = (_amount(values[name]) for name in ("budget_day", "budget_month"))
    return Policy(
        quiet_from=start,
        quiet_to=end,
        quiet_holidays=quiet_holidays,
        spread_minutes=int(values["spread_minutes"] or 0),
        cap_count=int(values["cap_count"]) if values["cap_count"] else None,
        cap_hours=int(values["cap_hours"] or 24),
        budget_day=daily,
        budget_month=monthly,
    )


def _time(text: str) -> time | None:
    return time.fromisoformat(text).replace(tzinfo=None) if text else None


def _amount(text: str) -> Decimal | None:
    if not text:
        return None
    found = Decimal(text)
    if not found.is_finite():
        raise ValueError(text)
    return found


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if not 2000 <= day.year < 2200:
        raise Invalid("holiday.day", "This is no day.")
    return day
