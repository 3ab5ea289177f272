"""Every address of the console on one screen: methods, rule, endpoint, view."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from server.console import language
from server.console.views import (
    accounts,
    attachments,
    devices,
    map,  # noqa: A004 - the page is called that
    me,
    messages,
    readings,
    review,
    routes,
    search,
    settings,
    staff,
    today,
)

View = Callable[..., Any]

TABLE: tuple[tuple[str, str, str, View], ...] = (
    ("GET", "/", "today", today.page),
    ("GET", "/map", "map", map.page),
    ("GET", "/map/data", "map_data", map.data),
    ("GET", "/live", "map_live", map.live),
    ("GET", "/search", "search", search.page),
    ("GET", "/review", "review", review.page),
    ("POST", "/review/<int:item_id>", "review_decide", review.decide),
    ("POST", "/review/<int:item_id>/owner", "review_give", review.give),
    ("GET", "/readings", "readings", readings.page),
    ("GET", "/readings.csv", "readings_csv", readings.export),
    ("GET", "/readings/new", "readings_new", readings.enter),
    ("POST", "/readings/new", "readings_add", readings.add),
    ("GET", "/readings/<int:reading_id>", "readings_one", readings.one),
    ("GET", "/attachments/<int:attachment_id>", "attachments_one", attachments.one),
    ("GET", "/routes", "routes", routes.page),
    ("GET", "/routes/<int:route_id>", "routes_one", routes.one),
    ("POST", "/routes/<int:route_id>/reader", "routes_assign", routes.assign),
    ("GET", "/accounts", "accounts", accounts.page),
    ("GET", "/accounts.csv", "accounts_csv", accounts.export),
    ("GET", "/accounts/<int:account_id>", "accounts_one", accounts.one),
    ("POST", "/accounts/<int:account_id>/phones", "accounts_phones", accounts.show_phones),
    ("GET", "/bills/<int:bill_id>", "accounts_bill", accounts.bill),
    ("GET", "/messages", "messages", messages.page),
    ("GET", "/messages.csv", "messages_csv", messages.export),
    ("GET", "/messages/<int:message_id>", "messages_one", messages.one),
    ("POST", "/messages/<int:message_id>/phone", "messages_phone", messages.show_phone),
    ("GET", "/devices", "devices", devices.page),
    ("GET", "/devices/<int:device_id>", "devices_one", devices.one),
    ("POST", "/devices/enrol", "devices_enrol", devices.enrol),
    ("POST", "/devices/<int:device_id>/revoke", "devices_revoke", devices.revoke),
    ("GET", "/staff", "staff", staff.page),
    ("GET", "/staff/new", "staff_new", staff.enter),
    ("POST", "/staff/new", "staff_add", staff.add),
    ("GET", "/staff/<int:staff_id>", "staff_one", staff.one),
    ("POST", "/staff/<int:staff_id>/active", "staff_active", staff.switch),
    ("POST", "/staff/<int:staff_id>/second-factor", "staff_factor", staff.remove_factor),
    ("GET", "/settings", "settings", settings.page),
    ("GET", "/me", "me", me.page),
    ("POST", "/me/tokens", "me_add_token", me.add_token),
    ("POST", "/me/tokens/<int:token_id>/revoke", "me_revoke_token", me.revoke_token),
    ("POST", "/leave", "leave", me.leave),
    ("POST", "/language", "language", language.choose),
)
