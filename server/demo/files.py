"""The files beside the demo's database: what the simulator and ``make run`` read."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from datetime import UTC
from pathlib import Path

from server.demo import people
from server.demo.plan import PlannedHome

PLAN, DIALS, SIGN_INS = "fleet.json", "dials.csv", "sign-ins.json"


def folder(var_dir: Path) -> Path:
    """Where the demo's files are; made when it is missing."""
    path = var_dir / "demo"
    path.mkdir(parents=True, exist_ok=True)
    return path


def write_dials(target: Path, homes: Iterable[PlannedHome]) -> None:
    """Write what really stands on the meters: a dial at a moment and what it gains a day."""
    with (target / DIALS).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("meter_serial", "kind", "value", "per_day", "as_of"))
        for home in homes:
            dial = home.dial
            as_of = dial.as_of.astimezone(UTC).isoformat()
            value = dial.value.quantize(dial.per_day)
            writer.writerow((home.serials[-1], "total", value, dial.per_day, as_of))


def write_plan(target: Path, base_url: str, codes: Mapping[str, str]) -> None:
    """Write the plan of the fleet: the server and each handheld with its enrolment code."""
    plan = {
        "server": base_url,
        "dials": DIALS,
        "handhelds": [{"name": name, "code": code} for name, code in codes.items()],
    }
    _write_json(target / PLAN, plan)


def move_plan(target: Path, base_url: str) -> None:
    """Have the plan name the server's present address; its codes stay."""
    plan = json.loads((target / PLAN).read_text(encoding="utf-8"))
    if plan["server"] != base_url:
        _write_json(target / PLAN, {**plan, "server": base_url})


def write_sign_ins(target: Path) -> None:
    """Write who can sign in and how."""
    _write_json(target / SIGN_INS, sign_ins())


def sign_ins() -> list[dict[str, str]]:
    """Who can sign in to the demo: user name, password, role, name."""
    return [
        {"username": p.username, "password": people.PASSWORD, "role": p.role, "name": p.name}
        for p in people.EVERYBODY
    ]


def _write_json(target: Path, value: object) -> None:
    """Write whole or not at all: a reader never sees half a file."""
    draft = target.with_suffix(".tmp")
    text = json.dumps(value, ensure_ascii=False, indent=2) + "\n"
    draft.write_text(text, encoding="utf-8")
    draft.replace(target)
