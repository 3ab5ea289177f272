"""One handheld: its store, witness, clock and receiver, and the captures a person makes with it."""

from __future__ import annotations

import logging
import shutil
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from device_sim import APP_VERSION
from device_sim.clock import Clock, DeviceClock, rfc3339
from device_sim.gps import Fix, Receiver
from device_sim.photos import Photo
from device_sim.protocol import Json
from device_sim.store import Store
from device_sim.walk import Place
from device_sim.witness import Witness

log = logging.getLogger("device_sim")

TRACK_BUFFER = 10
BATTERY_MINUTES_PER_PERCENT = 6.0
# A reopened order is read again, but a server that never closes one must not get readings for ever.
MOST_READINGS_PER_ORDER = 3


@dataclass(frozen=True)
class Stop:
    """An open read order with the service point it belongs to."""

    order: Json
    point: Json

    @property
    def place(self) -> Place | None:
        """Where it is, when known."""
        return place_of(self.point)

    @property
    def meter_serial(self) -> str | None:
        """The meter the device believes to be there."""
        meter = self.point.get("meter")
        return str(meter["serial"]) if meter else None


def place_of(point: Json) -> Place | None:
    """The position of a service point document."""
    position = point.get("position")
    return Place(float(position["lat"]), float(position["lon"])) if position else None


