"""Settling readings in a system with years behind it, beside one that is new."""

from __future__ import annotations

from string import Template

from benchmarks import books, web
from benchmarks.databases import Databases, application
from benchmarks.figures import Figure, machine, median
from benchmarks.options import Options
from benchmarks.pushes import send
from benchmarks.settled import ORIGINAL, Plan, begin, fill

LONG = "long"


def settled_with_history(options: Options, databases: Databases) -> list[Figure]:
    """Measure the same pushes on a new system and on one with a history, in turn.

    Raises:
        books.Wrong: when the books of a round do not agree with what was sent.
        pushes.NotSettled: when a push was not settled whole.
    """
    state = machine()
    plan = Plan(fill(options, databases), options)
    begin(options, databases, plan)
    before = {ORIGINAL: _books(options, databases, ORIGINAL)}
    options.say(f"{databases.kind}: adding {options.stored} readings and {options.unsent} texts")
    databases.copy(ORIGINAL, LONG)
    _add_history(options, databases)
    databases.settle(LONG)
    before[LONG] = _books(options, databases, LONG)
    rates: dict[str, list[float]] = {ORIGINAL: [], LONG: []}
    for number in range(1, options.rounds + 1):
        for original, found in rates.items():
            found.append(_round(options, databases, plan, original, before[original]))
        told = ", ".join(f"{name} {found[-1]:.0f}/s" for name, found in rates.items())
        options.say(f"{databases.kind} round {number}: {told}")
    databases.drop(LONG)
    databases.drop(ORIGINAL)
    shares = [long / new for new, long in zip(rates[ORIGINAL], rates[LONG], strict=True)]
    parameters = {
        "points": options.points,
        "stored_readings": before[LONG].readings,
        "unsent_texts": before[LONG].messages,
        "connections": options.connections,
        "batch": options.batch,
        "workers": options.workers,
        "threads": options.threads,
        "database": databases.describe(),
    }
    return [
        Figure(
            "settled_with_history",
            databases.kind,
            median([round(rate, 1) for rate in rates[LONG]]),
            "readings/s",
            "more",
            ratio={"of_a_new_system": round(median(shares), 3)},
            rounds=[round(rate, 1) for rate in rates[LONG]],
            parameters=parameters,
            machine=state,
        )
    ]


def _books(options: Options, databases: Databases, name: str) -> books.Books:
    with application(databases.address(name), options.folder):
        return books.read()


def _round(
    options: Options, databases: Databases, plan: Plan, original: str, before: books.Books
) -> float:
    url = databases.copy(original, "round")
    with web.processes(url, options.folder, options.workers, options.threads) as running:
        warm = send(running.port, plan.warm, options.connections)
        many = send(running.port, plan.main, options.connections, options.seconds)
    with application(url, options.folder):
        books.check(books.read(), warm.settled + many.settled, before)
    databases.drop("round")
    return many.settled / many.wall


# --- the history --------------------------------------------------------------------------


