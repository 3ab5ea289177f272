"""How one HTTP carrier is reached and known: the options of its row in `gateway`."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from server.notify.gateways.incoming import Incoming
from server.notify.gateways.options import N_, option
from server.notify.rules.receipts import ID_MODES

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_SHORTEST_SECRET = 16


@dataclass(frozen=True)
class HttpConfig(Incoming):
    """One carrier account. Seconds are seconds."""

    url: str = option(N_("Where texts are posted, such as https://sms.example.com/v1/messages."))
    secret: str = option(N_("Signs what we post; 16 characters or more."), secret=True, default="")
    token: str = option(N_("Sent as Authorization: Bearer, if set."), secret=True, default="")
    hook_secret: str = option(
        N_("Proves what the carrier posts to us; 16 characters or more. Empty: nothing is taken."),
        secret=True,
        default="",
    )
    hook_window_seconds: float = option(
        N_("How old a signed report or text may be."), default=300.0, minimum=10, maximum=86400
    )
    source: str = option(N_("Our number or name."), default="", longest=20)
    batch: int = option(N_("Texts in one request."), default=50, minimum=1, maximum=1000)
    idempotent: bool = option(
        N_("The carrier takes a key only once, so an unanswered request is repeated."),
        default=False,
    )
    repeats: int = option(N_("How often it is repeated then."), default=3, maximum=20)
    plain: bool = option(
        N_("Allow http:// to another machine: texts can be read on the way."), default=False
    )
    ca_file: str = option(N_("Certificates to trust instead of the system's."), default="")
    report_ids: str = option(
        N_("How reports write the ids of answers."), default="as_is", choices=ID_MODES
    )
    connect_seconds: float = option(N_("Patience with the connection."), default=5.0, minimum=0.1)
    answer_seconds: float = option(
        N_("Patience with an answer; then it is unknown."), default=30.0, minimum=0.1
    )
    resend_seconds: float = option(
        N_("Silence after which an unknown text may go again."), default=120.0
    )
    retry_first_seconds: float = option(N_("Pause after the first failed connection."), default=0.5)
    retry_most_seconds: float = option(N_("The longest such pause."), default=60.0)
    refused_seconds: float = option(N_("Pause after 401, 403 or 404."), default=60.0)

    def faults(self) -> list[str]:
        """What does not fit together."""
        found = []
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            found.append("url must be an address that begins with https://")
        elif parts.scheme == "http" and parts.hostname not in _LOOPBACK and not self.plain:
            found.append("url must begin with https:// (or set plain)")
        if parts.username or parts.password:
            found.append("url must not hold a password; use token")
        for name in ("secret", "hook_secret"):
            value = getattr(self, name)
            if value and len(value) < _SHORTEST_SECRET:
                found.append(f"{name} needs at least {_SHORTEST_SECRET} characters")
        return found
