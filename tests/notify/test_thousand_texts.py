"""A thousand texts of every kind, split, written as PDUs and read again by programs that share nothing with ours.

The simulated centre's reader puts the texts together; `smpp.pdu3`, a strict second codec, has to find
every PDU clean.
"""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest
from smpp.pdu.pdu_encoding import PDUEncoder  # type: ignore[import-untyped]

from device_sim.smsc import wire
from device_sim.smsc.alphabet import read_text
from server.notify.dispatch.choosing import choose, submissions
from server.notify.dispatch.claims import Claimed, Part
from server.notify.gateways.smpp.config import SmppConfig
from server.notify.rules import segments
from tests.notify.test_protocol import bound, written

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
_ALPHABETS = (
    "abcXYZ 0123,.:;!?@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ\n",
    "{}[]~^|\\€",
    "😀😡🤖👍🏽👨‍👩‍👧🇨🇳🇬🇷é",
    "السلام عليكم ورحمة الله",
    "电费余额户号用电量请交费,。",
)


def _texts() -> list[str]:
    chance = random.Random(7)
    texts = []
    for number in range(1000):
        kinds = [_ALPHABETS[number % 5]] if number % 6 < 5 else list(_ALPHABETS)
        length = chance.choice((chance.randint(1, 80), chance.randint(60, 170), 460))
        texts.append("".join(chance.choice(chance.choice(kinds)) for _ in range(length)))
    return texts


_WAYS = (("udh", 8), ("udh", 16), ("sar", 8), ("payload", 8))


@pytest.mark.parametrize(("joining", "bits"), _WAYS)
def test_a_thousand_texts_come_back_as_they_were(joining: str, bits: int) -> None:
    """A quarter of them each way; nothing is cut inside an escape or a pair, and every PDU is clean."""
    texts = _texts()[_WAYS.index((joining, bits)) :: len(_WAYS)]
    frames = _write(texts, joining, bits)
    shown: dict[str, dict[int, str]] = defaultdict(dict)
    for frame in frames:
        _is_clean(frame)
        read = wire.read_submit(frame[16:])
        place, octets = wire.parts(read)
        assert not octets.endswith(b"\x1b"), "cut inside an escape"
        if read.coding == 8:
            octets.decode("utf-16-be")  # strictly: half a pair cannot be read
        shown[read.destination][place[2] if place else 1] = read_text(octets, read.coding)
    together = ["".join(parts[n] for n in sorted(parts)) for parts in shown.values()]
    assert together == texts


def _write(texts: list[str], joining: str, bits: int) -> list[bytes]:
    """What a bind writes for these texts, one phone each."""
    config = SmppConfig(
        *("carrier", 2775, "fieldbell", "secret"),
        source="95598",
        window=100_000,
        joining=joining,
        reference_bits=bits,
    )
    soon = NOW + timedelta(hours=30)
    queue = [
        Claimed(1, n, f"+8612{n:09d}", text, segments.count(text), "bill", soon, fresh=True)
        for n, text in enumerate(texts, start=1)
    ]
    going = choose(queue, set(), 1_000_000, bits, whole=joining == "payload").go
    parts = [
        Part(one.message.id, part, one.message.id * 100 + part, 0)
        for one in going
        for part in range(1, one.parts + 1)
    ]
    link = bound(config)
    link.submit(submissions(going, parts, NOW), 0.0)
    return [
        wire.pdu(frame.command, frame.sequence, frame.body, frame.status) for frame in written(link)
    ]


def _is_clean(frame: bytes) -> None:
    """The strict codec reads it, finds the same text in it, and would write the same octets."""
    pdu = PDUEncoder().decode(BytesIO(frame))
    ours = wire.read_submit(frame[16:])
    assert pdu.params.get("short_message") or pdu.params["message_payload"]
    assert pdu.params["destination_addr"].decode() == ours.destination
    assert (pdu.params["short_message"] or pdu.params["message_payload"]) == ours.body
    if "message_payload" not in pdu.params and "sar_msg_ref_num" not in pdu.params:
        assert PDUEncoder().encode(pdu) == frame
