"""Installations and readings of the past: exchange, rollover, order of arrival, refusals."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal

from sqlalchemy import select, update

from server import clock
from server.accounts.models import Account, Installation, ServicePoint
from server.billing.models import Bill, TariffVersion
from server.db import snapshot, transaction
from server.metering.models import Consumption, Reading
from tests.imports.conftest import GOOD, Outcome, Write

Run = Callable[..., Outcome]
POINT = {"point_no": "M1"}


def uses() -> list[tuple[Decimal, str, str]]:
    """What was used at the first point: quantity, method, status; in the order of time."""
    with snapshot() as session:
        rows = session.execute(
            select(Consumption.quantity, Consumption.method, Consumption.status)
            .join(ServicePoint, ServicePoint.id == Consumption.service_point_id)
            .where(ServicePoint.point_no == "M1", Consumption.status != "superseded")
            .order_by(Consumption.to_at)
        )
        return [(quantity, method, status) for quantity, method, status in rows]


def reading(value: int, day: str, **more: str) -> dict[str, str]:
    return {
        "point_no": "M1",
        "meter_serial": "",
        "value": str(value),
        "read_at": day,
        "billed": "yes",
        **more,
    }


def test_history_is_settled_and_starts_with_the_initial_reading(run: Run) -> None:
    run()
    assert uses() == [(Decimal(150), "difference", "settled")] * 2


def test_readings_in_any_order_give_the_same_uses(run: Run, write: Write) -> None:
    write("readings.csv", [reading(400, "2026-03-01"), reading(250, "2026-02-01")])
    run()
    write("readings.csv", [reading(300, "2026-02-15")])
    assert run().problems == []
    assert [quantity for quantity, _, _ in uses()] == [150, 50, 100]


def test_a_dial_that_passes_zero_is_a_rollover(run: Run, write: Write) -> None:
    write("installations.csv", [{**GOOD["installations.csv"][0], "initial": "99800"}])
    write("readings.csv", [reading(200, "2026-02-01")])
    run()
    assert uses() == [(Decimal(400), "rollover", "settled")]


def test_a_reading_below_the_previous_one_is_refused(run: Run, write: Write) -> None:
    write("readings.csv", [reading(2500, "2026-02-01"), reading(1900, "2026-03-01")])
    outcome = run()
    assert outcome.codes == ["import.below_previous"]
    assert outcome.counts("readings.csv") == (1, 0, 0, 1)


def test_a_reading_above_the_next_one_is_refused(run: Run, write: Write) -> None:
    run()
    write("readings.csv", [reading(3900, "2026-02-15")])
    assert run().codes == ["import.above_next"]


def test_a_confirmed_reading_is_never_changed(run: Run, write: Write) -> None:
    run()
    write("readings.csv", [reading(251, "2026-02-01")])
    assert run().codes == ["import.reading_differs"]


def test_a_reading_before_one_that_was_billed_here_is_refused(run: Run, write: Write) -> None:
    write("readings.csv", [reading(250, "2026-02-01"), reading(400, "2026-03-01", billed="no")])
    run()
    _pretend_billed()
    write("readings.csv", [reading(300, "2026-02-15")])
    assert run().codes == ["import.before_billed"]


def _pretend_billed() -> None:
    """Give the open use a bill, as billing does."""
    with transaction() as session:
        version = session.scalars(select(TariffVersion.id)).first()
        bill = Bill(
            bill_no="1",
            account_id=session.scalar(select(Account.id).where(Account.account_no == "A1")),
            period="2026-03",
            period_from=date(2026, 2, 2),
            period_to=date(2026, 3, 1),
            status="issued",
            quantity=Decimal(150),
            total=Decimal(0),
            balance_after=Decimal(0),
            due=date(2026, 3, 16),
            issued_at=clock.now(),
            tariff_version_id=version,
        )
        session.add(bill)
        session.flush()
        session.execute(
            update(Consumption).where(Consumption.status == "active").values(bill_id=bill.id)
        )


def test_what_the_dial_cannot_show_is_refused(run: Run, write: Write) -> None:
    write(
        "readings.csv",
        [reading(123456, "2026-02-01"), {**reading(1, "2026-03-01"), "value": "260.5"}],
    )
    assert run().codes == ["import.digits"] * 2


def test_a_reading_of_the_future_is_refused(run: Run, write: Write) -> None:
    write("readings.csv", [reading(250, "2026-11-23")])
    assert run().codes == ["import.future"]


def test_a_reading_before_the_meter_hung_is_refused(run: Run, write: Write) -> None:
    write("readings.csv", [reading(50, "2025-12-31")])
    assert run().codes == ["import.not_installed"]


def test_a_reading_of_another_meter_is_refused(run: Run, write: Write) -> None:
    write("readings.csv", [reading(250, "2026-02-01", meter_serial="S2")])
    assert run().codes == ["import.not_installed"]


def test_an_exchange_counts_both_dials(run: Run, write: Write) -> None:
    run()
    write("meters.csv", [*GOOD["meters.csv"], {"serial": "S9", "registers": "total:5.0"}])
    old = {**GOOD["installations.csv"][0], "removed_at": "2026-04-01 10:00", "final": "460"}
    new = {
        "meter_serial": "S9",
        "point_no": "M1",
        "installed_at": "2026-04-01 10:00",
        "initial": "12",
        "removed_at": "",
        "final": "",
    }
    # The new meter stands first: the order of the file does not matter.
    write("installations.csv", [new, old])
    write("readings.csv", [reading(50, "2026-05-01")])
    assert run().problems == []
    assert [quantity for quantity, _, _ in uses()] == [150, 150, 60, 38]
    write("readings.csv", GOOD["readings.csv"])
    assert run().counts("installations.csv") == (0, 0, 2, 0)


def test_an_exchange_that_was_not_billed_waits_for_its_bill(run: Run, write: Write) -> None:
    run()
    old = GOOD["installations.csv"][0]
    write(
        "installations.csv",
        [{**old, "removed_at": "2026-04-01 10:00", "final": "460", "billed": "no"}],
    )
    assert run().counts("installations.csv") == (0, 1, 0, 0)
    assert uses()[-1] == (Decimal(60), "difference", "active")


def test_a_point_has_one_meter_at_a_time(run: Run, write: Write) -> None:
    run()
    write("meters.csv", [*GOOD["meters.csv"], {"serial": "S9", "registers": "total:5.0"}])
    row = GOOD["installations.csv"][0]
    write("installations.csv", [{**row, "meter_serial": "S9", "installed_at": "2026-05-01"}])
    assert run().codes == ["import.overlap"]


def test_a_meter_hangs_at_one_point_at_a_time(run: Run, write: Write) -> None:
    write(
        "installations.csv",
        [*GOOD["installations.csv"][:2], {**GOOD["installations.csv"][2], "meter_serial": "S2"}],
    )
    write("readings.csv", [reading(250, "2026-02-01")])
    assert run().codes == ["import.overlap"]


def test_the_multiplier_of_an_installation_cannot_change(run: Run, write: Write) -> None:
    run()
    write("installations.csv", [{**GOOD["installations.csv"][0], "multiplier": "40"}])
    assert run().codes == ["import.installation_differs"]


def test_the_multiplier_makes_dial_units_into_units_of_supply(run: Run, write: Write) -> None:
    write("installations.csv", [{**GOOD["installations.csv"][0], "multiplier": "40"}])
    write("readings.csv", [reading(250, "2026-02-01")])
    run()
    assert uses() == [(Decimal(6000), "difference", "settled")]


def test_the_dials_of_a_meter_cannot_change(run: Run, write: Write) -> None:
    run()
    write("meters.csv", [{"serial": "S1", "registers": "total:6.0"}])
    assert run().codes == ["import.registers_differ"]


def test_a_meter_that_was_taken_down_before_it_was_hung_is_refused(run: Run, write: Write) -> None:
    write("installations.csv", [{**GOOD["installations.csv"][0], "removed_at": "2025-01-01"}])
    write("readings.csv", [reading(250, "2026-02-01")])
    outcome = run()
    assert outcome.codes == ["import.period", "import.not_installed"]
    with snapshot() as session:
        assert session.scalars(select(Installation.id)).all() == []
        assert session.scalars(select(Reading.id)).all() == []
