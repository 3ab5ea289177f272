"""How the centre behaves: every fault and manner is one option, for the command line, JSON and the page."""

from __future__ import annotations

import random
from dataclasses import Field, dataclass, field, fields, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from device_sim.smsc import kinds, wire
from device_sim.smsc.kinds import Kind


class Unreadable(ValueError):
    """A value that an option cannot take; names the option."""


def _option(default: Any, group: str, kind: Kind, text: str, zh: str, name: str = "") -> Any:
    """A field that is an option; `zh` is its short Chinese name on the page."""
    about = {"group": group, "kind": kind, "text": text, "zh": zh, "name": name}
    return field(default=default, metadata=about)


@dataclass(frozen=True)
class Behaviour:
    """Everything that can be set. Replaced as a whole, never changed, so that no PDU sees half a change."""

    # Who may bind, and for which phones; fixed while the centre runs.
    system_id: str = "fieldbell"
    password: str = "fieldbell"  # noqa: S105  # of a simulator that serves no real phone
    first: int = 8612000000000
    last: int = 8612000009999
    accounts: tuple[tuple[str, str], ...] = ()

    delay: tuple[float, float] = _option(
        (0.3, 1.5),
        "receipts",
        kinds.SECONDS,
        "how long a delivery report takes: 1.5, or a range such as 0.5-3",
        "回执延迟（秒）",
        "receipt_delay",
    )
    undeliverable: float = _option(
        0.0, "receipts", kinds.SHARE, "share of segments reported as undeliverable", "报告无法送达"
    )
    receipt_loss: float = _option(
        0.0, "receipts", kinds.SHARE, "share of reports that are never sent", "回执丢失"
    )
    receipt_double: float = _option(
        0.0, "receipts", kinds.SHARE, "share of reports that are sent twice", "回执重复"
    )
    receipt_early: float = _option(
        0.0,
        "receipts",
        kinds.SHARE,
        "share of reports sent before the answer to their submit_sm",
        "回执先于应答",
    )
    receipt_midway: float = _option(
        0.0,
        "receipts",
        kinds.SHARE,
        "share of reports with an ENROUTE report before them",
        "先报在途",
    )
    receipt_unknown: float = _option(
        0.0,
        "receipts",
        kinds.SHARE,
        "share of reports with another one beside them for an id nobody was given",
        "附带未知编号的回执",
    )
    receipt_shuffle: bool = _option(
        False, "receipts", kinds.SWITCH, "reports that are due leave in a random order", "回执乱序"
    )
    receipt_bind: str = _option(
        "any",
        "receipts",
        kinds.choice("any", "same", "other"),
        "the bind of the account a report takes: any in turn, the one that submitted, another one",
        "回执走哪个连接",
    )
    receipt_as: str = _option(
        "deliver_sm",
        "receipts",
        kinds.choice("deliver_sm", "data_sm"),
        "the PDU of reports",
        "回执的协议单元",
    )
    receipt_window: int = _option(
        500,
        "receipts",
        kinds.COUNT,
        "most reports and texts that one bind has not acknowledged",
        "未确认回执上限",
    )
    receipt_again: float = _option(
        10.0,
        "receipts",
        kinds.NUMBER,
        "seconds without an acknowledgement before a report is sent again",
        "未确认多久重发（秒）",
    )
    id_style: str = _option(
        "decimal",
        "ids",
        kinds.choice("decimal", "zeros", "hex", "HEX", "empty"),
        "message ids in answers: decimal, with leading zeros, hexadecimal small or capital, none",
        "应答中的编号",
    )
    receipt_id_style: str = _option(
        "same",
        "ids",
        kinds.choice("same", "decimal", "zeros", "hex", "HEX", "empty", "unknown"),
        "message ids in reports: as in the answer, or a style of their own, or ids nobody was given",
        "回执中的编号",
    )
    receipt_ids: str = _option(
        "both",
        "ids",
        kinds.choice("both", "tlv", "text"),
        "where reports carry their id: in text and optional parameter, or in one of them",
        "编号放在哪里",
    )
    rate: float = _option(
        0.0,
        "pace",
        kinds.NUMBER,
        "submit_sm a second for each account; above it the answer is 0x58 (0: no limit)",
        "限速（条/秒）",
    )
    queue: int = _option(
        0,
        "pace",
        kinds.COUNT,
        "reports owed at most; above it the answer is 0x14, queue full (0: no limit)",
        "队列上限",
    )
    window: int = _option(
        0,
        "pace",
        kinds.COUNT,
        "unanswered submit_sm allowed on one bind; above it the answer is 0x58 (0: no limit)",
        "窗口上限",
    )
    errors: tuple[tuple[int, float], ...] = _option(
        (),
        "errors",
        kinds.STATUSES,
        "statuses by chance, such as 0x08=2%%,0x45=0.01",
        "随机错误",
    )
    refuse: tuple[tuple[str, int], ...] = _option(
        (),
        "errors",
        kinds.REFUSALS,
        "statuses by number, such as 8612000000007=0x0B,86120000001*=0x64",
        "按号码报错",
    )
    answer_delay: tuple[float, float] = _option(
        (0.0, 0.0),
        "answers",
        kinds.SECONDS,
        "seconds before a submit_sm is answered, such as 0.01-0.2",
        "应答延迟（秒）",
    )
    answer_late: float = _option(
        0.0, "answers", kinds.SHARE, "share of submit_sm answered after late_seconds", "迟到的应答"
    )
    late_seconds: float = _option(
        40.0, "answers", kinds.NUMBER, "how late a late answer comes", "迟到多久（秒）"
    )
    answer_never: float = _option(
        0.0, "answers", kinds.SHARE, "share of submit_sm taken but never answered", "永不应答"
    )
    drop: float = _option(
        0.0, "line", kinds.SHARE, "share of submit_sm at which the connection breaks", "断线"
    )
    drop_at: str = _option(
        "any",
        "line",
        kinds.choice("any", "before", "taken", "half", "answered"),
        "when it breaks: before the text is taken, when it is taken but not answered, in the middle "
        "of the answer, after the answer",
        "何时断线",
    )
    pieces: int = _option(
        0, "line", kinds.COUNT, "write so many octets at a time (1: byte by byte; 0: all)", "分片写"
    )
    piece_pause: float = _option(
        0.001, "line", kinds.NUMBER, "seconds between two pieces", "分片间隔（秒）"
    )
    deaf: bool = _option(
        False, "line", kinds.SWITCH, "enquire_link is not answered", "不应答链路查询"
    )
    enquire_every: float = _option(
        30.0,
        "line",
        kinds.NUMBER,
        "seconds of silence before the centre enquires; it hangs up when two go unanswered (0: never)",
        "链路查询间隔（秒）",
    )
    unbind_after: float = _option(
        0.0,
        "line",
        kinds.NUMBER,
        "seconds after which the centre unbinds (0: never)",
        "多久后解绑（秒）",
    )
    bind_status: int = _option(
        0,
        "binds",
        kinds.STATUS,
        "refuse every bind with this status, such as 0x0D, 0x0E or 0x0F (0: none)",
        "拒绝绑定",
    )
    bind_delay: float = _option(
        0.0, "binds", kinds.NUMBER, "seconds before a bind is answered", "绑定应答延迟（秒）"
    )
    binds: int = _option(
        0,
        "binds",
        kinds.COUNT,
        "binds an account may have; one more is refused with 0x0D (0: no limit)",
        "每账号连接数",
    )
    strange_pdus: float = _option(
        0.0,
        "strange",
        kinds.SHARE,
        "share of submit_sm after which an unknown command is sent to the client",
        "未知命令",
    )
    strange_tlvs: bool = _option(
        False,
        "strange",
        kinds.SWITCH,
        "answers, reports and texts carry unknown optional parameters",
        "未知可选参数",
    )
    inbound_as: str = _option(
        "deliver_sm",
        "strange",
        kinds.choice("deliver_sm", "payload", "data_sm"),
        "how texts from phones travel: deliver_sm, its message_payload, or data_sm",
        "手机短信的协议单元",
    )
    seed: int = _option(
        1, "chance", kinds.COUNT, "the start of chance: equal seeds give equal faults", "随机种子"
    )

    @cached_property
    def calm(self) -> bool:
        """Whether nothing can happen to a submit_sm but being taken and answered at once."""
        return not (
            self.rate
            or self.queue
            or self.window
            or self.errors
            or self.refuse
            or self.answer_delay[1]
            or self.answer_late
            or self.answer_never
            or self.drop
            or self.receipt_early
            or self.strange_pdus
            or self.strange_tlvs
        )

    @cached_property
    def calm_reports(self) -> bool:
        """Whether every report is one plain deliver_sm."""
        return self.receipt_as == "deliver_sm" and not (
            self.receipt_midway or self.receipt_double or self.receipt_unknown or self.strange_tlvs
        )

    def serves(self, destination: str) -> bool:
        """Whether a number belongs to one of the simulated phones."""
        digits = destination.removeprefix("+")
        return digits.isascii() and digits.isdigit() and self.first <= int(digits) <= self.last

    def refusal(self, destination: str) -> int:
        """The status the owner of the centre wants for this number, 0 for none."""
        digits = destination.removeprefix("+")
        return next((s for number, s in self.refuse if fnmatchcase(digits, number)), wire.OK)

    def let_in(self, system_id: str, password: str) -> int:
        """The status of a bind with these words."""
        known = {self.system_id: self.password, **dict(self.accounts)}
        if self.bind_status:
            return self.bind_status
        if system_id not in known:
            return wire.INVALID_SYSTEM_ID
        return wire.OK if known[system_id] == password else wire.INVALID_PASSWORD


