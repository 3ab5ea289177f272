"""TCP ports for processes that are told theirs, which no neighbour is given at the same time.

A port that was bound and let go again may be given to anybody before its process listens on it. These lie
below the ports that the kernel gives away, and each is held by a lock that all test runs on a machine respect.
"""

from __future__ import annotations

import fcntl
import random
import socket
import tempfile
from pathlib import Path
from typing import IO

COUNT = 8000
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
# What lies open here is held until this process ends, however it ends.
_held: list[IO[str]] = []


def own_port() -> int:
    """A TCP port of the loopback that belongs to this process as long as it lives.

    Raises:
        OSError: when there is none left.
    """
    folder = Path(tempfile.gettempdir()) / "fieldbell-test-ports"
    folder.mkdir(exist_ok=True)
    for port in random.SystemRandom().sample(_candidates(), COUNT):
        file = (folder / str(port)).open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _try(port)
        except OSError:
            file.close()
            continue
        _held.append(file)
        return port
    raise OSError("every port is taken")


def _candidates() -> range:
    """Ports below those the kernel chooses from, well-known ones left out."""
    first = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else 32768
    return range(first - COUNT, first) if first - COUNT > 8192 else range(20_000, 20_000 + COUNT)


def _try(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
