"""Settings: what this installation is set to, read-only; secrets are never shown."""

from __future__ import annotations

from dataclasses import fields

from flask import render_template
from sqlalchemy.engine import make_url

from config.settings import PREFIX
from server.console import entry


def page() -> str:
    """Every setting with its name, value and help."""
    entry.actor().require("settings", "view")
    settings = entry.settings()
    rows = []
    for f in fields(settings):
        value = getattr(settings, f.name)
        if f.metadata.get("secret"):
            value = "••••" if value else ""
        elif f.name == "database_url":
            value = make_url(value).render_as_string(hide_password=True)
        rows.append((PREFIX + f.name.upper(), value, f.metadata["help"], value == f.default))
    return render_template("console/settings.html", rows=rows)
