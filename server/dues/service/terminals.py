"""Load terminals: who hears of an account's balance, and the calls that wait to be posted to them.

A call is a row written with what caused it. The worker posts it until the terminal answers 2xx, with
growing pauses, each try signed anew (docs/load-terminals.md). No transaction is open meanwhile.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import orjson
from sqlalchemy import select, update

from server import audit, clock
from server.accounts.models import Account
from server.db import Session, among, insert_rows, snapshot, transaction
from server.dues.models import LoadTerminal, TerminalCall
from server.errors import Invalid, NotFound
from server.identity.actor import Actor
from server.notify import secrets
from server.notify.rules import signing

AT_ONCE = 100
PATIENCE_SECONDS = 10.0
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
GIVEN_UP_AFTER = timedelta(days=2)
SHORTEST_SECRET = 16
KEY = "Idempotency-Key"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_T, _C = LoadTerminal, TerminalCall


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is due, ready to be posted."""

    id: int
    key: str
    url: str
    secret: str
    body: Mapping[str, Any]
    attempts: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """What a terminal answered: a status of HTTP, or none and what went wrong."""

    status: int | None
    error: str | None = None

    @property
    def took_it(self) -> bool:
        """Whether the terminal has it."""
        return self.status is not None and 200 <= self.status < 300


# --- setting up and queueing --------------------------------------------------------------


def put(
    session: Session, actor: Actor, account_no: str, name: str, url: str, secret: str
) -> LoadTerminal:
    """Set up the terminal of an account, or change it; the secret is sealed, the act audited.

    Raises:
        Invalid: ``terminal.invalid`` with every bad field in the details.
        NotFound: ``account.unknown``.
    """
    actor.require("settings", "edit")
    problems = _problems(name, url, secret)
    if problems:
        raise Invalid("terminal.invalid", "The load terminal cannot be used.", problems)
    account_id = session.scalar(select(Account.id).where(Account.account_no == account_no))
    if account_id is None:
        raise NotFound("account.unknown", "There is no such account, or it is not yours to see.")
    row = session.scalar(select(_T).where(_T.account_id == account_id))
    if row is None:
        row = LoadTerminal(account_id=account_id)
        session.add(row)
    row.name, row.url, row.secret, row.active = name, url, secrets.seal(secret), True
    session.flush()
    told = {"name": name, "url": url}
    audit.record(session, actor, "terminal.put", "account", account_id, after=told)
    return row


def switch_off(session: Session, actor: Actor, account_no: str) -> None:
    """Tell the terminal of an account nothing more, what waits included.

    Raises NotFound ``terminal.unknown``.
    """
    actor.require("settings", "edit")
    row = session.scalar(
        select(_T)
        .join(Account, Account.id == _T.account_id)
        .where(Account.account_no == account_no)
    )
    if row is None:
        raise NotFound("terminal.unknown", "This account has no load terminal.")
    row.active = False
    session.execute(
        update(_C)
        .where(_C.load_terminal_id == row.id, _C.state == "waiting")
        .values(state="failed", error="switched off")
    )
    audit.record(session, actor, "terminal.off", "account", row.account_id)


def _problems(name: str, url: str, secret: str) -> dict[str, str]:
    parts = urlsplit(url)
    found = {}
    if not 0 < len(name) <= 80:
        found["name"] = "must have 1 to 80 characters"
    if parts.scheme not in ("http", "https") or not parts.hostname or len(url) > 500:
        found["url"] = "must be an address that begins with https://"
    elif parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        found["url"] = "must begin with https://"
    elif parts.username or parts.password:
        found["url"] = "must not hold a password"
    if not SHORTEST_SECRET <= len(secret) <= 100:
        found["secret"] = f"must have {SHORTEST_SECRET} to 100 characters"
    return found


