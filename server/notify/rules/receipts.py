"""What a delivery report says: which message, in which state, why.

Optional parameters are read first because they are exact; the text of the report is a custom that
every carrier writes a little differently and is read tolerantly. The form that most carriers write is
read without a regular expression: there are thousands a second.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

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


class Receipt(NamedTuple):
    """One delivery report. `message_id` is as the carrier wrote it and may be empty.

    `stamp` is the carrier's own time of the event, as text: it tells a repeated report from a new one.
    """

    message_id: str
    state: str
    error: str
    stamp: str


def parse(tlvs: Mapping[int, bytes], body: bytes) -> Receipt | None:
    """Read a report from a deliver_sm's optional parameters and body; None when it says no state."""
    text = body or tlvs.get(MESSAGE_PAYLOAD, b"")
    name, word, error, stamp = _common(text) or _tolerant(text)
    state = None
    if MESSAGE_STATE in tlvs:
        state = _STATE_CODES.get(int.from_bytes(tlvs[MESSAGE_STATE], "big"))
    state = state or _STATE_WORDS.get(word[:5].upper())
    if state is None:
        return None
    if RECEIPTED_MESSAGE_ID in tlvs:
        exact = tlvs[RECEIPTED_MESSAGE_ID].rstrip(b"\0").decode("latin-1").strip()
        name = exact or name
    if not error and NETWORK_ERROR_CODE in tlvs:
        error = tlvs[NETWORK_ERROR_CODE].hex()
    return Receipt(name, state, error[:20], stamp[:20])


def _common(body: bytes) -> tuple[str, str, str, str] | None:
    """Id, state, error and time of the form in SMPP 3.4's appendix B, or None for any other."""
    pieces = body.decode("latin-1").split(":", 8)
    if len(pieces) != 9:
        return None
    first, name, _, _, times, stat, err, text, _ = pieces
    if not (
        first == "id"
        and name[-4:] == " sub"
        and times[-10:] == " done date"
        and stat[-5:] == " stat"
        and err[-4:] == " err"
        and text[-5:] == " text"
        and name.isprintable()
    ):
        return None
    return name[:-4].strip(), err[:-4], text[:-5], stat[:-5]


def _tolerant(body: bytes) -> tuple[str, str, str, str]:
    fields = _fields(body.decode("latin-1").replace("\x00", ""))
    return (
        fields.get("id", ""),
        fields.get("stat", ""),
        fields.get("err", ""),
        fields.get("donedate", ""),
    )


def normalise_id(message_id: str, mode: str) -> str | None:
    """The id under which responses and reports of one carrier meet; None when there is none.

    `mode` is one of ID_MODES and describes how the *report* writes an id that the response wrote
    otherwise; pass responses through `as_is` or `casefold`.
    """
    wanted = message_id.replace("\x00", "").strip()[:64]
    if not wanted:
        return None
    if mode == "as_is":
        return wanted
    try:
        if mode == "hex_to_dec":
            return str(int(wanted, 16))
        if mode == "dec_to_hex":
            return f"{int(wanted, 10):x}"
    except ValueError:
        return wanted.casefold()
    return wanted.casefold()


def response_id(message_id: str, mode: str) -> str | None:
    """The id of a submit response in the form that `normalise_id` gives the reports of this carrier."""
    plain = normalise_id(message_id, "as_is")
    if plain is None or mode == "as_is":
        return plain
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
