"""What monitors ask: is the process alive, can it serve, and the figures of its work.

``/health/live``   200 while the process answers.
``/health/ready``  200 when it can serve, else 503 with every reason.
``/metrics``       Prometheus text: requests of all web processes, and figures of the database.

No figure names a person, a phone or an account.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic, perf_counter
from typing import Any

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Blueprint, Flask, Response, current_app, g, jsonify, request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
    values,
)
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy import (
    BigInteger,
    CompoundSelect,
    Integer,
    Select,
    String,
    column,
    func,
    literal_column,
    select,
    table,
    text,
    union_all,
)
from sqlalchemy.exc import SQLAlchemyError

from config.settings import Settings
from server import clock
from server.db import Json, Session, UtcDateTime, db, snapshot

blueprint = Blueprint("health", __name__)

REQUESTS = Counter("fieldbell_http_requests", "Requests answered.", ["method", "route", "status"])
SECONDS = Histogram(
    "fieldbell_http_seconds",
    "Seconds from request to answer.",
    ["method", "route"],
    buckets=(0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
KEPT_SECONDS = 10.0


# --- alive and ready ----------------------------------------------------------------------


@dataclass(frozen=True)
class Problem:
    """Why the process cannot serve: a stable code and a sentence that says how to mend it."""

    code: str
    message: str


@blueprint.get("/health/live")
def live() -> Response:
    """Answer as long as the process can answer at all."""
    return jsonify({"status": "live"})


@blueprint.get("/health/ready")
def ready() -> tuple[Response, int]:
    """Say whether requests can be served, and if not every reason."""
    found = problems(current_app)
    reasons = [{"code": p.code, "message": p.message} for p in found]
    status = "unready" if found else "ready"
    return jsonify({"status": status, "reasons": reasons}), 503 if found else 200


def problems(app: Flask) -> list[Problem]:
    """Everything that keeps this installation from serving; needs an app context."""
    settings: Settings = app.extensions["fieldbell"]
    found = [*_database_problems(app)]
    folder = settings.var_dir.absolute()
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        found.append(
            Problem("health.var_not_writable", f"The folder {folder} cannot be written to.")
        )
    return found


def _database_problems(app: Flask) -> Iterator[Problem]:
    try:
        with db.engine.connect() as connection:
            present = set(MigrationContext.configure(connection).get_current_heads())
    except SQLAlchemyError as error:
        yield Problem(
            "health.database_unreachable",
            f"The database cannot be reached ({type(error).__name__}).",
        )
        return
    expected = _expected_heads(app)
    if present != expected:
        yield Problem(
            "health.migrations_pending",
            f"The database is at {_names(present)}, the program expects {_names(expected)}:"
            " run `flask db upgrade`.",
        )


def _expected_heads(app: Flask) -> set[str]:
    """The newest migrations of this program; read once a process."""
    known: set[str] | None = app.extensions.get("fieldbell.heads")
    if known is None:
        known = set(ScriptDirectory(app.extensions["migrate"].directory).get_heads())
        app.extensions["fieldbell.heads"] = known
    return known


def _names(revisions: set[str]) -> str:
    return ", ".join(sorted(revisions)) or "nothing"


# --- figures of requests ------------------------------------------------------------------


@blueprint.before_app_request
def _begin() -> None:
    g.metrics_began = perf_counter()


@blueprint.after_app_request
def _count(response: Response) -> Response:
    began = g.get("metrics_began")
    if began is not None:
        # The rule, not the path: a path may hold numbers of accounts, and there are too many.
        route = request.url_rule.rule if request.url_rule is not None else "unknown"
        REQUESTS.labels(request.method, route, str(response.status_code)).inc()
        SECONDS.labels(request.method, route).observe(perf_counter() - began)
    return response


@blueprint.get("/metrics")
def metrics() -> Response:
    """The figures in Prometheus' text form."""
    figures = generate_latest(_requests_registry())
    figures += generate_latest(_database_registry(current_app))
    return Response(figures, content_type=CONTENT_TYPE_LATEST)


def _requests_registry() -> CollectorRegistry:
    """The counters of this process or, under gunicorn, of all web processes together."""
    # The one public way to ask is the environment; the class in use says the same.
    if values.ValueClass is values.MutexValue:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return registry