def enqueue(session: Session, told: Sequence[tuple[int, str, Mapping[str, Any]]]) -> None:
    """Queue calls (account, key, body) for those accounts that have a terminal: each key once."""
    if not told:
        return
    ids = {account_id for account_id, _, _ in told}
    found = session.execute(
        select(_T.account_id, _T.id).where(among(_T.account_id, ids), _T.active)
    )
    terminals = {account_id: terminal_id for account_id, terminal_id in found}
    now = clock.now()
    rows = [
        {
            "created_at": now,
            "key": key,
            "load_terminal_id": terminals[account_id],
            "body": dict(body),
            "state": "waiting",
            "attempts": 0,
            "not_before": now,
        }
        for account_id, key, body in told
        if account_id in terminals
    ]
    insert_rows(session, _C, rows, on_conflict=("key",))


# --- posting ------------------------------------------------------------------------------


def deliver(post: Callable[[Call], Answer] | None = None) -> int:
    """Post what is due and note the answers; how many calls were answered well.

    A call whose worker dies between post and note is posted again: the terminal knows its key.
    """
    with transaction() as session:
        due = _claim(session)
    answers = [(call, (post or post_once)(call)) for call in due]
    if answers:
        with transaction() as session:
            for call, answer in answers:
                _note(session, call, answer)
    return sum(answer.took_it for _, answer in answers)


def waiting() -> bool:
    """Whether a call is due; a read, so that idle rounds write nothing."""
    with snapshot() as session:
        return session.scalar(_due().limit(1)) is not None


def _due() -> Any:
    return select(_C.id).where(_C.state == "waiting", _C.not_before <= clock.now())


def _claim(session: Session) -> list[Call]:
    """Take what is due; another worker sees it again only after the first pause."""
    rows = session.execute(
        select(_C, _T.url, _T.secret)
        .join(_T, _T.id == _C.load_terminal_id)
        .where(_C.id.in_(_due()), _T.active)
        .order_by(_C.not_before, _C.id)
        .limit(AT_ONCE)
        .with_for_update(of=_C, skip_locked=True)
    ).all()
    for row, _, _ in rows:
        row.attempts += 1
        row.not_before = clock.now() + pause(row.attempts)
    return [
        Call(row.id, row.key, url, secrets.unseal(secret), row.body, row.attempts, row.created_at)
        for row, url, secret in rows
    ]


def pause(attempts: int) -> timedelta:
    """How long to wait after so many tries."""
    factor: int = 2 ** min(attempts - 1, 10)
    return min(FIRST_PAUSE * factor, LONGEST_PAUSE)


def _note(session: Session, call: Call, answer: Answer) -> None:
    old = clock.now() - call.since > GIVEN_UP_AFTER
    state = "answered" if answer.took_it else "failed" if old else "waiting"
    session.execute(
        update(_C)
        .where(_C.id == call.id, _C.state == "waiting")
        .values(
            state=state,
            answer=answer.status,
            error=answer.error,
            answered_at=clock.now() if answer.took_it else None,
        )
    )


def request_of(call: Call) -> tuple[bytes, dict[str, str]]:
    """The body of a call and its headers, signed now."""
    data = orjson.dumps(call.body)
    at = int(clock.now().timestamp())
    return data, {
        "Content-Type": "application/json",
        "User-Agent": "fieldbell",
        KEY: call.key,
        signing.TIMESTAMP: str(at),
        signing.SIGNATURE: signing.sign(call.secret, at, data),
    }


def post_once(call: Call) -> Answer:
    """Post a call over the network."""
    parts = urlsplit(call.url)
    data, headers = request_of(call)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    host, patience = parts.hostname or "", PATIENCE_SECONDS
    connection: http.client.HTTPConnection
    if parts.scheme == "http":
        connection = http.client.HTTPConnection(host, parts.port, timeout=patience)
    else:
        trusted = ssl.create_default_context()
        connection = http.client.HTTPSConnection(
            host, parts.port, timeout=patience, context=trusted
        )
    try:
        connection.request("POST", path, data, headers)
        answer = connection.getresponse()
        answer.read(4096)
    except (OSError, http.client.HTTPException) as problem:
        return Answer(None, (str(problem) or type(problem).__name__)[:160])
    else:
        return Answer(answer.status)
    finally:
        connection.close()
