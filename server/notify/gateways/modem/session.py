"""A GSM modem as a gateway: one text at a time out, texts and reports in, and a watch over the port.

What arrives is given up for storing first and deleted from the SIM card only after that is committed.
A text is written once: when the line breaks or nobody answers after Ctrl-Z, it is unknown, and the
class of its notice decides what becomes of it.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from server.notify.gateways.modem import units
from server.notify.gateways.modem.config import ModemConfig
from server.notify.gateways.modem.link import Link, NotSent, Refused, Uncertain
from server.notify.gateways.modem.setup import Unusable, set_up
from server.notify.gateways.modem.talk import Event, Line, Stored, Unit
from server.notify.gateways.port import Delivery, Listener, Submission
from server.notify.gateways.waiting import Waiting
from server.notify.rules import tpdu
from server.notify.rules.answers import BIND, MODEM, classify

log = logging.getLogger(__name__)

_PUMP_SECONDS = 0.5
_LIST_PATIENCE = 3  # a full SIM card takes long to read aloud
_UNKNOWN_ERROR = 500
_REGISTERED = ("1", "5")


class _Handle(NamedTuple):
    """Where a delivery lies: the opening of the port, the memory and the place; no memory: nowhere."""

    opening: int
    memory: str
    place: int


class ModemGateway:
    """One modem (see `port.Port`); owns its port from `start` to `stop`."""

    most = 2

    def __init__(self, name: str, gateway_id: int, config: ModemConfig, listener: Listener) -> None:
        self.name = name
        self.config = config
        self._gateway_id = gateway_id
        self._listener = listener
        self._waiting = Waiting()
        self._acknowledged: deque[tuple[_Handle, int]] = deque()
        self._stopping = threading.Event()
        self._stop_by: float | None = None
        self._wake_out, self._wake_in = os.pipe()
        os.set_blocking(self._wake_out, False)
        os.set_blocking(self._wake_in, False)
        self._said = ("", "")
        self._openings = 0
        self._failures = 0
        self._late: Submission | None = None
        self._places: deque[Stored] = deque()
        self._given: set[tuple[str, int]] = set()
        self._memory = ""
        self._thread = threading.Thread(target=self._run, name=f"modem-{name}", daemon=True)

    # --- the port's side --------------------------------------------------------------

    def start(self) -> None:
        """Begin to open the port."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the text under way, within `drain_seconds`, and give the port back."""
        self._stop_by = time.monotonic() + self.config.drain_seconds
        self._stopping.set()
        self._wake()
        self._thread.join(self.config.drain_seconds + 10)
        os.close(self._wake_in)
        os.close(self._wake_out)
        self._say("stopped", "")

    def room(self) -> int:
        """One text at a time: what is given up for sending and not written is unknown after a crash."""
        return self._waiting.room(1)

    def submit(self, submissions: Sequence[Submission]) -> None:
        """Take texts; they are sent one after the other."""
        self._waiting.add(submissions)
        self._wake()

    def acknowledge(self, deliveries: Sequence[Delivery], status: int) -> None:
        """What is stored is deleted from the SIM card; what is not stays and is read again."""
        self._acknowledged.extend((delivery.handle, status) for delivery in deliveries)
        self._wake()

    def _wake(self) -> None:
        try:
            os.write(self._wake_in, b".")
        except OSError:
            return  # the pipe is full: it is awake, or closed: it has ended

    # --- the thread -------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._live()
            except Unusable as problem:
                self._say("refused", str(problem))
                self._waiting.give_back(self._listener)
                self._stopping.wait()
            except OSError as problem:
                self._rest(str(problem) or type(problem).__name__)
            except Exception as problem:  # a thread that died would leave the modem alone for ever
                log.exception("gateway %s: the modem's thread failed", self.name)
                self._rest(type(problem).__name__)
        self._waiting.give_back(self._listener)

    def _live(self) -> None:
        """One opening of the port, until stopped or until the line breaks."""
        self._say("connecting", self.config.device)
        link = Link(self.config, self._unasked, self._wake_out, lambda: self._stop_by)
        try:
            self._openings += 1
            self._places.clear()
            self._given.clear()
            set_up(link, self.config)
            self._memory = "SM" if link.tries('AT+CPMS="SM","SM","SM"') else ""
            self._serve(link)
        finally:
            self._waiting.set_open(False)
            link.close()

    def _serve(self, link: Link) -> None:
        looked = float("-inf")
        while True:
            if time.monotonic() - looked >= self.config.look_seconds:
                self._look(link)
                looked = time.monotonic()
                self._failures = 0
            while self._places:
                self._read(link, self._places.popleft())
            while self._acknowledged:
                self._clear(link, *self._acknowledged.popleft())
            if self._stopping.is_set():
                return
            taken = self._waiting.take(1) if self._waiting.is_open else []
            for submission in taken:
                self._send(link, submission)
            if not taken:
                link.pump(_PUMP_SECONDS)

    # --- looking after the modem ------------------------------------------------------

    def _look(self, link: Link) -> None:
        """The network, the room on the SIM card, and what lies there unread. Silence opens anew."""
        network = link.answer("AT+CREG?", "+CREG:")
        registered = not network or network.split(",")[-1].strip() in _REGISTERED
        self._waiting.set_open(registered)
        memories = ["SM", *(["SR"] if self.config.reports == "stored" else [])]
        for memory in memories:
            if self._choose(link, memory):
                self._list(link, memory)
        full = self._fullness(link)
        if not registered:
            self._say("paused", "the modem is in no network")
        elif full:
            self._say("bound", full)
        else:
            self._say("bound", self._signal(link))

    def _fullness(self, link: Link) -> str:
        """An alarm when the SIM card has no place left: the network then holds texts back."""
        self._choose(link, "SM")
        fields = link.answer("AT+CPMS?", "+CPMS:").replace('"', "").split(",")
        if len(fields) < 3 or not (fields[1].isdecimal() and fields[2].isdecimal()):
            return ""
        used, size = int(fields[1]), int(fields[2])
        if not size or used < size:
            return ""
        if self._said[1].find("SIM card is full") < 0:
            log.error("gateway %s: the SIM card is full (%d of %d)", self.name, used, size)
        return f"the SIM card is full ({used} of {size}): no more texts come in"

    def _signal(self, link: Link) -> str:
        strength = link.answer("AT+CSQ", "+CSQ:").split(",")[0].strip()
        if not strength.isdecimal() or int(strength) > 31:
            return ""
        return "weak signal" if int(strength) < 6 else ""

    def _choose(self, link: Link, memory: str) -> bool:
        """Work on this memory; False when the modem has none of that name."""
        if memory == self._memory or not self._memory:
            return memory in ("", "SM") or memory == self._memory
        if not link.tries(f'AT+CPMS="{memory}"'):
            return False
        self._memory = memory
        return True

    # --- what comes in ----------------------------------------------------------------

    def _unasked(self, event: Event) -> None:
        """Anything the modem says of its own accord, at any moment; only notes are taken here."""
        match event:
            case Stored():
                self._places.append(event)
            case Unit():
                self._give(event.digits, _Handle(self._openings, "", 0))
            case Line() if event.text.startswith("+CMGS:") and self._late is not None:
                late, self._late = self._late, None
                digits = event.text.removeprefix("+CMGS:").strip()
                if digits.isdecimal():
                    name = tpdu.carrier_id(int(digits) & 0xFF, late.phone)
                    self._listener.answered([(late.token, 0, name)])
            case _:
                return

    def _list(self, link: Link, memory: str) -> None:
        """Give up for storing whatever lies on the SIM card."""
        try:
            told = link.ask("AT+CMGL=4", _LIST_PATIENCE * self.config.answer_seconds)
        except Refused:
            return
        for unit in told:
            if isinstance(unit, Unit) and unit.told == "CMGL" and unit.fields[0].isdecimal():
                self._give_stored(unit, memory, int(unit.fields[0]))

    def _read(self, link: Link, at: Stored) -> None:
        if not self._choose(link, at.memory) or (at.memory, at.place) in self._given:
            return
        try:
            told = link.ask(f"AT+CMGR={at.place}")
        except Refused:
            return  # it has gone, or comes with the next look
        for unit in told:
            if isinstance(unit, Unit) and unit.told == "CMGR":
                self._give_stored(unit, at.memory, at.place)

    def _give_stored(self, unit: Unit, memory: str, place: int) -> None:
        if (memory, place) not in self._given:
            self._given.add((memory, place))
            self._give(unit.digits, _Handle(self._openings, memory, place))

    def _give(self, digits: str, handle: _Handle) -> None:
        """Tell the listener; a unit that cannot be read stays where it lies."""
        try:
            unit = tpdu.read(digits)
        except tpdu.BadUnit as problem:
            log.warning("gateway %s: %s", self.name, problem.message)
            return
        if isinstance(unit, tpdu.Report):
            self._listener.delivered([Delivery(handle, units.receipt(unit))])
        else:
            self._listener.delivered(
                [
                    Delivery(
                        handle,
                        None,
                        units.inbound(unit, digits, self._gateway_id, self.config.source),
                    )
                ]
            )

    def _clear(self, link: Link, handle: _Handle, status: int) -> None:
        """After the commit: delete what was stored, and confirm what came directly."""
        if handle.opening != self._openings:
            return  # places may hold others by now; a look has found ours again
        if not handle.memory:
            if status == 0:
                link.tries("AT+CNMA")  # one that wants no confirmation refuses it
            return
        self._given.discard((handle.memory, handle.place))
        if status == 0 and self._choose(link, handle.memory):
            link.tries(f"AT+CMGD={handle.place}")

    # --- what goes out ----------------------------------------------------------------

    def _send(self, link: Link, submission: Submission) -> None:
        """One segment, once. Raises OSError when the port is to be opened anew."""
        self._late = None
        token = submission.token
        try:
            report = self.config.reports != "none"
            reference = link.submit(units.submit(submission, report=report))
            name = tpdu.carrier_id(reference, submission.phone)
            self._waiting.landed(1)
            self._listener.answered([(token, 0, name)])
        except Refused as problem:
            self._waiting.landed(1)
            code = _UNKNOWN_ERROR if problem.code is None else problem.code
            self._listener.answered([(token, MODEM + code, "")])
            if classify(MODEM + code) == BIND:
                raise OSError(f"the modem answers {code}") from problem
        except NotSent:
            self._waiting.landed(1)
            self._listener.returned([token])
            raise
        except Uncertain as problem:
            # The answer may still come; until the next text it is known whose it is.
            self._late = submission
            self._waiting.landed(1)
            self._listener.lost([token], cut=problem.cut)
            if problem.cut:
                raise OSError(str(problem)) from problem
            link.wake_up()

    # --- saying how it is -------------------------------------------------------------

    def _rest(self, reason: str) -> None:
        """Wait before the port is opened anew: longer each time, and spread."""
        self._waiting.give_back(self._listener)
        self._failures += 1
        config = self.config
        pause = config.retry_first_seconds * 2 ** min(self._failures - 1, 20)
        pause = min(pause, config.retry_most_seconds) * random.uniform(0.5, 1.0)  # noqa: S311
        self._say("waiting", f"{reason}; next try in {pause:.1f} s")
        self._stopping.wait(pause)

    def _say(self, state: str, detail: str) -> None:
        if (state, detail) == self._said:
            return
        self._said = (state, detail)
        level = logging.WARNING if state in ("waiting", "refused", "paused") else logging.INFO
        log.log(level, "gateway %s: %s %s", self.name, state, detail)
        self._listener.changed(state, detail)
