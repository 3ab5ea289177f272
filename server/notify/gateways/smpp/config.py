"""How one SMPP account is reached and paced: the options of its row in `gateway`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from server.notify.gateways.incoming import Incoming
from server.notify.gateways.options import N_, option
from server.notify.rules.answers import CLASSES
from server.notify.rules.charsets import ALPHABETS
from server.notify.rules.receipts import ID_MODES


def _statuses(value: Any) -> Mapping[int, str]:
    """Command statuses and their classes, as `{"0x0b": "permanent"}` or with numbers in decimals."""
    try:
        found = {int(str(key), 0): kind for key, kind in value.items()}
    except (AttributeError, ValueError):
        found = {-1: ""}
    if not all(status >= 0 and kind in CLASSES for status, kind in found.items()):
        raise ValueError(f"maps numbers to one of {', '.join(CLASSES)}")
    return found


@dataclass(frozen=True)
class SmppConfig(Incoming):
    """One carrier account. Seconds are seconds; `window` counts segments without an answer."""

    host: str = option(N_("Host name or address of the carrier's SMSC."))
    port: int = option(N_("Its port."), minimum=1, maximum=65535)
    system_id: str = option(N_("The account's name."), longest=15)
    password: str = option(N_("The account's password."), secret=True, longest=64)
    system_type: str = option(
        N_("What the carrier calls our kind of system."), default="", longest=12
    )
    source: str = option(N_("Our special number or name."), default="", longest=20)
    source_ton: int = option(N_("Type of our number."), default=0, maximum=255)
    source_npi: int = option(N_("Numbering plan of our number."), default=0, maximum=255)
    destination_ton: int = option(N_("Type of the customers' numbers."), default=1, maximum=255)
    destination_npi: int = option(N_("Numbering plan of those numbers."), default=1, maximum=255)
    plus: bool = option(N_("Write numbers with the plus."), default=False)
    mode: str = option(
        N_("What the sending binds are; reports of a transmitter's texts come by a receiver."),
        default="transceiver",
        choices=("transceiver", "transmitter", "receiver"),
    )
    binds: int = option(N_("Sending binds of this account."), default=1, minimum=1, maximum=20)
    receivers: int = option(N_("Further binds that only receive."), default=0, maximum=20)
    rate: float = option(
        N_("Segments a second of the whole account; 0 knows no limit."), default=0.0
    )
    joining: str = option(
        N_("How the parts of a text are joined; `payload` sends it in one piece."),
        default="udh",
        choices=("udh", "sar", "payload"),
    )
    tls: bool = option(N_("Speak TLS; the carrier's certificate is verified."), default=False)
    tls_name: str = option(
        N_("The name in its certificate, if not the host."), default="", longest=253
    )
    tls_ca: str = option(
        N_("File of the authority that signed it, if not a public one."), default=""
    )
    window: int = option(
        N_("Segments without an answer at a time."), default=20, minimum=1, maximum=1000
    )
    reference_bits: int = option(
        N_("Size of the reference of joined parts."), default=8, choices=(8, 16)
    )
    report_ids: str = option(
        N_("How reports write the ids of responses."), default="as_is", choices=ID_MODES
    )
    inbound_alphabet: str = option(
        N_("What this carrier means by data coding 0."), default="gsm7", choices=ALPHABETS
    )
    connect_seconds: float = option(N_("Patience with the connection."), default=5.0)
    response_seconds: float = option(
        N_("Patience with an answer; then it is unknown."), default=30.0
    )
    late_seconds: float = option(N_("How long a late answer is still matched."), default=600.0)
    enquire_seconds: float = option(N_("Silence after which the link is tested."), default=30.0)
    drain_seconds: float = option(N_("Patience with the window when stopping."), default=5.0)
    retry_first_seconds: float = option(N_("Pause before the first new connection."), default=0.5)
    retry_most_seconds: float = option(N_("The longest such pause."), default=30.0)
    refused_seconds: float = option(N_("Pause after a refused bind."), default=60.0)
    throttle_first_seconds: float = option(N_("Pause after the first throttling."), default=0.5)
    throttle_most_seconds: float = option(N_("The longest such pause."), default=30.0)
    statuses: Mapping[int, str] = option(
        N_("Command statuses that this carrier means otherwise than usual, with their class."),
        default={},
        read=_statuses,
    )
