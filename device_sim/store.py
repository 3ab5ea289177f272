"""The device's own database: outbox, tracks, pulled documents, token. One SQLite file per device.

WAL with ``synchronous=FULL``: what was called saved survives a power cut. Items and track rows are
never deleted; answered ones stay, so that they can be offered again when the server was restored
from a backup. A pull never touches the outbox.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device_sim.photos import Photo
from device_sim.protocol import Json, Result
from device_sim.steps import Step, pass_by

SCHEMA = """
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  type TEXT NOT NULL,
  subject TEXT NOT NULL,
  base TEXT NOT NULL,
  captured_at TEXT NOT NULL,
  body TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('waiting', 'parked', 'done')),
  verdict TEXT, code TEXT, message TEXT, ack TEXT
);
CREATE INDEX IF NOT EXISTS outbox_unsent ON outbox (seq) WHERE state <> 'done';
CREATE INDEX IF NOT EXISTS outbox_subject ON outbox (subject);
CREATE TABLE IF NOT EXISTS photo (
  sha256 TEXT PRIMARY KEY, size INTEGER NOT NULL, body BLOB NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('waiting', 'received', 'refused', 'unwanted'))
);
CREATE TABLE IF NOT EXISTS photo_item (
  sha256 TEXT NOT NULL REFERENCES photo, item TEXT NOT NULL, PRIMARY KEY (sha256, item)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS track (fix_ms INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS track_sent (fix_ms INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS document (
  collection TEXT NOT NULL, id TEXT NOT NULL, scope TEXT NOT NULL,
  generation INTEGER NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (collection, id)
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Kept:
    """An outbox row: the item as it is sent, what it is about, and the server's word if any."""

    seq: int
    id: str
    type: str
    subject: str
    base: str
    captured_at: str
    body: Json
    state: str
    verdict: str | None
    code: str | None
    message: str | None
    ack: str | None


class Store:
    """One device's database at ``path``. Used by the thread that opened it, and by no other."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.step: Step = pass_by
        self._db = sqlite3.connect(path, isolation_level=None, timeout=10)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # Facts: single values such as the token, the epoch, the checkpoint.

    def get(self, name: str) -> Any:
        """A fact's value, None when it was never set."""
        row = self._db.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
        return json.loads(row["value"]) if row else None

    def put(self, **facts: Any) -> None:
        """Set facts, all or none."""
        with self._transaction("facts"):
            self._put(facts)

    # Outbox.

    def next_seq(self) -> int:
        """The number the next captured item gets."""
        row = self._db.execute("SELECT coalesce(max(seq), 0) + 1 AS n FROM outbox").fetchone()
        return int(row["n"])

    def add(
        self,
        item: Json,
        subject: str = "",
        base: str = "",
        photos: Sequence[Photo] = (),
        **facts: Any,
    ) -> None:
        """Store a captured item, its photos and facts that go with it in one durable transaction."""
        with self._transaction("capture"):
            self._insert(item, subject, base)
            self._add_photos(item["id"], photos)
            self._put(facts)

    def add_all(self, items: Iterable[tuple[Json, str, str]]) -> None:
        """Store a day's items at once, each with its subject and base."""
        with self._transaction("captures"):
            for item, subject, base in items:
                self._insert(item, subject, base)

    def waiting(self, limit: int, but: Collection[str] = ()) -> list[Kept]:
        """The oldest unsent items that are not parked, in order of capture, without those in ``but``."""
        rows = self._kept("WHERE state = 'waiting' ORDER BY seq LIMIT ?", (limit + len(but),))
        return [kept for kept in rows if kept.id not in but][:limit]

    def items(self) -> list[Kept]:
        """Every item ever captured, in order."""
        return self._kept("ORDER BY seq", ())

    def about(self, subject: str) -> list[Kept]:
        """The items about one subject, such as ``read_order:12``."""
        return self._kept("WHERE subject = ? ORDER BY seq", (subject,))

    def unsent(self, after: int = 0) -> tuple[int, str | None]:
        """How many items have no answer yet (parked ones included) and when the oldest was made.

        The ``after`` oldest waiting ones are not counted.
        """
        rows = self._db.execute(
            "SELECT captured_at FROM outbox WHERE state <> 'done' ORDER BY state = 'parked', seq"
        ).fetchall()[after:]
        return len(rows), min((row["captured_at"] for row in rows), default=None)

    def parked(self) -> int:
        """How many items the server failed on again and again."""
        row = self._db.execute("SELECT count(*) AS n FROM outbox WHERE state = 'parked'").fetchone()
        return int(row["n"])

    def verdicts(self) -> dict[str, int]:
        """Answered items by verdict."""
        rows = self._db.execute(
            "SELECT verdict, count(*) AS n FROM outbox WHERE state = 'done' GROUP BY verdict"
        )
        return {row["verdict"]: int(row["n"]) for row in rows}

    def answered(self, results: Iterable[Result]) -> int:
        """Take the server's verdicts; only an answer with an item's own id removes it from the queue."""
        rows = [(r.verdict, r.code, r.message, r.ack, r.id) for r in results]
        with self._transaction("verdicts"):
            done = self._db.executemany(
                "UPDATE outbox SET state = 'done', verdict = ?, code = ?, message = ?, ack = ?"
                " WHERE id = ? AND state <> 'done'",
                rows,
            ).rowcount
        return max(0, done)

    def park(self, item_id: str) -> None:
        """Set an item aside so that it does not block the others; it still counts as unsent."""
        self._db.execute(
            "UPDATE outbox SET state = 'parked' WHERE id = ? AND state = 'waiting'", (item_id,)
        )

    def unpark(self) -> None:
        """Give parked items another chance."""
        self._db.execute("UPDATE outbox SET state = 'waiting' WHERE state = 'parked'")

    def offer_again(self, above_seq: int) -> int:
        """Queue answered items above the server's watermark again (it was restored from a backup)."""
        return self._db.execute(
            "UPDATE outbox SET state = 'waiting' WHERE state = 'done' AND seq > ?", (above_seq,)
        ).rowcount

    # Photos.

    def photos_waiting(self) -> list[tuple[str, int]]:
        """(hash, size) of photos to send: those of items the server has answered, oldest first."""
        rows = self._db.execute(
            "SELECT photo.sha256, photo.size FROM photo WHERE state = 'waiting' AND EXISTS ("
            " SELECT 1 FROM photo_item JOIN outbox ON outbox.id = photo_item.item"
            " WHERE photo_item.sha256 = photo.sha256 AND outbox.state = 'done') ORDER BY rowid"
        )
        return [(row["sha256"], int(row["size"])) for row in rows]

    def photo_piece(self, sha256: str, offset: int, size: int) -> bytes:
        """A piece of a photo."""
        row = self._db.execute(
            "SELECT substr(body, ?, ?) AS piece FROM photo WHERE sha256 = ?",
            (offset + 1, size, sha256),
        ).fetchone()
        return bytes(row["piece"])

    def photo_settled(self, sha256: str, state: str) -> None:
        """Take the server's word on a photo; its bytes stay, as items do."""
        with self._transaction("photo"):
            self._db.execute("UPDATE photo SET state = ? WHERE sha256 = ?", (state, sha256))

    def photos_again(self) -> None:
        """Ask for every photo whether the server has it (it was restored from a backup)."""
        self._db.execute("UPDATE photo SET state = 'waiting'")

    def photos(self) -> dict[str, str]:
        """The state of every photo by its hash."""
        return {row["sha256"]: row["state"] for row in self._db.execute("SELECT * FROM photo")}

    def photos_unsent(self) -> int:
        """How many photos the server has not all of."""
        rows = self._db.execute("SELECT count(*) AS n FROM photo WHERE state = 'waiting'")
        return int(rows.fetchone()["n"])

    def _add_photos(self, item_id: str, photos: Sequence[Photo]) -> None:
        for photo in photos:
            self._db.execute(
                "INSERT INTO photo (sha256, size, body, state) VALUES (?, ?, ?, 'waiting')"
                " ON CONFLICT (sha256) DO UPDATE SET state = 'waiting'",
                (photo.sha256, len(photo.content), photo.content),
            )
            self._db.execute(
                "INSERT OR IGNORE INTO photo_item (sha256, item) VALUES (?, ?)",
                (photo.sha256, item_id),
            )

    # Track.

    def add_track(self, points: Sequence[Sequence[int]]) -> None:
        """Keep track rows (wire form) until they are acknowledged."""
        rows = [(point[0], json.dumps(list(point))) for point in points]
        with self._transaction("track"):
            self._db.executemany("INSERT OR IGNORE INTO track (fix_ms, body) VALUES (?, ?)", rows)

    def track(self, limit: int) -> list[list[int]]:
        """The oldest unsent track rows."""
        rows = self._db.execute("SELECT body FROM track ORDER BY fix_ms LIMIT ?", (limit,))
        return [json.loads(row["body"]) for row in rows]

    def track_answered(self, points: Sequence[Sequence[int]]) -> None:
        """Set aside track rows the server acknowledged."""
        keys = [(point[0],) for point in points]
        with self._transaction("track_sent"):
            self._db.executemany(
                "INSERT OR IGNORE INTO track_sent SELECT * FROM track WHERE fix_ms = ?", keys
            )
            self._db.executemany("DELETE FROM track WHERE fix_ms = ?", keys)

    def offer_track_again(self) -> None:
        """Queue every track row again (the server was restored from a backup); it knows its own."""
        with self._transaction("track_again"):
            self._db.execute("INSERT OR IGNORE INTO track SELECT * FROM track_sent")
            self._db.execute("DELETE FROM track_sent")

    def track_waiting(self) -> int:
        """How many track rows are unsent."""
        return int(self._db.execute("SELECT count(*) AS n FROM track").fetchone()["n"])

    # Documents.

    def apply_page(self, documents: Iterable[Json], checkpoint: str | None) -> None:
        """Store one pulled page and its checkpoint, both or neither."""
        generation = self.get("generation") or 0
        with self._transaction("page"):
            for document in documents:
                self._apply(document, generation)
            if checkpoint is not None:
                self._put({"checkpoint": checkpoint})

    def start_over(self) -> None:
        """Forget the checkpoint: the next pulls bring everything; see ``end_of_full_pull``."""
        generation = (self.get("generation") or 0) + 1
        self.put(generation=generation, checkpoint=None, full_pull=True)

    def end_of_full_pull(self) -> None:
        """After a pull from the start: drop documents that did not come again."""
        with self._transaction("full_pull"):
            self._db.execute(
                "DELETE FROM document WHERE generation < ?", (self.get("generation") or 0,)
            )
            self._put({"full_pull": False})

    def wipe_documents(self) -> None:
        """Remove reference data only; captures, answered or not, stay."""
        with self._transaction("wipe"):
            self._db.execute("DELETE FROM document")
            self._put({"checkpoint": None})

    def documents(self, collection: str) -> list[Json]:
        """All documents of a collection."""
        rows = self._db.execute("SELECT body FROM document WHERE collection = ?", (collection,))
        return [json.loads(row["body"]) for row in rows]

    def document(self, collection: str, document_id: object) -> Json | None:
        """One document, or None."""
        row = self._db.execute(
            "SELECT body FROM document WHERE collection = ? AND id = ?",
            (collection, str(document_id)),
        ).fetchone()
        return json.loads(row["body"]) if row else None

    def _apply(self, document: Json, generation: int) -> None:
        """A document lives as long as the scope that brought it last holds it."""
        collection, document_id = str(document["collection"]), str(document["id"])
        scope = str(document.get("scope") or "")
        if not document.get("_deleted"):
            self._db.execute(
                "INSERT OR REPLACE INTO document (collection, id, scope, generation, body)"
                " VALUES (?, ?, ?, ?, ?)",
                (
                    collection,
                    document_id,
                    scope,
                    generation,
                    json.dumps(document, ensure_ascii=False),
                ),
            )
        elif collection == "scope":
            self._db.execute("DELETE FROM document WHERE scope = ?", (document_id,))
        else:
            self._db.execute(
                "DELETE FROM document WHERE collection = ? AND id = ? AND scope = ?",
                (collection, document_id, scope),
            )

    def _insert(self, item: Json, subject: str, base: str) -> None:
        self._db.execute(
            "INSERT INTO outbox (seq, id, type, subject, base, captured_at, body, state)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, 'waiting')",
            (
                item["seq"],
                item["id"],
                item["type"],
                subject,
                base,
                item["captured_at"],
                json.dumps(item, ensure_ascii=False),
            ),
        )

    def _kept(self, where: str, values: tuple[object, ...]) -> list[Kept]:
        sql = f"SELECT * FROM outbox {where}"  # noqa: S608  # only texts of this class come here
        rows = self._db.execute(sql, values)
        return [Kept(**{**dict(row), "body": json.loads(row["body"])}) for row in rows]

    def _put(self, facts: Json) -> None:
        self._db.executemany(
            "INSERT INTO fact (name, value) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            [(name, json.dumps(value, ensure_ascii=False)) for name, value in facts.items()],
        )

    def _transaction(self, name: str) -> _Transaction:
        return _Transaction(self._db, name, self.step)


class _Transaction:
    """BEGIN IMMEDIATE … COMMIT, or ROLLBACK when the block raises."""

    def __init__(self, db: sqlite3.Connection, name: str, step: Step) -> None:
        self._db = db
        self._name = name
        self._step = step

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *rest: object) -> None:
        if kind is not None:
            self._db.execute("ROLLBACK")
            return
        self._step(f"{self._name}.commit")
        self._db.execute("COMMIT")
        self._step(f"{self._name}.committed")
