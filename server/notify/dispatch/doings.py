"""What a bind does now: counted in memory, written with its lease, read by the console and monitors."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from statistics import median
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, func, select, update

from server.db import Session
from server.notify.models import Gateway, GatewayLease, OutboxSegment
from server.notify.rules import answers

if TYPE_CHECKING:
    from server.notify.dispatch.inbox import News
    from server.notify.dispatch.runner import Spec

# From one try to connect to the next a gateway stays away; its patience runs from the first.
_TRYING = ("connecting", "waiting", "refused")
# Of several binds the one in the best state speaks for the gateway.
_BEST = ("bound", "paused", "connecting", "waiting", "refused", "stopped")
_LONGEST = 500
# The lag of reports is that of so many of the newest segments.
_LOOK_BACK, _SAMPLE = 5000, 200


class Doings:
    """Counts of one bind since it was opened, and its rates since they were last said."""

    def __init__(self, statuses: Mapping[int, str]) -> None:
        self._statuses = statuses
        self._errors: Counter[str] = Counter()
        self._since = time.monotonic()
        self._sent = self._accepted = self._reports = self._texts = 0

    def note(self, news: News, sent: int) -> None:
        """Count what one turn has done."""
        self._sent += sent
        batch = news.batch
        good = 0
        for _, status, _ in batch.answers:
            if status == 0:
                good += 1
            else:
                self._errors[answers.classify(status, self._statuses)] += 1
        self._accepted += good
        self._errors["no_answer"] += len(batch.lost)
        self._errors["line_cut"] += len(batch.cut)
        self._reports += len(batch.receipts)
        self._texts += len(news.deliveries) - len(batch.receipts)

    def say(self, session: Session, spec: Spec, in_flight: int, now: datetime) -> None:
        """Write the figures beside the lease and begin to count rates anew."""
        moment = time.monotonic()
        seconds = max(moment - self._since, 0.001)
        figures: dict[str, Any] = {
            "at": now.isoformat(),
            "in_flight": in_flight,
            "sent_per_second": round(self._sent / seconds, 1),
            "accepted_per_second": round(self._accepted / seconds, 1),
            "reports_per_second": round(self._reports / seconds, 1),
            "texts_per_second": round(self._texts / seconds, 1),
            "report_lag_seconds": _lag(session, spec.id) if self._reports else None,
            "errors": {name: count for name, count in self._errors.items() if count},
        }
        session.connection().execute(_of_bind(spec).values(figures=figures))
        self._since = moment
        self._sent = self._accepted = self._reports = self._texts = 0


def _lag(session: Session, gateway_id: int) -> float | None:
    """Seconds from the carrier's answer to its report, the median of the newest; None without any."""
    s = OutboxSegment
    newest = select(func.max(s.id)).scalar_subquery()
    rows = session.connection().execute(
        select(s.answered_at, s.reported_at)
        .where(
            s.id > newest - _LOOK_BACK,
            s.gateway_id == gateway_id,
            s.reported_at.is_not(None),
            s.answered_at.is_not(None),
        )
        .order_by(s.reported_at.desc())
        .limit(_SAMPLE)
    )
    lags = [(row[1] - row[0]).total_seconds() for row in rows if row[0] and row[1]]
    return round(median(lags), 3) if lags else None


def say_state(session: Session, spec: Spec, state: str, detail: str, now: datetime) -> None:
    """Write the state of a bind down, and that of its gateway: the best of its live binds.

    `state_at` of a gateway that tries to connect is when it began to try.
    """
    detail = detail[:_LONGEST]
    values = {"state": state, "detail": detail, "state_at": now}
    session.connection().execute(_of_bind(spec).values(values))
    if spec.binds > 1 or spec.bind > 1:
        lease = GatewayLease
        rows = session.connection().execute(
            select(lease.state, lease.detail).where(
                lease.gateway_id == spec.id, lease.expires_at > now
            )
        )
        found = [(row.state, row.detail) for row in rows if row.state in _BEST]
        if found:
            state, detail = min(found, key=lambda one: _BEST.index(one[0]))
    since: Any = now
    if state in _TRYING:
        still = Gateway.state.in_(_TRYING) & Gateway.state_at.is_not(None)
        since = case((still, Gateway.state_at), else_=now)
    session.connection().execute(
        update(Gateway)
        .where(Gateway.id == spec.id)
        .values(state=state, detail=detail, state_at=since)
    )


def _of_bind(spec: Spec) -> Any:
    lease = GatewayLease
    return update(lease).where(lease.gateway_id == spec.id, lease.bind == spec.bind)
