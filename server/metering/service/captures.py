"""What the verbs of metering take and give: captures in, verdicts out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from server.errors import Invalid
from server.metering.models import SKIP_CODES
from server.metering.rules.findings import Finding

BILLING_REASONS = ("01", "02", "03")
"""Reasons whose reading is billed at once on a read-and-bill route: periodic, interim, final."""

EXCHANGE_REASONS = ("21", "22")
"""Reasons of the readings an exchange writes: installation of the new meter, removal of the old."""


@dataclass(frozen=True, slots=True)
class DialEntry:
    """What was keyed for one register; ``second_entry`` when it was keyed twice on the spot."""

    kind: str
    value: Decimal
    second_entry: Decimal | None = None


@dataclass(frozen=True, slots=True)
class DevicePlace:
    """Where and when the device says it was; the position is WGS-84 in degrees × 10⁷.

    ``absent`` is the reason of a missing position; ``clock_skew_s`` how far the device's clock
    was ahead of ours.
    """

    lat_e7: int | None = None
    lon_e7: int | None = None
    accuracy_m: float | None = None
    mock: bool = False
    absent: str | None = None
    clock_skew_s: float | None = None


@dataclass(frozen=True, slots=True)
class NewReading:
    """One capture: all registers of a meter read at one moment, judged together.

    ``supersedes`` is the ``capture_uuid`` of an own earlier capture this one takes back;
    ``replaces`` names the stored reading each register corrects, by kind. A ``withdrawn`` one is
    stored and counts for nothing: it was taken back before it came.

    Raises:
        Invalid: ``reading.registers`` when there is no register or one is there twice.
    """

    service_point_id: int | None
    meter_serial: str
    registers: tuple[DialEntry, ...]
    read_at: datetime
    source: str = "device"
    order_id: int | None = None
    reason: str = "01"
    quality: str = "regular"
    capture_uuid: UUID | None = None
    staff_id: int | None = None
    place: DevicePlace | None = None
    trouble: str | None = None
    note: str | None = None
    supersedes: UUID | None = None
    replaces: Mapping[str, int] | None = None
    withdrawn: bool = False

    def __post_init__(self) -> None:
        kinds = [entry.kind for entry in self.registers]
        if not kinds or len(set(kinds)) < len(kinds):
            raise Invalid(
                "reading.registers",
                "A capture needs each register once.",
                {"registers": kinds},
            )


@dataclass(frozen=True, slots=True)
class NewSkip:
    """An order that could not be read, and why.

    Raises:
        Invalid: ``skip.code`` for a reason that is not in the list.
    """

    service_point_id: int
    skip_code: str
    skipped_at: datetime
    order_id: int | None = None
    note: str | None = None
    capture_uuid: UUID | None = None
    staff_id: int | None = None
    place: DevicePlace | None = None

    def __post_init__(self) -> None:
        if self.skip_code not in SKIP_CODES:
            raise Invalid(
                "skip.code",
                f"There is no skip code {self.skip_code!r}.",
                {"known": list(SKIP_CODES)},
            )


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict on one capture, in the order the captures were given.

    ``bill_now`` says that the reading is confirmed, lies on a read-and-bill route and has a
    reason that bills: hand such verdicts to ``billing.service.bill_judged``.
    """

    verdict: str
    code: str | None = None
    message: str | None = None
    field: str | None = None
    reading_ids: tuple[int, ...] = ()
    consumption_ids: tuple[int, ...] = ()
    order_id: int | None = None
    service_point_id: int | None = None
    account_id: int | None = None
    bill_now: bool = False
    findings: tuple[Finding, ...] = ()
