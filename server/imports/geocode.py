"""Positions for addresses that came without one, asked of a geocoder, one a second."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from geopy.exc import GeopyError
from geopy.extra.rate_limiter import RateLimiter
from geopy.geocoders import Nominatim
from sqlalchemy import select, update

from server import geo
from server.accounts.models import Premise, ServicePoint
from server.db import snapshot, transaction
from server.imports.report import Problem, Report
from server.imports.store import touch_points

Geocode = Callable[[str], geo.Place | None]
"""An address to its place in WGS-84, or None when the geocoder does not know it."""

FILE = "premises.csv"
SECONDS_BETWEEN = 1.0
TIMEOUT_S = 10


def nominatim(url: str, user_agent: str) -> Geocode:
    """A geocoder that speaks Nominatim's protocol at an address such as https://geo.example.com."""
    parts = urlsplit(url)
    service = Nominatim(
        domain=(parts.netloc + parts.path).rstrip("/"),
        scheme=parts.scheme or "https",
        user_agent=user_agent,
        timeout=TIMEOUT_S,
    )
    limited = RateLimiter(
        service.geocode, min_delay_seconds=SECONDS_BETWEEN, swallow_exceptions=False
    )

    def ask(address: str) -> geo.Place | None:
        found = limited(address)
        return None if found is None else geo.Place(found.latitude, found.longitude)

    return ask


def find_positions(geocode: Geocode, report: Report, progress: Callable[[int, int], None]) -> int:
    """Look up every premise without a position and return how many were found.

    What cannot be found is a warning; the premise works without a position. The geocoder is
    asked outside of any transaction.
    """
    with snapshot() as session:
        waiting = session.execute(
            select(Premise.id, Premise.premise_no, Premise.address)
            .where(Premise.lat_e7.is_(None))
            .order_by(Premise.id)
        ).all()
    found = 0
    for number, (premise_id, premise_no, address) in enumerate(waiting, start=1):
        try:
            place = geocode(address)
        except GeopyError as error:
            place, why = None, f"could not be looked up: {type(error).__name__} {error}"
        else:
            why = "is not known to the geocoder"
        if place is None:
            report.add(
                Problem(
                    FILE,
                    0,
                    "address",
                    "import.no_position",
                    f"of {premise_no} {why}",
                    address,
                    "warning",
                )
            )
        else:
            _place(premise_id, place)
            found += 1
        progress(number, len(waiting))
    return found


def _place(premise_id: int, place: geo.Place) -> None:
    with transaction() as session:
        session.execute(
            update(Premise)
            .where(Premise.id == premise_id)
            .values(
                lat_e7=geo.to_e7(place.lat),
                lon_e7=geo.to_e7(place.lon),
                datum="wgs84",
                position_source="geocoder",
                position_confidence="low",
            )
        )
        points = select(ServicePoint.id).where(ServicePoint.premise_id == premise_id)
        touch_points(session, session.execute(points).scalars())
