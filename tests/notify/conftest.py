"""What tests of notices share: a database with an operator, a gateway, and an SMS centre to talk to."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from server.db import Session, snapshot, transaction
from server.notify import service
from server.notify.models import Gateway, OutboxMessage
from server.operator import found
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]


@pytest.fixture
def outbox(app: Flask) -> Iterator[Flask]:
    """The app inside its context, on a database that has an operator."""
    with app.app_context():
        with transaction() as session:
            found(session, "东岭电力", "CNY", "Asia/Shanghai", "zh_Hans")
        yield app


@pytest.fixture
def gateway(outbox: Flask) -> int:
    """The id of an SMPP gateway that nobody runs."""
    return put_gateway("carrier", 1)


def put_gateway(name: str, port: int, **config: Any) -> int:
    """Set an SMPP gateway up that retries fast, and return its id."""
    settings = {
        "host": "127.0.0.1",
        "port": port,
        "system_id": "fieldbell",
        "password": "fieldbell",
        "source": "95598",
        "retry_first_seconds": 0.1,
        "retry_most_seconds": 0.5,
        **config,
    }
    with transaction() as session:
        service.put_gateway(session, name, "smpp", settings, simulated=True)
        return session.scalars(select(Gateway.id).where(Gateway.name == name)).one()


def bill(number: int, phone: str | None = None, **more: Any) -> service.Notice:
    """A bill notice of account `number`."""
    data = {
        "no": f"{10000000 + number}",
        "m": "2026-10",
        "kwh": Decimal(256),
        "amt": Decimal("137.73"),
        "bal": Decimal("-137.73"),
        "due": "12月20日",
    }
    phone = phone or f"+86120000{number:05d}"
    return service.Notice("bill.issued", f"bill:{number}", phone, "zh_Hans_CN", data, **more)


def queue_bills(count: int, **more: Any) -> list[int]:
    """Queue bills to as many phones and return their message ids in order."""
    notices = [bill(number, **more) for number in range(count)]
    with transaction() as session:
        ids = service.enqueue(session, notices)
    return [ids[notice.key] for notice in notices]


def states() -> dict[int, str]:
    """The state of every message by id."""
    with snapshot() as session:
        rows = session.execute(select(OutboxMessage.id, OutboxMessage.status))
        return {row.id: row.status for row in rows}


def only(session: Session) -> OutboxMessage:
    """The one message there is."""
    return session.scalars(select(OutboxMessage)).one()


class CentreProcess:
    """The simulator's SMS centre as a process that can be killed and started again."""

    def __init__(self, folder: Path, port: int, http: int) -> None:
        self.port = port
        self._http = http
        self._command = [
            *(sys.executable, "-m", "device_sim", "smsc", "--port", str(port), "--http", str(http)),
            *("--receipt-delay", "0.05-0.4", "--state", str(folder / "smsc.jsonl")),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until its page answers."""
        self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=subprocess.DEVNULL)
        wait_until(self._answers)

    def kill(self) -> None:
        """End it as a power cut does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def get(self, name: str) -> bytes:
        """One document of its page."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._http}/{name}", timeout=30) as answer:
            return bytes(answer.read())

    def _answers(self) -> bool:
        try:
            self.get("counts.json")
        except OSError:
            return False
        return True
