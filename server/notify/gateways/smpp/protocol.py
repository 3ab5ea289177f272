"""One SMPP connection as a machine without socket, thread or clock: octets and times in, news out.

It owns the sequence numbers, the window, the enquiries and the pace. The thread in `session` feeds it
and carries its octets; tests drive it by hand. What comes by the thousand goes through `fast`, all the
rest through `codec`.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from server import clock
from server.notify.gateways.port import Answer, Delivery, Submission
from server.notify.gateways.smpp import codec, fast
from server.notify.gateways.smpp.config import SmppConfig
from server.notify.gateways.smpp.pace import Pace
from server.notify.rules import answers, receipts
from server.notify.rules.inbound import from_smpp
from server.notify.rules.segments import header

_LATE_KEPT = 10_000
_LAST_SEQUENCE = 0x7FFFFFFF
_ENQUIRIES_UNANSWERED = 2
_SAR_REFERENCE, _SAR_TOTAL, _SAR_PART = 0x020C, 0x020E, 0x020F

LinkState = Literal["binding", "bound", "unbinding", "closed"]


class Handle(NamedTuple):
    """The place to answer a delivery: the connection it came by, its sequence number and command."""

    connection: int
    sequence: int
    command: str


@dataclass(frozen=True)
class Closed:
    """The connection has to be closed; `status` is that of a refused bind, else None."""

    reason: str
    status: int | None = None


@dataclass
class News:
    """What happened: answers (late ones too), tokens given up, deliveries, changes of state, the end."""

    answered: list[Answer] = field(default_factory=list)
    late: list[int] = field(default_factory=list)
    timed_out: list[int] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    states: list[tuple[str, str]] = field(default_factory=list)
    closed: Closed | None = None

    def __bool__(self) -> bool:
        return bool(
            self.answered or self.timed_out or self.deliveries or self.states or self.closed
        )


class Link:
    """The state of one connection; `outgoing` holds the octets to be written next."""

    def __init__(
        self, config: SmppConfig, now: float, connection: int = 0, gateway_id: int = 0
    ) -> None:
        self.config = config
        self.connection = connection
        self.state: LinkState = "binding"
        self.outgoing = bytearray()
        self.waiting: deque[Submission] = deque()
        self.pace = Pace(
            config.rate or None, config.throttle_first_seconds, config.throttle_most_seconds, now
        )
        self._gateway_id = gateway_id
        self._incoming = bytearray()
        self._sequence = 0
        self._window: OrderedDict[int, tuple[int, float]] = OrderedDict()
        self._late: OrderedDict[int, tuple[int, float]] = OrderedDict()
        self._enquiries = 0
        self._heard = self._asked = now
        self._is_paused = False
        self._deadline = now + config.response_seconds
        self._submit_sm = fast.submitter(
            config.source,
            (config.source_ton, config.source_npi),
            (config.destination_ton, config.destination_npi),
        )
        self._bind()

    # --- what comes in ---------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> News:
        """Take octets as they come, in whatever pieces, and say what they mean."""
        self._incoming += data
        self._heard, self._enquiries = now, 0
        news = News()
        found, octets, trouble = fast.cut(self._incoming)
        accepted = 0
        for command, status, sequence, start, end in found:
            if command == fast.SUBMIT_SM_RESP:
                name = fast.read_message_id(octets, start, end)
                accepted += self._answer(news, sequence, status, name, now)
            elif command == fast.DELIVER_SM:
                self._delivery(news, octets, sequence, start, end)
            else:
                self._other(news, octets[start - fast.MIN_LENGTH : end], now)
        if accepted:
            self.pace.accepted(now, accepted)
        if trouble is not None:
            self._write("generic_nack", 0, status=codec.ESME_RINVCMDLEN)
            self._close(news, str(trouble))
        self._fill(news, now)
        return news

    def _answer(self, news: News, sequence: int, status: int, name: str, now: float) -> int:
        """Match an answer with its submission; 1 when it was taken."""
        found = self._window.pop(sequence, None)
        if found is None:
            found = self._late.pop(sequence, None)
            if found is None:
                return 0
            news.late.append(found[0])
        news.answered.append((found[0], status, name))
        if status == 0:
            return 1
        if answers.classify(status, self.config.statuses) == answers.THROTTLE:
            pause = self.pace.throttled(now)
            if pause is not None:
                self._is_paused = True
                told = f"the carrier asked for a slower pace ({pause:g} s)"
                news.states.append(("paused", told))
        return 0

    def _delivery(self, news: News, data: bytes, sequence: int, start: int, end: int) -> None:
        try:
            read = fast.read_deliver_sm(data, start, end)
        except fast.Broken:
            self.outgoing += fast.deliver_sm_resp(sequence, codec.ESME_RINVCMDLEN)
            return
        handle = Handle(self.connection, sequence, "deliver_sm")
        if isinstance(read, fast.Delivered):
            text = from_smpp(self._gateway_id, *read, clock.now())
            news.deliveries.append(Delivery(handle, None, text))
        else:
            news.deliveries.append(Delivery(handle, read))

    def _other(self, news: News, frame: bytes, now: float) -> None:
        """Everything that is rare."""
        try:
            pdu = codec.decode(frame)
        except codec.BadPdu as problem:
            self._refuse(problem)
            return
        match pdu.command:
            case "enquire_link":
                self._write("enquire_link_resp", pdu.sequence)
            case "data_sm":
                news.deliveries.append(self._data(pdu))
            case "unbind":
                self._write("unbind_resp", pdu.sequence)
                self._close(news, "the carrier took leave")
            case "unbind_resp":
                self._close(news, "unbound")
            case "generic_nack":
                if self.state == "binding" and pdu.sequence not in self._window:
                    self._close(news, "the bind was not understood", pdu.status)
                self._answer(news, pdu.sequence, pdu.status, "", now)
            case _ if pdu.command.startswith("bind_") and pdu.command.endswith("_resp"):
                self._bind_answer(news, pdu)
            case _ if pdu.command.endswith("_resp") or pdu.command == "alert_notification":
                pass
            case _:
                self._write("generic_nack", pdu.sequence, status=codec.ESME_RINVCMDID)

    def _refuse(self, problem: codec.BadPdu) -> None:
        """Refuse what cannot be read under its own name where it has one, so that it is never left open."""
        if problem.command == "data_sm":
            self._write("data_sm_resp", problem.sequence, status=problem.status)
        elif problem.command is None or not problem.command.endswith("_resp"):
            self._write("generic_nack", problem.sequence, status=problem.status)

    def _data(self, pdu: codec.Pdu) -> Delivery:
        handle = Handle(self.connection, pdu.sequence, pdu.command)
        if pdu.is_report:
            return Delivery(handle, receipts.parse(pdu.tlvs, pdu.body))
        fields = (pdu.source, pdu.destination, pdu.esm_class, pdu.data_coding, pdu.body, pdu.tlvs)
        return Delivery(handle, None, from_smpp(self._gateway_id, *fields, clock.now()))

    def _bind_answer(self, news: News, pdu: codec.Pdu) -> None:
        if pdu.status != codec.ESME_ROK:
            self._close(news, f"bind refused with status 0x{pdu.status:02x}", pdu.status)
        elif self.state == "binding":
            self.state = "bound"
            news.states.append(("bound", ""))

    # --- what goes out ---------------------------------------------------------------------

    def submit(self, submissions: Sequence[Submission], now: float) -> News:
        """Queue submissions; they are written as soon as the window and the pace allow."""
        news = News()
        self.waiting += submissions
        self._fill(news, now)
        return news

    def acknowledge(self, deliveries: Sequence[Delivery], status: int) -> None:
        """Answer deliveries of this connection; those of an earlier one need no answer any more."""
        if self.state == "closed":
            return
        for delivery in deliveries:
            connection, sequence, command = delivery.handle
            if connection != self.connection:
                continue
            if command == "deliver_sm":
                self.outgoing += fast.deliver_sm_resp(sequence, status)
            else:
                self._write(f"{command}_resp", sequence, status=status)

    def unbind(self, now: float) -> None:
        """Take leave; `receive` reports the end when the carrier has answered."""
        self.state = "unbinding"
        self._deadline = now + self.config.drain_seconds
        self._write("unbind", self._next())

    def in_flight(self) -> list[int]:
        """The tokens that were written and not answered."""
        return [token for token, _ in self._window.values()]

    def wait(self, now: float) -> float | None:
        """Seconds until the pace lets the next one out; None when nothing waits for that."""
        if not self.waiting or self.state != "bound" or len(self._window) >= self.config.window:
            return None
        return self.pace.wait(now)

    def tick(self, now: float) -> News:
        """Do what is due by time: enquire, give up answers, go on after a pause."""
        news = News()
        self._give_up(news, now)
        if self.state in ("binding", "unbinding") and now >= self._deadline:
            self._close(news, f"no answer while {self.state}")
        elif self.state == "bound":
            self._enquire(news, now)
            if self._is_paused and not self.pace.paused(now):
                self._is_paused = False
                news.states.append(("bound", ""))
            self._fill(news, now)
        return news

    def _give_up(self, news: News, now: float) -> None:
        window, late = self._window, self._late
        while window and next(iter(window.values()))[1] + self.config.response_seconds <= now:
            sequence, entry = window.popitem(last=False)
            late[sequence] = entry
            news.timed_out.append(entry[0])
        while late and (
            len(late) > _LATE_KEPT or next(iter(late.values()))[1] + self.config.late_seconds < now
        ):
            late.popitem(last=False)

    def _enquire(self, news: News, now: float) -> None:
        if now - max(self._heard, self._asked) < self.config.enquire_seconds:
            return
        if self._enquiries >= _ENQUIRIES_UNANSWERED:
            self._close(news, "two enquiries without an answer")
            return
        self._enquiries += 1
        self._asked = now
        self._write("enquire_link", self._next())

    def _fill(self, news: News, now: float) -> None:
        """Write what waits, as far as the window and the pace allow."""
        if not self.waiting or self.state != "bound":
            return
        room = min(self.config.window - len(self._window), len(self.waiting))
        room = self.pace.allowance(now, room) if room > 0 else 0
        window, pieces = self._window, []
        for _ in range(room):
            submission = self.waiting.popleft()
            sequence = self._sequence = self._sequence % _LAST_SEQUENCE + 1
            try:
                pieces.append(self._written(submission, sequence))
            except ValueError:  # an address that fits nowhere; the standard has a status for it
                news.answered.append((submission.token, codec.ESME_RINVDSTADR, ""))
                continue
            window[sequence] = (submission.token, now)
        if pieces:
            self.pace.spend(len(pieces))
            self.outgoing += b"".join(pieces)

    def _written(self, submission: Submission, sequence: int) -> bytes:
        config = self.config
        body, esm_class, tlvs = submission.body, 0, b""
        if submission.parts > 1:
            place = (submission.reference, submission.parts, submission.part)
            if config.joining == "sar":
                tlvs = _sar(*place)
            else:
                esm_class = fast.UDHI
                body = header(*place, bits=config.reference_bits) + body
        phone = submission.phone
        return self._submit_sm(
            sequence,
            phone if config.plus else phone[1:],
            body,
            esm_class=esm_class,
            data_coding=8 if submission.encoding == "ucs2" else 0,
            validity=validity_period(submission.validity),
            tlvs=tlvs,
        )

    def _bind(self) -> None:
        config = self.config
        self._write(
            f"bind_{config.mode}",
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

    def _close(self, news: News, reason: str, status: int | None = None) -> None:
        self.state = "closed"
        news.closed = news.closed or Closed(reason, status)


def _sar(reference: int, total: int, part: int) -> bytes:
    """The optional parameters that join a part with the others."""
    return (
        fast.tlv(_SAR_REFERENCE, (reference & 0xFFFF).to_bytes(2, "big"))
        + fast.tlv(_SAR_TOTAL, bytes([total]))
        + fast.tlv(_SAR_PART, bytes([part]))
    )


@lru_cache(maxsize=4096)
def validity_period(seconds: int | None) -> str:
    """Seconds as SMPP's relative time `YYMMDDhhmmss000R`, at most 99 days; empty for the carrier's own."""
    if seconds is None:
        return ""
    left = min(max(seconds, 1), 99 * 86400)
    days, rest = divmod(left, 86400)
    months, days = divmod(days, 30)  # the relative form counts a month as thirty days
    return f"00{months:02d}{days:02d}{rest // 3600:02d}{rest % 3600 // 60:02d}{rest % 60:02d}000R"
