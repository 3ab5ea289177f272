"""The sign-in form: one field takes the user name or the e-mail address."""

from __future__ import annotations

from typing import Any

from flask import Flask, current_app, request, url_for
from flask_babel import lazy_gettext as _l
from flask_security.forms import LoginForm
from flask_security.signals import user_authenticated
from flask_security.utils import lookup_identity, validate_redirect_url
from wtforms import StringField
from wtforms.validators import DataRequired

from server import audit, clock, throttle
from server.console import second_factor
from server.db import Session, db, transaction
from server.identity.actor import Actor
from server.identity.models import Staff

WRITE = {"fieldbell_write": True}
WRITING = second_factor.WRITING | {"security.change_password"}


class SignInForm(LoginForm):
    """Flask-Security's form with one field for whoever signs in."""

    identity = StringField(
        _l("User name or e-mail"),
        validators=[DataRequired()],
        render_kw={"autocomplete": "username", "autofocus": True, "autocapitalize": "none"},
    )

    def validate(self, **kwargs: Any) -> bool:
        """Find the person by user name or e-mail before the password is looked at."""
        if not validate_redirect_url(self.next.data or ""):
            self.next.data = ""
        self.user = lookup_identity(self.identity.data or "")
        self.ifield = self.identity
        guesser = f"{request.remote_addr} {(self.identity.data or '').strip().lower()}"
        buckets = throttle.current()
        if buckets.wait_seconds(throttle.SIGN_IN, guesser, take=False) > 0:
            self.identity.errors = [_l("Too many attempts. Wait a minute and try again.")]
            return False
        if not super().validate(**kwargs):
            buckets.fail(throttle.SIGN_IN, guesser)
            return False
        _let_in(self)
        return True


def _let_in(form: SignInForm) -> None:
    """The password was right: write the sign-in down, or see that a code is asked for."""
    person: Any = form.user
    plugins = current_app.extensions["security"].two_factor_plugins
    needed, _methods = person.check_tf_required(plugins.get_setup_tf_methods(person), False)
    if needed:
        # Else Flask-Security would come back to this form when the code was right.
        form.next.data = form.next.data or request.args.get("next") or url_for("console.today")
        return
    with transaction() as session:
        _remember(session, session.get_one(Staff, person.id))


def _remember(session: Session, staff: Staff) -> None:
    """Write down who signed in and when.

    After a password alone this has a transaction of its own: Flask-Security would do it in its
    session, which has read before, and SQLite refuses such a write at once when somebody else has
    written in between. With a second factor its session holds the write lock from the start.
    """
    staff.last_login_at, staff.current_login_at = staff.current_login_at, clock.now()
    staff.last_login_ip, staff.current_login_ip = staff.current_login_ip, request.remote_addr
    staff.login_count = (staff.login_count or 0) + 1
    actor = Actor(kind="staff", id=staff.id, staff_id=staff.id, name=staff.name)
    audit.record(session, actor, "staff.signed_in", "staff", staff.id)


def _signed_in(_app: Flask, user: Staff, **_more: Any) -> None:
    """Somebody is in: with a code, it was written down nowhere yet."""
    if request.endpoint in second_factor.WITH_CODE:
        _remember(db.session(), user)


def register(app: Flask) -> None:
    """Give Flask-Security our form, our pages and our clock."""
    security = app.extensions["security"]
    security.forms["login_form"].cls = SignInForm
    security.datetime_factory = clock.now
    security.trackable = False
    user_authenticated.connect(_signed_in, app)
    # Before every before_request: Flask-Principal's reads who is signed in.
    app.url_value_preprocessor(_write_from_the_start)
    second_factor.register(app)
    app.config["SECURITY_LOGIN_USER_TEMPLATE"] = "console/sign_in.html"
    app.config["SECURITY_CHANGE_PASSWORD_TEMPLATE"] = "console/change_password.html"  # noqa: S105 - a template


def _write_from_the_start(endpoint: str | None, _values: dict[str, Any] | None) -> None:
    """Let Flask-Security's own forms take the write lock before they read (SQLite)."""
    if request.method != "POST" or endpoint not in WRITING:
        return
    db.session.connection(execution_options=WRITE)
    if endpoint in second_factor.WRITING:
        second_factor.lock()
