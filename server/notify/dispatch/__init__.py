"""The worker's part of notices: own a bind, claim what is queued, store what comes back.

`Gateways(app)` starts one runner for every enabled gateway and stops them again; `run_gateways`
does the same until an event is set.
"""

from __future__ import annotations

from server.notify.dispatch.gateways import Gateways, run_gateways

__all__ = ["Gateways", "run_gateways"]
