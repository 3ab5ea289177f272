"""Photos on a handheld: real pictures, saved with their item, sent after it."""

from __future__ import annotations

import io
import random

import pytest
from PIL import Image

from device_sim import photos
from device_sim.check import Held, compare
from device_sim.protocol import Link, RefusedError, Result
from device_sim.witness import read_witness


def take(seed="a"):
    return photos.take(random.Random(seed))


def test_a_photo_is_a_picture_any_program_opens():
    photo = take()
    with Image.open(io.BytesIO(photo.content)) as picture:
        picture.load()
        assert (picture.format, picture.width) == ("PNG", picture.height)
    assert photo.to_item()["size"] == len(photo.content) > 5000


def test_the_same_chance_gives_the_same_photo():
    assert take("a").sha256 == take("a").sha256 != take("b").sha256


def test_a_photo_is_saved_with_its_item_and_sent_after_it(make_handheld):
    handheld = make_handheld()
    photo = take()
    item = handheld.capture("note.v1", {"text": "gate"}, photos=[photo])
    store = handheld.store
    assert store.items()[0].body["attachments"] == [photo.to_item()]
    assert (store.photos_unsent(), store.photos_waiting()) == (1, [])
    store.answered([Result(item, "applied")])
    assert store.photos_waiting() == [(photo.sha256, len(photo.content))]
    assert store.photo_piece(photo.sha256, 10, 20) == photo.content[10:30]
    store.photo_settled(photo.sha256, "received")
    assert (store.photos_unsent(), store.photos()) == (0, {photo.sha256: "received"})
    store.photos_again()
    assert store.photos_unsent() == 1


def test_one_photo_of_two_items_is_kept_once(make_handheld):
    handheld = make_handheld()
    for _ in range(2):
        handheld.capture("note.v1", {"text": "gate"}, photos=[take()])
    assert handheld.store.photos_unsent() == 1


def test_the_witness_knows_the_photos_and_the_check_misses_them(make_handheld):
    handheld = make_handheld()
    photo = take()
    item = handheld.capture("note.v1", {"text": "gate"}, photos=[photo])
    seen = read_witness(handheld.folder / "witness.jsonl")
    assert seen[0].attachments == (photo.sha256,)
    whole, bare, unasked = (
        Held(item, seen[0].digest, photos)
        for photos in (frozenset([photo.sha256]), frozenset(), None)
    )
    assert compare(seen, [whole]).ok
    assert compare(seen, [bare]).without_photos == [item]
    assert compare(seen, [unasked]).ok


def test_a_way_that_carries_no_files_says_so():
    class Cable(Link):
        timeout = 1.0

        def close(self):
            """Nothing to close."""

        def _exchange(self, request, body):
            return {}

    cable = Cable()
    assert not cable.carries_files
    for ask in (lambda: cable.file_offset("a"), lambda: cable.send_piece("a", 0, b"b")):
        with pytest.raises(RefusedError):
            ask()
