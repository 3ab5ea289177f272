"""The rules of dues as data: what an operator may set, and the reading of it with every mistake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from server.dues.rules.allocate import ORDERS, Order
from server.dues.rules.ladder import DEFAULT_LADDERS, Ladder, Step, unlawful
from server.dues.rules.late_fee import CARRYOVERS, LateFeeRules, Rates
from server.errors import Invalid

EVENTS = ("dues.reminder", "dues.demand", "dues.cut_notice")


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything that dues decides by the operator's own rules.

    A refund above ``refund_limit``, and a till whose difference is above ``till_limit``, needs a
    second person.
    """

    late_fee: LateFeeRules = field(default_factory=LateFeeRules)
    allocation: Order = "fee_first"
    refund_limit: Decimal = Decimal(200)
    till_limit: Decimal = Decimal(10)
    ladders: Mapping[str, Ladder] = field(default_factory=lambda: DEFAULT_LADDERS)

    def ladder(self, account_class: str) -> Ladder:
        """The ladder of a class of accounts."""
        return self.ladders.get(account_class) or self.ladders["default"]


def parse(definition: Mapping[str, Any]) -> Rules:
    """The rules in a definition; what it leaves out stays as it is by default.

    Raises:
        Invalid: ``dues.bad_rules`` with every problem.
    """
    reader = _Reader(definition)
    rules = reader.rules()
    if reader.problems:
        listed = reader.problems
        raise Invalid("dues.bad_rules", f"{'; '.join(listed)}.", {"problems": listed})
    return rules


class _Reader:
    """Reads a definition and collects what is wrong with it."""

    def __init__(self, definition: Mapping[str, Any]) -> None:
        self.problems: list[str] = []
        self.given = self._group("the rules", definition)
        known = {"late_fee", "allocation", "refund_limit", "till_limit", "ladders"}
        self._unknown("the rules", self.given, known)

    def rules(self) -> Rules:
        usual = Rules()
        order = self.given.get("allocation", usual.allocation)
        if order not in ORDERS:
            self.problems.append(f"allocation must be one of {', '.join(ORDERS)}")
        return Rules(
            late_fee=self._late_fee(),
            allocation=order,
            refund_limit=self._number("refund_limit", self.given, usual.refund_limit),
            till_limit=self._number("till_limit", self.given, usual.till_limit),
            ladders=self._ladders(),
        )

    def _late_fee(self) -> LateFeeRules:
        usual = LateFeeRules()
        given = self._group("late_fee", self.given.get("late_fee", {}))
        self._unknown("late_fee", given, {"classes", "carryover", "minimum", "places"})
        carryover = given.get("carryover", usual.carryover)
        if carryover not in CARRYOVERS:
            self.problems.append(f"late_fee.carryover must be one of {', '.join(CARRYOVERS)}")
        places = given.get("places", usual.places)
        if places not in (0, 1, 2, 3, 4):
            self.problems.append("late_fee.places must be 0 to 4")
        classes = {"default": usual.default, **usual.by_class}
        for name, rates in self._group("late_fee.classes", given.get("classes", {})).items():
            classes[str(name)] = self._rates(str(name), rates)
        default = classes.pop("default")
        minimum = self._number("minimum", given, usual.minimum, "late_fee.")
        return LateFeeRules(default, classes, carryover, minimum, places)

    def _rates(self, name: str, given: Any) -> Rates:
        rates = self._group(f"late_fee.classes.{name}", given)
        where = f"late_fee.classes.{name}."
        current = self._number("current", rates, Decimal(0), where)
        carried = self._number("carried", rates, current, where)
        if max(current, carried) > Decimal("0.1"):
            self.problems.append(f"{where}current is the part for one day, such as 0.002")
        if carried < current:
            self.problems.append(f"{where}carried must not be below current")
        return Rates(current, carried)

    def _ladders(self) -> dict[str, Ladder]:
        ladders = dict(DEFAULT_LADDERS)
        for name, given in self._group("ladders", self.given.get("ladders", {})).items():
            ladders[str(name)] = self._ladder(str(name), given)
        return ladders

    def _ladder(self, name: str, given: Any) -> Ladder:
        where = f"ladders.{name}"
        group = self._group(where, given)
        self._unknown(where, group, {"steps", "least", "last_notice_hours"})
        listed = group.get("steps", [])
        if not isinstance(listed, list):
            self.problems.append(f"{where}.steps must be a list")
            listed = []
        steps = tuple(self._step(f"{where}.steps[{n}]", one) for n, one in enumerate(listed))
        if len({step.name for step in steps}) < len(steps):
            self.problems.append(f"{where}: two steps have the same name")
        else:
            self.problems += [f"{where}: {problem}" for problem in unlawful(name, steps)]
        hours = group.get("last_notice_hours")
        if hours is not None and (not isinstance(hours, int) or not 1 <= hours <= 48):
            self.problems.append(f"{where}.last_notice_hours must be 1 to 48")
        return Ladder(steps, self._number("least", group, Decimal(0), f"{where}."), hours)

    def _step(self, where: str, given: Any) -> Step:
        group = self._group(where, given)
        self._unknown(where, group, {"name", "kind", "after_due", "wait", "event", "notice_days"})
        name, kind = str(group.get("name", ""))[:24], group.get("kind", "notice")
        if not name:
            self.problems.append(f"{where}.name is missing")
        if kind not in ("notice", "proposal"):
            self.problems.append(f"{where}.kind must be notice or proposal")
        event = group.get("event")
        if kind == "notice" and event not in EVENTS:
            self.problems.append(f"{where}.event must be one of {', '.join(EVENTS)}")
        notice_days = group.get("notice_days")
        if event == "dues.cut_notice" and notice_days is None:
            self.problems.append(f"{where}.notice_days is missing")
        days = [self._days(where, key, group.get(key, 0)) for key in ("after_due", "wait")]
        if notice_days is not None:
            notice_days = self._days(where, "notice_days", notice_days)
        return Step(name, kind, days[0], days[1], event, notice_days)

    def _days(self, where: str, key: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 3650:
            self.problems.append(f"{where}.{key} must be a number of days")
            return 0
        return value

    def _number(self, key: str, given: Mapping[str, Any], usual: Decimal, of: str = "") -> Decimal:
        if key not in given:
            return usual
        try:
            number = Decimal(str(given[key]))
        except InvalidOperation:
            number = Decimal(-1)
        if not number.is_finite() or number < 0:
            self.problems.append(f"{of}{key} must be a number of 0 or more")
            return usual
        return number

    def _group(self, where: str, given: Any) -> Mapping[str, Any]:
        if isinstance(given, Mapping):
            return given
        self.problems.append(f"{where} must be a group of names and values")
        return {}

    def _unknown(self, where: str, given: Mapping[str, Any], known: set[str]) -> None:
        self.problems += [f"{where}: {key} is not known" for key in sorted(set(given) - known)]
