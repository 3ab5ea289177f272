"""Every table of notify, by what it is about."""

from __future__ import annotations

from server.notify.models.consent import REFUSAL_SOURCES, Holiday, NoticePolicy, PhoneRefusal
from server.notify.models.fan_outs import FAN_OUT_STATES, FanOut, FanOutRecipient
from server.notify.models.gateways import GATEWAY_KINDS, Gateway, GatewayLease
from server.notify.models.inbound import INBOUND_STATES, InboundMessage, InboundPart
from server.notify.models.outbox import (
    DeliveryReport,
    OutboxMessage,
    OutboxSegment,
    OutboxTransition,
)
from server.notify.models.prices import BudgetUse, GatewayPrice, MessageDay, NoticeSetup
from server.notify.models.templates import NoticeTemplate

__all__ = [
    "FAN_OUT_STATES",
    "GATEWAY_KINDS",
    "INBOUND_STATES",
    "REFUSAL_SOURCES",
    "BudgetUse",
    "DeliveryReport",
    "FanOut",
    "FanOutRecipient",
    "Gateway",
    "GatewayLease",
    "GatewayPrice",
    "Holiday",
    "InboundMessage",
    "InboundPart",
    "MessageDay",
    "NoticePolicy",
    "NoticeSetup",
    "NoticeTemplate",
    "OutboxMessage",
    "OutboxSegment",
    "OutboxTransition",
    "PhoneRefusal",
]
