"""The cradle: requests in frames through a cable with faults, against the real application.

The device's end is the simulator's, which knows nothing of the server's code; the cable is made of ptys.
"""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import uuid
import zlib
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from config.settings import Settings
from device_sim.protocol import OfflineError, RefusedError, TooLargeError, UnauthorizedError
from device_sim.serial import frames as theirs
from device_sim.serial.cradle import CradleLink
from device_sim.serial.ends import Cable
from server.billing.models import Bill
from server.capture.models import CaptureEvent
from server.db import snapshot, transaction
from server.identity import service as identity
from server.identity.actor import SYSTEM
from server.identity.models import Device
from server.metering.models import Reading
from server.sync import cradle, frames, push
from tests import world as worlds
from tests.waiting import wait_until

# What a cable does to frames is the same whatever database stands behind the server.
of_the_cable = pytest.mark.parametrize("engine_url", ["sqlite"], indirect=True)


class Script:
    """A line that gives what was laid down and keeps what was written."""

    def __init__(self, *chunks):
        self.chunks = list(chunks)
        self.reader = theirs.Decoder()
        self.written = []
        self.now = 0.0

    def read(self, seconds):
        self.now += seconds
        return self.chunks.pop(0) if self.chunks else b""

    def write(self, data):
        self.written += self.reader.feed(data)

    def over(self):
        return not self.chunks and self.now > 10


@pytest.fixture
def cable(tmp_path):
    with Cable(tmp_path / "handheld", tmp_path / "server") as made:
        yield made


@pytest.fixture
def served(app, world, cable, tmp_path):
    """The application serving the cable's far end."""
    stop = threading.Event()
    port = str(tmp_path / "server")
    thread = threading.Thread(target=cradle.serve_port, args=(app, port, 115_200, stop))
    thread.start()
    yield cable
    stop.set()
    thread.join(60)
    assert not thread.is_alive()


@pytest.fixture
def make_link(tmp_path, world):
    links: list[CradleLink] = []

    def make(token=None, **more):
        more = {"timeout": 120, "answer_within_s": 2.0, "rng": random.Random(len(links)), **more}
        link = CradleLink(str(tmp_path / "handheld"), token, **more)
        links.append(link)
        return link

    yield make
    for link in links:
        link.close()


@pytest.fixture
def link(make_link, world, served):
    return make_link(world.token)


def count(app, model, *where):
    with app.app_context(), snapshot() as session:
        return session.scalar(select(func.count()).select_from(model).where(*where))


def effects(app):
    """(captured events, readings of devices, bills)."""
    return (
        count(app, CaptureEvent),
        count(app, Reading, Reading.source == "device"),
        count(app, Bill),
    )


def body(world, *values):
    pairs = zip(world.points, values, strict=False)
    return worlds.push_body([worlds.reading(*pair, n) for n, pair in enumerate(pairs, 1)])


def test_items_handed_in_through_the_cradle_are_judged_as_those_of_the_network(app, world, link):
    answer = link.push(body(world, 1200, 500))
    assert [(r.verdict, r.code) for r in answer.results] == [
        ("applied", None),
        ("held", "reading.below_previous"),
    ]
    assert answer.received_through == 2
    assert effects(app) == (2, 2, 1)


def test_a_handheld_without_a_radio_enrols_pulls_and_pushes(app, world, served, make_link):
    with app.app_context(), transaction() as session:
        _, code = identity.offer_enrolment(session, SYSTEM, world.reader_id, timedelta(hours=1))
    link = make_link()
    with pytest.raises(UnauthorizedError) as missing:
        link.pull(None)
    assert missing.value.code == "auth.token_missing"
    link.token = link.enrol(code, {"install_id": "cradle-1"}).token
    page = link.pull(None)
    assert {"operator", "route", "service_point", "read_order"} <= {
        d["collection"] for d in page.documents
    }
    assert link.push(body(world, 1200)).results[0].verdict == "applied"
    with app.app_context(), snapshot() as session:
        events = session.scalars(select(CaptureEvent)).all()
        (device,) = session.scalars(select(Device).where(Device.install_id == "cradle-1"))
        assert [event.device_id for event in events] == [device.id]


