"""The files of an import in the order in which they are read."""

from __future__ import annotations

from server.imports.subject import Subject
from server.imports.subjects.customers import ACCOUNTS, CONTACTS, CUSTOMERS
from server.imports.subjects.history import INSTALLATIONS, READINGS
from server.imports.subjects.people import ORG_UNITS, STAFF
from server.imports.subjects.plant import METERS, NETWORK_NODES, PREMISES, SERVICE_POINTS
from server.imports.subjects.rounds import ROUTE_STOPS, ROUTES

TARIFFS = "tariffs"
"""The folder of tariff files, which are read first."""

SUBJECTS: tuple[Subject, ...] = (
    ORG_UNITS,
    STAFF,
    CUSTOMERS,
    CONTACTS,
    ACCOUNTS,
    PREMISES,
    NETWORK_NODES,
    SERVICE_POINTS,
    METERS,
    INSTALLATIONS,
    ROUTES,
    ROUTE_STOPS,
    READINGS,
)
