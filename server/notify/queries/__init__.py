"""What can be seen of notices: messages and their whole story, gateways and how they are."""

from __future__ import annotations

from server.notify.queries.gateways import (
    GatewayState,
    GatewayView,
    gateway_named,
    gateway_names,
    gateway_states,
    gateway_views,
)
from server.notify.queries.messages import MessageRow, Page, counts, in_state, messages
from server.notify.queries.statistics import GROUPS, StatisticsRow, statistics
from server.notify.queries.templates import wordings, wordings_without_own
from server.notify.queries.trace import costs, parts, steps, trace

__all__ = [
    "GROUPS",
    "GatewayState",
    "GatewayView",
    "MessageRow",
    "Page",
    "StatisticsRow",
    "costs",
    "counts",
    "gateway_named",
    "gateway_names",
    "gateway_states",
    "gateway_views",
    "in_state",
    "messages",
    "parts",
    "statistics",
    "steps",
    "trace",
    "wordings",
    "wordings_without_own",
]
