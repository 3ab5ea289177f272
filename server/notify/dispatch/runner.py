"""One gateway at work: a thread that owns its bind, fills its window and stores its news.

Each turn is one transaction: store what the gateway said, claim what there is room for, and mark as
submitted what will be written. Octets leave after the commit, acknowledgements of reports too. So a
crash leaves at most the room of one gateway unknown, and never a message that was sent and forgotten.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from flask import Flask
from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError

from server import clock
from server.db import Session, snapshot, transaction
from server.notify.dispatch import claims, results
from server.notify.dispatch.claims import Claimed
from server.notify.dispatch.inbox import Changed, Inbox, Lost, News, Note
from server.notify.gateways.port import Delivery, Listener, Port, Submission
from server.notify.gateways.smpp.codec import ESME_ROK, ESME_RX_R_APPN, ESME_RX_T_APPN
from server.notify.models import Gateway
from server.notify.rules import receipts, segments

log = logging.getLogger(__name__)

FLUSH_SECONDS = 0.05
FLUSH_MOST = 250
LOOK_SECONDS = 0.25
LEASE_SECONDS = 12.0
RENEW_SECONDS = 3.0
_AFTER_TROUBLE_SECONDS = 1.0


@dataclass(frozen=True)
class Spec:
    """A gateway as its row describes it, with what differs between carriers."""

    id: int
    name: str
    open: Callable[[Listener], Port]
    id_mode: str = "as_is"
    statuses: dict[int, str] = field(default_factory=dict)
    reference_bits: int = 8
    resend_seconds: float = 30.0


@dataclass
class _Turn:
    """What one transaction decided; it counts only when the transaction was committed."""

    pool: list[Claimed]
    submissions: list[Submission] = field(default_factory=list)
    phones: dict[int, str] = field(default_factory=dict)


class Runner:
    """Runs one gateway in its own thread until stopped. `takes` says whether it takes from the queue."""

    def __init__(self, app: Flask, spec: Spec) -> None:
        self.spec = spec
        self.takes = True
        self._app = app
        self._owners = [secrets.token_hex(8)]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"gateway-{spec.name}", daemon=True)

    def start(self) -> None:
        """Begin; the gateway connects as soon as its lease is free."""
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Have it end; `join` waits for it."""
        self._stopping.set()

    def join(self, seconds: float) -> None:
        """Wait until the window is drained and everything heard is stored."""
        self._thread.join(seconds)

    def is_alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        with self._app.app_context():
            while not self._stopping.is_set():
                try:
                    if self._renew():
                        _Watch(self).run()
                except SQLAlchemyError as problem:
                    log.warning(
                        "gateway %s: the database fails: %s", self.spec.name, brief(problem)
                    )
                self._stopping.wait(_AFTER_TROUBLE_SECONDS)

    def _renew(self) -> bool:
        with transaction() as session:
            return self.renew(session)

    def renew(self, session: Session) -> bool:
        """Take or keep the lease."""
        now = clock.now()
        return claims.take_lease(session, self.spec.id, self._owners, now, LEASE_SECONDS)

    @property
    def owner(self) -> str:
        """The name under which messages are claimed at present."""
        return self._owners[0]

    def rename(self) -> None:
        """Go on under a new name, so that what was claimed under the old one is sorted out by `timed`."""
        self._owners = [secrets.token_hex(8), *self._owners[:3]]

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._stopping.is_set()


