"""What the SMS centre remembers: the phones' texts, the parts still missing, the reports still owed.

With a file, every change is a line appended to it before it is answered for, so that a centre that
was killed goes on where it stood.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from device_sim.smsc import wire

_PART_LIFE_SECONDS = 1800.0


@dataclass(frozen=True)
class Report:
    """A delivery report that is owed: `due` is seconds since 1970."""

    message_id: str
    system_id: str
    source: str
    destination: str
    state: str
    submitted: float
    due: float


@dataclass
class Text:
    """A text on a phone's screen; `at` is seconds since 1970."""

    at: float
    text: str
    parts: int
    sender: str


@dataclass
class _Joined:
    at: float
    total: int
    pieces: dict[int, str] = field(default_factory=dict)


class Phones:
    """The phones and everything the centre must not forget. Safe for several threads."""

    def __init__(self, state: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._texts: dict[str, list[Text]] = {}
        self._joined: dict[tuple[str, str, int, int], _Joined] = {}
        self._owed: dict[str, Report] = {}
        self._accepted = 0
        # Without a file the ids begin at the hour, so that a new run does not repeat an old one's.
        self._next_id = int(clock() * 1000)
        self._file: Any = None
        if state is not None:
            self._replay(state)
            state.parent.mkdir(parents=True, exist_ok=True)
            self._file = state.open("a", encoding="utf-8")
            self._file.write("\n")  # ends a line that was torn by a kill; empty lines say nothing

    def accept(
        self,
        submitted: wire.Submitted,
        system_id: str,
        report: tuple[str, float] | None,
    ) -> str:
        """Take one segment and return its message id; `report` is (state, seconds of delay)."""
        with self._lock:
            now = self._clock()
            self._next_id += 1
            message_id = str(self._next_id)
            owed = None
            if report is not None:
                owed = Report(
                    message_id,
                    system_id,
                    submitted.destination,
                    submitted.source,
                    report[0],
                    now,
                    now + report[1],
                )
            key, octets = wire.parts(submitted)
            entry = {
                "id": message_id,
                "at": now,
                "to": submitted.destination,
                "from": submitted.source,
                "text": wire.read_text(octets, submitted.coding),
                "join": key,
                "report": asdict(owed) if owed else None,
            }
            self._write(entry)
            self._apply(entry)
            return message_id

    def due(self, system_ids: set[str]) -> list[Report]:
        """Reports whose time has come for clients that are bound, oldest first."""
        with self._lock:
            now = self._clock()
            found = [
                report
                for report in self._owed.values()
                if report.due <= now and report.system_id in system_ids
            ]
        return sorted(found, key=lambda report: report.due)

    def reported(self, message_id: str) -> None:
        """The client has acknowledged a report; it is owed no more."""
        with self._lock:
            if self._owed.pop(message_id, None) is not None:
                self._write({"reported": message_id})

    def postpone(self, message_id: str, seconds: float) -> None:
        """The client could not take a report now; it is due again later."""
        with self._lock:
            report = self._owed.get(message_id)
            if report is not None:
                later = {**asdict(report), "due": self._clock() + seconds}
                self._owed[message_id] = Report(**later)

    def document(self) -> list[dict[str, Any]]:
        """Every phone with its texts, the phone with the newest text first."""
        with self._lock:
            phones = sorted(self._texts.items(), key=lambda item: -item[1][-1].at)
            return [
                {
                    "phone": f"+{phone.lstrip('+')}",
                    "texts": [
                        {
                            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(text.at)),
                            "text": text.text,
                            "parts": text.parts,
                            "from": text.sender,
                        }
                        for text in texts
                    ],
                }
                for phone, texts in phones
            ]

    def counts(self) -> dict[str, int]:
        """How many segments were taken, texts shown, and reports are still owed."""
        with self._lock:
            shown = sum(len(texts) for texts in self._texts.values())
            return {"segments": self._accepted, "texts": shown, "reports_owed": len(self._owed)}

    def _apply(self, entry: dict[str, Any]) -> None:
        self._accepted += 1
        self._next_id = max(self._next_id, int(entry["id"]))
        if entry["report"]:
            self._owed[entry["id"]] = Report(**entry["report"])
        if entry["join"] is None:
            self._show(entry, entry["text"], 1)
            return
        reference, total, part = entry["join"]
        key = (entry["from"], entry["to"], reference, total)
        joined = self._joined.get(key)
        if joined is None or entry["at"] - joined.at > _PART_LIFE_SECONDS:
            joined = self._joined[key] = _Joined(entry["at"], total)
        joined.pieces[part] = entry["text"]
        if len(joined.pieces) == total:
            del self._joined[key]
            self._show(entry, "".join(joined.pieces[n] for n in sorted(joined.pieces)), total)

    def _show(self, entry: dict[str, Any], text: str, parts: int) -> None:
        texts = self._texts.setdefault(entry["to"], [])
        texts.append(Text(entry["at"], text, parts, entry["from"]))

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
                    self._owed.pop(entry["reported"], None)
                else:
                    self._apply(entry)
