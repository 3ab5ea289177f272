"""Every table in one import, for the app and the migrations; nothing else imports this."""

from __future__ import annotations

from server import audit, blobs, feed, jobs, operator, review
from server.accounts import models as accounts
from server.billing import models as billing
from server.capture import models as capture
from server.commands import models as commands
from server.db import Base
from server.dues import models as dues
from server.identity import models as identity
from server.metering import models as metering
from server.metering.intervals import models as intervals
from server.notify import models as notify
from server.rounds import models as rounds
from server.tracking import models as tracking

MODULES = (
    accounts,
    audit,
    billing,
    blobs,
    capture,
    commands,
    dues,
    feed,
    identity,
    intervals,
    jobs,
    metering,
    notify,
    operator,
    review,
    rounds,
    tracking,
)

TABLES = frozenset(Base.metadata.tables)

APPEND_ONLY: dict[str, tuple[str, ...]] = {
    "audit_event": audit.APPEND_ONLY,
    **billing.APPEND_ONLY,
    **capture.APPEND_ONLY,
    **dues.APPEND_ONLY,
    **intervals.APPEND_ONLY,
    **metering.APPEND_ONLY,
    **rounds.APPEND_ONLY,
}
"""Tables whose content columns never change and whose rows are never deleted."""
