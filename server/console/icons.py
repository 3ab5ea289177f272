"""The icons of the rail: strokes on a 20-unit square, drawn in the colour of the text."""

from __future__ import annotations

from flask import Flask
from markupsafe import Markup

SHAPES = {
    "today": '<circle cx="10" cy="10" r="7"/><path d="M10 6v4l3 2"/>',
    "map": '<path d="M3 5l5-2 4 2 5-2v12l-5 2-4-2-5 2zM8 3v12M12 5v12"/>',
    "review": '<path d="M3 11l2.500-7h9l2.500 7v5H3zM3 11h4.500l1 2h3l1-2H17"/>',
    "readings": '<path d="M4 15a7.500 7.500 0 1 1 12 0M10 12l3.500-4.500"/><circle cx="10" cy="12" r="1"/>',
    "routes": '<circle cx="5" cy="15" r="2"/><circle cx="15" cy="5" r="2"/><path d="M7 15h5a3 3 0 0 0 0-6H8a2 2 0 0 1 0-4h5"/>',
    "accounts": '<circle cx="10" cy="7" r="3.200"/><path d="M3.500 17a6.500 6.500 0 0 1 13 0"/>',
    "bills": '<path d="M5 2.500h10v15l-2.500-1.500-2.500 1.500-2.500-1.500L5 17.500zM8 7h4M8 10.500h4"/>',
    "dues": '<rect x="2.500" y="5" width="15" height="10" rx="1.500"/><circle cx="10" cy="10" r="2.300"/><path d="M5.500 8v4M14.500 8v4"/>',
    "messages": '<path d="M3 4h14v10H9l-4 3v-3H3z"/>',
    "devices": '<rect x="5.500" y="2.500" width="9" height="15" rx="1.500"/><path d="M9 15h2"/>',
    "staff": '<circle cx="7.500" cy="7.500" r="2.500"/><path d="M2.500 16a5 5 0 0 1 10 0M13 5.200a2.500 2.500 0 0 1 0 4.600M14.500 12a5 5 0 0 1 3 4"/>',
    "settings": '<path d="M3 6h8M15 6h2M3 14h2M9 14h8"/><circle cx="13" cy="6" r="2"/><circle cx="7" cy="14" r="2"/>',
    "more": '<path d="M3 6h14M3 10h14M3 14h14"/>',
    "search": '<circle cx="9" cy="9" r="5"/><path d="M13 13l4 4"/>',
    "bell": '<path d="M5 14V9a5 5 0 0 1 10 0v5l1.500 1.500h-13zM8.500 17.500h3"/>',
    "warn": '<path d="M10 3l8 14H2zM10 8v4M10 14.300v.400"/>',
    "ok": '<circle cx="10" cy="10" r="7"/><path d="M6.500 10.200l2.500 2.500 4.500-5"/>',
    "back": '<path d="M12 4l-6 6 6 6"/>',
}


def register(app: Flask) -> None:
    """Give the templates ``icon(name)``."""
    app.jinja_env.globals["icon"] = icon


def icon(name: str) -> Markup:
    """One icon; it says nothing to a screen reader, the word beside it does."""
    return Markup(  # noqa: S704 - our own shapes
        f'<svg class="icon" viewBox="0 0 20 20" aria-hidden="true">{SHAPES[name]}</svg>'
    )
