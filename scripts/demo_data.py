"""Makes the demo's data files from the raw files that other people published.

    python -m scripts.demo_data RAW_FOLDER

RAW_FOLDER holds ``consumption_monthly.csv``, ``addresses.csv`` and ``ne_110m_land.geojson``; where
they come from is told in ``server/demo/data/README.md``. The results are committed, so this is run
only when they are to change. The same input always gives the same output.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "server" / "demo" / "data"
LAND = ROOT / "server" / "console" / "static" / "map" / "land.json"

NO_HOMES = ("隧道", "高架")
NO_HOME_KINDS = ("trunk",)
ROUTES = 4
ROOMS = (3, 2, 3, 2, 2, 3)
METRES_PER_DEGREE = 111_195.0

# Meters across and along from a vertex of the street's centre line to a front door.
SIDE_M = (7.0, 12.0)
ALONG_M = (-22.0, 22.0)


@dataclass(frozen=True)
class Spot:
    """A vertex of a street's centre line; degrees."""

    street: str
    lat: float
    lon: float


def main() -> None:
    """Read the raw folder from the command line and write the data files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("raw", type=Path, help="folder with the raw files")
    raw: Path = parser.parse_args().raw
    households = write_consumption(raw / "consumption_monthly.csv")
    write_places(raw / "addresses.csv", households)
    write_land(raw / "ne_110m_land.geojson")


def write_consumption(source: Path) -> int:
    """Write ``consumption.csv`` and return how many households it has."""
    months: dict[str, list[dict[str, str]]] = defaultdict(list)
    with source.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["kwh"]:
                months[row["customer_id"]].append(row)
    rows = [
        (number, row["month"], row["kwh"], row["days"])
        for number, customer in enumerate(sorted(months), start=1)
        for row in months[customer]
    ]
    _write(DATA / "consumption.csv", ("household", "month", "kwh", "days"), rows)
    return len(months)


def write_places(source: Path, households: int) -> None:
    """Write ``places.csv``: for each household its route, place in the walk, address, position."""
    chance = random.Random("places")  # noqa: S311 (repeatable chance is wanted)
    routes = split(read_spots(source))
    rows: list[tuple[object, ...]] = []
    for number, spots in enumerate(routes, start=1):
        share = households // ROUTES + (1 if number <= households % ROUTES else 0)
        rows.extend(_homes(number, walk(spots), spots_of_street(spots), share, chance))
    _write(
        DATA / "places.csv",
        ("household", "route", "sequence", "street", "house_number", "room", "lat", "lon"),
        [(household, *row) for household, row in enumerate(rows, start=1)],
    )


def read_spots(source: Path) -> list[Spot]:
    """The street points where homes are plausible: no tunnels, no elevated roads."""
    spots = []
    with source.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            usable = row["precision"] == "street" and row["kind"] not in NO_HOME_KINDS
            if usable and not any(word in row["street"] for word in NO_HOMES):
                spots.append(Spot(row["street"], float(row["lat"]), float(row["lon"])))
    return spots


def split(spots: Sequence[Spot]) -> list[list[Spot]]:
    """Cut the town into four quarters with equally many spots: west and east, then north and south."""
    by_lon = sorted(spots, key=lambda spot: (spot.lon, spot.lat))
    half = len(by_lon) // 2
    quarters = []
    for side in (by_lon[:half], by_lon[half:]):
        by_lat = sorted(side, key=lambda spot: (-spot.lat, spot.lon))
        quarters += [by_lat[: len(by_lat) // 2], by_lat[len(by_lat) // 2 :]]
    return quarters


def walk(spots: Sequence[Spot]) -> list[Spot]:
    """An order in which a person would walk the spots: to the nearest next, then uncrossed."""
    left = list(spots)
    order = [left.pop(0)]
    while left:
        nearest = min(left, key=lambda spot: distance(order[-1], spot))
        left.remove(nearest)
        order.append(nearest)
    return _uncrossed(order)


def _uncrossed(order: list[Spot]) -> list[Spot]:
    better = True
    while better:
        better = False
        for i in range(1, len(order) - 2):
            for j in range(i + 1, len(order) - 1):
                now = distance(order[i - 1], order[i]) + distance(order[j], order[j + 1])
                then = distance(order[i - 1], order[j]) + distance(order[i], order[j + 1])
                if then < now - 0.01:
                    order[i : j + 1] = order[i : j + 1][::-1]
                    better = True
    return order


def spots_of_street(spots: Iterable[Spot]) -> dict[str, list[Spot]]:
    """The spots of each street."""
    streets: dict[str, list[Spot]] = defaultdict(list)
    for spot in spots:
        streets[spot.street].append(spot)
    return streets


def distance(one: Spot, other: Spot) -> float:
    """Metres between two spots of one town."""
    east = (other.lon - one.lon) * math.cos(math.radians(one.lat))
    return math.hypot(other.lat - one.lat, east) * METRES_PER_DEGREE


def _homes(
    route: int,
    order: Sequence[Spot],
    streets: dict[str, list[Spot]],
    households: int,
    chance: random.Random,
) -> list[tuple[object, ...]]:
    """The homes of a route in walking order; the last building takes whoever is left."""
    homes: list[tuple[object, ...]] = []
    buildings = _spread(order, households)
    for index, spot in enumerate(buildings):
        number = 2 * chance.randrange(6, 160) + index % 2
        lat, lon = _front_door(spot, streets[spot.street], chance)
        rooms = ROOMS[index % len(ROOMS)]
        if index == len(buildings) - 1:
            rooms = households - len(homes)
        for room in range(1, min(rooms, households - len(homes)) + 1):
            flat = f"{(room + 1) // 2}0{2 - room % 2}"
            homes.append((route, len(homes) + 1, spot.street, number, flat, lat, lon))
    return homes


def _spread(order: Sequence[Spot], households: int) -> list[Spot]:
    """As many spots as buildings are needed, evenly picked along the walk."""
    wanted = round(households * len(ROOMS) / sum(ROOMS))
    if wanted >= len(order):
        return list(order)
    return [order[i * len(order) // wanted] for i in range(wanted)]


def _front_door(spot: Spot, street: Sequence[Spot], chance: random.Random) -> tuple[str, str]:
    """A position a few metres along the street and to its side; seven places are a centimetre."""
    others = [other for other in street if distance(spot, other) > 1]
    course = chance.uniform(0, math.pi)
    if others:
        next_spot = min(others, key=lambda other: distance(spot, other))
        east = (next_spot.lon - spot.lon) * math.cos(math.radians(spot.lat))
        course = math.atan2(east, next_spot.lat - spot.lat)
    along = chance.uniform(*ALONG_M)
    side = chance.uniform(*SIDE_M) * chance.choice((-1, 1))
    north = along * math.cos(course) - side * math.sin(course)
    east = along * math.sin(course) + side * math.cos(course)
    lat = spot.lat + north / METRES_PER_DEGREE
    lon = spot.lon + east / METRES_PER_DEGREE / math.cos(math.radians(spot.lat))
    return f"{lat:.7f}", f"{lon:.7f}"


def write_land(source: Path) -> None:
    """Write the land outline for the console's map with two decimals (about a kilometre)."""
    land = json.loads(source.read_text(encoding="utf-8"))
    for feature in land["features"]:
        geometry = feature["geometry"]
        geometry["coordinates"] = _rounded(geometry["coordinates"])
        feature["properties"] = {}
    LAND.parent.mkdir(parents=True, exist_ok=True)
    LAND.write_text(json.dumps(land, separators=(",", ":")) + "\n", encoding="utf-8")


def _rounded(value: list[object]) -> list[object]:
    if value and isinstance(value[0], int | float):
        return [round(float(number), 2) for number in value if isinstance(number, int | float)]
    return [_rounded(inner) for inner in value if isinstance(inner, list)]


def _write(target: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


if __name__ == "__main__":
    main()
