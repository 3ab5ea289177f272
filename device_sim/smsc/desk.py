"""What people do with the centre while it runs: send from phones, change options, handle binds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from device_sim.smsc import behaviour, writing
from device_sim.smsc.centre import Centre
from device_sim.smsc.client import Client

DEEDS = ("drop", "unbind", "enquire", "strange", "alert")
_STANDARD_NUMBER = "95598"


class Refused(ValueError):
    """Something that cannot be done; the message is for people."""


class Desk:
    """A centre as the web page and the JSON door see it. Safe for several threads."""

    def __init__(self, centre: Centre) -> None:
        self.centre = centre
        self.phones = centre.phones

    def send(self, phone: str, draft: writing.Draft) -> dict[str, Any]:
        """A phone sends a text, at once or `after` a time; what is made of it. Raises Refused."""
        number = phone.removeprefix("+")
        if not self.centre.behaviour.serves(number):
            raise Refused(f"{phone} is none of the simulated phones")
        last = self.phones.last_sender(number) or (_STANDARD_NUMBER, "")
        account = draft.account or last[1] or self._somebody()
        draft = replace(draft, to=draft.to or last[0], account=account)
        try:
            parts = writing.parts(draft, number, self.centre.chance.row("references"))
        except ValueError as problem:
            raise Refused(str(problem)) from problem

        def leave() -> None:
            self.phones.send(number, account, draft.text, parts)

        self.centre.call(lambda: self.centre.later(draft.after, leave))
        return {"to": draft.to, "account": account, "parts": len(parts)}

    def _somebody(self) -> str:
        """The account of the first bind that hears texts; the centre's own when there is none."""
        hearing = (c.system_id for c in self.centre.clients() if c.kind in ("rx", "trx"))
        return next(hearing, self.centre.behaviour.system_id)

    def set(self, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        """Change options; all of them as they are now. Raises Refused, and then none has changed."""
        try:
            now = self.centre.call(lambda: self.centre.set(**wanted))
        except (behaviour.Unreadable, TypeError) as problem:
            raise Refused(str(problem)) from problem
        return behaviour.document(now)

    def reset(self) -> list[dict[str, Any]]:
        """All options back to their standard."""
        return behaviour.document(self.centre.call(self.centre.reset))

    def do(self, deed: str, number: int = 0, phone: str = "") -> int:
        """Do something to one bind, or to all with number 0; how many it met. Raises Refused."""
        if deed not in DEEDS:
            raise Refused(f"{deed}: choose one of {', '.join(DEEDS)}")
        found = [c for c in self.centre.clients() if number in (0, c.number)]
        if number and not found:
            raise Refused(f"there is no bind {number}")
        alerted = phone.removeprefix("+") or str(self.centre.behaviour.first)
        if not self.centre.behaviour.serves(alerted):
            raise Refused(f"{phone} is none of the simulated phones")

        deeds: dict[str, Callable[[Client], None]] = {
            "drop": Client.close,
            "unbind": Client.unbind,
            "enquire": Client.enquire,
            "strange": Client.strange,
            "alert": lambda client: client.alert(alerted),
        }

        def work() -> None:
            for client in found:
                deeds[deed](client)

        self.centre.call(work)
        return len(found)

    def live(self, since: int, find: str, limit: int) -> dict[str, Any]:
        """What the page shows: phones that have changed, binds, counts."""
        phones = self.phones
        revision = phones.revision
        return {
            "revision": revision,
            "now": time.time(),
            "quiet": phones.quiet,
            "phones": phones.changes(since, find.removeprefix("+"), limit),
            "binds": [client.document() for client in self.centre.clients()],
            "counts": phones.counts(),
        }
