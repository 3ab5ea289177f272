"""The check at the end of a run: witness against server, bills against the oracle, texts against bills.

Everything is read from outside: the export of captures, ``flask status``, ``flask reconcile``, the phones
of the SMS centre and the handhelds' own files. Each sentence that comes back is a broken promise.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from device_sim.check import Held, Report, acknowledged, compare, witness_files
from device_sim.store import Store
from device_sim.torture.oracle import Applied, Expected, Home, bills, read_twice
from device_sim.torture.stored import Tracks
from device_sim.witness import Passed, Witnessed, digest, read_passed, read_witness

AHEAD = timedelta(minutes=10)
TRUSTED_SKEW = timedelta(minutes=5)
NOWHERE = (0, 0)
"""What a receiver without a position tells: the server counts such points and keeps none. Of the
points of one instant a handheld sends one, so that none may be stored where one was nowhere."""
WINDOW = 10
"""Segments that the run's SMS gateway may have under way; as many again may not be stored yet."""
BILL_TEXT = re.compile(
    r"户号(?P<no>[^,]+),.*?用电(?P<kwh>[\d.,-]+?)度,电费(?P<amt>[\d.,-]+?)元,余额(?P<bal>[\d.,-]+?)元"
)
REVIEWED = ("held", "conflict", "rejected")


@dataclass(frozen=True)
class Evidence:
    """What was found when everything had come to rest."""

    lines: Sequence[Mapping[str, Any]]
    status: Mapping[str, Any]
    reconcile: Mapping[str, Any]
    phones: Sequence[Mapping[str, Any]]
    fleet: Path
    blobs: Path
    homes: Mapping[str, Home]
    tracks: Tracks = field(default_factory=Tracks)
    restored: bool = False
    differing_documents: Sequence[str] = ()


@dataclass
class Verdict:
    """What is wrong, in sentences, and what was counted on the way."""

    wrong: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


def decide(found: Evidence) -> Verdict:
    """Judge a run."""
    verdict = Verdict()
    parts = (_captures, _acknowledged, _photos, _tracks, _review, _bills, _texts, _books)
    for part in parts:
        verdict.wrong += part(found, verdict.counts)
    verdict.wrong += [f"documents differ: {name}" for name in found.differing_documents]
    return verdict


# --- captures -----------------------------------------------------------------------------


def witnessed(fleet: Path) -> list[Witnessed]:
    """Every id that any handheld of the fleet captured."""
    return [entry for path in witness_files(fleet) for entry in read_witness(path)]


def held_by_server(lines: Iterable[Mapping[str, Any]]) -> Iterator[Held]:
    """What the export holds; another content of an id counts as held once more."""
    for line in lines:
        files = line.get("attachments") or []
        come = frozenset(f["sha256"] for f in files if f["status"] == "received")
        yield Held(str(line["uuid"]), digest(line["payload"]["data"]), come)
        for variant in line["variants"]:
            yield Held(str(line["uuid"]), digest(variant["data"]))


def _captures(found: Evidence, counts: dict[str, int]) -> Iterator[str]:
    report = compare(witnessed(found.fleet), held_by_server(found.lines))
    counts["witnessed"] = report.witnessed
    counts["on the server"] = len(found.lines)
    yield from _sentences("the server", report)
    yield from _wrong_frames(found)


def _sentences(who: str, report: Report) -> Iterator[str]:
    for title, ids in (
        ("lacks", report.missing),
        ("has more than once", report.twice),
        ("has with other content", report.different),
        ("has, though nobody captured it,", report.unknown),
        ("has without its photos", report.without_photos),
    ):
        if ids:
            yield f"{who} {title} {len(ids)}: {', '.join(ids[:5])}"


def _wrong_frames(found: Evidence) -> Iterator[str]:
    """Two items under one number of a device would hide a loss from the office."""
    numbers = Counter((line["device_id"], line["seq"]) for line in found.lines)
    double = [key for key, n in numbers.items() if n > 1]
    if double:
        yield f"{len(double)} numbers of handhelds stand twice: {double[:5]}"


def _acknowledged(found: Evidence, counts: dict[str, int]) -> Iterator[str]:
    """Nothing acknowledged is missing, and the server still says what it said then."""
    verdicts = {str(line["uuid"]): line["verdict"] for line in found.lines}
    total = 0
    for path in witness_files(found.fleet):
        held = acknowledged(path.parent)
        total += len(held)
        missing = [entry.id for entry in held if entry.id not in verdicts]
        if missing:
            yield f"{path.parent.name}: acknowledged and missing: {missing[:5]}"
    counts["acknowledged"] = total


