"""A thousand texts of all alphabets from our splitter through our PDUs into readers of strangers."""

from __future__ import annotations

import random

import pytest

from device_sim.smsc import wire
from device_sim.smsc.alphabet import read_text
from server.notify.gateways.port import Submission
from server.notify.gateways.smpp import codec
from server.notify.gateways.smpp.config import SmppConfig
from server.notify.gateways.smpp.protocol import Link
from server.notify.rules import segments

TEXTS = 1000
ALPHABETS = (
    "abcdefghijklmnop QRSTUVWXYZ0123456789@£$¥èéùìòÇ\n.,:;!?",
    "{}[]~\\|^€ abc",
    "电费余额请于日前交纳停电通知用户号",
    "مرحبا بكم فاتورة الكهرباء ",
    "😀👍🏽👨‍👩‍👧🇨🇳❤️🎉",
    "`ñáõ§ΔЖ汉é\u0301",
)


def texts() -> list[str]:
    """Repeatable random texts of one alphabet or of several, from empty to some segments long."""
    chance = random.Random(20261122)
    found = []
    for number in range(TEXTS):
        mixed = number % 3 == 0
        alphabet = "".join(ALPHABETS) if mixed else ALPHABETS[number % len(ALPHABETS)]
        found.append("".join(chance.choices(alphabet, k=chance.randint(0, 400))))
    return found


def written(config: SmppConfig, text: str, reference: int) -> list[bytes]:
    """The PDUs that carry a text."""
    whole = config.joining == "payload"
    cut = segments.split(text, reference_bits=config.reference_bits, maximum=255)
    parts = (text,) if whole else cut.parts
    link = Link(config, 0.0)
    link.receive(wire.pdu(0x80000009, 1, b"smsc\0"), 0.0)
    link.outgoing.clear()
    link.submit(
        [
            Submission(
                *(part, reference, "+8612000000001", piece, cut.encoding),
                *(segments.encode(piece, cut.encoding), part, len(parts), 0, reference),
            )
            for part, piece in enumerate(parts, start=1)
        ],
        0.0,
    )
    return list(codec.frames(link.outgoing))


@pytest.mark.parametrize(("joining", "bits"), [("udh", 8), ("udh", 16), ("sar", 8), ("payload", 8)])
def test_every_text_arrives_whole_and_every_pdu_is_clean_in_two_other_decoders(
    joining: str, bits: int
) -> None:
    config = SmppConfig(
        "carrier", 2775, "a", "b", source="95598", window=300, joining=joining, reference_bits=bits
    )
    chance = random.Random(7)
    for reference, text in enumerate(texts(), start=1):
        frames = written(config, text, reference)
        pieces: dict[int, str] = {}
        for octets in chance.sample(frames, len(frames)):
            library = codec.decode(octets)
            assert (library.command, library.destination) == ("submit_sm", "8612000000001")
            submitted = wire.read_submit(octets[16:])
            joined, body = wire.parts(submitted)
            assert submitted.body == (library.body or library.tlvs.get(0x0424, b""))
            assert not body.endswith(b"\x1b") or submitted.coding == 8
            if submitted.coding == 8:
                body.decode("utf-16-be")  # raises where a pair was cut
            number, total = (1, 1) if joined is None else (joined[2], joined[1])
            assert total == len(frames)
            pieces[number] = read_text(body, submitted.coding)
        assert "".join(pieces[number] for number in sorted(pieces)) == text
