"""The parts of the benchmarks on a tiny plant: that they measure what they say, not how fast it is."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import orjson
import pytest
from flask import Flask

from benchmarks import __main__ as runner
from benchmarks import bare, books, figures, plant, pushes
from benchmarks.figures import Figure
from benchmarks.options import Options

POINTS = 5


@pytest.fixture
def handheld(app: Flask) -> plant.Handheld:
    with app.app_context():
        return plant.build(POINTS)[0]


def _push(app: Flask, push: pushes.Push) -> int:
    headers = {"Authorization": f"Bearer {push.token}", "Content-Encoding": "gzip"}
    answer = app.test_client().post("/device/v1/push", data=push.body, headers=headers)
    return int(answer.data.count(b'"verdict":"applied"'))


def test_every_reading_of_the_plant_is_settled_billed_and_told(app, handheld):
    settled = sum(_push(app, push) for push in pushes.pushes(handheld, 2, seed=1))
    with app.app_context():
        found = books.read()
        books.check(found, settled)
    assert settled == POINTS
    assert found.messages == POINTS


def test_books_that_miss_a_reading_are_wrong(app, handheld):
    _push(app, pushes.pushes(handheld, 5, seed=1)[0])
    with app.app_context(), pytest.raises(books.Wrong, match="bills is 5, not 6"):
        books.check(books.read(), 6)


def test_the_bare_rows_are_the_rows_of_the_readings(app, handheld):
    _push(app, pushes.pushes(handheld, 5, seed=1)[0])
    with app.app_context():
        blocks = bare.read_blocks(readings=4, size=2)
    assert [block.readings for block in blocks] == [2, 2]
    counted = {model.__tablename__: len(rows) for model, rows in blocks[0].inserted.items()}
    assert counted["capture_event"] == counted["bill"] == counted["outbox_message"] == 2
    assert counted["ledger_line"] == 4
    assert blocks[0].rows > sum(counted.values())


def test_a_walk_becomes_pushes_numbered_from_one(app, handheld):
    made = pushes.pushes(handheld, 2, seed=1)
    bodies = [orjson.loads(gzip.decompress(push.body)) for push in made]
    assert [push.items for push in made] == [2, 2, 1]
    assert [item["seq"] for body in bodies for item in body["items"]] == [1, 2, 3, 4, 5]
    assert len({item["id"] for body in bodies for item in body["items"]}) == POINTS


def test_a_percentile_is_a_value_that_was_measured():
    values = [float(n) for n in range(1, 101)]
    assert figures.percentile(values, 0.95) == 95.0
    assert figures.percentile([7.0], 0.95) == 7.0
    with pytest.raises(ValueError, match="no value"):
        figures.percentile([], 0.5)


def test_a_figure_is_one_line_of_json_and_one_row_of_the_table():
    figure = Figure("speed", "sqlite", 12.5, "readings/s", "more", {"of": 0.4}, [11.0, 14.0])
    assert json.loads(figure.line())["value"] == 12.5
    assert "\n" not in figure.line()
    row = figures.table([figure]).splitlines()[2]
    assert row.split() == ["speed", "sqlite", "12.5", "readings/s", "11–14", "of", "0.4"]


def test_an_unknown_measurement_is_refused_by_name(tmp_path: Path):
    asked = runner.parser().parse_args(["nonsense"])
    with pytest.raises(SystemExit, match="nonsense"):
        runner.read_options(asked, tmp_path)


def test_what_is_said_on_the_command_line_stands_before_quick(tmp_path: Path):
    asked = runner.parser().parse_args(["--quick", "--points", "900"])
    options = runner.read_options(asked, tmp_path)
    assert options.points == 900
    assert options.rounds == Options(tmp_path).quick().rounds
