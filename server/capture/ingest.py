"""Taking items in, exactly once: first the id, then the judgement, all in one transaction.

An id is stored before anything is done for it; whoever comes second with the same id gets the
verdict of the first. Items of a type are settled as one set. When a set fails unexpectedly it
is rolled back and its items are tried one by one, so that one poisoned item stops nobody. That
care costs savepoints, so a push is first tried without.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from server import review
from server.capture import attachments
from server.capture.items import (
    APPLIED,
    SAME_ID,
    Item,
    Problem,
    Result,
    Sender,
    Unidentified,
    Verdict,
)
from server.capture.models import CaptureEvent, CaptureReject, CaptureVariant
from server.capture.types import HANGS_METERS, ITEM_TYPES, TAKES_BACK
from server.db import Session, insert_new, insert_rows, update_rows
from server.identity.queries import team_of

log = logging.getLogger(__name__)

REVOKED = Verdict(
    "held", "device.revoked", "This handheld has been shut out; the office decides about the item."
)


@dataclass(frozen=True)
class Ingested:
    """What became of a push: results in the order of the items, and items of our own fault."""

    results: list[Result]
    faults: list[UUID]


class SetFailed(Exception):
    """A set failed unexpectedly. Nothing of the transaction may stay: try again carefully."""


def ingest(
    session: Session, sender: Sender, items: Sequence[Item], *, careful: bool = True
) -> Ingested:
    """Store and settle items; the transaction is the caller's.

    Args:
        careful: keep every set in a savepoint, so that one that fails can be tried item by item.

    Raises:
        OperationalError: when the database itself fails; nothing has happened then.
        SetFailed: when a set failed and ``careful`` is not set.
    """
    distinct: dict[UUID, Item] = {}
    for item in items:
        distinct.setdefault(item.uuid, item)
    outcome = _Outcome(session, sender, careful=careful)
    for group in _groups(_without_taken_back(list(distinct.values()))):
        outcome.take(group)
    return outcome.answer(items)


def _without_taken_back(items: list[Item]) -> list[Item]:
    """The items, those marked that a later one of the same push takes back."""
    gone = {item.supersedes for item in items if item.type in TAKES_BACK and item.problem is None}
    return [
        replace(item, taken_back=True)
        if item.uuid in gone and item.type not in TAKES_BACK
        else item
        for item in items
    ]


def _groups(items: list[Item]) -> list[list[Item]]:
    """Items by type in device order; malformed ones are a group of their own, last.

    What was captured after an exchange is judged after it: the new meter hangs by then.
    """
    ordered = sorted(items, key=lambda item: (item.seq is None, item.seq or 0))
    good = [item for item in ordered if item.problem is None]
    groups: list[list[Item]] = []
    for _, run in groupby(good, key=lambda item: item.type in HANGS_METERS):
        by_type: dict[str, list[Item]] = {}
        for item in run:
            by_type.setdefault(item.type, []).append(item)
        groups += by_type.values()
    malformed = [item for item in ordered if item.problem is not None]
    return [*groups, malformed] if malformed else groups


class _Outcome:
    """Collects what happens to the items of one push."""

    def __init__(self, session: Session, sender: Sender, *, careful: bool) -> None:
        self.session = session
        self.careful = careful
        self.sender = sender
        self.stored: dict[UUID, tuple[str, Result]] = {}
        self.faults: list[UUID] = []

    def take(self, group: list[Item]) -> None:
        """Store and settle a set; on an unexpected failure go on one by one."""
        try:
            with self.session.begin_nested() if self.careful else nullcontext():
                self._settle(group)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            if isinstance(error, DBAPIError) and error.connection_invalidated:
                raise
            if not self.careful:
                raise SetFailed from error
            if len(group) == 1:
                self._fault(group[0], error)
                return
            log.warning("a set of %d %s failed, trying one by one", len(group), group[0].type)
            for item in group:
                self.take([item])

    def _settle(self, group: list[Item]) -> None:
        new = self._store(group)
        fresh = [item for item in group if item.uuid in new]
        verdicts = self._judge(fresh)
        changed = [
            {
                "uuid": uuid,
                "verdict": v.verdict,
                "code": v.code,
                "message": v.message[:255] if v.message else None,
                "field": v.field[:80] if v.field else None,
            }
            for uuid, v in verdicts.items()
            if v != APPLIED
        ]
        update_rows(self.session, CaptureEvent, ("uuid",), changed)
        self._raise_for_review(fresh, verdicts)
        taken = [item for item in fresh if verdicts[item.uuid].verdict != "rejected"]
        attachments.expect(self.session, self.sender, taken)
        for item in group:
            if item.uuid in new:
                result = Result(item.uuid, verdicts[item.uuid], self._ack(item.uuid), False)
                self.stored[item.uuid] = (item.payload_hash, result)
        self._remember([item for item in group if item.uuid not in new])

    def _store(self, group: list[Item]) -> set[UUID]:
        """Store the ids that are new and return them."""
        at = self.sender.received_at
        rows = [_event_row(item, self.sender, at) for item in group]
        return set(insert_new(self.session, CaptureEvent, rows, ("uuid",), "uuid"))

    def _judge(self, fresh: list[Item]) -> dict[UUID, Verdict]:
        if not fresh:
            return {}
        problems = {i.uuid: i.problem for i in fresh if i.problem is not None}
        if problems:
            return {uuid: _rejection(problem) for uuid, problem in problems.items()}
        if self.sender.revoked:
            return dict.fromkeys((i.uuid for i in fresh), REVOKED)
        return ITEM_TYPES[fresh[0].type].handle(self.session, self.sender, fresh)

    def _raise_for_review(self, fresh: list[Item], verdicts: dict[UUID, Verdict]) -> None:
        """What never reached a handler is shown from here; handlers raise their own items."""
        review.raise_items(
            self.session,
            [
                self._review_item(item, f"capture:{item.uuid}", verdicts[item.uuid].code)
                for item in fresh
                if item.problem is not None or self.sender.revoked
            ],
        )

    def _review_item(self, item: Item, key: str, reason: str | None) -> review.NewItem:
        return review.NewItem(
            key=key,
            kind="capture",
            reason=reason or "capture.unknown",
            subject_type="capture",
            subject_id=item.uuid,
            detail={"type": item.type, "device_id": self.sender.device_id},
            org_unit_id=team_of(self.session, self.sender.staff_id),
            lat_e7=item.gps.lat_e7 if item.gps else None,
            lon_e7=item.gps.lon_e7 if item.gps else None,
        )

    def _remember(self, known: list[Item]) -> None:
        """Look up the stored verdicts of ids that were here before."""
        if not known:
            return
        rows = self.session.execute(
            select(CaptureEvent).where(CaptureEvent.uuid.in_([item.uuid for item in known]))
        ).scalars()
        for row in rows:
            verdict = Verdict(row.verdict, row.code, row.message, row.field)
            result = Result(row.uuid, verdict, self._ack(row.uuid), True)
            self.stored[row.uuid] = (row.payload_hash, result)

    def _ack(self, uuid: UUID) -> str:
        return f"{self.sender.receipt_prefix}-{uuid.hex[:8].upper()}"

    def _fault(self, item: Item, error: Exception) -> None:
        """Our own failure with one item: it is no verdict, the device keeps the item."""
        log.error("item %s of type %s failed", item.uuid, item.type, exc_info=error)
        self.faults.append(item.uuid)
        raw = self._review_item(item, f"fault:{item.uuid}", "capture.fault")
        detail = {**raw.detail, "payload": item.payload, "error": type(error).__name__}
        review.raise_items(self.session, [replace(raw, detail=detail)])

    def answer(self, items: Sequence[Item]) -> Ingested:
        """The results in the order asked; other content under a known id is a conflict."""
        results, variants, seen = [], [], set[UUID]()
        for item in items:
            if item.uuid not in self.stored:
                continue
            stored_hash, result = self.stored[item.uuid]
            if item.payload_hash != stored_hash:
                variants.append(item)
                results.append(Result(item.uuid, SAME_ID, None, replayed=False))
                continue
            again = result.replayed or item.uuid in seen
            seen.add(item.uuid)
            results.append(Result(item.uuid, result.verdict, result.ack, again))
        self._keep_variants(variants)
        return Ingested(results, self.faults)

    def _keep_variants(self, variants: list[Item]) -> None:
        rows = [
            {
                "created_at": self.sender.received_at,
                "uuid": item.uuid,
                "device_id": self.sender.device_id,
                "payload": item.payload,
                "payload_hash": item.payload_hash,
                "received_at": self.sender.received_at,
            }
            for item in variants
        ]
        insert_rows(self.session, CaptureVariant, rows, on_conflict=("uuid", "payload_hash"))
        review.raise_items(
            self.session,
            [
                self._review_item(
                    item, f"variant:{item.uuid}:{item.payload_hash[:16]}", SAME_ID.code
                )
                for item in variants
            ],
        )


def _event_row(item: Item, sender: Sender, at: Any) -> dict[str, Any]:
    gps = item.gps
    return {
        "created_at": at,
        "uuid": item.uuid,
        "device_id": sender.device_id,
        "staff_id": sender.staff_id,
        "seq": item.seq,
        "type": item.type,
        "captured_at": item.captured_at,
        "received_at": at,
        "skew_ms": sender.skew_ms,
        "lat_e7": gps.lat_e7 if gps else None,
        "lon_e7": gps.lon_e7 if gps else None,
        "accuracy_m": min(round(gps.accuracy_m), 2**31 - 1)
        if gps and gps.accuracy_m is not None
        else None,
        "payload": item.payload,
        "payload_hash": item.payload_hash,
        "verdict": "applied",
    }


def _rejection(problem: Problem) -> Verdict:
    return Verdict("rejected", problem.code, problem.message, problem.field)


def keep_unreadable(
    session: Session, sender: Sender, entries: Sequence[Unidentified], size: int = 0
) -> None:
    """Keep what has no id, once per content and device, and show it to the office."""
    rows: list[dict[str, Any]] = []
    for entry in entries:
        digest = hashlib.sha256(entry.body.encode()).hexdigest()
        rows.append(
            {
                "created_at": sender.received_at,
                "device_id": sender.device_id,
                "body": entry.body,
                "body_hash": digest,
                "size": size or len(entry.body),
                "code": entry.problem.code,
                "message": entry.problem.message[:255],
                "received_at": sender.received_at,
            }
        )
    insert_rows(session, CaptureReject, rows, on_conflict=("device_id", "body_hash"))
    review.raise_items(
        session,
        [
            review.NewItem(
                key=f"reject:{sender.device_id}:{row['body_hash'][:32]}",
                kind="capture_reject",
                reason=row["code"],
                subject_type="capture_reject",
                subject_id=row["body_hash"],
                detail={"device_id": sender.device_id, "message": row["message"]},
                org_unit_id=team_of(session, sender.staff_id),
            )
            for row in rows
        ],
    )
