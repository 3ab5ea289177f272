"""What a run will do to the system, drawn from its seed before anything starts.

The plan is the repeatable part: who carries which handheld, which faults its link has, what is killed
at which point on which day. How far a program has come at that moment is the machine's affair.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

CAPTURE = (
    "witness.begin",
    "witness.torn",
    "witness.begun",
    "capture.commit",
    "capture.committed",
    "witness.saved",
)
PUSH = (
    "push.before",
    "push.sent",
    "push.answered",
    "track_sent.commit",
    "track_sent.committed",
    "verdicts.commit",
    "verdicts.committed",
    "facts.commit",
    "facts.committed",
)
PULL = ("pull.before", "pull.sent", "pull.answered", "page.commit", "page.committed")
PHOTO = ("photo.before", "photo.answered", "photo.commit", "photo.committed")
TRACK = ("track.commit", "track.committed")
# These steps come once in a device's life: on its first day.
FIRST = ("enrol.before", "enrol.sent", "enrol.answered", "full_pull.commit", "full_pull.committed")
ONCE = "full_pull.committed"
STEPS = (*CAPTURE, *PUSH, *PHOTO, *PULL, *TRACK, *FIRST)

SERVER = ("server.before_commit", "server.after_commit", "server.in_flight", "web_worker.in_flight")
WORKER = ("worker.before_take", "worker.after_take", "worker.any")

PROFILES = (
    "careless",
    "silent",
    "year_off",
    "steady",
    "dead_clock",
    "revoked",
    "fast_clock",
    "old_protocol",
)
SILENT_DAYS = 3

LINK_FAULTS = (
    "reset_before_send",
    "mid_body",
    "after_commit",
    "cut_answer",
    "twice",
    "late",
    "unavailable",
    "too_many",
    "server_error",
    "portal",
)


@dataclass(frozen=True)
class Carrier:
    """A handheld and the person who carries it.

    ``signal`` is the part of the time with signal, ``faults`` the rates of the link's faults,
    ``eager`` how often (0…1) a capture is followed by a sync.
    """

    number: int
    profile: str
    signal: float
    eager: float
    faults: dict[str, float]

    @property
    def name(self) -> str:
        """Its name, also of its folder and its user."""
        return f"r{self.number:02d}"


@dataclass(frozen=True)
class Kill:
    """One kill: of a handheld (``victim`` is its number) at a step, or of a program at a point.

    It strikes when ``point`` is passed for the ``nth`` time after it was armed.
    """

    point: str
    nth: int
    victim: int | None = None


@dataclass(frozen=True)
class Day:
    """One day of the fleet: its kills, and the handhelds that stay silent or meet at 17:00."""

    number: int
    device_kills: Sequence[Kill] = ()
    server_kills: Sequence[Kill] = ()
    worker_kills: Sequence[Kill] = ()
    silent: frozenset[int] = frozenset()
    rush: bool = False
    old: frozenset[int] = frozenset()
    revoke: int | None = None
    reassign: tuple[int, int] | None = None
    restore: bool = False
    drops: int = 0

    @property
    def kills(self) -> Iterator[Kill]:
        """Every kill of the day."""
        yield from (*self.device_kills, *self.server_kills, *self.worker_kills)


@dataclass(frozen=True)
class Plan:
    """Everything a run will try."""

    seed: int
    carriers: Sequence[Carrier]
    stops: int
    days: Sequence[Day] = field(default_factory=list)

    @property
    def kills(self) -> list[Kill]:
        """Every kill of every day."""
        return [kill for day in self.days for kill in day.kills]


def make_plan(seed: int, devices: int, stops: int, days: int, kills: int) -> Plan:
    """Draw the plan of a run. Equal arguments give equal plans.

    Raises:
        ValueError: for a fleet of nobody, or days without a date.
    """
    if devices < 1 or stops < 1 or days < 1 or kills < 0:
        raise ValueError("a run needs at least one handheld, one stop and one day")
    rng = random.Random(f"torture:{seed}")
    carriers = [_carrier(rng, number) for number in range(1, devices + 1)]
    plan = Plan(seed, carriers, stops, [_day(carriers, n, days) for n in range(days)])
    return Plan(seed, carriers, stops, _with_kills(rng, plan.days, carriers, kills))


def _carrier(rng: random.Random, number: int) -> Carrier:
    rate = rng.uniform(0.1, 0.45)
    chosen = rng.sample(LINK_FAULTS, 5)
    weights = [rng.random() for _ in chosen]
    faults = {
        name: round(rate * weight / sum(weights), 3)
        for name, weight in zip(chosen, weights, strict=True)
    }
    return Carrier(
        number=number,
        profile=PROFILES[(number - 1) % len(PROFILES)],
        signal=rng.choice((1.0, 0.85, 0.6)),
        eager=rng.choice((1.0, 0.5, 0.2)),
        faults=faults,
    )


def _day(carriers: Sequence[Carrier], number: int, days: int) -> Day:
    """The fleet's events of a day; they need some days and some people to happen at all."""
    of = {carrier.profile: carrier.number for carrier in reversed(carriers)}
    silent, revoked, old = of.get("silent"), of.get("revoked"), of.get("old_protocol")
    reassign = None
    if number == 2 and silent is not None:
        reassign = (silent, carriers[0].number)
    return Day(
        number=number,
        silent=frozenset(
            c.number
            for c in carriers
            if c.profile == "silent" and 1 <= number <= SILENT_DAYS and number < days - 1
        ),
        rush=number % 3 == 1,
        old=frozenset({old} if old is not None and number == 1 else ()),
        revoke=revoked if number == 1 else None,
        reassign=reassign,
        restore=days >= 4 and number == days - 2,
        drops=1 if number else 0,
    )


