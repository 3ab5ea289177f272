"""The command `python -m device_sim smsc`."""

from __future__ import annotations

import argparse
import signal
import ssl
import threading
from collections.abc import Callable
from dataclasses import Field
from pathlib import Path
from typing import Any

from device_sim.smsc import kinds
from device_sim.smsc.behaviour import Behaviour, name_of, options
from device_sim.smsc.centre import Centre
from device_sim.smsc.desk import Desk
from device_sim.smsc.door import Door
from device_sim.smsc.people import BadScript, Group, People, read_script
from device_sim.smsc.phones import Phones
from device_sim.smsc.tally import Tally

_STANDARD = Behaviour()
_GROUPS = {
    "receipts": "delivery reports",
    "ids": "message ids",
    "pace": "throttling",
    "errors": "errors",
    "answers": "answers to submit_sm",
    "line": "the line",
    "binds": "binds",
    "strange": "what a client does not expect",
    "chance": "chance",
}
_EXAMPLES = """examples:
  python -m device_sim smsc                                     phones at http://127.0.0.1:2780/
  python -m device_sim smsc --rate 100 --receipt-delay 0.5-30   a slow carrier
  python -m device_sim smsc --drop 1% --answer-late 1% --receipt-loss 2% --seed 7
  python -m device_sim smsc --id-style hex --receipt-id-style decimal --receipt-bind other
  python -m device_sim smsc --quiet --receipt-delay 0           for benchmarks
  python -m device_sim smsc --people device_sim/smsc/people.json
  python -m device_sim smsc --tls var/smsc-tls --port 3550

every option in the groups below can be changed while it runs, on the page or by JSON:
  curl -H 'Content-Type: application/json' -d '{"rate": 100}' http://127.0.0.1:2780/behaviour.json
  curl -H 'Content-Type: application/json' -d '{"text": "余额"}' http://127.0.0.1:2780/phones/8612000000001/send

shares are written 0.05 or 5%.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "An SMS centre with customers' phones, to test against. Gateways bind to it by SMPP 3.4;\n"
        "what they send appears on the phones of a web page; the phones answer; and everything\n"
        "that can go wrong with a carrier can be asked for."
    )
    parser.usage = "python -m device_sim smsc [option …]"
    parser.epilog = _EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="the address to listen on (127.0.0.1)")
    add("--port", type=int, default=2775, help="the SMPP port (2775)")
    add(
        "--http",
        type=int,
        default=2780,
        help="the port of the page and of the JSON documents (2780)",
    )
    add(
        "--system-id", default=_STANDARD.system_id, help="the name a gateway binds with (fieldbell)"
    )
    add("--password", default=_STANDARD.password, help="its password (fieldbell)")
    add(
        "--accounts",
        type=_argument(kinds.ACCOUNTS.read),
        default=(),
        metavar="NAME=PASSWORD,…",
        help="more accounts",
    )
    add(
        "--range",
        type=_argument(_numbers),
        default=(_STANDARD.first, _STANDARD.last),
        metavar="FIRST-LAST",
        help="the phones served (8612000000000-8612000009999); others are refused with 0x0B",
    )
    add("--state", type=Path, help="a file that keeps phones and owed reports over a restart")
    add(
        "--quiet",
        "--no-pages",
        action="store_true",
        help="show no phones, keep counters only (tally.json, ids.json): for benchmarks",
    )
    add(
        "--people", type=_argument(_script), default=(), help="a script of people who answer (JSON)"
    )
    add(
        "--tls",
        type=Path,
        metavar="FOLDER",
        help="speak TLS with the certificate in this folder, made when it is not there",
    )
    _add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM; the exit status."""
    phones = Tally() if args.quiet else Phones(args.state)
    try:
        centre = Centre(phones, _behaviour(args), args.host, args.port, _tls(args))
        desk = Desk(centre)
        door = Door(desk, args.host, args.http)
    except OSError as problem:
        print(f"The SMS centre cannot listen: {problem}")
        return 1
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        People(desk, args.people).start()
    except BadScript as problem:
        print(f"The script cannot be played: {problem}")
        return 1
    centre.start()
    threading.Thread(target=door.serve_forever, name="smsc-door", daemon=True).start()
    print(
        f"SMS centre on {args.host}:{centre.port}, phones at http://{args.host}:{args.http}/",
        flush=True,
    )
    while not stop.wait(1):
        pass
    centre.stop()
    door.shutdown()
    return 0


def _add_options(parser: argparse.ArgumentParser) -> None:
    """One argument for every option of the behaviour, in groups."""
    groups = {key: parser.add_argument_group(title) for key, title in _GROUPS.items()}
    for found in options():
        kind = found.metadata["kind"]
        more: dict[str, Any] = {"type": _argument(kind.read), "metavar": kind.name.upper()}
        if kind is kinds.SWITCH:
            more = {"action": "store_true"}
        elif kind.choices:
            more = {"choices": kind.choices}
        groups[found.metadata["group"]].add_argument(
            f"--{name_of(found).replace('_', '-')}",
            dest=name_of(found),
            default=found.default,
            help=f"{found.metadata['text']}{_standard(found)}",
            **more,
        )


def _standard(found: Field[Any]) -> str:
    shown = found.metadata["kind"].show(found.default)
    return "" if shown in ("", False) else f" ({shown})".replace("%", "%%")


def _behaviour(args: argparse.Namespace) -> Behaviour:
    values = {found.name: getattr(args, name_of(found)) for found in options()}
    return Behaviour(
        system_id=args.system_id,
        password=args.password,
        first=args.range[0],
        last=args.range[1],
        accounts=args.accounts,
        **values,
    )


def _tls(args: argparse.Namespace) -> ssl.SSLContext | None:
    if args.tls is None:
        return None
    from device_sim.smsc import tls  # noqa: PLC0415  # only who wants TLS pays for its library

    made = tls.context(args.tls, args.host)
    print(f"TLS: clients trust {args.tls / 'ca.pem'}\n{(args.tls / 'ca.pem').read_text()}", end="")
    return made


def _script(words: str) -> tuple[Group, ...]:
    try:
        return read_script(Path(words))
    except BadScript as problem:
        raise ValueError(str(problem)) from problem


def _numbers(text: str) -> tuple[int, int]:
    first, _, last = text.replace("+", "").partition("-")
    try:
        return int(first), int(last or first)
    except ValueError:
        raise ValueError("give FIRST-LAST, such as 8612000000000-8612000009999") from None


def _argument(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """A reader whose complaint argparse shows to the user."""

    def argument(words: str) -> Any:
        try:
            return read(words)
        except ValueError as problem:
            raise argparse.ArgumentTypeError(str(problem)) from None

    return argument
