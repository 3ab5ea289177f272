"""What usage costs: the lines of a bill, component by component, version by version."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from server.billing.rules.tariff import fast
from server.billing.rules.tariff.blocks import (
    Slice,
    apportion,
    bounds_of,
    slab,
    telescopic,
)
from server.billing.rules.tariff.days import (
    Span,
    months,
    quantity_between,
    season_spans,
    version_spans,
    year_spans,
)
from server.billing.rules.tariff.model import (
    ROUNDING_MODES,
    SIXTH,
    ZERO,
    Charge,
    Line,
    Metered,
    Minimum,
    Percent,
    Rounding,
    Timed,
    Usage,
    Version,
)
from server.billing.rules.tariff.money import line_step, round_line, sum_up
from server.billing.rules.tariff.select import Selection, of
from server.errors import Invalid

_ONE = Decimal(1)


def charge(versions: Sequence[Version], usage: Usage) -> Charge:
    """What a usage costs by the versions of a tariff.

    Raises:
        Invalid: ``tariff.not_valid`` when no version is valid on the last day;
            ``tariff.currencies`` when the currency changes within the period.
    """
    spans = version_spans(versions, usage.after, usage.until)
    last = spans[-1][0].tariff
    chosen = [of(version.tariff, usage.account_class) for version, _, _ in spans]
    if len(spans) == 1 and (plan := chosen[0].plan) is not None:
        quick = fast.charge(plan, spans[0][0], usage)
        if quick is not None:
            return quick
    if any(version.tariff.currency != last.currency for version, _, _ in spans):
        raise Invalid("tariff.currencies", "The currency changes within the period.")
    unit = _ONE if any(selection.is_yearly for selection in chosen) else SIXTH
    step, mode = line_step(last.rounding), ROUNDING_MODES[last.rounding.mode]
    lines: list[Line] = []
    for (version, after, until), selection in zip(spans, chosen, strict=True):
        pricing = _Pricing(
            usage, selection, version.id, after, until, unit, last.rounding, step, mode
        )
        lines += pricing.lines()
    return sum_up(lines, last.rounding, last.currency)


def registers_of(
    versions: Sequence[Version], after: date, until: date, account_class: str | None
) -> frozenset[str] | None:
    """The registers that these days are charged for; None when nothing is charged at all.

    Raises:
        Invalid: ``tariff.not_valid`` when no version is valid on the last day.
    """
    spans = version_spans(versions, after, until)
    chosen = [of(version.tariff, account_class) for version, _, _ in spans]
    if len(chosen) == 1:
        return chosen[0].registers or None
    return frozenset().union(*(selection.registers for selection in chosen)) or None


@dataclass(slots=True)
class _Pricing:
    """One version at work on its days of a usage."""

    usage: Usage
    selection: Selection
    version: int | None
    after: date
    until: date
    unit: Decimal
    rounding: Rounding
    step: Decimal
    mode: str

    def lines(self) -> list[Line]:
        """The lines of every component, in the order of the tariff."""
        found: list[Line] = []
        for component in self.selection.components:
            match component:
                case Metered():
                    found += self._metered(component)
                case Timed():
                    found += self._timed(component)
                case Percent():
                    found += self._percent(component, found)
                case Minimum():
                    found += self._minimum(component, found)
        return found

    # --- by quantity ----------------------------------------------------------------------

    def _metered(self, component: Metered) -> list[Line]:
        registers = component.registers
        if not [part for part in self.usage.parts if part.register in registers]:
            return []
        is_counted = component.code in self.selection.counted
        lines: list[Line] = []
        for after, until in self._seasons(component.season):
            if component.is_yearly or is_counted:
                for start, end, year in year_spans(after, until):
                    counted = year if is_counted else None
                    lines += self._tiers(component, start, end, counted)
            else:
                lines += self._tiers(component, after, until, None)
        return lines

    def _seasons(self, season: str | None) -> list[Span]:
        if season is None:
            return [(self.after, self.until)]
        return season_spans(self.selection.seasons[season], self.after, self.until)

    def _tiers(
        self, component: Metered, after: date, until: date, year: int | None
    ) -> Iterable[Line]:
        quantity = self._between(component.registers, after, until)
        before = self._before(component, after, until) if component.is_yearly else ZERO
        bounds = bounds_of(component, self.usage, after, until)
        if component.block_kind == "slab":
            slices = slab(component.tiers, bounds, quantity)
        else:
            slices = telescopic(component.tiers, bounds, before, quantity)
        days = (until - after).days
        for each, register, part in self._by_register(component, slices, after, until):
            yield self._line(
                component, part, _price_of(each, register), register, year, each.before, days
            )
        yield from self._flat(component, slices, after, until)

    def _before(self, component: Metered, after: date, until: date) -> Decimal:
        """What the year had used before a span: before the period, and in it so far."""
        year = until.year
        start = max(self.usage.after, date(year - 1, 12, 31))
        used = self.usage.year_to_date.get(year, ZERO)
        if start == after:
            return used
        return used + self._between(component.registers, start, after)

    def _between(self, registers: Sequence[str], after: date, until: date) -> Decimal:
        if until is self.usage.until and after is self.usage.after:
            return sum((p.quantity for p in self.usage.parts if p.register in registers), ZERO)
        return quantity_between(self.usage, registers, after, until, self.unit)

    def _by_register(
        self, component: Metered, slices: Sequence[Slice], after: date, until: date
    ) -> Sequence[tuple[Slice, str, Decimal]]:
        if not component.tiers[0].prices:
            kind = component.register_kind
            return [(each, kind, each.quantity) for each in slices]
        counted = [
            (register, self._between((register,), after, until))
            for register in component.registers
            if any(part.register == register for part in self.usage.parts)
        ]
        return apportion(slices, counted)

    def _flat(
        self, component: Metered, slices: Sequence[Slice], after: date, until: date
    ) -> Iterable[Line]:
        """The flat amounts of the tiers that were reached, for the span's share of the time."""
        for each in slices if component.has_flat else ():
            if each.tier.amount is not None:
                times = self._times(component, after, until)
                yield self._line(
                    component,
                    times,
                    each.tier.amount,
                    component.register_kind,
                    None,
                    ZERO,
                    (until - after).days,
                )

    def _times(self, component: Metered, after: date, until: date) -> Decimal:
        if component.basis == "period":
            return self._share(after, until)
        start, end = (after - self.usage.after).days, (until - self.usage.after).days
        first, last = (_sixth(days / component.normal_days) for days in map(Decimal, (start, end)))
        return last - first

    # --- by time --------------------------------------------------------------------------

    def _timed(self, component: Timed) -> Iterable[Line]:
        for after, until in self._seasons(component.season):
            count = self._count(component.per, component.part_months, after, until)
            if count:
                days = (until - after).days
                yield self._line(component, count, component.price, None, None, ZERO, days)

    def _count(self, per: str, part_months: str, after: date, until: date) -> Decimal:
        """How many days, months or periods a span has."""
        if per == "day":
            return Decimal((until - after).days)
        if per == "period":
            return self._share(after, until)
        start = self.usage.after
        return _sixth(months(start, until, part_months)) - _sixth(months(start, after, part_months))

    def _share(self, after: date, until: date) -> Decimal:
        """Which part of the period a span is; the parts of a period add up to one."""
        whole = self.usage.days
        if (until - after).days == whole:
            return _ONE
        first, last = (
            _sixth(Decimal((day - self.usage.after).days) / whole) for day in (after, until)
        )
        return last - first

    # --- by amount ------------------------------------------------------------------------

    def _percent(self, component: Percent, lines: Sequence[Line]) -> Iterable[Line]:
        bases = [line for line in lines if line.component in component.of]
        days = (self.until - self.after).days
        if component.each_line:
            amounts = [self._value(line) for line in bases]
        else:
            amounts = [sum(map(self._value, bases), ZERO)] if bases else []
        for amount in amounts:
            base = amount.quantize(SIXTH, ROUNDING_MODES[self.rounding.mode])
            yield self._line(component, base, component.rate, None, None, ZERO, days)

    def _minimum(self, component: Minimum, lines: Sequence[Line]) -> Iterable[Line]:
        """What is missing to the minimum; a credit is not eaten up by it."""
        charged = sum((self._value(li) for li in lines if li.component in component.of), ZERO)
        count = self._count(component.per, component.part_months, self.after, self.until)
        least = round_line(component.amount * count, self.rounding)
        missing = _sixth(least - max(charged, ZERO))
        if missing > 0:
            days = (self.until - self.after).days
            yield self._line(component, _ONE, missing, None, None, ZERO, days)

    def _value(self, line: Line) -> Decimal:
        return line.amount if self.rounding.lines_first else line.quantity * line.price

    def _line(
        self,
        component: Metered | Timed | Percent | Minimum,
        quantity: Decimal,
        price: Decimal,
        register: str | None,
        year: int | None,
        before: Decimal,
        days: int,
    ) -> Line:
        amount = (quantity * price).quantize(self.step, self.mode)
        return Line(
            component.code,
            component.kind,
            register,
            year,
            quantity,
            price,
            amount,
            before,
            self.version,
            days,
        )


def _price_of(each: Slice, register: str) -> Decimal:
    """The price of a tier for a register; a flat amount is a line of its own."""
    if each.tier.prices:
        return dict(each.tier.prices)[register]
    return ZERO if each.tier.price is None else each.tier.price


def _sixth(value: Decimal) -> Decimal:
    return value.quantize(SIXTH)
