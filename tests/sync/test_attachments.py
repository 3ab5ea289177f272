"""Photos and documents: promised by an item, sent in pieces, kept once by their content."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from datetime import timedelta

import pytest
from PIL import Image
from sqlalchemy import event, func, select

from server import blobs, clock, jobs
from server.capture.models import Attachment, CaptureEvent
from server.db import db, snapshot, transaction
from server.identity import service as identity
from server.identity.actor import SYSTEM
from server.identity.models import Device
from server.review import ReviewItem
from server.sync import parts
from tests import world as worlds
from tests.sync.conftest import Handheld, verdicts


def picture(colour: str = "red", kind: str = "JPEG", size: tuple[int, int] = (800, 600)) -> bytes:
    """The bytes of a photo."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind)
    return file.getvalue()


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def promise(content: bytes, **changes):
    return {
        "sha256": sha(content),
        "size": len(content),
        "type": "image/jpeg",
        "name": "dial.jpg",
        **changes,
    }


class Uploader(Handheld):
    """The test's device with a camera."""

    def head(self, sha256):
        return self.client.head(f"/device/v1/attachments/{sha256}", headers=self.headers)

    def patch(self, sha256, offset, content, **more):
        headers = {**self.headers, "Upload-Offset": str(offset), **more}
        return self.client.patch(f"/device/v1/attachments/{sha256}", headers=headers, data=content)

    def send_file(self, content, piece=4000):
        """Send a whole file in pieces and return the last answer."""
        answer = None
        for start in range(0, len(content), piece):
            answer = self.patch(sha(content), start, content[start : start + piece])
            assert answer.status_code == 200, answer.get_json()
        return answer.get_json()


@pytest.fixture
def handheld(app, world):
    return Uploader(app, world.token)


@pytest.fixture
def other(app, world):
    """A second handheld of the same reader."""
    with app.app_context():
        with transaction() as session:
            _, code = identity.offer_enrolment(session, SYSTEM, world.reader_id, timedelta(hours=1))
        with transaction() as session:
            token = identity.enrol(session, code, {"install_id": "other"}).token
    return Uploader(app, token)


def slots(app):
    """(status, code) of every slot in order."""
    with app.app_context(), snapshot() as session:
        rows = session.execute(select(Attachment.status, Attachment.code).order_by(Attachment.id))
        return [tuple(row) for row in rows]


def reasons(app):
    """Reasons of open review items about files."""
    with app.app_context(), snapshot() as session:
        rows = session.execute(
            select(ReviewItem.reason).where(
                ReviewItem.kind == "attachment", ReviewItem.status == "open"
            )
        )
        return sorted(rows.scalars())


def folder(app):
    return app.extensions["fieldbell"].var_dir.absolute()


def files_in(app, room):
    return sorted(p.name for p in (folder(app) / room).rglob("*") if p.is_file())


# --- the way of a photo -------------------------------------------------------------------


def test_a_promised_photo_is_asked_for_and_comes_in_pieces(app, world, handheld):
    photo = picture()
    answer = handheld.push(worlds.reading(world.points[0], 1200, attachments=[promise(photo)]))
    assert verdicts(answer) == ["applied"]
    assert answer["need"] == [sha(photo)]
    assert slots(app) == [("expected", None)]

    told = handheld.head(sha(photo))
    assert (told.status_code, told.headers["Upload-Offset"]) == (200, "0")
    assert told.headers["Upload-Length"] == str(len(photo))
    half = len(photo) // 2
    first = handheld.patch(sha(photo), 0, photo[:half])
    assert first.get_json() == {
        "offset": half,
        "size": len(photo),
        "status": "expected",
        "code": None,
    }
    assert handheld.head(sha(photo)).headers["Upload-Offset"] == str(half)
    last = handheld.patch(sha(photo), half, photo[half:])
    assert last.get_json()["status"] == "received"

    assert slots(app) == [("received", None)]
    assert blobs.path_of(folder(app), sha(photo)).read_bytes() == photo
    assert handheld.push()["need"] == []
    assert files_in(app, "parts") == []


def test_a_piece_that_does_not_fit_is_told_the_right_offset(app, world, handheld):
    photo = picture()
    handheld.push(worlds.reading(world.points[0], 1200, attachments=[promise(photo)]))
    handheld.patch(sha(photo), 0, photo[:100])
    again = handheld.patch(sha(photo), 0, photo[:100])
    assert again.status_code == 409
    assert again.get_json()["code"] == "attachment.wrong_offset"
    assert again.headers["Upload-Offset"] == "100"
    assert handheld.head(sha(photo)).headers["Upload-Offset"] == "100"


