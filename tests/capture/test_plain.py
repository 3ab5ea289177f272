"""An ordinary reading is read the short way, and the schema would have read the same."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from marshmallow import Schema, ValidationError

from server.capture.plain import plain_reading
from server.capture.schemas import MeterReadingV1

ORDINARY = {
    "read_order": 7,
    "service_point": 12,
    "meter_serial": "M-1",
    "reason": "01",
    "registers": [{"kind": "total", "value": "01234.5", "second_entry": "1234.5"}],
    "trouble": "stopped",
    "note": "门口有狗",
}

FIGURES = ["", "1", "01", "0012.5", "1.", ".5", "1.0000001", "-1", "1e3", "١", " 1", "9" * 18]
WORDS = ["total", "peak", "stopped", "x" * 41, "x" * 256]
odd = st.sampled_from([None, True, 0, 1, -1, 1.5, 2**70, [], {}, *FIGURES, *WORDS])
dial = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["total", "peak"]) | odd,
        "value": st.sampled_from(["1", "2.5"]) | odd,
    },
    optional={"second_entry": st.sampled_from(["1", None]) | odd, "more": odd},
)
reading = st.fixed_dictionaries(
    {
        "service_point": st.just(12) | odd,
        "meter_serial": st.just("M-1") | odd,
        "registers": st.lists(dial, min_size=1, max_size=3) | st.lists(dial, max_size=9) | odd,
    },
    optional={
        name: st.just(ORDINARY[name]) | odd for name in ("read_order", "reason", "trouble", "note")
    }
    | {"more": odd},
)


def test_an_ordinary_reading_takes_the_short_way() -> None:
    assert plain_reading(ORDINARY) == _by_schema(ORDINARY)
    assert plain_reading(ORDINARY) is not None


@given(reading)
def test_what_takes_the_short_way_is_what_the_schema_makes_of_it(data: dict[str, Any]) -> None:
    plain = plain_reading(data)
    assert plain is None or plain == _by_schema(data)


def _by_schema(data: dict[str, Any]) -> Any:
    """What the schema alone makes of it; None when it refuses."""
    try:
        return Schema.load(MeterReadingV1(), data)
    except ValidationError:
        return None
