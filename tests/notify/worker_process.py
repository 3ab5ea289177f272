"""A worker's gateways as a process of its own, with short leases, to be killed at any moment."""

from __future__ import annotations

import sys
import threading

from config.settings import Settings
from server.app import create_app
from server.notify.dispatch import run_gateways, runner, watch

if __name__ == "__main__":
    runner.LEASE_SECONDS = 1.0
    watch.RENEW_SECONDS = 0.3
    settings = Settings(
        database_url=sys.argv[1], secret_key="a key that only tests know, long enough"
    )
    run_gateways(create_app(settings), threading.Event(), only_simulated=True)
