"""Notices as e-mails: a subject, an empty line, and the text.

An operator may word the e-mail of an event by itself; its templates stand beside the others under the
language with `@mail` behind it, subject first. Without one the subject is that of `SUBJECTS` and the
text is that of the SMS.
"""

from __future__ import annotations

from collections.abc import Mapping

from server.notify.rules.events import LANGUAGES, Event

_MARK = "@mail"
GAP = "\n\n"

SUBJECTS: Mapping[tuple[str, str], str] = {
    ("bill.issued", "zh_Hans"): "{co}:户号{no},{m}月电费账单",
    ("bill.issued", "en"): "{co}: bill of {m}, account {no}",
    ("payment.received", "zh_Hans"): "{co}:户号{no},已收到交费",
    ("payment.received", "en"): "{co}: payment received, account {no}",
    ("dues.reminder", "zh_Hans"): "{co}:户号{no},交费提醒",
    ("dues.reminder", "en"): "{co}: payment reminder, account {no}",
    ("dues.demand", "zh_Hans"): "{co}:户号{no},催费通知",
    ("dues.demand", "en"): "{co}: demand for payment, account {no}",
    ("dues.cut_notice", "zh_Hans"): "{co}:户号{no},停电通知",
    ("dues.cut_notice", "en"): "{co}: notice of disconnection, account {no}",
    ("outage.planned", "zh_Hans"): "{co}:计划停电 {start}",
    ("outage.planned", "en"): "{co}: planned outage {start}",
    ("outage.fault", "zh_Hans"): "{co}:{area}故障停电",
    ("outage.fault", "en"): "{co}: power failure in {area}",
    ("outage.etr", "zh_Hans"): "{co}:{area}预计复电时间变更",
    ("outage.etr", "en"): "{co}: new time of return for {area}",
    ("outage.restored", "zh_Hans"): "{co}:{area}已复电",
    ("outage.restored", "en"): "{co}: power is back in {area}",
    ("device.silent", "zh_Hans"): "{co}:手持机{device}失联",
    ("device.silent", "en"): "{co}: handheld {device} is silent",
    ("device.gap", "zh_Hans"): "{co}:手持机{device}缺少记录",
    ("device.gap", "en"): "{co}: items of handheld {device} are missing",
}


def of(language: str) -> str:
    """The name under which the e-mail of a language is worded."""
    return language + _MARK


def language_of(variant: str) -> str:
    """The language of a wording, whether of texts or of e-mails."""
    return variant.removesuffix(_MARK)


def is_mail(variant: str) -> bool:
    """Whether a wording is one of e-mails."""
    return variant.endswith(_MARK)


VARIANTS = (*LANGUAGES, *(of(language) for language in LANGUAGES))
"""Everything that a notice can be worded for: the texts and the e-mails of each language."""


def derived(event: Event, language: str, text: str) -> str:
    """The e-mail's template where the operator has none: a subject before the template of the text.

    What a person wrote may have a subject of its own: a first line with an empty one behind it.
    """
    subject = SUBJECTS.get((event.name, language), "{co}")
    return f"{subject}{GAP}{text}"


def joined(subject: str, text: str) -> str:
    """A subject, which is one line, and a text as one template."""
    return f"{' '.join(subject.split())}{GAP}{text.strip()}"


def split(body: str) -> tuple[str, str]:
    """Subject and text of an e-mail's template."""
    subject, _, text = body.partition(GAP)
    return subject, text