def test_a_photo_sent_twice_is_kept_once_and_the_second_time_nothing_is_asked(
    app, world, handheld, other
):
    photo = picture()
    handheld.push(worlds.reading(world.points[0], 1200, 1, attachments=[promise(photo)]))
    handheld.send_file(photo)
    again = handheld.push(worlds.reading(world.points[1], 1200, 2, attachments=[promise(photo)]))
    elsewhere = other.push(worlds.reading(world.points[2], 1200, 1, attachments=[promise(photo)]))
    assert (again["need"], elsewhere["need"]) == ([], [])
    assert slots(app) == [("received", None)] * 3
    assert files_in(app, "blobs") == [sha(photo)]


def test_one_photo_promised_by_two_handhelds_fills_both_slots_when_it_comes(
    app, world, handheld, other
):
    photo = picture()
    twice = [promise(photo), promise(photo, name="again.jpg")]
    handheld.push(worlds.reading(world.points[0], 1200, 1, attachments=twice))
    other.push(worlds.reading(world.points[1], 1200, 1, attachments=[promise(photo)]))
    handheld.patch(sha(photo), 0, photo[:50])
    assert other.head(sha(photo)).headers["Upload-Offset"] == "0", "parts are each one's own"
    other.send_file(photo)
    assert slots(app) == [("received", None)] * 3
    late = handheld.patch(sha(photo), 50, photo[50:])
    assert (late.status_code, late.get_json()["status"]) == (200, "received")


def test_a_replayed_item_makes_no_second_slot(app, world, handheld):
    item = worlds.reading(world.points[0], 1200, attachments=[promise(picture())])
    first, second = handheld.push(item), handheld.push(item)
    assert second["results"][0]["replayed"]
    assert second["need"] == first["need"] == [sha(picture())]
    assert len(slots(app)) == 1


def test_a_slot_written_while_its_bytes_came_from_elsewhere_is_filled_by_the_next_request(
    app, world, handheld
):
    photo = picture()
    handheld.push(worlds.reading(world.points[0], 1200, attachments=[promise(photo)]))
    with app.app_context(), transaction() as session:
        blobs.keep(folder(app), photo)
        blobs.note(session, sha(photo), len(photo), "image/jpeg")
    assert slots(app) == [("expected", None)]
    told = handheld.head(sha(photo))
    assert told.headers["Upload-Offset"] == str(len(photo))
    assert slots(app) == [("received", None)]


# --- who may send what --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["0" * 64, "no-hash", "..%2f..%2fetc", "A" * 64])
def test_what_no_item_of_the_handheld_names_is_not_taken(app, world, handheld, name):
    assert handheld.head(name).status_code == 404
    assert handheld.patch(name, 0, b"x").status_code == 404
    assert files_in(app, "parts") == []


def test_a_handheld_may_not_send_what_only_another_one_promised(app, world, handheld, other):
    photo = picture()
    other.push(worlds.reading(world.points[0], 1200, attachments=[promise(photo)]))
    refused = handheld.patch(sha(photo), 0, photo)
    assert (refused.status_code, refused.get_json()["code"]) == (404, "attachment.not_expected")


def test_a_stranger_is_refused(app, world):
    stranger = Uploader(app, "wrong")
    assert stranger.head("0" * 64).status_code == 401


def test_a_handheld_that_was_shut_out_may_still_hand_in_its_photos(app, world, handheld):
    photo = picture()
    with app.app_context(), transaction() as session:
        session.get_one(Device, world.device_id).status = "revoked"
    answer = handheld.push(worlds.reading(world.points[0], 1200, attachments=[promise(photo)]))
    assert verdicts(answer) == ["held"]
    assert handheld.send_file(photo)["status"] == "received"


# --- promises that cannot be read ---------------------------------------------------------


@pytest.mark.parametrize(
    ("attachments", "field"),
    [
        ("photo", "attachments"),
        ([7], "attachments[0]"),
        ([{}], "attachments[0].sha256"),
        ([promise(b"x", sha256="../../etc/passwd")], "attachments[0].sha256"),
        ([promise(b"x", size=0)], "attachments[0].size"),
        ([promise(b"x", size=True)], "attachments[0].size"),
        ([promise(b"x", size="9")], "attachments[0].size"),
        ([promise(b"x"), promise(b"y", type="text/html; x")], "attachments[1].type"),
        ([promise(b"x", name=7)], "attachments[0].name"),
        ([promise(b"x")] * 21, "attachments"),
    ],
)
def test_a_list_of_files_that_cannot_be_read_rejects_the_item(
    app, world, handheld, attachments, field
):
    answer = handheld.push(worlds.reading(world.points[0], 1200, attachments=attachments))
    result = answer["results"][0]
    assert (result["verdict"], result["code"]) == ("rejected", "attachment.invalid")
    assert result["field"] == field
    assert slots(app) == []


