"""`make run` says clearly why it cannot start, and shows of the logs only what needs a person."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from scripts import demo


def test_a_busy_port_is_named_with_another_to_try() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "_is_free", lambda port: port != 8000)
        with pytest.raises(demo.CannotStart, match="make run PORT=8080"):
            demo._ask_for_free_ports(8000)


def test_a_port_of_the_simulated_smsc_that_is_taken_is_named() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "_is_free", lambda port: port != 2775)
        with pytest.raises(demo.CannotStart, match="2775"):
            demo._ask_for_free_ports(8000)


@pytest.mark.sockets
def test_a_port_somebody_listens_on_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert not demo._is_free(port)


@pytest.mark.sockets
def test_a_port_that_was_listened_on_a_moment_ago_is_free() -> None:
    # Of several ports, so that it does not matter when the neighbour's test is given one of them.
    ports = [_closed_port() for _ in range(20)]
    assert any(demo._is_free(port) for port in ports)


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_only_one_demo_runs_at_a_time(tmp_path: Path) -> None:
    file = tmp_path / "run.pid"
    with file.open("a+") as first, file.open("a+") as second:
        demo._be_the_only_one(first)
        with pytest.raises(demo.CannotStart, match="running already"):
            demo._be_the_only_one(second)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (json.dumps({"level": "INFO", "message": "GET /"}), None),
        (json.dumps({"level": "ERROR", "message": "no database"}), "ERROR no database"),
        ("[2026-01-01 08:00:00 +0000] [7] [INFO] Listening", None),
        ("Traceback (most recent call last):", "Traceback (most recent call last):"),
    ],
    ids=["information", "error", "gunicorn's information", "anything else"],
)
def test_the_terminal_shows_only_trouble(line: str, shown: str | None) -> None:
    assert demo._only_trouble(line) == shown


def test_the_banner_tells_the_address_and_every_sign_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "DEMO", tmp_path)
    people = [{"username": "clerk", "password": "demo-clerk", "role": "billing_clerk"}]
    (tmp_path / "sign-ins.json").write_text(json.dumps(people))
    banner = demo._banner("http://127.0.0.1:8080")
    for word in ("http://127.0.0.1:8080", demo.PHONES, "clerk", "demo-clerk"):
        assert word in banner
