"""Waiting for what other threads and processes do: gladly for long, so that a busy machine fails no test."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

# A test that waits for something that comes never pays this; one that waits for what never comes pays it once.
PATIENCE = 60.0


def wait_until(what: Callable[[], Any], seconds: float = PATIENCE, every: float = 0.03) -> Any:
    """Ask again and again until the answer is true, and return it.

    Raises:
        AssertionError: when it has not become true in time.
    """
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(every)
    return found
