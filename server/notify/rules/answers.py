"""What a carrier's answer to a submission means for the message and for the bind.

The classes are those of the SMPP command statuses; a carrier that means something else by a number
overrides it in its gateway's configuration. What modems, HTTP and SMTP answer are numbers above those
32 bits: `MODEM + 322` is +CMS ERROR 322, `HTTP + 503` and `SMTP + 451` speak for themselves.
"""

from __future__ import annotations

from collections.abc import Mapping

OK = "ok"
THROTTLE = "throttle"
TRANSIENT = "transient"
PERMANENT = "permanent"
CONFIGURATION = "configuration"
BIND = "bind"
CLASSES = (OK, THROTTLE, TRANSIENT, PERMANENT, CONFIGURATION, BIND)

_TABLE: Mapping[int, str] = {
    0x00: OK,
    0x58: THROTTLE,
    0x14: THROTTLE,
    **dict.fromkeys((0x08, 0x45, 0x64, 0xFE, 0xFF), TRANSIENT),
    **dict.fromkeys((0x15, 0x43, 0x61, 0x62), CONFIGURATION),
    **dict.fromkeys((0x04, 0x05, 0x0D, 0x0E, 0x0F), BIND),
}

MODEM, HTTP, SMTP = 1 << 32, 2 << 32, 3 << 32
_FAMILIES = {1: "cms", 2: "http", 3: "smtp"}
_OTHERS: Mapping[int, str] = {
    # GSM 04.11 (network) and 07.05 (modem); what may pass, what the SIM may not, what the modem lacks.
    **dict.fromkeys((MODEM + n for n in (22, 27, 38, 41, 42, 47, 192, 194, 195, 197)), TRANSIENT),
    **dict.fromkeys((MODEM + n for n in (208, 211, 301, 314, 320, 322, 331, 332, 500)), TRANSIENT),
    **dict.fromkeys((MODEM + n for n in (8, 10, 29, 50, 69, 302, 303, 330)), CONFIGURATION),
    **dict.fromkeys((MODEM + n for n in (300, 310, 311, 312, 313, 315, 316, 317, 318)), BIND),
    HTTP + 408: TRANSIENT,
    HTTP + 425: TRANSIENT,
    HTTP + 429: THROTTLE,
    **dict.fromkeys((HTTP + n for n in (401, 402, 403, 404, 405, 415)), CONFIGURATION),
    SMTP + 421: THROTTLE,
    **dict.fromkeys((SMTP + n for n in (530, 534, 535, 538)), CONFIGURATION),
}

# A refused message is tried again after these seconds; then it has failed.
BACK_OFF_SECONDS = (5, 30, 120, 600, 1800)


def classify(status: int, overrides: Mapping[int, str] | None = None) -> str:
    """The class of a command status; what no table knows is permanent, so that nothing loops for ever."""
    if overrides and status in overrides:
        return overrides[status]
    if status in _TABLE or status in _OTHERS:
        return _TABLE.get(status) or _OTHERS[status]
    passes = status - HTTP in range(500, 600) or status - SMTP in range(400, 500)
    return TRANSIENT if passes else PERMANENT


def error_code(status: int) -> str:
    """The stable code under which the console shows a status, such as `smpp.0x0b` or `cms.322`."""
    family, number = divmod(status, 1 << 32)
    if family:
        return f"{_FAMILIES[family]}.{number}"
    return f"smpp.0x{status:02x}"


def back_off(attempts: int, jitter: float) -> float | None:
    """Seconds until the next try after `attempts` tries, spread by `jitter` in 0…1; None: give up."""
    if attempts > len(BACK_OFF_SECONDS):
        return None
    return BACK_OFF_SECONDS[max(attempts, 1) - 1] * (0.5 + jitter / 2)
