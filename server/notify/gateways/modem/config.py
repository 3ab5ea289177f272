"""How one GSM modem is reached and trusted: the options of its row in `gateway`."""

from __future__ import annotations

from dataclasses import dataclass

from server.notify.gateways.incoming import Incoming
from server.notify.gateways.options import N_, option

REPORTS = ("direct", "stored", "none")


@dataclass(frozen=True)
class ModemConfig(Incoming):
    """One modem at one port. Seconds are seconds."""

    device: str = option(
        N_("The serial port, such as /dev/ttyUSB0 or a name under /dev/serial/by-id.")
    )
    baud: int = option(N_("Its speed."), default=115200, minimum=300, maximum=4_000_000)
    pin: str = option(
        N_("The SIM card's PIN, where it asks for one."), default="", secret=True, longest=8
    )
    source: str = option(N_("The SIM card's own number."), default="", longest=20)
    centre: str = option(
        N_("The SMS centre's number; empty: the SIM card's own."), default="", longest=20
    )
    reports: str = option(
        N_("How delivery reports come: direct (+CDS), stored (+CDSI, survives a crash) or none."),
        default="direct",
        choices=REPORTS,
    )
    answer_seconds: float = option(N_("Patience with an answer of the modem."), default=10.0)
    prompt_seconds: float = option(N_("Patience with its prompt before a text."), default=10.0)
    send_seconds: float = option(N_("Patience with the network; then it is unknown."), default=60.0)
    look_seconds: float = option(
        N_("How often modem, network and SIM are looked at."), default=60.0
    )
    drain_seconds: float = option(N_("Patience with a text under way when stopping."), default=15.0)
    resend_seconds: float = option(
        N_("Silence after which an unknown text may go again."), default=300.0
    )
    retry_first_seconds: float = option(N_("Pause before the port is opened again."), default=1.0)
    retry_most_seconds: float = option(N_("The longest such pause."), default=60.0)

    def faults(self) -> list[str]:
        """What does not fit together."""
        found = []
        if not self.device.startswith("/"):
            found.append("device must be the full name of a port")
        if self.centre and not self.centre.lstrip("+").isdecimal():
            found.append("centre must be a number")
        if self.pin and not self.pin.isdecimal():
            found.append("pin has digits only")
        return found
