"""`flask status` and `flask doctor` on both databases."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import insert, text

from config.settings import Settings
from server import clock, doctor, founding, review
from server.app import create_app
from server.db import db, transaction
from server.identity.actor import SYSTEM
from server.identity.models import Device
from server.identity.service import add_staff
from server.jobs import WorkerHeartbeat
from server.notify.service import Notice, enqueue, put_gateway

KEYS = {"captures", "review", "bills", "ledger", "messages", "devices", "worker", "database"}


@pytest.fixture
def founded(app: Flask) -> Flask:
    with app.app_context(), transaction() as session:
        founding.found(
            session,
            name="Acme",
            currency="CNY",
            time_zone="Asia/Shanghai",
            language="en",
            administrator=founding.Administrator("admin", "A", None, "x"),
        )
    return app


def status(app: Flask) -> dict[str, dict[str, object]]:
    ran = app.test_cli_runner().invoke(args=["status", "--json"])
    assert ran.exit_code == 0, ran.output
    found: dict[str, dict[str, object]] = json.loads(ran.output)
    return found


def test_an_empty_system_has_every_key_and_zeros(app: Flask) -> None:
    found = status(app)
    assert set(found) >= KEYS
    assert found["messages"]["delivered"] == 0
    assert found["captures"] == dict.fromkeys(
        ("applied", "held", "conflict", "rejected", "unreadable"), 0
    )
    assert found["ledger"]["balanced"] is True
    assert found["ledger"]["differences"] == 0
    assert found["worker"]["alive"] is False
    assert found["database"]["up_to_date"] is True


def test_messages_are_counted_by_state(founded: Flask) -> None:
    with founded.app_context(), transaction() as session:
        enqueue(
            session,
            [
                Notice("operator.text", f"k{n}", f"+861200000000{n}", "en", {"text": "Hello"})
                for n in range(3)
            ],
        )
        session.execute(text("UPDATE outbox_message SET status = 'delivered' WHERE key = 'k0'"))
    messages = status(founded)["messages"]
    assert (messages["queued"], messages["delivered"]) == (2, 1)


def test_review_items_are_counted_by_reason_with_their_age(founded: Flask) -> None:
    with founded.app_context(), transaction() as session:
        for key in ("a", "b"):
            review.raise_item(
                session,
                key=key,
                kind="reading",
                reason="reading.high",
                subject_type="reading",
                subject_id=1,
            )
    part = status(founded)["review"]
    assert part["open"] == 2
    assert part["reasons"]["reading.high"]["count"] == 2  # type: ignore[index]


def test_a_handheld_that_was_not_heard_of_is_silent(founded: Flask) -> None:
    with founded.app_context(), transaction() as session:
        rep = add_staff(
            session, SYSTEM, username="r", name="R", password_hash="x", roles=["meter_reader"]
        )
        for number, hours in enumerate((1, 30)):
            session.execute(
                insert(Device).values(
                    name=f"D{number}",
                    staff_id=rep.id,
                    status="active",
                    install_id=str(number),
                    token_hash=str(number),
                    receipt_prefix=str(number),
                    unsent=4,
                    last_contact_at=clock.now() - timedelta(hours=hours),
                )
            )
    devices = status(founded)["devices"]
    assert (devices["active"], devices["silent"], devices["unsent"]) == (2, 1, 8)
    assert devices["silent_names"] == ["D1"]


def test_a_worker_lives_as_long_as_it_says_so(founded: Flask) -> None:
    with founded.app_context(), transaction() as session:
        session.add(WorkerHeartbeat(name="w:1", started_at=clock.now(), seen_at=clock.now()))
    assert status(founded)["worker"]["alive"] is True
    clock.set(clock.now() + timedelta(minutes=2))
    assert status(founded)["worker"]["alive"] is False


def test_the_screen_fits_a_terminal(founded: Flask) -> None:
    ran = founded.test_cli_runner().invoke(args=["status"])
    assert ran.exit_code == 0, ran.output
    lines = ran.output.splitlines()
    assert lines[0] == "Acme"
    assert len(lines) <= 24
    for key in KEYS:
        assert any(line.strip().startswith(key) for line in lines), key


def test_a_database_without_tables_is_told_in_words(founded: Flask) -> None:
    with founded.app_context(), db.engine.begin() as connection:
        connection.execute(text("ALTER TABLE operator RENAME TO operator_away"))
    try:
        ran = founded.test_cli_runner().invoke(args=["status"])
    finally:
        with founded.app_context(), db.engine.begin() as connection:
            connection.execute(text("ALTER TABLE operator_away RENAME TO operator"))
    assert ran.exit_code == 1
    assert "database.unusable" in ran.output
    assert "Traceback" not in ran.output


# --- doctor -------------------------------------------------------------------------------


def examine(app: Flask, settings: Settings) -> dict[str, doctor.Finding]:
    with app.app_context():
        return {each.subject: each for each in doctor.examine(settings)}


def test_a_sound_installation_has_nothing_bad_but_its_surroundings(
    founded: Flask, settings: Settings
) -> None:
    own = create_app(settings)  # the tests' shared application does not wait for the disk
    found = examine(own, settings)
    for subject in ("python", "settings", "address", "var", "database", "tables", "operator"):
        assert found[subject].level == "ok", found[subject]
    assert found["worker"].level == "warn"
    assert found["gateway"].level == "warn"
    assert found["worker"].mend


def test_a_database_that_was_not_set_up_is_bad_and_says_what_to_do(
    app: Flask, settings: Settings
) -> None:
    found = examine(app, settings)
    assert found["operator"].level == "bad"
    assert "flask init" in found["operator"].words
    assert app.test_cli_runner().invoke(args=["doctor"]).exit_code == 1


def test_tables_of_another_version_are_bad(founded: Flask, settings: Settings) -> None:
    with founded.app_context(), db.engine.begin() as connection:
        kept = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        connection.execute(text("UPDATE alembic_version SET version_num = 'elsewhere'"))
    try:
        found = examine(founded, settings)
    finally:
        with founded.app_context(), db.engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :v"), {"v": kept})
    assert found["tables"].level == "bad"
    assert found["tables"].mend == "flask db upgrade"


def test_a_simulated_gateway_is_pointed_out_in_a_real_system(
    founded: Flask, settings: Settings
) -> None:
    with founded.app_context(), transaction() as session:
        put_gateway(session, "toy", "log", {}, simulated=True)
    found = examine(founded, settings)["gateway"]
    assert (found.level, found.words) == ("warn", "toy is simulated")


@pytest.mark.parametrize(
    ("changed", "subject", "level"),
    [
        ({"base_url": "https://f.example.com", "secure_cookies": True}, "address", "ok"),
        ({"base_url": "https://f.example.com"}, "address", "warn"),
        ({"base_url": "http://10.0.0.5:8000"}, "address", "warn"),
        ({"geocoder_url": "https://n.example.com"}, "geocoder", "warn"),
        (
            {"geocoder_url": "https://n.example.com", "geocoder_user_agent": "Acme a@b.cd"},
            "geocoder",
            "ok",
        ),
        ({"geocoder_url": "nominatim"}, "geocoder", "bad"),
    ],
)
def test_settings_that_do_not_fit_together_are_pointed_out(
    app: Flask, settings: Settings, changed: dict[str, object], subject: str, level: str
) -> None:
    values = {name: getattr(settings, name) for name in settings.__dataclass_fields__}
    assert examine(app, Settings(**{**values, **changed}))[subject].level == level


def test_a_secret_key_that_others_can_read_is_bad(app: Flask, settings: Settings) -> None:
    settings.var_dir.mkdir(exist_ok=True)
    kept = settings.var_dir / "secret_key"
    kept.write_text("k" * 64)
    kept.chmod(0o644)
    values = {name: getattr(settings, name) for name in settings.__dataclass_fields__}
    found = examine(app, Settings(**{**values, "secret_key": ""}))["secret key"]
    assert (found.level, found.mend) == ("bad", f"chmod 600 {kept}")


def test_packages_are_compared_with_their_pins() -> None:
    pins = "click==0.0.1  # old\nnot-a-package-at-all==1.0\n# a comment\n"
    wrong = list(doctor._wrong_packages(pins))
    assert [(name, wanted) for name, wanted, _ in wrong] == [
        ("click", "0.0.1"),
        ("not-a-package-at-all", "1.0"),
    ]
    assert wrong[1][2] is None
