"""One pull: what changed in the scopes a device sees, in pages, from an opaque checkpoint."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import bindparam, select

from server import feed
from server.db import Session, run
from server.errors import Conflict
from server.identity.service import CallingDevice
from server.rounds.models import Route
from server.sync.collections import COLLECTIONS, Document

# A device of many routes would otherwise send more than a web server reads of an address.
LONG = 900
PACKED = "~"
MOST_OCTETS = 1_000_000


@dataclass(frozen=True)
class Checkpoint:
    """How far a device has read each scope, in one epoch of the server."""

    epoch: str
    scopes: dict[str, int]

    def encode(self) -> str:
        """The opaque text the device keeps; it travels in addresses, so a long one is packed."""
        plain = orjson.dumps([self.epoch, self.scopes])
        if len(plain) <= LONG:
            return base64.urlsafe_b64encode(plain).decode()
        return PACKED + base64.urlsafe_b64encode(zlib.compress(plain, 6)).decode()


def _unpack(text: str) -> bytes:
    """What a checkpoint holds. Raises ValueError, also for one that would unpack to far too much."""
    if not text.startswith(PACKED):
        return base64.urlsafe_b64decode(text.encode())
    packed = zlib.decompressobj()
    try:
        plain = packed.decompress(base64.urlsafe_b64decode(text[1:].encode()), MOST_OCTETS)
    except zlib.error as error:
        raise ValueError("not packed by us") from error
    if not packed.eof:
        raise ValueError("cut short, or longer than any of ours")
    return plain


@dataclass(frozen=True)
class Page:
    """A page of documents; ``more`` says that another one waits."""

    documents: list[dict[str, Any]]
    checkpoint: Checkpoint
    more: bool


def resync_required(why: str) -> Conflict:
    """The device must start from nothing: 412 ``sync.resync_required``."""
    return Conflict("sync.resync_required", why, status=412)


def read_checkpoint(text: str | None, epoch: str) -> Checkpoint:
    """The checkpoint a device sent; nothing means the beginning.

    Raises:
        Conflict: 412 ``sync.resync_required`` for one that is not ours or of another epoch.
    """
    if not text:
        return Checkpoint(epoch, {})
    try:
        sent_epoch, scopes = orjson.loads(_unpack(text))
        checkpoint = Checkpoint(str(sent_epoch), {str(k): _sequence(v) for k, v in scopes.items()})
    except (binascii.Error, orjson.JSONDecodeError, ValueError, TypeError, AttributeError):
        raise resync_required("The checkpoint cannot be read; start again.") from None
    if checkpoint.epoch != epoch:
        raise resync_required("The server's data was restored; start again.")
    return checkpoint


def _sequence(value: Any) -> int:
    sequence = int(value)
    if not 0 <= sequence < 2**63:
        raise ValueError("no scope has come so far")
    return sequence


_ROUTES = select(Route.id).where(Route.reader_id == bindparam("rep")).order_by(Route.id)


def granted_scopes(session: Session, device: CallingDevice) -> list[str]:
    """The scopes a device sees: the organisation's, its rep's, and his routes'."""
    routes = run(session, _ROUTES, {"rep": device.staff_id})
    return ["org", f"user:{device.staff_id}", *(f"route:{route_id}" for (route_id,) in routes)]


def read_page(session: Session, granted: Sequence[str], checkpoint: Checkpoint, limit: int) -> Page:
    """The next documents after a checkpoint, at most ``limit``; removals of lost scopes first."""
    scopes = {scope: checkpoint.scopes.get(scope, 0) for scope in granted}
    documents = [
        {"collection": "scope", "id": scope, "version": 0, "_deleted": True}
        for scope in checkpoint.scopes
        if scope not in scopes
    ]
    changes: list[feed.Change] = []
    for scope in feed.advanced(session, scopes):
        room = limit - len(documents) - len(changes)
        if room <= 0:
            break
        found = feed.changes_after(session, scope, scopes[scope], room)
        if found:
            scopes[scope] = found[-1].seq
            changes += found
    documents += _documents(session, changes)
    return Page(documents, Checkpoint(checkpoint.epoch, scopes), more=len(documents) >= limit)


def _documents(session: Session, changes: Sequence[feed.Change]) -> list[Document]:
    """The changed documents as they are now; one that is gone is a removal."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for _, collection, document_id, _, deleted in changes:
        if not deleted:
            wanted[collection].append(document_id)
    loaded = {name: COLLECTIONS[name](session, ids) for name, ids in wanted.items()}
    nothing: dict[str, Document] = {}
    documents = []
    for scope, collection, document_id, seq, deleted in changes:
        content = None if deleted else loaded.get(collection, nothing).get(document_id)
        head = {
            "collection": collection,
            "id": document_id,
            "version": seq,
            "scope": scope,
            "_deleted": content is None,
        }
        documents.append(head if content is None else head | content)
    return documents
