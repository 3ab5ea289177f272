"""Devices and a stand-in server for the tests of the simulator."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from datetime import UTC, datetime

import pytest

from device_sim.clock import VirtualClock
from device_sim.gps import Gps, GpsFaults
from device_sim.handheld import Handheld
from device_sim.protocol import Client
from device_sim.syncer import Syncer
from tests.device_sim.stub_server import CODE, StubServer, round_of

MORNING = datetime(2026, 11, 21, 0, 30, tzinfo=UTC)


@pytest.fixture
def make_handheld(tmp_path):
    opened = []

    def make(folder="h1", clock=None, **more):
        gps = Gps(random.Random("gps"), GpsFaults(no_fix=0, jump=0))
        handheld = Handheld(tmp_path / folder, clock or VirtualClock(MORNING), gps, **more)
        opened.append(handheld)
        return handheld

    yield make
    for handheld in opened:
        with contextlib.suppress(
            sqlite3.ProgrammingError, OSError
        ):  # a test may have closed it already
            handheld.close()


@pytest.fixture
def server():
    with StubServer(round_of(stops=12)) as stub:
        yield stub


@pytest.fixture
def make_syncer(make_handheld, server):
    """An enrolled handheld's syncer, at ``url`` or the stub's own address."""

    def make(handheld=None, url=None):
        syncer = Syncer(handheld or make_handheld(), Client(url or server.url, timeout=60))
        syncer.enrol(CODE)
        return syncer

    return make
