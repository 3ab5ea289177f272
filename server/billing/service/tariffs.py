"""Putting tariffs into the system, from a file or from data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from server.billing.models import Tariff, TariffVersion
from server.billing.rules.tariff import FileVersion, TariffFile, parse, read_content, read_text
from server.db import Session
from server.errors import Conflict, Invalid
from server.operator import current

SHIPPED = Path(__file__).parent.parent / "tariffs"
"""The tariffs that come with the product, as examples and for the demo."""


def read_tariff_file(path: Path) -> dict[str, Any]:
    """Read a tariff file, YAML or JSON, as data.

    Raises:
        Invalid: ``tariff.file`` when the file is no such thing.
    """
    try:
        return read_text(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid("tariff.file", f"{path.name} cannot be read: {error}") from error


def put_tariff(session: Session, content: Mapping[str, Any]) -> int:
    """Put the versions of a tariff into the system; the same ones again are harmless.

    A version that is valid when a new one starts ends on the day before it. Returns the id of
    the last version.

    Raises:
        Invalid: ``tariff.invalid`` with every mistake; ``tariff.currency`` when it is not the
            operator's.
        Conflict: ``tariff.version_exists`` when another version starts on the same day.
    """
    file = read_content(content)
    _require_currency(session, file)
    one = select(Tariff).where(Tariff.code == file.code).with_for_update()
    tariff = session.scalar(one)
    if tariff is None:
        tariff = Tariff(code=file.code, name=file.name)
        session.add(tariff)
        session.flush()
    last = 0
    for new in file.versions:
        versions = session.scalars(
            select(TariffVersion)
            .where(TariffVersion.tariff_id == tariff.id)
            .order_by(TariffVersion.valid_from)
        ).all()
        last = _same(versions, file.code, new) or _add_version(session, tariff.id, new, versions)
    return last


def _require_currency(session: Session, file: TariffFile) -> None:
    currency = current(session).currency
    for version in file.versions:
        if version.tariff.currency != currency:
            raise Invalid(
                "tariff.currency",
                f"The tariff is in {version.tariff.currency}; bills here are in {currency}.",
                {"currency": version.tariff.currency},
            )


def _same(versions: Sequence[TariffVersion], code: str, new: FileVersion) -> int | None:
    """The id of a version that starts on the same day and says the same.

    Raises:
        Conflict: ``tariff.version_exists`` when it says something else.
    """
    for version in versions:
        if version.valid_from == new.valid_from:
            if parse(version.definition) == new.tariff:
                return version.id
            raise Conflict(
                "tariff.version_exists",
                f"{code} has other prices from {new.valid_from} already.",
                {"code": code, "valid_from": new.valid_from.isoformat()},
            )
    return None


def _add_version(
    session: Session, tariff_id: int, new: FileVersion, versions: Sequence[TariffVersion]
) -> int:
    start = new.valid_from
    later = [version.valid_from for version in versions if version.valid_from > start]
    for version in versions:
        open_end = version.valid_to is None or version.valid_to >= start
        if version.valid_from < start and open_end:
            version.valid_to = start - timedelta(days=1)
    row = TariffVersion(
        tariff_id=tariff_id,
        valid_from=start,
        valid_to=min(later) - timedelta(days=1) if later else None,
        definition=dict(new.definition),
    )
    session.add(row)
    session.flush()
    return row.id
