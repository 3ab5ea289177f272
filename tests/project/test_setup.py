"""The set-up finds a fitting Python, brings the browser libraries and never throws real data away."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts import vendor

ROOT = Path(__file__).resolve().parent.parent.parent


def _program(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def _find_python(path: Path, **more: str) -> subprocess.CompletedProcess[str]:
    script = ROOT / "scripts" / "find-python.sh"
    env = {"PATH": str(path), **more}
    return subprocess.run(["/bin/sh", script], check=False, env=env, capture_output=True, text=True)


def test_it_takes_the_newest_python_that_can_make_environments(tmp_path: Path) -> None:
    _program(tmp_path, "python3.13", 'case "$2" in *ensurepip*) exit 1;; esac')
    _program(tmp_path, "python3.12", "exit 0")
    _program(tmp_path, "python3", "exit 0")
    assert _find_python(tmp_path).stdout.strip() == str(tmp_path / "python3.12")


def test_an_old_python_is_not_taken_and_the_message_says_what_is_needed(tmp_path: Path) -> None:
    _program(tmp_path, "python3", "exit 1")
    found = _find_python(tmp_path)
    assert found.returncode == 1
    assert "needs Python 3.11 or later" in found.stderr


def test_a_python_without_venv_is_named_with_its_remedy(tmp_path: Path) -> None:
    _program(tmp_path, "python3", 'case "$2" in *ensurepip*) exit 1;; esac')
    found = _find_python(tmp_path)
    assert found.returncode == 1
    assert "python3-venv" in found.stderr


def test_a_person_can_choose_the_python(tmp_path: Path) -> None:
    _program(tmp_path, "python3", "exit 0")
    _program(tmp_path, "mine", "exit 0")
    assert _find_python(tmp_path, PYTHON="mine").stdout.strip() == str(tmp_path / "mine")


def test_the_libraries_are_copied_with_their_licence_and_old_files_go(tmp_path: Path) -> None:
    package = tmp_path / "node_modules" / "leaflet"
    (package / "dist" / "images").mkdir(parents=True)
    for name in ("dist/leaflet.js", "dist/leaflet.css", "dist/images/layers.png", "LICENSE"):
        (package / name).write_text(name)
    target = tmp_path / "vendor"
    (target / "leaflet").mkdir(parents=True)
    (target / "leaflet" / "old.js").touch()
    vendor.copy_libraries(tmp_path / "node_modules", target)
    copied = sorted(str(p.relative_to(target)) for p in target.rglob("*") if p.is_file())
    assert copied == [
        "leaflet/LICENSE",
        "leaflet/images/layers.png",
        "leaflet/leaflet.css",
        "leaflet/leaflet.js",
    ]


def test_without_any_npm_it_says_what_is_missing_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(vendor, "STAMP", tmp_path / "none")
    monkeypatch.setattr(vendor, "_npm", lambda: None)
    assert vendor.main() == 0
    assert "leaflet" in capsys.readouterr().err


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "forget-demo.sh", tmp_path / "scripts")
    return tmp_path


def _forget(checkout: Path, **env: str) -> subprocess.CompletedProcess[str]:
    script = checkout / "scripts" / "forget-demo.sh"
    environment = {"PATH": os.environ["PATH"], **env}
    return subprocess.run([script], check=False, env=environment, capture_output=True, text=True)


def test_clean_forgets_the_demo(checkout: Path) -> None:
    (checkout / "var" / "demo").mkdir(parents=True)
    (checkout / "var" / "fieldbell.db").touch()
    assert _forget(checkout).returncode == 0
    assert not (checkout / "var").exists()


def test_clean_leaves_a_real_system_alone_unless_forced(checkout: Path) -> None:
    (checkout / "var").mkdir()
    (checkout / "var" / "fieldbell.db").touch()
    assert _forget(checkout).returncode == 1
    assert (checkout / "var" / "fieldbell.db").exists()
    assert _forget(checkout, FORCE="1").returncode == 0
    assert not (checkout / "var").exists()


def test_clean_does_not_take_the_ground_from_a_running_demo(checkout: Path) -> None:
    (checkout / "var" / "demo").mkdir(parents=True)
    (checkout / "var" / "demo" / "run.pid").write_text(str(os.getpid()))
    refused = _forget(checkout)
    assert refused.returncode == 1
    assert "stop it first" in refused.stderr
