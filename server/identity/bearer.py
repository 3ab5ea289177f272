"""The JSON API's door: a personal token proves who calls; too many calls are slowed down."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import ParamSpec, TypeVar, cast

from flask import g, request

from server import clock, logs, throttle
from server.db import snapshot, transaction
from server.errors import Unauthorized
from server.identity import service
from server.identity.actor import Actor
from server.identity.models import ApiToken

P = ParamSpec("P")
R = TypeVar("R")

_PREFIX = "fb_"


def bearer_required(view: Callable[P, R]) -> Callable[P, R]:
    """Let a view run only for a known personal token; write it above ``blp.arguments``.

    Raises:
        Unauthorized: ``auth.token_missing`` or ``auth.token_unknown``.
        TooMany: ``throttle.too_many`` for a token that calls too often, or an address that guesses.
    """

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        _prove()
        return view(*args, **kwargs)

    return guarded


def current_actor() -> Actor:
    """Who calls; only inside a view that :func:`bearer_required` guards."""
    return cast("Actor", g.actor)


def _prove() -> None:
    secret = _secret()
    limits = throttle.current()
    with snapshot() as session:
        try:
            actor, token = service.prove_api_token(session, secret)
        except Unauthorized:
            # A guesser is slowed down; a good token from the same address is not.
            limits.check(throttle.API_UNKNOWN, request.remote_addr or "")
            raise
        token_id, last_used_at = token.id, token.last_used_at
    limits.check(throttle.API, str(token_id))
    _note_use(token_id, last_used_at)
    g.actor = actor
    logs.identify(staff_id=actor.staff_id)


def _secret() -> str:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not secret.startswith(_PREFIX):
        raise Unauthorized(
            "auth.token_missing", "This address needs a personal token: Authorization: Bearer fb_…"
        )
    return secret


def _note_use(token_id: int, last_used_at: datetime | None) -> None:
    """Keep when the token was last used, to five minutes: not every read becomes a write."""
    now = clock.now()
    if last_used_at is None or now - last_used_at >= service.LAST_USED_STEP:
        with transaction() as session:
            session.get_one(ApiToken, token_id).last_used_at = now
