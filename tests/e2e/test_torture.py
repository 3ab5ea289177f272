"""A short torture of the real programs: a dozen kills, nothing lost and nothing double."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from flask import Flask

from device_sim.torture.plan import make_plan
from device_sim.torture.run import Options, report, torture
from device_sim.torture.system import System, SystemFault
from tests.conftest import SECRET_KEY
from tests.e2e.processes import ROOT
from tests.ports import own_port

pytestmark = [pytest.mark.e2e, pytest.mark.never_again]

SEED = 20
KILLS = 12


@dataclass
class Indoors(System):
    """An installation whose commands run in this process: starting each anew takes most of the time."""

    app: Flask | None = None
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def flask(self, *words: str, good: Sequence[int] = (0,)) -> str:
        assert self.app is not None
        # The runner puts its own files in the place of stdout.
        with self._turn:
            done = self.app.test_cli_runner().invoke(args=words)
        if done.exit_code not in good:
            raise SystemFault(f"flask {' '.join(words)}: {done.output}{done.exception or ''}")
        return done.stdout


def test_a_dozen_kills_lose_nothing_and_double_nothing(
    app: Flask, engine_url: str, tmp_path: Path
) -> None:
    folder, said = tmp_path / "torture", list[str]()
    system = Indoors(
        folder, engine_url, ROOT, settings={"FIELDBELL_SECRET_KEY": SECRET_KEY}, port=own_port()
    )
    system.app = app
    plan = make_plan(SEED, devices=3, stops=3, days=1, kills=KILLS)
    options = Options(
        plan, folder, engine_url, ROOT, day_s=180, migrated=True, say=said.append, system=system
    )
    ran = torture(options)
    told = "\n".join([*said, report(ran), system.log("web"), system.log("worker")])
    assert ran.ok, told
    assert f"seed {SEED}: nothing lost, nothing double" in told
    assert f"kills {KILLS} of {KILLS} planned" in told
    print(told)  # noqa: T201
