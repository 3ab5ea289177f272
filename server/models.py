"""Every table in one import, for migrations and the app; nothing else imports this."""

from __future__ import annotations

from server.accounts.models import Account, Contact, Customer, Premise
from server.audit import AuditEvent
from server.blobs import Blob
from server.feed import FeedEntry, FeedScope
from server.identity.models import ApiToken, Device, Enrolment, OrgUnit, Role, Staff
from server.operator import Operator
from server.review import ReviewItem
from server.rounds.models import Route, RouteStop

__all__ = [
    "Account",
    "ApiToken",
    "AuditEvent",
    "Blob",
    "Contact",
    "Customer",
    "Device",
    "Enrolment",
    "FeedEntry",
    "FeedScope",
    "Operator",
    "OrgUnit",
    "Premise",
    "ReviewItem",
    "Role",
    "Route",
    "RouteStop",
    "Staff",
]