# --- figures of the database --------------------------------------------------------------

_CAPTURES = table(
    "capture_event",
    column("type", String),
    column("verdict", String),
    column("received_at", UtcDateTime),
)
_REVIEW = table("review_item", column("reason", String), column("status", String))
OUTBOX_STATES = (
    "queued",
    "held",
    "claimed",
    "submitted",
    "unknown",
    "failed",
    "expired",
    "suppressed",
    "cancelled",
)
_OUTBOX = table(
    "outbox_message",
    column("id", BigInteger),
    column("status", String),
    column("priority", Integer),
    column("created_at", UtcDateTime),
)
_GATEWAYS = table("gateway", column("id", BigInteger), column("name", String))
_LEASES = table(
    "gateway_lease",
    column("gateway_id", BigInteger),
    column("bind", Integer),
    column("expires_at", UtcDateTime),
    column("state", String),
    column("figures", Json),
)
_REPORTS = table("delivery_report", column("segment_id", BigInteger))
# What a bind says of itself with its lease: rates a second, what is under way, answers by class.
BIND_FIGURES = (
    "in_flight",
    "sent_per_second",
    "accepted_per_second",
    "reports_per_second",
    "texts_per_second",
    "report_lag_seconds",
)
BIND_ERRORS = (
    "throttle",
    "transient",
    "permanent",
    "configuration",
    "bind",
    "no_answer",
    "line_cut",
)
_DEVICES = table(
    "device",
    column("status", String),
    column("last_contact_at", UtcDateTime),
    column("created_at", UtcDateTime),
)
_WORKERS = table("worker_heartbeat", column("seen_at", UtcDateTime))


@dataclass(frozen=True)
class _Figure:
    """One figure: its name, help, labels, and the query whose rows are (labels …, value)."""

    name: str
    help: str
    labels: tuple[str, ...]
    query: Callable[[Settings], Select[Any] | CompoundSelect[Any]]


def _captures(_settings: Settings) -> Select[Any]:
    kind = (_CAPTURES.c.type, _CAPTURES.c.verdict)
    day = _CAPTURES.c.received_at >= clock.now() - timedelta(days=1)
    return select(*kind, func.count()).where(day).group_by(*kind)


def _review(_settings: Settings) -> Select[Any]:
    reason, status = _REVIEW.c.reason, _REVIEW.c.status
    return select(reason, func.count()).where(status == "open").group_by(reason)


def _outbox(_settings: Settings) -> CompoundSelect[Any]:
    # Each state by itself and written out: only so are the table's partial indexes used. Messages
    # that went well are far too many to be counted at every scrape.
    return union_all(
        *(
            select(literal_column(f"'{state}'"), func.count())
            .select_from(_OUTBOX)
            .where(text(f"status = '{state}'"))
            for state in OUTBOX_STATES
        )
    )


def _queue(_settings: Settings) -> Select[Any]:
    queued = text("status = 'queued'")
    priority = _OUTBOX.c.priority
    return select(priority, func.count()).select_from(_OUTBOX).where(queued).group_by(priority)


def _queue_age(_settings: Settings) -> Select[Any]:
    # The oldest of each priority by the queue's own index; only its time is read from the table.
    oldest = (
        select(_OUTBOX.c.priority, func.min(_OUTBOX.c.id).label("id"))
        .where(text("status = 'queued'"))
        .group_by(_OUTBOX.c.priority)
        .subquery()
    )
    return select(oldest.c.priority, _OUTBOX.c.created_at).join_from(
        oldest, _OUTBOX, _OUTBOX.c.id == oldest.c.id
    )


def _binds(names: Sequence[str], *path: str) -> CompoundSelect[Any]:
    """A figure of every bind that somebody owns now, by gateway, bind and name."""
    picked = []
    for name in names:
        value: Any = _LEASES.c.figures
        for step in (*path, name):
            value = value[step]
        picked.append(
            select(
                _GATEWAYS.c.name,
                _LEASES.c.bind,
                literal_column(f"'{name}'"),
                func.coalesce(value.as_float(), 0.0),
            )
            .join_from(_LEASES, _GATEWAYS, _GATEWAYS.c.id == _LEASES.c.gateway_id)
            .where(_LEASES.c.expires_at > clock.now())
        )
    return union_all(*picked)


