"""How one mail server is reached: the options of its row in `gateway`."""

from __future__ import annotations

from dataclasses import dataclass

from server.notify.gateways.options import N_, option
from server.notify.rules.phones import is_email, is_recipient

SECURITY = ("starttls", "tls", "none")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class EmailConfig:
    """One mail server. Seconds are seconds."""

    host: str = option(N_("Host name of the mail server; its certificate must be for this name."))
    sender: str = option(N_("The address that mails come from."), longest=254)
    port: int = option(
        N_("Its port: 587 with starttls, 465 with tls."), default=587, minimum=1, maximum=65535
    )
    security: str = option(
        N_("starttls, tls from the first octet, or none."), default="starttls", choices=SECURITY
    )
    username: str = option(N_("The account's name; empty: no sign-in."), default="", longest=254)
    password: str = option(N_("The account's password."), secret=True, default="", longest=254)
    sender_name: str = option(N_("The name shown beside the address."), default="", longest=100)
    reply_to: str = option(N_("Where answers go, if not to the sender."), default="", longest=254)
    ca_file: str = option(N_("Certificates to trust instead of the system's."), default="")
    plain: bool = option(N_("Allow security none to another machine."), default=False)
    batch: int = option(N_("Mails in one connection."), default=20, minimum=1, maximum=200)
    connect_seconds: float = option(N_("Patience with the connection."), default=10.0, minimum=0.1)
    answer_seconds: float = option(N_("Patience with an answer."), default=60.0, minimum=0.1)
    resend_seconds: float = option(
        N_("Silence after which an unknown mail may go again."), default=300.0
    )
    retry_first_seconds: float = option(N_("Pause after the first failed connection."), default=1.0)
    retry_most_seconds: float = option(N_("The longest such pause."), default=120.0)
    refused_seconds: float = option(N_("Pause after a refused sign-in."), default=300.0)

    def faults(self) -> list[str]:
        """What does not fit together."""
        found = [
            f"{name} must be an e-mail address"
            for name in ("sender", "reply_to")
            if getattr(self, name)
            and not (is_email(getattr(self, name)) and is_recipient(getattr(self, name)))
        ]
        if self.security == "none" and self.host not in _LOOPBACK and not self.plain:
            found.append("security none sends mails and password in clear (or set plain)")
        if bool(self.username) != bool(self.password):
            found.append("username and password go together")
        return found
