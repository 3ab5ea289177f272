"""All gateways of one worker: a runner for each bind of the enabled rows, kept in step with the table."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError

from server import clock
from server.db import snapshot, transaction
from server.errors import DomainError
from server.notify.dispatch.runner import Runner, brief
from server.notify.dispatch.specify import specify
from server.notify.models import Gateway

log = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0
_STOP_SECONDS = 30.0

# What makes a gateway another one: a change of these restarts it.
_Key = tuple[str, str, str]


class Gateways:
    """Starts, watches and stops the gateways of a worker.

    With `only_simulated` (a demo database) every gateway that is not simulated is refused.
    """

    def __init__(self, app: Flask, *, only_simulated: bool = False) -> None:
        self._app = app
        self._only_simulated = only_simulated
        self._runners: dict[_Key, list[Runner]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gateways", daemon=True)

    def start(self) -> None:
        """Begin, in threads of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Drain every window, store what was heard, and end; blocks until then."""
        self._stopping.set()
        self._thread.join(_STOP_SECONDS + 5)

    def is_alive(self) -> bool:
        """Whether the watch over the gateways still runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        with self._app.app_context():
            while True:
                try:
                    self._look()
                except SQLAlchemyError as problem:
                    log.warning("the table of gateways cannot be read: %s", brief(problem))
                if self._stopping.wait(_LOOK_SECONDS):
                    break
        self._end(list(self._runners))

    def _look(self) -> None:
        """Bring the runners in step with the table."""
        with snapshot() as session:
            rows = session.scalars(select(Gateway).order_by(Gateway.position, Gateway.id)).all()
            session.expunge_all()
        enabled = [row for row in rows if row.enabled]
        allowed = [row for row in enabled if row.simulated or not self._only_simulated]
        for row in enabled:
            if row not in allowed and row.state != "refused":
                self._mark(row.id, "refused", "a demo uses simulated gateways only")
        keys = {(row.name, row.kind, repr(row.config)): row for row in allowed}
        ended = [
            key
            for key, runners in self._runners.items()
            if key not in keys or not all(runner.is_alive() for runner in runners)
        ]
        self._end(ended)
        for key, row in keys.items():
            if key not in self._runners:
                self._open(key, row)

    def _open(self, key: _Key, row: Gateway) -> None:
        try:
            specs = specify(row)
        except DomainError as problem:
            if row.detail != problem.message:
                log.warning("gateway %s: refused: %s (%s)", row.name, problem.message, problem.code)
                self._mark(row.id, "refused", problem.message)
            return
        self._runners[key] = [Runner(self._app, spec) for spec in specs]
        for runner in self._runners[key]:
            runner.start()

    def _end(self, keys: Sequence[_Key]) -> None:
        runners = [runner for key in keys for runner in self._runners.pop(key)]
        for runner in runners:
            runner.ask_to_stop()
        for runner in runners:
            runner.join(_STOP_SECONDS)

    def _mark(self, gateway_id: int, state: str, detail: str) -> None:
        with transaction() as session:
            session.execute(
                update(Gateway)
                .where(Gateway.id == gateway_id)
                .values(state=state, detail=detail, state_at=clock.now())
            )


def run_gateways(app: Flask, stop: threading.Event, *, only_simulated: bool = False) -> None:
    """Run the gateways until `stop` is set; returns when all have ended."""
    gateways = Gateways(app, only_simulated=only_simulated)
    gateways.start()
    stop.wait()
    gateways.stop()
