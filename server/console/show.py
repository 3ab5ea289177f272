"""How values look on a page: numbers, money, times with their age, phones with a mask."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, cast
from zoneinfo import ZoneInfo

from babel.dates import format_skeleton, get_day_names
from flask import Flask, g, url_for
from flask_babel import get_locale, ngettext
from flask_babel import gettext as _
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from server import clock, operator
from server.console import charts, entry, language, words
from server.db import snapshot
from server.errors import NotFound

NOTHING = "–"
DAY = timedelta(days=1)


def register(app: Flask) -> None:
    """Give the templates their filters and functions."""
    filters: dict[str, Callable[..., Any]] = {
        "when": when,
        "ago": age,
        "day": day,
        "money": money,
        "price": price,
        "num": number,
        "mask": mask,
        "metres": metres,
        "coord": coordinate,
        "word": words.word,
        "message_state": words.message_state,
        "tone": words.tone,
        "reason": words.reason,
        "named": words.name,
        "rule": words.rule,
        "dash": lambda value: NOTHING if value is None or value == "" else value,
    }
    app.jinja_env.filters.update({name: _each_time(call) for name, call in filters.items()})
    app.jinja_env.globals.update(
        asset=asset,
        csrf_field=entry.csrf_field,
        finding=words.finding,
        sparkline=charts.sparkline,
        year_chart=charts.years,
        two_places=charts.places,
        page_language=language.tag,
        language_names=language.NAMES,
    )
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True


def _each_time(call: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that is asked for constants, too, whenever a page is made.

    Jinja would fold them when it compiles the template, in the language of whoever comes first.
    """

    @pass_context
    def asked(_context: Context, *values: Any, **options: Any) -> Any:
        return call(*values, **options)

    return asked


def zone() -> ZoneInfo:
    """The operator's time zone, in which the console tells all times."""
    if "zone" not in g:
        with snapshot() as session:
            try:
                g.zone = operator.current(session).zone
            except NotFound:
                g.zone = ZoneInfo("UTC")
    return cast("ZoneInfo", g.zone)


def midnight() -> datetime:
    """When today began, in the operator's zone."""
    return datetime.combine(clock.now().astimezone(zone()).date(), time(), tzinfo=zone())


def when(instant: datetime | None, *, with_age: bool = True, exact: bool = False) -> str:
    """An instant as "14:32 (12 min ago)"; another day has its date; the zone is on hover.

    ``exact`` tells it to the thousandth of a second.
    """
    if instant is None:
        return NOTHING
    local = instant.astimezone(zone())
    today = clock.now().astimezone(zone()).date()
    text = f"{local:%H:%M:%S.%f}"[:-3] if exact else f"{local:%H:%M}"
    if local.date() != today:
        pattern = "MMMd" if local.year == today.year else "yMMMd"
        text = f"{format_skeleton(pattern, local, locale=get_locale())} {text}"
    past = Markup("")
    if with_age:
        past = Markup(" <small>({})</small>").format(_("%(age)s ago", age=age(instant)))
    return Markup('<time datetime="{}" title="{}">{}{}</time>').format(
        instant.isoformat(timespec="seconds"), f"{local:%Y-%m-%d %H:%M:%S} {zone().key}", text, past
    )


def age(instant: datetime | None) -> str:
    """How long ago, in the one unit that matters."""
    if instant is None:
        return NOTHING
    return span(max(int((clock.now() - instant).total_seconds()), 0))


def span(seconds: int) -> str:
    """A length of time in one unit."""
    if seconds < 60:
        return str(_("%(n)s s", n=seconds))
    if seconds < 3600:
        return str(_("%(n)s min", n=seconds // 60))
    if seconds < 48 * 3600:
        return str(_("%(n)s h", n=seconds // 3600))
    days = seconds // 86400
    return str(ngettext("%(num)d day", "%(num)d days", days))


def day(value: date | None) -> str:
    """A day, for instance "22 Nov" or "11月22日", with the year when it is another one."""
    if value is None:
        return NOTHING
    this_year = value.year == clock.now().astimezone(zone()).year
    locale = get_locale()
    text = format_skeleton("MMMd" if this_year else "yMMMd", value, locale=locale)
    weekday = get_day_names("abbreviated", locale=locale)[value.weekday()]
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        value.isoformat(), weekday, text
    )


def money(value: Decimal | None) -> str:
    """An amount with two decimals and thousands apart."""
    if value is None:
        return NOTHING
    rounded = value.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)
    return f"{rounded:,.2f}".replace("-", "−")


def price(value: Decimal | None) -> str:
    """What a text costs: up to four decimals, at least two."""
    if value is None:
        return NOTHING
    exact = f"{value:,.4f}"
    return exact[:-2] + exact[-2:].rstrip("0")


def number(value: Decimal | int | float | None) -> str:
    """A number without zeros behind its last digit, thousands apart."""
    if value is None:
        return NOTHING
    exact = Decimal(str(value)).normalize()
    return f"{exact:,f}".replace("-", "−")


def mask(phone: str | None) -> str:
    """A phone number with its middle hidden; of an e-mail address the name."""
    if not phone:
        return NOTHING
    name, at, domain = phone.rpartition("@")
    if at:
        return f"{name[:1]}****@{domain}"
    return f"{phone[:6]}****{phone[-3:]}" if len(phone) > 9 else "****"


def metres(value: float | None) -> str:
    """A distance in metres, or kilometres from one on."""
    if value is None:
        return NOTHING
    return f"{value / 1000:.1f} km" if value >= 1000 else f"{value:.0f} m"


def coordinate(value: int | None) -> str:
    """Degrees of an e7 integer with five decimals (about a metre)."""
    return NOTHING if value is None else f"{value / 1e7:.5f}"


def asset(name: str) -> str:
    """The address of one of our static files."""
    return str(escape(url_for("console.static", filename=name)))