def _with_kills(
    rng: random.Random, days: Sequence[Day], carriers: Sequence[Carrier], kills: int
) -> list[Day]:
    server, worker = round(kills * 0.25), round(kills * 0.12)
    of_server = _spread(rng, SERVER, server, len(days))
    of_worker = _spread(rng, WORKER, worker, len(days))
    of_devices = _device_kills(rng, days, carriers, kills - server - worker)
    return [
        Day(
            **{
                **day.__dict__,
                "device_kills": of_devices[day.number],
                "server_kills": [Kill(p, rng.randint(1, 4)) for p in of_server[day.number]],
                "worker_kills": [Kill(p, rng.randint(1, 4)) for p in of_worker[day.number]],
            }
        )
        for day in days
    ]


def _spread(rng: random.Random, points: Sequence[str], count: int, days: int) -> list[list[str]]:
    """Points in turn, each as often as the others, laid on the days by chance."""
    first = rng.randrange(len(points))
    drawn = [points[(first + i) % len(points)] for i in range(count)]
    rng.shuffle(drawn)
    return [drawn[day::days] for day in range(days)]


def _device_kills(
    rng: random.Random, days: Sequence[Day], carriers: Sequence[Carrier], count: int
) -> list[list[Kill]]:
    """Every step in turn, on a day and a handheld where it is passed."""
    laid: list[list[Kill]] = [[] for _ in days]
    order: list[str] = []
    while len(order) < count:
        order += rng.sample(STEPS, len(STEPS))
    pulled: set[int] = set()
    for drawn in order[:count]:
        # The first pull of everything ends once in a life; a pull before that end is repeated.
        spent = drawn == ONCE and len(pulled) == len(carriers)
        point = "full_pull.commit" if spent else drawn
        places = [
            (day.number, carrier.number)
            for day in days
            for carrier in carriers
            if _passes(point, day, carrier) and not (point == ONCE and carrier.number in pulled)
        ]
        number, victim = rng.choice(places)
        if point == ONCE:
            pulled.add(victim)
        nth = 1 if point in FIRST else rng.randint(1, 3)
        laid[number].append(Kill(point, nth, victim))
    return laid


def _passes(point: str, day: Day, carrier: Carrier) -> bool:
    if point in FIRST:
        return day.number == 0
    quiet = carrier.number in day.silent or carrier.number in day.old
    # A handheld that was shut out pulls no more; its place is taken by another.
    gone = carrier.profile == "revoked" and day.number >= 1
    return not ((quiet or gone) and point in (*PUSH, *PHOTO, *PULL))


def describe(plan: Plan) -> str:
    """The plan for people: the seed first, then who, what and how often."""
    size = f"{len(plan.carriers)} handhelds, {plan.stops} stops each, {len(plan.days)} days"
    lines = [f"seed {plan.seed}: {size}, {len(plan.kills)} kills"]
    for carrier in plan.carriers:
        faults = ", ".join(f"{name} {rate:.0%}" for name, rate in carrier.faults.items())
        lines.append(
            f"  {carrier.name} {carrier.profile}: signal {carrier.signal:.0%},"
            f" sync after {carrier.eager:.0%} of the captures; {faults}"
        )
    for day in plan.days:
        lines.append(f"  day {day.number + 1}: {'; '.join(_words(day)) or 'nothing special'}")
        for title, kills in (
            ("handhelds", day.device_kills),
            ("server", day.server_kills),
            ("worker", day.worker_kills),
        ):
            if kills:
                lines.append(f"    kills of {title}: {', '.join(map(_kill_words, kills))}")
    return "\n".join(lines)


def _kill_words(kill: Kill) -> str:
    who = "" if kill.victim is None else f"r{kill.victim:02d} "
    return f"{who}{kill.point}#{kill.nth}"


def _words(day: Day) -> Iterator[str]:
    if day.silent:
        yield f"silent: {', '.join(f'r{n:02d}' for n in sorted(day.silent))}"
    if day.rush:
        yield "everyone syncs at 17:00 only"
    if day.old:
        yield f"old protocol: {', '.join(f'r{n:02d}' for n in sorted(day.old))}"
    if day.revoke is not None:
        yield f"r{day.revoke:02d} is shut out and replaced"
    if day.reassign is not None:
        yield f"the route of r{day.reassign[0]:02d} goes to r{day.reassign[1]:02d}"
    if day.restore:
        yield "the server is restored from the morning's backup"
    if day.drops:
        yield f"the SMS centre drops its lines {day.drops} times"
