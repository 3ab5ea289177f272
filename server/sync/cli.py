"""Commands of the sync: serve handhelds in serial cradles."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from types import FrameType

import click
from flask.cli import ScriptInfo

from server import logs
from server.sync import cradle
from server.terminal import command, settings


@click.group("sync")
def sync_group() -> None:
    """Serve handhelds by other ways than the network."""


@command("cradle")
@click.option(
    "--port", "ports", required=True, multiple=True, help="A serial port; may be given repeatedly."
)
@click.option("--baud", default=cradle.BAUD, show_default=True, help="Speed of the ports.")
def cradle_command(ports: tuple[str, ...], baud: int) -> None:
    """Serve the handhelds in serial cradles until Ctrl-C or SIGTERM; docs/serial.md says how."""
    logs.to_stdout(settings().log_level)
    stop = threading.Event()

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    app = click.get_current_context().ensure_object(ScriptInfo).load_app()
    # A thread per port begins without a request or application of its own.
    with ThreadPoolExecutor(len(ports), "cradle") as pool:
        served = [pool.submit(cradle.serve_port, app, port, baud, stop) for port in ports]
        wait(served, return_when=FIRST_COMPLETED)
        stop.set()
        for port in served:
            port.result()


sync_group.add_command(cradle_command)
