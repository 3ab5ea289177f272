"""The person with the handheld: what stands on the dials, what is typed, what is skipped.

The true dial is known to the simulation only. The person never sees the previous reading; the device
warns when an entry falls outside the limits that came with the order, and asks for it again.
"""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_FLOOR, Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path

from device_sim.handheld import Stop
from device_sim.photos import Photo, take
from device_sim.protocol import Json

SKIPS = ("locked", "dog", "refused", "not_found", "flooded", "dangerous", "vacant", "unreadable")
DAY_S = Decimal(86_400)


@dataclass(frozen=True)
class Dial:
    """A register that turns: ``value`` at ``as_of``, gaining ``per_day`` units a day."""

    value: Decimal
    per_day: Decimal
    as_of: datetime

    def at(self, moment: datetime) -> Decimal:
        """The value at a moment (never less than at ``as_of``: dials do not run back)."""
        seconds = Decimal(str((moment - self.as_of).total_seconds()))
        return self.value + self.per_day * max(Decimal(0), seconds) / DAY_S


class Dials:
    """What really stands on the meters, by serial and register kind."""

    def __init__(self, dials: dict[tuple[str, str], Dial] | None = None) -> None:
        self._dials = dials or {}

    @classmethod
    def load(cls, path: Path) -> Dials:
        """Read ``meter_serial,kind,value,per_day,as_of`` rows. Raises ``ValueError`` naming a bad row."""
        dials = {}
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), start=2):
                try:
                    dials[row["meter_serial"], row["kind"]] = _dial(row)
                except (KeyError, ValueError, TypeError, InvalidOperation) as error:
                    raise ValueError(f"{path}: row {number}: {error!r}") from error
        return cls(dials)

    def at(self, serial: str, kind: str, moment: datetime) -> Decimal | None:
        """The true value at a moment, None when this meter is not in the file."""
        dial = self._dials.get((serial, kind))
        return dial.at(moment) if dial else None


def _dial(row: dict[str, str]) -> Dial:
    as_of = datetime.fromisoformat(row["as_of"])
    if as_of.tzinfo is None:
        as_of = as_of.replace(tzinfo=UTC)
    return Dial(Decimal(row["value"]), Decimal(row["per_day"]), as_of)


def shown(value: Decimal, integer_digits: int, decimals: int = 0) -> str:
    """What a dial with so many places shows: it passes through zero, and never rounds up."""
    step = Decimal(1).scaleb(-decimals)
    on_dial = value % (Decimal(10) ** integer_digits)
    return format(on_dial.quantize(step, rounding=ROUND_FLOOR), "f")


def used(entry: Decimal, previous: Decimal, integer_digits: int) -> Decimal:
    """Units since the previous reading, over the dial's zero when it went down."""
    difference = entry - previous
    return difference if difference >= 0 else difference + Decimal(10) ** integer_digits


def out_of_range(
    entry: str, expectation: Json, integer_digits: int, multiplier: Decimal = Decimal(1)
) -> bool:
    """Whether the device warns: the use since the previous reading is outside ``low``…``high``.

    The limits are units of supply: what the dial counted, times the multiplier.
    """
    low, high = expectation.get("low"), expectation.get("high")
    previous = expectation.get("previous")
    if previous is None or low is None or high is None:
        return False
    quantity = used(Decimal(entry), Decimal(str(previous)), integer_digits) * multiplier
    return not Decimal(str(low)) <= quantity <= Decimal(str(high))


def mistyped(entry: str, rng: random.Random) -> str:
    """The entry with two digits swapped or one digit wrong; always another text of equal length."""
    digits = [i for i, c in enumerate(entry) if c.isdigit()]
    swaps = [(a, b) for a, b in pairwise(digits) if entry[a] != entry[b]]
    typed = list(entry)
    if swaps and rng.random() < 0.5:
        a, b = rng.choice(swaps)
        typed[a], typed[b] = typed[b], typed[a]
    else:
        at = rng.choice(digits)
        typed[at] = rng.choice([c for c in "0123456789" if c != entry[at]])
    return "".join(typed)


@dataclass(frozen=True)
class Habits:
    """How often (0…1) a person takes a photo, skips a stop, mistypes, ignores the device's warning."""

    skip: float = 0.02
    fat_finger: float = 0.01
    hasty: float = 0.5
    photo: float = 0.0


@dataclass(frozen=True)
class Decision:
    """What the person does at a stop: ``registers`` of a reading, or a ``skip`` code."""

    registers: list[Json] = field(default_factory=list)
    skip: str | None = None


class Rep:
    """A person; the same seed and order always give the same behaviour, whatever the timing."""

    def __init__(self, seed: str, dials: Dials | None = None, habits: Habits | None = None) -> None:
        self._seed = seed
        self._dials = dials or Dials()
        self._habits = habits or Habits()

    def decide(self, stop: Stop, at: datetime) -> Decision:
        """Read the meter of a stop, or skip it. A stop without a meter is skipped as not found."""
        rng = random.Random(f"{self._seed}:{stop.order['id']}:{stop.order.get('version')}")
        meter = stop.point.get("meter")
        if not meter:
            return Decision(skip="not_found")
        if rng.random() < self._habits.skip:
            return Decision(skip=rng.choice(SKIPS))
        expectations = stop.order.get("registers") or {}
        return Decision(
            [
                self._enter(meter, register, expectations.get(register["kind"]) or {}, at, rng)
                for register in meter["registers"]
                if not expectations or register["kind"] in expectations
            ]
        )

    def photos(self, stop: Stop) -> list[Photo]:
        """The photos the person takes when reading a stop: mostly none, seldom two."""
        rng = random.Random(f"{self._seed}:photo:{stop.order['id']}:{stop.order.get('version')}")
        if rng.random() >= self._habits.photo:
            return []
        names = ("dial.png", "gate.png")[: 2 if rng.random() < 0.2 else 1]
        return [take(rng, name) for name in names]

    def _enter(
        self, meter: Json, register: Json, expectation: Json, at: datetime, rng: random.Random
    ) -> Json:
        kind, digits = str(register["kind"]), int(register["integer_digits"])
        multiplier = Decimal(str(meter.get("multiplier") or 1))
        noise = Decimal(str(round(min(1.3, max(0.7, rng.gauss(1.0, 0.08))), 3)))
        true = self._dials.at(str(meter["serial"]), kind, at)
        if true is None:
            true = _as_expected(expectation, multiplier, noise)
        dial = shown(true, digits, int(register.get("decimals") or 0))
        typed = mistyped(dial, rng) if rng.random() < self._habits.fat_finger else dial
        entry: Json = {"kind": kind, "value": typed}
        if not out_of_range(typed, expectation, digits, multiplier):
            return entry
        if typed != dial and rng.random() < self._habits.hasty:
            return entry
        entry["value"] = dial
        if out_of_range(dial, expectation, digits, multiplier):
            entry["second_entry"] = dial
        return entry


def _as_expected(expectation: Json, multiplier: Decimal, noise: Decimal) -> Decimal:
    """Where a dial stands when about the expected quantity was used."""
    previous = Decimal(str(expectation.get("previous") or 0))
    return previous + Decimal(str(expectation.get("expected") or 100)) * noise / multiplier
