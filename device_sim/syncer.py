"""How a handheld syncs: enrol, push until the outbox is empty, pull until nothing is new.

Facts that decide it: a bad item never blocks the others, only an answer with an item's own id takes
it from the queue, a pull never touches what is unsent, a 401 never stops capturing.
"""

from __future__ import annotations

import logging
import random
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from device_sim.clock import rfc3339
from device_sim.handheld import Handheld
from device_sim.protocol import (
    PROTOCOL,
    Json,
    Link,
    PushAnswer,
    RefusedError,
    ResyncRequiredError,
    ServerFaultError,
    SyncError,
    TooLargeError,
    UnauthorizedError,
    UpgradeRequiredError,
)
from device_sim.store import Kept

log = logging.getLogger("device_sim")

PULL_LIMIT = 500
FAULTS_BEFORE_BISECTION = 3
PIECE_BYTES = 16 * 1024


@dataclass
class Outcome:
    """What one sync did. ``error`` is the failure that ended it, if any."""

    sent: int = 0
    points: int = 0
    photos: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    pulled: int = 0
    error: SyncError | None = None

    def to_json(self) -> Json:
        """For scripts."""
        error = self.error
        return {
            "sent": self.sent,
            "points": self.points,
            "photos": self.photos,
            "verdicts": self.verdicts,
            "pulled": self.pulled,
            "error": error and {"code": error.code, "message": str(error), "retry": error.retry},
        }


class Backoff:
    """Waits that double from ``first`` to ``most`` seconds, jittered so that a fleet spreads out."""

    def __init__(self, rng: random.Random, first: float = 1.0, most: float = 60.0) -> None:
        self._rng = rng
        self._first = first
        self._most = most
        self._failures = 0

    def reset(self) -> None:
        """After a success."""
        self._failures = 0

    def next(self, retry_after: float | None = None) -> float:
        """Seconds to wait after one more failure; never less than the server asked for."""
        top = min(self._most, self._first * float(2**self._failures))
        self._failures = min(self._failures + 1, 30)
        return (retry_after or 0.0) + self._rng.uniform(0.5, 1.0) * top


