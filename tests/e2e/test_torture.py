"""A short torture of the real programs: some twenty kills, nothing lost and nothing double."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.processes import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.torture]


def test_a_score_of_kills_loses_nothing_and_doubles_nothing(
    engine_url: str, tmp_path: Path
) -> None:
    kills = 20 if engine_url.startswith("sqlite") else 12
    sizes = {"seed": 20, "devices": 3, "stops": 3, "days": 1, "kills": kills, "minutes": 1.5}
    words = [word for name, value in sizes.items() for word in (f"--{name}", str(value))]
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "device_sim", "torture", *words),
            *("--database", engine_url, "--migrated", "--state", str(tmp_path / "torture")),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=420,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-3000:]
    assert "seed 20: nothing lost, nothing double" in ran.stdout
    assert f"kills {kills} of {kills} planned" in ran.stdout
