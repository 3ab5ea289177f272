"""How many PDUs a second are written and read, beside smpplib's codec doing the same."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.databases import Databases
from benchmarks.figures import Figure, machine, median
from benchmarks.options import Options
from server.notify.gateways.smpp import codec, fast
from server.notify.rules import receipts

_AT_ONCE = 500
_BODY = "【东岭电力】户号10000001,11月用电256度,电费137.73元,请交费。".encode("utf-16-be")
_REPORT = (
    b"id:1234567890 sub:001 dlvrd:001 submit date:2611220800 done date:2611220801"
    b" stat:DELIVRD err:000 text:"
)


def sms_codec(options: Options, databases: Databases) -> list[Figure]:
    """Measure both codecs; the kind of database does not matter, so one is enough."""
    if databases.kind != "sqlite":
        return []
    state = machine()
    seconds = min(options.seconds, 2.0)
    work = {
        "submit_sm": (_write_fast(), _write_library()),
        "receipts": (_read_fast(), _read_library()),
    }
    figures = []
    for name, (ours, theirs) in work.items():
        rounds = [_rate(ours, seconds) for _ in range(options.rounds)]
        beside = _rate(theirs, seconds)
        options.say(f"sms_codec {name}: {median(rounds):.0f}/s, smpplib {beside:.0f}/s")
        figures.append(
            Figure(
                f"sms_codec.{name}",
                "none",
                median(rounds),
                "PDUs/s",
                "more",
                ratio={"of_smpplib": round(median(rounds) / beside, 1)},
                rounds=[round(rate) for rate in rounds],
                parameters={"octets": len(_BODY) if name == "submit_sm" else len(_REPORT)},
                machine=state,
            )
        )
    return figures


def _rate(work: Callable[[], None], seconds: float) -> float:
    """How many PDUs a second `work` does, which does `_AT_ONCE` of them."""
    work()
    done, begun = 0, time.perf_counter()
    while (spent := time.perf_counter() - begun) < seconds:
        work()
        done += _AT_ONCE
    return done / spent


def _write_fast() -> Callable[[], None]:
    submit_sm = fast.submitter("95598", (0, 0), (1, 1))

    def work() -> None:
        for sequence in range(1, _AT_ONCE + 1):
            submit_sm(sequence, "8612000000001", _BODY, data_coding=8, validity="000001000000000R")

    return work


def _write_library() -> Callable[[], None]:
    def work() -> None:
        for sequence in range(1, _AT_ONCE + 1):
            codec.encode(
                "submit_sm",
                sequence,
                source_addr="95598",
                dest_addr_ton=1,
                dest_addr_npi=1,
                destination_addr="8612000000001",
                validity_period="000001000000000R",
                registered_delivery=1,
                data_coding=8,
                short_message=_BODY,
            )

    return work


def _report() -> bytes:
    octets = codec.encode(
        "deliver_sm",
        7,
        source_addr="8612000000001",
        destination_addr="95598",
        esm_class=4,
        short_message=_REPORT,
    )
    octets += fast.tlv(0x0427, b"\x02") + fast.tlv(0x001E, b"1234567890\0")
    return len(octets).to_bytes(4, "big") + octets[4:]


def _read_fast() -> Callable[[], None]:
    stream = _report() * _AT_ONCE

    def work() -> None:
        found, data, _ = fast.cut(bytearray(stream))
        for _, _, _, start, end in found:
            fast.read_deliver_sm(data, start, end)

    return work


def _read_library() -> Callable[[], None]:
    stream = _report() * _AT_ONCE

    def work() -> None:
        for frame in codec.frames(bytearray(stream)):
            pdu = codec.decode(frame)
            receipts.parse(pdu.tlvs, pdu.body)

    return work
