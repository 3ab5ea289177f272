"""The command `python -m device_sim smsc`."""

from __future__ import annotations

import argparse
import signal
import threading
from pathlib import Path

from device_sim.smsc.centre import Behaviour, Centre
from device_sim.smsc.page import Page
from device_sim.smsc.phones import Phones

_STANDARD = Behaviour()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "A small SMS centre with customers' phones. Gateways bind to it by SMPP 3.4; what they send "
        "appears on the phones of a web page; delivery reports follow."
    )
    parser.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="the address to listen on")
    add("--port", type=int, default=2775, help="the SMPP port")
    add("--http", type=int, default=2780, help="the port of the page and of /phones.json")
    add("--system-id", default=_STANDARD.system_id, help="the name a gateway binds with")
    add("--password", default=_STANDARD.password, help="its password")
    add(
        "--range",
        type=_numbers,
        default=(_STANDARD.first, _STANDARD.last),
        metavar="FIRST-LAST",
        help="the phones served; other numbers are refused with ESME_RINVDSTADR",
    )
    add(
        "--receipt-delay",
        type=_seconds,
        default=_STANDARD.delay,
        metavar="SECONDS",
        help="how long a delivery report takes: 1.5, or a range such as 0.5-3",
    )
    add(
        "--undeliverable",
        type=float,
        default=0.0,
        help="share of segments reported as undeliverable",
    )
    add("--seed", type=int, default=1, help="the start of chance: equal seeds give equal delays")
    add("--state", type=Path, help="a file that keeps phones and owed reports over a restart")


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM; the exit status."""
    behaviour = Behaviour(
        args.system_id,
        args.password,
        args.range[0],
        args.range[1],
        args.receipt_delay,
        args.undeliverable,
        args.seed,
    )
    phones = Phones(args.state)
    try:
        centre = Centre(phones, behaviour, args.host, args.port)
        page = Page(phones, args.host, args.http)
    except OSError as problem:
        print(f"The SMS centre cannot listen: {problem}")
        return 1
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    centre.start()
    threading.Thread(target=page.serve_forever, name="smsc-page", daemon=True).start()
    print(
        f"SMS centre on {args.host}:{centre.port}, phones at http://{args.host}:{args.http}/",
        flush=True,
    )
    while not stop.wait(1):
        pass
    centre.stop()
    page.shutdown()
    return 0


def _numbers(text: str) -> tuple[int, int]:
    first, _, last = text.replace("+", "").partition("-")
    try:
        return int(first), int(last or first)
    except ValueError:
        raise argparse.ArgumentTypeError(
            "give FIRST-LAST, such as 8612000000000-8612000009999"
        ) from None


def _seconds(text: str) -> tuple[float, float]:
    first, _, last = text.partition("-")
    try:
        low, high = float(first), float(last or first)
    except ValueError:
        raise argparse.ArgumentTypeError("give seconds, such as 1.5 or 0.5-3") from None
    if not 0 <= low <= high:
        raise argparse.ArgumentTypeError("the first number must not be larger than the second")
    return low, high
