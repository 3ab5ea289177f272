"""What a carrier's answer to a submission means for the message and for the bind.

The classes are those of the SMPP command statuses; a carrier that means something else by a number
overrides it in its gateway's configuration.
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

# A refused message is tried again after these seconds; then it has failed.
BACK_OFF_SECONDS = (5, 30, 120, 600, 1800)


def classify(status: int, overrides: Mapping[int, str] | None = None) -> str:
    """The class of a command status; what no table knows is permanent, so that nothing loops for ever."""
    if overrides and status in overrides:
        return overrides[status]
    return _TABLE.get(status, PERMANENT)


def error_code(status: int) -> str:
    """The stable code under which the console shows a command status, such as `smpp.0x0b`."""
    return f"smpp.0x{status:02x}"


def back_off(attempts: int, jitter: float) -> float | None:
    """Seconds until the next try after `attempts` tries, spread by `jitter` in 0…1; None: give up."""
    if attempts > len(BACK_OFF_SECONDS):
        return None
    return BACK_OFF_SECONDS[max(attempts, 1) - 1] * (0.5 + jitter / 2)
