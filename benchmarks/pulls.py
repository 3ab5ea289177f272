"""Pulling: the first pull of a large round, and what changed since, beside a long history."""

from __future__ import annotations

import gzip
import http.client
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import select, update

from benchmarks import plant, web
from benchmarks.databases import Databases, application, migrate
from benchmarks.figures import Figure, Sheet, machine, percentile
from benchmarks.options import Options
from server import feed
from server.db import insert_rows, transaction
from server.feed import FeedEntry, FeedScope
from server.identity.models import Device
from server.metering.models import ReadOrder
from server.rounds.models import Route

ORIGINAL = "pulled"
# The largest page there is: who has everything before him asks for it.
PAGE = 5000
CHANGED = 100
CHUNK = 50_000


@dataclass(frozen=True)
class Pulled:
    """What one device read from its beginning: documents, seconds, of the web's processor too, octets."""

    documents: int
    seconds: float
    processor: float
    octets: int
    checkpoint: str


def pulls(options: Options, databases: Databases) -> list[Figure]:
    """Measure the first pull and the delta on one kind of database."""
    state = machine()
    token, route_id = _fill(options, databases)
    first: list[Pulled] = []
    memory: list[float] = []
    deltas: list[float] = []
    for number in range(1, options.rounds + 1):
        url = databases.copy(ORIGINAL, "round")
        with web.processes(url, options.folder, 1, options.threads) as running:
            _page(running.port, token, None, 10)
            first.append(_first(running, token))
            memory.append(_peak_mib(running.parent))
            deltas += _deltas(options, url, running.port, token, route_id, first[-1].checkpoint)
        databases.drop("round")
        options.say(
            f"{databases.kind} round {number}: {first[-1].documents} documents in"
            f" {first[-1].seconds:.2f} s ({first[-1].processor:.2f} s of the web's processor),"
            f" {memory[-1]:.0f} MiB"
        )
    databases.drop(ORIGINAL)
    parameters = {
        "documents": first[0].documents,
        "page": PAGE,
        "mib_on_the_wire": round(first[0].octets / 2**20, 1),
        "feed_entries": options.feed_entries,
        "changed": CHANGED,
        "database": databases.describe(),
    }
    figure = Sheet(databases.kind, parameters, state).figure
    return [
        figure("first_pull", [pulled.seconds for pulled in first], "s"),
        figure("first_pull.web_processor", [pulled.processor for pulled in first], "s"),
        figure("first_pull.web_memory", memory, "MiB"),
        figure("delta_pull.p50", [1000 * percentile(deltas, 0.5)], "ms"),
        figure("delta_pull.p95", [1000 * percentile(deltas, 0.95)], "ms"),
    ]


def _fill(options: Options, databases: Databases) -> tuple[str, int]:
    """A plant whose routes all belong to one rep, and a feed with a long history beside it."""
    options.say(f"{databases.kind}: filling a database with {options.points} points")
    url = databases.create(ORIGINAL)
    migrate(url, options.folder)
    with application(url, options.folder):
        handheld = plant.build(options.points)[0]
        with transaction() as session:
            staff_id = session.get_one(Device, handheld.device_id).staff_id
            session.execute(update(Route).values(reader_id=staff_id))
            route_id = session.execute(select(Route.id).order_by(Route.id)).scalars().first()
        _history(options.feed_entries)
    databases.settle(ORIGINAL)
    return handheld.token, route_id or 0


def _history(entries: int) -> None:
    """Entries of scopes that this device does not see."""
    for start in range(0, entries, CHUNK):
        scope = f"van:{start // CHUNK}"
        count = min(CHUNK, entries - start)
        with transaction() as session:
            insert_rows(session, FeedScope, [{"scope": scope, "seq": count}])
            insert_rows(
                session,
                FeedEntry,
                [
                    {
                        "scope": scope,
                        "collection": "price",
                        "document_id": str(n),
                        "seq": n,
                        "deleted": False,
                    }
                    for n in range(1, count + 1)
                ],
            )


def _first(running: web.Web, token: str) -> Pulled:
    documents, octets, checkpoint = 0, 0, None
    began, used = time.perf_counter(), running.cpu_seconds()
    while True:
        page, size = _page(running.port, token, checkpoint, PAGE)
        documents += len(page["documents"])
        octets += size
        checkpoint = page["checkpoint"]
        if not page["more"]:
            seconds, used = time.perf_counter() - began, running.cpu_seconds() - used
            return Pulled(documents, seconds, used, octets, checkpoint)


def _deltas(
    options: Options, url: str, port: int, token: str, route_id: int, checkpoint: str
) -> list[float]:
    """Change some documents again and again; the seconds of each pull that brings them."""
    seconds = []
    with application(url, options.folder):
        for _ in range(options.deltas):
            with transaction() as session:
                ids = session.scalars(
                    select(ReadOrder.id).where(ReadOrder.route_id == route_id).limit(CHANGED)
                )
                feed.touch_many(session, "read_order", [(f"route:{route_id}", n) for n in ids])
            began = time.perf_counter()
            page, _ = _page(port, token, checkpoint, PAGE)
            seconds.append(time.perf_counter() - began)
            if len(page["documents"]) != min(CHANGED, plant.WALK, options.points):
                raise AssertionError(f"{len(page['documents'])} documents instead of the changed")
            checkpoint = page["checkpoint"]
    return seconds


def _page(port: int, token: str, checkpoint: str | None, limit: int) -> tuple[dict[str, Any], int]:
    """One page as a device reads it, on a connection of its own."""
    query = f"?limit={limit}" + (f"&checkpoint={checkpoint}" if checkpoint else "")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "gzip"}
    connection.request("GET", f"/device/v1/pull{query}", headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200:
        raise AssertionError(f"a pull was answered {answer.status}: {body[:200]!r}")
    size = len(body)
    if answer.headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    page: dict[str, Any] = orjson.loads(body)
    return page, size


def _peak_mib(parent: int) -> float:
    """The most memory any of the web processes has held; 0 where the system does not tell."""
    children = Path(f"/proc/{parent}/task/{parent}/children")
    if not children.exists():
        return 0.0
    return max(map(_high_water, children.read_text().split()), default=0.0)


def _high_water(process: str) -> float:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0
