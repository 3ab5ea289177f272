"""A GSM modem in PDU mode that answers AT commands as patiently, or as badly, as real ones do."""

from __future__ import annotations

import heapq
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from device_sim.modem import tpdu
from device_sim.modem.commands import COMMANDS
from device_sim.modem.manners import Faults, Manners
from device_sim.modem.sim import Sim
from device_sim.modem.tpdu import CHINA, BadUnitError, Submit
from device_sim.serial.ends import Player, Plug
from device_sim.smsc import alphabet

CTRL_Z, ESC = b"\x1a", b"\x1b"
CENTRE = "+8613800100500"
_STEP_S = 0.01
_ERRORS_LEFT_OUT = "ERROR"


@dataclass(frozen=True)
class Sent:
    """A text that the network took."""

    reference: int
    unit: Submit
    raw: bytes
    at: datetime


class SimModem(Player):
    """A modem at ``link``; it can be unplugged and plugged in again under the same name.

    ``told`` is given each text the network takes, on the modem's thread.
    """

    def __init__(
        self,
        link: Path,
        manners: Manners | None = None,
        faults: Faults | None = None,
        *,
        sim: Sim | None = None,
        told: Callable[[Sent], None] = lambda _sent: None,
        now: Callable[[], datetime] = lambda: datetime.now(CHINA),
    ) -> None:
        super().__init__()
        self.manners = manners or Manners()
        self.faults = faults or Faults()
        self.sim = sim or Sim()
        self.sent: list[Sent] = []
        self.heard: list[str] = []
        self.escapes = 0
        self.pulled_by_hand = False
        self._told = told
        self._now = now
        self._link = link
        self._lock = threading.RLock()
        self._plug: Plug | None = None
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._reference = self.manners.first_reference
        self.plug_in()

    @property
    def port(self) -> str:
        """What the program under test opens."""
        return str(self._link)

    @property
    def plugged(self) -> bool:
        """Whether there is a port at all."""
        return self._plug is not None

    def plug_in(self) -> None:
        """Power it up, with the settings of the factory."""
        with self._lock:
            if self._plug is None:
                self._plug = Plug(self._link)
                self._reset()

    def unplug(self) -> None:
        """Pull it out, in whatever it is doing."""
        with self._lock:
            if self._plug is not None:
                self._plug.unplug()
                self._plug = None

    def receive(self, sender: str, text: str, reference: int = 1) -> None:
        """A text of a person arrives, in parts when it is long."""
        coding = alphabet.coding_for(text)
        parts = alphabet.cut(text, coding)
        for number, body in enumerate(parts, 1):
            many = len(parts) > 1
            header = bytes([5, 0, 3, reference & 0xFF, len(parts), number]) if many else b""
            self.receive_unit(tpdu.deliver(sender, body, coding, self._now(), header))

    def receive_unit(self, unit: bytes) -> None:
        """Any unit arrives from the network."""
        self._soon(0, lambda: self._arrived(unit))

    def report(self, reference: int, to: str, status: int = 0) -> None:
        """A delivery report about an earlier text arrives."""
        now = self._now()
        unit = tpdu.status_report(reference, to, now, now, status)
        self._soon(0, lambda: self._reported(unit))

    def say(self, line: str) -> None:
        """Say something unasked."""
        self._soon(0, lambda: self._write(f"\r\n{line}\r\n"))

    # --- living -----------------------------------------------------------------------

    def play(self) -> None:
        """Answer commands and say what is due until stopped."""
        while not self.stopped.is_set():
            plug = self._plug
            if plug is None:
                self.stopped.wait(_STEP_S)
                continue
            with suppress(OSError, ValueError):
                data = plug.read(_STEP_S)
                with self._lock:
                    if plug is self._plug:
                        self._take(data)
                        self._say_what_is_due()

    def _soon(self, seconds: float, step: Callable[[], None]) -> None:
        with self._lock:
            self._count += 1
            heapq.heappush(self._later, (time.monotonic() + seconds, self._count, step))

    def _say_what_is_due(self) -> None:
        """Unasked lines wait while a unit is being typed, as they do in real modems."""
        while self._later and not self._length and self._later[0][0] <= time.monotonic():
            heapq.heappop(self._later)[2]()

    def _reset(self) -> None:
        self._echo = self.manners.echo
        self._error_level = 0
        self._notify = (0, 0)
        self._acknowledged = False
        self._typed = b""
        self._length = 0

    def _take(self, data: bytes) -> None:
        if self.faults.dead:
            return
        if data and self._echo:
            self._write(data)
        self._typed += data
        while self._plug is not None and self._typed:
            end = re.search(rb"[\x1a\x1b]" if self._length else rb"\r", self._typed)
            if self._length and self.faults.unplug == "unit" and len(self._typed) > 8:
                self._pull()
                return
            if end is None:
                return
            piece, self._typed = self._typed[: end.start()], self._typed[end.end() :]
            self.escapes += ESC in piece + end[0]
            if self._length:
                self._unit_typed(piece, sent=end[0] == CTRL_Z)
            elif piece.strip(b"\x1a\x1b\n "):
                self._command(piece.strip(b"\x1a\x1b\n ").decode("latin-1"))

    def _write(self, text: str | bytes) -> None:
        if self._plug is not None:
            self._plug.write(text if isinstance(text, bytes) else text.encode("latin-1"))

    def _pull(self) -> None:
        self.faults.unplug = ""
        self.unplug()

    # --- sending ----------------------------------------------------------------------

    def _prompt(self, length: int) -> None:
        if self.faults.unplug == "prompt":
            self._pull()
        elif self.faults.early_errors:
            self._fail(self.faults.early_errors.pop(0))
        elif self.faults.no_prompt:
            self.faults.no_prompt -= 1
        else:
            self._length = length
            self._write("\r\n> ")

    def _unit_typed(self, typed: bytes, *, sent: bool) -> None:
        length, self._length = self._length, 0
        if not sent:
            self._write("\r\nOK\r\n")
            return
        try:
            raw = bytes.fromhex(typed.decode("latin-1").strip())
            unit = raw[raw[0] + 1 :]
            submit = tpdu.read_submit(unit)
        except (ValueError, IndexError, BadUnitError):
            self._fail(304)
            return
        if len(unit) != length:
            self._fail(304)
        elif self.faults.errors:
            self._fail(self.faults.errors.pop(0))
        else:
            self._send(submit, unit)

    def _send(self, submit: Submit, raw: bytes) -> None:
        reference, at = self._reference, self._now()
        self._reference = (reference + 1) % 256
        self.sent.append(Sent(reference, submit, raw, at))
        self._told(self.sent[-1])
        wait = self.manners.report_s
        if submit.wants_report and wait is not None:
            status = self.manners.report_status
            unit = tpdu.status_report(reference, submit.to, at, at, status)
            self._soon(wait, lambda: self._reported(unit))
        if self.faults.unplug == "sent":
            self._pull()
        elif self.faults.silent_sends:
            self.faults.silent_sends -= 1
        else:
            self._answer(f"+CMGS: {reference}")

    # --- arriving ---------------------------------------------------------------------

    def _arrived(self, unit: bytes) -> None:
        if self._notify[0] == 2:
            self._write(f"\r\n+CMT: ,{len(unit)}\r\n{tpdu.with_centre(unit, CENTRE)}\r\n")
            return
        self._stored("+CMTI", unit)

    def _reported(self, unit: bytes) -> None:
        if self._notify[1] == 1:
            self._write(f"\r\n+CDS: {len(unit)}\r\n{tpdu.with_centre(unit, CENTRE)}\r\n")
        elif self._notify[1] == 2:
            self._stored("+CDSI", unit)

    def _stored(self, told: str, unit: bytes) -> None:
        place = self.sim.keep(tpdu.with_centre(unit, CENTRE), len(unit))
        if place is not None and (self._notify[0] or told == "+CDSI"):
            self._write(f'\r\n{told}: "SM",{place}\r\n')

    # --- commands ---------------------------------------------------------------------

    def _command(self, line: str) -> None:
        self.heard.append(line)
        if self.manners.pace_s:
            self.stopped.wait(self.manners.pace_s)
        wanted = line.upper()
        for pattern, name in COMMANDS:
            found = re.fullmatch(pattern, wanted)
            if found:
                getattr(self, name)(*found.groups())
                return
        self._fail(None)

    def _answer(self, *lines: str) -> None:
        before = [*lines[:1], *self.manners.chatter, *lines[1:]]
        for line in before:
            self._write(f"\r\n{line}\r\n")
        self._write("\r\nOK\r\n")

    def _fail(self, code: int | None) -> None:
        numbered = self._error_level and code is not None
        self._write(f"\r\n+CMS ERROR: {code}\r\n" if numbered else f"\r\n{_ERRORS_LEFT_OUT}\r\n")

    def _cmd_ok(self, *_: str) -> None:
        self._answer()

    def _cmd_echo(self, on: str) -> None:
        self._echo = on == "1"
        self._answer()

    def _cmd_reset(self) -> None:
        self._reset()
        self._answer()

    def _cmd_errors(self, level: str) -> None:
        self._error_level = int(level)
        self._answer()

    def _cmd_service(self, service: str) -> None:
        if service == "1" and not self.manners.phase_2_plus:
            self._fail(302)
            return
        self._acknowledged = service == "1"
        self._answer("+CSMS: 1,1,1")

    def _cmd_notify(self, texts: str | None, reports: str | None) -> None:
        if reports == "2" and not self.manners.stored_reports:
            self._fail(303)
            return
        self._notify = int(texts or 0), int(reports or 0)
        self._answer()

    def _cmd_memory(self) -> None:
        used = f"{len(self.sim.places)},{self.sim.size}"
        self._answer(f"+CPMS: {used},{used},{used}")

    def _cmd_memory_asked(self) -> None:
        one = f'"SM",{len(self.sim.places)},{self.sim.size}'
        self._answer(f"+CPMS: {one},{one},{one}")

    def _cmd_list(self) -> None:
        lines: list[str] = []
        for place, (unit, length) in sorted(self.sim.places.items()):
            lines.append(f"+CMGL: {place},1,,{length}\r\n{unit}")
        self._answer(*lines)

    def _cmd_read(self, place: str) -> None:
        if int(place) not in self.sim.places:
            self._fail(321)
            return
        unit, length = self.sim.places[int(place)]
        self._answer(f"+CMGR: 0,,{length}\r\n{unit}")

    def _cmd_delete(self, place: str) -> None:
        for taken in self.sim.delete(int(place)):
            if self._notify[0]:
                self.say(f'+CMTI: "SM",{taken}')
        self._answer()

    def _cmd_send(self, length: str) -> None:
        self._prompt(int(length))

    def _cmd_formats(self) -> None:
        self._answer("+CMGF: (0)")

    def _cmd_format(self) -> None:
        self._answer("+CMGF: 0")

    def _cmd_memories(self) -> None:
        self._answer('+CPMS: ("SM"),("SM"),("SM")')

    def _cmd_notifies(self) -> None:
        reports = "0-2" if self.manners.stored_reports else "0,1"
        self._answer(f"+CNMI: (0-2),(0-2),(0),({reports}),(0)")

    def _cmd_signal(self) -> None:
        self._answer("+CSQ: 21,99")

    def _cmd_registered(self) -> None:
        self._answer("+CREG: 0,1")

    def _cmd_centre(self) -> None:
        self._answer(f'+CSCA: "{CENTRE}",145')

    def _cmd_pin(self) -> None:
        if self.faults.no_sim:
            self._fail(310)
            return
        self._answer("+CPIN: SIM PIN" if self.faults.pin else "+CPIN: READY")

    def _cmd_unlock(self, pin: str) -> None:
        if pin != self.faults.pin:
            self._fail(16)
            return
        self.faults.pin = ""
        self._answer()

    def _cmd_imei(self) -> None:
        self._answer("352099001761481")

    def _cmd_imsi(self) -> None:
        self._answer("460001234567890")

    def _cmd_name(self) -> None:
        self._answer("Fieldbell simulated modem")