def _photos(found: Evidence, counts: dict[str, int]) -> Iterator[str]:
    """Every photo that a handheld was told is received lies among the server's files, whole."""
    counts["photos"] = 0
    for path in witness_files(found.fleet):
        for sha256, state in _photos_of(path.parent).items():
            counts["photos"] += state == "received"
            if state == "received" and not _lies_in(found.blobs, sha256):
                yield f"{path.parent.name}: the photo {sha256[:12]} is acknowledged and missing"
            elif state == "waiting":
                yield f"{path.parent.name}: the photo {sha256[:12]} was never taken"


def _photos_of(folder: Path) -> dict[str, str]:
    store = Store(folder / "device.sqlite3")
    try:
        return store.photos()
    finally:
        store.close()


def _lies_in(blobs: Path, sha256: str) -> bool:
    return any(
        hashlib.sha256(file.read_bytes()).hexdigest() == sha256 for file in blobs.rglob(sha256)
    )


def _tracks(found: Evidence, counts: dict[str, int]) -> Iterator[str]:
    """Every point that a handheld kept is stored once, at its place; nothing else is stored."""
    seen: set[tuple[int, int]] = set()
    kept = 0
    for path in witness_files(found.fleet):
        device_id = _device_id(path.parent)
        passed = read_passed(path)
        kept += sum(point.kept for point in passed.values())
        seen |= {(device_id, fix_ms) for fix_ms in passed}
        who = path.parent.name
        yield from _track_of(who, device_id, passed, found.tracks)
    counts["track points witnessed"] = kept
    counts["track points stored"] = len(found.tracks.counts)
    counts["track points shown to the office"] = len(found.tracks.shown)
    doubled = [key for key, number in found.tracks.counts.items() if number > 1]
    if doubled:
        yield f"{len(doubled)} track points are stored twice: {doubled[:3]}"
    strays = found.tracks.counts.keys() - seen
    if strays:
        yield f"{len(strays)} track points are stored that no handheld has passed"


def _track_of(
    who: str, device_id: int, passed: Mapping[int, Passed], tracks: Tracks
) -> Iterator[str]:
    missing = [
        fix_ms
        for fix_ms, point in passed.items()
        if point.kept and NOWHERE not in point.places and not tracks.counts[device_id, fix_ms]
        if (device_id, fix_ms) not in tracks.shown
    ]
    if missing:
        yield f"{who}: {len(missing)} of {len(passed)} track points are missing: {missing[:3]}"
    moved = [
        fix_ms
        for fix_ms, point in passed.items()
        if tracks.places.get((device_id, fix_ms)) not in (None, *point.places)
    ]
    if moved:
        yield f"{who}: {len(moved)} track points are stored at another place: {moved[:3]}"


def _device_id(folder: Path) -> int:
    """The number the server gave a handheld; 0 when it never got in."""
    store = Store(folder / "device.sqlite3")
    try:
        return int(store.get("device_id") or 0)
    finally:
        store.close()


def _review(found: Evidence, counts: dict[str, int]) -> Iterator[str]:
    """What was not applied has a reason and waits in the review queue under it."""
    # Tracks of a handheld that was shut out wait under the same reason as its captures.
    reasons: Counter[str] = Counter(found.tracks.reasons)
    for line in found.lines:
        if line["verdict"] not in ("applied", *REVIEWED):
            yield f"{line['uuid']} has the verdict {line['verdict']}"
        if line["verdict"] in REVIEWED:
            if not line["code"]:
                yield f"{line['uuid']} is {line['verdict']} without a reason"
            reasons[line["code"]] += 1
    waiting = {reason: part["count"] for reason, part in found.status["review"]["reasons"].items()}
    for reason, number in sorted(reasons.items(), key=str):
        counts[f"review {reason}"] = number
        if waiting.get(reason, 0) != number:
            yield f"{number} captures are {reason}, {waiting.get(reason, 0)} wait for review"
    for reason in ("capture.fault", "item.same_id_other_content"):
        if waiting.get(reason):
            yield f"{waiting[reason]} review items say {reason}"


# --- bills --------------------------------------------------------------------------------


def applied_readings(lines: Iterable[Mapping[str, Any]]) -> list[Applied]:
    """The readings the server says it applied, from what the devices sent."""
    found = []
    for line in lines:
        if line["type"] == "meter_reading.v1" and line["verdict"] == "applied":
            data = line["payload"]["data"]
            found.append(
                Applied(
                    str(line["uuid"]),
                    data["meter_serial"],
                    data["read_order"],
                    true_time(line),
                    Decimal(data["registers"][0]["value"]),
                    f"{line['device_id']}:{line['received_at']}",
                )
            )
    return found


