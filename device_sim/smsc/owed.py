"""What the centre still owes its clients: delivery reports, and texts that phones have sent."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Collection
from typing import NamedTuple

from device_sim.smsc.wire import Delivery

UNDER_WAY = float("inf")
"""The due time of what has been written and waits for its acknowledgement."""


class Report(NamedTuple):
    """A delivery report that is owed: `key` is its message id, `due` is seconds since 1970."""

    key: str
    system_id: str
    source: str
    destination: str
    state: str
    submitted: float
    due: float


class Inbound(NamedTuple):
    """One part of a text from a phone; `text` is the number of the whole text on its screen."""

    key: str
    system_id: str
    due: float
    delivery: Delivery
    phone: str
    text: int


Parcel = Report | Inbound


class Owed:
    """Parcels in order of time, for each account. Not safe for several threads."""

    def __init__(self) -> None:
        self._parcels: dict[str, Parcel] = {}
        self._due: dict[str, float] = {}
        self._heaps: dict[str, list[tuple[float, int, str]]] = {}
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._parcels)

    def __contains__(self, key: str) -> bool:
        return key in self._parcels

    def add(self, parcel: Parcel) -> None:
        """Owe a parcel from its due time on."""
        self._parcels[parcel.key] = parcel
        self._enter(parcel, parcel.due)

    def settle(self, key: str) -> Parcel | None:
        """A parcel is owed no more."""
        self._due.pop(key, None)
        return self._parcels.pop(key, None)

    def take(self, account: str, now: float, limit: int) -> list[Parcel]:
        """Parcels of an account whose time has come, oldest first; they are under way from now on."""
        heap = self._heaps.get(account, [])
        found: list[Parcel] = []
        while heap and heap[0][0] <= now and len(found) < limit:
            due, _, key = heapq.heappop(heap)
            if self._due.get(key) == due:  # otherwise it was settled or postponed
                self._due[key] = UNDER_WAY
                found.append(self._parcels[key])
        return found

    def claim(self, key: str) -> Parcel | None:
        """One parcel before its time; it is under way from now on."""
        parcel = self._parcels.get(key)
        if parcel is not None:
            self._due[key] = UNDER_WAY
        return parcel

    def postpone(self, key: str, due: float) -> None:
        """A parcel could not be handed over; it is due again."""
        parcel = self._parcels.get(key)
        if parcel is not None:
            self._enter(parcel, due)

    def next_due(self, accounts: Collection[str]) -> float:
        """When the next parcel for one of these accounts is due; for ever when none is."""
        heaps = (self._heaps.get(account) for account in accounts)
        return min((heap[0][0] for heap in heaps if heap), default=UNDER_WAY)

    def _enter(self, parcel: Parcel, due: float) -> None:
        key = parcel.key
        self._due[key] = due
        heap = self._heaps.get(parcel.system_id)
        if heap is None:
            heap = self._heaps[parcel.system_id] = []
        heapq.heappush(heap, (due, next(self._numbers), key))
