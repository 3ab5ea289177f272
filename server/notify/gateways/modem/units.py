"""What the queue and the modem's units have to do with each other."""

from __future__ import annotations

import hashlib

from server import clock
from server.notify.gateways.port import Submission
from server.notify.rules import segments, tpdu
from server.notify.rules.inbound import InboundText, read_header
from server.notify.rules.receipts import Receipt


def submit(submission: Submission, *, report: bool) -> bytes:
    """The unit of one segment; the parts of a text are joined by an 8 bit reference."""
    header = b""
    if submission.parts > 1:
        header = segments.header(submission.reference, submission.parts, submission.part)
    return tpdu.submit(
        submission.phone,
        submission.encoding,
        submission.body,
        header=header,
        validity=submission.validity,
        report=report,
    )


def receipt(report: tpdu.Report) -> Receipt:
    """A status report as the queue knows delivery reports."""
    state = tpdu.report_state(report.status)
    stamp = f"{report.done_at:%Y%m%d%H%M%S}" if report.done_at else ""
    error = "" if state == "delivered" else f"{report.status:02x}"
    return Receipt(tpdu.carrier_id(report.reference, report.recipient), state, error, stamp)


def inbound(unit: tpdu.Deliver, digits: str, gateway_id: int, own_number: str) -> InboundText:
    """A text, or a part of one, that a person sent to `own_number`."""
    (reference, total, part), _ = read_header(unit.header) if unit.header else ((0, 1, 1), b"")
    return InboundText(
        gateway_id=gateway_id,
        phone=unit.sender,
        to=own_number,
        body=unit.body,
        received_at=clock.now(),
        data_coding=unit.coding,
        charset="gsm7" if unit.packed else _charset(unit.coding),
        reference=reference,
        total=total,
        part=part,
        # The unit holds sender, the centre's time and text: the same unit is the same text.
        carrier_id=hashlib.sha256(digits.upper().encode()).hexdigest()[:32],
    )


def _charset(coding: int) -> str:
    """The charset of a unit that was not packed."""
    wide = coding >> 4 == 0xE or (coding >> 4 < 8 and coding & 0x0C == 0x08)
    return "utf-16-be" if wide else "binary"