def true_time(line: Mapping[str, Any]) -> datetime:
    """When an item was captured: a clock more than five minutes off is set right by its skew."""
    told = datetime.fromisoformat(line["payload"]["captured_at"])
    skew = timedelta(milliseconds=line.get("skew_ms") or 0)
    if abs(skew) <= TRUSTED_SKEW:
        return told
    return min(told - skew, datetime.fromisoformat(line["received_at"]))


def expected_bills(found: Evidence) -> dict[str, list[Expected]]:
    """The bills of every account by the oracle."""
    readings = defaultdict(list)
    for reading in applied_readings(found.lines):
        readings[reading.serial].append(reading)
    return {
        home.account_no: bills(home, readings.get(home.serial, ())) for home in found.homes.values()
    }


def _bills(found: Evidence, counts: dict[str, int]) -> Iterator[str]:
    readings = applied_readings(found.lines)
    twice = read_twice(readings)
    if twice:
        yield f"orders read twice: {twice[:5]}"
    late = [r.id for r in readings if r.at > _received(found.lines, r.id) + AHEAD]
    if late:
        yield f"readings of the future were applied: {late[:5]}"
    expected = [bill for each in expected_bills(found).values() for bill in each]
    counts["bills"] = len(expected)
    if found.status["bills"]["issued"] != len(expected):
        issued = found.status["bills"]["issued"]
        yield f"{issued} bills are issued, the oracle has {len(expected)}"
    owed = sum((h.balance for h in found.homes.values()), Decimal(0))
    owed -= sum((bill.amount for bill in expected), Decimal(0))
    if Decimal(found.status["ledger"]["receivable"]) != owed:
        yield f"the ledger says {found.status['ledger']['receivable']}, the oracle {owed}"


def _received(lines: Sequence[Mapping[str, Any]], item_id: str) -> datetime:
    line = next(line for line in lines if line["uuid"] == item_id)
    return datetime.fromisoformat(line["received_at"])


def _books(found: Evidence, counts: dict[str, int]) -> Iterator[str]:
    counts["ledger lines"] = int(found.reconcile["ledger_lines"])
    for difference in found.reconcile["differences"]:
        yield f"the books differ: {difference}"
    if not found.status["ledger"]["balanced"]:
        yield "debits are not credits"


# --- texts --------------------------------------------------------------------------------


def texts_of_bills(phones: Iterable[Mapping[str, Any]]) -> Counter[tuple[str, Expected]]:
    """How often each bill was texted, by phone."""
    seen: Counter[tuple[str, Expected]] = Counter()
    for phone in phones:
        for text in phone["texts"]:
            match = BILL_TEXT.search(text["text"])
            if match:
                figures = [Decimal(match[name].replace(",", "")) for name in ("kwh", "amt", "bal")]
                seen[phone["phone"], Expected(match["no"], *figures)] += 1
    return seen


def _texts(found: Evidence, counts: dict[str, int]) -> Iterator[str]:
    """One row of the outbox for each bill, at least one text on the right phone, none by mistake."""
    expected = {
        (home.phone, bill)
        for home in found.homes.values()
        if home.phone
        for bill in expected_bills(found)[home.account_no]
    }
    rows = sum(found.status["messages"].values())
    if rows != len(expected):
        yield f"{rows} messages stand in the outbox for {len(expected)} bills"
    # A text whose resends were all struck stays unknown, for the office to see: never more of
    # them than a gateway has under way.
    unknown = int(found.status["messages"].get("unknown", 0))
    if unknown > 2 * WINDOW:
        yield f"the fate of {unknown} texts is unknown, {2 * WINDOW} were under way at most"
    counts["texts left unknown"] = unknown
    if found.status["messages"].get("delivered", 0) + unknown != len(expected):
        yield f"not every text is delivered: {dict(found.status['messages'])}"
    seen = texts_of_bills(found.phones)
    missing = [entry for entry in expected if not seen[entry]]
    if len(missing) > unknown:
        yield f"{len(missing)} bills were never texted: {missing[:3]}"
    strays = [entry for entry in seen if entry not in expected]
    # What was texted before a restore from backup stays on the phones.
    if strays and not found.restored:
        yield f"{len(strays)} texts are of no bill: {strays[:3]}"
    counts["texts"] = sum(seen.values())
    counts["texts that came twice"] = sum(n - 1 for n in seen.values())
