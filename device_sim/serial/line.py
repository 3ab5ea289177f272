"""A serial port with deadlines and one named error; the speed is changed in place."""

from __future__ import annotations

import re
import select
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import serial

from device_sim.protocol import Json

READ_AT_ONCE = 4096
_PORT = re.compile(r"(?P<port>.+?)(?:@(?P<baud>\d{2,7}))?\Z")


class SerialError(Exception):
    """What a serial device could not do; ``code`` is stable, ``retry`` says whether it may pass."""

    def __init__(self, code: str, message: str, *, retry: bool = True) -> None:
        super().__init__(message)
        self.code = code
        self.retry = retry

    def to_json(self) -> Json:
        """For scripts."""
        return {"code": self.code, "message": str(self), "retry": self.retry}


class LineError(SerialError):
    """The port cannot be opened, was unplugged, or takes no more bytes."""


def parse_port(text: str, baud: int) -> tuple[str, int]:
    """The port and speed in ``PORT`` or ``PORT@BAUD``; ``baud`` when none is given."""
    match = _PORT.match(text)
    if match is None:
        raise ValueError(f"not a port: {text!r}")
    return match["port"], int(match["baud"] or baud)


class Line:
    """An open port; ``write_within_s`` bounds how long bytes may wait for the other side.

    Raises ``LineError`` when the port cannot be opened, or is in use by another program.
    """

    def __init__(
        self,
        port: str,
        baud: int,
        *,
        write_within_s: float = 10.0,
    ) -> None:
        self.port = port
        with _named("line.cannot_open", port):
            self._serial = serial.Serial(
                port,
                baud,
                timeout=0,
                write_timeout=write_within_s,
                exclusive=True,
            )

    def read(self, within_s: float) -> bytes:
        """What has arrived, at the latest after ``within_s``; nothing when nothing came."""
        with _named("line.gone", self.port):
            ready, _, _ = select.select([self._serial.fileno()], [], [], max(0.0, within_s))
            if not ready:
                return b""
            return bytes(self._serial.read(min(max(1, self._serial.in_waiting), READ_AT_ONCE)))

    def write(self, data: bytes) -> None:
        """Send bytes and wait until the last one has left the port."""
        with _named("line.gone", self.port):
            self._serial.write(data)
            self._serial.flush()

    @property
    def baud(self) -> int:
        """The present speed."""
        return int(self._serial.baudrate)

    @baud.setter
    def baud(self, baud: int) -> None:
        """Change the speed while the port stays open, so that nothing that arrives is lost."""
        with _named("line.gone", self.port):
            self._serial.baudrate = baud

    def seven_even(self) -> bool:
        """Ask the port for seven bits with even parity.

        Some adapters, and every pty, cannot do it: then False, and the port stays at eight bits.
        """
        with suppress(termios.error):
            self._serial.bytesize = serial.SEVENBITS
            self._serial.parity = serial.PARITY_EVEN
        with _named("line.gone", self.port):
            flags = termios.tcgetattr(self._serial.fileno())[2]
            if flags & termios.CSIZE == termios.CS7 and flags & termios.PARENB:
                return True
            with suppress(termios.error):
                self._serial.parity = serial.PARITY_NONE
            self._serial.bytesize = serial.EIGHTBITS
            return False

    def forget_input(self) -> None:
        """Throw away what arrived and was not read."""
        with _named("line.gone", self.port):
            self._serial.reset_input_buffer()

    def close(self) -> None:
        """Give the port back."""
        with _named("line.gone", self.port):
            self._serial.close()


@contextmanager
def _named(code: str, port: str) -> Iterator[None]:
    """Turn what the system says of a port that is gone into ``LineError``."""
    try:
        yield
    except (OSError, termios.error, ValueError, TypeError) as error:
        raise LineError(code, f"{port}: {error}") from error


OpenLine = Callable[[], Line]
