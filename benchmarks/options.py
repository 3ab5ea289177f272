"""What a run may decide: how large, how long, on which databases."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """Sizes of a run; the defaults are those of the published figures."""

    folder: Path
    points: int = 60_000
    rounds: int = 3
    seconds: float = 60.0
    connections: int = 8
    batch: int = 100
    singles: int = 4_000
    single_seconds: float = 10.0
    bare_readings: int = 10_000
    feed_entries: int = 1_000_000
    stored: int = 1_000_000
    unsent: int = 50_000
    deltas: int = 60
    contacts: int = 300_000
    accounts: int = 300_000
    texts: int = 30_000
    workers: int = 2
    threads: int = 4
    quiet: bool = False

    def quick(self) -> Options:
        """The same work in a few seconds: says whether it runs, not how fast."""
        return replace(
            self,
            points=3_000,
            rounds=1,
            seconds=5,
            singles=200,
            single_seconds=2,
            bare_readings=1_000,
            feed_entries=10_000,
            stored=6_000,
            unsent=500,
            deltas=5,
            contacts=5_000,
            accounts=2_000,
            texts=1_500,
        )

    def say(self, text: str) -> None:
        """Tell on standard error what is going on; figures alone go to standard output."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)
