"""From the raw list of a push to items: every check that needs no database, done before BEGIN."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from marshmallow import ValidationError

from server import geo
from server.capture.attached import BadAttachment, read_attached
from server.capture.items import (
    Gps,
    Item,
    Problem,
    Unidentified,
    canonical,
    content_hash,
    find_nul,
    may_hold_nul,
    show_nul,
)
from server.capture.types import ITEM_TYPES

MAX_SEQ = 2**53
_SHOWN = 4000


class _BadItemError(Exception):
    """Carries the problem out of a parser."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.problem = Problem(code, message, field)


def parse_item(raw: Any) -> Item | Unidentified:
    """Read one entry of a push; what is wrong with it travels in ``problem``."""
    if not isinstance(raw, dict):
        return _unidentified(raw, "item.not_an_object", "An item must be a JSON object.")
    uuid = _uuid(raw.get("id"))
    if uuid is None:
        return _unidentified(raw, "item.no_id", "The item has no valid id.", "id")
    try:
        return _read(uuid, raw)
    except _BadItemError as bad:
        return _malformed(uuid, raw, bad.problem)


def _unidentified(raw: Any, code: str, message: str, field: str | None = None) -> Unidentified:
    body = orjson.dumps(show_nul(raw), default=str).decode()[:_SHOWN]
    seq = raw.get("seq") if isinstance(raw, dict) else None
    return Unidentified(body, Problem(code, message, field), seq if _is_seq(seq) else None)


def _malformed(uuid: UUID, raw: dict[str, Any], problem: Problem) -> Item:
    """A rejected item: kept whole, with whatever of its frame can be read."""
    captured_at: datetime | None
    try:
        captured_at = _instant(raw.get("captured_at"), "captured_at")
    except _BadItemError:
        captured_at = None
    kind = raw.get("type")
    return Item(
        uuid=uuid,
        seq=raw["seq"] if _is_seq(raw.get("seq")) else None,
        type=show_nul(kind)[:40] if isinstance(kind, str) else "?",
        captured_at=captured_at,
        gps=None,
        supersedes=None,
        data={},
        payload=show_nul(raw),
        payload_hash=content_hash(canonical(raw)),
        problem=problem,
    )


def _read(uuid: UUID, raw: dict[str, Any]) -> Item:
    written = canonical(raw)
    where = find_nul(raw) if may_hold_nul(written) else None
    if where is not None:
        raise _BadItemError("item.nul", "The item contains a NUL character.", where)
    if raw.get("seq") is not None and not _is_seq(raw["seq"]):
        raise _BadItemError("item.invalid", "seq must be a whole number from 1.", "seq")
    kind = raw.get("type")
    item_type = ITEM_TYPES.get(kind) if isinstance(kind, str) else None
    if item_type is None:
        raise _BadItemError("item.unknown_type", f"The type {kind!r:.60} is not known.", "type")
    data = raw.get("data")
    if not isinstance(data, dict):
        raise _BadItemError("item.invalid", "data must be an object.", "data")
    try:
        loaded = item_type.schema.load(data)
    except ValidationError as error:
        field, message = _first_error(error.messages)
        raise _BadItemError("item.invalid", message, f"data.{field}") from None
    try:
        attachments = read_attached(raw.get("attachments"))
    except BadAttachment as error:
        raise _BadItemError("attachment.invalid", str(error), error.field) from None
    supersedes = raw.get("supersedes")
    return Item(
        uuid=uuid,
        seq=raw.get("seq"),
        type=str(kind),
        captured_at=_instant(raw.get("captured_at"), "captured_at"),
        gps=_gps(raw.get("gps")),
        supersedes=_uuid(supersedes) if supersedes is not None else None,
        data=loaded,
        payload=raw,
        payload_hash=content_hash(written),
        attachments=attachments,
    )


def _is_seq(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value < MAX_SEQ


def _uuid(value: Any) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) and len(value) in (32, 36) else None
    except ValueError:
        return None


def _instant(value: Any, field: str) -> datetime:
    """An RFC 3339 time with its offset; no year is refused, the checks of the facts judge it."""
    try:
        instant = datetime.fromisoformat(value)
        if instant.tzinfo is not None:
            instant.timestamp()
            return instant
    except (TypeError, ValueError, OverflowError, OSError):
        pass
    raise _BadItemError("item.invalid", f"{field} must be a time with its offset.", field)


def _gps(value: Any) -> Gps | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise _BadItemError("item.invalid", "gps must be an object.", "gps")
    if "absent" in value:
        return Gps(None, None, None, None, None, mock=False, absent=str(value["absent"])[:16])
    lat, lon = _number(value.get("lat")), _number(value.get("lon"))
    if lat is None or lon is None:
        raise _BadItemError("gps.invalid", "The position has no latitude or longitude.", "gps")
    if not (-90 <= lat <= 90):
        raise _BadItemError("gps.out_of_range", f"There is no latitude {lat}.", "gps.lat")
    if not (-180 <= lon <= 180):
        raise _BadItemError("gps.out_of_range", f"There is no longitude {lon}.", "gps.lon")
    datum = value.get("crs", "wgs84")
    if datum not in geo.CRS:
        raise _BadItemError(
            "gps.unknown_datum", f"The datum {datum!r:.20} is not known.", "gps.crs"
        )
    place = geo.to_wgs84(datum, lat, lon)
    accuracy = _number(value.get("accuracy_m"))
    fix_at = value.get("fix_at")
    return Gps(
        lat_e7=geo.to_e7(place.lat),
        lon_e7=geo.to_e7(place.lon),
        accuracy_m=accuracy if accuracy is not None and accuracy >= 0 else None,
        fix_at=_instant(fix_at, "gps.fix_at") if fix_at is not None else None,
        provider=str(value["provider"])[:16] if value.get("provider") else None,
        mock=value.get("mock") is True,
    )


def _number(value: Any) -> float | None:
    """A finite number, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _first_error(messages: Any, path: str = "") -> tuple[str, str]:
    """The first of marshmallow's messages with the path of its field."""
    if isinstance(messages, Mapping):
        key, inner = next(iter(messages.items()))
        step = f"[{key}]" if isinstance(key, int) else f".{key}" if path else str(key)
        return _first_error(inner, path + step)
    return path, str(messages[0] if isinstance(messages, list) else messages)
