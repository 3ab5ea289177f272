"""One client of the SMS centre: what it sends is answered, what it is owed is handed over."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from device_sim.smsc import receipts, wire
from device_sim.smsc.behaviour import Behaviour
from device_sim.smsc.line import Ended, Line
from device_sim.smsc.owed import Inbound, Parcel, Report

if TYPE_CHECKING:
    from device_sim.smsc.centre import Centre

_KINDS = {
    wire.BIND_RECEIVER: "rx",
    wire.BIND_TRANSMITTER: "tx",
    wire.BIND_TRANSCEIVER: "trx",
}
_FOR_NOW = {wire.SYSTEM_ERROR, wire.QUEUE_FULL, 0x45, wire.THROTTLED, 0x64}
"""Statuses by which a client asks for the same again later."""
_AGAIN_SECONDS = 2.0
_FAREWELL_SECONDS = 3.0
_DROPS = ("before", "taken", "half", "answered")
_STRANGE_COMMAND = 0x00010200


class Client:
    """One connection; its thread is the centre's."""

    def __init__(self, centre: Centre, line: Line, number: int, peer: str) -> None:
        self.line = line
        self.number = number
        self.peer = peer
        self.system_id = ""
        self.kind = ""
        self.open = True
        self.since = self._heard = time.monotonic()
        self.counts: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.unanswered = 0
        self.under_way: dict[int, tuple[str, float]] = {}
        self._centre = centre
        self._incoming = bytearray()
        self._sequence = 0
        self._enquiries = 0
        self._leaving = 0.0
        self._writer = receipts.Writer()
        self._handlers: dict[int, Callable[[wire.Frame], None]] = {
            wire.SUBMIT_SM: self._submit,
            wire.DATA_SM: self._submit,
            wire.QUERY_SM: self._query,
            wire.CANCEL_SM: self._cancel,
            wire.ENQUIRE_LINK: self._enquired,
            wire.UNBIND: self._unbind,
            wire.GENERIC_NACK: self._acknowledged,
            wire.DELIVER_SM | wire.RESPONSE: self._acknowledged,
            wire.DATA_SM | wire.RESPONSE: self._acknowledged,
            wire.UNBIND | wire.RESPONSE: lambda _: self.close(),
            **dict.fromkeys(wire.BIND, self._bind),
        }

    @property
    def room(self) -> int:
        """How many more parcels it may be handed."""
        if self.kind not in ("rx", "trx") or self._leaving or self.line.full:
            return 0
        return self._centre.behaviour.receipt_window - len(self.under_way)

    # What comes.

    def receive(self) -> None:
        """Read what has come and answer it."""
        try:
            self._incoming += self.line.read()
            self._heard, self._enquiries = time.monotonic(), 0
            for frame in wire.frames(self._incoming):
                if self.open:
                    self._handle(frame)
        except (Ended, wire.Broken, ConnectionError):
            self.close()
        if self.line.outgoing:
            self._centre.will_flush(self)

    def close(self) -> None:
        """End the connection at once; what it was handed and did not acknowledge is owed again."""
        if not self.open:
            return
        self.open = False
        self._centre.forget(self)
        self.line.close()
        for key, _ in self.under_way.values():
            self._centre.phones.postpone(key, 0)

    def look_after(self, now: float) -> None:
        """What time brings: reports again, enquiries, the end of a binding."""
        behaviour = self._centre.behaviour
        while self.under_way:
            sequence = next(iter(self.under_way))
            key, at = self.under_way[sequence]
            if at > now - behaviour.receipt_again:
                break
            del self.under_way[sequence]
            self._centre.phones.postpone(key, 0)
        if self._leaving and now > self._leaving:
            self.close()
        elif behaviour.unbind_after and now > self.since + behaviour.unbind_after:
            self.unbind()
        elif behaviour.enquire_every and self.system_id and self.open:
            self._enquire_when_quiet(now, behaviour.enquire_every)

    def document(self) -> dict[str, Any]:
        """This connection as JSON."""
        return {
            "number": self.number,
            "account": self.system_id,
            "kind": self.kind or "open",
            "peer": self.peer,
            "seconds": round(time.monotonic() - self.since, 1),
            "unanswered": self.unanswered,
            "under_way": len(self.under_way),
            **{
                name: self.counts[name] for name in ("submitted", "taken", "handed", "acknowledged")
            },
            "statuses": {f"0x{status:02X}": times for status, times in self.statuses.items()},
        }

    # What is done to it.

    def enquire(self) -> None:
        """Ask whether it is still there."""
        self._write(wire.pdu(wire.ENQUIRE_LINK, self._next()))

    def unbind(self) -> None:
        """Send it away; the connection ends when it has answered, or soon after."""
        if not self._leaving:
            self._leaving = time.monotonic() + _FAREWELL_SECONDS
            self._write(wire.pdu(wire.UNBIND, self._next()))

    def alert(self, phone: str) -> None:
        """Tell it that a phone can be reached again."""
        self._write(wire.alert(self._next(), phone, self.system_id))

    def strange(self) -> None:
        """Send a command that no standard knows."""
        self._write(wire.pdu(_STRANGE_COMMAND, self._next(), b"what is this?"))

    def hand_over(self, parcel: Parcel) -> None:
        """Send a report or a text from a phone."""
        sequence = self._next()
        self.under_way[sequence] = parcel.key, time.monotonic()
        self.counts["handed"] += 1
        if isinstance(parcel, Report):
            self._hand_report(sequence, parcel)
        else:
            self._hand_text(sequence, parcel)

    def _hand_report(self, sequence: int, report: Report) -> None:
        behaviour, chance = self._centre.behaviour, self._centre.chance
        if behaviour.calm_reports:
            self._write(wire.deliver(sequence, self._writer.delivery(report, behaviour)))
            return
        if chance.hit("midway", behaviour.receipt_midway):
            self._deliver(self._next(), self._writer.delivery(report, behaviour, "ENROUTE"))
        delivery = self._writer.delivery(report, behaviour)
        self._deliver(sequence, delivery)
        if chance.hit("double", behaviour.receipt_double):
            self._deliver(self._next(), delivery)
        if chance.hit("unknown", behaviour.receipt_unknown):
            nobodys = receipts.STYLES["unknown"](report.key)
            self._deliver(
                self._next(), self._writer.delivery(report, behaviour, message_id=nobodys)
            )

    def _hand_text(self, sequence: int, inbound: Inbound) -> None:
        behaviour, delivery = self._centre.behaviour, inbound.delivery
        if behaviour.strange_tlvs:
            delivery = delivery._replace(tlvs=delivery.tlvs + receipts.VENDOR_TLVS)
        if behaviour.inbound_as == "data_sm":
            self._write(wire.data(sequence, delivery))
        else:
            payload = behaviour.inbound_as == "payload"
            self._write(wire.deliver(sequence, delivery, payload=payload))

    def _deliver(self, sequence: int, delivery: wire.Delivery) -> None:
        behaviour = self._centre.behaviour
        if behaviour.strange_tlvs:
            delivery = delivery._replace(tlvs=delivery.tlvs + receipts.VENDOR_TLVS)
        write = wire.data if behaviour.receipt_as == "data_sm" else wire.deliver
        self._write(write(sequence, delivery))

    # One handler for each command.

    def _handle(self, frame: wire.Frame) -> None:
        handler = self._handlers.get(frame.command)
        if handler is not None:
            handler(frame)
        elif not frame.command & wire.RESPONSE:
            self._write(wire.pdu(wire.GENERIC_NACK, frame.sequence, b"", wire.INVALID_COMMAND_ID))

    def _bind(self, frame: wire.Frame) -> None:
        behaviour = self._centre.behaviour
        status, system_id = self._judge_bind(frame, behaviour)
        if status == wire.OK:
            self.system_id, self.kind = system_id, _KINDS[frame.command]
        body = b"" if status else b"simulated\0" + wire.tlv(wire.TAG_VERSION, b"\x34")
        self._answer(frame, body, status, behaviour.bind_delay)

    def _judge_bind(self, frame: wire.Frame, behaviour: Behaviour) -> tuple[int, str]:
        if self.system_id:
            return wire.ALREADY_BOUND, ""
        try:
            system_id, password = wire.read_bind(frame.body)
        except ValueError:
            return wire.INVALID_COMMAND_LENGTH, ""
        status = behaviour.let_in(system_id, password)
        if not status and behaviour.binds and self._centre.bound(system_id) >= behaviour.binds:
            status = wire.BIND_FAILED
        return status, system_id

    def _submit(self, frame: wire.Frame) -> None:
        behaviour = self._centre.behaviour
        self.counts["submitted"] += 1
        if self.kind not in ("tx", "trx"):
            self._answer(frame, status=wire.INVALID_BIND_STATE)
            return
        read = wire.read_submit if frame.command == wire.SUBMIT_SM else wire.read_data
        try:
            submitted = read(frame.body)
        except wire.Broken:
            self._answer(frame, status=wire.INVALID_COMMAND_LENGTH)
            return
        if not behaviour.serves(submitted.destination):
            self._answer(frame, status=wire.INVALID_DESTINATION)
        elif behaviour.calm:
            message_id = receipts.answer_id(self._take(submitted, behaviour), behaviour)
            self._answer(frame, message_id.encode() + b"\0")
        else:
            self._submit_in_trouble(frame, submitted, behaviour)

    def _take(self, submitted: wire.Submitted, behaviour: Behaviour) -> str:
        """Take a text and decide what becomes of it; its message id."""
        self.counts["taken"] += 1
        fate, chance = None, self._centre.chance
        if submitted.wants_report:
            fate = chance.fate(behaviour)
            if submitted.validity:
                fate = receipts.expired(submitted.validity, fate)
            lost = chance.hit("loss", behaviour.receipt_loss)
            if lost or not receipts.wanted(submitted, fate[0]):
                fate = None
        message_id = self._centre.phones.accept(submitted, self.system_id, fate)
        if behaviour.receipt_bind != "any" and fate:
            self._centre.origins[message_id] = self.number
        return message_id

    def _submit_in_trouble(
        self, frame: wire.Frame, submitted: wire.Submitted, behaviour: Behaviour
    ) -> None:
        """Everything that may go wrong with one text, in the order in which it would."""
        chance = self._centre.chance
        drop = ""
        if chance.hit("drop", behaviour.drop):
            drop = behaviour.drop_at
            drop = chance.row("drop at").choice(_DROPS) if drop == "any" else drop
        if drop == "before":
            raise ConnectionResetError("as the behaviour wants")
        status = self._trouble(submitted, behaviour)
        body = b""
        if not status:
            message_id = self._take(submitted, behaviour)
            body = receipts.answer_id(message_id, behaviour).encode() + b"\0"
            if chance.hit("early", behaviour.receipt_early):
                self._report_early(message_id)
        if behaviour.strange_tlvs:
            body += receipts.VENDOR_TLVS
        if drop:
            self._break_off(frame, body, status, drop)
        if chance.hit("never", behaviour.answer_never):
            self.unanswered += 1
            return
        late = chance.hit("late", behaviour.answer_late)
        delay = chance.seconds("answer", behaviour.answer_delay)
        self._answer(frame, body, status, behaviour.late_seconds if late else delay)
        if chance.hit("strange", behaviour.strange_pdus):
            self.strange()

    def _trouble(self, submitted: wire.Submitted, behaviour: Behaviour) -> int:
        """The status of a text that is not taken, or 0."""
        if behaviour.window and self.unanswered >= behaviour.window:
            return wire.THROTTLED
        if behaviour.rate and not self._centre.may_pass(self.system_id, behaviour.rate):
            return wire.THROTTLED
        if behaviour.queue and self._centre.phones.counts()["reports_owed"] >= behaviour.queue:
            return wire.QUEUE_FULL
        refusal = behaviour.refusal(submitted.destination) if behaviour.refuse else wire.OK
        return refusal or self._centre.chance.status(behaviour.errors)

    def _report_early(self, message_id: str) -> None:
        parcel = self._centre.phones.claim(message_id)
        if parcel is not None and self.kind == "trx":
            self.hand_over(parcel)
        elif parcel is not None:
            self._centre.phones.postpone(message_id, 0)

    def _break_off(self, frame: wire.Frame, body: bytes, status: int, drop: str) -> None:
        """Break the connection around an answer. Raises ConnectionResetError."""
        if drop != "taken":
            octets = wire.pdu(frame.command | wire.RESPONSE, frame.sequence, body, status)
            self._write(octets[: len(octets) // 2] if drop == "half" else octets)
            self.line.flush()
        raise ConnectionResetError("as the behaviour wants")

    def _query(self, frame: wire.Frame) -> None:
        try:
            message_id = wire.read_message_id(frame.body)
        except ValueError:
            self._answer(frame, status=wire.INVALID_COMMAND_LENGTH)
            return
        state = self._centre.phones.state_of(message_id)
        if state is None:
            self._answer(frame, status=wire.QUERY_FAILED)
        else:
            number = bytes([wire.STATES[state], 0])
            self._answer(frame, message_id.encode() + b"\0\0" + number)

    def _cancel(self, frame: wire.Frame) -> None:
        self._answer(frame, status=wire.CANCEL_FAILED)  # the text is on the phone already

    def _enquired(self, frame: wire.Frame) -> None:
        if not self._centre.behaviour.deaf:
            self._answer(frame)

    def _unbind(self, frame: wire.Frame) -> None:
        self._answer(frame)
        self.line.flush()
        self.close()

    def _acknowledged(self, frame: wire.Frame) -> None:
        key, _ = self.under_way.pop(frame.sequence, ("", 0.0))
        if not key:
            return
        self.counts["acknowledged"] += 1
        phones = self._centre.phones
        if frame.status == wire.OK:
            phones.reported(key)
        elif frame.status in _FOR_NOW:
            phones.postpone(key, _AGAIN_SECONDS)
        else:
            phones.refused(key, frame.status)

    # Writing.

    def _answer(
        self, frame: wire.Frame, body: bytes = b"", status: int = wire.OK, delay: float = 0.0
    ) -> None:
        octets = wire.pdu(frame.command | wire.RESPONSE, frame.sequence, body, status)
        if status:
            self.statuses[status] += 1
        if not delay:
            self._write(octets)
            return
        self.unanswered += 1
        self._centre.later(delay, lambda: self._answer_late(octets))

    def _answer_late(self, octets: bytes) -> None:
        self.unanswered -= 1
        if self.open:
            self._write(octets)

    def _write(self, octets: bytes) -> None:
        self.line.outgoing += octets
        self._centre.will_flush(self)

    def _next(self) -> int:
        self._sequence = self._sequence % 0x7FFFFFFF + 1
        return self._sequence

    def _enquire_when_quiet(self, now: float, every: float) -> None:
        if now < self._heard + every * (self._enquiries + 1):
            return
        if self._enquiries >= 2:
            self.close()
            return
        self._enquiries += 1
        self.enquire()