def test_a_reading_counts_though_its_photo_is_too_large(app, world, handheld):
    huge = promise(b"x", size=21 * 1024 * 1024)
    answer = handheld.push(worlds.reading(world.points[0], 1200, attachments=[huge]))
    assert verdicts(answer) == ["applied"]
    assert answer["need"] == []
    assert slots(app) == [("refused", "attachment.too_large")]
    assert reasons(app) == ["attachment.too_large"]
    assert handheld.patch(huge["sha256"], 0, b"x").status_code == 404


# --- bytes that are not what they should be -----------------------------------------------


def test_bytes_of_another_hash_are_dropped_and_shown_when_it_happens_again(app, world, handheld):
    photo = picture()
    handheld.push(worlds.reading(world.points[0], 1200, attachments=[promise(photo)]))
    wrong = bytes(len(photo))
    for _ in range(3):
        assert reasons(app) == []
        answer = handheld.patch(sha(photo), 0, wrong)
        assert (answer.status_code, answer.get_json()["code"]) == (422, "attachment.hash_mismatch")
        assert answer.headers["Upload-Offset"] == "0"
        assert handheld.head(sha(photo)).headers["Upload-Offset"] == "0"
    assert reasons(app) == ["attachment.hash_mismatch"]
    handheld.send_file(photo)
    assert slots(app) == [("received", None)]
    assert reasons(app) == [], "what has come needs nobody any more"


def test_more_bytes_than_promised_are_not_kept(app, world, handheld):
    photo = picture()
    handheld.push(worlds.reading(world.points[0], 1200, attachments=[promise(photo)]))
    answer = handheld.patch(sha(photo), 0, photo + b"!")
    assert (answer.status_code, answer.get_json()["code"]) == (413, "attachment.too_long")
    assert handheld.head(sha(photo)).headers["Upload-Offset"] == "0"
    assert handheld.send_file(photo)["status"] == "received"


@pytest.mark.parametrize(
    "content",
    [
        b"<!DOCTYPE html><script>alert(1)</script>",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='x'/>",
        b"MZ\x90\x00",
        b"words",
    ],
)
def test_what_is_no_photo_is_kept_apart_and_shown(app, world, handheld, content):
    handheld.push(worlds.reading(world.points[0], 1200, attachments=[promise(content)]))
    answer = handheld.send_file(content)
    assert (answer["status"], answer["code"]) == ("refused", "attachment.type_not_allowed")
    assert files_in(app, "blobs") == []
    assert files_in(app, "quarantine") == [sha(content)]
    assert reasons(app) == ["attachment.type_not_allowed"]
    again = handheld.push(worlds.reading(world.points[1], 1200, 2, attachments=[promise(content)]))
    assert again["need"] == []
    assert slots(app)[1] == ("refused", "attachment.type_not_allowed")


def test_a_photo_of_another_kind_than_promised_is_refused(app, world, handheld):
    photo = picture(kind="PNG")
    handheld.push(worlds.reading(world.points[0], 1200, attachments=[promise(photo)]))
    assert handheld.send_file(photo)["code"] == "attachment.type_mismatch"
    assert reasons(app) == ["attachment.type_mismatch"]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (picture(kind="JPEG"), "image/jpeg"),
        (picture(kind="PNG"), "image/png"),
        (picture(kind="WEBP"), "image/webp"),
        (picture(kind="GIF"), "image/gif"),
        (b"%PDF-1.7", "application/pdf"),
        (b"PK\x03\x04", "application/zip"),
        (b" \n<HTML>", "text/html"),
        (b"<?xml version='1.0'?><svg>", "image/svg+xml"),
        (b"", "application/octet-stream"),
    ],
)
def test_the_first_bytes_say_what_a_file_is(content, kind):
    assert blobs.content_type(content[: blobs.HEAD_BYTES]) == kind


# --- uploads that meet --------------------------------------------------------------------


def test_two_requests_for_one_part_do_not_mix(app, world, handheld):
    photo = picture()
    handheld.push(worlds.reading(world.points[0], 1200, attachments=[promise(photo)]))
    with parts.locked(folder(app), world.device_id, sha(photo)):
        busy = handheld.patch(sha(photo), 0, photo)
    assert (busy.status_code, busy.get_json()["code"]) == (503, "attachment.busy")
    assert busy.headers["Retry-After"] == "1"
    assert handheld.send_file(photo)["status"] == "received"


