"""What phones send, read without a database: alphabets, headers, senders, parts."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.notify.rules import charsets, inbound, segments
from server.notify.rules.inbound import from_smpp, read_header, sender

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
CHINESE = "余额 10000001"
EMOJI = "停电了😀 家里👨‍👩‍👧 没电"


def packed(septets: bytes, fill_bits: int = 0) -> bytes:
    """Septets as phones pack them, behind some bits of padding."""
    bits = sum(septet << 7 * at for at, septet in enumerate(septets)) << fill_bits
    return bits.to_bytes((len(septets) * 7 + fill_bits + 7) // 8, "little")


def smpp(body: bytes, coding: int = 0, esm: int = 0, **tlvs: bytes) -> inbound.InboundText:
    """A deliver_sm as the carrier sends it; TLVs by hexadecimal tag."""
    named = {int(tag[1:], 16): value for tag, value in tlvs.items()}
    return from_smpp(1, "8612000000001", "95598", esm, coding, body, named, NOW)


@pytest.mark.parametrize("charset", charsets.ALPHABETS)
@given(octets=st.binary(max_size=300))
def test_it_reads_any_octets_in_any_alphabet_into_a_text_that_can_be_stored(
    charset: str, octets: bytes
) -> None:
    text = charsets.decode(octets, charset).text
    assert text.encode("utf-8").decode() == text
    assert not any(char < " " and char not in "\n\r\t" for char in text)


@given(coding=st.integers(0, 255), octets=st.binary(max_size=200))
def test_every_data_coding_has_a_charset_that_reads_anything(coding: int, octets: bytes) -> None:
    decoded = charsets.decode(octets, charsets.of_coding(coding))
    assert isinstance(decoded.text, str)
    assert decoded.damaged or charsets.UNREADABLE not in decoded.text


@given(text=st.text(st.sampled_from([*sorted(segments.GSM_EXTENSION), "a", "@", "é", "Δ"])))
def test_a_gsm_text_comes_back_from_its_septets_packed_or_not(text: str) -> None:
    septets = segments.encode(text, "gsm7")
    shown = text.replace("\f", "\n")
    assert charsets.decode(septets, "gsm7").text == shown
    fill_bits = random.Random(len(text)).randrange(7)
    assert charsets.unpack_septets(packed(septets, fill_bits), len(septets), fill_bits) == septets
    ends_in_padding = len(septets) * 7 % 8 == 1 or text.endswith("@") or not text
    assert ends_in_padding or charsets.decode(packed(septets), "gsm7-packed").text == shown


def test_seven_septets_are_not_read_as_eight() -> None:
    assert charsets.decode(packed(b"balance"), "gsm7-packed").text == "balance"
    assert charsets.decode(packed(b"balance1"), "gsm7-packed").text == "balance1"


@pytest.mark.parametrize(
    ("octets", "charset", "text"),
    [
        (CHINESE.encode("utf-16-be"), "utf-16-be", CHINESE),
        (b"\xff\xfe" + CHINESE.encode("utf-16-le"), "utf-16-be", CHINESE),
        (b"\xfe\xff" + EMOJI.encode("utf-16-be"), "utf-16-be", EMOJI),
        (CHINESE.encode("gbk"), "gbk", CHINESE),
        (b"\xa3 \xe9", "latin-1", "£ é"),
    ],
)
def test_it_reads_what_carriers_use(octets: bytes, charset: str, text: str) -> None:
    assert charsets.decode(octets, charset) == charsets.Decoded(text)


@pytest.mark.parametrize(
    ("octets", "charset"),
    [
        (b"\x4f\x59\x4f", "utf-16-be"),
        (b"\xd8\x3d", "utf-16-be"),
        (b"abc\x80", "gsm7"),
        (b"\0STOP", "ascii"),
        (b"T", charsets.BINARY),
        (b"T", "no such charset"),
    ],
)
def test_what_cannot_be_read_is_damaged_and_is_never_taken_for_a_command(
    octets: bytes, charset: str
) -> None:
    assert charsets.decode(octets, charset).damaged


@pytest.mark.parametrize("bits", [8, 16])
@given(st.data())
def test_it_finds_the_header_of_a_part_among_other_elements(bits: int, data: st.DataObject) -> None:
    reference = data.draw(st.integers(0, 2**bits - 1))
    total = data.draw(st.integers(2, 255))
    part = data.draw(st.integers(1, total))
    joining = segments.header(reference, total, part, bits=bits)[1:]
    others = b"".join(
        bytes([tag, len(value)]) + value
        for tag, value in data.draw(
            st.lists(st.tuples(st.integers(9, 255), st.binary(max_size=6)), max_size=4)
        )
    )
    header = bytes([len(joining + others)]) + others + joining
    (found, *rest), body = read_header(header + b"hello")
    assert (found & 0xFFFF, *rest) == (reference, total, part)
    assert body == b"hello"


@given(body=st.binary(max_size=160), esm=st.sampled_from([0, 0x40]), coding=st.integers(0, 255))
def test_no_octets_make_it_raise(body: bytes, esm: int, coding: int) -> None:
    text = smpp(body, coding, esm, x020c=body[:1], x020e=body[1:2], x020f=body[2:4])
    octets, charset = inbound.readable(text, "gsm7-packed")
    assert 1 <= text.part <= text.total <= 255
    assert isinstance(inbound.joined({1: (octets, charset)}, 1).text, str)
    assert inbound.fingerprint(text) >= 0


def test_parts_joined_by_parameters_and_by_headers_never_meet() -> None:
    by_parameters = smpp(b"a", x020c=b"\x00\x07", x020e=b"\x02", x020f=b"\x01")
    by_header = smpp(segments.header(7, 2, 1) + b"a", esm=0x40)
    wide = smpp(segments.header(7, 2, 1, bits=16) + b"a", esm=0x40)
    assert {one.total for one in (by_parameters, by_header, wide)} == {2}
    assert len({one.reference for one in (by_parameters, by_header, wide)}) == 3


def test_a_long_text_may_come_as_a_payload() -> None:
    long = "余额" * 100
    text = smpp(b"", 8, x0424=long.encode("utf-16-be"))
    assert inbound.joined({1: inbound.readable(text, "gsm7")}, 1).text == long


def test_packed_septets_behind_a_header_are_read_after_their_padding() -> None:
    header = segments.header(1, 2, 1)
    text = smpp(header + packed(b"hello", 1), esm=0x40)
    assert inbound.readable(text, "gsm7-packed") == (b"hello", "gsm7")


def test_a_character_cut_between_two_parts_is_whole_again() -> None:
    octets = EMOJI.encode("utf-16-be")
    cut = octets.index("😀".encode("utf-16-be")) + 2
    parts = {1: (octets[:cut], "utf-16-be"), 2: (octets[cut:], "utf-16-be")}
    assert inbound.joined(parts, 2) == charsets.Decoded(EMOJI)


def test_a_missing_part_shows_as_a_gap() -> None:
    read = inbound.joined({2: (b"two", "ascii")}, 3)
    assert read.damaged
    assert read.text == "\ufffdtwo\ufffd"


@pytest.mark.parametrize(
    ("raw", "country", "number"),
    [
        ("+8613800138000", "86", "+8613800138000"),
        ("8613800138000", "86", "+8613800138000"),
        ("008613800138000", "86", "+8613800138000"),
        ("13800138000", "86", "+8613800138000"),
        ("057188888888", "86", "+8657188888888"),
        ("447700900123", "", "+447700900123"),
        ("07700900123", "44", "+447700900123"),
        ("95598", "86", "95598"),
        ("FIELDBELL", "86", "FIELDBELL"),
        ("", "86", ""),
        ("+", "86", "+"),
        ("\x00 8613800138000\n", "86", "+8613800138000"),
    ],
)
def test_it_writes_a_sender_as_contacts_are_written(raw: str, country: str, number: str) -> None:
    assert sender(raw, country) == number


@given(raw=st.text(max_size=60), country=st.sampled_from(["", "86"]))
def test_any_sender_fits_its_column(raw: str, country: str) -> None:
    assert len(sender(raw, country)) <= 20


@pytest.mark.parametrize(
    "config",
    [{}, {"inbound_alphabet": "klingon", "inbound_country": 86, "repeat_seconds": "soon"}],
)
def test_a_configuration_of_no_use_is_as_usual(config: dict[str, object]) -> None:
    assert inbound.habits(config).alphabet == "gsm7"
    assert inbound.habits(config).repeat_seconds == inbound.REPEAT_SECONDS