def options() -> list[Field[Any]]:
    """The fields that can be set while the centre runs."""
    return [found for found in fields(Behaviour) if found.metadata]


def name_of(found: Field[Any]) -> str:
    """The option's name to the outer world."""
    return str(found.metadata["name"] or found.name)


def changed(behaviour: Behaviour, wanted: dict[str, Any]) -> Behaviour:
    """The behaviour with other values, as JSON or words. Raises Unreadable."""
    known = {name_of(found): found for found in options()}
    values = {}
    for name, given in wanted.items():
        if name not in known:
            raise Unreadable(f"{name}: there is no such option")
        try:
            values[known[name].name] = known[name].metadata["kind"].read(given)
        except ValueError as problem:
            raise Unreadable(f"{name}: {problem}") from None
    return replace(behaviour, **values)


def document(behaviour: Behaviour) -> list[dict[str, Any]]:
    """Every option with its value, its standard and what it means, as JSON."""
    return [
        {
            "name": name_of(found),
            "value": kind.show(getattr(behaviour, found.name)),
            "standard": kind.show(found.default),
            "kind": kind.name,
            "choices": list(kind.choices),
            "group": found.metadata["group"],
            "text": found.metadata["text"].replace("%%", "%"),
            "zh": found.metadata["zh"],
        }
        for found in options()
        for kind in [found.metadata["kind"]]
    ]


class Chance:
    """Repeatable chance: each kind of fault draws from a row of its own, so that none disturbs another."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._rows: dict[str, random.Random] = {}

    def row(self, name: str) -> random.Random:
        """The row of one kind of fault."""
        found = self._rows.get(name)
        if found is None:
            found = self._rows[name] = random.Random(f"{self._seed}:{name}")
        return found

    def hit(self, name: str, share: float) -> bool:
        """Whether it happens this time."""
        return share > 0 and self.row(name).random() < share

    def seconds(self, name: str, bounds: tuple[float, float]) -> float:
        """A time between two bounds."""
        low, high = bounds
        return low if low == high else low + (high - low) * self.row(name).random()

    def status(self, statuses: kinds.Statuses) -> int:
        """An error by chance, or 0."""
        if not statuses:
            return wire.OK
        drawn = self.row("errors").random()
        for status, share in statuses:
            if drawn < share:
                return status
            drawn -= share
        return wire.OK

    def fate(self, behaviour: Behaviour) -> tuple[str, float]:
        """What a segment's report will say, and after how many seconds."""
        failed = self.hit("undeliverable", behaviour.undeliverable)
        return ("UNDELIV" if failed else "DELIVRD"), self.seconds("delay", behaviour.delay)
