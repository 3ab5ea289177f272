"""Texts that have come are carried out: each once, in the order of its sender, effect and answer together."""

from __future__ import annotations

from server.commands.service.batch import MOST, handle, waiting
from server.commands.service.trial import Trial, rehearse

__all__ = ["MOST", "Trial", "handle", "rehearse", "waiting"]
