"""Where web servers and the `flask` command find the application."""

from __future__ import annotations

from config.settings import Settings
from server.app import create_app

app = create_app(Settings.from_env())
