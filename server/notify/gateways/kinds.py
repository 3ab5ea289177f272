"""The kinds of gateways that exist, and the options of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from server.errors import Invalid
from server.notify.gateways import options
from server.notify.gateways.email.config import EmailConfig
from server.notify.gateways.http.config import HttpConfig
from server.notify.gateways.log import LogConfig
from server.notify.gateways.modem.config import ModemConfig
from server.notify.gateways.options import N_
from server.notify.gateways.smpp.config import SmppConfig


@dataclass(frozen=True)
class Kind:
    """One kind: what it is, in a sentence, and the dataclass of its options (see `options.option`)."""

    about: str
    config: type


KINDS: Mapping[str, Kind] = {
    "smpp": Kind(N_("A carrier's SMS centre, by SMPP 3.4."), SmppConfig),
    "modem": Kind(N_("A GSM modem with a SIM card on a serial port."), ModemConfig),
    "http": Kind(N_("A carrier that takes texts as JSON over HTTP."), HttpConfig),
    "email": Kind(N_("A mail server, for notices to e-mail addresses."), EmailConfig),
    "log": Kind(N_("Only writes to the log; nobody gets anything."), LogConfig),
}


def kind(name: str) -> Kind:
    """The kind `name`. Raises Invalid `notify.bad_gateway`."""
    if name not in KINDS:
        raise Invalid("notify.bad_gateway", f"There is no kind of gateway {name}.", {"kind": name})
    return KINDS[name]


def sealed(
    kind_name: str, name: str, data: Mapping[str, Any], before: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The options of gateway `name` as they are to be stored; see `options.sealed`.

    Raises Invalid `notify.bad_gateway` with every problem, or Conflict `notify.wrong_key`.
    """
    return options.sealed(kind(kind_name).config, name, data, before)


def shown(kind_name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a gateway as a person may see them, without its secrets."""
    return options.shown(kind(kind_name).config, data)


def secrets_of(kind_name: str) -> set[str]:
    """The names of the options of a kind that are secrets."""
    return {entry.name for entry in options.described(kind(kind_name).config) if entry.secret}
