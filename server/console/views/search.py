"""Search: one field finds accounts, meters, service points and customers."""

from __future__ import annotations

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from server.console import scope
from server.db import snapshot
from server.desk.account import search


def page() -> str | Response:
    """What was found; a single hit opens at once."""
    text = request.args.get("q", "").strip()[:80]
    anywhere = request.args.get("anywhere") == "1"
    hits: list[search.Hit] = []
    with snapshot() as session:
        seen = scope.of(session, "accounts", "view")
        if text:
            hits = search.accounts(session, seen, text, anywhere=anywhere)
    if len(hits) == 1 and not anywhere:
        return redirect(url_for("console.accounts_one", account_id=hits[0].account_id))
    return render_template(
        "console/search.html", text=text, hits=hits, limit=search.LIMIT, anywhere=anywhere
    )
