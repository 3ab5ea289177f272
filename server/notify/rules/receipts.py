"""What a delivery report says: which message, in which state, why.

Optional parameters are read first because they are exact; the text of the report is a custom that
every carrier writes a little differently and is read tolerantly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

RECEIPTED_MESSAGE_ID = 0x001E
NETWORK_ERROR_CODE = 0x0423
MESSAGE_STATE = 0x0427
MESSAGE_PAYLOAD = 0x0424

ID_MODES = ("as_is", "hex_to_dec", "dec_to_hex", "casefold")

_STATE_CODES = {
    1: "enroute",
    2: "delivered",
    3: "expired",
    4: "deleted",
    5: "undeliverable",
    6: "accepted",
    7: "unknown",
    8: "rejected",
}
_STATE_WORDS = {
    "DELIV": "delivered",
    "EXPIR": "expired",
    "DELET": "deleted",
    "UNDEL": "undeliverable",
    "ACCEP": "accepted",
    "UNKNO": "unknown",
    "REJEC": "rejected",
    "ENROU": "enroute",
}
# What a report does to its segment; the other states are news on the way and change nothing.
SEGMENT_OUTCOME = {
    "delivered": "delivered",
    "expired": "expired",
    "deleted": "failed",
    "undeliverable": "failed",
    "rejected": "failed",
}

_FIELD = re.compile(
    r"\b(id|stat|err|done\s*date)\s*:\s*([^\s]*)", re.IGNORECASE
)  # "text:" ends the report and may hold anything
_TEXT_TAIL = re.compile(r"\btext\s*:", re.IGNORECASE)


@dataclass(frozen=True)
class Receipt:
    """One delivery report. `message_id` is as the carrier wrote it and may be empty.

    `stamp` is the carrier's own time of the event, as text: it tells a repeated report from a new one.
    """

    message_id: str
    state: str
    error: str
    stamp: str


def parse(tlvs: Mapping[int, bytes], body: bytes) -> Receipt | None:
    """Read a report from a deliver_sm's optional parameters and body; None when it says no state."""
    text = (body or tlvs.get(MESSAGE_PAYLOAD, b"")).decode("latin-1").replace("\x00", "")
    fields = _fields(text)
    state = _STATE_CODES.get(int.from_bytes(tlvs.get(MESSAGE_STATE, b""), "big"))
    state = state or _STATE_WORDS.get(fields.get("stat", "").upper()[:5])
    if state is None:
        return None
    exact = tlvs.get(RECEIPTED_MESSAGE_ID, b"").rstrip(b"\x00").decode("latin-1").strip()
    error = fields.get("err", "")
    if NETWORK_ERROR_CODE in tlvs and not error:
        error = tlvs[NETWORK_ERROR_CODE].hex()
    return Receipt(
        exact or fields.get("id", ""), state, error[:20], fields.get("donedate", "")[:20]
    )


def normalise_id(message_id: str, mode: str) -> str | None:
    """The id under which responses and reports of one carrier meet; None when there is none.

    `mode` is one of ID_MODES and describes how the *report* writes an id that the response wrote
    otherwise; pass responses through `as_is` or `casefold`.
    """
    wanted = message_id.replace("\x00", "").strip()[:64]
    if not wanted:
        return None
    try:
        if mode == "hex_to_dec":
            return str(int(wanted, 16))
        if mode == "dec_to_hex":
            return f"{int(wanted, 10):x}"
    except ValueError:
        return wanted.casefold()
    return wanted.casefold() if mode == "casefold" else wanted


def response_id(message_id: str, mode: str) -> str | None:
    """The id of a submit response in the form that `normalise_id` gives the reports of this carrier."""
    plain = normalise_id(message_id, "as_is")
    if plain is None:
        return None
    if mode == "hex_to_dec" and plain.isdecimal():
        return str(int(plain))
    if mode == "dec_to_hex":
        return plain.casefold().lstrip("0") or "0"
    return plain.casefold() if mode == "casefold" else plain


def _fields(text: str) -> dict[str, str]:
    head = _TEXT_TAIL.split(text, maxsplit=1)[0]
    found: dict[str, str] = {}
    for name, value in _FIELD.findall(head):
        found.setdefault(re.sub(r"\s+", "", name).lower(), value)
    return found
