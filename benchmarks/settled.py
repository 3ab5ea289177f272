"""The first measurement: readings settled in a second over HTTP, beside the bare rows they become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import bare, books, plant, web
from benchmarks.databases import Databases, application, migrate
from benchmarks.figures import Figure, machine, median, percentile
from benchmarks.options import Options
from benchmarks.plant import Handheld
from benchmarks.pushes import Push, pushes, send

ORIGINAL = "filled"


@dataclass(frozen=True)
class Round:
    """What one round gave."""

    batches: float
    p50_ms: float
    p95_ms: float
    singles: float
    single_p95_ms: float
    bare: float
    seconds: float
    settled: int
    web_cpu_ms: float
    rows_per_reading: float


def settled_readings(options: Options, databases: Databases) -> list[Figure]:
    """Measure on one kind of database; every round starts on the same freshly filled copy.

    Raises:
        books.Wrong: when the books of a round do not agree with what was sent.
        pushes.NotSettled: when a push was not settled whole.
    """
    state = machine()
    plan = Plan(fill(options, databases), options)
    begin(options, databases, plan)
    rounds = []
    for number in range(1, options.rounds + 1):
        rounds.append(_round(options, databases, plan))
        options.say(f"{databases.kind} round {number}: {_told(rounds[-1])}")
    databases.drop(ORIGINAL)
    parameters = _parameters(options, databases, rounds)
    return list(_figures(databases.kind, rounds, parameters, state))


def fill(options: Options, databases: Databases) -> list[Handheld]:
    """Make the original that rounds are copies of, and the handhelds that will read it."""
    options.say(f"{databases.kind}: filling a database with {options.points} points")
    url = databases.create(ORIGINAL)
    migrate(url, options.folder)
    with application(url, options.folder):
        handhelds = plant.build(options.points)
    databases.settle(ORIGINAL)
    return handhelds


def begin(options: Options, databases: Databases, plan: Plan) -> None:
    """Settle the first readings and take statistics again.

    Plans made while events, bills and the ledger were empty read those tables from end to end for
    every foreign key, for as long as the connection lives.
    """
    url = databases.address(ORIGINAL)
    with web.processes(url, options.folder, options.workers, options.threads) as running:
        send(running.port, plan.first, options.connections)
    databases.settle(ORIGINAL)


class Plan:
    """Who sends what: the first handhelds begin and warm up, the last send single readings.

    Raises:
        ValueError: when there are too few points for that.
    """

    def __init__(self, handhelds: Sequence[Handheld], options: Options) -> None:
        warm = max(1, len(handhelds) // 20)
        single = max(options.connections, -(-options.singles // plant.WALK))
        if len(handhelds) <= 2 * warm + single:
            least = (2 * warm + single + 1) * plant.WALK
            raise ValueError(f"too few points: {least} are the least for these connections")
        self.first = _batches(handhelds[:warm], options.batch)
        self.warm = _batches(handhelds[warm : 2 * warm], options.batch)
        self.main = _batches(handhelds[2 * warm : -single], options.batch)
        # All handhelds send one by one in turn, as eight connections of many reps would.
        one_by_one = [pushes(handheld, 1, seed=1) for handheld in handhelds[-single:]]
        self.single = [push for turn in zip(*one_by_one, strict=False) for push in turn]


def _batches(handhelds: Sequence[Handheld], size: int) -> list[Push]:
    """Every handheld's first push, then every second one, so that no two of one meet."""
    walks = [pushes(handheld, size, seed=1) for handheld in handhelds]
    longest = max(map(len, walks))
    return [walk[turn] for turn in range(longest) for walk in walks if turn < len(walk)]


