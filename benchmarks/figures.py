"""What a measurement gives: one figure with its unit, its ratio and the machine it was taken on."""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One figure: ``value`` is the median of the rounds, ``ratio`` says what it is compared with.

    ``better`` is "more" or "less". ``rounds`` holds the value of every round, so that the range
    can be seen.
    """

    name: str
    database: str
    value: float
    unit: str
    better: str
    ratio: Mapping[str, float] = field(default_factory=dict)
    rounds: Sequence[float] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        """The figure as one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)


@dataclass(frozen=True)
class Sheet:
    """What all figures of a run on one kind of database have in common."""

    database: str
    parameters: Mapping[str, Any]
    machine: Mapping[str, Any]

    def figure(self, name: str, values: Sequence[float], unit: str) -> Figure:
        """The figure of some rounds of which less is better: seconds, octets."""
        shown = [round(value, 3) for value in values]
        return Figure(
            name,
            self.database,
            median(shown),
            unit,
            "less",
            rounds=shown,
            parameters=self.parameters,
            machine=self.machine,
        )


def median(values: Sequence[float]) -> float:
    """The middle of the rounds, with three significant places behind the point at most."""
    return round(statistics.median(values), 3)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which a share of the values lies (nearest rank).

    Raises:
        ValueError: without any value.
    """
    if not values:
        raise ValueError("no value to take a percentile of")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def machine() -> dict[str, Any]:
    """What the figures were taken on: cores, memory, system and language, and how busy it was."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_gib": round(pages / 2**30),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 1),
    }


def _processor() -> str:
    """The processor's own name, or its kind where the system does not tell."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


_HEADS = ("measurement", "database", "median", "unit", "rounds", "ratio")


def table(figures: Sequence[Figure]) -> str:
    """The figures for people: one row each, columns as wide as they must be."""
    rows = [_HEADS, *(_row(figure) for figure in figures)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADS))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(line.rstrip() for line in lines)


def _row(figure: Figure) -> tuple[str, ...]:
    spread = f"{min(figure.rounds):g}–{max(figure.rounds):g}" if figure.rounds else ""
    ratio = ", ".join(f"{name} {value:g}" for name, value in figure.ratio.items())
    return (figure.name, figure.database, f"{figure.value:g}", figure.unit, spread, ratio)