def _add_history(options: Options, databases: Databases) -> None:
    """Give every point so many earlier months that there are ``stored`` readings; queue texts.

    Month by month, the oldest first, as years of use would have written them; by the database
    itself, since millions of rows through the application took longer than what is measured.
    """
    months = -(-options.stored // options.points)
    words = {
        **databases.words,
        "months": str(months),
        "unsent": str(options.unsent),
        "at": databases.words["months_before"].format(time="p.read_at", months="m.month"),
        "later": databases.words["months_before"].format(time="p.read_at", months="(m.month - 1)"),
        "text": "【测试电力】您的电费账单已出,请按时缴纳。",
    }
    script = [Template(statement).substitute(words) for statement in (*_STAGE, *_HISTORY)]
    databases.write(LONG, script, ("reading", "consumption"))


# One row for each point, for each month back, and for each text.
_STAGE = (
    """
    CREATE TEMPORARY TABLE history_point AS
    SELECT row_number() OVER (ORDER BY s.id) - 1 AS n, s.id AS point_id, i.id AS installation_id,
        r.register_id, r.id AS reading_id, r.read_at, r.value, r.meter_serial, s.account_id,
        r.value / 1000000 / ($months + 1) * 1000000 AS step,
        c.id AS contact_id, c.phone, d.id AS device_id, d.staff_id
    FROM reading AS r
    JOIN service_point AS s ON s.id = r.service_point_id
    JOIN installation AS i ON i.id = r.installation_id
    JOIN account AS a ON a.id = s.account_id
    JOIN contact AS c ON c.customer_id = a.customer_id
    JOIN route_stop AS t ON t.kind = 'service_point' AND t.subject_id = s.id
    JOIN route AS o ON o.id = t.route_id
    JOIN device AS d ON d.staff_id = o.reader_id
    WHERE r.source = 'import'
    """,
    """
    CREATE TEMPORARY TABLE history_month AS
    WITH RECURSIVE m (month) AS (SELECT 1 UNION ALL SELECT month + 1 FROM m WHERE month < $months)
    SELECT month FROM m
    """,
    """
    CREATE TEMPORARY TABLE history_text AS
    WITH RECURSIVE t (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM t WHERE n < $unsent - 1)
    SELECT n FROM t WHERE n < $unsent
    """,
    """
    CREATE TEMPORARY TABLE history AS
    SELECT row_number() OVER (ORDER BY m.month DESC, p.n) AS k, p.*, m.month, $at AS at, $later AS later,
        CASE m.month WHEN 1 THEN p.reading_id END AS later_id, x.points, x.reading_base, x.use_base
    FROM history_point AS p CROSS JOIN history_month AS m CROSS JOIN (
        SELECT (SELECT count(*) FROM history_point) AS points,
            (SELECT max(id) FROM reading) AS reading_base,
            (SELECT coalesce(max(id), 0) FROM consumption) AS use_base
    ) AS x
    """,
)
# A reading has the number of its row after those that were there; the next month's is a round later.
_HISTORY = (
    """
    INSERT INTO capture_event (created_at, uuid, device_id, staff_id, type, captured_at,
        received_at, payload, payload_hash, verdict)
    SELECT at, CAST($hex AS $uuid), device_id, staff_id, 'meter_reading.v1', at, at,
        CAST('{"data":{"service_point":' || point_id || ',"meter_serial":"' || meter_serial || '"}}'
            AS $json),
        $hex || $hex, 'applied'
    FROM history ORDER BY k
    """,
    """
    INSERT INTO reading (id, created_at, service_point_id, installation_id, register_id,
        register_kind, meter_serial, value, read_at, quality, reason, source, status,
        capture_uuid, staff_id, confirmed_at)
    SELECT reading_base + k, at, point_id, installation_id, register_id,
        'total', meter_serial, value - month * step, at, 'regular', '01', 'device', 'confirmed',
        CAST($hex AS $uuid), staff_id, at
    FROM history ORDER BY k
    """,
    """
    INSERT INTO consumption (id, created_at, service_point_id, account_id, register_kind,
        reading_id, previous_reading_id, from_at, to_at, quantity, method, status)
    SELECT use_base + k, at, point_id, account_id, 'total',
        coalesce(later_id, reading_base + k + points), reading_base + k, at, later, step,
        'difference', 'settled'
    FROM history ORDER BY k
    """,
    """
    INSERT INTO outbox_message (created_at, status_at, key, phone, contact_id, event, category,
        priority, delivery, language, text, segments, status, attempts, copies, possible_duplicate)
    SELECT p.read_at, p.read_at, 'history:' || t.n, p.phone, p.contact_id, 'bill.issued', 'bill',
        50, 'at_least_once', 'zh_Hans', '$text', 1, 'queued', 0, 0, FALSE
    FROM history_text AS t
    JOIN history_point AS p ON p.n = t.n % (SELECT count(*) FROM history_point)
    ORDER BY t.n
    """,
)
