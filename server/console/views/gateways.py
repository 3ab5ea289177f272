"""Gateways: how each is now, what it carries and costs, how it connects."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from server import audit, clock
from server.console import entry, scope, words
from server.console.queries import gateways, readings
from server.console.show import zone
from server.db import Session, snapshot, transaction
from server.errors import DomainError
from server.notify import queries, service, setup
from server.notify.gateways import kinds, options
from server.notify.models import Gateway
from server.notify.rules.categories import CATEGORIES


@dataclass
class Form:
    """What was typed about a gateway, and what is wrong with it."""

    name: str = ""
    kind: str = "smpp"
    position: str = "100"
    enabled: bool = True
    simulated: bool = False
    values: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def page() -> str:
    """Every gateway with its state, queue and day."""
    with snapshot() as session:
        scope.of(session, "messages", "view")
        views = queries.gateway_views(session)
        today = gateways.today(session)
    return render_template("console/gateways.html", views=views, today=today, now=clock.now())


def one(gateway_id: int) -> str:
    """One gateway in full."""
    return _one(gateway_id, None)


def enter() -> str:
    """The form for a new gateway; `kind` of the address says of which kind."""
    entry.actor().require("settings", "edit")
    kind = request.args.get("kind", "smpp")
    kind = kind if kind in kinds.KINDS else "smpp"
    return _new(Form(kind=kind))


def add() -> Response | str | tuple[str, int]:
    """Set a new gateway up."""
    form = _read()
    actor = entry.actor()
    actor.require("settings", "edit")
    try:
        with transaction() as session:
            if form.name in queries.gateway_names(session).values():
                form.problems = [_("There is a gateway of this name already.")]
                return _new(form), 409
            row = _store(session, form)
            number = row.id
    except DomainError as error:
        form.problems = _problems(error)
        return _new(form), error.status
    flash(_("%(name)s is set up; workers take it over within seconds.", name=form.name), "message")
    return redirect(url_for("console.messages_gateways_one", gateway_id=number))


def put(gateway_id: int) -> Response | str | tuple[str, int]:
    """Change how a gateway connects; an empty secret stays what it was."""
    entry.actor().require("settings", "edit")
    form = _read()
    try:
        with transaction() as session:
            row = _row(session, gateway_id)
            form.name, form.kind = row.name, row.kind
            form.values = options.from_form(kinds.kind(row.kind).config, request.form)
            _store(session, form)
    except DomainError as error:
        form.problems = _problems(error)
        return _one(gateway_id, form), error.status
    flash(_("Kept; workers take it over within seconds."), "message")
    return redirect(url_for("console.messages_gateways_one", gateway_id=gateway_id))


def switch(gateway_id: int) -> Response:
    """Switch a gateway on or off; what waits for it goes to the next choice."""
    actor = entry.actor()
    actor.require("settings", "edit")
    wanted = request.form.get("enabled") == "yes"
    with transaction() as session:
        row = _row(session, gateway_id)
        before, row.enabled = {"enabled": row.enabled}, wanted
        setup.changed(session)
        after = {"enabled": wanted}
        audit.record(session, actor, "gateway.switched", "gateway", row.id, before, after)
    return redirect(url_for("console.messages_gateways_one", gateway_id=gateway_id))


def terms(gateway_id: int) -> Response | tuple[str, int]:
    """Change what a gateway carries: business, prefixes, weight, budgets."""
    actor = entry.actor()
    actor.require("settings", "edit")
    form = Form()
    try:
        wanted = _terms()
        with transaction() as session:
            service.put_terms(session, actor, _row(session, gateway_id).name, wanted)
    except (ValueError, InvalidOperation):
        form.problems = [_("A number cannot be read.")]
    except DomainError as error:
        form.problems = _problems(error)
    if form.problems:
        return _one(gateway_id, form), 422
    flash(_("Kept; queued texts follow within seconds."), "message")
    return redirect(url_for("console.messages_gateways_one", gateway_id=gateway_id))


def price(gateway_id: int) -> Response | tuple[str, int]:
    """Add a price, or end one."""
    actor = entry.actor()
    actor.require("settings", "edit")
    form, ended = Form(), request.form.get("end", "")
    try:
        with transaction() as session:
            name = _row(session, gateway_id).name
            if ended.isdigit() and len(ended) < 19:
                service.drop_price(session, actor, int(ended))
            else:
                service.put_price(session, actor, name, _price())
    except (ValueError, InvalidOperation):
        form.problems = [_("A number or a time cannot be read.")]
    except DomainError as error:
        form.problems = _problems(error)
    if form.problems:
        return _one(gateway_id, form), 422
    return redirect(url_for("console.messages_gateways_one", gateway_id=gateway_id) + "#prices")


def _one(gateway_id: int, form: Form | None) -> str:
    editing = scope.may("settings", "edit")
    with snapshot() as session:
        scope.of(session, "messages", "view")
        row = _row(session, gateway_id)
        view = next(one for one in queries.gateway_views(session) if one.id == gateway_id)
        today = gateways.today(session)
        errors = gateways.errors_today(session, gateway_id)
        prices = service.prices(session, row.name)
        trail = readings.trail(session, "gateway", gateway_id)
    kind = kinds.KINDS.get(row.kind)
    typed = form.values if form is not None and form.values else None
    return render_template(
        "console/gateway.html",
        row=row,
        view=view,
        today=today.of(gateway_id),
        counted_at=today.counted_at,
        errors=errors,
        prices=prices,
        trail=trail,
        form=form,
        values=typed or (kinds.shown(row.kind, row.config) if kind else {}),
        options=options.described(kind.config) if kind and editing else [],
        categories=CATEGORIES,
        now=clock.now(),
    )


def _new(form: Form) -> str:
    return render_template(
        "console/gateway_new.html",
        form=form,
        kinds=kinds.KINDS,
        options=options.described(kinds.KINDS[form.kind].config),
        values=form.values,
    )


def _read() -> Form:
    sent = request.form
    kind = sent.get("kind", "")
    kind = kind if kind in kinds.KINDS else "smpp"
    return Form(
        name=sent.get("name", "").strip()[:60],
        kind=kind,
        position=sent.get("position", "100"),
        enabled=sent.get("enabled") == "yes",
        simulated=sent.get("simulated") == "yes",
        values=options.from_form(kinds.KINDS[kind].config, sent),
    )


def _store(session: Session, form: Form) -> Gateway:
    """Keep a gateway as typed. Raises Invalid `notify.bad_gateway`."""
    position = int(form.position) if form.position.isdigit() and len(form.position) < 6 else 100
    service.put_gateway(
        session,
        form.name,
        form.kind,
        form.values,
        enabled=form.enabled,
        simulated=form.simulated,
        position=position,
    )
    row = queries.gateway_named(session, form.name)
    after = {
        **kinds.shown(row.kind, row.config),
        "enabled": row.enabled,
        "simulated": row.simulated,
        "position": row.position,
    }
    audit.record(session, entry.actor(), "gateway.put", "gateway", row.id, after=after)
    return row


def _row(session: Session, gateway_id: int) -> Gateway:
    return scope.found(session.get(Gateway, gateway_id), "gateway")


def _terms() -> service.Terms:
    """The terms of the form. Raises ValueError or InvalidOperation for what is no number."""
    sent = request.form
    daily, monthly = sent.get("daily_budget", "").strip(), sent.get("monthly_budget", "").strip()
    return service.Terms(
        categories=tuple(sent.getlist("categories")),
        prefixes=tuple(sent.get("prefixes", "").replace(",", " ").split()),
        weight=int(sent.get("weight", "100")[:9]),
        daily_budget=Decimal(daily) if daily else None,
        monthly_budget=Decimal(monthly) if monthly else None,
        patience_seconds=int(sent.get("patience_seconds", "60")[:9]),
    )


def _price() -> service.Price:
    """The price of the form. Raises ValueError or InvalidOperation for what is no number or time."""
    sent = request.form
    begins = sent.get("valid_from", "")
    at = datetime.fromisoformat(begins).replace(tzinfo=zone()) if begins else clock.now()
    if not 1900 < at.year < 2200:
        raise ValueError(begins)
    return service.Price(sent.get("prefix", "").strip(), Decimal(sent.get("price", "")), at)


def _problems(error: DomainError) -> list[str]:
    found = error.details.get("problems")
    return [str(each) for each in found] if found else [words.sentence(error)]
