"""A short torture of the real programs: some twenty kills, nothing lost and nothing double."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.processes import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_twenty_kills_lose_nothing_and_double_nothing(engine_url: str, tmp_path: Path) -> None:
    sizes = {"seed": 20, "devices": 3, "stops": 3, "days": 1, "kills": 20, "minutes": 1.5}
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
    assert "kills 20 of 20 planned" in ran.stdout
