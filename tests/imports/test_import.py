"""Whole imports on both databases: good rows, bad rows, second runs, encodings."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select

from scripts import import_docs
from server import geo
from server.accounts.models import (
    Account,
    Contact,
    Customer,
    Installation,
    Meter,
    NetworkNode,
    Premise,
    ServicePoint,
)
from server.audit import AuditEvent
from server.billing.models import AccountBalance, UsageYear
from server.billing.service import reconcile
from server.db import snapshot
from server.errors import Invalid
from server.feed import FeedEntry, FeedScope
from server.identity.models import Staff
from server.imports.catalogue import SUBJECTS
from server.imports.report import Problem
from server.metering.models import Consumption, Reading
from server.rounds.models import RouteStop
from tests.imports.conftest import GOOD, Outcome, Write, write_csv

Run = Callable[..., Outcome]


def everything() -> dict[str, int]:
    """How many rows each table of an import has, and how far the feed is."""
    models = (Customer, Contact, Account, Premise, ServicePoint, Meter, Installation, RouteStop)
    with snapshot() as session:
        found = {
            model.__tablename__: session.scalar(select(func.count()).select_from(model)) or 0
            for model in (*models, Reading, Consumption, Staff, AccountBalance, UsageYear)
        }
        found["feed"] = session.scalar(select(func.sum(FeedScope.seq))) or 0
    return found


def test_a_good_folder_comes_in_whole(run: Run) -> None:
    outcome = run()
    assert outcome.problems == []
    for subject in SUBJECTS:
        assert outcome.counts(subject.file) == (len(GOOD[subject.file]), 0, 0, 0), subject.file
    with snapshot() as session:
        balance = session.scalars(select(AccountBalance.balance)).all()
        assert balance == [Decimal("-12.30")] * 3
        year = session.execute(select(UsageYear.year, UsageYear.quantity)).first()
        assert year == (2026, Decimal(1500))
        assert reconcile(session) == []


def test_a_second_run_changes_nothing(run: Run) -> None:
    run()
    before = everything()
    outcome = run()
    assert outcome.problems == []
    for subject in SUBJECTS:
        assert outcome.counts(subject.file) == (0, 0, len(GOOD[subject.file]), 0), subject.file
    assert everything() == before


def test_a_dry_run_keeps_nothing_and_finds_the_same_mistakes(run: Run, write: Write) -> None:
    accounts = [dict(row) for row in GOOD["accounts.csv"]]
    accounts[1]["customer_no"] = "C9"
    write("accounts.csv", accounts)
    before = everything()
    assert run(dry_run=True).codes == [
        "import.unknown_customer",
        "import.unknown_account",
        "import.unknown_service_point",
        "import.unknown_service_point",
        "import.unknown_service_point",
        "import.unknown_service_point",
    ]
    assert everything() == before


def test_a_bad_row_in_the_middle_is_reported_and_its_neighbours_go_through(
    run: Run, write: Write
) -> None:
    premises = [dict(row) for row in GOOD["premises.csv"]]
    premises[1]["lat"] = "91"
    write("premises.csv", premises)
    outcome = run()
    assert outcome.problems[0] == Problem(
        "premises.csv", 3, "lat", "import.range", "must be between -90 and 90", "91"
    )
    assert outcome.counts("premises.csv") == (2, 0, 0, 1)
    assert outcome.counts("service_points.csv") == (2, 0, 0, 1)
    assert outcome.report.bad == 1 + 1 + 1 + 1 + 2


def test_every_mistake_of_a_row_is_told_at_once(run: Run, write: Write) -> None:
    write(
        "contacts.csv",
        [{"customer_no": "", "name": "x" * 121, "phone": "none", "email": "no", "language": "fr"}],
    )
    assert run().codes == [
        "import.missing",
        "import.too_long",
        "import.phone",
        "import.email",
        "import.choice",
    ]


def test_a_nul_is_refused_and_never_reaches_the_database(run: Run, write: Write) -> None:
    write("customers.csv", [*GOOD["customers.csv"], {"customer_no": "C4", "name": "a\0b"}])
    outcome = run()
    assert outcome.codes == ["import.nul"]
    assert outcome.counts("customers.csv") == (3, 0, 0, 1)


def test_a_row_that_stands_twice_is_taken_once(run: Run, write: Write) -> None:
    write("customers.csv", [*GOOD["customers.csv"], {"customer_no": "C1", "name": "Another"}])
    outcome = run()
    assert outcome.codes == ["import.twice"]
    assert "line 2" in outcome.said[0]
    with snapshot() as session:
        assert session.scalar(select(Customer.name).where(Customer.customer_no == "C1")) == "客户 1"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_it_reads_what_spreadsheets_write(run: Run, folder: Path, encoding: str) -> None:
    write_csv(folder / "customers.csv", GOOD["customers.csv"], encoding)
    assert run().problems == []
    with snapshot() as session:
        assert session.scalar(select(Customer.name).where(Customer.customer_no == "C2")) == "客户 2"


def test_a_file_in_another_encoding_is_refused_whole(run: Run, folder: Path) -> None:
    (folder / "customers.csv").write_bytes(b"customer_no,name\nC1,\xff\xff\n")
    outcome = run()
    assert outcome.codes[0] == "import.encoding"
    assert outcome.report.tallies["customers.csv"].added == 0


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("customer_no,name,nmae", "import.unknown_column"),
        ("customer_no,customer_class", "import.missing_column"),
        ("customer_no,name,name", "import.column_twice"),
    ],
)
def test_a_wrong_header_stops_its_file_before_anything_is_read(
    run: Run, folder: Path, header: str, code: str
) -> None:
    (folder / "customers.csv").write_text(f"{header}\nC1,A,B\n", encoding="utf-8")
    outcome = run()
    assert outcome.codes[0] == code
    assert outcome.report.tallies["customers.csv"].rows == 0


def test_names_of_columns_are_read_however_they_are_written(run: Run, folder: Path) -> None:
    text = "Customer No, NAME\nC1,A\nC2,B\nC3,C\n"
    (folder / "customers.csv").write_text(text, encoding="utf-8")
    assert run().problems == []


def test_a_quote_that_never_ends_is_told_with_its_line(run: Run, folder: Path) -> None:
    (folder / "customers.csv").write_text('customer_no,name\nC1,A\nC2,"B\n', encoding="utf-8")
    outcome = run()
    assert outcome.codes[0] == "import.csv"
    assert outcome.problems[0].line == 3


def test_a_row_with_more_cells_than_the_header_is_refused(run: Run, folder: Path) -> None:
    (folder / "customers.csv").write_text(
        "customer_no,name\nC1,A,B\nC2,B\nC3,C\n", encoding="utf-8"
    )
    outcome = run()
    assert outcome.codes[0] == "import.cells"
    assert outcome.counts("customers.csv") == (2, 0, 0, 1)


def test_a_changed_row_is_updated_audited_and_told_to_the_handhelds(run: Run, write: Write) -> None:
    run()
    customers = [dict(row) for row in GOOD["customers.csv"]]
    customers[2]["name"] = "新名字"
    write("customers.csv", customers)
    outcome = run()
    assert outcome.counts("customers.csv") == (0, 1, 2, 0)
    with snapshot() as session:
        event = session.scalars(
            select(AuditEvent).where(AuditEvent.action == "import.changed")
        ).one()
        assert (event.before, event.after) == ({"name": "客户 3"}, {"name": "新名字"})
        point = session.scalar(select(ServicePoint.id).where(ServicePoint.point_no == "M3"))
        entries = session.scalars(
            select(FeedEntry.document_id)
            .where(FeedEntry.collection == "service_point")
            .order_by(FeedEntry.seq.desc())
        )
        assert next(iter(entries)) == str(point)


def test_an_opening_balance_is_posted_once_and_never_changed(run: Run, write: Write) -> None:
    run()
    accounts = [dict(row) for row in GOOD["accounts.csv"]]
    accounts[0]["opening_balance"] = "50"
    write("accounts.csv", accounts)
    outcome = run()
    assert outcome.codes == ["import.opening_posted"]
    with snapshot() as session:
        assert set(session.scalars(select(AccountBalance.balance))) == {Decimal("-12.30")}


def test_a_position_is_turned_into_wgs84_once(run: Run, write: Write) -> None:
    rows = [{**row, "datum": "gcj02"} for row in GOOD["premises.csv"]]
    write("premises.csv", rows)
    run()
    run()
    expected = geo.e7_to_wgs84("gcj02", 312_410_000, 1_214_700_000)
    with snapshot() as session:
        found = session.execute(
            select(Premise.lat_e7, Premise.lon_e7, Premise.datum).where(Premise.premise_no == "P1")
        ).one()
    assert found == (*expected, "gcj02")


def test_half_a_position_is_refused(run: Run, write: Write) -> None:
    write("premises.csv", [{**row, "lon": ""} for row in GOOD["premises.csv"]])
    assert run().codes[:3] == ["import.position"] * 3


def test_a_position_that_was_found_is_not_erased_by_a_row_without_one(
    run: Run, write: Write
) -> None:
    run()
    write("premises.csv", [{**row, "lat": "", "lon": ""} for row in GOOD["premises.csv"]])
    assert run().counts("premises.csv") == (0, 0, 3, 0)


def test_a_child_may_stand_above_its_parent_in_the_same_chunk(run: Run, write: Write) -> None:
    write("network_nodes.csv", GOOD["network_nodes.csv"][::-1])
    assert run().problems == []
    with snapshot() as session:
        parent = select(NetworkNode.id).where(NetworkNode.code == "S1").scalar_subquery()
        child = select(NetworkNode.code).where(NetworkNode.parent_id == parent)
        assert session.scalars(child).all() == ["T1"]


def test_nodes_that_are_each_others_parents_are_refused(run: Run, write: Write) -> None:
    write(
        "network_nodes.csv",
        [
            *GOOD["network_nodes.csv"],
            {"code": "X", "kind": "feeder", "name": "X", "parent": "Y"},
            {"code": "Y", "kind": "feeder", "name": "Y", "parent": "X"},
        ],
    )
    assert run().codes == ["import.unknown_network_node"] * 2


def test_a_stop_that_moves_leaves_the_route_it_was_on(run: Run, write: Write) -> None:
    write("routes.csv", [*GOOD["routes.csv"], {**GOOD["routes.csv"][0], "book_no": "B2"}])
    run()
    stops = [dict(row) for row in GOOD["route_stops.csv"]]
    stops[0]["book_no"] = "B2"
    write("route_stops.csv", stops)
    assert run().counts("route_stops.csv") == (0, 1, 2, 0)
    with snapshot() as session:
        gone = session.scalars(select(FeedEntry).where(FeedEntry.deleted)).all()
        assert [entry.collection for entry in gone] == ["service_point"]


def test_mistakes_of_a_tariff_are_listed_with_their_place(run: Run, folder: Path) -> None:
    file = folder / "tariffs" / "zhejiang-residential.yaml"
    file.write_text(
        file.read_text("utf-8").replace("price: 0.588", "price: free"), encoding="utf-8"
    )
    outcome = run()
    assert outcome.problems[0].file == "tariffs/zhejiang-residential.yaml"
    assert outcome.problems[0].column == "components[0].tiers[1].price"
    assert "import.unknown_tariff" in outcome.codes


def test_a_folder_without_a_known_file_is_no_import(run: Run, folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    with pytest.raises(Invalid) as refused:
        run()
    assert refused.value.code == "import.nothing"


def test_an_unknown_file_is_pointed_out_and_left_alone(run: Run, folder: Path) -> None:
    (folder / "custmers.csv").write_text("a\n", encoding="utf-8")
    outcome = run()
    assert outcome.codes == ["import.unknown_file"]
    assert outcome.report.bad == 0


def test_the_command_exits_with_1_and_writes_every_bad_row_to_the_report(
    founded: Flask, folder: Path, write: Write, tmp_path: Path
) -> None:
    write("customers.csv", [*GOOD["customers.csv"], {"customer_no": "", "name": "B"}])
    report = tmp_path / "bad.csv"
    ran = founded.test_cli_runner().invoke(args=["import", str(folder), "--report", str(report)])
    assert ran.exit_code == 1
    assert "customers.csv:5: error: customer_no is empty" in ran.output
    lines = report.read_text("utf-8").splitlines()
    assert lines[0] == "file,line,column,code,reason,value,severity"
    assert lines[1].startswith("customers.csv,5,customer_no,import.missing,")


def test_the_examples_of_the_documentation_can_be_imported(
    run: Run, write: Write, folder: Path
) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    shipped = Path(import_docs.__file__).parent.parent / "server/billing/tariffs"
    (folder / "tariffs").mkdir()
    shutil.copy(shipped / "zhejiang-residential.yaml", folder / "tariffs")
    for subject in SUBJECTS:
        write(subject.file, [{column.name: column.example for column in subject.columns}])
    feeder = {"code": "F11", "kind": "feeder", "name": "F", "parent": ""}
    example = {
        c.name: c.example for s in SUBJECTS if s.file == "network_nodes.csv" for c in s.columns
    }
    write("network_nodes.csv", [feeder, example])
    assert run().problems == []


def test_the_documentation_describes_every_file_and_column() -> None:
    page = import_docs.PAGE.read_text(encoding="utf-8")
    assert import_docs.with_columns(page) == page


def test_the_documentation_names_every_code() -> None:
    page = import_docs.PAGE.read_text(encoding="utf-8")
    source = Path(import_docs.__file__).parent.parent / "server" / "imports"
    codes: set[str] = set()
    for file in source.rglob("*.py"):
        codes |= set(re.findall(r'"(import\.[a-z_]+)"', file.read_text(encoding="utf-8")))
    audit_actions = {"import.changed", "import.file"}
    named = {code for code in codes if f"`{code}`" in page}
    named |= {code for code in codes if code.startswith("import.unknown_")}
    missing = codes - audit_actions - named
    assert len(codes) > 30
    assert "`import.unknown_…`" in page
    assert not missing
