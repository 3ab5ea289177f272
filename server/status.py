"""``flask status``: one screen of what the system holds and whether it is well."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
from alembic.runtime.migration import MigrationContext
from flask import current_app
from sqlalchemy import func, select

from config.settings import Settings
from server import clock, health, review
from server.billing import queries as billing
from server.books.proof import differences
from server.capture.models import VERDICTS, CaptureEvent, CaptureReject
from server.db import Session, db, snapshot
from server.identity.models import DEVICE_STATUSES, Device
from server.identity.queries import silent_since
from server.jobs import JobRun, WorkerHeartbeat
from server.notify import queries as notify
from server.notify.rules.states import STATES
from server.operator import Operator
from server.terminal import command, settings

WORKER_ALIVE = timedelta(seconds=30)
PROVE_UP_TO = 200_000
"""Ledger lines up to which every balance is computed again at each call."""

Part = dict[str, Any]


@command("status")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for programs.")
def status_command(as_json: bool) -> None:
    """Show what the system holds and whether it is well."""
    with snapshot() as session:
        found = collect(session, settings())
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    for line in screen(found):
        click.echo(line)


def collect(session: Session, configured: Settings) -> dict[str, Part]:
    """Everything ``flask status`` shows, as JSON can hold it."""
    operator = session.get(Operator, 1)
    return {
        "operator": _operator(operator),
        "captures": _captures(session),
        "review": _review(session),
        "bills": _bills(session),
        "ledger": _ledger(session, operator.currency if operator else "CNY"),
        "messages": _messages(session),
        "gateways": _gateways(session),
        "devices": _devices(session, configured),
        "worker": _worker(session),
        "database": _database(session),
    }


# --- what the system holds ----------------------------------------------------------------


def _operator(operator: Operator | None) -> Part:
    if operator is None:
        return {"name": None, "is_demo": False, "time_zone": "UTC"}
    return {
        "name": operator.name,
        "is_demo": operator.is_demo,
        "time_zone": operator.time_zone,
    }


def _captures(session: Session) -> Part:
    """Captures by verdict; ``unreadable`` were no items at all and are kept as text."""
    rows = session.execute(
        select(CaptureEvent.verdict, func.count()).group_by(CaptureEvent.verdict)
    )
    unreadable = session.scalar(select(func.count()).select_from(CaptureReject))
    return {**_each(VERDICTS, {name: count for name, count in rows}), "unreadable": unreadable or 0}


def _review(session: Session) -> Part:
    reasons = review.open_by_reason(session)
    return {
        "open": sum(count for _, count, _ in reasons),
        "reasons": {
            reason: {"count": count, "since": since.isoformat(), "age_s": _age(since)}
            for reason, count, since in reasons
        },
    }


def _bills(session: Session) -> Part:
    return {"issued": 0, "cancelled": 0, **billing.bills_by_status(session)}


def _ledger(session: Session, unit: str) -> Part:
    """The ledger's totals; ``differences`` is null where there is too much to prove in passing."""
    totals = billing.ledger_totals(session, unit)
    proved = totals.lines <= PROVE_UP_TO
    return {
        "lines": totals.lines,
        "unit": unit,
        "debit": str(totals.debit),
        "credit": str(totals.credit),
        "receivable": str(totals.receivable),
        "balanced": totals.balanced,
        "agrees": totals.agrees,
        "differences": sum(1 for _ in differences(session)) if proved else None,
    }


def _messages(session: Session) -> Part:
    return _each(STATES, notify.counts(session)["all"])


def _gateways(session: Session) -> Part:
    counts = notify.counts(session)
    return {
        each.name: {
            "kind": each.kind,
            "enabled": each.enabled,
            "simulated": each.simulated,
            "alive": each.alive,
            "state": each.state,
            "detail": each.detail,
            "messages": counts.get(each.name, {}),
        }
        for each in notify.gateway_states(session)
    }


def _devices(session: Session, configured: Settings) -> Part:
    """Handhelds by state; silent ones are active and have not been heard for too long."""
    rows = session.execute(select(Device.status, func.count()).group_by(Device.status))
    silent = session.execute(
        select(Device.name)
        .where(silent_since(configured.device_silent_hours))
        .order_by(Device.last_contact_at)
    ).scalars()
    unsent = session.scalar(select(func.sum(Device.unsent)).where(Device.status == "active"))
    names = list(silent)
    return {
        **_each(DEVICE_STATUSES, {name: count for name, count in rows}),
        "silent": len(names),
        "silent_names": names[:20],
        "unsent": unsent or 0,
    }


def _worker(session: Session) -> Part:
    """The workers that live, when one was last seen, and the jobs that failed in a day."""
    beats = session.execute(
        select(WorkerHeartbeat).order_by(WorkerHeartbeat.seen_at.desc()).limit(20)
    ).scalars()
    seen = list(beats)
    living = [
        beat.name
        for beat in seen
        if beat.stopped_at is None and clock.now() - beat.seen_at <= WORKER_ALIVE
    ]
    failed = session.execute(
        select(JobRun.name, JobRun.error)
        .where(JobRun.error.is_not(None), JobRun.started_at > clock.now() - timedelta(days=1))
        .order_by(JobRun.started_at.desc())
    )
    return {
        "alive": bool(living),
        "workers": living,
        "last_seen_at": seen[0].seen_at.isoformat() if seen else None,
        "last_seen_s": _age(seen[0].seen_at) if seen else None,
        "failed_jobs": {name: error for name, error in failed},
    }