class _Watch:
    """The time between taking the lease and leaving it: one open gateway."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._spec = runner.spec
        self._inbox = Inbox()
        self._port = runner.spec.open(self._inbox)
        self._pool: list[Claimed] = []
        self._flying: dict[int, str] = {}
        self._kept: list[Note] = []
        self._state = "connecting"
        self._renewed = time.monotonic()
        self._looked = 0.0
        self._more = True
        self._sound = True

    def run(self) -> None:
        """Work until asked to stop or until the lease is lost, then leave in order."""
        self._port.start()
        owned = True
        try:
            while owned and not self._runner.stopping:
                owned = self._guarded(self._turn)
        finally:
            self._port.stop()
            self._leave()

    def _guarded(self, step: Callable[[News], bool]) -> bool:
        """One step; when the database fails, reports are refused for now and the rest is kept."""
        idle = LOOK_SECONDS if not self._more else FLUSH_SECONDS
        notes = self._kept + self._inbox.collect(
            FLUSH_SECONDS if self._flying else idle, FLUSH_MOST
        )
        self._kept = []
        try:
            return step(_sorted(notes))
        except SQLAlchemyError as problem:
            log.warning("gateway %s: the database fails: %s", self._spec.name, brief(problem))
            for note in notes:
                if isinstance(note, Delivery):
                    self._port.acknowledge(note, ESME_RX_T_APPN)
            self._kept = [note for note in notes if not isinstance(note, Delivery)]
            self._pool.clear()
            if self._sound:
                self._runner.rename()
            self._sound = False
            time.sleep(_AFTER_TROUBLE_SECONDS)
            return True

    def _turn(self, news: News) -> bool:
        if news.changed is not None:
            self._state = news.changed.state
        now = clock.now()
        renew = time.monotonic() - self._renewed > RENEW_SECONDS
        due = self._look(now)
        room = self._room(news)
        claims_some = due.queued and self._runner.takes and room > len(self._pool)
        give_back = bool(self._pool) and self._state != "bound"
        busy = news.batch or news.changed or news.deliveries or self._pool
        if not (busy or renew or due.timed or claims_some):
            return True
        with transaction() as session:
            if renew and not self._runner.renew(session):
                log.warning("gateway %s: another worker owns it now", self._spec.name)
                return False
            self._store(session, news, now)
            if due.timed:
                claims.timed(session, self._resend_before(now), now)
            if give_back:
                claims.give_back(session, [one.id for one in self._pool], now)
            turn = _Turn([] if give_back else list(self._pool))
            if claims_some:
                most = min(room - len(turn.pool), FLUSH_MOST)
                turn.pool += claims.claim(session, self._spec.id, self._runner.owner, most, now)
            if room > 0:
                self._submit(session, turn, room, news, now)
        if renew:
            self._renewed = time.monotonic()
        self._after(news, turn)
        self._more = claims_some or bool(turn.submissions)
        return True

    def _room(self, news: News) -> int:
        """What may be submitted: what the gateway takes, within the bound on answers not stored yet."""
        if self._state != "bound":
            return 0
        flying = len(self._flying.keys() - set(news.tokens()))
        return min(self._port.room(), self._port.most - flying)

    def _look(self, now: datetime) -> claims.Due:
        if time.monotonic() - self._looked < LOOK_SECONDS and not self._more:
            return claims.Due(queued=False, timed=False)
        self._looked = time.monotonic()
        with snapshot() as session:
            return claims.look(session, self._resend_before(now), now)

    def _resend_before(self, now: datetime) -> datetime:
        return now - timedelta(seconds=self._spec.resend_seconds)

    def _store(self, session: Session, news: News, now: datetime) -> None:
        results.record(
            session,
            self._spec.id,
            news.batch,
            now,
            id_mode=self._spec.id_mode,
            statuses=self._spec.statuses,
        )
        if news.changed is not None:
            _say(session, self._spec.id, news.changed, now)

    def _submit(self, session: Session, turn: _Turn, room: int, news: News, now: datetime) -> None:
        """Choose from the pool what fits, one message in flight for each phone, and mark it submitted."""
        landed = set(news.tokens())
        phones = {phone for token, phone in self._flying.items() if token not in landed}
        chosen: list[Claimed] = []
        splits: dict[int, segments.Split] = {}
        for one in sorted(turn.pool):
            split = segments.split(
                one.text, reference_bits=self._spec.reference_bits, maximum=segments.MOST_PARTS
            )
            if room < split.count and (chosen or phones):
                break
            if one.phone not in phones and not one.expired(now):
                chosen.append(one)
                splits[one.id] = split
                room -= split.count
            phones.add(one.phone)  # a later one for the same phone must not overtake
        late = [one.id for one in turn.pool if one.expired(now)]
        claims.move(session, "expired", late, now)
        moved = claims.mark_submitted(session, self._runner.owner, [one.id for one in chosen], now)
        chosen = [one for one in chosen if one.id in moved]
        totals = {number: split.count for number, split in splits.items()}
        parts = claims.open_segments(session, self._spec.id, chosen, totals, now)
        complete = moved - {part.message_id for part in parts}
        results.settle(session, complete, now)
        gone = {one.id for one in chosen} | set(late) | (splits.keys() - moved)
        turn.pool = [one for one in turn.pool if one.id not in gone]
        by_id = {one.id: one for one in chosen}
        for part in parts:
            message = by_id[part.message_id]
            turn.submissions.append(
                _submission(message, splits[message.id], part, self._spec.reference_bits, now)
            )
            turn.phones[part.segment_id] = message.phone

    def _after(self, news: News, turn: _Turn) -> None:
        """What may happen only once everything is committed."""
        self._sound = True
        for token in news.tokens():
            self._flying.pop(token, None)
        self._pool = turn.pool
        self._flying |= turn.phones
        for submission in turn.submissions:
            self._port.submit(submission)
        self._acknowledge(news)

    def _acknowledge(self, news: News) -> None:
        for delivery in news.deliveries:
            if not delivery.report:
                log.warning("gateway %s: a text from a phone was refused", self._spec.name)
            self._port.acknowledge(delivery, ESME_ROK if delivery.report else ESME_RX_R_APPN)

    def _leave(self) -> None:
        """Store what was heard while the gateway stopped, give the rest back and leave the lease."""
        notes = self._kept + self._inbox.collect(0, 1_000_000)
        news = _sorted([note for note in notes if not isinstance(note, Delivery)])
        now = clock.now()
        with transaction() as session:
            self._store(session, news, now)
            claims.give_back(session, [one.id for one in self._pool], now)
            claims.drop_lease(session, self._spec.id, self._runner.owner, now)


def _sorted(notes: list[Note]) -> News:
    news = News()
    for note in notes:
        match note:
            case results.Answer():
                news.batch.answers.append(note)
            case Lost():
                (news.batch.lost if note.written else news.batch.returned).append(note.token)
            case Changed():
                news.changed = note
            case Delivery():
                news.deliveries.append(note)
                receipt = receipts.parse(note.tlvs, note.body) if note.report else None
                if receipt is not None:
                    news.batch.receipts.append(receipt)
                elif note.report:
                    log.warning("a delivery report without a state was set aside")
    return news


def _submission(
    message: Claimed, split: segments.Split, part: claims.Part, bits: int, now: datetime
) -> Submission:
    text = split.parts[part.part - 1]
    # The same reference for every try of a message, so that parts of two tries still join.
    joined = split.count > 1
    header = segments.header(message.id, split.count, part.part, bits=bits) if joined else b""
    left = None if message.expires_at is None else (message.expires_at - now).total_seconds()
    return Submission(
        token=part.segment_id,
        phone=message.phone,
        text=text,
        encoding=split.encoding,
        body=segments.encode(text, split.encoding),
        header=header,
        validity=None if left is None else max(int(left), 1),
    )


def brief(problem: SQLAlchemyError) -> str:
    """The database's own words without the statement, whose values are customers' numbers and texts."""
    return str(getattr(problem, "orig", None) or type(problem).__name__).splitlines()[0]


def _say(session: Session, gateway_id: int, changed: Changed, now: datetime) -> None:
    session.execute(
        update(Gateway)
        .where(Gateway.id == gateway_id)
        .values(state=changed.state, detail=changed.detail[:500], state_at=now)
    )
