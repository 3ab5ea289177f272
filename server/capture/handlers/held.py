"""Items that no domain has taken: shown to the rep's team as the captures they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from server import review
from server.capture.items import Item, Sender, Verdict
from server.db import Session
from server.identity.queries import team_of


def raise_held(
    session: Session, sender: Sender, held: Sequence[Item], verdicts: Mapping[UUID, Verdict]
) -> None:
    """Put held items into the review queue, each with the code of its verdict."""
    if not held:
        return
    team = team_of(session, sender.staff_id)
    review.raise_items(
        session,
        [
            review.NewItem(
                key=f"capture:{item.uuid}",
                kind="capture",
                reason=verdicts[item.uuid].code or "",
                subject_type="capture",
                subject_id=item.uuid,
                detail={"type": item.type, "message": verdicts[item.uuid].message},
                org_unit_id=team,
                lat_e7=item.gps.lat_e7 if item.gps else None,
                lon_e7=item.gps.lon_e7 if item.gps else None,
            )
            for item in held
        ],
    )