def _database(session: Session) -> Part:
    """Which database it is, how large, and whether its tables are those of this program."""
    engine = db.engine
    connection = session.connection()
    heads = MigrationContext.configure(connection).get_current_heads()
    problems = [p.code for p in health.problems(current_app)]
    return {
        "dialect": engine.dialect.name,
        "version": ".".join(map(str, engine.dialect.server_version_info or ())),
        "revision": ", ".join(sorted(heads)) or None,
        "up_to_date": "health.migrations_pending" not in problems,
        "problems": problems,
        "bytes": _size(session),
    }


def _size(session: Session) -> int | None:
    database = db.engine.url.database
    if db.engine.dialect.name == "postgresql":
        return session.scalar(select(func.pg_database_size(func.current_database())))
    if database is None or not Path(database).exists():
        return None
    files = Path(database).parent.glob(f"{Path(database).name}*")
    return sum(file.stat().st_size for file in files)


def _each(names: Sequence[str], counts: Mapping[str, int]) -> Part:
    """Counts with a zero for what is missing."""
    return {name: counts.get(name, 0) for name in names}


def _age(since: datetime) -> int:
    return int((clock.now() - since).total_seconds())


# --- the screen ---------------------------------------------------------------------------


def screen(found: Mapping[str, Part]) -> list[str]:
    """What was collected as lines for people."""
    operator, database = found["operator"], found["database"]
    name = operator["name"] or "not set up: run `flask init` or `flask demo load`"
    title = f"{name}{' (demo)' if operator['is_demo'] else ''}"
    return [
        title,
        _line("captures", _counts(found["captures"])),
        *_review_lines(found["review"]),
        _line("bills", _counts(found["bills"])),
        _line("ledger", _ledger_words(found["ledger"])),
        _line("messages", _counts(found["messages"], always=("delivered", "queued", "failed"))),
        *_gateway_lines(found["gateways"]),
        *_device_lines(found["devices"]),
        *_worker_lines(found["worker"]),
        _line("database", _database_words(database)),
    ]


def _line(name: str, words: str) -> str:
    return f"  {name:<10} {words}"


def _counts(counts: Mapping[str, Any], always: Sequence[str] = ()) -> str:
    """``3 applied · 1 held``; zeros are left out unless everything or the name is wanted."""
    shown = [f"{n:,} {name}" for name, n in counts.items() if n or name in always or not always]
    return " · ".join(shown)


def _review_lines(part: Part) -> list[str]:
    reasons = [
        f"{reason} {each['count']:,} ({_ago(each['age_s'])})"
        for reason, each in part["reasons"].items()
    ]
    head = _line("review", f"{part['open']:,} open, oldest of each reason in brackets")
    return [head, *(f"             {reason}" for reason in reasons[:8])]


def _ledger_words(part: Part) -> str:
    if part["differences"] is None:
        proof = "too large to prove here: run `flask reconcile`"
    else:
        proof = f"{part['differences']:,} differences" if part["differences"] else "it agrees"
    balanced = "debits = credits" if part["balanced"] else "DEBITS ≠ CREDITS"
    return f"{part['lines']:,} lines · {balanced} · {proof}"


def _gateway_lines(gateways: Part) -> list[str]:
    if not gateways:
        return ["             no gateway is set up; texts wait"]
    lines = []
    for name, each in gateways.items():
        kind = f"{each['kind']}, simulated" if each["simulated"] else each["kind"]
        words = f"{name} ({kind}): {each['state']} {each['detail']}"
        lines.append(f"             {words.rstrip()} · {_counts(each['messages'])}".rstrip(" ·"))
    return lines


def _device_lines(part: Part) -> list[str]:
    words = _counts({key: part[key] for key in (*DEVICE_STATUSES, "silent", "unsent")})
    lines = [_line("devices", words)]
    if part["silent_names"]:
        lines.append(f"             silent: {', '.join(part['silent_names'][:8])}")
    return lines


def _worker_lines(part: Part) -> list[str]:
    if part["alive"]:
        words = f"alive: {', '.join(part['workers'])}, seen {_ago(part['last_seen_s'])} ago"
    elif part["last_seen_s"] is None:
        words = "none has ever run: start it with `flask worker`"
    else:
        words = f"STOPPED, last seen {_ago(part['last_seen_s'])} ago: start it with `flask worker`"
    failed = [
        f"             job {job} failed: {error}" for job, error in part["failed_jobs"].items()
    ]
    return [_line("worker", words), *failed]


def _database_words(part: Part) -> str:
    size = "" if part["bytes"] is None else f" · {part['bytes'] / 1e6:,.1f} MB"
    state = "up to date" if part["up_to_date"] else "NOT up to date: run `flask db upgrade`"
    return f"{part['dialect']} {part['version']} · {part['revision']}, {state}{size}"


def _ago(seconds: int) -> str:
    """An age as people say it."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
