"""``python -m device_sim serial``: what is plugged in at the far end of serial lines, on ptys with names."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from device_sim.serial.ends import Cable, Player
from device_sim.serial.iec62056 import BAUDS
from device_sim.serial.sim_meter import MeterManners, SimMeter
from device_sim.serial.sim_talkers import SimGps, SimScanner
from device_sim.walk import Place

DESCRIPTION = """\
Plays a device at the far end of a serial line until Ctrl-C. The port to open is the name given with --port;
a cable has two. Exit code 2: wrong use.
"""

EXAMPLES = """\
examples:
  python -m device_sim serial --port var/tty-meter meter --serial M00001 --set 1.8.0=012345.6*kWh
  python -m device_sim serial --port var/tty-gps gps --at 31.2330,121.4730
  python -m device_sim serial --port var/tty-scanner scanner M00001 M00002
  python -m device_sim serial --port var/tty-handheld cable --other var/tty-cradle
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the devices and their options."""
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.add_argument("--port", type=Path, required=True, metavar="NAME", help="made as a link")
    devices = parser.add_subparsers(dest="device", metavar="DEVICE", required=True)
    meter = devices.add_parser("meter", help="a meter under an optical head, IEC 62056-21 mode C")
    meter.add_argument("--serial", default="M00001", help="the meter's number")
    meter.add_argument(
        "--set", action="append", default=[], metavar="ADDRESS=VALUE*UNIT", help="a register"
    )
    meter.add_argument("--speed", choices=sorted(BAUDS), default="5", help="letter of its speed")
    meter.add_argument("--maker", default="ESY", help="three letters, a small third one is fast")
    meter.add_argument("--echo", action="store_true", help="the head echoes what is sent")
    gps = devices.add_parser("gps", help="a GPS receiver, NMEA")
    gps.add_argument("--at", default="", metavar="LAT,LON", help="without it there is no fix")
    scanner = devices.add_parser("scanner", help="a barcode scanner")
    scanner.add_argument("codes", nargs="+", metavar="CODE", help="scanned over and over")
    cable = devices.add_parser("cable", help="a null-modem cable between two ports")
    cable.add_argument("--other", type=Path, required=True, metavar="NAME", help="its other end")


def run(args: argparse.Namespace) -> int:
    """Play the device until SIGINT or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        player = _player(args)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"serial: {error}\n")
        return 2
    with player:
        sys.stderr.write(f"{args.device} at {args.port}\n")
        stop.wait()
    return 0


def _player(args: argparse.Namespace) -> Player:
    args.port.parent.mkdir(parents=True, exist_ok=True)
    if args.device == "meter":
        return _meter(args)
    if args.device == "gps":
        return SimGps(_place(args.at), link=args.port)
    if args.device == "scanner":
        return SimScanner(args.codes, 1.0, link=args.port)
    return Cable(args.port, args.other)


def _meter(args: argparse.Namespace) -> SimMeter:
    """Raises ``ValueError`` for manners no meter has."""
    if len(args.maker) != 3 or not (args.maker.isascii() and args.maker.isalpha()):
        raise ValueError(f"a maker has three letters: {args.maker!r}")
    lines = {}
    for text in args.set or ["1.8.0=012345.6*kWh"]:
        address, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"not ADDRESS=VALUE: {text!r}")
        lines[address] = value
    manners = MeterManners(args.maker, args.speed, echo=args.echo, pace=1.0)
    return SimMeter(args.serial, lines, manners, link=args.port)


def _place(text: str) -> Place | None:
    """Raises ``ValueError`` when it is no position."""
    if not text:
        return None
    lat, _, lon = text.partition(",")
    return Place(float(lat), float(lon))