class Handheld:
    """A device whose whole state lives in ``folder`` (``device.sqlite3`` and ``witness.jsonl``)."""

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        gps: Receiver,
        *,
        name: str | None = None,
        offset_s: float = 0.0,
        drift_ppm: float = 0.0,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self.name = name or folder.name
        self.folder = folder
        self.store = Store(folder / "device.sqlite3")
        self.witness = Witness(folder / "witness.jsonl")
        self.gps = gps
        self.clock = DeviceClock(clock, offset_s, drift_ppm, self._zone())
        self.boots = (self.store.get("boots") or 0) + 1
        self.place = self._last_place()
        self._new_id = new_id
        self._track: list[list[int]] = []
        if not self.store.get("install_id"):
            self.store.put(install_id=new_id())
        self.store.put(boots=self.boots)
        self.store.unpark()

    def close(self) -> None:
        """Put everything on disk and close."""
        self.flush_track()
        if self.place:
            self.store.put(place=[self.place.lat, self.place.lon])
        self.store.close()
        self.witness.close()

    @property
    def enrolled(self) -> bool:
        """Whether the device holds a token."""
        return bool(self.store.get("token"))

    def describe(self) -> Json:
        """What the device tells of itself when it is enrolled."""
        install_id = str(self.store.get("install_id"))
        digits = str(int(install_id.replace("-", "")[:12], 16)).zfill(15)[-15:]
        return {
            "install_id": install_id,
            "model": "Simulated handheld",
            "os": "sim",
            "imei": f"86{digits[2:]}",
            "iccid": f"8986{digits}0",
            "app_version": APP_VERSION,
        }

    def health(self, sending: int = 0) -> Json:
        """The health block of a push that takes the ``sending`` oldest items along.

        What counts as unsent is what stays behind when the push arrives.
        """
        count, oldest = self.store.unsent(after=sending)
        return {
            "unsent": count,
            "oldest_unsent_at": oldest,
            "battery": self.battery(),
            "persisted": True,
            "free_mb": shutil.disk_usage(self.folder).free // 1_000_000,
            "app_version": APP_VERSION,
        }

    def battery(self) -> int:
        """Percent left; the device is charged when it drops to 15."""
        used = int(self.clock.uptime_ms() / 60_000 / BATTERY_MINUTES_PER_PERCENT)
        return 100 - used % 85

    def learn_zone(self) -> None:
        """Show times in the operator's zone, once its document is there."""
        self.clock.zone = self._zone()

    # Positions.

    def stand(self, place: Place | None, speed: float = 0.0, course: float = 0.0) -> Fix | None:
        """Be at a place now, None for anywhere; the receiver's fix goes into the track."""
        self.place = place
        fix = self.gps.fix(place, self.clock.true.now(), speed, course)
        if fix:
            self._track.append(fix.to_track(self.battery()))
            if len(self._track) >= TRACK_BUFFER:
                self.flush_track()
        return fix

    def flush_track(self) -> None:
        """Store the track rows still in memory; the witness knows them first."""
        if self._track:
            self.witness.passing(self._track)
            self.store.add_track(self._track)
            self.witness.passed()
            self._track = []

    # Captures.

    def capture(
        self,
        kind: str,
        data: Json,
        *,
        subject: str = "",
        base: object = None,
        photos: Sequence[Photo] = (),
        **facts: Any,
    ) -> str:
        """Capture one item of a wire type such as ``meter_reading.v1``; returns its id.

        The witness is on disk before the outbox, and "saved" is said after it; facts are stored in
        the same transaction as the item.
        """
        item: Json = {
            "id": self._new_id(),
            "seq": self.store.next_seq(),
            "type": kind,
            "captured_at": rfc3339(self.clock.now()),
            "uptime_ms": self.clock.uptime_ms(),
            "gps": self._gps_object(),
            "data": data,
        }
        if base is not None:
            item["base"] = str(base)
        if photos:
            item["attachments"] = [photo.to_item() for photo in photos]
        self.witness.begin(item)
        self.store.add(item, subject, str(base or ""), photos, **facts)
        self.witness.saved(item["id"])
        return str(item["id"])

    def start_shift(self) -> str | None:
        """Begin a shift unless one is running; returns the item's id."""
        if self.store.get("shift"):
            return None
        shift = self._new_id()
        return self.capture("shift.v1", {"shift": shift, "state": "started"}, shift=shift)

    def end_shift(self) -> str | None:
        """End the running shift, if any; returns the item's id."""
        shift = self.store.get("shift")
        if not shift:
            return None
        return self.capture("shift.v1", {"shift": shift, "state": "ended"}, shift=None)

    def read(
        self,
        stop: Stop,
        registers: list[Json],
        *,
        meter_serial: str | None = None,
        trouble: str | None = None,
        note: str | None = None,
        photos: Sequence[Photo] = (),
    ) -> str:
        """Capture the reading of an open order, with photos; returns the item's id."""
        data = {
            "read_order": int(stop.order["id"]),
            "service_point": int(stop.point["id"]),
            "meter_serial": meter_serial or stop.meter_serial,
            "reason": stop.order.get("reason") or "01",
            "registers": registers,
            "trouble": trouble,
            "note": note,
        }
        return self.capture("meter_reading.v1", data, photos=photos, **self._about(stop))

    def skip(self, stop: Stop, code: str, note: str | None = None) -> str:
        """Capture why an order could not be read; returns the item's id."""
        data = {
            "read_order": int(stop.order["id"]),
            "service_point": int(stop.point["id"]),
            "skip": code,
            "note": note,
        }
        return self.capture("meter_skip.v1", data, **self._about(stop))

    def collect(self, account_no: str, amount: str, *, method: str = "cash") -> tuple[str, str]:
        """Capture money collected at the door; returns the item's id and the receipt's number."""
        number = int(self.store.get("receipts") or 0) + 1
        receipt = f"{self.store.get('receipt_prefix') or 'X'}-{number:06d}"
        data = {"account_no": account_no, "amount": amount, "method": method, "receipt": receipt}
        item = self.capture("payment.v1", data, subject=f"account:{account_no}", receipts=number)
        return item, receipt

    # What the device knows.

    def route_points(self) -> list[Json]:
        """Every service point of every route, in walking order."""
        books = {str(r["id"]): str(r.get("book_no") or "") for r in self.store.documents("route")}

        def order(point: Json) -> tuple[str, str, int]:
            route = str(point.get("route_id"))
            return books.get(route, ""), route, int(point.get("sequence") or 0)

        return sorted(self.store.documents("service_point"), key=order)

    def open_stops(self) -> list[Stop]:
        """Orders still to be read, in walking order. Unsent captures count as done."""
        orders: dict[str, list[Json]] = {}
        for order in self.store.documents("read_order"):
            if order.get("status") == "open" and not self._captured(order):
                orders.setdefault(str(order["service_point_id"]), []).append(order)
        return [
            Stop(order, point)
            for point in self.route_points()
            for order in orders.get(str(point["id"]), [])
        ]

    def status(self) -> Json:
        """A summary for people and scripts."""
        count, oldest = self.store.unsent()
        return {
            "name": self.name,
            "server": self.store.get("server"),
            "device_id": self.store.get("device_id"),
            "enrolled": self.enrolled,
            "token_refused": bool(self.store.get("token_refused")),
            "wiped": bool(self.store.get("wiped")),
            "epoch": self.store.get("epoch"),
            "shift": self.store.get("shift"),
            "captured": self.store.next_seq() - 1,
            "unsent": count,
            "oldest_unsent_at": oldest,
            "parked": self.store.parked(),
            "photos_unsent": self.store.photos_unsent(),
            "track_unsent": self.store.track_waiting() + len(self._track),
            "verdicts": self.store.verdicts(),
            "received_through": self.store.get("received_through"),
            "open_orders": len(self.open_stops()),
            "last_sync_at": self.store.get("last_sync_at"),
        }

    def _captured(self, order: Json) -> bool:
        """Whether the order needs no reading from this device.

        An answered capture of an older version of the document does not count: the office opened the
        order again after it.
        """
        items = self.store.about(f"read_order:{order['id']}")
        if not items:
            return False
        last = items[-1]
        seen = last.state != "done" or last.base == str(order.get("version") or "")
        return seen or len(items) >= MOST_READINGS_PER_ORDER

    def _about(self, stop: Stop) -> Json:
        return {"subject": f"read_order:{stop.order['id']}", "base": stop.order.get("version")}

    def _gps_object(self) -> Json:
        fix = self.stand(self.place)
        return fix.to_item() if fix else {"absent": self.gps.absence}

    def _last_place(self) -> Place | None:
        place = self.store.get("place")
        return Place(place[0], place[1]) if place else None

    def _zone(self) -> tzinfo:
        operator = self.store.document("operator", "operator") or {}
        try:
            return ZoneInfo(str(operator.get("time_zone") or "UTC"))
        except (ZoneInfoNotFoundError, ValueError):
            return UTC
