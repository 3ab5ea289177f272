"""Cutting texts: checked with a decoder that shares nothing with the encoder."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import Invalid
from server.notify.rules import segments
from server.notify.rules.segments import split

# 3GPP TS 23.038 by Unicode names, in the order of the septets; an independent copy of the alphabet.
_NAMES = {
    0x00: "COMMERCIAL AT",
    0x02: "DOLLAR SIGN",
    0x09: "LATIN CAPITAL LETTER C WITH CEDILLA",
    0x10: "GREEK CAPITAL LETTER DELTA",
    0x11: "LOW LINE",
    0x1E: "LATIN SMALL LETTER SHARP S",
    0x24: "CURRENCY SIGN",
    0x40: "INVERTED EXCLAMATION MARK",
    0x5E: "LATIN CAPITAL LETTER U WITH DIAERESIS",
    0x5F: "SECTION SIGN",
    0x60: "INVERTED QUESTION MARK",
    0x7F: "LATIN SMALL LETTER A WITH GRAVE",
}
_EXTENSION_NAMES: dict[int, str | None] = {
    0x0A: None,
    0x14: "CIRCUMFLEX ACCENT",
    0x28: "LEFT CURLY BRACKET",
    0x29: "RIGHT CURLY BRACKET",
    0x2F: "REVERSE SOLIDUS",
    0x3C: "LEFT SQUARE BRACKET",
    0x3D: "TILDE",
    0x3E: "RIGHT SQUARE BRACKET",
    0x40: "VERTICAL LINE",
    0x65: "EURO SIGN",
}
_LINES = (
    "@ £ $ ¥ è é ù ì ò Ç \n Ø ø \r Å å",
    "Δ _ Φ Γ Λ Ω Π Ψ Σ Θ Ξ ESC Æ æ ß É",
    "SP ! \" # ¤ % & ' ( ) * + , - . /",
    "0 1 2 3 4 5 6 7 8 9 : ; < = > ?",
    "¡ A B C D E F G H I J K L M N O",
    "P Q R S T U V W X Y Z Ä Ö Ñ Ü §",
    "¿ a b c d e f g h i j k l m n o",
    "p q r s t u v w x y z ä ö ñ ü à",
)
_TABLE = [{"SP": " ", "ESC": ""}.get(cell, cell) for line in _LINES for cell in line.split(" ")]

GSM_TEXT = st.text(alphabet=[char for char in _TABLE if char] + list("^{}\\[~]|€\f"), max_size=700)
ANY_TEXT = st.text(
    alphabet=st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from("用电量余额😀👨‍👩‍👧🇨🇳é́€{}"),
    ),
    max_size=400,
)


def decode_gsm(octets: bytes) -> str:
    out, at = [], 0
    while at < len(octets):
        if octets[at] == 0x1B:
            name = _EXTENSION_NAMES[octets[at + 1]]
            out.append("\f" if name is None else unicodedata.lookup(name))
            at += 2
        else:
            out.append(_TABLE[octets[at]])
            at += 1
    return "".join(out)


def decode(part: str, encoding: segments.Encoding) -> str:
    octets = segments.encode(part, encoding)
    return decode_gsm(octets) if encoding == "gsm7" else octets.decode("utf-16-be")


def test_the_alphabet_is_the_standards() -> None:
    assert len(_TABLE) == 128
    for code, name in _NAMES.items():
        assert segments.encode(unicodedata.lookup(name), "gsm7") == bytes([code])
    for code, extension in _EXTENSION_NAMES.items():
        char = "\f" if extension is None else unicodedata.lookup(extension)
        assert segments.encode(char, "gsm7") == bytes([0x1B, code])


@given(GSM_TEXT)
def test_gsm_texts_come_back_whole_within_160_and_153(text: str) -> None:
    cut = split(text, maximum=100)
    assert cut.encoding == "gsm7"
    assert "".join(decode(part, "gsm7") for part in cut.parts) == text
    sizes = [len(segments.encode(part, "gsm7")) for part in cut.parts]
    assert sizes[0] <= 160 if len(sizes) == 1 else max(sizes) <= 153
    assert (cut.count == 1) == (len(segments.encode(text, "gsm7")) <= 160)


@given(ANY_TEXT)
def test_any_text_comes_back_whole_within_its_limits(text: str) -> None:
    cut = split(text, maximum=100)
    assert "".join(decode(part, cut.encoding) for part in cut.parts) == text
    sizes = [len(segments.encode(part, cut.encoding)) for part in cut.parts]
    alone, joined = (160, 153) if cut.encoding == "gsm7" else (140, 134)
    assert sizes[0] <= alone if len(sizes) == 1 else max(sizes) <= joined


@given(GSM_TEXT, st.sampled_from([8, 16]))
def test_no_segment_ends_in_an_escape(text: str, bits: int) -> None:
    for part in split(text, reference_bits=bits, maximum=100).parts:
        assert not segments.encode(part, "gsm7").endswith(b"\x1b")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("a" * 152 + "€" * 77, 3),
        ("电" * 70, 1),
        ("电" * 71, 2),
        ("电" * 134, 2),
        ("电" * 135, 3),
        ("😀" * 35, 1),
        ("😀" * 66, 2),
        ("😀" * 67, 3),
        ("`" * 71, 2),
        ("", 1),
    ],
)
def test_the_count_is_what_a_carrier_charges(text: str, count: int) -> None:
    assert segments.count(text) == count


def test_a_backtick_is_not_a_gsm_character() -> None:
    assert split("`").encoding == "ucs2"
    assert split("§").encoding == "gsm7"


def test_a_surrogate_pair_is_never_cut() -> None:
    cut = split("电" * 66 + "😀" + "电" * 20)
    assert cut.parts[0] == "电" * 66
    assert cut.parts[1].startswith("😀")


@pytest.mark.parametrize("cluster", ["é", "👨‍👩‍👧", "🇨🇳", "👍🏽", "❤️", "\r\n"])
def test_what_a_reader_sees_as_one_character_is_not_cut(cluster: str) -> None:
    for lead in range(60, 68):
        parts = split("电" * lead + cluster + "电" * 30).parts
        assert sum(part.count(cluster) for part in parts) == 1


def test_a_cluster_larger_than_a_segment_is_cut_between_characters() -> None:
    text = "a" + "\u0301" * 200
    assert "".join(split(text).parts) == text


def test_neighbouring_flags_are_not_glued_together() -> None:
    parts = split("🇨🇳" * 40).parts
    assert all(len(part) % 2 == 0 for part in parts)
    assert "".join(parts) == "🇨🇳" * 40


def test_more_than_the_maximum_is_refused_loudly() -> None:
    with pytest.raises(Invalid) as refused:
        split("电" * 671, maximum=10)
    assert refused.value.code == "notify.text_too_long"
    assert refused.value.details == {"segments": 11, "maximum": 10}


def test_the_header_joins_parts_with_8_and_16_bit_references() -> None:
    assert segments.header(0x1FE, 3, 2) == bytes([5, 0, 3, 0xFE, 3, 2])
    assert segments.header(0x1FE, 3, 2, bits=16) == bytes([6, 8, 4, 1, 0xFE, 3, 2])


@given(ANY_TEXT, st.sampled_from([8, 16]))
def test_header_and_body_fit_into_140_octets(text: str, bits: int) -> None:
    cut = split(text, reference_bits=bits, maximum=100)
    for part in cut.parts:
        octets = len(segments.encode(part, cut.encoding))
        body = -(-octets * 7 // 8) if cut.encoding == "gsm7" else octets
        header = 0 if cut.count == 1 else len(segments.header(1, cut.count, 1, bits=bits))
        assert header + body <= 140
