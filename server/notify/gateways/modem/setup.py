"""Bringing a modem, and the SIM card in it, from whatever they do to what we need of them."""

from __future__ import annotations

import logging

from server.notify.gateways.modem.config import ModemConfig
from server.notify.gateways.modem.link import Link, Refused, Silent
from server.notify.gateways.modem.talk import Line
from server.notify.rules import tpdu

log = logging.getLogger(__name__)

_NO_SIM = (10, 310)
# How +CNMI is told where reports go; what a modem cannot do is tried more simply.
_REPORTS = {"direct": ("1",), "stored": ("2", "1"), "none": ("0",)}


class Unusable(Exception):
    """The modem or its SIM card cannot be used until a person has changed something."""


def set_up(link: Link, config: ModemConfig) -> None:
    """Set PDU mode, numbered errors, and notes about what arrives.

    Raises Unusable, or OSError when the modem is gone or silent.
    """
    link.wake_up()
    link.tries("ATE0")
    link.tries("AT+CMEE=1")
    _unlock(link, config.pin)
    if not link.tries("AT+CMGF=0"):
        raise Unusable("The modem knows no PDU mode.")
    if config.centre:
        kind = tpdu.INTERNATIONAL if config.centre.startswith("+") else tpdu.NATIONAL
        link.tries(f'AT+CSCA="{config.centre}",{kind}')
    # With it the network waits for AT+CNMA before it forgets what it handed over directly.
    link.tries("AT+CSMS=1")
    ways = _REPORTS[config.reports]
    if not any(link.tries(f"AT+CNMI=2,1,0,{way},0") for way in ways):
        link.tries("AT+CNMI=2,1,0,0,0")
        log.warning("the modem at %s tells no delivery reports", config.device)


def _unlock(link: Link, pin: str) -> None:
    """Give the PIN once at most: three wrong ones lock a SIM card."""
    try:
        told = link.ask("AT+CPIN?")
    except Refused as problem:
        if problem.code in _NO_SIM:
            raise Unusable("There is no SIM card in the modem.") from problem
        return
    words = " ".join(event.text for event in told if isinstance(event, Line))
    if "PUK" in words:
        raise Unusable("The SIM card is locked and asks for its PUK.")
    if "SIM PIN" not in words:
        return
    if not pin:
        raise Unusable("The SIM card asks for a PIN and none is set.")
    try:
        link.ask(f"AT+CPIN={pin}")
    except (Refused, Silent) as problem:
        raise Unusable("The SIM card does not take the PIN; it is not tried again.") from problem
