"""The options of gateways: every mistake at once, secrets sealed at rest and never shown."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import orjson
import pytest
from flask import Flask
from sqlalchemy import select, update

from config.settings import BadSettings, Settings
from server.db import snapshot, transaction, whole
from server.errors import Conflict, Invalid
from server.notify import secrets, service
from server.notify.cli import notify_cli
from server.notify.gateways import kinds, options
from server.notify.gateways.options import option
from server.notify.gateways.smpp.config import SmppConfig
from server.notify.models import Gateway

SMPP = {"host": "smsc", "port": 2775, "system_id": "me", "password": "hush-hush"}


@dataclasses.dataclass(frozen=True)
class Sample:
    """A kind of gateway for these tests."""

    host: str = option("Where.", longest=10)
    key: str = option("Its key.", secret=True, default="")
    speed: int = option("How fast.", default=5, minimum=1, maximum=9)
    wait: float = option("How long.", default=1.5)
    loud: bool = option("Whether it speaks.", default=False)
    mode: str = option("How.", default="a", choices=("a", "b"))
    numbers: tuple[str, ...] = option("Which.", default=())

    def faults(self) -> list[str]:
        return ["loud needs mode b"] if self.loud and self.mode == "a" else []


def without_an_app(settings: Settings | None = None, secret_key: str = "k" * 32) -> Flask:
    app = Flask("bare")
    app.config["SECRET_KEY"] = secret_key
    app.extensions["fieldbell"] = settings or Settings()
    return app


def problems_of(data: Mapping[str, object]) -> str:
    with pytest.raises(Invalid) as refused:
        options.load(Sample, "g", data)
    assert refused.value.code == "notify.bad_gateway"
    return "; ".join(refused.value.details["problems"])


def test_every_mistake_of_a_configuration_is_told_at_once() -> None:
    wrong = {"key": 3, "speed": 12, "wait": -1, "loud": "yes", "mode": "c", "numbers": "1", "x": 1}
    assert set(problems_of(wrong).split("; ")) == {
        "host is missing",
        "key must be of type str",
        "speed must be 1 to 9",
        "wait must not be negative",
        "loud must be of type bool",
        "mode must be one of a, b",
        "numbers must be of type tuple[str, ...]",
        "x is not a setting",
    }


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"host": "far-too-long"}, "host has at most 10 characters"),
        ({"host": "h\x00"}, "host has characters that cannot be seen"),
        ({"host": "h", "speed": True}, "speed must be of type int"),
        ({"host": "h", "speed": None}, "speed is missing"),
        ({"host": "h", "loud": True}, "loud needs mode b"),
        ({"host": "h", "numbers": [1]}, "numbers must be a list of texts"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(data: dict[str, object], problem: str) -> None:
    assert problems_of(data) == problem


def test_a_form_says_the_same_as_json() -> None:
    form = {"host": " h ", "speed": "7", "wait": "2", "loud": "on", "mode": "b", "numbers": "1, 2"}
    said = options.from_form(Sample, form)
    assert options.load(Sample, "g", said) == Sample(
        host="h", speed=7, wait=2.0, loud=True, mode="b", numbers=("1", "2")
    )
    assert options.from_form(SmppConfig, {"statuses": "0x0b=transient"})["statuses"] == {
        "0x0b": "transient"
    }
    assert "speed must be of type int" in problems_of(
        options.from_form(Sample, {"host": "h", "speed": "fast"})
    )


def test_every_kind_explains_all_of_its_options() -> None:
    for kind in kinds.KINDS.values():
        assert kind.about.endswith(".")
        for told in options.described(kind.config):
            assert told.about.endswith("."), told.name
            assert not (told.secret and told.kind != "text")


def test_a_secret_is_sealed_and_opened_by_the_same_key_only() -> None:
    with without_an_app().app_context():
        kept = secrets.seal("hush-hush")
        assert "hush" not in kept
        assert secrets.unseal(kept) == "hush-hush"
        assert secrets.seal(kept) == kept
        assert secrets.unseal("of an old row") == "of an old row"
    with without_an_app(secret_key="other" * 8).app_context(), pytest.raises(Conflict) as refused:
        secrets.unseal(kept)
    assert refused.value.code == "notify.wrong_key"
    assert kept not in refused.value.message


def test_keys_are_changed_without_losing_a_secret() -> None:
    old, new = "o" * 32, "n" * 32
    with without_an_app().app_context():
        first = secrets.seal("hush-hush")
    with without_an_app(Settings(sealing_keys=old)).app_context():
        second = secrets.reseal(first)
    with without_an_app(Settings(sealing_keys=f"{new}, {old}")).app_context():
        third = secrets.reseal(second)
    with without_an_app(Settings(sealing_keys=new), secret_key="lost" * 8).app_context():
        assert secrets.unseal(third) == "hush-hush"
        with pytest.raises(Conflict):
            secrets.unseal(second)


def test_a_short_sealing_key_stops_the_start() -> None:
    with pytest.raises(BadSettings, match="SEALING_KEYS"):
        Settings.from_env({"FIELDBELL_SEALING_KEYS": "k" * 32 + ",short"})


def test_a_gateways_password_lies_sealed_in_its_row_and_an_empty_one_keeps_it(
    outbox: Flask,
) -> None:
    def config() -> dict[str, str]:
        with snapshot() as session:
            return dict(session.scalars(select(Gateway.config)).one())

    with transaction() as session:
        service.put_gateway(session, "carrier", "smpp", SMPP)
    kept = config()
    assert secrets.is_sealed(kept["password"])
    assert "hush" not in repr(kept)
    assert options.load(SmppConfig, "carrier", kept).password == "hush-hush"
    assert "hush" not in repr(options.load(SmppConfig, "carrier", kept))
    assert kinds.shown("smpp", kept)["password"] == "…"

    with transaction() as session:
        service.put_gateway(session, "carrier", "smpp", SMPP)
        service.put_gateway(session, "carrier", "smpp", {**SMPP, "password": ""})
    assert config() == kept

    with transaction() as session:
        session.execute(update(Gateway).values(config={**SMPP, "password": "of an old row"}))
    with transaction() as session:
        assert service.reseal_gateways(session) == 1
    assert options.load(SmppConfig, "carrier", config()).password == "of an old row"
    assert secrets.is_sealed(config()["password"])


def test_a_backup_takes_a_secret_only_as_it_is_stored(outbox: Flask) -> None:
    with transaction() as session:
        service.put_gateway(session, "carrier", "smpp", SMPP)
    with whole.frozen() as session:
        rows = b"".join(
            line
            for table in whole.tables()
            if table.name == "gateway"
            for line in whole.read_lines(session, table)
        )
    assert b"sealed:" in rows
    assert b"hush-hush" not in rows


def test_the_options_of_a_gateway_may_come_from_a_file(outbox: Flask, tmp_path: Path) -> None:
    file = tmp_path / "carrier.json"
    file.write_bytes(orjson.dumps(SMPP))
    run = outbox.test_cli_runner().invoke
    assert run(notify_cli, ["gateway", "carrier", "--config", f"@{file}"]).exit_code == 0
    with snapshot() as session:
        kept = session.scalars(select(Gateway.config)).one()
    assert options.load(SmppConfig, "carrier", kept).password == "hush-hush"
    wrong = run(notify_cli, ["gateway", "carrier", "--config", "@/nowhere"])
    assert (wrong.exit_code, "--config must be" in wrong.output) == (2, True)
