"""Backups: one file from which either database rises again, or nothing is touched."""

from __future__ import annotations

import json
import shutil
import tarfile
import threading
from datetime import datetime
from pathlib import Path

import orjson
import pytest
from sqlalchemy import select, text, update

from config.settings import Settings
from server import blobs, clock
from server.app import create_app
from server.backup import archive
from server.backup.create import create
from server.backup.restore import restore
from server.blobs import Blob
from server.capture.models import Attachment, CaptureEvent
from server.db import db, snapshot, transaction, whole
from server.errors import Conflict, DomainError, Invalid
from server.identity.models import Device, OrgUnit
from server.jobs import WorkerHeartbeat
from server.operator import Operator
from tests import world as worlds
from tests.conftest import SECRET_KEY
from tests.sync.test_attachments import Uploader, picture, promise, sha

PHOTO = picture()
PAGE = b"<html>no photo</html>"


@pytest.fixture
def world(app):
    """A system with readings, bills, a photo, something in quarantine and something held."""
    made = worlds.build(app, points=4)
    handheld = Uploader(app, made.token)
    odd = {"note": "“改装” \\x00ff é \u2028", "n": 1.5, "big": 2**62, "none": None, "list": [1, {}]}
    handheld.push(
        worlds.reading(made.points[0], 1200, 1, attachments=[promise(PHOTO)], extra=odd),
        worlds.reading(made.points[1], 1300, 2, attachments=[promise(PAGE)]),
        worlds.reading(made.points[2], 10, 3),
        {"no": "item"},
    )
    handheld.send_file(PHOTO)
    handheld.send_file(PAGE)
    return made


@pytest.fixture
def file(tmp_path):
    return tmp_path / "made" / "system.fieldbell"


def settings_of(app) -> Settings:
    return app.extensions["fieldbell"]


def rows(app) -> dict[str, list]:
    """Every row of every table in words that are the same on both databases."""
    with app.app_context(), whole.frozen() as session:
        return {
            table.name: [_plain(orjson.loads(line)) for line in whole.read_lines(session, table)]
            for table in whole.tables()
        }


def _plain(row: dict) -> str:
    """A row as text; instants end in the same way whatever the database says for zero."""
    for name, value in row.items():
        if isinstance(value, str) and name.endswith(("_at", "_before", "_seen")):
            row[name] = datetime.fromisoformat(value).isoformat()
    return json.dumps(row, sort_keys=True)


def epoch(app) -> str:
    with app.app_context(), snapshot() as session:
        return session.execute(select(Operator.epoch)).scalar_one()


def make(app, file: Path):
    with app.app_context():
        return create(file, settings_of(app))


def put_back(app, file: Path, **how):
    with app.app_context():
        return restore(file, settings_of(app), **how)


def second_app(request, tmp_path, kind: str):
    """An application on an empty database of a kind, with a folder of its own."""
    url = request.getfixturevalue(f"{kind}_url")
    if kind == "sqlite":
        copy = tmp_path / "second.db"
        shutil.copyfile(url.removeprefix("sqlite:///"), copy)
        url = f"sqlite:///{copy}"
    made = create_app(
        Settings(database_url=url, var_dir=tmp_path / "second", secret_key=SECRET_KEY)
    )

    def let_go():
        with made.app_context():
            db.engine.dispose()

    request.addfinalizer(let_go)
    return made


def same_but_epoch(before, after):
    """Compare all rows; the epoch, the audit of the restore and small pictures are new."""
    assert before.keys() == after.keys()
    for name in before:
        assert _settled(name, after[name]) == _settled(name, before[name]), name


def _settled(table: str, found: list[str]) -> list:
    if table == "operator":
        return [{**json.loads(row), "epoch": ""} for row in found]
    return [row for row in found if "backup.restored" not in row]


# --- there and back -----------------------------------------------------------------------


def test_a_restored_system_is_the_one_that_was_backed_up(app, world, file):
    made = make(app, file)
    assert (made.files, made.lost, made.differences) == (2, [], 0)
    before, old_epoch = rows(app), epoch(app)
    Uploader(app, world.token).push(worlds.reading(world.points[3], 1250, 5))
    folder = settings_of(app).var_dir
    shutil.rmtree(folder / "blobs")

    done = put_back(app, file, replace=True)
    assert done.rows == made.rows
    same_but_epoch(before, rows(app))
    assert epoch(app) != old_epoch
    assert blobs.path_of(folder, sha(PHOTO)).read_bytes() == PHOTO
    assert blobs.path_of(folder, sha(PAGE), quarantined=True).read_bytes() == PAGE


