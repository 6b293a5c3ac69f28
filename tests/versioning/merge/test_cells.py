"""Cells of every type as JSON: what was shown can be handed back, and what does not fit is said."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest

from dataplat.errors import ConfigError
from dataplat.versioning.merge._cells import parsed, texts

MOMENTS = pa.map_(pa.string(), pa.list_(pa.timestamp("ns", "UTC")))
VALUES = {
    "time": (pa.time64("us"), [dt.time(1, 2, 3, 4), None]),
    "seconds": (pa.time32("s"), [dt.time(2)]),
    "unsigned": (pa.uint64(), [2**64 - 1]),
    "duration": (pa.duration("ns"), [5]),
    "decimal": (pa.decimal128(38, 10), [Decimal("12345678901234567890.1234567891")]),
    "binary": (pa.binary(), [b"", b"\xff"]),
    "float": (pa.float64(), [float("inf"), 1.5]),
    "list": (pa.list_(pa.int64()), [None, [], [1, None]]),
    "bytes in a list": (pa.list_(pa.binary()), [[b"\xff", None]]),
    "pairs": (pa.list_(pa.int8(), 2), [[3, 4]]),
    "map": (MOMENTS, [None, [], [("a", [1_700_000_000_123_456_789]), ("b", None)]]),
    "struct": (
        pa.struct([("d", pa.decimal128(5, 1)), ("t", pa.time64("us")), ("m", MOMENTS)]),
        [None, {"d": Decimal("2.5"), "t": None, "m": [("x", [])]}, {"d": None, "t": dt.time(1), "m": None}],
    ),
}


@pytest.mark.parametrize(("kind", "values"), VALUES.values(), ids=VALUES)
def test_what_was_shown_can_be_handed_back(kind, values):
    """The text of a cell, read again, is the cell, whatever chunks and slices it came in."""
    array = pa.array(values, kind)
    column = pa.chunked_array([array, array[1:]])
    shown = texts(column)
    back = parsed(shown, pa.field("v", kind), ["here"] * len(shown))
    assert back.type == kind
    assert back.equals(column.combine_chunks())


def test_moments_that_python_has_not_are_shown_inside_a_list():
    """A moment after the year 9999 is no reason to fail."""
    assert texts(pa.array([[400_000_000_000_000_000]], pa.list_(pa.timestamp("us")))) == [
        '["14645-06-30 15:06:40.000000"]'
    ]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (pa.int64(), "1.5"),
        (pa.int64(), "99999999999999999999"),
        (pa.duration("us"), "1.5"),
        (pa.decimal128(5, 2), "1.555"),
        (pa.list_(pa.int64()), "[1, 2.5]"),
        (pa.list_(pa.int64()), "5"),
        (pa.struct([("a", pa.int64())]), '{"b": 1}'),
        (MOMENTS, '{"a": 5}'),
        (pa.time64("us"), '"25:00"'),
        (pa.binary(), '"!!"'),
    ],
)
def test_what_does_not_fit_is_said(kind, text):
    """A value of another type, or one that would lose something, is an error that names place and type."""
    with pytest.raises(ConfigError, match="at home"):
        parsed([text], pa.field("v", kind), ["at home"])
