"""One way of writing the same JSON value, whichever way it came."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.labeling._json_text import as_written

TEXTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=6) | st.sampled_from(["/", "\\/", "1e-5 /", '"', " "])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def listed(value: Any) -> str:
    """Write a value as the listing of tasks does."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@settings(max_examples=100, deadline=None)
@given(VALUES)
def test_spaces_and_escaped_slashes_make_no_other_text(value: Any) -> None:
    """What a snapshot indents and what an export escapes is written as the listing has it."""
    text = listed(value)
    assert as_written(text.encode()) == text.encode()
    assert as_written(json.dumps(value, ensure_ascii=False, indent=2).encode()).decode() == text
    assert as_written(text.replace("/", "\\/").encode()).decode() == text


@pytest.mark.parametrize(
    ("came", "text"),
    [
        ("[1e-6,-2.5e-7]", "[1e-06,-2.5e-07]"), ("[1e-16,1e+22,1e-05]", "[1e-16,1e+22,1e-05]"),
        ('["1e-6 mol","e-6"]', '["1e-6 mol","e-6"]'), (r'["\"1e-6",1e-6]', r'["\"1e-6",1e-06]'),
        ('{"b":1,"a":2,"b":3}', '{"b":1,"a":2,"b":3}'), ("[1.50,100]", "[1.50,100]"),
        (r'["\u00e9\\/"]', r'["\u00e9\\/"]'), (r'["\\\/"]', r'["\\/"]'), ("[1, ", "[1, "),
    ],
)  # fmt: skip
def test_only_what_the_server_writes_two_ways_is_touched(came: str, text: str) -> None:
    """Small exponents become Python's; texts, order, doubled keys, digits and what is no JSON stay."""
    assert as_written(came.encode()) == text.encode()
