"""The second factor: one-time codes of an authenticator app, recovery codes, and who must have one.

Flask-Security keeps the states of the sign-in; here are its forms with our throttle and words, the
factory of codes with our clock and QR code, and what is written into the audit trail. Everything in
its views happens in its session, which holds the write lock from the start (``signin``).
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from datetime import timedelta
from hashlib import sha256
from typing import Any

import segno
from flask import Flask, request, session
from flask_babel import gettext as _
from flask_security import signals
from flask_security.forms import TwoFactorVerifyCodeForm, VerifyForm
from flask_security.recovery_codes import MfRecoveryCodesUtil, MfRecoveryForm
from flask_security.totp import Totp
from sqlalchemy import select
from werkzeug.exceptions import NotFound
from wtforms import Field

from server import audit, clock, throttle
from server.db import db
from server.identity import service
from server.identity.actor import Actor
from server.identity.models import Staff

WITH_CODE = frozenset({"security.two_factor_token_validation", "security.mf_recovery"})
WRITING = WITH_CODE | {
    "security.two_factor_setup",
    "security.two_factor_setup_validate",
    "security.mf_recovery_codes",
    "security.verify",
}
# Codes by mail and a choice between several factors, which we do not have.
UNUSED = frozenset({"security.two_factor_rescue", "security.tf_select"})
MUST_HAVE = ("admin", "manager")
SKEW_SECONDS = 30


def N_(text: str) -> str:  # noqa: N802 - the name under which texts are collected
    """Mark a text that is translated when it is shown."""
    return text


WORDS = {
    "TWO_FACTOR_INVALID_TOKEN": (
        N_("The code is wrong or has been used. Wait for the next one."),
        "error",
    ),
    "TWO_FACTOR_LOGIN_SUCCESSFUL": (N_("Signed in with password and code."), "message"),
    "TWO_FACTOR_CHANGE_METHOD_SUCCESSFUL": (
        N_("The second factor is on. Make recovery codes for the day the phone is lost."),
        "message",
    ),
    "TWO_FACTOR_DISABLED": (N_("The second factor is off."), "message"),
    "TWO_FACTOR_PERMISSION_DENIED": (N_("Sign in with your password first."), "error"),
    "TWO_FACTOR_METHOD_NOT_AVAILABLE": (N_("Your role needs the second factor."), "error"),
    "TWO_FACTOR_SETUP_EXPIRED": (N_("That took too long. Begin again."), "error"),
    "INVALID_RECOVERY_CODE": (N_("The recovery code is wrong or has been used."), "error"),
    "REAUTHENTICATION_REQUIRED": (N_("Type your password again to go on."), "message"),
    "REAUTHENTICATION_SUCCESSFUL": (N_("Thank you, go on."), "message"),
    "INVALID_PASSWORD": (N_("The password is wrong."), "error"),
}


def config(key: str) -> dict[str, object]:
    """Flask-Security's settings for the second factor; its secrets are made from the key."""
    recovery = urlsafe_b64encode(_derived(key, "recovery codes"))
    return {
        "TWO_FACTOR": True,
        # Asked for the app alone, it insists on a package for QR codes that we do not need:
        # `register` names the app when it has looked.
        "TWO_FACTOR_ENABLED_METHODS": ["email"],
        "TWO_FACTOR_RESCUE_EMAIL": False,
        "TWO_FACTOR_AUTHENTICATOR_VALIDITY": SKEW_SECONDS,
        "TWO_FACTOR_ALWAYS_VALIDATE": True,
        "TWO_FACTOR_SETUP_URL": "/me/second-factor",
        "TWO_FACTOR_SETUP_TEMPLATE": "console/second_factor.html",
        "TWO_FACTOR_POST_SETUP_VIEW": "console.me",
        "TWO_FACTOR_TOKEN_VALIDATION_URL": "/sign-in/code",
        "TWO_FACTOR_VERIFY_CODE_TEMPLATE": "console/sign_in_code.html",
        "TWO_FACTOR_RESCUE_URL": "/sign-in/rescue",
        "TWO_FACTOR_SELECT_URL": "/sign-in/factor",
        "TOTP_SECRETS": {"1": _derived(key, "one-time codes").hex()},
        "TOTP_ISSUER": "Fieldbell",
        "MULTI_FACTOR_RECOVERY_CODES": True,
        "MULTI_FACTOR_RECOVERY_CODES_N": 10,
        "MULTI_FACTOR_RECOVERY_CODES_KEYS": [recovery],
        "MULTI_FACTOR_RECOVERY_CODES_URL": "/me/recovery-codes",
        "MULTI_FACTOR_RECOVERY_CODES_TEMPLATE": "console/recovery_codes.html",
        "MULTI_FACTOR_RECOVERY_URL": "/sign-in/recovery-code",
        "MULTI_FACTOR_RECOVERY_TEMPLATE": "console/sign_in_recovery.html",
        "FRESHNESS": timedelta(minutes=30),
        "FRESHNESS_GRACE_PERIOD": timedelta(minutes=10),
        "VERIFY_URL": "/me/verify",
        "VERIFY_TEMPLATE": "console/verify.html",
        **{f"MSG_{name}": words for name, words in WORDS.items()},
    }


def _derived(key: str, purpose: str) -> bytes:
    return hmac.new(key.encode(), f"fieldbell {purpose}".encode(), sha256).digest()


