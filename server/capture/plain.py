"""The ordinary meter reading, read without its schema.

Nearly everything the field sends is a reading in which nothing is unusual. For those the schema
costs a fifth of a whole push, so they are read here in one go. Whatever is unusual in the least is
left to the schema, which alone knows what to say about it; a test has both read the same data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from server.accounts.models import REGISTER_KINDS
from server.capture.codes import TROUBLES

# Shorter than what the schema allows, so that no figure needs its digits counted.
_FIGURE = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,6})?")
_KINDS = frozenset(REGISTER_KINDS)
_TROUBLES = frozenset({None, *TROUBLES})


def plain_reading(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """The data of an ordinary ``meter_reading.v1`` as its schema loads it; None for any other."""
    order, point = data.get("read_order"), data.get("service_point")
    serial, reason = data.get("meter_serial"), data.get("reason", "01")
    trouble, note = data.get("trouble"), data.get("note")
    if (
        type(point) is not int
        or (order is not None and type(order) is not int)
        or type(serial) is not str
        or not 1 <= len(serial) <= 40
        or type(reason) is not str
        or len(reason) != 2
        or (trouble is not None and type(trouble) is not str)
        or trouble not in _TROUBLES
        or (note is not None and (type(note) is not str or len(note) > 255))
    ):
        return None
    registers = _registers(data.get("registers"))
    if registers is None:
        return None
    return {
        "read_order": order,
        "service_point": point,
        "meter_serial": serial,
        "reason": reason,
        "registers": registers,
        "trouble": trouble,
        "note": note,
    }


def _registers(listed: Any) -> list[dict[str, Any]] | None:
    """The dials of an ordinary reading, each kind once."""
    if type(listed) is not list or not 1 <= len(listed) <= len(_KINDS):
        return None
    registers = []
    for one in listed:
        if type(one) is not dict:
            return None
        kind, value, again = one.get("kind"), one.get("value", ""), one.get("second_entry")
        if type(kind) is not str or kind not in _KINDS or not _is_figure(value):
            return None
        if again is not None and not _is_figure(again):
            return None
        second = None if again is None else Decimal(again)
        registers.append({"kind": kind, "value": Decimal(value), "second_entry": second})
    if len(registers) > 1 and len({one["kind"] for one in registers}) < len(registers):
        return None
    return registers


def _is_figure(value: Any) -> bool:
    return type(value) is str and _FIGURE.fullmatch(value) is not None
