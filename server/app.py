"""The only place where the parts are put together."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

import orjson
from flask import Flask
from flask_migrate import Migrate
from flask_security import Security, SQLAlchemyUserDatastore
from werkzeug.middleware.proxy_fix import ProxyFix

from config.settings import Settings
from server import cli, console, edge, health, logs, openapi
from server.books import api as books_api
from server.capture import api as capture_api
from server.console import second_factor
from server.db import db, prepare_engine
from server.desk import api as desk_api
from server.desk.account import api as account_api
from server.dues import api as dues_api
from server.identity.models import Role, Staff
from server.metering.intervals import api as intervals_api
from server.notify import hooks
from server.sync.api import device_blueprint

MIGRATIONS = str(Path(__file__).parent / "migrations")
migrate = Migrate(directory=MIGRATIONS, render_as_batch=False, compare_type=True)


def create_app(settings: Settings) -> Flask:
    """Build the application of one process from its settings."""
    app = Flask("server")
    app.config.update(_flask_settings(settings))
    app.extensions["fieldbell"] = settings
    if settings.trusted_proxies:
        n = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, n, n, n)  # type: ignore[method-assign]
    db.init_app(app)
    migrate.init_app(app, db)
    with app.app_context():
        prepare_engine(db.engine)
    datastore = SQLAlchemyUserDatastore(db, Staff, Role)
    Security(
        app,
        datastore,
        totp_cls=second_factor.OneTimeCodes,
        mf_recovery_codes_util_cls=second_factor.RecoveryCodes,
    )
    # People sign in by session only. Flask-Security's own loader would read every body for a token.
    app.login_manager.request_loader(lambda _request: None)
    logs.install(app)
    edge.install(app)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(device_blueprint(settings))
    app.register_blueprint(hooks.blueprint)
    api = openapi.install(app, settings, console.http_page)
    blueprints = (
        *capture_api.BLUEPRINTS,
        *books_api.BLUEPRINTS,
        dues_api.blueprint,
        desk_api.blueprint,
        account_api.blueprint,
        intervals_api.blueprint,
    )
    for blueprint in blueprints:
        api.register_blueprint(blueprint)
    console.register(app)
    cli.register(app)
    return app


def _flask_settings(settings: Settings) -> dict[str, object]:
    """Our settings in the words of Flask and its extensions."""
    key = settings.secret_key or _kept_secret(settings.var_dir)
    return {
        "SECRET_KEY": key,
        "SQLALCHEMY_DATABASE_URI": _database_url(settings.database_url),
        "SQLALCHEMY_ENGINE_OPTIONS": {
            # What a failed statement carried are names, figures and hashes: not for the logs.
            "hide_parameters": True,
            "json_serializer": _to_json,
            "json_deserializer": orjson.loads,
        },
        "SESSION_COOKIE_SECURE": settings.secure_cookies,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "REMEMBER_COOKIE_SECURE": settings.secure_cookies,
        "REMEMBER_COOKIE_SAMESITE": "Lax",
        "MAX_CONTENT_LENGTH": settings.max_body_bytes,
        "SECURITY_PASSWORD_SALT": f"{key}-password",
        "SECURITY_USER_IDENTITY_ATTRIBUTES": [
            {"username": {"mapper": _as_username, "case_insensitive": True}},
            {"email": {"mapper": _as_email, "case_insensitive": True}},
        ],
        "SECURITY_USERNAME_ENABLE": True,
        "SECURITY_USERNAME_REQUIRED": True,
        "SECURITY_TRACKABLE": True,
        "SECURITY_CHANGEABLE": True,
        "SECURITY_SEND_PASSWORD_CHANGE_EMAIL": False,
        "SECURITY_RETURN_GENERIC_RESPONSES": True,
        "SECURITY_LOGIN_URL": "/sign-in",
        "SECURITY_LOGOUT_URL": "/sign-out",
        "SECURITY_CHANGE_URL": "/me/password",
        "SECURITY_POST_LOGIN_VIEW": "/",
        "SECURITY_POST_LOGOUT_VIEW": "/sign-in",
        "SECURITY_CSRF_COOKIE_NAME": None,
        "WTF_CSRF_CHECK_DEFAULT": False,
        "WTF_CSRF_TIME_LIMIT": None,
        **{f"SECURITY_{name}": value for name, value in second_factor.config(key).items()},
    }


def _to_json(value: object) -> str:
    return orjson.dumps(value).decode()


def _as_username(identity: str) -> str | None:
    """A sign-in name in what was typed; None when it is an e-mail address."""
    text = identity.strip()
    return text if text and "@" not in text else None


def _as_email(identity: str) -> str | None:
    """An e-mail address in what was typed; None when it is not one."""
    text = identity.strip()
    return text if "@" in text else None


def _database_url(url: str) -> str:
    """The database's address with a relative SQLite file placed under the working folder."""
    prefix = "sqlite:///"
    if not url.startswith(prefix) or url == prefix + ":memory:":
        return url
    file = Path(url.removeprefix(prefix)).absolute()
    file.parent.mkdir(parents=True, exist_ok=True)
    return f"{prefix}{file}"


def _kept_secret(var_dir: Path) -> str:
    """The key of an installation that was not given one: made once and kept readable by us."""
    file = var_dir.absolute() / "secret_key"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        made = file.with_name(f"secret_key.{os.getpid()}")
        made.touch(mode=0o600)
        made.write_text(secrets.token_hex(32))
        # Whoever links first wins: two processes that start together agree on one key.
        with contextlib.suppress(FileExistsError):
            file.hardlink_to(made)
        made.unlink()
    return file.read_text().strip()
