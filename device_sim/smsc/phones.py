"""What the SMS centre remembers: the phones' screens, the parts still missing, the parcels still owed.

With a file, every change is a line appended to it before it is answered for, so that a centre that
was killed goes on where it stood.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from device_sim.smsc import wire
from device_sim.smsc.owed import Inbound, Owed, Parcel, Report

_PART_LIFE_SECONDS = 1800.0


@dataclass
class Text:
    """A text on a phone's screen; `at` is seconds since 1970."""

    at: float
    text: str
    parts: int
    sender: str


@dataclass
class Written:
    """A text that a phone has sent; `left` parts are not acknowledged, `refused` is a status or 0."""

    at: float
    text: str
    parts: int
    to: str
    left: int
    refused: int = 0


@dataclass
class Screen:
    """What one phone shows, and whom it would answer."""

    revision: int = 0
    at: float = 0.0
    account: str = ""
    texts: list[Text] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)


@dataclass
class _Joined:
    at: float
    pieces: dict[int, str] = field(default_factory=dict)


class Phones:
    """The phones and everything the centre must not forget. Safe for several threads.

    `heard` is called with (phone, sender, text) when a text is complete.
    """

    quiet = False

    def __init__(self, state: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self.heard: Callable[[str, str, str], None] | None = None
        self.revision = 0
        self._lock = threading.RLock()
        self._clock = clock
        self._screens: OrderedDict[str, Screen] = OrderedDict()
        self._joined: dict[tuple[str, str, int, int], _Joined] = {}
        self._owed = Owed()
        self._counts: Counter[str] = Counter()
        # Without a file the ids begin at the hour, so that a new run does not repeat an old one's.
        self._first_id = self._next_id = int(clock() * 1000)
        self._file: Any = None
        if state is not None:
            self._replay(state)
            state.parent.mkdir(parents=True, exist_ok=True)
            self._file = state.open("a", encoding="utf-8")
            self._file.write("\n")  # ends a line that was torn by a kill; empty lines say nothing

    # What clients hand over.

    def accept(
        self,
        submitted: wire.Submitted,
        system_id: str,
        report: tuple[str, float] | None,
    ) -> str:
        """Take one segment and return its message id; `report` is (state, seconds of delay)."""
        with self._lock:
            now = self._clock()
            message_id, owed = self._number(submitted, system_id, report, now)
            key, octets = wire.parts(submitted)
            entry = {
                "id": message_id,
                "at": now,
                "to": submitted.destination,
                "from": submitted.source,
                "account": system_id,
                "text": wire.read_text(octets, submitted.coding),
                "join": key,
                "report": owed._asdict() if owed else None,
            }
            self._write(entry)
            whole = self._apply(entry)
        if whole is not None and self.heard is not None:
            self.heard(submitted.destination, submitted.source, whole)
        return message_id

    def state_of(self, message_id: str) -> str | None:
        """ENROUTE while its report is owed, DELIVRD after it, None when nobody was given this id."""
        with self._lock:
            if message_id in self._owed:
                return "ENROUTE"
            known = message_id.isdecimal() and self._first_id < int(message_id) <= self._next_id
            return "DELIVRD" if known else None

    # What clients are owed.

    def due(self, system_ids: Collection[str], limit: int = 1_000_000) -> list[Parcel]:
        """Parcels whose time has come for clients that are bound; they are under way from now on."""
        with self._lock:
            now = self._clock()
            found = [p for name in system_ids for p in self._owed.take(name, now, limit)]
        return sorted(found, key=lambda parcel: parcel.due) if len(system_ids) > 1 else found

    def claim(self, message_id: str) -> Parcel | None:
        """A report before its time."""
        with self._lock:
            return self._owed.claim(message_id)

    def next_due(self, system_ids: Collection[str]) -> float:
        """Seconds until the next parcel is due for one of these accounts."""
        with self._lock:
            return self._owed.next_due(system_ids) - self._clock()

    def reported(self, key: str) -> None:
        """The client has acknowledged a parcel; it is owed no more."""
        self._settle(key, wire.OK)

    def refused(self, key: str, status: int) -> None:
        """The client will never take a parcel; it is owed no more."""
        self._settle(key, status)

    def postpone(self, key: str, seconds: float) -> None:
        """The client could not take a parcel now; it is due again later."""
        with self._lock:
            self._owed.postpone(key, self._clock() + seconds)

    # What phones send.

    def send(
        self, phone: str, account: str, text: str, parts: Sequence[wire.Delivery]
    ) -> list[str]:
        """A phone sends a text in these parts; the keys under which they are owed."""
        with self._lock:
            first = self._next_id + 1
            self._next_id += len(parts)
            entry = {
                "first": first,
                "at": self._clock(),
                "phone": phone,
                "account": account,
                "text": text,
                "parts": [[*part[:4], part.body.hex(), part.tlvs.hex()] for part in parts],
            }
            self._write(entry)
            return self._apply_sent(entry)

    def last_sender(self, phone: str) -> tuple[str, str] | None:
        """(number, account) of the last text a phone has received."""
        with self._lock:
            screen = self._screens.get(phone.removeprefix("+"))
            return (screen.texts[-1].sender, screen.account) if screen and screen.texts else None

    # What people see.

    def document(self) -> list[dict[str, Any]]:
        """Every phone with its texts, the phone with the newest text first."""
        with self._lock:
            screens = sorted(self._screens.items(), key=lambda item: -item[1].at)
            return [_screen(phone, screen) for phone, screen in screens]

    def changes(self, since: int, find: str, limit: int) -> list[dict[str, Any]]:
        """Phones that have changed since a revision, the last change first, texts cut to the last 50."""
        found: list[dict[str, Any]] = []
        with self._lock:
            for phone in reversed(self._screens):
                screen = self._screens[phone]
                if screen.revision <= since or len(found) >= limit:
                    break
                if find in phone:
                    found.append({**_screen(phone, screen, 50), "revision": screen.revision})
        return found

    def counts(self) -> dict[str, int]:
        """How many segments were taken, texts shown, and reports are still owed."""
        with self._lock:
            return {
                "segments": self._counts["segments"],
                "texts": self._counts["texts"],
                "reports_owed": len(self._owed),
                "acknowledged": self._counts["acknowledged"],
                "refused": self._counts["refused"],
                "written": self._counts["written"],
                "phones": len(self._screens),
            }

    def tally(self) -> dict[str, Any]:
        """Counters only; see the quiet mode for more."""
        return dict(self.counts())

    def forget(self) -> None:
        """Wipe screens and counters; what is owed stays owed."""
        with self._lock:
            self._screens.clear()
            self._joined.clear()
            self._counts.clear()
            self.revision += 1
            self._write({"wiped": True})

    # Within.

    def _number(
        self,
        submitted: wire.Submitted,
        system_id: str,
        report: tuple[str, float] | None,
        now: float,
    ) -> tuple[str, Report | None]:
        """A message id and the report that is owed for it."""
        self._next_id += 1
        message_id = str(self._next_id)
        if report is None:
            return message_id, None
        source, destination = submitted.destination, submitted.source
        state, due = report[0], now + report[1]
        return message_id, Report(message_id, system_id, source, destination, state, now, due)

    def _apply(self, entry: dict[str, Any]) -> str | None:
        """Take a segment in; the whole text when it is complete."""
        self._counts["segments"] += 1
        self._next_id = max(self._next_id, int(entry["id"]))
        if entry["report"]:
            self._owed.add(Report(**entry["report"]))
        if entry["join"] is None:
            return self._show(entry, entry["text"], 1)
        reference, total, part = entry["join"]
        key = (entry["from"], entry["to"], reference, total)
        joined = self._joined.get(key)
        if joined is None or entry["at"] - joined.at > _PART_LIFE_SECONDS:
            joined = self._joined[key] = _Joined(entry["at"])
        joined.pieces[part] = entry["text"]
        if len(joined.pieces) < total:
            return None
        del self._joined[key]
        return self._show(entry, "".join(joined.pieces[n] for n in sorted(joined.pieces)), total)

    def _show(self, entry: dict[str, Any], text: str, parts: int) -> str:
        screen = self._touch(entry["to"], entry["at"])
        screen.account = entry.get("account", "")
        screen.texts.append(Text(entry["at"], text, parts, entry["from"]))
        self._counts["texts"] += 1
        return text

    def _apply_sent(self, entry: dict[str, Any]) -> list[str]:
        screen = self._touch(entry["phone"], entry["at"])
        count, keys = len(entry["parts"]), []
        to = entry["parts"][0][1]
        screen.written.append(Written(entry["at"], entry["text"], count, to, count))
        self._counts["written"] += 1
        self._next_id = max(self._next_id, entry["first"] + count - 1)
        for number, (source, to, esm_class, coding, body, tlvs) in enumerate(entry["parts"]):
            octets, more = bytes.fromhex(body), bytes.fromhex(tlvs)
            delivery = wire.Delivery(source, to, esm_class, coding, octets, more)
            keys.append(f"p{entry['first'] + number}")
            at, index = entry["at"], len(screen.written) - 1
            self._owed.add(Inbound(keys[-1], entry["account"], at, delivery, entry["phone"], index))
        return keys

    def _settle(self, key: str, status: int) -> None:
        with self._lock:
            parcel = self._owed.settle(key)
            if parcel is None:
                return
            self._counts["refused" if status else "acknowledged"] += 1
            self._write({"reported": key, "status": status})
            if isinstance(parcel, Inbound):
                self._settle_written(parcel, status)

    def _settle_written(self, parcel: Inbound, status: int) -> None:
        screen = self._screens.get(parcel.phone)
        if screen is None or parcel.text >= len(screen.written):
            return  # wiped meanwhile
        written = screen.written[parcel.text]
        written.left -= 1
        written.refused = written.refused or status
        self._touch(parcel.phone, screen.at)

    def _touch(self, phone: str, at: float) -> Screen:
        """The phone's screen, as changed just now."""
        phone = phone.removeprefix("+")
        screen = self._screens.setdefault(phone, Screen())
        self._screens.move_to_end(phone)
        self.revision += 1
        screen.revision, screen.at = self.revision, max(at, screen.at)
        return screen

    def _write(self, entry: dict[str, Any]) -> None:
        if self._file is not None:
            self._file.write(json.dumps(entry, ensure_ascii=False) + "\n")
            self._file.flush()

    def _replay(self, state: Path) -> None:
        if not state.exists():
            return
        with state.open(encoding="utf-8") as lines:
            for line in lines:
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue  # the last line of a centre that was killed while writing
                if "reported" in entry:
                    self._settle(entry["reported"], entry.get("status", wire.OK))
                elif "wiped" in entry:
                    self.forget()
                elif "parts" in entry:
                    self._apply_sent(entry)
                else:
                    self._apply(entry)


def _screen(phone: str, screen: Screen, last: int = 0) -> dict[str, Any]:
    """One phone as JSON."""
    return {
        "phone": f"+{phone}",
        "texts": [
            {"at": _instant(t.at), "text": t.text, "parts": t.parts, "from": t.sender}
            for t in screen.texts[-last:]
        ],
        "sent": [
            {**asdict(written), "at": _instant(written.at)} for written in screen.written[-last:]
        ],
    }


def _instant(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