def _round(options: Options, databases: Databases, plan: Plan) -> Round:
    url = databases.copy(ORIGINAL, "round")
    with web.processes(url, options.folder, options.workers, options.threads) as running:
        port = running.port
        warm = send(port, plan.warm, options.connections)
        used = running.cpu_seconds()
        many = send(port, plan.main, options.connections, options.seconds)
        used = running.cpu_seconds() - used
        one = send(port, plan.single, options.connections, options.single_seconds)
    first = sum(push.items for push in plan.first)
    settled = first + warm.settled + many.settled + one.settled
    with application(url, options.folder):
        books.check(books.read(), settled)
        blocks = bare.read_blocks(options.bare_readings, options.batch, after=first)
    databases.drop("round")
    written = _write_bare(options, databases, blocks)
    readings = sum(block.readings for block in blocks)
    return Round(
        batches=many.settled / many.wall,
        p50_ms=1000 * percentile(many.seconds, 0.5),
        p95_ms=1000 * percentile(many.seconds, 0.95),
        singles=one.settled / one.wall,
        single_p95_ms=1000 * percentile(one.seconds, 0.95),
        bare=readings / written,
        seconds=many.wall,
        settled=many.settled,
        web_cpu_ms=1000 * used / many.settled,
        rows_per_reading=sum(block.rows for block in blocks) / readings,
    )


def _write_bare(options: Options, databases: Databases, blocks: Sequence[bare.Block]) -> float:
    """Write the rows on a fresh copy; the first blocks only warm the statements up."""
    url = databases.copy(ORIGINAL, "bare")
    with application(url, options.folder):
        warm = max(1, len(blocks) // 10) if len(blocks) > 1 else 0
        seconds = bare.write_blocks(blocks[:warm])
        seconds = bare.write_blocks(blocks[warm:])
        share = sum(b.readings for b in blocks[warm:]) / sum(b.readings for b in blocks)
    databases.drop("bare")
    return seconds / share


def _told(result: Round) -> str:
    return (
        f"{result.batches:.0f} readings/s for {result.seconds:.0f} s, p95 {result.p95_ms:.0f} ms, "
        f"{result.web_cpu_ms:.2f} ms of processor each, "
        f"{result.singles:.0f} single pushes/s, bare rows {result.bare:.0f}/s"
    )


def _parameters(options: Options, databases: Databases, rounds: Sequence[Round]) -> dict[str, Any]:
    return {
        "points": options.points,
        "connections": options.connections,
        "batch": options.batch,
        "workers": options.workers,
        "threads": options.threads,
        "rounds": options.rounds,
        "seconds": [round(r.seconds, 1) for r in rounds],
        "settled": [r.settled for r in rounds],
        "rows_per_reading": median([r.rows_per_reading for r in rounds]),
        "database": databases.describe(),
    }


def _figures(
    kind: str, rounds: Sequence[Round], parameters: Mapping[str, Any], state: Mapping[str, Any]
) -> list[Figure]:
    def figure(name: str, values: Sequence[float], unit: str, **more: Any) -> Figure:
        shown = [round(value, 3 if value < 10 else 1) for value in values]
        better = "less" if unit.startswith("ms") else "more"
        return Figure(
            name,
            kind,
            median(shown),
            unit,
            better,
            rounds=shown,
            parameters=parameters,
            machine=state,
            **more,
        )

    batches, singles = [r.batches for r in rounds], [r.singles for r in rounds]
    shares = [r.batches / r.bare for r in rounds]
    per_push = [r.singles / r.batches for r in rounds]
    return [
        figure(
            "settled_readings",
            batches,
            "readings/s",
            ratio={"of_bare_rows": median(shares)},
        ),
        figure("settled_readings.push_p50", [r.p50_ms for r in rounds], "ms"),
        figure("settled_readings.push_p95", [r.p95_ms for r in rounds], "ms"),
        figure("settled_readings.web_processor", [r.web_cpu_ms for r in rounds], "ms/reading"),
        figure(
            "settled_readings.single_pushes",
            singles,
            "pushes/s",
            ratio={"of_batched_readings": median(per_push)},
        ),
        figure("settled_readings.single_push_p95", [r.single_p95_ms for r in rounds], "ms"),
        figure("settled_readings.bare_rows", [r.bare for r in rounds], "readings/s"),
    ]
