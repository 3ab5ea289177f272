"""The notices that exist: one table of what each is about, how urgent it is and what its text may say.

`delivery` decides about a text that may or may not have been sent when a connection broke:
`at_least_once` sends it once more, flagged as a possible duplicate; `at_most_once` leaves it alone.
Where an event does not say so itself, its category decides about priority and delivery.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from server.errors import Invalid
from server.notify.rules.categories import DeliveryClass, category

# How a value is written in a text; see `templates.write`.
Kind = Literal["text", "money", "quantity", "date", "month"]

LANGUAGES = ("zh_Hans", "en")


@dataclass(frozen=True)
class Event:
    """One kind of notice. A lower `priority` leaves first; `variables` are declared with their kind.

    A template must name the `required` ones. `free` marks a text that somebody wrote: its notice may name another category.
    """

    name: str
    category: str
    priority: int
    delivery: DeliveryClass
    variables: Mapping[str, Kind]
    free: bool = False
    required: frozenset[str] = frozenset()


def _service(name: str, of: str, *variables: str, **kinds: Kind) -> Event:
    """An event as urgent as its category; its variables are texts, beside the operator's name."""
    kind = category(of)
    names: dict[str, Kind] = {**dict.fromkeys(("co", *variables), "text"), **kinds}
    return Event(name, of, kind.priority, kind.delivery, names)


def _free(name: str, of: str) -> Event:
    """A text without a template."""
    kind = category(of)
    return Event(
        name, of, kind.priority, kind.delivery, {"text": "text"}, True, frozenset({"text"})
    )


EVENTS: Mapping[str, Event] = {
    event.name: event
    for event in (
        Event(
            "bill.issued",
            category="bill",
            priority=50,
            delivery="at_least_once",
            variables={
                "co": "text",
                "no": "text",
                "m": "month",
                "kwh": "quantity",
                "amt": "money",
                "bal": "money",
                "due": "date",
            },
            required=frozenset({"no", "amt"}),
        ),
        Event(
            "payment.received",
            category="bill",
            priority=48,
            delivery="at_most_once",
            variables={"co": "text", "no": "text", "amt": "money", "bal": "money"},
            required=frozenset({"no", "amt"}),
        ),
        Event(
            "balance.low",
            category="bill",
            priority=47,
            delivery="at_least_once",
            variables={"co": "text", "no": "text", "bal": "money", "limit": "money"},
            required=frozenset({"no", "bal"}),
        ),
        Event(
            "balance.share",
            category="bill",
            priority=47,
            delivery="at_least_once",
            variables={"co": "text", "no": "text", "rest": "money", "pct": "text"},
            required=frozenset({"no", "rest"}),
        ),
        Event(
            "balance.days",
            category="bill",
            priority=47,
            delivery="at_least_once",
            variables={"co": "text", "no": "text", "rest": "money", "days": "text"},
            required=frozenset({"no", "rest"}),
        ),
        Event(
            "dues.reminder",
            category="dues",
            priority=52,
            delivery="at_least_once",
            variables={"co": "text", "no": "text", "amt": "money", "due": "date"},
            required=frozenset({"no", "amt"}),
        ),
        *(
            Event(
                name,
                category="dues",
                priority=46,
                delivery="at_least_once",
                variables={
                    "co": "text",
                    "no": "text",
                    "amt": "money",
                    "d": "text",
                    "fee": "money",
                    "date": "date",
                },
                required=frozenset({"no", "amt", "date"}),
            )
            for name in ("dues.demand", "dues.cut_notice")
        ),
        Event(
            "device.silent",
            category="staff",
            priority=60,
            delivery="at_most_once",
            variables={"co": "text", "device": "text", "hours": "text", "unsent": "text"},
        ),
        Event(
            "device.gap",
            category="staff",
            priority=60,
            delivery="at_most_once",
            variables={"co": "text", "device": "text", "items": "text"},
        ),
        _service("outage.planned", "outage", "line", "reason", "start", "end", "scope"),
        _service("outage.fault", "outage", "area", "etr"),
        _service("outage.etr", "outage", "area", "etr", "why"),
        _service("outage.restored", "outage", "area", "at"),
        _free("operator.text", "service"),  # a person wrote it in the console
        _free("message.free", "service"),  # another system handed it in
        _free("message.reply", "reply"),
        _service("reply.balance", "reply", "no", bal="money"),
        _service("reply.balances", "reply", "list"),
        _service("reply.which", "reply", "n", "list", "use"),
        _service("reply.no_account", "reply"),
        _service("reply.help", "reply", "list"),
        _service("reply.stopped", "reply", "what"),
        _service("reply.started", "reply", "what"),
        _service("reply.refused", "reply", "token", "use"),
        _service("reply.failed", "reply"),
        _service("reply.stranger", "reply"),
    )
}

