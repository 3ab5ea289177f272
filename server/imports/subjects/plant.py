"""Files of plant: premises, the network, service points, meters."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update

from server import geo
from server.accounts.models import (
    NETWORK_KINDS,
    REGISTER_KINDS,
    SERVICE_POINT_STATUSES,
    Account,
    Meter,
    NetworkNode,
    Premise,
    Register,
    ServicePoint,
    ServicePointNode,
)
from server.db import Session, insert_rows
from server.imports import fields
from server.imports.store import ids_of, touch_points, upsert
from server.imports.subject import Chunk, Column, Row, Subject
from server.imports.subjects.people import levels

PREMISE_COLUMNS = (
    "address",
    "lat_e7",
    "lon_e7",
    "datum",
    "position_source",
    "position_confidence",
)
POINT_COLUMNS = ("premise_id", "account_id", "status", "location_hint", "hazards", "note")
NODE_COLUMNS = ("kind", "name", "parent_id")
METER_COLUMNS = ("maker", "model", "status")


def load_premises(session: Session, chunk: Chunk) -> None:
    """Store premises; a position is turned into WGS-84, one found earlier is never erased."""
    for row in chunk.rows:
        if (row["lat"] is None) != (row["lon"] is None):
            column = "lat" if row["lat"] is None else "lon"
            chunk.refuse(row, column, "import.position", "is missing: a position needs both")
    found = _positions(session, chunk)
    wanted = {
        row["premise_no"]: {
            "address": row["address"],
            **(_position(row) or found.get(row["premise_no"]) or _NOWHERE),
        }
        for row in chunk.rows
    }
    stored = upsert(session, chunk, Premise, wanted, key="premise_no", may_change=PREMISE_COLUMNS)
    if chunk.tally.changed:
        points = select(ServicePoint.id).where(ServicePoint.premise_id.in_(stored.fresh))
        touch_points(session, session.execute(points).scalars())


_NOWHERE = dict.fromkeys(PREMISE_COLUMNS[1:])


def _position(row: Row) -> dict[str, Any] | None:
    if row["lat"] is None:
        return None
    lat, lon = geo.e7_to_wgs84(row["datum"], row["lat"], row["lon"])
    return {
        "lat_e7": lat,
        "lon_e7": lon,
        "datum": row["datum"],
        "position_source": "import",
        "position_confidence": row["confidence"],
    }


def _positions(session: Session, chunk: Chunk) -> dict[str, dict[str, Any]]:
    """The positions premises have already, for rows that bring none."""
    numbers = sorted(row["premise_no"] for row in chunk.rows if row["lat"] is None)
    columns = [getattr(Premise, column) for column in ("premise_no", *PREMISE_COLUMNS[1:])]
    rows = session.execute(
        select(*columns).where(Premise.premise_no.in_(numbers), Premise.lat_e7.is_not(None))
    ).mappings()
    return {
        row["premise_no"]: {column: row[column] for column in PREMISE_COLUMNS[1:]} for row in rows
    }


def load_network_nodes(session: Session, chunk: Chunk) -> None:
    """Store the network tree; a parent stands above its children or is there already."""
    known = ids_of(session, NetworkNode, "code", chunk.values("parent"))
    for level in levels(chunk, "code", "parent", known, "network_node"):
        wanted = {
            row["code"]: {
                "kind": row["kind"],
                "name": row["name"],
                "parent_id": known.get(row["parent"]),
            }
            for row in level
        }
        known |= upsert(
            session, chunk, NetworkNode, wanted, key="code", may_change=NODE_COLUMNS
        ).ids


def load_service_points(session: Session, chunk: Chunk) -> None:
    """Store service points and their place in the network, which has a history."""
    premises = ids_of(session, Premise, "premise_no", chunk.values("premise_no"))
    accounts = ids_of(session, Account, "account_no", chunk.values("account_no"))
    nodes = ids_of(session, NetworkNode, "code", chunk.values("node"))
    chunk.require("premise_no", premises, "premise")
    chunk.require("account_no", accounts, "account")
    chunk.require("node", nodes, "network_node")
    wanted = {
        row["point_no"]: {
            "premise_id": premises[row["premise_no"]],
            "account_id": accounts[row["account_no"]],
            "status": row["status"],
            "location_hint": row["location_hint"],
            "hazards": row["hazards"],
            "note": row["note"],
        }
        for row in chunk.rows
    }
    stored = upsert(session, chunk, ServicePoint, wanted, key="point_no", may_change=POINT_COLUMNS)
    _hang(session, chunk, stored.ids, nodes)
    if chunk.tally.changed:
        touch_points(session, stored.fresh)


def _hang(session: Session, chunk: Chunk, ids: dict[Any, int], nodes: dict[Any, int]) -> None:
    """Hang points on their nodes; a point that moved keeps where it was until now."""
    rows = session.execute(
        select(ServicePointNode.service_point_id, ServicePointNode.node_id).where(
            ServicePointNode.service_point_id.in_(sorted(ids.values())),
            ServicePointNode.valid_to.is_(None),
        )
    )
    now_at = {point: node for point, node in rows}
    wanted = {
        ids[row["point_no"]]: (nodes[row["node"]], row["node_from"] or chunk.now)
        for row in chunk.rows
        if row["node"] is not None
    }
    moved = {point: to for point, to in wanted.items() if now_at.get(point) != to[0]}
    for point, (_, since) in moved.items():
        if point in now_at:
            session.execute(
                update(ServicePointNode)
                .where(
                    ServicePointNode.service_point_id == point, ServicePointNode.valid_to.is_(None)
                )
                .values(valid_to=since)
            )
    insert_rows(
        session,
        ServicePointNode,
        [
            {
                "created_at": chunk.now,
                "service_point_id": point,
                "node_id": node,
                "valid_from": since,
                "valid_to": None,
            }
            for point, (node, since) in moved.items()
        ],
    )


def load_meters(session: Session, chunk: Chunk) -> None:
    """Store meters with their dials; the dials of a known meter never change."""
    _refuse_other_dials(session, chunk)
    wanted = {
        row["serial"]: {column: row[column] for column in METER_COLUMNS} for row in chunk.rows
    }
    ids = upsert(session, chunk, Meter, wanted, key="serial", may_change=METER_COLUMNS).ids
    have = set(
        session.execute(
            select(Register.meter_id).where(Register.meter_id.in_(ids.values()))
        ).scalars()
    )
    insert_rows(
        session,
        Register,
        [
            {
                "created_at": chunk.now,
                "meter_id": ids[row["serial"]],
                "kind": spec.kind,
                "integer_digits": spec.integer_digits,
                "decimals": spec.decimals,
            }
            for row in chunk.rows
            if ids[row["serial"]] not in have
            for spec in row["registers"]
        ],
    )


def _refuse_other_dials(session: Session, chunk: Chunk) -> None:
    rows = session.execute(
        select(Meter.serial, Register.kind, Register.integer_digits, Register.decimals)
        .join(Register, Register.meter_id == Meter.id)
        .where(Meter.serial.in_(chunk.values("serial")))
    )
    known: dict[str, set[fields.RegisterSpec]] = {}
    for serial, kind, digits, decimals in rows:
        known.setdefault(serial, set()).add(fields.RegisterSpec(kind, digits, decimals))
    for row in chunk.rows:
        if set(row["registers"]) != known.get(row["serial"], set(row["registers"])):
            reason = "differ from those the meter has; readings stand on them"
            chunk.refuse(row, "registers", "import.registers_differ", reason)


PREMISES = Subject(
    "premises.csv",
    "Places of supply; those without a position are looked up where a geocoder is configured",
    (
        Column("premise_no", fields.text(40), "Number of the place.", "P00001", required=True),
        Column("address", fields.text(255), "Address.", "浙江中路262号101室", required=True),
        Column("lat", fields.degrees(90), "Latitude in degrees.", "31.2411657"),
        Column("lon", fields.degrees(180), "Longitude in degrees.", "121.4720954"),
        Column("datum", fields.choice(geo.CRS), "Datum of the position.", "wgs84", default="wgs84"),
        Column(
            "confidence", fields.choice(("good", "low")), "How sure it is.", "good", default="good"
        ),
    ),
    ("premise_no",),
    load_premises,
)

NETWORK_NODES = Subject(
    "network_nodes.csv",
    "The supply network as a tree: substation, feeder, switch, transformer",
    (
        Column("code", fields.text(40), "Code of the node.", "T111", required=True),
        Column("kind", fields.choice(NETWORK_KINDS), "What it is.", "transformer", required=True),
        Column("name", fields.text(120), "Name.", "城西1号公变", required=True),
        Column("parent", fields.text(40), "Code of the node above; above it in the file.", "F11"),
    ),
    ("code",),
    load_network_nodes,
)

SERVICE_POINTS = Subject(
    "service_points.csv",
    "Metered points: where a premise is supplied and which account pays",
    (
        Column("point_no", fields.text(40), "Number of the point.", "M00001", required=True),
        Column("premise_no", fields.text(40), "Where it is.", "P00001", required=True),
        Column("account_no", fields.text(40), "Who pays.", "100001", required=True),
        Column("node", fields.text(40), "The node it hangs on.", "T111"),
        Column("node_from", fields.instant, "Since when; now when empty.", "2024-01-01"),
        Column(
            "status", fields.choice(SERVICE_POINT_STATUSES), "State.", "active", default="active"
        ),
        Column("location_hint", fields.text(120), "Where to find the meter.", "一楼楼道电表箱"),
        Column("hazards", fields.text(120), "What to beware of.", "院内有狗"),
        Column("note", fields.text(255), "Note to the reader.", "先敲门"),
    ),
    ("point_no",),
    load_service_points,
)

METERS = Subject(
    "meters.csv",
    "Meters with their dials",
    (
        Column("serial", fields.text(40), "Serial number.", "DDS20140001", required=True),
        Column("maker", fields.text(80), "Maker.", "田铃仪表"),
        Column("model", fields.text(80), "Model.", "DDS"),
        Column("status", fields.text(16), "State.", "in_service", default="in_service"),
        Column(
            "registers",
            fields.registers(REGISTER_KINDS),
            "Dials as kind:digits.decimals, by semicolons.",
            "total:5.0",
            required=True,
        ),
    ),
    ("serial",),
    load_meters,
)
