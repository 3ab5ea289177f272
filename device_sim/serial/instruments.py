"""What scanner and probe mean for a round: which stop is read, and with which values."""

from __future__ import annotations

from collections.abc import Sequence

from device_sim.handheld import Stop
from device_sim.protocol import Json
from device_sim.rep import shown
from device_sim.serial.iec62056 import BadReadoutError, Readout
from device_sim.serial.probe import Probe, ProbeError
from device_sim.serial.scanner import SHORTEST_PART, Scanner, stop_of


def scanned_stop(port: str, stops: Sequence[Stop], within_s: float) -> Stop:
    """Wait for a scan and find its stop. Raises ``BadScanError`` or ``LineError``."""
    with Scanner(port) as scanner:
        return stop_of(scanner.scan(within_s), stops)


def probed(port: str, address: str = "") -> Readout:
    """Read the meter under the probe. Raises ``ProbeError`` or ``LineError``."""
    return Probe(port, address=address).read()


def probed_stop(readout: Readout, stops: Sequence[Stop], chosen: Stop | None) -> Stop:
    """The stop the readout belongs to: the chosen one, or the one whose meter it names.

    Raises ``ProbeError``: ``probe.other_meter`` when another meter than the chosen one lies under the probe,
    ``probe.no_serial`` when nothing was chosen and the meter tells no number, ``probe.no_such_meter``.
    """
    serial = readout.serial
    if chosen is not None:
        if serial is not None and not _same_meter(serial, chosen):
            raise ProbeError(
                "probe.other_meter",
                f"meter {serial} is under the probe, not {chosen.meter_serial}",
                retry=False,
            )
        return chosen
    if serial is None:
        raise ProbeError(
            "probe.no_serial", "the meter tells no number: name it with --meter", retry=False
        )
    found = [stop for stop in stops if _same_meter(serial, stop)]
    if len({stop.meter_serial for stop in found}) != 1:
        what = "several meters" if found else "no meter"
        raise ProbeError(
            "probe.no_such_meter", f"{serial} is {what} with an open order here", retry=False
        )
    return found[0]


def _same_meter(serial: str, stop: Stop) -> bool:
    """Whether both numbers mean one meter: equal, or one with zeros or a maker's letters before it."""
    short, long = sorted((serial.casefold(), str(stop.meter_serial or "").casefold()), key=len)
    return short == long or (len(short) >= SHORTEST_PART and long.endswith(short))


def entries(readout: Readout, stop: Stop) -> list[Json]:
    """The registers of a reading as the meter's dials would show them, one for each that is to be read.

    Raises ``ProbeError``: ``probe.missing_register``, or why a value cannot be read.
    """
    try:
        values = readout.registers()
    except BadReadoutError as error:
        raise ProbeError(error.code, str(error), retry=False) from error
    wanted = stop.order.get("registers") or {}
    found: list[Json] = []
    for register in (stop.point.get("meter") or {}).get("registers") or []:
        kind = str(register["kind"])
        if wanted and kind not in wanted:
            continue
        if kind not in values:
            raise ProbeError("probe.missing_register", f"the meter tells no {kind}", retry=False)
        digits, decimals = int(register["integer_digits"]), int(register.get("decimals") or 0)
        found.append({"kind": kind, "value": shown(values[kind], digits, decimals)})
    return found
