"""When a message may be sent: quiet hours of the recipient's clock, holidays, and a spread release.

An instant is judged on the wall of the recipient's zone, so that a change of the clock moves nothing:
quiet until eight means until eight by the clock on that morning.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from zlib import crc32
from zoneinfo import ZoneInfo

from server.notify.rules.categories import Policy

_MOST_DAYS = 60


def quiet_until(
    at: datetime, zone: ZoneInfo, policy: Policy, holidays: Collection[date]
) -> datetime | None:
    """The end of the quiet time that `at` lies in; None when a message may be sent then.

    Of a row of holidays it is the end of the last; a longer row than two months counts as that.
    """
    found = None
    for _ in range(_MOST_DAYS):
        end = _one_end(found or at, zone, policy, holidays)
        if end is None:
            break
        found = end
    return found


def _one_end(
    at: datetime, zone: ZoneInfo, policy: Policy, holidays: Collection[date]
) -> datetime | None:
    local = at.astimezone(zone)
    if policy.quiet_holidays and local.date() in holidays:
        return _instant(local.date() + timedelta(days=1), None, zone)
    start, end = policy.quiet_from, policy.quiet_to
    if start is None or end is None or start == end:
        return None
    clock = local.time()
    if start < end:
        return _instant(local.date(), policy, zone) if start <= clock < end else None
    if clock >= start:
        return _instant(local.date() + timedelta(days=1), policy, zone)
    return _instant(local.date(), policy, zone) if clock < end else None


def _instant(day: date, policy: Policy | None, zone: ZoneInfo) -> datetime:
    """The instant when the quiet time of a day ends: midnight without a policy.

    An end that the clock skips is the moment after the gap.
    """
    end = policy.quiet_to if policy is not None and policy.quiet_to else datetime.min.time()
    return datetime.combine(day, end, zone).astimezone(UTC)


def spread(at: datetime, minutes: int, key: str) -> datetime:
    """An instant within `minutes` after `at`, the same for the same key, evenly for many keys."""
    window = minutes * 60_000
    return at + timedelta(milliseconds=crc32(key.encode()) % window) if window else at


def not_before(
    wished: datetime, key: str, zone: ZoneInfo, policy: Policy, holidays: Collection[date]
) -> datetime | None:
    """When a message wished for `wished` may leave; None when it may at that time.

    The release is spread over the policy's window, and never into the next quiet time.
    """
    end = quiet_until(wished, zone, policy, holidays)
    if end is None:
        return None
    released = spread(end, policy.spread_minutes, key)
    return end if quiet_until(released, zone, policy, holidays) is not None else released