@pytest.mark.parametrize("kinds", ["sqlite to postgresql", "postgresql to sqlite"])
def test_a_backup_of_one_database_is_restored_on_the_other(request, tmp_path, file, kinds):
    here, _, there = kinds.partition(" to ")
    first = create_app(
        Settings(
            database_url=request.getfixturevalue(f"{here}_url"),
            var_dir=tmp_path / "var",
            secret_key=SECRET_KEY,
        )
    )
    made = worlds.build(first, points=2)
    handheld = Uploader(first, made.token)
    handheld.push(worlds.reading(made.points[0], 1200, 1, attachments=[promise(PHOTO)]))
    handheld.send_file(PHOTO)
    make(first, file)
    before = rows(first)
    with first.app_context():
        db.engine.dispose()

    second = second_app(request, tmp_path, there)
    put_back(second, file)
    same_but_epoch(before, rows(second))
    again = Uploader(second, made.token)
    answer = again.push(worlds.reading(made.points[1], 1200, 2))
    assert [r["verdict"] for r in answer["results"]] == ["applied"]
    assert again.head(sha(PHOTO)).headers["Upload-Offset"] == str(len(PHOTO))


def test_work_goes_on_after_a_restore_with_keys_that_are_free(app, world, file):
    make(app, file)
    put_back(app, file, replace=True)
    answer = Uploader(app, world.token).push(worlds.reading(world.points[3], 1250, 5))
    assert [r["verdict"] for r in answer["results"]] == ["applied"]


def test_append_only_rows_are_protected_again_after_a_restore(app, world, file):
    make(app, file)
    put_back(app, file, replace=True)
    for statement in ("DELETE FROM capture_event", "UPDATE ledger_line SET debit = 1"):
        with (
            app.app_context(),
            pytest.raises(Exception, match="append-only"),
            transaction() as session,
        ):
            session.execute(text(statement))


def test_references_are_enforced_again_after_a_restore(app, world, file):
    make(app, file)
    put_back(app, file, replace=True)
    with app.app_context(), pytest.raises(Exception, match=r"(?i)foreign key"):  # noqa: SIM117
        with transaction() as session:
            session.execute(update(Device).values(staff_id=99999))


def test_rows_that_refer_to_later_rows_come_back(app, world, file, monkeypatch):
    """Each row in a chunk of its own: the order of rows cannot be what makes it work."""
    monkeypatch.setattr("server.backup.create.CHUNK_BYTES", 1)
    with app.app_context(), transaction() as session:
        last = OrgUnit(kind="office", code="last", name="last")
        session.add(last)
        session.flush()
        session.get_one(OrgUnit, world.team_id).parent_id = last.id
    make(app, file)
    before = rows(app)
    put_back(app, file, replace=True)
    same_but_epoch(before, rows(app))


# --- one instant --------------------------------------------------------------------------


def test_a_backup_is_one_picture_though_captures_come_in_meanwhile(app, world, file, monkeypatch):
    """Tables are read one after the other; what comes in between is in none of them."""
    honest = whole.read_lines
    pushed: list[dict] = []

    def reading(session, table):
        if table.name == "capture_event" and not pushed:
            handheld = Uploader(app, world.token)
            item = worlds.reading(world.points[3], 1250, 5)
            thread = threading.Thread(target=lambda: pushed.append(handheld.push(item)))
            thread.start()
            thread.join(30)
        return honest(session, table)

    before = rows(app)
    monkeypatch.setattr(whole, "read_lines", reading)
    make(app, file)
    monkeypatch.undo()
    assert pushed[0]["results"][0]["verdict"] == "applied"
    put_back(app, file, replace=True)
    same_but_epoch(before, rows(app))


# --- refusals -----------------------------------------------------------------------------


def refused(app, file, code, **how):
    before = rows(app)
    with pytest.raises(DomainError) as error:
        put_back(app, file, **how)
    assert error.value.code == code
    assert rows(app) == before


def test_a_backup_overwrites_no_file(app, world, file):
    make(app, file)
    kept = file.read_bytes()
    with pytest.raises(Conflict) as error:
        make(app, file)
    assert error.value.code == "backup.exists"
    assert file.read_bytes() == kept
    assert [f.name for f in file.parent.iterdir()] == [file.name]
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_backup_that_fails_leaves_no_file(app, world, file, monkeypatch):
    def failing(_session, _table):
        raise OSError("disk")

    monkeypatch.setattr(whole, "read_lines", failing)
    with pytest.raises(OSError, match="disk"):
        make(app, file)
    assert list(file.parent.iterdir()) == []


def test_a_database_in_use_is_replaced_only_when_that_is_said(app, world, file):
    make(app, file)
    refused(app, file, "backup.not_empty")


def test_a_running_worker_stops_a_restore(app, world, file):
    make(app, file)
    with app.app_context(), transaction() as session:
        now = clock.now()
        session.add(WorkerHeartbeat(name="w", started_at=now, seen_at=now))
    refused(app, file, "backup.worker_alive", replace=True)


def test_another_migration_is_refused(app, world, file, monkeypatch):
    monkeypatch.setattr("server.backup.create.revision", lambda _session: "0000")
    make(app, file)
    refused(app, file, "backup.other_revision", replace=True)