def _bind_figures(_settings: Settings) -> CompoundSelect[Any]:
    return _binds(BIND_FIGURES)


def _bind_errors(_settings: Settings) -> CompoundSelect[Any]:
    return _binds(BIND_ERRORS, "errors")


def _parked(_settings: Settings) -> Select[Any]:
    return select(func.count()).select_from(_REPORTS).where(_REPORTS.c.segment_id.is_(None))


def _devices(_settings: Settings) -> Select[Any]:
    return select(_DEVICES.c.status, func.count()).group_by(_DEVICES.c.status)


def _silent(settings: Settings) -> Select[Any]:
    since = clock.now() - timedelta(hours=settings.device_silent_hours)
    heard = func.coalesce(_DEVICES.c.last_contact_at, _DEVICES.c.created_at)
    silent = (_DEVICES.c.status == "active") & (heard < since)
    return select(func.count()).select_from(_DEVICES).where(silent)


def _workers(_settings: Settings) -> Select[Any]:
    alive = _WORKERS.c.seen_at >= clock.now() - timedelta(seconds=30)
    return select(func.count()).select_from(_WORKERS).where(alive)


FIGURES = (
    _Figure(
        "fieldbell_captures_day",
        "Captures received in the last 24 hours.",
        ("type", "verdict"),
        _captures,
    ),
    _Figure("fieldbell_review_open", "Items that wait for a person.", ("reason",), _review),
    _Figure(
        "fieldbell_outbox_messages",
        "Messages that wait or have failed, by state.",
        ("status",),
        _outbox,
    ),
    _Figure(
        "fieldbell_outbox_queue",
        "Messages that wait to be sent, by priority.",
        ("priority",),
        _queue,
    ),
    _Figure(
        "fieldbell_outbox_oldest_seconds",
        "Age of the oldest message that waits to be sent, by priority.",
        ("priority",),
        _queue_age,
    ),
    _Figure(
        "fieldbell_outbox_reports_parked",
        "Delivery reports that belong to no segment we know.",
        (),
        _parked,
    ),
    _Figure(
        "fieldbell_gateway_bind",
        "What each bind at work does now.",
        ("gateway", "bind", "figure"),
        _bind_figures,
    ),
    _Figure(
        "fieldbell_gateway_errors",
        "Refusals and silences of each bind since it was opened, by class.",
        ("gateway", "bind", "class"),
        _bind_errors,
    ),
    _Figure("fieldbell_devices", "Handhelds by state.", ("status",), _devices),
    _Figure("fieldbell_devices_silent", "Active handhelds without contact.", (), _silent),
    _Figure("fieldbell_workers_alive", "Workers seen in the last 30 s.", (), _workers),
)


@dataclass(eq=False)
class _DatabaseFigures(Collector):
    """Asks the database at most every ten seconds, however often it is scraped."""

    settings: Settings
    _at: float = -KEPT_SECONDS
    _kept: list[Metric] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def collect(self) -> list[Metric]:
        """The figures; ``fieldbell_database_up`` is 0 and the others are missing when it is away."""
        with self._lock:
            if monotonic() - self._at >= KEPT_SECONDS:
                self._kept = self._ask()
                self._at = monotonic()
            return self._kept

    def _ask(self) -> list[Metric]:
        up = GaugeMetricFamily("fieldbell_database_up", "1 when the database answers.")
        try:
            with snapshot() as session:
                found = [_metric(session, figure, self.settings) for figure in FIGURES]
        except SQLAlchemyError:
            up.add_metric([], 0)
            return [up]
        up.add_metric([], 1)
        return [up, *found]


def _metric(session: Session, figure: _Figure, settings: Settings) -> Metric:
    metric = GaugeMetricFamily(figure.name, figure.help, labels=figure.labels)
    for *labels, value in session.execute(figure.query(settings)):
        age = isinstance(value, datetime)
        number = (clock.now() - value).total_seconds() if age else value
        metric.add_metric([str(label) for label in labels], number)
    return metric


def _database_registry(app: Flask) -> CollectorRegistry:
    registry: CollectorRegistry | None = app.extensions.get("fieldbell.figures")
    if registry is None:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_DatabaseFigures(app.extensions["fieldbell"]))
        app.extensions["fieldbell.figures"] = registry
    return registry
