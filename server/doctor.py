"""``flask doctor``: checks the installation and says how to mend what is wrong."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from flask import current_app
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from config.settings import BadSettings, Settings
from server import clock, health
from server.db import db, snapshot
from server.errors import DomainError
from server.jobs import WorkerHeartbeat
from server.notify.queries import gateway_states
from server.operator import current
from server.status import WORKER_ALIVE
from server.terminal import command, settings

ROOT = Path(__file__).resolve().parent.parent
LEAST_PYTHON = (3, 11)
LEAST_SQLITE = (3, 38)
LEAST_POSTGRESQL = 15
LEAST_FREE_MB, GOOD_FREE_MB = 200, 2_000
PRAGMAS = {"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"}
LIBRARIES = ("leaflet/leaflet.js",)
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(\[[^\]]*\])?==(?P<version>[^\s;#]+)")


@dataclass(frozen=True)
class Finding:
    """One thing looked at: ``ok``, ``warn`` or ``bad``, and how to mend it."""

    level: str
    subject: str
    words: str
    mend: str = ""


Check = Callable[[Settings], Iterator[Finding]]


@command("doctor")
@click.option("--json", "as_json", is_flag=True, help="A JSON list for programs.")
def doctor_command(as_json: bool) -> None:
    """Check the installation; the exit code is 1 when something is bad."""
    findings = examine(settings())
    if as_json:
        click.echo(json.dumps([asdict(each) for each in findings], ensure_ascii=False, indent=2))
    else:
        for each in findings:
            _say(each)
    if any(each.level == "bad" for each in findings):
        raise SystemExit(1)


def _say(finding: Finding) -> None:
    colour = {"ok": "green", "warn": "yellow", "bad": "red"}[finding.level]
    mark = click.style(f"{finding.level:<5}", fg=colour)
    click.echo(f"{mark}{finding.subject:<12} {finding.words}")
    if finding.mend:
        click.echo(f"{'':<18}→ {finding.mend}")


def examine(configured: Settings) -> list[Finding]:
    """Run every check; one that fails to run is itself a finding."""
    findings: list[Finding] = []
    for check in CHECKS:
        try:
            findings += check(configured)
        except (SQLAlchemyError, OSError, DomainError) as error:
            name = check.__name__.strip("_")
            findings.append(Finding("bad", name, f"could not be checked: {error}".splitlines()[0]))
    return findings


# --- the program --------------------------------------------------------------------------


def _python(_settings: Settings) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= LEAST_PYTHON:
        yield Finding("ok", "python", version)
    else:
        least = ".".join(map(str, LEAST_PYTHON))
        yield Finding("bad", "python", f"{version} is too old", f"install Python {least} or later")


def _packages(_settings: Settings) -> Iterator[Finding]:
    """The packages that are installed against the pins of requirements.txt."""
    file = ROOT / "requirements.txt"
    if not file.exists():
        yield Finding("warn", "packages", "requirements.txt is not here", "run from a checkout")
        return
    wrong = list(_wrong_packages(file.read_text("utf-8")))
    if not wrong:
        yield Finding("ok", "packages", "all as pinned in requirements.txt")
    for name, wanted, installed in wrong:
        words = f"{name} is {installed or 'missing'}, pinned is {wanted}"
        mend = "run `pip install -r requirements.txt` in the virtual environment"
        yield Finding("warn" if installed else "bad", "packages", words, mend)


def _wrong_packages(pins: str) -> Iterator[tuple[str, str, str | None]]:
    for line in pins.splitlines():
        if match := _PIN.match(line.strip()):
            try:
                installed: str | None = metadata.version(match["name"])
            except metadata.PackageNotFoundError:
                installed = None
            if installed != match["version"]:
                yield match["name"], match["version"], installed


def _settings(configured: Settings) -> Iterator[Finding]:
    try:
        from_env = Settings.from_env()
    except BadSettings as error:
        for problem in error.problems:
            yield Finding("bad", "settings", problem, "see config/example.env")
        return
    changed = sum(getattr(from_env, name) != getattr(Settings(), name) for name in asdict(from_env))
    yield Finding("ok", "settings", f"readable, {changed} differ from their defaults")
    if configured.secret_key:
        yield Finding("ok", "secret key", "given by the settings")
        return
    kept = configured.var_dir / "secret_key"
    if kept.exists() and kept.stat().st_mode & 0o077:
        yield Finding("bad", "secret key", f"{kept} can be read by others", f"chmod 600 {kept}")
    else:
        mend = "with several web hosts set FIELDBELL_SECRET_KEY to the same value on all"
        yield Finding("ok", "secret key", f"made here and kept in {kept}; {mend}")


def _address(configured: Settings) -> Iterator[Finding]:
    """Browsers give service workers, cameras and positions to secure addresses only."""
    parts = urlsplit(configured.base_url)
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.scheme == "https":
        level = "ok" if configured.secure_cookies else "warn"
        mend = "" if configured.secure_cookies else "set FIELDBELL_SECURE_COOKIES=true"
        yield Finding(level, "address", configured.base_url, mend)
    elif local:
        yield Finding("ok", "address", f"{configured.base_url}, this machine only")
    else:
        mend = "put TLS in front and set FIELDBELL_BASE_URL to the https address"
        words = f"{configured.base_url} is not encrypted; handhelds' browsers refuse much there"
        yield Finding("warn", "address", words, mend)


def _browser_libraries(_settings: Settings) -> Iterator[Finding]:
    folder = ROOT / "server" / "console" / "static" / "vendor"
    missing = [name for name in LIBRARIES if not (folder / name).exists()]
    if missing:
        words = f"missing: {', '.join(missing)}; the console works without its map"
        yield Finding("warn", "browser", words, "run `make vendor`")
    else:
        yield Finding("ok", "browser", "libraries are there")


# --- the machine --------------------------------------------------------------------------


def _folder(configured: Settings) -> Iterator[Finding]:
    folder = configured.var_dir.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        mend = f"give the user that runs Fieldbell the right to write to {folder}"
        yield Finding("bad", "var", f"{folder} cannot be written to", mend)
        return
    free = shutil.disk_usage(folder).free // 1_000_000
    words = f"{folder}, {free:,} MB free"
    if free < LEAST_FREE_MB:
        yield Finding("bad", "var", words, "make room: the database stops when the disk is full")
    elif free < GOOD_FREE_MB:
        yield Finding("warn", "var", words, "make room soon")
    else:
        yield Finding("ok", "var", words)


# --- the database -------------------------------------------------------------------------


def _database(_settings: Settings) -> Iterator[Finding]:
    with db.engine.connect() as connection:
        postgresql = db.engine.dialect.name == "postgresql"
        version = db.engine.dialect.server_version_info or ()
        shown = ".".join(map(str, version))
        if not postgresql:
            yield from _sqlite(connection, version, shown)
        elif version < (LEAST_POSTGRESQL,):
            mend = f"upgrade to PostgreSQL {LEAST_POSTGRESQL} or later"
            yield Finding("bad", "database", f"PostgreSQL {shown} is too old", mend)
        else:
            yield Finding("ok", "database", f"PostgreSQL {shown}")


def _sqlite(connection: Any, version: tuple[Any, ...], shown: str) -> Iterator[Finding]:
    if version < LEAST_SQLITE:
        least = ".".join(map(str, LEAST_SQLITE))
        yield Finding("bad", "database", f"SQLite {shown} is too old", f"needs {least} or later")
    wrong = []
    for pragma, wanted in PRAGMAS.items():
        value = str(connection.execute(text(f"PRAGMA {pragma}")).scalar())
        if value.lower() != wanted:
            wrong.append(f"{pragma} is {value}, should be {wanted}")
    if wrong:
        mend = "keep the database on a local disk; network folders cannot do this"
        yield Finding("bad", "database", f"SQLite {shown}: {'; '.join(wrong)}", mend)
    else:
        yield Finding("ok", "database", f"SQLite {shown}, write-ahead log, full synchronisation")


def _migrations(_settings: Settings) -> Iterator[Finding]:
    found = [p for p in health.problems(current_app) if p.code.startswith("health.migrations")]
    if not found:
        yield Finding("ok", "tables", "those of this version")
    for problem in found:
        yield Finding("bad", "tables", problem.message, "flask db upgrade")


def _operator(_settings: Settings) -> Iterator[Finding]:
    with snapshot() as session:
        operator = current(session)
        name = f"{operator.name}{' (demo)' if operator.is_demo else ''}"
    yield Finding("ok", "operator", name)


# --- what runs ----------------------------------------------------------------------------


def _worker(_settings: Settings) -> Iterator[Finding]:
    living = (WorkerHeartbeat.seen_at >= clock.now() - WORKER_ALIVE) & (
        WorkerHeartbeat.stopped_at.is_(None)
    )
    with snapshot() as session:
        alive = session.scalar(select(func.count()).select_from(WorkerHeartbeat).where(living))
    if alive:
        yield Finding("ok", "worker", f"{alive} alive")
    else:
        words = "none was seen in the last half minute: no texts go out, no timed jobs run"
        yield Finding("warn", "worker", words, "start one with `flask worker` (or `make start`)")


def _gateways(_settings: Settings) -> Iterator[Finding]:
    with snapshot() as session:
        gateways = gateway_states(session)
        is_demo = current(session).is_demo
    enabled = [each for each in gateways if each.enabled]
    if not enabled:
        mend = 'set one up: docs/operations.md, "Gateways"'
        yield Finding("warn", "gateway", "none is enabled; texts wait in the queue", mend)
    for each in enabled:
        if each.state == "refused":
            mend = "check its system id and password with the carrier"
            yield Finding("bad", "gateway", f"{each.name}: refused {each.detail}", mend)
        elif each.simulated and not is_demo:
            mend = "its texts reach nobody; use a real one"
            yield Finding("warn", "gateway", f"{each.name} is simulated", mend)
        else:
            yield Finding("ok", "gateway", f"{each.name} ({each.kind}): {each.state}")


def _geocoder(configured: Settings) -> Iterator[Finding]:
    if not configured.geocoder_url:
        yield Finding(
            "ok", "geocoder", "none; imported addresses keep the positions they come with"
        )
    elif urlsplit(configured.geocoder_url).hostname is None:
        mend = "FIELDBELL_GEOCODER_URL is an address such as https://nominatim.example.com"
        yield Finding("bad", "geocoder", f"{configured.geocoder_url!r} is no address", mend)
    elif configured.geocoder_user_agent == "fieldbell":
        mend = "set FIELDBELL_GEOCODER_USER_AGENT to your name and a contact"
        yield Finding("warn", "geocoder", "public services refuse users without a name", mend)
    else:
        yield Finding("ok", "geocoder", configured.geocoder_url)


CHECKS: tuple[Check, ...] = (
    _python,
    _packages,
    _settings,
    _address,
    _browser_libraries,
    _folder,
    _database,
    _migrations,
    _operator,
    _worker,
    _gateways,
    _geocoder,
)
