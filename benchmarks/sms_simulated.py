"""The project's own simulated SMS centre as the one that measurements send to."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.sms_peer import ROOT, Missing

NAME = "device_sim smsc"
_START_SECONDS = 20.0


class Centre:
    """The simulated centre in its quiet mode: its port and its books."""

    def __init__(self, port: int, http: int) -> None:
        self.port = port
        self._http = http

    def ask(self, command: str = "count") -> dict[str, Any]:
        """The figures, named as those of the other centre; `books` counts doubles too."""
        name = "tally" if command == "books" else "counts"
        url = f"http://127.0.0.1:{self._http}/{name}.json"
        with urllib.request.urlopen(url, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
        return {
            **found,
            "texts": found.get("distinct", 0),
            "doubles": found.get("doubled", 0),
        }


@contextmanager
def centre(folder: Path, *, reports: bool, more: Sequence[str] = ()) -> Iterator[Centre]:
    """A quiet centre on free ports that serves every number of a measurement; `more` are further options.

    Raises Missing.
    """
    port, http = _free_port(), _free_port()
    command = [
        *(sys.executable, "-m", "device_sim", "smsc", "--quiet", "--receipt-delay", "0"),
        *("--port", str(port), "--http", str(http), "--range", "8612000000000-8612999999999"),
        *(() if reports else ("--receipt-loss", "100%")),
        *more,
    ]
    with (folder / "smsc.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        try:
            made = Centre(port, http)
            _wait(made)
            yield made
        finally:
            process.kill()
            process.wait()


def _wait(made: Centre) -> None:
    end = time.monotonic() + _START_SECONDS
    while True:
        try:
            made.ask()
        except OSError:
            if time.monotonic() > end:
                raise Missing("The simulated SMS centre does not answer.") from None
            time.sleep(0.1)
        else:
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
