"""What tests of the modem gateway share: a listener that takes notes, and a modem at a pty."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from device_sim.modem.manners import Faults, Manners
from device_sim.modem.modem import SimModem
from device_sim.modem.sim import Sim
from server.notify.gateways.modem.config import ModemConfig
from server.notify.gateways.modem.session import ModemGateway
from server.notify.gateways.port import Delivery, Submission
from server.notify.rules import segments
from tests.waiting import wait_until

PHONE = "+8612000000001"
QUICK: dict[str, Any] = {
    "answer_seconds": 30.0,
    "prompt_seconds": 30.0,
    "send_seconds": 30.0,
    "look_seconds": 0.4,
    "drain_seconds": 30.0,
    "retry_first_seconds": 0.05,
    "retry_most_seconds": 0.1,
}


class Notes:
    """A listener (see `gateways.port`) that remembers everything; deliveries may be taken at once."""

    def __init__(self) -> None:
        self.answers: dict[int, tuple[int, str]] = {}
        self.lost_tokens: list[int] = []
        self.returned_tokens: list[int] = []
        self.deliveries: list[Delivery] = []
        self.states: list[tuple[str, str]] = []
        self.heard = threading.Condition()

    def answered(self, answers: Sequence[tuple[int, int, str]]) -> None:
        self.answers |= {token: (status, name) for token, status, name in answers}

    def lost(self, tokens: Sequence[int], *, cut: bool) -> None:
        self.lost_tokens += tokens

    def returned(self, tokens: Sequence[int]) -> None:
        self.returned_tokens += tokens

    def delivered(self, deliveries: Sequence[Delivery]) -> None:
        self.deliveries += deliveries

    def changed(self, state: str, detail: str) -> None:
        self.states.append((state, detail))

    @property
    def texts(self) -> list[Any]:
        return [one.inbound for one in self.deliveries if one.inbound is not None]

    @property
    def receipts(self) -> list[Any]:
        return [one.receipt for one in self.deliveries if one.receipt is not None]


@contextmanager
def plugged(
    folder: Path,
    manners: Manners | None = None,
    faults: Faults | None = None,
    *,
    sim: Sim | None = None,
    open_at_once: bool = True,
    **config: Any,
) -> Iterator[tuple[SimModem, ModemGateway, Notes]]:
    """A modem, a gateway at its port, and what the gateway tells."""
    notes = Notes()
    modem = SimModem(folder / "tty-modem", manners, faults, sim=sim)
    settings = ModemConfig(device=modem.port, **{**QUICK, **config})
    gateway = ModemGateway("modem", 7, settings, notes)
    with modem:
        gateway.start()
        try:
            if open_at_once:
                wait_until(lambda: gateway.room() == 1)
            yield modem, gateway, notes
        finally:
            gateway.stop()


def send(gateway: ModemGateway, text: str, token: int = 1, phone: str = PHONE) -> list[int]:
    """Give a text to the gateway, all of its parts; the tokens of the parts."""
    split = segments.split(text)
    made = [
        Submission(
            token=token + at,
            message_id=token,
            phone=phone,
            text=part,
            encoding=split.encoding,
            body=segments.encode(part, split.encoding),
            part=at + 1,
            parts=split.count,
            copy=0,
            reference=token,
            validity=3600,
        )
        for at, part in enumerate(split.parts)
    ]
    gateway.submit(made)
    return [one.token for one in made]
