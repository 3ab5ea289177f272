"""The worker's part of commands: a thread that carries out texts as they come."""

from __future__ import annotations

import logging
import threading

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from server.commands import service
from server.commands.rules.replies import Limits
from server.db import snapshot, transaction

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
_AFTER_TROUBLE_SECONDS = 1.0
_STOP_SECONDS = 30.0


class Commands:
    """Carries texts out, up to `most` at a time, until told to stop; any number may run beside each other."""

    def __init__(self, app: Flask, limits: Limits, most: int = service.MOST) -> None:
        self._app = app
        self._limits = limits
        self._most = most
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="commands", daemon=True)

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """End after the batch at hand; blocks until then."""
        self._stopping.set()
        self._thread.join(_STOP_SECONDS)

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        with self._app.app_context():
            while not self._stopping.is_set():
                try:
                    pause = 0.0 if turn(self._limits, self._most) else LOOK_SECONDS
                except SQLAlchemyError as problem:
                    logger.warning("texted commands wait: %s", type(problem).__name__)
                    pause = _AFTER_TROUBLE_SECONDS
                self._stopping.wait(pause)


def turn(limits: Limits, most: int) -> int:
    """Carry out one batch in a transaction of its own; how many texts were dealt with.

    A look without a lock comes first: on SQLite a transaction would keep the other writers waiting.
    """
    with snapshot() as session:
        if not service.waiting(session):
            return 0
    with transaction() as session:
        return service.handle(session, limits, most)