class OneTimeCodes(Totp):
    """Flask-Security's factory of codes: our clock, our QR code, and no code counts twice."""

    def __init__(self, secrets: Any, issuer: str) -> None:
        super().__init__(secrets, issuer)
        self._totp = self._totp.using(now=lambda: clock.now().timestamp())

    def verify_totp(self, token: str, totp_secret: str, user: Any, window: int = 0) -> bool:
        """Whether the code fits the moment and was not used; its moment is kept with the person.

        Args:
            window: seconds that the phone's clock may be off.
        """
        last = user.tf_last_counter if user.tf_totp_secret == totp_secret else None
        try:
            match = self._totp.verify(token, totp_secret, window=window, last_counter=last)
        except ValueError:
            return False
        user.tf_last_counter = match.counter
        return True

    def generate_qrcode(self, username: str, totp: str) -> str:
        """The address for the app as a picture, for an <img>."""
        code = segno.make(self.get_totp_uri(username, totp), error="m", micro=False)
        return code.svg_data_uri(border=3, light="#fff", omitsize=True)


class RecoveryCodes(MfRecoveryCodesUtil):
    """Flask-Security's recovery codes; making and using them is written down."""

    def create_recovery_codes(self, user: Any) -> list[str]:
        """Make new codes; the ones before open nothing any more."""
        codes = super().create_recovery_codes(user)
        _write_down(user, "staff.recovery_codes_made", after={"codes": len(codes)})
        return codes

    def delete_recovery_code(self, user: Any, code: str) -> bool:
        """Take a code that was used off the list."""
        deleted = super().delete_recovery_code(user, code)
        left = len(user.mf_recovery_codes or ())
        _write_down(user, "staff.recovery_code_used", after={"codes": left})
        return bool(deleted)


class CodeForm(TwoFactorVerifyCodeForm):
    """The code of the app, at the sign-in and when it is set up."""

    def validate(self, **kwargs: Any) -> bool:
        """Check the code; who fails too often waits."""
        return _guarded(self.user, self.code, lambda: super(CodeForm, self).validate(**kwargs))


class RecoveryForm(MfRecoveryForm):
    """A recovery code instead of the app's."""

    def validate(self, **kwargs: Any) -> bool:
        """Check the code as people type it; who fails too often waits."""
        self.code.data = (self.code.data or "").strip().lower()
        return _guarded(self.user, self.code, lambda: super(RecoveryForm, self).validate(**kwargs))


class PasswordAgainForm(VerifyForm):
    """The password once more, before the second factor is changed."""

    def validate(self, **kwargs: Any) -> bool:
        """Check the password; who fails too often waits."""
        return _guarded(
            self.user, self.password, lambda: super(PasswordAgainForm, self).validate(**kwargs)
        )


def _guarded(person: Any, field: Field, check: Any) -> bool:
    """Run a check unless too many have failed for this person, from wherever he asks."""
    buckets = throttle.current()
    if buckets.wait_seconds(throttle.SECOND_FACTOR, str(person.id), take=False) > 0:
        field.errors = [_("Too many attempts. Wait a minute and try again.")]
        return False
    if check():
        return True
    buckets.fail(throttle.SECOND_FACTOR, str(person.id))
    return False


def register(app: Flask) -> None:
    """Give Flask-Security our forms and listen to what it tells."""
    needed = app.extensions["fieldbell"].require_second_factor
    app.config["SECOND_FACTOR_ROLES"] = MUST_HAVE if needed else ()
    app.config["SECURITY_TWO_FACTOR_ENABLED_METHODS"] = ["authenticator"]
    forms = app.extensions["security"].forms
    forms["two_factor_verify_code_form"].cls = CodeForm
    forms["mf_recovery_form"].cls = RecoveryForm
    forms["verify_form"].cls = PasswordAgainForm
    app.before_request(_close_what_is_unused)
    signals.tf_profile_changed.connect(_was_set_up, app)
    signals.tf_code_confirmed.connect(_was_confirmed, app)
    signals.tf_disabled.connect(_was_taken_off, app)


def lock() -> None:
    """Hold the row of whoever shows a code, so that one code is not used twice at once."""
    key = session.get("tf_user_id") or session.get("_user_id")
    db.session.execute(select(Staff.id).where(Staff.fs_uniquifier == key).with_for_update())


def _close_what_is_unused() -> None:
    if request.endpoint in UNUSED:
        raise NotFound


def _was_set_up(_app: Flask, user: Any, **_more: Any) -> None:
    _write_down(user, "staff.second_factor_on", after={"second_factor": True})


def _was_confirmed(_app: Flask, user: Any, **_more: Any) -> None:
    """A code was right at the sign-in; the first one also sets the factor up."""
    if session.get("tf_state") == "validating_profile":
        _was_set_up(_app, user)


def _was_taken_off(_app: Flask, user: Any, **_more: Any) -> None:
    service.forget_second_factor(user)
    _write_down(user, "staff.second_factor_off", after={"second_factor": False})


def _write_down(person: Any, act: str, after: dict[str, Any]) -> None:
    """Add an act of a person about himself to the trail, in Flask-Security's transaction."""
    actor = Actor(kind="staff", id=person.id, staff_id=person.id, name=person.name)
    audit.record(db.session(), actor, act, "staff", person.id, after=after)
