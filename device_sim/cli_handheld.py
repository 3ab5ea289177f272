"""``python -m device_sim handheld``: one handheld, step by step or one whole round."""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from device_sim.clock import WallClock
from device_sim.gps import Gps, GpsFaults
from device_sim.handheld import Handheld, Stop
from device_sim.protocol import Client, Json, SyncError
from device_sim.rep import SKIPS, Dials, Habits, Rep
from device_sim.round import Round
from device_sim.serial import instruments
from device_sim.serial.cradle import CradleLink
from device_sim.serial.line import SerialError
from device_sim.serial.receiver import SerialGps
from device_sim.syncer import Outcome, Syncer

DESCRIPTION = """\
One simulated handheld whose whole state lives in a folder, so that each step may be a process of its own.

Without an action give --once: enrol if needed, pull, start a shift, read every open order (or --stops N),
end the shift, sync until nothing is unsent. Exit code 0: done; 1: not done (offline, refused, nothing to
read); 2: wrong use. With --json one JSON object goes to standard output, errors included.
"""

EXAMPLES = """\
examples:
  a whole round in one go:
    python -m device_sim handheld --server http://127.0.0.1:8000 --code ABCD-2345 --state var/h1 --once
  step by step, offline in between:
    python -m device_sim handheld --state var/h1 --server http://127.0.0.1:8000 enrol --code ABCD-2345
    python -m device_sim handheld --state var/h1 pull
    python -m device_sim handheld --state var/h1 shift start
    python -m device_sim handheld --state var/h1 read --stops 3
    python -m device_sim handheld --state var/h1 read --meter M-000123 --value 45678 --json
    python -m device_sim handheld --state var/h1 skip --meter M-000124 --skip-code dog
    python -m device_sim handheld --state var/h1 sync --json
    python -m device_sim handheld --state var/h1 status
  with serial devices (PORT or PORT@BAUD; docs/serial.md):
    python -m device_sim handheld --state var/h1 --code ABCD-2345 --cradle /dev/ttyUSB0 enrol
    python -m device_sim handheld --state var/h1 --cradle /dev/ttyUSB0 sync
    python -m device_sim handheld --state var/h1 --gps /dev/ttyUSB1@4800 read --probe /dev/ttyUSB2
    python -m device_sim handheld --state var/h1 read --scanner /dev/ttyUSB3 --value 45678
"""