class Syncer:
    """Syncs one handheld with one server."""

    def __init__(self, handheld: Handheld, client: Link) -> None:
        self.handheld = handheld
        self.client = client
        self.client.token = handheld.store.get("token")
        self._batch: int | None = None
        self._faults = 0
        self._failed: Counter[str] = Counter()

    def enrol(self, code: str) -> None:
        """Use a one-time code. Raises ``SyncError``; a device that has a good token keeps it."""
        store = self.handheld.store
        if self.handheld.enrolled and not self._new_code_needed(code):
            return
        store.step("enrol.before")
        enrolment = self.client.enrol(code, self.handheld.describe())
        store.step("enrol.answered")
        self.client.token = enrolment.token
        store.put(
            token=enrolment.token,
            token_refused=False,
            wiped=False,
            code=_plain(code),
            device_id=enrolment.device_id,
            receipt_prefix=enrolment.receipt_prefix,
            epoch=enrolment.epoch,
            settings=enrolment.settings,
        )
        store.start_over()

    def sync(self) -> Outcome:
        """Push everything, small things first, then pull; the outcome holds the first failure.

        A pull may find that the server was restored from a backup: then what it lacks is offered.
        """
        outcome = Outcome()
        if not self.handheld.enrolled:
            outcome.error = UnauthorizedError("not enrolled", code="device.not_enrolled")
            return outcome
        self._try(outcome, self.push, self.send_photos, self.pull)
        if outcome.error is None and self.handheld.store.get("restored"):
            self._try(outcome, self.push, self.send_photos)
        if outcome.error is None:
            now = rfc3339(self.handheld.clock.now())
            self.handheld.store.put(last_sync_at=now, token_refused=False)
        return outcome

    def _try(self, outcome: Outcome, *parts: Callable[[Outcome], None]) -> None:
        for part in parts:
            try:
                part(outcome)
            except SyncError as error:
                outcome.error = outcome.error or error
                self._note(error)

    def push(self, outcome: Outcome) -> None:
        """Push batches until nothing waits. Raises ``SyncError`` when the link or server fails.

        Items the server failed on alone are left out for this time, and set aside after three times.
        """
        self.handheld.flush_track()
        store = self.handheld.store
        failed: set[str] = set()
        while True:
            items = store.waiting(self._batch_limit(), failed)
            points = store.track(self._limit("max_track_points", 5000))
            if not items and not points and not store.get("restored"):
                break
            store.step("push.before")
            answer = self._push_once(items, points)
            store.step("push.answered")
            if answer is None:
                continue
            store.track_answered(points)
            self._count(outcome, answer, len(points))
            failed |= self._note_failed(answer.faults)
            if store.answered(answer.results) == 0 and items and not answer.faults:
                raise ServerFaultError("no verdict for any item sent", code="push.no_progress")
            self._after_push(answer)
        if failed:
            raise ServerFaultError(f"no verdict for {len(failed)} items", code="push.faults")

    def send_photos(self, outcome: Outcome) -> None:
        """Send the photos of answered items, each going on where it broke off.

        One that the server does not take stops no other. Raises ``SyncError`` for the last such one.
        """
        store = self.handheld.store
        failed: SyncError | None = None
        for sha256, _ in store.photos_waiting() if self.client.carries_files else ():
            try:
                store.photo_settled(sha256, self._send_photo(sha256))
                outcome.photos += 1
            except RefusedError as error:
                if error.status == 404:
                    store.photo_settled(sha256, "unwanted")
                else:
                    failed = error
        if failed:
            raise failed

    def _send_photo(self, sha256: str) -> str:
        """Send a photo piece by piece; what the server says of it in the end."""
        store = self.handheld.store
        offset = self.client.file_offset(sha256)
        while True:
            piece = store.photo_piece(sha256, offset, PIECE_BYTES)
            store.step("photo.before")
            answer = self.client.send_piece(sha256, offset, piece)
            store.step("photo.answered")
            if answer["status"] != "expected":
                return str(answer["status"])
            offset = int(answer["offset"])

    def pull(self, outcome: Outcome) -> None:
        """Pull pages until there is nothing new; starts over when the server asks for it."""
        store = self.handheld.store
        while True:
            store.step("pull.before")
            try:
                page = self.client.pull(store.get("checkpoint"), PULL_LIMIT)
            except ResyncRequiredError:
                if store.get("checkpoint") is None:
                    raise
                store.start_over()
                continue
            store.step("pull.answered")
            store.apply_page(page.documents, page.checkpoint)
            if page.epoch and page.epoch != store.get("epoch"):
                store.put(restored=True)
            outcome.pulled += len(page.documents)
            if not page.more:
                break
        if store.get("full_pull"):
            store.end_of_full_pull()
        self.handheld.learn_zone()

    def _push_once(self, items: list[Kept], points: list[list[int]]) -> PushAnswer | None:
        """One request; None when it must be tried again smaller."""
        try:
            answer = self.client.push(self._body(items, points))
        except TooLargeError as error:
            self._shrink(items, error)
            return None
        except (ServerFaultError, RefusedError) as error:
            self._faults += 1
            if self._faults < FAULTS_BEFORE_BISECTION or not items:
                raise
            self._shrink(items, error)
            return None
        self._faults = 0
        self._batch = self._batch and self._batch * 2
        return answer

    def _note_failed(self, item_ids: list[str]) -> set[str]:
        self._failed.update(item_ids)
        for item_id in item_ids:
            if self._failed[item_id] >= FAULTS_BEFORE_BISECTION:
                self._park(item_id, "the server fails on it")
        return set(item_ids)

    def _park(self, item_id: str, why: str) -> None:
        log.warning("%s: item %s set aside: %s", self.handheld.name, item_id, why)
        self.handheld.store.park(item_id)

    def _shrink(self, items: list[Kept], error: SyncError) -> None:
        """Halve the batch; an item that fails alone is parked so that the others get through."""
        if not items:
            raise error
        if len(items) > 1:
            self._batch = max(1, len(items) // 2)
            return
        self._park(items[0].id, str(error))
        self._batch, self._faults = None, 0

    def _body(self, items: list[Kept], points: list[list[int]]) -> Json:
        clock = self.handheld.clock
        return {
            "batch": str(uuid.uuid4()),
            "epoch": self.handheld.store.get("epoch"),
            "sent_at": rfc3339(clock.now()),
            "boot": clock.boot,
            "uptime_ms": clock.uptime_ms(),
            "protocol": PROTOCOL,
            "items": [item.body for item in items],
            "track": {"crs": "wgs84", "points": points},
            "health": self.handheld.health(len(items)),
        }

    def _count(self, outcome: Outcome, answer: PushAnswer, points: int) -> None:
        outcome.sent += len(answer.results)
        outcome.points += points
        for result in answer.results:
            outcome.verdicts[result.verdict] = outcome.verdicts.get(result.verdict, 0) + 1

    def _after_push(self, answer: PushAnswer) -> None:
        store = self.handheld.store
        known = store.get("epoch")
        store.put(received_through=answer.received_through)
        if known and answer.epoch and answer.epoch != known:
            again = store.offer_again(answer.received_through or 0)
            store.photos_again()
            store.offer_track_again()
            store.put(epoch=answer.epoch)
            store.start_over()
            log.warning(
                "%s: server was restored; %d items offered again", self.handheld.name, again
            )
        store.put(restored=False)
        for command in answer.commands:
            if command.get("do") == "wipe":
                store.wipe_documents()
                if not store.get("wiped"):
                    log.warning("%s: shut out: reference data wiped", self.handheld.name)
                store.put(wiped=True)

    def _note(self, error: SyncError) -> None:
        """Say once what changed for the person at the device."""
        store = self.handheld.store
        if isinstance(error, UnauthorizedError) and not store.get("token_refused"):
            store.put(token_refused=True)
            log.warning("%s: token refused (401); goes on capturing", self.handheld.name)
        elif isinstance(error, UpgradeRequiredError):
            log.warning("%s: too old to pull; pushing goes on", self.handheld.name)

    def _new_code_needed(self, code: str) -> bool:
        store = self.handheld.store
        return bool(store.get("token_refused")) and _plain(code) != store.get("code")

    def _batch_limit(self) -> int:
        limit = self._limit("max_push_items", 500)
        return min(self._batch or limit, limit)

    def _limit(self, name: str, default: int) -> int:
        settings = self.handheld.store.get("settings") or {}
        limit = int(settings.get(name) or default)
        return max(1, min(limit, self.client.limits.get(name, limit)))


def _plain(code: str) -> str:
    return code.replace("-", "").replace(" ", "").upper()
