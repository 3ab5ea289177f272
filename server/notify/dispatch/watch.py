"""The time between taking a bind's lease and leaving it: one open gateway, worked in turns.

Each turn is one transaction: store what the gateway said, take what there is room for, and mark as
submitted what will be written. Octets leave after the commit, acknowledgements of reports too. So a
crash leaves at most the room of one gateway unknown, and never a message that was sent and forgotten.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from server import clock
from server.db import Session, by_index, snapshot, transaction
from server.notify import consent, inbound, routes, transitions
from server.notify.dispatch import claims, doings, results, timed
from server.notify.dispatch.choosing import Choice, choose, submissions, wanted
from server.notify.dispatch.claims import Claimed
from server.notify.dispatch.inbox import Inbox, News
from server.notify.gateways.port import Delivery, Submission
from server.notify.gateways.smpp.codec import ESME_ROK, ESME_RX_T_APPN
from server.notify.rules import states
from server.notify.transitions import Transition

if TYPE_CHECKING:
    from server.notify.dispatch.runner import Runner

log = logging.getLogger(__name__)

FLUSH_SECONDS = 0.05
FLUSH_MOST = 250
# With the window busy, results are gathered so long at most before they are stored.
GATHER_SECONDS = 0.02
GATHER_ENOUGH = 200
LOOK_SECONDS = 0.25
TIMED_SECONDS = 1.0
AFTER_TROUBLE_SECONDS = 1.0
RENEW_SECONDS = 3.0


@dataclass
class _Turn:
    """What one transaction decided; it counts only when the transaction was committed."""

    pool: list[Claimed]
    submissions: list[Submission] = field(default_factory=list)
    phones: dict[int, str] = field(default_factory=dict)
    alone: dict[int, int] = field(default_factory=dict)
    picked: int = 0


class Watch:
    """One open gateway."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._spec = runner.spec
        self._inbox = Inbox()
        self._port = runner.spec.open(self._inbox)
        self._doings = doings.Doings(runner.spec.statuses)
        self._pool: list[Claimed] = []
        self._flying: dict[int, str] = {}
        self._alone: dict[int, int] = {}
        self._kept = News()
        self._state = "connecting"
        self._renewed = time.monotonic()
        self._timed = 0.0  # at once: whoever owned the bind before may have died
        self._looked = 0.0
        self._more = True
        self._sound = True

    def run(self) -> None:
        """Work until asked to stop or until the lease is lost, then leave in order."""
        self._share_rate(first=True)
        self._port.start()
        owned = True
        try:
            while owned and not self._runner.stopping:
                owned = self._guarded(self._turn)
        finally:
            self._port.stop()
            self._leave()

    # --- one turn --------------------------------------------------------------------------

    def _guarded(self, step: Callable[[News], bool]) -> bool:
        """One step; when the database fails, deliveries are refused for now and the rest is kept."""
        busy = self._more and self._state == "bound"
        news = self._kept
        wait = 0.0 if news else FLUSH_SECONDS if busy or self._flying else LOOK_SECONDS
        news.take_up(self._inbox.collect(wait, GATHER_ENOUGH, GATHER_SECONDS))
        self._kept = News()
        try:
            return step(news)
        except SQLAlchemyError as problem:
            self._recover(news, problem)
            return True

    def _recover(self, news: News, problem: SQLAlchemyError) -> None:
        words = str(getattr(problem, "orig", None) or type(problem).__name__).splitlines()[0]
        log.warning("gateway %s: the database fails: %s", self._spec.name, words)
        self._port.acknowledge(news.deliveries, ESME_RX_T_APPN)
        news.deliveries, news.batch.receipts = [], []
        self._kept = news
        self._pool.clear()
        if self._sound:
            self._runner.rename()
        self._sound = False
        time.sleep(AFTER_TROUBLE_SECONDS)

    def _turn(self, news: News) -> bool:
        if news.changed is not None:
            self._state = news.changed[0]
        now, moment = clock.now(), time.monotonic()
        renew = moment - self._renewed > RENEW_SECONDS
        due = self._due(now, moment)
        room = self._room(news)
        give_back = bool(self._pool) and (self._state != "bound" or _went_wrong(news))
        picks = room > (0 if give_back else len(self._pool)) and self._queued(moment)
        if not (news or self._pool or renew or due or picks):
            return True
        with transaction() as session:
            by_index(session)
            if renew and not self._runner.renew(session):
                log.warning("gateway %s: another worker owns it now", self._spec.name)
                self._kept = news
                return False
            self._store(session, news, now)
            if due:
                timed.step(session, self._spec.resend_seconds, now)
            if give_back:
                claims.give_back(session, [one.id for one in self._pool], now)
            turn = _Turn([] if give_back else list(self._pool))
            if room > 0:
                self._submit(session, turn, room, news, now, picks=picks)
            if renew:
                self._doings.say(session, self._spec, len(self._flying), now)
        if renew:
            self._renewed = moment
            self._share_rate()
        self._after(news, turn)
        self._more = turn.picked > 0
        return True

    def _room(self, news: News) -> int:
        """What may be submitted: what the gateway takes, within the bound on answers not stored yet."""
        if self._state != "bound" or not self._spec.sends:
            return 0
        flying = len(self._flying) - len(self._flying.keys() & news.landed())
        return min(self._port.room(), self._port.most - flying)

    def _due(self, now: datetime, moment: float) -> bool:
        if moment - self._timed < TIMED_SECONDS:
            return False
        self._timed = moment
        with snapshot() as session:
            return timed.due(session, self._spec.resend_seconds, now)

    def _queued(self, moment: float) -> bool:
        """Whether a look into the queue is worth a transaction: there was something, or there is again."""
        if self._more:
            return True
        if moment - self._looked < LOOK_SECONDS:
            return False
        self._looked = moment
        with snapshot() as session:
            return claims.any_queued(session, self._spec.id)

    def _store(self, session: Session, news: News, now: datetime) -> None:
        spec = self._spec
        results.record(
            session,
            spec.id,
            news.batch,
            now,
            id_mode=spec.id_mode,
            statuses=spec.statuses,
            alone=self._alone,
        )
        texts = [one.inbound for one in news.deliveries if one.inbound is not None]
        if texts:
            inbound.store(session, texts)
        if news.changed is not None:
            doings.say_state(session, spec, *news.changed, now)

    def _submit(
        self, session: Session, turn: _Turn, room: int, news: News, now: datetime, *, picks: bool
    ) -> None:
        """Take from the queue and the pool what fits, one message in flight for each phone."""
        spec, owner = self._spec, self._runner.owner
        ways = routes.cached(session)
        picked: list[Claimed] = []
        if picks and ways.open(spec.id):
            most = min(room, FLUSH_MOST)
            beside = spec.binds > 1
            picked = claims.pick(session, spec.id, owner, most, beside_others=beside)
            turn.picked = len(picked)
        landed = news.landed()
        flying = {phone for token, phone in self._flying.items() if token not in landed}
        candidates = sorted(turn.pool + picked)
        verdicts = consent.recheck(session, candidates, now)
        fit = [one for one in candidates if one.id not in verdicts]
        choice = choose(fit, flying, room, spec.reference_bits, whole=spec.whole)
        mine = {one.id for one in turn.pool}
        self._refuse(session, verdicts, mine, now)
        going = [one.message.id for one in choice.go]
        moved = claims.mark_submitted(
            session,
            owner,
            [one for one in going if one not in mine],
            [one for one in going if one in mine],
            now,
        )
        claims.keep(session, owner, [one.id for one in choice.wait if one.id not in mine], now)
        self._open(session, turn, choice, moved, ways, now)
        turn.pool = [one for one in fit if one.id in mine and one.id not in set(going)]
        turn.pool += [one for one in choice.wait if one.id not in mine]

    def _open(
        self,
        session: Session,
        turn: _Turn,
        choice: Choice,
        moved: set[int],
        ways: routes.Routes,
        now: datetime,
    ) -> None:
        """Make the segments of what goes, and what the gateway is to be given."""
        spec = self._spec
        going = [one for one in choice.go if one.message.id in moved]
        parts = claims.open_segments(session, spec.id, wanted(going, spec.id, ways, now), now)
        complete = moved - {part.message_id for part in parts}
        results.settle(session, complete, now, gateway_id=spec.id)
        turn.submissions = submissions(going, parts, now)
        by_id = {one.message.id: one for one in going}
        for part in parts:
            one = by_id[part.message_id]
            turn.phones[part.segment_id] = one.message.phone
            if one.parts == 1:
                turn.alone[part.segment_id] = part.message_id

    def _refuse(
        self,
        session: Session,
        verdicts: dict[int, consent.Verdict],
        mine: set[int],
        now: datetime,
    ) -> None:
        """What must not be sent any more, or not now."""
        alike: dict[consent.Verdict, list[int]] = defaultdict(list)
        for number, verdict in verdicts.items():
            alike[verdict].append(number)
        steps = []
        for verdict, numbers in alike.items():
            values = {"error": verdict.error, "not_before": verdict.not_before}
            sources = states.sources(verdict.status)
            moved = claims.move(session, verdict.status, numbers, now, sources=sources, **values)
            reason, where = verdict.error, self._spec.id
            steps += [
                Transition(
                    one, "claimed" if one in mine else "queued", verdict.status, reason, where
                )
                for one in moved
            ]
        transitions.record(session, steps)

    def _after(self, news: News, turn: _Turn) -> None:
        """What may happen only once everything is committed."""
        self._sound = True
        for token in news.landed():
            self._flying.pop(token, None)
            self._alone.pop(token, None)
        self._pool = turn.pool
        self._flying |= turn.phones
        self._alone |= turn.alone
        if turn.submissions:
            self._port.submit(turn.submissions)
        if news.deliveries:
            self._acknowledge(news.deliveries)
        self._doings.note(news, len(turn.submissions))

    def _acknowledge(self, deliveries: list[Delivery]) -> None:
        unread = sum(one.receipt is None and one.inbound is None for one in deliveries)
        if unread:
            log.warning(
                "gateway %s: %d reports without a state were set aside", self._spec.name, unread
            )
        self._port.acknowledge(deliveries, ESME_ROK)

    def _share_rate(self, *, first: bool = False) -> None:
        """Take this bind's share of the account's rate; a new one waits until the others made room."""
        spec = self._spec
        if spec.rate is None or not hasattr(self._port, "set_rate"):
            return
        with snapshot() as session:
            live = claims.live_binds(session, spec.id, spec.binds, clock.now())
        crowded = first and live > 1
        self._port.set_rate(spec.rate / 1000 if crowded else spec.rate / max(live, 1))

    def _leave(self) -> None:
        """Store what was heard while the gateway stopped, give the rest back and leave the lease."""
        news = self._kept
        news.take_up(self._inbox.collect(0, 1, 0))
        news.deliveries, news.batch.receipts = [], []
        now = clock.now()
        with transaction() as session:
            self._store(session, news, now)
            claims.give_back(session, [one.id for one in self._pool], now)
            claims.drop_lease(session, self._spec.id, self._runner.owner, now)


def _went_wrong(news: News) -> bool:
    """Whether something may go back to the queue, before what waits in the pool for its phone."""
    batch = news.batch
    return bool(batch.returned or any(status for _, status, _ in batch.answers))
