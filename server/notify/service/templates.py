"""Wording notices: checked and previewed before they are saved, every version kept."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from server.db import Session
from server.errors import Conflict, Invalid
from server.notify import routes, setup
from server.notify.models import NoticeTemplate
from server.notify.rules import events, mails, segments, templates
from server.notify.rules.templates import Finding
from server.operator import Operator

_T = NoticeTemplate


@dataclass(frozen=True)
class TemplatePreview:
    """A template filled with usual values: what it costs, and what is wrong with it.

    `price` is the least and the most that a segment costs at present, `cost` the same for the text.
    A template can be saved when none of the `findings` is an error.
    """

    text: str
    encoding: str
    units: int
    segments: int
    price: tuple[Decimal, Decimal]
    cost: tuple[Decimal, Decimal]
    findings: list[Finding]


def preview_template(session: Session, event: str, language: str, body: str) -> TemplatePreview:
    """Fill a template with usual values; for the editor, so it never refuses a text.

    Raises Invalid `notify.unknown_event` or `notify.unknown_language`.
    """
    kind = events.event(event)
    operator = _operator(session)
    findings = templates.findings(kind, _language(language), body, operator)
    text = body
    if not any(one.code in templates.UNFILLABLE for one in findings):
        text = templates.example(kind, language, body, operator)
    mail = mails.is_mail(language)
    cut = segments.split("" if mail else text, maximum=segments.MOST_PARTS * 4)
    low, high = routes.cached(session).price_range(kind.category)
    return TemplatePreview(
        text,
        cut.encoding,
        cut.units,
        cut.count,
        (low, high),
        (low * cut.count, high * cut.count),
        findings,
    )


def put_template(
    session: Session, event: str, language: str, body: str | None, staff_id: int | None = None
) -> int:
    """Word a notice in one language, or its e-mail (`mails.VARIANTS`), and return the version; None as `body` goes back to the default.

    Texts that are queued already stay as they are. Raises Invalid `notify.unknown_event`,
    `notify.unknown_language`, `notify.bad_template` with every mistake, or Conflict
    `notify.saved_meanwhile` when somebody else has just saved.
    """
    kind = events.event(event)
    _language(language)
    if body is not None:
        templates.check(kind, language, body, _operator(session))
    newest = session.execute(
        select(_T.version, _T.body)
        .where(_T.event == event, _T.language == language)
        .order_by(_T.version.desc())
        .limit(1)
    ).first()
    version, present = newest or (0, None)
    if body == present:
        return int(version)
    row = _T(event=event, language=language, version=version + 1, body=body, staff_id=staff_id)
    _add(session, row)
    setup.changed(session)
    return int(row.version)


def template_versions(session: Session, event: str, language: str) -> list[NoticeTemplate]:
    """Every version of a wording, newest first."""
    rows = session.scalars(
        select(_T).where(_T.event == event, _T.language == language).order_by(_T.version.desc())
    )
    return list(rows)


def _add(session: Session, row: NoticeTemplate) -> None:
    """Let the unique key decide who saves a version first."""
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError as problem:
        raise Conflict(
            "notify.saved_meanwhile", "Somebody else has just saved this template."
        ) from problem


def _operator(session: Session) -> str:
    return session.scalar(select(Operator.name).where(Operator.id == 1)) or ""


def _language(language: str) -> str:
    if language not in mails.VARIANTS:
        raise Invalid("notify.unknown_language", f"There are no templates in {language}.")
    return language
