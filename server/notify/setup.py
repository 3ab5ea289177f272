"""What rarely changes and every message needs: wordings, terms, prices, rules. Read once, kept.

A row holds a token that changes with each of them, so that whoever reads the token with his first
statement knows whether what he keeps still holds. The state of gateways has no token: it is read
again after a few seconds.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, select

from server import clock
from server.db import Session, bulk_upsert, run
from server.notify.models import NoticeSetup

FRESH_SECONDS = 5.0

T = TypeVar("T")

_kept: WeakKeyDictionary[Engine, dict[str, tuple[tuple[str | None, float], Any]]] = (
    WeakKeyDictionary()
)
_done: WeakKeyDictionary[Engine, dict[str, float]] = WeakKeyDictionary()
_lock = Lock()


def changed(session: Session) -> None:
    """Say in the same transaction that templates, gateways, prices, policies or holidays changed."""
    session.flush()
    row = {"id": 1, "created_at": clock.now(), "token": secrets.token_hex(12)}
    bulk_upsert(session, NoticeSetup, [row], ("id",))


_TOKEN = select(NoticeSetup.token).where(NoticeSetup.id == 1)


def token(session: Session) -> str | None:
    """The present token; None before anything was set up."""
    found = run(session, _TOKEN)
    return found[0][0] if found else None


def by_age(session: Session, name: str, now: str | None, load: Callable[[Session], T]) -> T:
    """What `load` read under this token at most some seconds ago, or read anew."""
    engine, at = _engine(session), time.monotonic()
    with _lock:
        known = _kept.setdefault(engine, {}).get(name)
    if known is not None:
        (under, since), value = known
        if under == now and at - since < FRESH_SECONDS:
            kept: T = value
            return kept
    made = load(session)
    with _lock:
        _kept.setdefault(engine, {})[name] = ((now, at), made)
    return made


def is_due(session: Session, name: str, seconds: float) -> bool:
    """Whether this process has not done `name` for so many seconds."""
    with _lock:
        done = _done.get(_engine(session), {}).get(name)
    return done is None or time.monotonic() - done >= seconds


def done(session: Session, name: str) -> None:
    """This process has just done `name`."""
    with _lock:
        _done.setdefault(_engine(session), {})[name] = time.monotonic()


def _engine(session: Session) -> Engine:
    bind = session.get_bind()
    return bind if isinstance(bind, Engine) else bind.engine
