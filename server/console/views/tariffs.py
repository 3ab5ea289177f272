"""Tariffs: what they charge, in words; what a use would cost; a new version from a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from sqlalchemy import func, select
from werkzeug.wrappers import Response

from server import audit, clock
from server.accounts.models import Account
from server.billing.models import Tariff, TariffVersion
from server.billing.rules.tariff import Charge, TariffFile, Version, parse, read_content, read_text
from server.billing.rules.tariff.model import REGISTER_KINDS, SUM, Metered
from server.billing.rules.tariff.model import Tariff as Prices
from server.billing.rules.tariff.quote import Question, quote
from server.billing.service import put_tariff
from server.console import entry, show, tariff_words, words
from server.db import Session, snapshot, transaction
from server.errors import DomainError, Invalid, NotFound

FIELDS = ("first", "last", "year", "household", "class", *REGISTER_KINDS)


@dataclass
class Draft:
    """A tariff file as it was given, what is wrong with it, what it means."""

    text: str = ""
    mistakes: list[dict[str, str]] = field(default_factory=list)
    wrong: str = ""
    file: TariffFile | None = None


@dataclass
class Asked:
    """What was typed into the form for a quote, and the answer."""

    typed: dict[str, str]
    charge: Charge | None = None
    wrong: str = ""


def page() -> str:
    """Every tariff with the version of today and how many accounts have it."""
    entry.actor().require("tariff", "view")
    with snapshot() as session:
        having = select(Account.tariff_code, func.count()).group_by(Account.tariff_code)
        accounts = {code: count for code, count in session.execute(having)}
        rows = session.scalars(select(Tariff).order_by(Tariff.code)).all()
        versions = session.execute(
            select(
                TariffVersion.tariff_id, func.count(), func.max(TariffVersion.valid_from)
            ).group_by(TariffVersion.tariff_id)
        ).all()
    newest = {number: (count, start) for number, count, start in versions}
    return render_template("console/tariffs.html", tariffs=rows, accounts=accounts, newest=newest)


def one(tariff_id: int) -> str:
    """One tariff: its versions with their components, and the form for a quote."""
    entry.actor().require("tariff", "view")
    with snapshot() as session:
        tariff, versions = _stored(session, tariff_id)
    asked = _asked(versions, dict(request.args.items()))
    return render_template(
        "console/tariff.html",
        tariff=tariff,
        versions=versions[::-1],
        today=_today(),
        asked=asked,
        registers=_registers(versions),
        words=tariff_words,
    )


def enter() -> str:
    """The form for a new version."""
    entry.actor().require("tariff", "edit")
    return _draft_page(Draft())


def put() -> Response | str | tuple[str, int]:
    """Say what a file means and what is wrong with it, or put it into the system."""
    actor = entry.actor()
    actor.require("tariff", "edit")
    draft = _read()
    if draft.file is None or request.form.get("way") != "put":
        return _draft_page(draft) if draft.file else (_draft_page(draft), 422)
    try:
        with transaction() as session:
            number = put_tariff(session, read_text(draft.text))
            row = session.get_one(TariffVersion, number)
            after = {"code": draft.file.code, "valid_from": row.valid_from.isoformat()}
            audit.record(session, actor, "tariff.put", "tariff", row.tariff_id, after=after)
            tariff_id = row.tariff_id
    except DomainError as error:
        draft.wrong = words.sentence(error)
        return _draft_page(draft), error.status
    flash(_("%(code)s is in the system.", code=draft.file.code), "message")
    return redirect(url_for("console.bills_tariffs_one", tariff_id=tariff_id))


def _read() -> Draft:
    """The file or the text of the form."""
    given = request.files.get("file")
    raw = given.read() if given is not None and given.filename else b""
    try:
        text = raw.decode("utf-8-sig") if raw else request.form.get("text", "")
    except UnicodeDecodeError:
        return Draft(wrong=_("The file is not UTF-8 text."))
    draft = Draft(text.replace("\r\n", "\n"))
    try:
        draft.file = read_content(read_text(draft.text))
    except Invalid as error:
        draft.mistakes = error.details.get("mistakes", [])
        draft.wrong = error.message if not draft.mistakes else ""
    return draft


def _draft_page(draft: Draft) -> str:
    versions = draft.file.dated() if draft.file else []
    asked = _asked(versions, {name: request.form.get(name, "") for name in FIELDS})
    return render_template(
        "console/tariff_new.html",
        draft=draft,
        versions=versions[::-1],
        today=_today(),
        asked=asked,
        registers=_registers(versions),
        words=tariff_words,
    )


def _stored(session: Session, tariff_id: int) -> tuple[Tariff, list[Version]]:
    """A tariff and its versions, the oldest first.

    Raises:
        NotFound: ``tariff.unknown``.
    """
    tariff = session.get(Tariff, tariff_id)
    if tariff is None:
        raise NotFound("tariff.unknown", "There is no such tariff.")
    rows = session.scalars(
        select(TariffVersion)
        .where(TariffVersion.tariff_id == tariff_id)
        .order_by(TariffVersion.valid_from)
    )
    return tariff, [Version(r.id, r.valid_from, r.valid_to, parse(r.definition)) for r in rows]


def _registers(versions: Sequence[Version]) -> list[str]:
    """The registers that the newest version charges for."""
    prices: Prices | None = versions[-1].tariff if versions else None
    metered = [c for c in prices.components if isinstance(c, Metered)] if prices else []
    charged = {register for component in metered for register in component.registers}
    priced = {register for c in metered if c.register_kind != SUM for register in c.registers} | {
        register for c in metered if c.tiers[0].prices for register in c.registers
    }
    return [each for each in REGISTER_KINDS if each in (priced or charged)]


def _asked(versions: Sequence[Version], given: dict[str, str]) -> Asked:
    """The quote that the form asks for; none as long as it says no quantity."""
    typed = {name: given.get(name, "").strip() for name in FIELDS}
    last = _today().replace(day=1) - timedelta(days=1)
    typed["last"] = typed["last"] or last.isoformat()
    typed["first"] = typed["first"] or last.replace(day=1).isoformat()
    asked = Asked(typed)
    registers = {name: typed[name] for name in REGISTER_KINDS if typed[name]}
    if not registers or not versions:
        return asked
    try:
        asked.charge = quote(versions, _question(typed, registers))
    except Invalid as error:
        asked.wrong = words.sentence(error)
    except ValueError:
        asked.wrong = _("A date or the number of persons cannot be read.")
    return asked


def _question(typed: dict[str, str], registers: dict[str, str]) -> Question:
    first = date.fromisoformat(typed["first"])
    return Question(
        first,
        date.fromisoformat(typed["last"]),
        registers,
        {str(first.year): typed["year"]} if typed["year"] else {},
        typed["class"] or None,
        int(typed["household"]) if typed["household"] else None,
    )


def _today() -> date:
    return clock.now().astimezone(show.zone()).date()
