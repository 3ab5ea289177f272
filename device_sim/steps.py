"""The steps of a device between which its battery may be pulled.

Store, witness, link and syncer call ``step("name")`` at every point where a power cut would leave
something half done. Normally nothing happens; ``device_sim.torture`` puts its own function there.
"""

from __future__ import annotations

from collections.abc import Callable

Step = Callable[[str], None]


def pass_by(_name: str) -> None:
    """Go on: nobody pulls the battery."""