def test_a_wrong_code_and_an_unknown_token_get_the_answers_of_the_network(world, link):
    with pytest.raises(UnauthorizedError) as code:
        link.enrol("2222-2222", {"install_id": "x"})
    assert code.value.code == "enrol.code_unknown"
    link.token = "fbd_nobody"
    with pytest.raises(UnauthorizedError) as token:
        link.push({"items": []})
    assert token.value.code == "auth.token_unknown"
    link.token = world.token
    with pytest.raises(RefusedError) as envelope:
        link.push({"items": 5})
    assert envelope.value.code == "sync.bad_envelope"


@of_the_cable
def test_a_large_first_pull_comes_in_pages_that_fit_a_frame(app):
    world = worlds.build(app, points=60)
    old, frames.MAX_PAYLOAD = frames.MAX_PAYLOAD, 1500
    try:
        desk = cradle.Cradle(cradle.Desk(app, "-"))
        desk.answer(hello(world.token))
        documents, checkpoint, pages = [], None, 0
        while True:
            asked = frames.pack({"checkpoint": checkpoint, "limit": 500})
            reply = desk.answer(frames.Frame(frames.PULL, 7, 2 + pages, asked))
            assert len(reply) <= 1500 + 24
            page = answer_in(reply)["body"]
            documents += page["documents"]
            checkpoint, pages = page["checkpoint"], pages + 1
            if not page["more"]:
                break
    finally:
        frames.MAX_PAYLOAD = old
    assert pages > 2
    orders = [d["id"] for d in documents if d["collection"] == "read_order"]
    assert len(set(orders)) == len(orders) == 60


def hello(token, session=7, number=1):
    return frames.Frame(frames.HELLO, session, number, frames.pack({"token": token}))


def answer_in(reply):
    (frame,) = theirs.Decoder().feed(reply)
    assert isinstance(frame, theirs.Frame)
    return theirs.unpack(frame.payload)


def test_an_answer_too_large_for_a_frame_asks_for_less_and_changes_nothing(app, world):
    desk = cradle.Cradle(cradle.Desk(app, "-"))
    desk.answer(hello(world.token))
    sent = body(world, 1200, 1210)
    old, frames.MAX_PAYLOAD = frames.MAX_PAYLOAD, 150
    try:
        reply = desk.answer(frames.Frame(frames.PUSH, 7, 2, frames.pack(sent)))
    finally:
        frames.MAX_PAYLOAD = old
    assert answer_in(reply)["status"] == 413
    again = desk.answer(frames.Frame(frames.PUSH, 7, 3, frames.pack(sent)))
    assert [r["replayed"] for r in answer_in(again)["body"]["results"]] == [True, True]
    assert effects(app) == (2, 2, 2)


def flip(at_byte, times=1):
    """Change the n-th byte that passes, in the first ``times`` chunks that are long enough."""
    state = {"left": times}

    def spoil(data):
        if len(data) <= at_byte or not state["left"]:
            return data
        state["left"] -= 1
        return data[:at_byte] + bytes([data[at_byte] ^ 0x10]) + data[at_byte + 1 :]

    return spoil


@of_the_cable
@pytest.mark.parametrize("side", ["a", "b"])
@pytest.mark.parametrize("at_byte", [0, 5, 13, 40])
def test_a_damaged_frame_is_asked_for_again_and_has_one_effect(
    app, world, link, cable, side, at_byte
):
    link.pull(None)
    cable.spoil[side] = flip(at_byte)
    answer = link.push(body(world, 1200))
    assert [r.verdict for r in answer.results] == ["applied"]
    assert effects(app) == (1, 1, 1)


