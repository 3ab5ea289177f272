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
    """A delivery report that is owed: `due` is seconds since 1970."""

    message_id: str
    system_id: str
    source: str
    destination: str
    state: str
    submitted: float
    due: float

    @property
    def key(self) -> str:
        """What it is acknowledged by."""
        return self.message_id


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
        self._heaps: dict[str, list[tuple[float, int, str]]] = {}
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._parcels)

    def __contains__(self, key: str) -> bool:
        return key in self._parcels

    def add(self, parcel: Parcel) -> None:
        """Owe a parcel from its due time on."""
        self._parcels[parcel.key] = parcel
        if parcel.due != UNDER_WAY:
            heap = self._heaps.setdefault(parcel.system_id, [])
            heapq.heappush(heap, (parcel.due, next(self._numbers), parcel.key))

    def settle(self, key: str) -> Parcel | None:
        """A parcel is owed no more."""
        return self._parcels.pop(key, None)

    def take(self, account: str, now: float, limit: int) -> list[Parcel]:
        """Parcels of an account whose time has come, oldest first; they are under way from now on."""
        heap = self._heaps.get(account, [])
        found: list[Parcel] = []
        while heap and heap[0][0] <= now and len(found) < limit:
            due, _, key = heapq.heappop(heap)
            parcel = self._parcels.get(key)
            if parcel is not None and parcel.due == due:
                found.append(self._mark(parcel))
        return found

    def claim(self, key: str) -> Parcel | None:
        """One parcel before its time; it is under way from now on."""
        parcel = self._parcels.get(key)
        return None if parcel is None else self._mark(parcel)

    def postpone(self, key: str, due: float) -> None:
        """A parcel could not be handed over; it is due again."""
        parcel = self._parcels.get(key)
        if parcel is not None:
            self.add(parcel._replace(due=due))

    def next_due(self, accounts: Collection[str]) -> float:
        """When the next parcel for one of these accounts is due; for ever when none is."""
        heaps = (self._heaps.get(account) for account in accounts)
        return min((heap[0][0] for heap in heaps if heap), default=UNDER_WAY)

    def _mark(self, parcel: Parcel) -> Parcel:
        self._parcels[parcel.key] = parcel._replace(due=UNDER_WAY)
        return parcel
