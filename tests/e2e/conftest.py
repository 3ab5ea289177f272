"""A stage for real processes on a founded system, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask

from server import clock
from tests import world as worlds
from tests.e2e.processes import Stage


@pytest.fixture
def world(app: Flask) -> worlds.World:
    """Three points to read, as of the real clock: these tests run real processes."""
    made = worlds.build(app, now=datetime.now(UTC) - timedelta(minutes=1))
    clock.reset()
    return made


@pytest.fixture
def stage(
    world: worlds.World, engine_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Stage]:
    """Processes on the test's database, all stopped at the end; a failure shows their logs."""
    made = Stage(tmp_path, engine_url)
    try:
        yield made
    finally:
        made.stop()
        print(made.logs())  # noqa: T201 - pytest shows it when the test fails