# Actions that capture something, and so want a position.
METHODS = ("cash", "card", "cheque", "wallet")
CAPTURING = ("read", "skip", "collect", "shift")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options and actions; common options may stand before or after the action."""
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    _add_common(parser, defaults=True)
    parser.add_argument("--once", action="store_true", help="one whole round (see above)")
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    for name, (summary, _) in ACTIONS.items():
        action = actions.add_parser(name, help=summary, description=summary)
        _add_common(action, defaults=False)
        if name == "shift":
            action.add_argument("state_of_shift", choices=("start", "end"), metavar="start|end")
        if name in ("read", "skip"):
            action.add_argument("--meter", metavar="SERIAL", help="this meter instead of the next")
        if name == "read":
            action.add_argument(
                "--value", metavar="[KIND=]V", action="append", help="what is typed"
            )
            action.add_argument("--trouble", metavar="CODE", help="a condition of the meter")
        if name == "skip":
            action.add_argument("--skip-code", choices=SKIPS, default="locked")
        if name == "collect":
            action.add_argument("--account", required=True, metavar="NO", help="who pays")
            action.add_argument("--amount", required=True, help="such as 120.50")
            action.add_argument("--method", choices=METHODS, default="cash")
        if name in ("read", "skip"):
            _add_instruments(action, probe=name == "read")
            action.add_argument("--note", help="free words")


def _add_instruments(action: argparse.ArgumentParser, *, probe: bool) -> None:
    action.add_argument("--scanner", metavar="PORT", help="the scanned meter's stop")
    action.add_argument(
        "--scan-within", type=float, default=10.0, metavar="S", help="seconds to wait for a scan"
    )
    if probe:
        action.add_argument("--probe", metavar="PORT", help="values through the optical probe")
        action.add_argument("--probe-address", default="", metavar="NO", help="one of many meters")


def _add_common(parser: argparse.ArgumentParser, *, defaults: bool) -> None:
    def add(name: str, default: object = None, **rest: object) -> None:
        default = default if defaults else argparse.SUPPRESS
        parser.add_argument(name, default=default, **rest)  # type: ignore[arg-type]

    add("--server", metavar="URL", help="remembered in the state folder after the first use")
    add("--code", metavar="XXXX-XXXX", help="one-time enrolment code")
    add("--state", Path("var/handheld"), type=Path, metavar="DIR", help="the device's folder")
    add("--dials", type=Path, metavar="CSV", help="what stands on the meters")
    add("--seed", "1", help="of the person and the receiver")
    add("--pace", 0.0, type=float, metavar="S", help="seconds per stop (default: none wasted)")
    add("--photos", 0.0, type=float, metavar="P", help="part of the readings with a photo (0…1)")
    add("--stops", type=int, metavar="N", help="read at most N stops")
    add("--timeout", 20.0, type=float, metavar="S", help="seconds to wait for an answer")
    add(
        "--retry-for",
        0.0,
        type=float,
        metavar="S",
        help="keep trying an unreachable server so long",
    )
    add("--cradle", metavar="PORT", help="sync through a serial cradle instead of HTTP")
    add("--gps", metavar="PORT", help="a GPS receiver (NMEA) instead of the simulated one")
    add("--gps-within", 3.0, type=float, metavar="S", help="seconds to wait for its first fix")
    add("--clock-offset", 0.0, type=float, metavar="S", help="the device's clock is so far ahead")
    add("--json", action="store_true", help="one JSON object on standard output")


def run(args: argparse.Namespace) -> int:
    """Carry out one action; 0 done, 1 not done, 2 wrong use."""
    if bool(args.once) == bool(args.action):
        sys.stderr.write("handheld: give --once or one action (see --help)\n")
        return 2
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        session = Session(args)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"handheld: {error}\n")
        return 2
    try:
        answer = once(session) if args.once else ACTIONS[args.action][1](session)
    except SyncError as error:
        answer = {"error": {"code": error.code, "message": str(error), "retry": error.retry}}
    except SerialError as error:
        answer = {"error": error.to_json()}
    except NotDoneError as error:
        answer = {"error": {"code": error.code, "message": str(error), "retry": False}}
    finally:
        session.close()
    _tell(answer, as_json=bool(args.json))
    return 1 if answer.get("error") else 0


class NotDoneError(Exception):
    """The device cannot do what was asked, such as reading a meter that is not on its round."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Session:
    """One process's hold on a handheld: the device, the person, the link."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.clock = WallClock()
        gps = Gps(random.Random(f"{args.seed}:gps"), GpsFaults(no_fix=0.0, jump=0.0))
        self._gps = SerialGps(args.gps) if args.gps else None
        dials = Dials.load(args.dials) if args.dials else None
        self.handheld = Handheld(
            args.state, self.clock, self._gps or gps, offset_s=args.clock_offset
        )
        gps.rng.seed(f"{args.seed}:{self.handheld.boots}:gps")
        if args.server:
            self.handheld.store.put(server=args.server)
        rep = Rep(args.seed, dials, Habits(skip=0.0, fat_finger=0.0, photo=args.photos))
        rng = random.Random(f"{args.seed}:{self.handheld.boots}")
        self.round = Round(self.handheld, rep, rng, self.clock.sleep, args.pace)
        self._syncer: Syncer | None = None
        if self._gps and (args.once or args.action in CAPTURING):
            self._gps.wait(args.gps_within)

    @property
    def syncer(self) -> Syncer:
        """The link to the server; raises ``NotDoneError`` when no server was ever named."""
        if self._syncer is None and self.args.cradle:
            link = CradleLink(self.args.cradle, timeout=self.args.timeout)
            self._syncer = Syncer(self.handheld, link)
        if self._syncer is None:
            server = self.handheld.store.get("server")
            if not server:
                raise NotDoneError(
                    "device.no_server", "name the server once with --server URL, or a --cradle"
                )
            self._syncer = Syncer(self.handheld, Client(server, timeout=self.args.timeout))
        return self._syncer

    def patiently(self, attempt: Callable[[], SyncError | None]) -> SyncError | None:
        """Repeat an attempt while it fails in a way that may pass, for ``--retry-for`` seconds."""
        started = datetime.now(UTC)
        while True:
            error = attempt()
            waited = (datetime.now(UTC) - started).total_seconds()
            if error is None or not error.retry or waited >= self.args.retry_for:
                return error
            self.clock.sleep(min(error.retry_after or 0.5, 5.0))

    def close(self) -> None:
        """Leave everything on disk."""
        if self._syncer:
            self._syncer.client.close()
        if self._gps:
            self._gps.close()
        self.handheld.close()


def enrol(session: Session) -> Json:
    """Exchange the code for a token, unless the device has one."""
    code = session.args.code

    def attempt() -> SyncError | None:
        try:
            session.syncer.enrol(code or "")
        except SyncError as error:
            return error
        return None

    if not code and not session.handheld.enrolled:
        raise NotDoneError("device.no_code", "an enrolment code is needed: --code XXXX-XXXX")
    error = session.patiently(attempt) if code else None
    if error:
        raise error
    return session.handheld.status()


def pull(session: Session) -> Json:
    """Fetch what changed."""

    def attempt(outcome: Outcome) -> None:
        session.syncer.pull(outcome)

    return _talk(session, attempt)


def push(session: Session) -> Json:
    """Send what is unsent."""

    def attempt(outcome: Outcome) -> None:
        session.syncer.push(outcome)

    return _talk(session, attempt)


def sync(session: Session) -> Json:
    """Push, then pull."""

    def attempt(outcome: Outcome) -> None:
        result = session.syncer.sync()
        outcome.sent += result.sent
        outcome.points += result.points
        outcome.photos += result.photos
        outcome.pulled += result.pulled
        for verdict, count in result.verdicts.items():
            outcome.verdicts[verdict] = outcome.verdicts.get(verdict, 0) + count
        if result.error:
            raise result.error

    return _talk(session, attempt)


def _talk(session: Session, step: Callable[[Outcome], None]) -> Json:
    if not session.handheld.enrolled:
        raise NotDoneError(
            "device.not_enrolled", "the device is not enrolled: enrol --code XXXX-XXXX"
        )
    outcome = Outcome()

    def attempt() -> SyncError | None:
        try:
            step(outcome)
        except SyncError as error:
            return error
        return None

    outcome.error = session.patiently(attempt)
    return {**outcome.to_json(), "status": session.handheld.status()}


def shift(session: Session) -> Json:
    """Start or end a shift."""
    device = session.handheld
    starting = session.args.state_of_shift == "start"
    item = device.start_shift() if starting else device.end_shift()
    return {"items": [item] if item else [], "status": device.status()}


def read(session: Session) -> Json:
    """Read the next stops, or one meter; starts a shift when none is running."""
    args = session.args
    if args.value and not (args.meter or args.scanner):
        raise NotDoneError("device.no_meter", "--value needs --meter SERIAL or --scanner PORT")
    if args.value and args.probe:
        raise NotDoneError("device.two_values", "--value and --probe exclude each other")
    session.handheld.start_shift()
    if args.probe:
        items = [_read_probe(session)]
    elif args.value:
        items = [_read_value(session, _stops(session)[0])]
    else:
        items = [item for stop in _stops(session) if (item := session.round.visit(stop))]
    return {"items": items, "status": session.handheld.status()}


def _read_probe(session: Session) -> str:
    """Let the meter under the probe say its values, and which meter it is when nobody else did."""
    args = session.args
    chosen = _stops(session)[0] if args.meter or args.scanner else None
    readout = instruments.probed(args.probe, args.probe_address)
    stop = instruments.probed_stop(readout, session.handheld.open_stops(), chosen)
    return _capture(session, stop, instruments.entries(readout, stop))


def skip(session: Session) -> Json:
    """Capture why the next stops, or one meter, could not be read."""
    session.handheld.start_shift()
    items = []
    for stop in _stops(session):
        if stop.place:
            session.round.walk_to(stop.place)
        items.append(session.handheld.skip(stop, session.args.skip_code, session.args.note))
    return {"items": items, "status": session.handheld.status()}


def collect(session: Session) -> Json:
    """Collect money at the door; the answer names the receipt."""
    args = session.args
    item, receipt = session.handheld.collect(args.account, args.amount, method=args.method)
    return {"items": [item], "receipt": receipt, "status": session.handheld.status()}


def status(session: Session) -> Json:
    """What the device holds, with every item and its verdict."""
    items = [
        {
            "seq": i.seq,
            "id": i.id,
            "type": i.type,
            "state": i.state,
            "verdict": i.verdict,
            "code": i.code,
            "ack": i.ack,
        }
        for i in session.handheld.store.items()
    ]
    return {"status": session.handheld.status(), "items": items}


def stops(session: Session) -> Json:
    """The open orders in walking order; without the previous reading, as on a real round."""
    return {
        "stops": [
            {
                "read_order": stop.order["id"],
                "service_point": stop.point["id"],
                "sequence": stop.point.get("sequence"),
                "point_no": stop.point.get("point_no"),
                "meter_serial": stop.meter_serial,
                "address": stop.point.get("address"),
            }
            for stop in session.handheld.open_stops()
        ]
    }


def once(session: Session) -> Json:
    """Enrol if needed, pull, read every open order (or N), send until nothing is unsent."""
    enrol(session)
    pulled = sync(session)
    if pulled["error"]:
        return pulled
    items: list[str] = []
    if session.handheld.open_stops():
        session.handheld.start_shift()
        for stop in session.handheld.open_stops()[: session.args.stops]:
            item = session.round.visit(stop)
            items += [item] if item else []
        session.handheld.end_shift()
    answer = sync(session)
    unsent = answer["status"]["unsent"] + answer["status"]["photos_unsent"]
    if unsent and not answer["error"]:
        answer["error"] = {"code": "device.unsent", "message": f"{unsent} unsent", "retry": True}
    return {"items": items, **answer}


def _stops(session: Session) -> list[Stop]:
    open_stops = session.handheld.open_stops()
    serial = getattr(session.args, "meter", None)
    scanner = getattr(session.args, "scanner", None)
    if scanner:
        open_stops = [instruments.scanned_stop(scanner, open_stops, session.args.scan_within)]
    elif serial:
        open_stops = [stop for stop in open_stops if stop.meter_serial == serial][:1]
    else:
        open_stops = open_stops[: session.args.stops or 1]
    if not open_stops:
        what = f"meter {serial}" if serial else "any stop"
        raise NotDoneError("device.no_open_order", f"no open order for {what} on this device")
    return open_stops


def _read_value(session: Session, stop: Stop) -> str:
    registers = []
    for text in session.args.value:
        kind, _, value = text.rpartition("=")
        registers.append({"kind": kind or "total", "value": value})
    return _capture(session, stop, registers)


def _capture(session: Session, stop: Stop, registers: list[Json]) -> str:
    if stop.place:
        session.round.walk_to(stop.place)
    return session.handheld.read(
        stop,
        registers,
        trouble=session.args.trouble,
        note=session.args.note,
        photos=session.round.rep.photos(stop),
    )


def _tell(answer: Json, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
        return
    for name, value in {**answer, **(answer.get("status") or {})}.items():
        if name == "status" or value in (None, [], {}):
            continue
        if isinstance(value, list):
            sys.stdout.write(f"{name}:\n" + "".join(f"  {row}\n" for row in value))
        else:
            sys.stdout.write(f"{name}: {value}\n")


ACTIONS: dict[str, tuple[str, Callable[[Session], Json]]] = {
    "enrol": ("exchange --code for a token (a device that has one keeps it)", enrol),
    "pull": ("fetch routes, points and orders", pull),
    "stops": ("list the open orders in walking order", stops),
    "shift": ("start or end the shift", shift),
    "read": ("read the next stop (--stops N), or --meter SERIAL [--value V]", read),
    "skip": ("say why the next stop or --meter SERIAL could not be read", skip),
    "collect": ("collect --amount of money from --account NO at the door", collect),
    "push": ("send what is unsent", push),
    "sync": ("push, then pull", sync),
    "status": ("what the device holds", status),
}