def test_any_damaged_byte_is_found_before_anything_is_touched(app, world, file):
    make(app, file)
    content = file.read_bytes()
    with tarfile.open(file) as members:
        places = [m.offset_data + m.size // 2 for m in members if m.size]
    for place in places[:: max(1, len(places) // 12)]:
        damaged = bytearray(content)
        damaged[place] ^= 1
        file.write_bytes(damaged)
        with pytest.raises(Invalid) as error:
            archive.verify(file)
        assert error.value.code in ("backup.damaged", "backup.unreadable", "backup.other_format")
    refused(app, file, error.value.code, replace=True)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
def test_a_backup_that_was_cut_off_is_refused(app, world, file, share):
    make(app, file)
    content = file.read_bytes().rstrip(b"\0")[:-1]
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(Invalid) as error:
        archive.verify(file)
    assert error.value.code == "backup.unreadable"


def test_a_failure_in_the_middle_of_a_restore_changes_nothing(app, world, file, monkeypatch):
    make(app, file)
    honest = whole.insert_lines

    def failing(session, table, lines):
        if table.name == "bill":
            raise ZeroDivisionError
        honest(session, table, lines)

    monkeypatch.setattr(whole, "insert_lines", failing)
    before = rows(app)
    with pytest.raises(ZeroDivisionError):
        put_back(app, file, replace=True)
    monkeypatch.undo()
    assert rows(app) == before
    test_references_are_enforced_again_after_a_restore(app, world, file.with_name("second"))


def test_rows_that_refer_to_nothing_are_refused(app, world, file, monkeypatch):
    honest = whole.read_lines
    monkeypatch.setattr(
        whole, "read_lines", lambda s, t: [] if t.name == "org_unit" else honest(s, t)
    )
    make(app, file)
    monkeypatch.undo()
    refused(app, file, "backup.broken_references", replace=True)


# --- files --------------------------------------------------------------------------------


def test_photos_the_backup_could_not_read_are_asked_for_again(app, world, file):
    folder = settings_of(app).var_dir
    blobs.path_of(folder, sha(PHOTO)).write_bytes(b"rotten")
    blobs.path_of(folder, sha(PAGE), quarantined=True).unlink()
    made = make(app, file)
    assert sorted(made.lost) == sorted([sha(PHOTO), sha(PAGE)])
    shutil.rmtree(folder / "blobs")
    assert put_back(app, file, replace=True).expected_again == 2
    handheld = Uploader(app, world.token)
    assert sorted(handheld.push()["need"]) == sorted([sha(PHOTO), sha(PAGE)])
    assert handheld.send_file(PHOTO)["status"] == "received"


def test_small_pictures_are_made_anew(app, world, file):
    with app.app_context(), transaction() as session:
        session.execute(update(Blob).where(Blob.thumbnail.is_not(None)).values(thumbnail="made"))
    make(app, file)
    put_back(app, file, replace=True)
    with app.app_context(), snapshot() as session:
        assert session.get_one(Blob, sha(PHOTO)).thumbnail == "wanted"


def test_the_key_an_installation_made_itself_comes_along(tmp_path, sqlite_url, file):
    first = create_app(Settings(database_url=sqlite_url, var_dir=tmp_path / "first"))
    worlds.build(first, points=1)
    make(first, file)
    second = create_app(Settings(database_url=sqlite_url, var_dir=tmp_path / "second"))
    done = put_back(second, file, replace=True)
    assert (done.kept_key, done.other_key) == (True, False)
    keys = [(tmp_path / name / "secret_key").read_text() for name in ("first", "second")]
    assert keys[0] == keys[1]


def test_another_configured_key_is_told(app, world, file):
    make(app, file)
    with app.app_context():
        other = Settings(
            database_url=settings_of(app).database_url,
            var_dir=settings_of(app).var_dir,
            secret_key="another key that is long enough for it",
        )
        assert restore(file, other, replace=True).other_key


# --- commands -----------------------------------------------------------------------------


def test_the_commands_make_check_and_restore(app, world, file):
    run = app.test_cli_runner().invoke
    made = run(args=["backup", "create", str(file)])
    assert (made.exit_code, "2 files" in made.output) == (0, True), made.output
    checked = run(args=["backup", "check", str(file)])
    assert (checked.exit_code, "测试电力" in checked.output) == (0, True), checked.output
    no = run(args=["backup", "restore", str(file)])
    assert (no.exit_code, "backup.not_empty" in no.output) == (1, True)
    done = run(args=["backup", "restore", str(file), "--replace"])
    assert (done.exit_code, "is as it was on" in done.output) == (0, True), done.output


def test_captures_and_slots_are_in_the_backup(app, world, file):
    make(app, file)
    with app.app_context(), transaction() as session:
        assert session.execute(select(Attachment.status).order_by(Attachment.id)).scalars().all()
    found = archive.verify(file)
    assert found.rows["attachment"] == 2
    with app.app_context(), snapshot() as session:
        assert found.rows["capture_event"] == len(session.execute(select(CaptureEvent.id)).all())
