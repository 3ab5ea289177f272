"""What is wrong now: silent handhelds, held items, a worker that stopped, a gateway that is down."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import func, select

from config.settings import Settings
from server import clock
from server.console import scope
from server.db import Base, Session
from server.identity.models import Device
from server.identity.queries import silent_since
from server.notify.models import FanOut, Gateway
from server.notify.queries import gateway_states
from server.review import ReviewItem

WORKER_SILENT = timedelta(minutes=2)


@dataclass(frozen=True)
class Trouble:
    """One thing to look at, in words, with where to look."""

    kind: str
    tone: str
    words: str
    url: str
    count: int = 1


def now(session: Session, settings: Settings) -> list[Trouble]:
    """Everything that is wrong now and that the person may see."""
    found: list[Trouble] = []
    if scope.may("devices", "view"):
        found += _silent(session, settings)
    if scope.may("review", "view"):
        found += _held(session)
    if scope.may("messages", "view"):
        found += _machines(session)
    return found


def _silent(session: Session, settings: Settings) -> list[Trouble]:
    seen = scope.of(session, "devices", "view")
    n = _count(
        session, select(Device.id).where(silent_since(settings.device_silent_hours), seen.devices())
    )
    if not n:
        return []
    words = ngettext("%(num)d silent handheld", "%(num)d silent handhelds", n)
    return [Trouble("silent", "warn", words, url_for("console.devices", state="silent"), n)]


def _held(session: Session) -> list[Trouble]:
    seen = scope.of(session, "review", "view")
    n = _count(
        session, select(ReviewItem.id).where(ReviewItem.status == "open", seen.review_items())
    )
    if not n:
        return []
    words = ngettext("%(num)d held item", "%(num)d held items", n)
    return [Trouble("held", "warn", words, url_for("console.review"), n)]


def _machines(session: Session) -> list[Trouble]:
    url = url_for("console.messages")
    found = []
    seen_at = worker_seen_at(session)
    if seen_at is None or clock.now() - seen_at > WORKER_SILENT:
        found.append(Trouble("worker", "bad", _("The worker does not run: no texts leave"), url))
        return found
    for gateway in gateway_states(session):
        if gateway.enabled and gateway.kind != "log" and gateway.state not in {"bound", "up"}:
            words = _("Gateway %(name)s is down", name=gateway.name)
            found.append(Trouble("gateway", "bad", words, url))
    return [*found, *_spent(session, url), *_stopped(session, url_for("console.messages_sendings"))]


def _spent(session: Session, url: str) -> list[Trouble]:
    over = Gateway.over_until > clock.now()
    names = session.scalars(select(Gateway.name).where(Gateway.enabled, over)).all()
    return [
        Trouble("budget", "bad", _("Gateway %(name)s has spent its budget", name=name), url)
        for name in names
    ]


def _stopped(session: Session, url: str) -> list[Trouble]:
    keys = session.scalars(select(FanOut.key).where(FanOut.status == "stopped")).all()
    return [
        Trouble("fan_out", "bad", _("The notice %(key)s to many has stopped", key=key), url)
        for key in keys
    ]


def worker_seen_at(session: Session) -> Any:
    """When a worker last said that it runs, or None; its table belongs to a floor above ours."""
    table = Base.metadata.tables.get("worker_heartbeat")
    if table is None:
        return None
    running = table.c.stopped_at.is_(None)
    return session.execute(select(func.max(table.c.seen_at)).where(running)).scalar()


def _count(session: Session, statement: Any) -> int:
    return int(session.execute(select(func.count()).select_from(statement.subquery())).scalar_one())
