"""Putting tariffs into the system, from a file or from data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from server.billing.models import Tariff, TariffVersion
from server.billing.rules.tariff import parse
from server.db import Session
from server.errors import Conflict, Invalid

SHIPPED = Path(__file__).parent.parent / "tariffs"


def read_tariff_file(path: Path) -> dict[str, Any]:
    """Read a tariff file: ``code``, ``name``, ``valid_from``, ``definition``.

    Raises:
        Invalid: ``tariff.file`` when the file is no such thing.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise Invalid("tariff.file", f"{path.name} cannot be read: {error}") from error
    needed = {"code", "name", "valid_from", "definition"}
    if not isinstance(content, dict) or not needed <= set(content):
        raise Invalid("tariff.file", f"{path.name} must have {', '.join(sorted(needed))}.")
    return content


def put_tariff(session: Session, content: Mapping[str, Any]) -> int:
    """Put a tariff version into the system and return its id; the same one again is harmless.

    A version that is valid when the new one starts ends on the day before it.

    Raises:
        Invalid: ``tariff.invalid`` with every mistake.
        Conflict: ``tariff.version_exists`` when another version starts on the same day.
    """
    parse(content["definition"])
    start = _day(content["valid_from"])
    tariff = session.scalar(select(Tariff).where(Tariff.code == content["code"]))
    if tariff is None:
        tariff = Tariff(code=content["code"], name=content["name"])
        session.add(tariff)
        session.flush()
    versions = session.scalars(
        select(TariffVersion)
        .where(TariffVersion.tariff_id == tariff.id)
        .order_by(TariffVersion.valid_from)
    ).all()
    for version in versions:
        if version.valid_from == start:
            if version.definition == content["definition"]:
                return version.id
            raise Conflict(
                "tariff.version_exists",
                f"{tariff.code} has other prices from {start} already.",
                {"code": tariff.code, "valid_from": start.isoformat()},
            )
    return _add_version(session, tariff.id, start, content["definition"], versions)


def _add_version(
    session: Session,
    tariff_id: int,
    start: date,
    definition: Mapping[str, Any],
    versions: Any,
) -> int:
    later = [version.valid_from for version in versions if version.valid_from > start]
    for version in versions:
        open_end = version.valid_to is None or version.valid_to >= start
        if version.valid_from < start and open_end:
            version.valid_to = start - timedelta(days=1)
    new = TariffVersion(
        tariff_id=tariff_id,
        valid_from=start,
        valid_to=min(later) - timedelta(days=1) if later else None,
        definition=dict(definition),
    )
    session.add(new)
    session.flush()
    return new.id


def _day(raw: object) -> date:
    try:
        return date.fromisoformat(str(raw))
    except ValueError as error:
        raise Invalid("tariff.file", f"valid_from must be a date, not {raw!r}.") from error
