"""Lists that are shown in part: the first rows, and whether there are more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Cut(Generic[T]):
    """The first rows of a list; ``more`` says that there are others behind them."""

    rows: tuple[T, ...]
    more: bool = False

    def __bool__(self) -> bool:
        return bool(self.rows)


def cut(rows: Iterable[T], most: int) -> Cut[T]:
    """At most ``most`` of the rows, of which one more was read."""
    found = tuple(rows)
    return Cut(found[:most], len(found) > most)
