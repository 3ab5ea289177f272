"""The far ends of serial lines on ptys: a plug with a name, and a cable that can be cut.

A pty has no speed and no parity of its own, but it remembers the speed the program at its port has
set: a simulated device looks at that.
"""

from __future__ import annotations

import os
import pty
import select
import termios
import threading
import time
import tty
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

READ_AT_ONCE = 4096
LOST_AFTER_S = 1.0
_SPEEDS = {
    getattr(termios, f"B{baud}"): baud
    for baud in (300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)
}


class Plug:
    """One end of a line: ``port`` is what the program under test opens, we hold the other side.

    ``link`` gives it a lasting name, so that it can be unplugged and plugged in again.
    """

    def __init__(self, link: Path | None = None) -> None:
        self._ours, self._theirs = pty.openpty()
        # Held open by us too: else the line would hang up each time the program closes its port.
        tty.setraw(self._theirs)
        os.set_blocking(self._ours, False)
        self._link = link
        self.port = os.ttyname(self._theirs)
        if link is not None:
            link.unlink(missing_ok=True)
            link.symlink_to(self.port)
            self.port = str(link)

    @property
    def baud(self) -> int:
        """The speed the program at the port has set; 0 when unknown."""
        return _SPEEDS.get(termios.tcgetattr(self._ours)[5], 0)

    def fileno(self) -> int:
        """For ``select``."""
        return self._ours

    def read(self, within_s: float) -> bytes:
        """What the program has sent, after at most ``within_s``. Raises ``OSError`` when closed."""
        ready, _, _ = select.select([self._ours], [], [], max(0.0, within_s))
        if not ready:
            return b""
        with suppress(BlockingIOError):
            return os.read(self._ours, READ_AT_ONCE)
        return b""

    def write(self, data: bytes) -> None:
        """Send to the program; what it does not take is lost, as on a wire. Raises ``OSError`` when closed."""
        left = memoryview(data)
        end = time.monotonic() + LOST_AFTER_S
        while left and time.monotonic() < end:
            select.select([], [self._ours], [], LOST_AFTER_S)
            with suppress(BlockingIOError):
                left = left[os.write(self._ours, left) :]

    def unplug(self) -> None:
        """The port is gone, in whatever the program is doing."""
        if self._link is not None and str(self._link) == self.port:
            self._link.unlink(missing_ok=True)
            self._link = None
        for fd in (self._ours, self._theirs):
            with suppress(OSError):
                os.close(fd)


class Player:
    """A thread that plays something outside of the program under test; use as a context manager."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stopped.set()
        if self._thread.is_alive():
            self._thread.join(10)
        self.unplug()

    def unplug(self) -> None:
        """Pull every plug."""
        raise NotImplementedError

    def play(self) -> None:
        """What the device does until ``stopped``; ends when the plug is pulled."""
        raise NotImplementedError

    def _live(self) -> None:
        with suppress(OSError, ValueError):
            self.play()


class End(Player):
    """A device at a plug."""

    def __init__(self, link: Path | None = None) -> None:
        super().__init__()
        self.plug = Plug(link)

    @property
    def port(self) -> str:
        """What the program under test opens."""
        return self.plug.port

    def unplug(self) -> None:
        """The port is gone."""
        self.plug.unplug()


Spoil = Callable[[bytes], bytes]


class Cable(Player):
    """A null-modem cable between two named ports, with faults on purpose.

    ``spoil["a"]`` changes what comes from port ``a`` on its way (return nothing to lose it), ``"b"`` the other
    way. ``unplug`` pulls both ends, ``plug_in`` puts them back under their names.
    """

    def __init__(self, a: Path, b: Path) -> None:
        super().__init__()
        self._names = {"a": a, "b": b}
        self._lock = threading.RLock()
        self._plugs: dict[str, Plug] = {}
        self.spoil: dict[str, Spoil] = {}
        self.passed = {"a": 0, "b": 0}
        self.plug_in()

    def plug_in(self, *sides: str) -> None:
        """Put the named sides (both when none is named) in; they get their names back."""
        with self._lock:
            for side in sides or ("a", "b"):
                if side not in self._plugs:
                    self._plugs[side] = Plug(self._names[side])

    def unplug(self, *sides: str) -> None:
        """Pull the named sides, both when none is named."""
        with self._lock:
            for side in sides or ("a", "b"):
                plug = self._plugs.pop(side, None)
                if plug is not None:
                    plug.unplug()

    def play(self) -> None:
        """Carry bytes both ways."""
        while not self.stopped.is_set():
            with self._lock:
                plugs = dict(self._plugs)
                ready, _, _ = select.select(list(plugs.values()), [], [], 0)
                for side, plug in plugs.items():
                    if plug in ready and self._plugs.get(side) is plug:
                        self._carry(side, plug)
            if not ready:
                self.stopped.wait(0.002)

    def _carry(self, side: str, plug: Plug) -> None:
        data = plug.read(0)
        spoil = self.spoil.get(side)
        if spoil is not None:
            data = spoil(data)
        far = self._plugs.get("b" if side == "a" else "a")
        if far is not None and data:
            far.write(data)
            self.passed[side] += len(data)