@of_the_cable
def test_noise_before_between_and_after_frames_is_passed_over(app, world, link, cable):
    noise = random.Random(5)
    cable.spoil["a"] = lambda data: noise.randbytes(30) + data + b"\xfb\x1e\x01"
    cable.spoil["b"] = lambda data: b"\xfb" + data + noise.randbytes(9)
    answer = link.push(body(world, 1200))
    assert [r.verdict for r in answer.results] == ["applied"]
    assert effects(app) == (1, 1, 1)


def test_a_cable_that_is_pulled_in_the_middle_of_a_push_is_no_loss(app, world, link, cable):
    link.pull(None)

    def pulled(data):
        cable.spoil.clear()
        threading.Timer(0.6, cable.plug_in).start()
        cable.unplug()
        return data

    cable.spoil["a"] = pulled
    answer = link.push(body(world, 1200, 1210))
    assert [r.verdict for r in answer.results] == ["applied", "applied"]
    assert effects(app) == (2, 2, 2)


def test_a_cable_cut_between_commit_and_answer_has_one_effect_after_the_resend(
    app, world, link, cable
):
    link.pull(None)

    def cut(data):
        cable.spoil.clear()
        threading.Timer(0.4, cable.plug_in, ["a"]).start()
        cable.unplug("a")
        return b""

    cable.spoil["b"] = cut
    answer = link.push(body(world, 1200))
    assert [(r.verdict, r.replayed) for r in answer.results] == [("applied", True)]
    assert effects(app) == (1, 1, 1)


