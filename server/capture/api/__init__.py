"""The JSON API of captures: readings by office or customer, and the export of what was sent."""

from __future__ import annotations

from server.capture.api import captures, readings

BLUEPRINTS = (readings.blueprint, captures.blueprint)
