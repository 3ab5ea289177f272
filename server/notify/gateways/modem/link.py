"""One opening of a modem's port: commands and their answers, while unasked lines pass at any moment."""

from __future__ import annotations

import os
import select
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import serial

from server.notify.gateways.modem.config import ModemConfig
from server.notify.gateways.modem.talk import FINAL, Event, Line, Prompt, Stored, Talk, Unit

_READ = 4096
_WRITE_SECONDS = 5.0
_QUIET_SECONDS = 0.2
_WAKE_TRIES = 3
_CTRL_Z, _ESC = b"\x1a", b"\x1b"
# After Ctrl-Z these say nothing about whether the network has the text: no answer in time, unknown error.
_SAYS_NOTHING = (None, 332, 500)


class Refused(Exception):
    """The modem answered with an error; `code` is its number, None when it gave none."""

    def __init__(self, code: int | None) -> None:
        super().__init__(f"error {code}" if code is not None else "an error without a number")
        self.code = code


class Silent(OSError):
    """The modem did not answer in time; the port is opened anew."""


class NotSent(OSError):
    """The text certainly never left: no prompt came, or the line broke before Ctrl-Z."""


class Uncertain(Exception):
    """Ctrl-Z was written and no clear answer came: the network may have the text.

    `cut` says that the line broke; else time ran out.
    """

    def __init__(self, why: str, *, cut: bool = False) -> None:
        super().__init__(why)
        self.cut = cut