DEFAULT_TEMPLATES: Mapping[tuple[str, str], str] = {
    ("bill.issued", "zh_Hans"): (
        "【{co}】户号{no},{m}月用电{kwh}度,电费{amt}元,余额{bal}元,请于{due}前交费。"
    ),
    ("bill.issued", "en"): (
        "[{co}] Account {no}: {kwh} kWh in {m}, charge {amt}, balance {bal}. Please pay by {due}."
    ),
    ("balance.low", "zh_Hans"): "【{co}】户号{no}余额{bal}元,低于{limit}元,请及时购电。",
    ("balance.low", "en"): ("[{co}] Account {no}: balance {bal} is below {limit}. Please top up."),
    ("balance.share", "zh_Hans"): (
        "【{co}】户号{no}余额约{rest}元,为上次购电的{pct}%,请及时购电。"
    ),
    ("balance.share", "en"): (
        "[{co}] Account {no}: about {rest} left, {pct}% of your last top-up. Please top up."
    ),
    ("balance.days", "zh_Hans"): (
        "【{co}】户号{no}余额约{rest}元,按近日用电约可用{days}天,请及时购电。"
    ),
    ("balance.days", "en"): (
        "[{co}] Account {no}: about {rest} left, enough for {days} days of present use."
        " Please top up."
    ),
    ("payment.received", "zh_Hans"): "【{co}】户号{no}已交费{amt}元,余额{bal}元。谢谢。",
    ("payment.received", "en"): "[{co}] Account {no}: {amt} received, balance {bal}. Thank you.",
    ("dues.reminder", "zh_Hans"): (
        "【{co}】户号{no}电费{amt}元已于{due}到期,请尽快交费。如已交费请忽略。"
    ),
    ("dues.reminder", "en"): (
        "[{co}] Account {no}: {amt} was due on {due}. Please pay soon. Ignore this if you have paid."
    ),
    ("dues.demand", "zh_Hans"): (
        "【{co}】户号{no}欠费{amt}元,逾期{d}天,违约金{fee}元。请于{date}前交清,以免停电。"
    ),
    ("dues.demand", "en"): (
        "[{co}] Account {no} owes {amt}, {d} days overdue, late fee {fee}."
        " Pay by {date} to avoid disconnection."
    ),
    ("dues.cut_notice", "zh_Hans"): (
        "【{co}】户号{no}欠费{amt}元,逾期{d}天,违约金{fee}元。{date}前仍未交清将停电。"
    ),
    ("dues.cut_notice", "en"): (
        "[{co}] Account {no} owes {amt}, {d} days overdue, late fee {fee}."
        " Power will be cut unless it is paid before {date}."
    ),
    (
        "device.silent",
        "zh_Hans",
    ): "【{co}】手持机{device}已{hours}小时未联系,上次未上传{unsent}条,请查看。",
    ("device.silent", "en"): (
        "[{co}] Handheld {device} has been silent for {hours} h; it last held {unsent} unsent."
    ),
    ("device.gap", "zh_Hans"): "【{co}】手持机{device}缺少编号{items}的记录,请核实。",
    ("device.gap", "en"): "[{co}] Handheld {device} has not sent items {items}. Please check.",
    ("outage.planned", "zh_Hans"): "【{co}】{line}因{reason},{start}至{end}停电,范围{scope}。",
    ("outage.planned", "en"): (
        "[{co}] {line}: power off {start} to {end} ({reason}). Affected: {scope}."
    ),
    ("outage.fault", "zh_Hans"): "【{co}】{area}故障停电,抢修中,预计{etr}复电。",
    ("outage.fault", "en"): (
        "[{co}] Power failure in {area}. We are repairing it; expected back by {etr}."
    ),
    ("outage.etr", "zh_Hans"): "【{co}】{area}预计复电时间改为{etr},原因{why}。",
    ("outage.etr", "en"): "[{co}] {area}: power now expected back by {etr} ({why}).",
    ("outage.restored", "zh_Hans"): "【{co}】{area}已于{at}复电,未来电请回复FD。",
    ("outage.restored", "en"): "[{co}] {area}: power is back since {at}. Still off? Reply FD.",
    ("reply.balance", "zh_Hans"): "【{co}】户号{no}余额{bal}元。",
    ("reply.balance", "en"): "[{co}] Account {no}: balance {bal}.",
    ("reply.balances", "zh_Hans"): "【{co}】各户号余额(元):{list}。",
    ("reply.balances", "en"): "[{co}] Balances: {list}.",
    ("reply.which", "zh_Hans"): "【{co}】您有{n}个户号:{list}。请回复:{use}",
    ("reply.which", "en"): "[{co}] You have {n} accounts: {list}. Reply: {use}",
    ("reply.no_account", "zh_Hans"): "【{co}】本手机号名下没有户号。",
    ("reply.no_account", "en"): "[{co}] There is no account under this phone.",
    ("reply.help", "zh_Hans"): "【{co}】可回复:{list}",
    ("reply.help", "en"): "[{co}] You can text: {list}",
    ("reply.stopped", "zh_Hans"): "【{co}】已退订:{what}。恢复请回复“开通”。",
    ("reply.stopped", "en"): "[{co}] You will get no more: {what}. Reply START to get them again.",
    ("reply.started", "zh_Hans"): "【{co}】已开通:{what}。退订请回复TD。",
    ("reply.started", "en"): "[{co}] You will get again: {what}. Reply STOP to end promotions.",
    ("reply.refused", "zh_Hans"): "【{co}】未执行:“{token}”有误。格式:{use}",
    ("reply.refused", "en"): '[{co}] Not done: "{token}" is wrong. Write: {use}',
    ("reply.failed", "zh_Hans"): "【{co}】系统未能处理,未执行任何操作,请稍后再发或致电客服。",
    ("reply.failed", "en"): "[{co}] This failed and nothing was done. Try later or call us.",
    ("reply.stranger", "zh_Hans"): "【{co}】本手机号未登记,请到营业厅登记后使用短信服务。",
    ("reply.stranger", "en"): "[{co}] This phone is not registered with us.",
    **{
        (name, language): "{text}"
        for name in ("operator.text", "message.free", "message.reply")
        for language in LANGUAGES
    },
}


def event(name: str) -> Event:
    """The event `name`. Raises Invalid `notify.unknown_event`."""
    if name not in EVENTS:
        raise Invalid("notify.unknown_event", f"There is no notice {name}.", {"event": name})
    return EVENTS[name]


def language(wanted: str | None) -> str:
    """The language of the templates that serves a contact's language; Chinese when nothing is known."""
    return "en" if (wanted or "").lower().startswith("en") else "zh_Hans"
