"""Small charts drawn on the server as SVG, with their figures as text for those who cannot see."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from flask_babel import gettext as _
from markupsafe import Markup

WIDTH, HEIGHT, PAD = 240, 44, 4
HALF = 70


def sparkline(values: Sequence[Decimal | int], label: str = "") -> Markup:
    """The course of a value, oldest first; the last point is marked."""
    figures = [float(value) for value in values]
    if len(figures) < 2:
        return Markup("")
    low, high = min(0.0, *figures), max(figures)
    reach = (high - low) or 1.0
    step = (WIDTH - 2 * PAD) / (len(figures) - 1)
    points = [
        (PAD + i * step, HEIGHT - PAD - (v - low) / reach * (HEIGHT - 2 * PAD))
        for i, v in enumerate(figures)
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    text = label or _("Course: %(values)s", values=", ".join(f"{v:g}" for v in figures))
    return Markup(
        '<svg class="spark" viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">'
        '<polyline points="{}"/><circle cx="{:.1f}" cy="{:.1f}" r="3"/></svg>'
    ).format(WIDTH, HEIGHT, WIDTH, HEIGHT, text, path, *points[-1])


def places(east_m: float, north_m: float, accuracy_m: float | None, text: str) -> Markup:
    """Where the reading was taken, as metres from the premise in the middle; north is up."""
    reach = max(abs(east_m), abs(north_m), accuracy_m or 0.0, 20.0) * 1.25
    scale = HALF / reach
    x, y = HALF + east_m * scale, HALF - north_m * scale
    around = max((accuracy_m or 0.0) * scale, 1.0)
    return Markup(
        '<svg class="places" viewBox="0 0 {} {}" role="img" aria-label="{}">'
        '<circle class="sure" cx="{:.1f}" cy="{:.1f}" r="{:.1f}"/>'
        '<line x1="{}" y1="{}" x2="{:.1f}" y2="{:.1f}"/>'
        '<path d="M{} {}l7 6v9h-14v-9z"/><circle class="here" cx="{:.1f}" cy="{:.1f}" r="5"/></svg>'
    ).format(2 * HALF, 2 * HALF, text, x, y, around, HALF, HALF, x, y, HALF, HALF - 8, x, y)


def years(months: Sequence[tuple[str, Decimal | None, Decimal | None]]) -> Markup:
    """Bars of use by month, last year beside this: (month, last year, this year)."""
    figures = [float(v) for _month, a, b in months for v in (a, b) if v is not None]
    if not figures:
        return Markup("")
    top = max(figures) or 1.0
    slot, bars, height = 40, [], 96
    for i, (month, last, this) in enumerate(months):
        for offset, value, kind in ((6, last, "last"), (20, this, "this")):
            if value is not None:
                tall = max(float(value) / top * height, 1.0)
                bars.append(
                    Markup(
                        '<rect class="{}" x="{}" y="{:.1f}" width="12" height="{:.1f}">'
                        "<title>{} {:f}</title></rect>"
                    ).format(
                        kind, i * slot + offset, height - tall + 4, tall, month, value.normalize()
                    )
                )
        bars.append(
            Markup('<text x="{}" y="118">{}</text>').format(i * slot + slot // 2 - 1, month)
        )
    width = slot * len(months)
    return Markup(
        '<svg class="years" viewBox="0 0 {} 124" role="img" aria-label="{}">{}</svg>'
    ).format(width, _("Use by month, last year and this year"), Markup("").join(bars))
