"""Bring the database up to date and put the demo into it, as `flask db upgrade` and `flask demo load` do.

One program for both, because starting the application takes longer than either of them.
"""

from __future__ import annotations

from flask.cli import ScriptInfo

from config.settings import Settings
from server.app import create_app


def main() -> None:
    """Run both commands; ends the program with a message when one fails."""
    app = create_app(Settings.from_env())
    script = ScriptInfo(create_app=lambda: app)
    app.cli.main(["db", "upgrade"], obj=script, standalone_mode=False)
    app.cli.main(["demo", "load"], obj=script)


if __name__ == "__main__":
    main()