@of_the_cable
def test_half_an_answer_acknowledges_nothing(app, world, link, cable):
    link.pull(None)
    link.timeout = 1.5
    cable.spoil["b"] = lambda data: data[: len(data) // 2]
    with pytest.raises(OfflineError):
        link.push(body(world, 1200))
    wait_until(lambda: effects(app) == (1, 1, 1))


def test_an_answer_that_was_lost_is_sent_again_without_asking_the_database(
    app, world, link, cable, monkeypatch
):
    link.pull(None)
    taken = []
    honest = push.take

    def counted(*args, **options):
        taken.append(1)
        return honest(*args, **options)

    monkeypatch.setattr(push, "take", counted)
    lost = iter([True])
    cable.spoil["b"] = lambda data: b"" if next(lost, False) else data
    answer = link.push(body(world, 1200))
    assert [(r.verdict, r.replayed) for r in answer.results] == [("applied", False)]
    assert len(taken) == 1


@pytest.mark.slow
@of_the_cable
def test_over_a_bad_cable_everything_arrives_once(app, world, link, cable):
    chance = random.Random(11)

    def bad(data):
        fault = chance.random()
        at = chance.randrange(len(data))
        if fault < 0.1:
            return data[:at] + data[at + 1 :]
        if fault < 0.2:
            return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
        if fault < 0.3:
            return data[:at] + chance.randbytes(20) + data[at:]
        return data

    cable.spoil = {"a": bad, "b": bad}
    link.timeout = 120
    link._answer_within_s = 0.5
    items = [worlds.reading(world.points[n % 3], 1200 + n, n + 1) for n in range(12)]
    answers = [link.push(worlds.push_body([item])) for item in items]
    assert [a.results[0].id for a in answers] == [item["id"] for item in items]
    assert count(app, CaptureEvent) == 12
    assert answers[-1].received_through == 12


def test_two_handhelds_one_after_the_other_are_told_apart(app, world, served, make_link):
    with app.app_context(), transaction() as session:
        _, code = identity.offer_enrolment(session, SYSTEM, world.reader_id, timedelta(hours=1))
    first = make_link(world.token)
    first.push(body(world, 1200))
    first.close()
    second = make_link()
    second.token = second.enrol(code, {"install_id": "second"}).token
    second.push(worlds.push_body([worlds.reading(world.points[1], 1210)]))
    second.close()
    first.push(worlds.push_body([worlds.reading(world.points[2], 1220, 2)]))
    with app.app_context(), snapshot() as session:
        devices = session.scalars(select(CaptureEvent.device_id).order_by(CaptureEvent.received_at))
        assert len(set(devices)) == 2
    assert effects(app) == (3, 3, 3)


def test_a_server_that_was_started_again_asks_for_a_hello_and_goes_on(app, world, link, cable):
    link.pull(None)
    cable.unplug("b")
    cable.plug_in("b")
    assert link.push(body(world, 1200)).results[0].verdict == "applied"


@of_the_cable
def test_nobody_at_the_other_end_is_offline_not_a_crash(cable, make_link, world):
    link = make_link(world.token, timeout=0.5)
    with pytest.raises(OfflineError):
        link.push(body(world, 1200))
    gone = CradleLink("/dev/no-such-port", world.token, timeout=0.3)
    with pytest.raises(OfflineError):
        gone.pull(None)


@of_the_cable
def test_what_fits_no_frame_is_not_sent(link, world):
    items = [worlds.reading(world.points[0], n, n) for n in range(1, 3000)]
    for item in items:
        item["data"]["note"] = uuid.uuid4().hex * 3
    with pytest.raises(TooLargeError):
        link.push(worlds.push_body(items))


@of_the_cable
def test_the_server_tells_how_much_a_frame_may_carry(link, app, world):
    link.pull(None)
    assert link.limits == {"max_push_items": 50, "max_track_points": 500}


@of_the_cable
def test_tokens_and_codes_never_reach_the_log(app, world, link, caplog):
    caplog.set_level(logging.DEBUG)
    link.push(body(world, 1200))
    with contextlib.suppress(UnauthorizedError):
        link.enrol("ABCD-2345", {"install_id": "x"})
    assert caplog.records
    seen = " ".join(str(vars(record)) for record in caplog.records)
    assert world.token not in seen
    assert "ABCD" not in seen


@of_the_cable
def test_a_frame_with_too_long_a_length_is_refused_and_the_next_one_read(app, world):
    huge = frames._HEAD.pack(frames.MAGIC, 1, frames.PUSH, 7, 2, 2**31)
    head = huge + frames._CRC.pack(zlib.crc32(huge))
    line = Script(hello(world.token).encode(), head + b"abc", hello(world.token).encode())
    cradle.Cradle(cradle.Desk(app, "-"), lambda: line.now).serve(line, line.over)
    kinds = [(f.kind, theirs.unpack(f.payload).get("code")) for f in line.written]
    assert kinds == [
        (theirs.Kind.WELCOME, None),
        (theirs.Kind.NAK, "frame.too_long"),
        (theirs.Kind.WELCOME, None),
    ]


@of_the_cable
def test_half_a_frame_and_then_silence_is_asked_for_again(app, world):
    whole = hello(world.token).encode()
    line = Script(whole[:30])
    cradle.Cradle(cradle.Desk(app, "-"), lambda: line.now).serve(line, line.over)
    (nak,) = line.written
    assert (nak.kind, nak.number, theirs.unpack(nak.payload)["code"]) == (0x15, 0, "frame.cut")


@of_the_cable
def test_without_a_hello_nothing_is_done_and_an_old_session_is_over(app, world):
    now = [0.0]
    desk = cradle.Cradle(cradle.Desk(app, "-"), lambda: now[0])
    pull = frames.Frame(frames.PULL, 7, 2, b"{}")
    assert answer_in(desk.answer(pull))["code"] == "session.unknown"
    desk.answer(hello(world.token))
    assert answer_in(desk.answer(pull))["status"] == 200
    now[0] = cradle.IDLE_SECONDS + 1
    assert (
        answer_in(desk.answer(frames.Frame(frames.PULL, 7, 3, b"{}")))["code"] == "session.unknown"
    )


@of_the_cable
def test_after_a_farewell_the_session_is_over(app, world):
    desk = cradle.Cradle(cradle.Desk(app, "-"))
    desk.answer(hello(world.token))
    assert desk.answer(frames.Frame(frames.BYE, 7, 2, b"")) == b""
    reply = desk.answer(frames.Frame(frames.PULL, 7, 3, b"{}"))
    assert answer_in(reply)["code"] == "session.unknown"


@of_the_cable
def test_our_own_echo_is_not_answered(app, world):
    desk = cradle.Cradle(cradle.Desk(app, "-"))
    welcome = desk.answer(hello(world.token))
    for echo in frames.Reader().feed(welcome + desk._nak(0, 0, "frame.cut")):
        assert desk.answer(echo) == b""


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.builds(
                lambda kind, session, number, payload: frames.Frame(
                    kind, session, number, payload
                ).encode(),
                st.integers(0, 255),
                st.sampled_from([0, 7]),
                st.integers(0, 3),
                st.one_of(st.binary(max_size=20), st.just(b'{"token": "t"}'), st.just(b"\x1f\x8b")),
            ),
        ),
        max_size=6,
    )
)
def test_no_bytes_stop_the_cradle(chunks):
    class Nowhere(cradle.Desk):
        def __init__(self):
            self.settings = Settings()

        def ask(self, *_, **__):
            return cradle.Told(401, {"code": "auth.token_missing"})

    line = Script(*chunks, hello("t", session=9).encode())
    cradle.Cradle(Nowhere(), lambda: line.now).serve(line, line.over)
    (*_, last) = line.written
    assert isinstance(last, theirs.Frame)
    assert last.kind in (theirs.Kind.WELCOME, theirs.Kind.NAK)


