"""How one SMPP account is reached and paced: data of its row in `gateway`, checked when loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from server.errors import Invalid
from server.notify.rules.answers import CLASSES
from server.notify.rules.receipts import ID_MODES


@dataclass(frozen=True)
class SmppConfig:
    """One carrier account. Seconds are seconds; `window` counts segments without an answer.

    `source` is our special number or name; `report_ids` how reports write the ids of responses (one
    of receipts.ID_MODES); `statuses` says which class this carrier means by a command status where it
    differs from the usual.
    """

    host: str
    port: int
    system_id: str
    password: str
    system_type: str = ""
    source: str = ""
    source_ton: int = 0
    source_npi: int = 0
    destination_ton: int = 1
    destination_npi: int = 1
    plus: bool = False
    window: int = 20
    reference_bits: int = 8
    report_ids: str = "as_is"
    connect_seconds: float = 5.0
    response_seconds: float = 30.0
    late_seconds: float = 600.0
    enquire_seconds: float = 30.0
    drain_seconds: float = 5.0
    retry_first_seconds: float = 0.5
    retry_most_seconds: float = 30.0
    refused_seconds: float = 60.0
    throttle_first_seconds: float = 0.5
    throttle_most_seconds: float = 30.0
    statuses: Mapping[int, str] = field(default_factory=dict)


def load(name: str, data: Mapping[str, Any]) -> SmppConfig:
    """Read the configuration of gateway `name`; unknown keys are mistakes, not decoration.

    Raises Invalid `notify.bad_gateway` with every problem in its details.
    """
    problems = _problems(data)
    if problems:
        raise Invalid(
            "notify.bad_gateway",
            f"The configuration of gateway {name} is wrong: {'; '.join(problems)}.",
            {"gateway": name, "problems": problems},
        )
    known = {key: value for key, value in data.items() if key != "statuses"}
    statuses = {int(str(key), 0): str(value) for key, value in data.get("statuses", {}).items()}
    return SmppConfig(statuses=statuses, **known)


def _problems(data: Mapping[str, Any]) -> list[str]:
    kinds = {entry.name: str(entry.type) for entry in fields(SmppConfig)}
    problems = [f"{key} is not a setting" for key in data if key not in kinds]
    problems += [
        f"{key} is missing" for key in ("host", "port", "system_id", "password") if key not in data
    ]
    wanted: dict[str, tuple[type, ...]] = {
        "str": (str,),
        "int": (int,),
        "float": (int, float),
        "bool": (bool,),
    }
    for key, value in data.items():
        kind = kinds.get(key, "")
        if kind in wanted and (
            not isinstance(value, wanted[kind]) or (isinstance(value, bool) and kind != "bool")
        ):
            problems.append(f"{key} must be of type {kind}")
        elif kind in ("int", "float") and value < 0:
            problems.append(f"{key} must not be negative")
    return problems or _range_problems(data)


def _range_problems(data: Mapping[str, Any]) -> list[str]:
    checks = (
        (0 < data["port"] < 65536, "port must be 1 to 65535"),
        (1 <= data.get("window", 20) <= 1000, "window must be 1 to 1000"),
        (data.get("reference_bits", 8) in (8, 16), "reference_bits must be 8 or 16"),
        (data.get("report_ids", "as_is") in ID_MODES, f"report_ids must be one of {ID_MODES}"),
        (len(data["system_id"]) <= 15, "system_id has at most 15 characters"),
        (len(data["password"]) <= 64, "password has at most 64 characters"),
        (len(data.get("source", "")) <= 20, "source has at most 20 characters"),
        (_statuses_fit(data.get("statuses", {})), f"statuses maps numbers to one of {CLASSES}"),
    )
    return [problem for fits, problem in checks if not fits]


def _statuses_fit(statuses: Any) -> bool:
    try:
        return all(int(str(key), 0) >= 0 and value in CLASSES for key, value in statuses.items())
    except (AttributeError, ValueError):
        return False
