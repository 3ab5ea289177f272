"""Texts as words and as commands, without a database."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.commands.calls import Sender
from server.commands.rules.grammar import Command, index, nothing, parse
from server.commands.rules.replies import Limits, kept_silent, shortened
from server.commands.rules.words import word, words
from server.commands.table import HANDLERS, KEYWORDS, TABLE, offered
from server.notify.rules.categories import REFUSABLE
from server.notify.rules.events import LANGUAGES

ALL = {"categories": list(REFUSABLE)}
PROMOTIONS = {"categories": ["promotion"]}


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ("余额", "balance", {}),
        (" 余额。 ", "balance", {}),
        ("ye", "balance", {}),
        ("ＹＥ", "balance", {}),
        ("Balance!", "balance", {}),
        ("余\u200b额\ufeff", "balance", {}),
        ("余额 10000001", "balance", {"account_no": "10000001"}),
        ("余额10000001", "balance", {"account_no": "10000001"}),
        ("余额:１０００\u3000", "balance", {"account_no": "1000"}),
        ("查余额，a-0001。", "balance", {"account_no": "A-0001"}),
        ("bal a0001", "balance", {"account_no": "A0001"}),
        ("BAL\nA0001", "balance", {"account_no": "A0001"}),
        ("退订", "stop", PROMOTIONS),
        ("TD", "stop", PROMOTIONS),
        ("ｔｄ", "stop", PROMOTIONS),
        ("T", "stop", PROMOTIONS),
        ("T.", "stop", PROMOTIONS),
        ("Stop!", "stop", PROMOTIONS),
        ("stop all", "stop", ALL),
        ("退订 全部", "stop", ALL),
        ("TD 停电", "stop", {"categories": ["outage"]}),
        ("开通", "start", ALL),
        ("订阅", "start", ALL),
        ("START bills", "start", {"categories": ["bill"]}),
        ("帮助", "help", {}),
        ("help", "help", {}),
        ("?", "help", {}),
        ("？", "help", {}),
    ],
)
def test_it_reads_a_command(text: str, name: str, arguments: dict[str, Any]) -> None:
    parsed = parse(text, KEYWORDS)
    assert parsed is not None
    assert (parsed.command.name, parsed.arguments, parsed.bad) == (name, arguments, None)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "。", "...", "🙂", "你好", "我的余额是多少", "余额是多少", "余额²"),
        *("STOP sending me bills please", "T 恤", "T恤", "TD 1234", "退订了吗", "stopall"),
        *("帮助 我", "help me", "??", "? ?", "1001*5", "10000001", "B A L"),
    ],
)
def test_anything_else_is_no_command(text: str) -> None:
    assert parse(text, KEYWORDS) is None


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("余额 多少", "多少"),
        ("余额 5²", "5²"),
        ("余额 ①", "①"),
        ("BAL A1 A2", "A2"),
        ("余额 *", "*"),
        ("YE 很长很长很长很长很长很长很长", "很长很长很长很长很长很长"),
    ],
)
def test_a_wrong_word_is_named_and_never_guessed(text: str, token: str) -> None:
    parsed = parse(text, KEYWORDS)
    assert parsed is not None
    assert (parsed.command.name, parsed.bad) == ("balance", token)


@given(st.text(max_size=80))
def test_no_text_makes_it_raise(text: str) -> None:
    parsed = parse(text, KEYWORDS)
    assert parsed is None or parsed.command.name in HANDLERS


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40))
def test_full_and_half_width_read_alike(text: str) -> None:
    wide = "".join(chr(ord(char) + 0xFEE0) for char in text)
    assert words(wide) == words(text)
    assert word(wide) == word(text)


@given(st.text("余额退订ab ,。；\u3000\u200b\n", max_size=30))
def test_words_hold_neither_separators_nor_what_nobody_sees(text: str) -> None:
    assert set("".join(words(text))) <= set("余额退订ab")


@pytest.mark.parametrize("char", ["²", "②", "㈡", "Ⅱ", "５⃣"[1:], "٣"])
def test_what_only_looks_like_a_digit_is_none(char: str) -> None:
    parsed = parse(f"余额 1{char}", KEYWORDS)
    assert parsed is not None
    assert parsed.bad is not None


def test_a_keyword_belongs_to_one_command() -> None:
    def command(name: str, *keywords: str) -> Command:
        return Command(name, keywords, nothing, "anyone", {}, {})

    with pytest.raises(ValueError, match="'ＴＤ' is of one and of two"):
        index([command("one", "td"), command("two", "ＴＤ")])
    with pytest.raises(ValueError, match="not one word"):
        index([command("one", "two words")])


def test_every_command_says_how_it_is_written_in_every_language() -> None:
    for command, _ in TABLE:
        assert set(command.use) == set(command.purpose) == set(LANGUAGES)
        for use in command.use.values():
            assert word(words(use)[0]) in KEYWORDS


def test_a_phone_that_is_not_registered_is_offered_no_account_data() -> None:
    names = {command.name for command in offered(Sender("+8612000000001", "en"))}
    assert names == {"stop", "start"}
    known = Sender("+8612000000001", "en", 1, (1,))
    assert {command.name for command in offered(known)} == set(HANDLERS)


@pytest.mark.parametrize(
    ("phone", "answered", "code"),
    [
        ("+8612000000001", 0, None),
        ("+8612000000001", 19, None),
        ("+8612000000001", 20, "commands.reply_limit"),
        ("FIELDBELL", 0, "commands.not_a_phone"),
        ("95598", 0, "commands.not_a_phone"),
        ("", 0, "commands.not_a_phone"),
        ("+8612000000002", 0, "commands.own_number"),
    ],
)
def test_machines_and_the_talkative_get_no_answer(
    phone: str, answered: int, code: str | None
) -> None:
    assert kept_silent(phone, {"+8612000000002"}, answered, Limits()) == code


def test_a_list_is_cut_at_whole_items() -> None:
    assert shortened(["A1", "A2", "A3"], ", ", 10) == "A1, A2, A3"
    assert shortened(["A1", "A2", "A3", "A4"], ", ", 10) == "A1, A2, …"
    assert shortened(["a very long one", "A2"], ", ", 4) == "a very long one, …"
