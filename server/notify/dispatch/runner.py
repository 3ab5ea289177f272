"""One bind of a gateway at work: a thread that owns it by a lease and works in turns (see `turns`)."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from server import clock
from server.db import Session, transaction
from server.notify.dispatch import claims
from server.notify.dispatch.watch import Watch
from server.notify.gateways.port import Listener, Port

log = logging.getLogger(__name__)

LEASE_SECONDS = 12.0
AFTER_TROUBLE_SECONDS = 1.0


@dataclass(frozen=True)
class Spec:
    """A bind of a gateway as its row describes it, with what differs between carriers.

    `whole`: it takes whole texts, never cut. `rate` is the account's in segments a second, shared by
    its `binds` sending binds that are at work; `bind` counts from 1, those above `binds` only receive.
    """

    id: int
    name: str
    open: Callable[[Listener], Port]
    id_mode: str = "as_is"
    statuses: dict[int, str] = field(default_factory=dict)
    reference_bits: int = 8
    resend_seconds: float = 30.0
    whole: bool = False
    rate: float | None = None
    binds: int = 1
    bind: int = 1

    @property
    def sends(self) -> bool:
        """Whether this bind takes messages."""
        return self.bind <= self.binds


class Runner:
    """Runs one bind in its own thread until stopped."""

    def __init__(self, app: Flask, spec: Spec) -> None:
        self.spec = spec
        self._app = app
        self._owners = [secrets.token_hex(8)]
        self._stopping = threading.Event()
        name = f"gateway-{spec.name}-{spec.bind}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; the gateway connects as soon as its lease is free."""
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Have it end; `join` waits for it."""
        self._stopping.set()

    def join(self, seconds: float) -> None:
        """Wait until the window is drained and everything heard is stored."""
        self._thread.join(seconds)

    def is_alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        with self._app.app_context():
            while not self._stopping.is_set():
                try:
                    if self._renew():
                        Watch(self).run()
                except SQLAlchemyError as problem:
                    log.warning(
                        "gateway %s: the database fails: %s", self.spec.name, brief(problem)
                    )
                self._stopping.wait(AFTER_TROUBLE_SECONDS)

    def _renew(self) -> bool:
        with transaction() as session:
            return self.renew(session)

    def renew(self, session: Session) -> bool:
        """Take or keep the lease."""
        spec, now = self.spec, clock.now()
        return claims.take_lease(session, spec.id, self._owners, now, LEASE_SECONDS, spec.bind)

    @property
    def owner(self) -> str:
        """The name under which messages are claimed at present."""
        return self._owners[0]

    def rename(self) -> None:
        """Go on under a new name, so that what was claimed under the old one is sorted out in time."""
        self._owners = [secrets.token_hex(8), *self._owners[:3]]

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._stopping.is_set()


def brief(problem: SQLAlchemyError) -> str:
    """The database's own words without the statement, whose values are customers' numbers and texts."""
    return str(getattr(problem, "orig", None) or type(problem).__name__).splitlines()[0]
