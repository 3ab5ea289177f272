"""Which language a page speaks, and the catalogues it speaks it with.

Catalogues are read from the ``.po`` files when the process starts: no compiled files to forget.
"""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import flask_security
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import Flask, current_app, redirect, request
from flask_babel import Babel, Domain, get_locale
from flask_login import current_user
from werkzeug.wrappers import Response

from server import audit
from server.console import entry
from server.db import transaction
from server.identity.models import Staff
from server.operator import LANGUAGES

COOKIE = "language"
YEAR = 365 * 24 * 3600
TRANSLATIONS = Path(__file__).parent.parent / "translations"
TAGS = {"zh_Hans": "zh-Hans", "en": "en"}
NAMES = {"zh_Hans": "中文", "en": "English"}


@cache
def catalogue(language: str) -> NullTranslations:
    """The translations of one language; English is the source and needs none."""
    file = TRANSLATIONS / language / "LC_MESSAGES" / "messages.po"
    if not file.exists():
        return NullTranslations()
    compiled = io.BytesIO()
    with file.open("rb") as source:
        write_mo(compiled, read_po(source, locale=language))
    compiled.seek(0)
    return Translations(compiled)


class _OurDomain(Domain):  # type: ignore[misc]
    """Texts of the product, from the catalogues above."""

    def get_translations(self) -> NullTranslations:
        """The translations for the language of this request."""
        return catalogue(str(get_locale() or "en"))


class _OurBabel(Babel):  # type: ignore[misc]
    """Babel that looks into our catalogues."""

    _domain = _OurDomain()

    @property
    def domain_instance(self) -> Domain:
        """The one domain of the product's texts."""
        return self._domain


def register(app: Flask) -> None:
    """Set the language machinery up; after Flask-Security, whose messages join ours."""
    _OurBabel(app, default_locale="en", locale_selector=current)
    security = app.extensions.get("security")
    if security is not None:
        folder = Path(flask_security.__file__).parent / "translations"
        theirs = Translations.load(str(folder), ["zh_Hans_CN"], "flask_security")
        theirs.add_fallback(catalogue("zh_Hans"))
        security.i18n_domain.cache["zh_Hans", security.i18n_domain.domain[0]] = theirs


def current() -> str:
    """The person's language, else the cookie's, else the browser's, else the installation's."""
    if current_user and current_user.is_authenticated and current_user.language in LANGUAGES:
        return str(current_user.language)
    chosen = request.cookies.get(COOKIE)
    if chosen in LANGUAGES:
        return chosen
    if request.accept_languages:
        best = request.accept_languages.best_match(["zh-Hans", "zh-CN", "zh", "en"])
        if best:
            return "en" if best == "en" else "zh_Hans"
    return str(current_app.extensions["fieldbell"].default_language)


def tag() -> str:
    """The language of the page as HTML names it."""
    return TAGS.get(str(get_locale()), "en")


def choose() -> Response:
    """Switch the language: for good for a person, by cookie for a stranger."""
    wanted = request.form.get("language")
    target = request.form.get("back", "/")
    safe = target if target.startswith("/") and not target.startswith(("//", "/\\")) else "/"
    answer = redirect(safe)
    if wanted not in LANGUAGES:
        return answer
    if current_user.is_authenticated:
        actor = entry.actor()
        with transaction() as session:
            staff = session.get_one(Staff, actor.staff_id)
            audit.record(
                session,
                actor,
                "staff.language",
                "staff",
                staff.id,
                before={"language": staff.language},
                after={"language": wanted},
            )
            staff.language = wanted
    answer.set_cookie(
        COOKIE, wanted, max_age=YEAR, samesite="Lax", httponly=True, secure=request.is_secure
    )
    return answer