@given(st.binary(max_size=300))
def test_no_payload_raises_anything_but_bad_payload(payload):
    for candidate in (payload, b"\x1f\x8b" + payload):
        with contextlib.suppress(frames.BadPayload):
            assert isinstance(frames.unpack(candidate, 1000), dict)
        with contextlib.suppress(theirs.BadPayloadError):
            assert isinstance(theirs.unpack(candidate), dict)


def test_a_payload_that_inflates_past_the_limit_is_refused():
    bomb = frames.pack({"a": "0" * 100_000})
    assert len(bomb) < 1000
    with pytest.raises(frames.BadPayload):
        frames.unpack(bomb, 50_000)


frame_parts = st.tuples(
    st.integers(0, 255),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=90),
)


@given(st.lists(frame_parts, max_size=4), st.data())
def test_both_ends_write_and_read_the_same_frames_however_they_are_cut(parts, data):
    ours = [frames.Frame(*part) for part in parts]
    stream = b"".join(frame.encode() for frame in ours)
    assert stream == b"".join(theirs.Frame(*part).encode() for part in parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    reader, decoder = frames.Reader(), theirs.Decoder()
    seen, seen_there = [], []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        seen += reader.feed(stream[start:end])
        seen_there += decoder.feed(stream[start:end])
    assert seen == ours
    assert [(f.kind, f.session, f.number, f.payload) for f in seen_there] == parts


@given(st.binary(max_size=80), st.integers(0, 200), st.integers(1, 255))
def test_a_changed_byte_is_never_taken_for_the_frame_that_was_sent(payload, at, change):
    whole = bytearray(frames.Frame(frames.PUSH, 7, 2, payload).encode())
    whole[at % len(whole)] ^= change
    assert not any(isinstance(f, frames.Frame) for f in frames.Reader().feed(bytes(whole)))
    assert not any(isinstance(f, theirs.Frame) for f in theirs.Decoder().feed(bytes(whole)))


def test_the_frame_that_the_page_shows_is_the_one_that_is_sent():
    page = (Path(__file__).parents[2] / "docs" / "serial.md").read_text()
    shown = page.partition("    fb 1e ")[2].partition("\n\n")[0]
    frame = frames.Frame(frames.PUSH, 7, 2, b'{"items":[]}')
    assert bytes.fromhex("fb 1e " + shown) == frame.encode()


def test_a_frame_is_found_behind_one_that_lost_a_byte():
    first = frames.Frame(frames.PUSH, 7, 2, b"x" * 40).encode()
    second = frames.Frame(frames.PUSH, 7, 3, b"y").encode()
    found = frames.Reader().feed(first[:50] + first[51:] + second + second)
    assert frames.Damaged(7, 2, "frame.crc") in found
    assert frames.Frame(frames.PUSH, 7, 3, b"y") in found
