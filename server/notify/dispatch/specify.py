"""From a row of the table of gateways to the binds that a worker runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from server.errors import Invalid
from server.notify.dispatch.runner import Spec
from server.notify.gateways import options
from server.notify.gateways.courier import CourierGateway, Pauses
from server.notify.gateways.email.config import EmailConfig
from server.notify.gateways.email.mail import Mail
from server.notify.gateways.http.config import HttpConfig
from server.notify.gateways.http.post import Post
from server.notify.gateways.log import LogGateway
from server.notify.gateways.modem.config import ModemConfig
from server.notify.gateways.modem.session import ModemGateway
from server.notify.gateways.port import Listener
from server.notify.gateways.smpp.config import SmppConfig
from server.notify.gateways.smpp.session import SmppSession
from server.notify.models import Gateway

# An errand that takes longer is left to the next worker, as unknown.
_LONGEST_STOP = 25.0


def _log(row: Gateway) -> list[Spec]:
    name = row.name
    return [Spec(row.id, name, lambda listener: LogGateway(name, listener), whole=True)]


def _smpp(row: Gateway) -> list[Spec]:
    """The sending binds, and behind them those that only receive."""
    config = options.load(SmppConfig, row.name, row.config)
    name, number = row.name, row.id

    def opener(mode: str) -> Callable[[Listener], SmppSession]:
        chosen = replace(config, mode=mode)
        return lambda listener: SmppSession(name, chosen, listener, number)

    senders = config.binds if config.mode != "receiver" else 0
    receivers = config.receivers + config.binds - senders
    return [
        Spec(
            number,
            name,
            opener(config.mode if bind <= senders else "receiver"),
            id_mode=config.report_ids,
            statuses=dict(config.statuses),
            reference_bits=config.reference_bits,
            resend_seconds=config.response_seconds,
            whole=config.joining == "payload",
            rate=config.rate or None,
            binds=senders,
            bind=bind,
        )
        for bind in range(1, senders + receivers + 1)
    ]


def _modem(row: Gateway) -> list[Spec]:
    config = options.load(ModemConfig, row.name, row.config)
    name, number = row.name, row.id
    return [
        Spec(
            number,
            name,
            lambda listener: ModemGateway(name, number, config, listener),
            resend_seconds=config.resend_seconds,
        )
    ]


def _http(row: Gateway) -> list[Spec]:
    config = options.load(HttpConfig, row.name, row.config)
    name = row.name
    return [
        Spec(
            row.id,
            name,
            lambda listener: CourierGateway(name, Post(name, config), _pauses(config), listener),
            id_mode=config.report_ids,
            resend_seconds=config.resend_seconds,
            whole=True,
        )
    ]


def _email(row: Gateway) -> list[Spec]:
    config = options.load(EmailConfig, row.name, row.config)
    name = row.name
    return [
        Spec(
            row.id,
            name,
            lambda listener: CourierGateway(name, Mail(config), _pauses(config), listener),
            resend_seconds=config.resend_seconds,
            whole=True,
        )
    ]


def _pauses(config: HttpConfig | EmailConfig) -> Pauses:
    return Pauses(
        config.retry_first_seconds,
        config.retry_most_seconds,
        config.refused_seconds,
        min(config.connect_seconds + config.answer_seconds, _LONGEST_STOP),
    )


_KINDS: Mapping[str, Callable[[Gateway], list[Spec]]] = {
    "smpp": _smpp,
    "modem": _modem,
    "http": _http,
    "email": _email,
    "log": _log,
}


def specify(row: Gateway) -> list[Spec]:
    """The binds that a row asks for. Raises Invalid `notify.bad_gateway`."""
    if row.kind not in _KINDS:
        raise Invalid("notify.bad_gateway", f"No worker can run a gateway of kind {row.kind}.")
    return _KINDS[row.kind](row)
