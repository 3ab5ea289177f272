"""Texts that have come are carried out: each once, in the order of its sender, effect and answer together."""

from __future__ import annotations

from server.commands.service.handle import handle, waiting
from server.commands.service.rehearse import Trial, rehearse

__all__ = ["Trial", "handle", "rehearse", "waiting"]
