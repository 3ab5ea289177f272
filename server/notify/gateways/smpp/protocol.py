"""One SMPP connection as a machine without socket, thread or clock: octets and times in, events out.

It owns the sequence numbers, the window, the enquiries and the pause that throttling asks for.
The thread in `session` feeds it and carries its octets; tests drive it by hand.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Any, Literal

from server.notify.gateways.port import Delivery, Submission
from server.notify.gateways.smpp import codec
from server.notify.gateways.smpp.config import SmppConfig
from server.notify.rules import answers

_LATE_KEPT = 10_000
_LAST_SEQUENCE = 0x7FFFFFFF
_ENQUIRIES_UNANSWERED = 2

LinkState = Literal["binding", "bound", "unbinding", "closed"]


@dataclass(frozen=True)
class Bound:
    """The carrier let us in."""


@dataclass(frozen=True)
class Answered:
    """A submission was answered with `status`; `late` when it had been given up before."""

    token: int
    status: int
    message_id: str
    late: bool = False


@dataclass(frozen=True)
class TimedOut:
    """No answer came to a submission within the response time."""

    token: int


@dataclass(frozen=True)
class Paused:
    """The carrier asked for a slower pace; nothing is sent for `seconds`."""

    seconds: float


@dataclass(frozen=True)
class Resumed:
    """The pause is over and sending goes on."""


@dataclass(frozen=True)
class Closed:
    """The connection has to be closed; `status` is that of a refused bind, else None."""

    reason: str
    status: int | None = None


Event = Bound | Answered | TimedOut | Paused | Resumed | Closed | Delivery


class Link:
    """The state of one connection; `outgoing` holds the octets to be written next."""

    def __init__(self, config: SmppConfig, now: float, connection: int = 0) -> None:
        self.config = config
        self.connection = connection
        self.state: LinkState = "binding"
        self.outgoing = bytearray()
        self.waiting: deque[Submission] = deque()
        self._incoming = bytearray()
        self._sequence = 0
        self._window: OrderedDict[int, tuple[int, float]] = OrderedDict()
        self._late: OrderedDict[int, tuple[int, float]] = OrderedDict()
        self._enquiries = 0
        self._heard = self._asked = now
        self._paused_until = now
        self._pause = 0.0
        self._is_paused = False
        self._deadline = now + config.response_seconds
        self._bind()

    # --- what comes in ---------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Take octets as they come, in whatever pieces, and say what they mean."""
        self._incoming += data
        self._heard, self._enquiries = now, 0
        events: list[Event] = []
        try:
            for frame in codec.frames(self._incoming):
                events += self._frame(frame, now)
        except codec.BadFrame as problem:
            self._write("generic_nack", 0, status=codec.ESME_RINVCMDLEN)
            events.append(self._close(str(problem)))
        self._fill(now)
        return events

    def _frame(self, frame: bytes, now: float) -> list[Event]:
        try:
            pdu = codec.decode(frame)
        except codec.BadPdu as problem:
            return self._unreadable(problem)
        match pdu.command:
            case "submit_sm_resp":
                return self._answer(pdu, now)
            case "deliver_sm" | "data_sm":
                return [self._delivery(pdu)]
            case "enquire_link":
                self._write("enquire_link_resp", pdu.sequence)
            case "unbind":
                self._write("unbind_resp", pdu.sequence)
                return [self._close("the carrier took leave")]
            case "unbind_resp":
                return [self._close("unbound")]
            case "bind_transceiver_resp":
                return [self._bind_answer(pdu)]
            case "generic_nack":
                return self._answer(pdu, now)
            case "enquire_link_resp" | "alert_notification":
                return []
            case _ if pdu.command.endswith("_resp"):
                return []
            case _:
                self._write("generic_nack", pdu.sequence, status=codec.ESME_RINVCMDID)
        return []

    def _unreadable(self, problem: codec.BadPdu) -> list[Event]:
        """Refuse what cannot be read under its own name where it has one, so that it is never left open."""
        if problem.command in ("deliver_sm", "data_sm"):
            self._write(f"{problem.command}_resp", problem.sequence, status=problem.status)
        elif problem.command is None or not problem.command.endswith("_resp"):
            self._write("generic_nack", problem.sequence, status=problem.status)
        return []

    def _bind_answer(self, pdu: codec.Pdu) -> Event:
        if pdu.status != codec.ESME_ROK:
            return self._close(f"bind refused with status 0x{pdu.status:02x}", pdu.status)
        if self.state == "binding":
            self.state = "bound"
        return Bound()

    def _answer(self, pdu: codec.Pdu, now: float) -> list[Event]:
        late = pdu.sequence not in self._window
        found = (self._late if late else self._window).pop(pdu.sequence, None)
        if found is None:
            if self.state == "binding" and pdu.command == "generic_nack":
                return [self._close("the bind was not understood", pdu.status)]
            return []
        events: list[Event] = [Answered(found[0], pdu.status, pdu.message_id, late)]
        kind = answers.classify(pdu.status, self.config.statuses)
        if kind == answers.THROTTLE:
            events += self._slow_down(now)
        elif kind == answers.OK:
            self._pause = 0.0
        return events

    def _slow_down(self, now: float) -> list[Event]:
        if now < self._paused_until:
            return []  # the rest of the same window; one refusal is one reason to slow down
        first, most = self.config.throttle_first_seconds, self.config.throttle_most_seconds
        self._pause = min(max(self._pause * 2, first), most)
        self._paused_until, self._is_paused = now + self._pause, True
        return [Paused(self._pause)]

    def _delivery(self, pdu: codec.Pdu) -> Delivery:
        return Delivery(
            self.connection, pdu.sequence, pdu.command, pdu.is_report, pdu.body, pdu.tlvs
        )

    # --- what goes out ---------------------------------------------------------------------

    def submit(self, submission: Submission, now: float) -> None:
        """Queue one submission; it is written as soon as the window and the pause allow."""
        self.waiting.append(submission)
        self._fill(now)

    def acknowledge(self, delivery: Delivery, status: int) -> None:
        """Answer a delivery of this connection; one of an earlier connection needs no answer any more."""
        if delivery.connection == self.connection and self.state != "closed":
            self._write(f"{delivery.command}_resp", delivery.sequence, status=status)

    def unbind(self, now: float) -> None:
        """Take leave; `receive` reports Closed when the carrier has answered."""
        self.state = "unbinding"
        self._deadline = now + self.config.drain_seconds
        self._write("unbind", self._next())

    def paused(self, now: float) -> bool:
        """Whether the carrier's request for a slower pace still holds."""
        return now < self._paused_until

    def in_flight(self) -> list[int]:
        """The tokens that were written and not answered."""
        return [token for token, _ in self._window.values()]

    def tick(self, now: float) -> list[Event]:
        """Do what is due by time: enquire, give up answers, go on after a pause."""
        events: list[Event] = [
            TimedOut(token) for token in self._overdue(now, self.config.response_seconds)
        ]
        while self._late and next(iter(self._late.values()))[1] + self.config.late_seconds < now:
            self._late.popitem(last=False)
        if self.state in ("binding", "unbinding") and now >= self._deadline:
            events.append(self._close(f"no answer while {self.state}"))
        elif self.state == "bound":
            events += self._enquire(now)
            if self._is_paused and not self.paused(now):
                self._is_paused = False
                events.append(Resumed())
            self._fill(now)
        return events

    def _overdue(self, now: float, after: float) -> list[int]:
        given_up = []
        while self._window and next(iter(self._window.values()))[1] + after <= now:
            sequence, entry = self._window.popitem(last=False)
            self._late[sequence] = entry
            given_up.append(entry[0])
        while len(self._late) > _LATE_KEPT:
            self._late.popitem(last=False)
        return given_up

    def _enquire(self, now: float) -> list[Event]:
        if now - max(self._heard, self._asked) < self.config.enquire_seconds:
            return []
        if self._enquiries >= _ENQUIRIES_UNANSWERED:
            return [self._close("two enquiries without an answer")]
        self._enquiries += 1
        self._asked = now
        self._write("enquire_link", self._next())
        return []

    def _fill(self, now: float) -> None:
        while (
            self.waiting
            and self.state == "bound"
            and len(self._window) < self.config.window
            and not self.paused(now)
        ):
            submission = self.waiting.popleft()
            sequence = self._next()
            self._window[sequence] = (submission.token, now)
            self._write("submit_sm", sequence, **self._fields(submission))

    def _fields(self, submission: Submission) -> dict[str, Any]:
        config = self.config
        return {
            "source_addr_ton": config.source_ton,
            "source_addr_npi": config.source_npi,
            "source_addr": config.source,
            "dest_addr_ton": config.destination_ton,
            "dest_addr_npi": config.destination_npi,
            "destination_addr": submission.phone if config.plus else submission.phone[1:],
            "esm_class": codec.esm_class(header=bool(submission.header)),
            "validity_period": validity_period(submission.validity),
            "registered_delivery": 1,
            "data_coding": 8 if submission.encoding == "ucs2" else 0,
            "short_message": submission.header + submission.body,
        }

    def _bind(self) -> None:
        config = self.config
        self._write(
            "bind_transceiver",
            self._next(),
            system_id=config.system_id,
            password=config.password,
            system_type=config.system_type,
        )

    def _write(self, name: str, sequence: int, *, status: int = 0, **fields: Any) -> None:
        self.outgoing += codec.encode(name, sequence, status=status, **fields)

    def _next(self) -> int:
        self._sequence = self._sequence % _LAST_SEQUENCE + 1
        return self._sequence

    def _close(self, reason: str, status: int | None = None) -> Closed:
        self.state = "closed"
        return Closed(reason, status)


def validity_period(seconds: int | None) -> str:
    """Seconds as SMPP's relative time `YYMMDDhhmmss000R`, at most 99 days; empty for the carrier's own."""
    if seconds is None:
        return ""
    left = min(max(seconds, 1), 99 * 86400)
    days, rest = divmod(left, 86400)
    months, days = divmod(days, 30)  # the relative form counts a month as thirty days
    return f"00{months:02d}{days:02d}{rest // 3600:02d}{rest % 3600 // 60:02d}{rest % 60:02d}000R"