class Link:
    """An open port. `unasked` is told what the modem says of its own accord, on this thread.

    Every method raises OSError when the port is gone (Silent when the modem is). `hurry` says when
    to wait no longer than `drain_seconds` for the network.
    """

    def __init__(
        self,
        config: ModemConfig,
        unasked: Callable[[Event], None],
        wake: int,
        hurry: Callable[[], float | None],
    ) -> None:
        self._config = config
        self._unasked = unasked
        self._wake = wake
        self._hurry = hurry
        self._talk = Talk()
        self._events: list[Event] = []
        with _named():
            self._serial = serial.Serial(
                config.device, config.baud, timeout=0, write_timeout=_WRITE_SECONDS, exclusive=True
            )

    def close(self) -> None:
        """Give the port back."""
        with _named():
            self._serial.close()

    def wake_up(self) -> None:
        """Get the modem's attention: out of a text it waits for, past whatever it still says."""
        for left in reversed(range(_WAKE_TRIES)):
            self._write(_ESC + b"\r")
            self._drain()
            try:
                self.ask("AT", self._config.answer_seconds / _WAKE_TRIES)
                break
            except Refused:
                break
            except Silent:
                if not left:
                    raise
        self._drain()

    def ask(self, command: str, seconds: float | None = None) -> list[Event]:
        """Give a command and return what it was answered before the OK. Raises Refused or Silent."""
        self._write(command.encode("ascii") + b"\r")
        found: list[Event] = []
        patience = self._config.answer_seconds if seconds is None else seconds
        for event in self._heard(time.monotonic() + patience):
            final = FINAL.fullmatch(event.text) if isinstance(event, Line) else None
            if final is not None:
                if event != Line("OK"):
                    raise Refused(_code(final[1]))
                return found
            if isinstance(event, Line) and event.text.startswith("+CMGS:"):
                self._unasked(event)
            elif not isinstance(event, Prompt):
                found.append(event)
        raise Silent(f"no answer to {command.split('=')[0]}")

    def tries(self, command: str) -> bool:
        """Give a command that a modem need not know. Raises Silent."""
        try:
            self.ask(command)
        except Refused:
            return False
        return True

    def answer(self, command: str, start: str) -> str:
        """What follows `start` in the answer; empty when the modem does not say. Raises Silent."""
        try:
            told = self.ask(command)
        except Refused:
            return ""
        lines = [event.text for event in told if isinstance(event, Line)]
        found = next((line for line in lines if line.startswith(start)), start)
        return found.removeprefix(start).strip()

    def submit(self, unit: bytes) -> int:
        """Send one unit and return the modem's reference for it.

        Raises NotSent or Refused when the network certainly has no text, Uncertain when it may.
        """
        self._await_prompt(len(unit))
        try:
            self._write(b"00" + unit.hex().upper().encode())
        except OSError as problem:
            raise NotSent(f"the line broke before the text was complete: {problem}") from problem
        try:
            self._write(_CTRL_Z)
            return self._taken()
        except OSError as problem:
            raise Uncertain(str(problem), cut=True) from problem

    def pump(self, seconds: float) -> None:
        """Hear what the modem says of its own accord, until woken or for `seconds`."""
        if not self._events:
            self._receive(time.monotonic() + seconds, wakes=True)
        while self._events:
            self._tell(self._events.pop(0))

    # --- below ------------------------------------------------------------------------

    def _await_prompt(self, length: int) -> None:
        """Raises NotSent when none comes (the modem is then told to forget it), or Refused."""
        try:
            self._write(f"AT+CMGS={length}\r".encode())
            for event in self._heard(time.monotonic() + self._config.prompt_seconds):
                if isinstance(event, Prompt):
                    return
                final = FINAL.fullmatch(event.text) if isinstance(event, Line) else None
                if final is not None:
                    self._write(_ESC)
                    raise Refused(_code(final[1]))
            self._write(_ESC)
        except OSError as problem:
            raise NotSent(f"the line broke before the prompt: {problem}") from problem
        raise NotSent("no prompt came")

    def _taken(self) -> int:
        """What the network says after Ctrl-Z: the reference, as soon as it is known."""
        until = time.monotonic() + self._config.send_seconds
        for event in self._heard(until):
            if not isinstance(event, Line):
                continue
            if event.text.startswith("+CMGS:"):
                digits = event.text.removeprefix("+CMGS:").split(",")[0].strip()
                self._finish()
                return int(digits) & 0xFF if digits.isdecimal() else 0
            final = FINAL.fullmatch(event.text)
            if final is not None and event.text != "OK":
                code = _code(final[1])
                if code in _SAYS_NOTHING:
                    raise Uncertain(str(Refused(code)))
                raise Refused(code)
        raise Uncertain("the network did not answer in time")

    def _finish(self) -> None:
        """Hear the OK behind the reference; the text is taken even when it does not come."""
        try:
            for event in self._heard(time.monotonic() + self._config.answer_seconds):
                if event == Line("OK"):
                    return
        except OSError:
            return  # the next command meets the same trouble and says so

    def _heard(self, until: float) -> Iterator[Event]:
        """Answers as they come, until the deadline; what was not asked for is told at once."""
        while True:
            while self._events:
                event = self._events.pop(0)
                if _is_unasked(event):
                    self._tell(event)
                else:
                    yield event
            hurried = self._hurry()
            limit = until if hurried is None else min(until, hurried)
            if time.monotonic() >= limit:
                return
            self._receive(limit)

    def _tell(self, event: Event) -> None:
        if _is_unasked(event) or isinstance(event, Line):
            self._unasked(event)

    def _drain(self) -> None:
        """Hear everything that is still on the line, until it is quiet."""
        while self._receive(time.monotonic() + _QUIET_SECONDS):
            while self._events:
                self._tell(self._events.pop(0))

    def _receive(self, until: float, *, wakes: bool = False) -> bool:
        """Take what is there, waiting for it until then; whether anything came."""
        with _named():
            sources = [self._serial.fileno(), *([self._wake] if wakes else [])]
            ready, _, _ = select.select(
                sources, [], [], max(0.0, min(until - time.monotonic(), 0.5))
            )
            if self._wake in ready:
                os.read(self._wake, _READ)
            if self._serial.fileno() not in ready:
                return False
            data = self._serial.read(_READ)
        self._events += self._talk.feed(bytes(data))
        return True

    def _write(self, data: bytes) -> None:
        with _named():
            self._serial.write(data)
            self._serial.flush()


def _is_unasked(event: Event) -> bool:
    return isinstance(event, Stored) or (isinstance(event, Unit) and event.told in ("CMT", "CDS"))


def _code(text: str | None) -> int | None:
    return int(text) if text and text.strip().isdecimal() else None


@contextmanager
def _named() -> Iterator[None]:
    """Everything the system says of a port that is gone is an OSError."""
    try:
        yield
    except (termios.error, ValueError, TypeError) as problem:
        raise OSError(str(problem)) from problem
