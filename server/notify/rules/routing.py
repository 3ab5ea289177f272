"""Which gateway carries a message: who can serve it, the cheapest of those, and a fair share of equals.

Everything is decided from values read beforehand (`routes.load`), so that a hundred thousand messages
cost no query. The choice for a phone is stable: of equal gateways each phone keeps its own, and when
one falls out only its phones move.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from zlib import crc32

from server.notify.rules.phones import is_email

FREE = Decimal(0)
_EMAIL = "email"


@dataclass(frozen=True)
class Way:
    """A gateway as routing sees it.

    Without `categories` or `prefixes` it takes all. `usable` is False for a gateway that must take
    nothing now (disabled, over its budget, real in a demo); `away` for one that cannot send at present
    and may be back; `limited` says that it has a budget.
    """

    id: int
    kind: str
    position: int = 100
    weight: int = 100
    categories: frozenset[str] | None = None
    prefixes: tuple[str, ...] | None = None
    usable: bool = True
    away: bool = False
    limited: bool = False

    def serves(self, phone: str, category: str) -> bool:
        """Whether this gateway's business covers the recipient and the category."""
        if (self.kind == _EMAIL) != is_email(phone):
            return False
        if self.categories is not None and category not in self.categories:
            return False
        return self.prefixes is None or phone.startswith(self.prefixes)


@dataclass(frozen=True)
class PriceRow:
    """The price of a segment to numbers with `prefix` from `valid_from` until before `valid_to`."""

    gateway_id: int
    prefix: str
    price: Decimal
    valid_from: datetime
    valid_to: datetime | None = None

    def holds(self, at: datetime) -> bool:
        """Whether it is the price at an instant."""
        return self.valid_from <= at and (self.valid_to is None or at < self.valid_to)


@dataclass(frozen=True)
class _Rank:
    """A gateway among those that serve a message; sorts best first."""

    away: bool
    price: Decimal
    position: int
    way: Way

    @property
    def key(self) -> tuple[bool, Decimal, int]:
        """What makes two gateways equals, for weight to decide between them."""
        return (self.away, self.price, self.position)


@dataclass(frozen=True)
class _Ranked:
    """Who serves messages of a kind, best first, and the weights of the best."""

    ranks: tuple[_Rank, ...]
    best: dict[int, int]


class Prices:
    """Price rows by gateway and prefix; the longest prefix that has a price at the instant wins."""

    def __init__(self, rows: Iterable[PriceRow]) -> None:
        self._rows: dict[tuple[int, str], list[PriceRow]] = {}
        for row in sorted(rows, key=lambda row: row.valid_from, reverse=True):
            self._rows.setdefault((row.gateway_id, row.prefix), []).append(row)
        self.prefixes = frozenset(prefix for _, prefix in self._rows)
        self._lengths = sorted({len(prefix) for prefix in self.prefixes}, reverse=True)

    def at(self, gateway_id: int, phone: str, at: datetime) -> Decimal:
        """The price of one segment; of rows of one prefix the one that began last; 0 without any."""
        for length in self._lengths:
            for row in self._rows.get((gateway_id, phone[:length]), ()):
                if row.holds(at):
                    return row.price
        return FREE

    def holding(self, gateway_ids: Collection[int], at: datetime) -> list[Decimal]:
        """The prices of these gateways that hold at an instant."""
        return [
            row.price
            for (gateway_id, _), rows in self._rows.items()
            if gateway_id in gateway_ids
            for row in rows
            if row.holds(at)
        ]


