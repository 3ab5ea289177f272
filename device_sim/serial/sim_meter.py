"""A meter under an optical head at a pty: IEC 62056-21 mode C with the manners and faults of real ones.

A pty carries any speed, so the meter looks at the speed the reader has set: at the wrong one it understands
nothing, and what it sends is noise, as on a real wire.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from device_sim.serial.ends import End
from device_sim.serial.iec62056 import (
    ACK,
    BAUDS,
    ETX,
    NAK,
    SIGN_ON_BAUD,
    STX,
    checksum,
    seven_bits,
    with_parity,
)

# The time between two programs is the scheduler's, not the wire's: so many hundredths of a second.
GRACE_STEPS = 30
LINES = {"1-0:1.8.0*255": "012345.678*kWh"}


@dataclass
class MeterFaults:
    """What goes wrong, each so many times: deaf sign-ons, damaged blocks, blocks cut off after half."""

    deaf: int = 0
    damaged: int = 0
    cut: int = 0


@dataclass(frozen=True)
class MeterManners:
    """How a meter speaks: the maker's letters, the speed's letter, when it answers, and its head.

    ``reaction_s`` None keeps to the letters (20 ms with a small third one, else 200 ms); ``pace`` 1 sends
    characters as slowly as the speed says, 0 at once. ``pause_s`` is a silence in mid-block.
    """

    maker: str = "ESY"
    letter: str = "5"
    ident: str = "Q3DA1004"
    address: str = ""
    reaction_s: float | None = None
    echo: bool = False
    pace: float = 0.0
    pause_s: float = 0.0


@dataclass
class SimMeter(End):
    """A meter with a serial number and the ``lines`` of its data block (address → value with unit)."""

    serial: str = "M00001"
    lines: Mapping[str, str] = field(default_factory=lambda: LINES)
    manners: MeterManners = field(default_factory=MeterManners)
    faults: MeterFaults = field(default_factory=MeterFaults)
    link: Path | None = None

    def __post_init__(self) -> None:
        super().__init__(self.link)
        self.readouts = 0
        self.wrong_speeds: list[int] = []
        self._rng = random.Random(self.serial)
        self._heard = b""

    def block(self) -> bytes:
        """The data block from STX to the block check."""
        sets = {"C.1.0": self.serial, **self.lines, "F.F": "00000000"}
        text = "".join(f"{address}({value})\r\n" for address, value in sets.items()) + "!\r\n"
        body = text.encode() + ETX
        return STX + body + bytes([checksum(body)])

    def play(self) -> None:
        """Answer sign-ons until stopped."""
        requests = (b"/?!\r\n", b"/?" + self.manners.address.encode() + b"!\r\n")
        while not self.stopped.is_set():
            self._listen(0.05)
            asked = next((r for r in requests if r in self._heard), None)
            if asked is None:
                continue
            self._heard = self._heard.partition(asked)[2]
            if self._speed_is(SIGN_ON_BAUD) and not self._fails("deaf"):
                self._conversation()

    def _conversation(self) -> None:
        who = self.manners
        self._react()
        self._send(f"/{who.maker}{who.letter}{who.ident}\r\n".encode(), SIGN_ON_BAUD)
        letter = self._agreed()
        if letter is None:
            return
        self._react()
        baud = BAUDS[letter]
        while True:
            self._send_block(baud)
            heard = self._wait_for(NAK, 1.0)
            if not heard:
                return
            self._react()

    def _agreed(self) -> str | None:
        """The letter of the acknowledgement; None when none came in time."""
        heard = self._wait_for(b"\r\n", 2.0)
        start = heard.find(ACK)
        letter = heard[start + 2 : start + 3].decode("ascii", "replace")
        return letter if start >= 0 and letter in BAUDS else None

    def _send_block(self, baud: int) -> None:
        block = self.block()
        if self._fails("damaged"):
            block = block.replace(b"1.8.0", b"1.9.0", 1)
        if not self._speed_is(baud):
            block = seven_bits(self._rng.randbytes(len(block)))
        half = len(block) // 2
        self._send(block[:half], baud)
        if self._fails("cut"):
            return
        self.stopped.wait(self.manners.pause_s)
        self.readouts += 1  # before the last byte: who has read it all finds it counted
        self._send(block[half:], baud)

    def _send(self, data: bytes, baud: int) -> None:
        """Send ten bits a character, as fast as ``pace`` says."""
        at_once = max(1, baud // 300)
        for at in range(0, len(data), at_once):
            part = data[at : at + at_once]
            self.plug.write(with_parity(part))
            if self.manners.pace:
                self.stopped.wait(self.manners.pace * len(part) * 10 / baud)

    def _react(self) -> None:
        told = self.manners.reaction_s
        usual = 0.02 if self.manners.maker[2].islower() else 0.2
        self.stopped.wait(usual if told is None else told)

    def _speed_is(self, baud: int) -> bool:
        """Whether the reader has set this speed; a busy machine gets a moment to do so."""
        for _ in range(GRACE_STEPS):
            if self.plug.baud == baud:
                return True
            self.stopped.wait(0.01)
        self.wrong_speeds.append(self.plug.baud)
        return False

    def _wait_for(self, end: bytes, within_s: float) -> bytes:
        """What was heard up to ``end``; nothing when it did not come, or a new sign-on came first."""
        for _ in range(int(within_s / 0.02)):
            if end in self._heard or b"/?" in self._heard or self.stopped.is_set():
                break
            self._listen(0.02)
        heard, found, rest = self._heard.partition(end)
        if not found or b"/?" in heard:
            return b""
        self._heard = rest
        return heard + found

    def _listen(self, within_s: float) -> None:
        data = self.plug.read(within_s)
        if data and self.manners.echo:
            self.plug.write(data)
        self._heard = (self._heard + seven_bits(data))[-200:]

    def _fails(self, fault: str) -> bool:
        left = getattr(self.faults, fault)
        if left > 0:
            setattr(self.faults, fault, left - 1)
        return bool(left > 0)
