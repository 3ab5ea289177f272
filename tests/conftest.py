"""What every test can ask for: an empty migrated database of both kinds, the app on it, a still clock.

``engine_url`` (and everything that asks for it) runs a test twice, on SQLite and on PostgreSQL.
Without a PostgreSQL the second run is skipped, unless FIELDBELL_REQUIRE_POSTGRES says that it must not.
"""

from __future__ import annotations

import shutil
import socket
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from passlib.hash import argon2  # type: ignore[import-untyped]
from passlib.totp import AppWallet  # type: ignore[import-untyped]
from sqlalchemy import event

from config.settings import Settings
from server import clock
from tests import postgres

if TYPE_CHECKING:
    from flask import Flask

LONG = ("e2e", "browser", "slow")
# A busy machine is slow at any single example; and what passed once passes again.
hypothesis.settings.register_profile(
    "suite",
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("suite")
SECRET_KEY = "a key that only tests know, long enough"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long tests, so that no process waits for another's in the end.

    A test that looks for a rare loss gets no second try, whatever the command line says.
    """
    for item in items:
        if item.get_closest_marker("never_again"):
            item.add_marker(pytest.mark.flaky(reruns=0))
    items.sort(key=lambda item: not any(map(item.get_closest_marker, LONG)))


@pytest.fixture(params=["sqlite", "postgresql"])
def engine_url(request: pytest.FixtureRequest) -> str:
    """The address of an empty, migrated database of its own; the test runs once for each kind."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def sqlite_url(_own_folder: Path, _sqlite_template: Path) -> str:
    """The address of an empty, migrated SQLite database."""
    copy = _own_folder / "fieldbell.db"
    for old in _own_folder.glob("fieldbell.db*"):
        old.unlink()
    shutil.copyfile(_sqlite_template, copy)
    return f"sqlite:///{copy}"


@pytest.fixture
def postgresql_url(_postgresql_database: str) -> str:
    """The address of an empty, migrated PostgreSQL database."""
    postgres.clear_database(_postgresql_database)
    return _postgresql_database


@pytest.fixture
def settings(engine_url: str, _own_folder: Path) -> Settings:
    """Settings of an installation on the test's database, with an empty folder of its own."""
    var = _own_folder / "var"
    shutil.rmtree(var, ignore_errors=True)
    var.unlink(missing_ok=True)  # what a test has put there instead of a folder
    return Settings(database_url=engine_url, var_dir=var, secret_key=SECRET_KEY)


@pytest.fixture
def app(settings: Settings, _apps: dict[Settings, Flask], _nothing_ages: None) -> Iterator[Flask]:
    """The application on an empty, migrated database.

    Making one takes longer than most tests, so that tests with the same settings share it; what it
    remembers of the database is forgotten in between. A test that changes the application itself
    makes one of its own.
    """
    from server.app import create_app  # noqa: PLC0415 - pure tests need no application

    if settings not in _apps:
        _apps[settings] = create_app(settings)
        _hurry(_apps[settings])
    made = _apps[settings]
    settings.var_dir.mkdir(parents=True, exist_ok=True)
    config = dict(made.config)
    yield made
    _let_go_of_the_database(made)
    _forget(made)
    # What one test has changed is no other's business.
    made.config.update(config)
    made.extensions["fieldbell"] = settings


@pytest.fixture
def _nothing_ages(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the server keeps for some seconds is kept for a whole test, however long that takes.

    Else a busy machine makes it read again, and a test that counts statements finds more of them.
    """
    if _is_of_the_world(request):
        return
    from server.notify import setup  # noqa: PLC0415 - pure tests need no application

    monkeypatch.setattr(setup, "time", SimpleNamespace(monotonic=lambda: 0.0))


@pytest.fixture(scope="session")
def _apps() -> dict[Settings, Flask]:
    """The applications of this process, by their settings."""
    return {}


@pytest.fixture(scope="session")
def _own_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the tests of this process put database and files, one after the other."""
    return tmp_path_factory.mktemp("own")


def _hurry(app: Flask) -> None:
    """Wait for no disk: a database that lives for one test need not survive a power cut."""
    from server.db import db  # noqa: PLC0415 - pure tests need no database

    with app.app_context():
        for engine in db.engines.values():
            if engine.dialect.name == "sqlite":
                event.listen(engine, "connect", _be_quick)


def _be_quick(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")


def _forget(app: Flask) -> None:
    """Have an application forget what it has kept of the database, and who was slowed down."""
    from server.notify import setup  # noqa: PLC0415 - pure tests need no application

    setup._kept.clear()
    setup._done.clear()
    for kept in ("fieldbell.throttle", "fieldbell.heads", "fieldbell.figures"):
        app.extensions.pop(kept, None)


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    base = tmp_path_factory.getbasetemp()
    folder = base if worker_id == "master" else base.parent
    path = folder / "template.db"
    with postgres.only_one_process(folder / "template.lock"):
        if not path.exists():
            made = folder / "template.new.db"
            migrate(f"sqlite:///{made}")
            made.rename(path)
    return path


@pytest.fixture(scope="session")
def _postgresql_database(worker_id: str) -> Iterator[str]:
    try:
        template = postgres.migrated_template(migrate)
    except postgres.Unavailable as missing:
        if postgres.required():
            raise
        pytest.skip(str(missing))
    name = postgres.database_name(worker_id)
    postgres.drop_database(name)
    yield postgres.create_database(name, template)
    postgres.drop_database(name)


def migrate(url: str) -> None:
    """Bring the database at ``url`` to the newest version, as `flask db upgrade` does."""
    import flask_migrate  # noqa: PLC0415 - pure tests need no application

    from server.app import create_app  # noqa: PLC0415

    app = create_app(Settings(database_url=url, secret_key=SECRET_KEY))
    with app.app_context():
        flask_migrate.upgrade()
    _let_go_of_the_database(app)


def _let_go_of_the_database(app: Flask) -> None:
    from server.db import db  # noqa: PLC0415 - pure tests need no database

    with app.app_context():
        for engine in db.engines.values():
            engine.dispose()


@pytest.fixture(autouse=True, scope="session")
def _cheap_passwords() -> Iterator[None]:
    """Passwords and second factors are kept as in production, with a thousandth of the work."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argon2, "default_rounds", 1)
        patch.setattr(argon2, "memory_cost", 8)
        patch.setattr(argon2, "parallelism", 1)
        patch.setattr(AppWallet, "encrypt_cost", 4)
        yield


@pytest.fixture(autouse=True)
def _running_clock() -> Iterator[None]:
    """A clock that one test has stopped does not stand still for the next."""
    yield
    clock.reset()


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test reaches no network, not even this machine's own, unless its marker says so."""
    if _is_of_the_world(request):
        return

    for name in ("connect", "connect_ex", "bind"):
        monkeypatch.setattr(socket.socket, name, _refusing(getattr(socket.socket, name)))


def _is_of_the_world(request: pytest.FixtureRequest) -> bool:
    """Whether a test's marker says that it has to do with more than this process."""
    markers = ("sockets", "e2e", "browser")
    return any(request.node.get_closest_marker(name) for name in markers)


def _refusing(method: Callable[..., Any]) -> Callable[..., Any]:
    """The same method of sockets, for addresses inside the file system only."""

    def refuse(self: socket.socket, address: Any) -> Any:
        if self.family == getattr(socket, "AF_UNIX", None):
            return method(self, address)
        raise AssertionError(f"this test reaches for {address}: mark it with pytest.mark.sockets")

    return refuse
