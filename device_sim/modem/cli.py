"""``python -m device_sim modem``: a GSM modem at a pty with a lasting name."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from pathlib import Path

from device_sim.modem.manners import Faults, Manners
from device_sim.modem.modem import Sent, SimModem
from device_sim.modem.sim import Sim

DESCRIPTION = """\
Plays a GSM modem in PDU mode until Ctrl-C. Each text the network takes is printed as a line of JSON. A line
such as "+8612000000001 BALANCE" on the standard input is a text that this phone sends to the SIM card;
"unplug" pulls the modem out and "plug" puts it back under its name. Exit code 2: wrong use.
"""

EXAMPLES = """\
examples:
  python -m device_sim modem --link var/tty-modem
  python -m device_sim modem --link var/tty-modem --sim-size 3 --chatter '^RSSI:18' --slow 0.2
  python -m device_sim modem --link var/tty-modem --first-reference 250 --unplug-at sent --back-after 5
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the manners and faults."""
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.add_argument("--link", type=Path, required=True, metavar="PATH", help="made as a link")
    parser.add_argument("--no-echo", action="store_true", help="does not repeat what it is told")
    parser.add_argument("--slow", type=float, default=0.0, metavar="S", help="before each answer")
    parser.add_argument("--sim-size", type=int, default=20, metavar="N", help="places on the SIM")
    parser.add_argument("--first-reference", type=int, default=0, metavar="N", help="0 to 255")
    parser.add_argument(
        "--chatter", action="append", default=[], metavar="LINE", help="said in every answer"
    )
    parser.add_argument("--report-after", type=float, default=1.0, metavar="S", help="reports")
    parser.add_argument("--no-reports", action="store_true", help="delivery reports never come")
    parser.add_argument("--stored-reports", action="store_true", help="can keep reports on the SIM")
    parser.add_argument(
        "--error", action="append", type=int, default=[], metavar="CODE", help="of the next sends"
    )
    parser.add_argument("--no-prompt", type=int, default=0, metavar="N", help="sends without one")
    parser.add_argument("--unplug-at", choices=("prompt", "unit", "sent"), default="", help="once")
    parser.add_argument("--back-after", type=float, default=5.0, metavar="S", help="plugged again")


def run(args: argparse.Namespace) -> int:
    """Play the modem until SIGINT or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        args.link.parent.mkdir(parents=True, exist_ok=True)
        modem = SimModem(
            args.link, _manners(args), _faults(args), sim=Sim(args.sim_size), told=_tell
        )
    except (OSError, ValueError) as error:
        sys.stderr.write(f"modem: {error}\n")
        return 2
    with modem:
        sys.stderr.write(f"modem at {args.link}\n")
        threading.Thread(target=_obey, args=(modem,), daemon=True).start()
        while not stop.wait(0.2):
            if not modem.plugged and not modem.pulled_by_hand and not stop.wait(args.back_after):
                modem.plug_in()
    return 0


def _manners(args: argparse.Namespace) -> Manners:
    """Raises ``ValueError`` for manners no modem has."""
    if not 0 <= args.first_reference <= 255 or args.sim_size < 1:
        raise ValueError("references are 0 to 255, and a SIM card has a place at least")
    return Manners(
        echo=not args.no_echo,
        pace_s=args.slow,
        chatter=tuple(args.chatter),
        report_s=None if args.no_reports else args.report_after,
        stored_reports=args.stored_reports,
        first_reference=args.first_reference,
    )


def _faults(args: argparse.Namespace) -> Faults:
    return Faults(errors=args.error, no_prompt=args.no_prompt, unplug=args.unplug_at)


def _tell(sent: Sent) -> None:
    unit = sent.unit
    told = {
        "reference": sent.reference,
        "to": unit.to,
        "text": unit.text,
        "part": unit.join,
        "at": sent.at.isoformat(timespec="seconds"),
    }
    print(json.dumps(told, ensure_ascii=False), flush=True)


def _obey(modem: SimModem) -> None:
    """What a person at the terminal wants to happen."""
    for number, line in enumerate(sys.stdin):
        word, _, text = line.strip().partition(" ")
        if word == "unplug":
            modem.pulled_by_hand = True
            modem.unplug()
        elif word == "plug":
            modem.pulled_by_hand = False
            modem.plug_in()
        elif word:
            modem.receive(word, text, reference=number)
