"""The JSON that goes out, and what an answer to it means for each text. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from server.notify.gateways.courier import Errand
from server.notify.gateways.port import Submission
from server.notify.rules import segments
from server.notify.rules.answers import HTTP

# Why the carrier refused one text, as the status that has that class (see rules.answers).
_REASONS = {
    "permanent": HTTP + 422,
    "transient": HTTP + 503,
    "throttled": HTTP + 429,
    "configuration": HTTP + 403,
}
# Nothing was taken and nothing will be until a person has changed something.
_REFUSALS = (401, 403, 404, 405, 410)
# Something between us and the carrier speaks: it may have the texts.
_UNCLEAR = (502, 504)
_LONGEST_ID = 64
_PAUSE_SECONDS = 5.0


def key(submission: Submission) -> str:
    """The text's idempotency key: the same at every try, so that the carrier can take it once."""
    return f"{submission.message_id}-{submission.part}"


def body(batch: Sequence[Submission], gateway: str, source: str) -> bytes:
    """The request for a batch."""
    return orjson.dumps({"gateway": gateway, "messages": [_message(one, source) for one in batch]})


def _message(submission: Submission, source: str) -> dict[str, Any]:
    return {
        "key": key(submission),
        "to": submission.phone,
        "from": source,
        "text": submission.text,
        "segments": segments.count(submission.text),
        "copy": submission.copy,
        "valid_s": submission.validity,
    }


def judge(
    batch: Sequence[Submission], status: int, answer: bytes, retry_after: str | None
) -> Errand:
    """What an answer with this status says about every text of the batch."""
    tokens = [one.token for one in batch]
    if 200 <= status < 300:
        return _each(batch, answer)
    if status in _REFUSALS or 300 <= status < 400:
        return Errand(returned=tokens, refused=f"the carrier answers {status}")
    if status in _UNCLEAR:
        return Errand(lost=tokens, trouble=f"the carrier answers {status}")
    found = Errand(answers=[(token, HTTP + status, "") for token in tokens])
    if status in (429, 503):
        found.pause = _seconds(retry_after)
    elif status >= 500:
        found.trouble = f"the carrier answers {status}"
    return found


def _each(batch: Sequence[Submission], answer: bytes) -> Errand:
    """Text by text; one that the answer does not name, or names strangely, may have been taken."""
    told = _by_key(answer)
    found = Errand()
    for submission in batch:
        one = told.get(key(submission), {})
        name = one.get("id", "")
        if one.get("status") == "accepted" and isinstance(name, str | int):
            found.answers.append((submission.token, 0, str(name)[:_LONGEST_ID]))
        elif one.get("status") == "refused":
            reason = _REASONS.get(str(one.get("reason")), _REASONS["permanent"])
            found.answers.append((submission.token, reason, ""))
            if reason == _REASONS["throttled"]:
                found.pause = _PAUSE_SECONDS
        else:
            found.lost.append(submission.token)
    return found


def _by_key(answer: bytes) -> Mapping[str, Mapping[str, Any]]:
    try:
        messages = orjson.loads(answer)["messages"]
        return {one["key"]: one for one in messages if isinstance(one.get("key"), str)}
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return {}


def _seconds(retry_after: str | None) -> float:
    wanted = (retry_after or "").strip()
    return max(float(wanted), 0.1) if wanted.isdecimal() else _PAUSE_SECONDS
