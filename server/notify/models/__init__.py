"""Every table of notify, by what it is about."""

from __future__ import annotations

from server.notify.models.gateways import GATEWAY_KINDS, Gateway, GatewayLease
from server.notify.models.outbox import (
    ENDED,
    ENDED_STATES,
    DeliveryReport,
    NoticeTemplate,
    OutboxMessage,
    OutboxSegment,
)

__all__ = [
    "ENDED",
    "ENDED_STATES",
    "GATEWAY_KINDS",
    "DeliveryReport",
    "Gateway",
    "GatewayLease",
    "NoticeTemplate",
    "OutboxMessage",
    "OutboxSegment",
]