@dataclass(frozen=True)
class Routes:
    """All gateways and prices at the instant `at`. `frugal` categories never move to a dearer gateway."""

    ways: Sequence[Way]
    prices: Prices
    at: datetime
    frugal: frozenset[str] = frozenset()
    _ranked: dict[tuple[str, str, bool], _Ranked] = field(default_factory=dict)
    _prefixes: frozenset[str] = field(init=False)
    _lengths: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        named = {prefix for way in self.ways for prefix in way.prefixes or ()}
        prefixes = frozenset(named | self.prices.prefixes)
        object.__setattr__(self, "_prefixes", prefixes)
        lengths = tuple(sorted({len(prefix) for prefix in prefixes}, reverse=True))
        object.__setattr__(self, "_lengths", lengths)

    def choose(self, phone: str, category: str) -> int | None:
        """The gateway that carries a message to `phone`; None when none may."""
        best = self._rank(phone, category).best
        return share(phone, best) if best else None

    def next(self, phone: str, category: str, tried: Collection[int]) -> int | None:
        """The best gateway that is there and was not tried; None when there is no other.

        A message of a category with a budget goes to none that is dearer than what was tried.
        """
        ranks = self._rank(phone, category).ranks
        left = [rank for rank in ranks if not rank.away and rank.way.id not in tried]
        if category in self.frugal and tried:
            most = max(self.price(one, phone, self.at) for one in tried)
            left = [rank for rank in left if rank.price <= most]
        best = _equals(left)
        return share(phone, best) if best else None

    def price(self, gateway_id: int, phone: str, at: datetime) -> Decimal:
        """The price of one segment at an instant; 0 when there is no price row."""
        return self.prices.at(gateway_id, phone, at)

    def price_range(self, category: str) -> tuple[Decimal, Decimal]:
        """The least and the most that a segment of a category costs at present, over all gateways."""
        ids = {
            way.id
            for way in self.ways
            if way.usable and (way.categories is None or category in way.categories)
        }
        found = self.prices.holding(ids, self.at)
        return (min(found), max(found)) if found else (FREE, FREE)

    def open(self, gateway_id: int) -> bool:
        """Whether the gateway may take messages now (enabled, within its budget, allowed in a demo)."""
        return any(way.usable for way in self.ways if way.id == gateway_id)

    @property
    def shut(self) -> frozenset[int]:
        """The gateways that must lose what is queued for them: not usable, or away too long."""
        return frozenset(way.id for way in self.ways if way.away or not way.usable)

    @property
    def mails(self) -> bool:
        """Whether any gateway for e-mails is set up, even one that is switched off for now."""
        return any(way.kind == _EMAIL for way in self.ways)

    @property
    def limited(self) -> bool:
        """Whether any gateway has a budget to be looked after."""
        return any(way.limited for way in self.ways)

    def others(self, gateway_id: int | None) -> bool:
        """Whether there is another gateway that what waits for this one could go to."""
        here = self.open(gateway_id) if gateway_id is not None else False
        return any(
            way.usable and not (here and way.away) for way in self.ways if way.id != gateway_id
        )

    def _rank(self, phone: str, category: str) -> _Ranked:
        """Who serves the message, best first; one list for each longest known prefix and category."""
        key = (self._prefix(phone), category, is_email(phone))
        if key not in self._ranked:
            ranks = [
                _Rank(way.away, self.price(way.id, phone, self.at), way.position, way)
                for way in self.ways
                if way.usable and way.serves(phone, category)
            ]
            ranks.sort(key=lambda rank: (*rank.key, rank.way.id))
            self._ranked[key] = _Ranked(tuple(ranks), _equals(ranks))
        return self._ranked[key]

    def _prefix(self, phone: str) -> str:
        """The longest prefix that any row names: it decides about all the shorter ones too."""
        for length in self._lengths:
            if phone[:length] in self._prefixes:
                return phone[:length]
        return ""


def _equals(ranks: Sequence[_Rank]) -> dict[int, int]:
    """The weights of the first and of those that are as good."""
    return {rank.way.id: rank.way.weight for rank in ranks if rank.key == ranks[0].key}


def share(phone: str, weights: Mapping[int, int]) -> int:
    """One of `weights` for a phone, each as often as its weight says (rendezvous hashing).

    A gateway of weight 0 is taken only when all have it. A phone's choice changes only when its own
    gateway goes or another one's weight grows.
    """
    if len(weights) == 1:
        return next(iter(weights))
    return max(weights, key=lambda number: (_score(phone, number, weights[number]), -number))


def _score(phone: str, gateway_id: int, weight: int) -> float:
    # crc32 alone is linear: equal-length keys would differ by a constant for every phone.
    mixed = (crc32(f"{phone}/{gateway_id}".encode()) * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    mixed ^= mixed >> 32
    even = ((mixed * 0xD6E8FEB86659FD93) & 0xFFFFFFFFFFFFFFFF) >> 11
    return -weight / math.log((even + 1) / (2**53 + 2)) if weight else -1.0
