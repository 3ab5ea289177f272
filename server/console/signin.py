"""The sign-in form: one field takes the user name or the e-mail address."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l
from flask_security.forms import LoginForm
from flask_security.utils import lookup_identity
from wtforms import StringField
from wtforms.validators import DataRequired


class SignInForm(LoginForm):
    """Flask-Security's form with one field for whoever signs in."""

    identity = StringField(
        _l("User name or e-mail"),
        validators=[DataRequired()],
        render_kw={"autocomplete": "username", "autofocus": True, "autocapitalize": "none"},
    )

    def validate(self, **kwargs: Any) -> bool:
        """Find the person by user name or e-mail before the password is looked at."""
        self.user = lookup_identity(self.identity.data or "")
        self.ifield = self.identity
        return bool(super().validate(**kwargs))
