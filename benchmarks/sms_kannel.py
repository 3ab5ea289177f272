"""The same texts through Kannel, where it is installed: a queue and gateway in C that has no database.

What differs: Kannel is given each text by an HTTP request of its own while it sends, where our queue
is full before the clock starts; it keeps what waits in files it does not force to the disk, knows no
keys, no order for each phone and no state of a text, and asks for no report here. The ratio says how
far a durable, accounted queue is from a bare one.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode

from benchmarks import sms_peer
from benchmarks.databases import Databases
from benchmarks.figures import Figure, machine, median
from benchmarks.options import Options
from benchmarks.sms_peer import Missing
from benchmarks.sms_send import STRANGERS, TEXT, BooksWrong, drain

_PROGRAMS = ("bearerbox", "smsbox")
_DOOR_CONNECTIONS = 20
_START_SECONDS = 30.0
_STALLED_SECONDS = 30.0
_WINDOW = 50
_ACCOUNT = {"username": "bench", "password": "bench", "coding": 2, "charset": "UTF-8"}


def sms_kannel(options: Options, databases: Databases) -> list[Figure]:
    """Texts a second by the centre's clock through Kannel, and ours of the same size beside it."""
    if not all(shutil.which(program, path=_places()) for program in _PROGRAMS):
        options.say(
            "sms_kannel: Kannel is not installed (Debian: apt-get install kannel); left out"
        )
        return []
    state, theirs, ours = machine(), [], []
    for number in range(1, options.rounds + 1):
        theirs.append(_round(options, options.texts))
        ours.append(drain(options, databases, options.texts, STRANGERS))
        options.say(
            f"{databases.kind} sms_kannel round {number}: Kannel {theirs[-1]:.0f} texts/s, ours"
            f" {ours[-1]:.0f}"
        )
    return [
        Figure(
            "sms_kannel",
            databases.kind,
            median(theirs),
            "texts/s",
            "more",
            ratio={"ours_of_kannel": round(median(ours) / median(theirs), 3)},
            rounds=[round(rate) for rate in theirs],
            parameters={
                "texts": options.texts,
                "window": _WINDOW,
                "ours": [round(rate) for rate in ours],
                "door_connections": _DOOR_CONNECTIONS,
                "note": "Kannel: HTTP door, a store file without fsync, no reports; ours: database",
            },
            machine=state,
        )
    ]


def _places() -> str:
    return "/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin"


def _round(options: Options, total: int) -> float:
    with (
        sms_peer.centre(options.folder, reports=False) as centre,
        _kannel(options.folder, centre.port) as door,
    ):
        asyncio.run(_pour(door, total))
        _follow(centre, total)
        books = centre.ask("books")
    if books["texts"] != total or books["doubles"]:
        raise BooksWrong(f"Kannel: {books}")
    return float(total / books["seconds"])


def _follow(centre: sms_peer.Centre, total: int) -> None:
    seen, changed = -1, time.monotonic()
    while (taken := centre.ask()["segments"]) < total:
        if taken != seen:
            seen, changed = taken, time.monotonic()
        if time.monotonic() - changed > _STALLED_SECONDS:
            raise BooksWrong(f"Kannel: nothing moves any more after {taken} texts")
        sms_peer.wait(0.2)


# --- the door --------------------------------------------------------------------------------


async def _pour(port: int, total: int) -> None:
    """Hand all texts in over some connections that stay open."""
    numbers = iter(range(total))
    await asyncio.gather(*(_hand_in(port, numbers) for _ in range(_DOOR_CONNECTIONS)))


async def _hand_in(port: int, numbers: Iterator[int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number in numbers:
        writer.write(_request(port, number))
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        if b" 202 " not in head.split(b"\r\n")[0]:
            raise BooksWrong(f"Kannel refuses a text: {body[:100]!r}")
    writer.close()


def _request(port: int, number: int) -> bytes:
    text = TEXT.format(number=10_000_000 + number)
    query = urlencode({**_ACCOUNT, "to": f"8612{number:09d}", "text": text})
    return f"GET /cgi-bin/sendsms?{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()


# --- the programs ----------------------------------------------------------------------------


@contextmanager
def _kannel(folder: Path, centre: int) -> Iterator[int]:
    """Both boxes of Kannel between the door, whose port this gives, and the centre. Raises Missing."""
    place = folder / "kannel"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    admin, inside, door = _free_ports(3)
    file = place / "kannel.conf"
    file.write_text(_CONFIG.format(place=place, admin=admin, inside=inside, door=door, smsc=centre))
    with (place / "out.log").open("ab") as log, ExitStack() as running:
        for program in _PROGRAMS:
            found = str(shutil.which(program, path=_places()))
            process = subprocess.Popen([found, str(file)], cwd=place, stdout=log, stderr=log)
            running.callback(process.wait)
            running.callback(process.kill)
            _wait_for(
                f"http://127.0.0.1:{admin}/status.txt?password=bench",
                b"online" if program == "smsbox" else b"",
            )
        _wait_for_door(door)
        yield door


def _wait_for(url: str, words: bytes) -> None:
    """Wait until the status page answers and holds these words: the centre is bound."""
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        with suppress(OSError), urllib.request.urlopen(url, timeout=5) as page:  # noqa: S310 - an address of our own
            if words in page.read():
                return
        sms_peer.wait(0.2)
    raise Missing("Kannel does not start, or cannot bind to the SMS centre.")


def _wait_for_door(port: int) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
            return
        sms_peer.wait(0.2)
    raise Missing("Kannel's door does not open.")


def _free_ports(count: int) -> list[int]:
    with ExitStack() as probes:
        sockets = [probes.enter_context(socket.socket()) for _ in range(count)]
        for probe in sockets:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in sockets]


_CONFIG = """\
group = core
admin-port = {admin}
admin-interface = 127.0.0.1
admin-password = bench
smsbox-port = {inside}
smsbox-interface = 127.0.0.1
box-allow-ip = "127.0.0.1"
log-file = "{place}/bearerbox.log"
log-level = 3
store-type = file
store-location = "{place}/store"
sms-outgoing-queue-limit = 1000000

group = smsc
smsc = smpp
smsc-id = centre
host = 127.0.0.1
port = {smsc}
smsc-username = fieldbell
smsc-password = fieldbell
system-type = ""
transceiver-mode = true
max-pending-submits = 50
source-addr-ton = 0
source-addr-npi = 0
dest-addr-ton = 1
dest-addr-npi = 1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {door}
sendsms-interface = 127.0.0.1
global-sender = 95598
log-file = "{place}/smsbox.log"
log-level = 3

group = sendsms-user
username = bench
password = bench
max-messages = 10
"""
