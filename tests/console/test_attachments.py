"""Photos and documents in the console: who may see them, and that they can do no harm."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from server import blobs
from server.capture.models import Attachment
from server.db import snapshot
from server.metering.models import Reading
from tests import world as worlds
from tests.console.office import Desk, hire
from tests.sync.test_attachments import Uploader, picture, promise, run_job

PDF = b"%PDF-1.7 words"
PHOTO = picture(size=(1000, 500))


@pytest.fixture
def uploader(office):
    return Uploader(office.app, office.world.token)


def send(office, uploader, content, **changes):
    """Have a file come in; the address of its page."""
    uploader.push(
        worlds.reading(office.world.points[0], 1200, attachments=[promise(content, **changes)])
    )
    uploader.send_file(content)
    with office.app.app_context(), snapshot() as session:
        return f"/attachments/{session.execute(select(Attachment.id)).scalar_one()}"


def test_a_photo_is_shown_as_what_it_is_and_nothing_else(office, admin, uploader):
    path = send(office, uploader, PHOTO, name="../../<b>dial</b>.html")
    answer = admin.client.get(path)
    assert (answer.status_code, answer.data) == (200, PHOTO)
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["Content-Disposition"] == "inline; filename=b.jpg"


def test_the_small_picture_of_a_photo_is_given_once_it_is_made(office, admin, uploader):
    path = send(office, uploader, PHOTO)
    assert admin.client.get(f"{path}?small").data == PHOTO
    assert run_job(office.app, "attachments.thumbnails") == 1
    small = admin.client.get(f"{path}?small")
    assert small.headers["Content-Type"] == "image/jpeg"
    assert len(small.data) < len(PHOTO)


def test_a_document_is_saved_not_opened(office, admin, uploader):
    path = send(office, uploader, PDF, type="application/pdf", name="抄表单.pdf")
    answer = admin.client.get(path)
    assert answer.headers["Content-Disposition"].startswith("attachment; ")
    assert "filename*=UTF-8''%E6%8A%84" in answer.headers["Content-Disposition"]


def test_what_was_refused_is_never_served(office, admin, uploader):
    path = send(office, uploader, b"<html><script>alert(1)</script>", type="image/png")
    admin.see(path, 404)


def test_a_photo_is_seen_by_whom_the_item_concerns(office, uploader):
    path = send(office, uploader, PHOTO)
    elsewhere = hire(office.app, "elsewhere", "manager", office.world.root_id)
    stranger = hire(office.app, "stranger", "manager", None)
    assert office.desk(office.manager_id).client.get(path).status_code == 200
    assert Desk(office.app, elsewhere).client.get(path).status_code == 200
    assert Desk(office.app, stranger).client.get(path).status_code == 404
    assert office.desk(office.clerk_id).client.get(path).status_code == 403
    assert office.desk(None).client.get(path).status_code == 302


def test_a_missing_file_is_told_as_missing(office, admin, uploader):
    path = send(office, uploader, PHOTO)
    folder = office.app.extensions["fieldbell"].var_dir.absolute()
    blobs.path_of(folder, promise(PHOTO)["sha256"]).unlink()
    admin.see(path, 404)


def test_the_page_of_a_reading_shows_its_photos_and_what_is_missing(office, admin, uploader):
    missing = picture("blue")
    files = [promise(PHOTO, name="dial.jpg"), promise(missing, name="gate.jpg")]
    uploader.push(worlds.reading(office.world.points[0], 1200, attachments=files))
    uploader.send_file(PHOTO)
    with office.app.app_context(), snapshot() as session:
        reading = session.execute(select(Reading.id).where(Reading.source == "device")).scalar_one()
        slot = session.execute(
            select(Attachment.id).where(Attachment.status == "received")
        ).scalar_one()
    page = admin.see(f"/readings/{reading}")
    assert f'src="/attachments/{slot}?small=1"' in page
    assert "gate.jpg" in page
    assert "/attachments/" not in office.desk(office.clerk_id).see(f"/readings/{reading}")