def test_a_link_that_breaks_leaves_what_has_come(app, world, tmp_path):
    class Broken(io.BytesIO):
        def read(self, size=-1, /):
            piece = super().read(size)
            if not piece:
                raise ConnectionResetError
            return piece

    with parts.locked(tmp_path, 1, "a" * 64) as part, pytest.raises(ConnectionResetError):
        part.append(Broken(b"half"), 100)
    assert parts.received(tmp_path, 1, "a" * 64) == 4


def test_a_server_that_died_after_the_last_byte_completes_with_an_empty_piece(app, world, handheld):
    photo = picture()
    handheld.push(worlds.reading(world.points[0], 1200, attachments=[promise(photo)]))
    part = parts.part_path(folder(app), world.device_id, sha(photo))
    part.parent.mkdir(parents=True)
    part.write_bytes(photo)
    assert handheld.head(sha(photo)).headers["Upload-Offset"] == str(len(photo))
    assert handheld.patch(sha(photo), len(photo), b"").get_json()["status"] == "received"


# --- jobs ---------------------------------------------------------------------------------


def run_job(app, name):
    job = next(job for job in jobs.JOBS if job.name == name)
    with app.app_context():
        return jobs._carry_out(job, app.extensions["fieldbell"])


def test_a_photo_that_does_not_come_is_shown_after_the_deadline_and_goes_when_it_comes(
    app, world, handheld
):
    photo = picture()
    handheld.push(worlds.reading(world.points[0], 1200, attachments=[promise(photo)]))
    assert run_job(app, "attachments.overdue") == 0
    clock.set(worlds.NOW + timedelta(hours=73))
    assert run_job(app, "attachments.overdue") == 1
    assert run_job(app, "attachments.overdue") == 0, "once is enough"
    assert reasons(app) == ["attachment.overdue"]
    with app.app_context(), snapshot() as session:
        assert session.execute(select(ReviewItem.org_unit_id)).scalar_one() == world.team_id
    handheld.send_file(photo)
    assert reasons(app) == []


def test_photos_get_small_pictures(app, world, handheld):
    photo = picture(size=(1280, 960))
    handheld.push(worlds.reading(world.points[0], 1200, attachments=[promise(photo)]))
    handheld.send_file(photo)
    assert run_job(app, "attachments.thumbnails") == 1
    assert run_job(app, "attachments.thumbnails") == 0
    with Image.open(blobs.thumbnail_path(folder(app), sha(photo))) as small:
        assert small.size == (320, 240)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few kilobytes that says it unfolds to gigabytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(100_000)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    "content", [bomb(60_000, 60_000), bomb(8000, 8000), b"\x89PNG\r\n\x1a\nbroken"]
)
def test_an_image_that_cannot_be_made_small_safely_is_left_alone(app, world, handheld, content):
    handheld.push(
        worlds.reading(world.points[0], 1200, attachments=[promise(content, type="image/png")])
    )
    assert handheld.send_file(content)["status"] == "received"
    assert run_job(app, "attachments.thumbnails") == 1
    assert run_job(app, "attachments.thumbnails") == 0
    with app.app_context(), snapshot() as session:
        assert session.get_one(blobs.Blob, sha(content)).thumbnail == "failed"
    assert files_in(app, "thumbnails") == []


def test_parts_nobody_adds_to_are_dropped_after_a_month(app, world, handheld):
    photo = picture()
    handheld.push(worlds.reading(world.points[0], 1200, attachments=[promise(photo)]))
    handheld.patch(sha(photo), 0, photo[:10])
    clock.reset()
    assert run_job(app, "attachments.parts") == 0
    clock.set(clock.now() + timedelta(days=31))
    assert run_job(app, "attachments.parts") == 1
    assert files_in(app, "parts") == []


# --- speed --------------------------------------------------------------------------------


def test_the_number_of_statements_does_not_grow_with_the_photos(app):
    world = worlds.build(app, points=33)
    handheld = Uploader(app, world.token)
    statements: list[str] = []
    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    numbers = iter(range(1000))

    def push(points, photos):
        statements.clear()
        handheld.push(
            *[
                worlds.reading(
                    p,
                    1200,
                    attachments=[promise(f"{next(numbers)}".encode()) for _ in range(photos)],
                )
                for p in points
            ]
        )
        return len(statements)

    push(world.points[:1], 1)
    few, many = push(world.points[1:3], 1), push(world.points[3:], 9)
    assert many == few
    with app.app_context(), snapshot() as session:
        assert session.execute(select(func.count()).select_from(CaptureEvent)).scalar() == 33
