"""The optical probe: reads a meter by IEC 62056-21 mode C.

The port is opened once, at 300 baud 7E1, and its speed changed in place: a port that is opened anew
loses the first bytes of a meter that answers within 20 ms.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from device_sim.serial import iec62056
from device_sim.serial.iec62056 import BadReadoutError, Identification, Readout
from device_sim.serial.line import Line, LineError, SerialError, parse_port

log = logging.getLogger("device_sim")

T = TypeVar("T")

# The longest silence the standard allows, before an answer and between its characters.
SILENCE_S = 1.5
TRIES = 3
REPEATS = 2


class ProbeError(SerialError):
    """The meter did not answer, or not as the standard says."""


class Probe:
    """Reads meters through the head at ``PORT``.

    ``silence_s`` is the time-out of the standard; ``most_baud`` keeps a poor head below a speed.
    """

    def __init__(
        self,
        port: str,
        *,
        address: str = "",
        tries: int = TRIES,
        silence_s: float = SILENCE_S,
        most_baud: int = 19_200,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._port, _ = parse_port(port, iec62056.SIGN_ON_BAUD)
        self._sign_on = iec62056.sign_on(address)
        self._tries = tries
        self._silence_s = silence_s
        self._most_baud = most_baud
        self._pause = pause
        self._adds_parity = False

    def read(self) -> Readout:
        """Read the meter under the head, with a few tries.

        Raises ``ProbeError`` or ``LineError`` with what the last try failed on.
        """
        failure: SerialError = ProbeError("probe.silent", "no try was allowed")
        for number in range(self._tries):
            if number:
                # The meter gives up what it was doing when it hears nothing for this long.
                self._pause(self._silence_s * 1.2)
            try:
                return self._one_reading()
            except BadReadoutError as error:
                failure = ProbeError(error.code, str(error), retry=error.code != "probe.not_mode_c")
            except SerialError as error:
                failure = error
            log.info("probe: %s", failure)
            if not failure.retry:
                break
        raise failure

    def _one_reading(self) -> Readout:
        line = Line(self._port, iec62056.SIGN_ON_BAUD)
        try:
            self._adds_parity = not line.seven_even()
            line.forget_input()
            who = self._identify(line)
            letter = self._letter(who)
            self._pause(who.reaction_s)
            acknowledgement = iec62056.acknowledgement(letter)
            self._send(line, acknowledgement)
            line.baud = iec62056.BAUDS[letter]
            return Readout(who, iec62056.read_block(self._block(line, acknowledgement)))
        finally:
            with suppress(LineError):
                line.close()

    def _identify(self, line: Line) -> Identification:
        self._send(line, self._sign_on)
        return self._receive(line, self._sign_on, iec62056.find_identification)

    def _letter(self, who: Identification) -> str:
        """The speed to ask for: the meter's own, or the highest the head can do."""
        most = min(who.baud, self._most_baud)
        return max((b, letter) for letter, b in iec62056.BAUDS.items() if b <= most)[1]

    def _block(self, line: Line, sent: bytes) -> bytes:
        """The data block; a damaged one is asked for again at the same speed."""
        for _ in range(REPEATS):
            try:
                return self._receive(line, sent, iec62056.find_block)
            except BadReadoutError as error:
                if error.code != "probe.bcc":
                    raise
                log.info("probe: %s, asking for it again", error)
            sent = iec62056.NAK
            self._send(line, sent)
        return self._receive(line, sent, iec62056.find_block)

    def _send(self, line: Line, message: bytes) -> None:
        line.write(iec62056.with_parity(message) if self._adds_parity else message)

    def _receive(self, line: Line, sent: bytes, find: Callable[[bytes], T | None]) -> T:
        """Collect bytes until ``find`` has found its message in them, without the head's echo.

        Raises ``ProbeError`` ``probe.silent`` after a silence, and what ``find`` raises.
        """
        received = b""
        while data := line.read(self._silence_s):
            received += iec62056.seven_bits(data)
            found = find(iec62056.without_echo(received, sent))
            if found is not None:
                return found
        heard = f"after {received[-40:]!r}" if received else "at all"
        raise ProbeError("probe.silent", f"the meter did not answer {heard}")
