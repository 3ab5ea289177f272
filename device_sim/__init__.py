"""Strangers that speak to Fieldbell the way the field does: handhelds, a fleet, bad links, an SMSC.

Nothing here imports the server: devices speak HTTP, SMPP and serial, and hold their own state. Run
``python -m device_sim --help`` for the commands. The person and the walk are drawn from one seed; the
ids of captured items are always random, as on real devices, so that a second run never repeats one.
"""

from __future__ import annotations

APP_VERSION = "sim-1.0"
