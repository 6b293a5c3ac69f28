"""An array that comes in pieces, cut between its elements."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.errors import LabelServerError
from dataplat.labeling._json_array import blocks

TEXTS = st.text(max_size=6) | st.sampled_from(['"', "\\", "\\\\", '\\"', "},{", "]", "[{", '"}'])
VALUES = st.recursive(
    st.none() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(VALUES, max_size=8), st.integers(1, 40), st.integers(1, 30), st.booleans(), st.sampled_from([None, 1]))
def test_no_cut_loses_or_adds_an_element(
    values: list[Any], piece: int, size: int, escaped: bool, indent: int | None
) -> None:
    """Whatever brackets, quotes and backslashes texts hold, the blocks are arrays, and together the whole."""
    text = json.dumps(values, ensure_ascii=escaped, indent=indent).encode(errors="replace")
    pieces = [text[at : at + piece] for at in range(0, len(text), piece)]
    found = [element for block in blocks(pieces, size) for element in json.loads(block)]
    assert found == json.loads(text)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.dictionaries(TEXTS, VALUES, max_size=2), min_size=1, max_size=5), st.data())
def test_half_an_array_is_no_array(values: list[Any], data: st.DataObject) -> None:
    """A text that was cut off raises, or gives a block that is no JSON: never a shorter array."""
    text = json.dumps(values).encode()
    cut = data.draw(st.integers(0, len(text) - 1))
    with pytest.raises((LabelServerError, json.JSONDecodeError)):
        list(map(json.loads, blocks([text[:cut]], 4)))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(VALUES, max_size=3), max_size=8), st.integers(1, 60), st.sampled_from([None, 1]), st.data())
def test_tasks_are_found_by_their_look_and_the_look_may_deceive(
    values: list[Any], size: int, indent: int | None, data: st.DataObject
) -> None:
    """Elements that begin as Label Studio's tasks do are cut rightly, also where one holds what looks like a task."""
    inner = [{"id": 1, "annotations": []}, {"id": 2, "annotations": []}]
    tasks = [
        {"id": at, "annotations": each, "data": data.draw(st.sampled_from([None, inner, '},{"id":7,"annotations"']))}
        for at, each in enumerate(values)
    ]
    text = json.dumps(tasks, indent=indent).encode()
    pieces = [text[at : at + 10] for at in range(0, len(text), 10)]
    assert [element for block in blocks(pieces, size) for element in json.loads(block)] == tasks


def test_blocks_are_of_about_the_size_that_is_asked_for() -> None:
    """Small elements are gathered, none is cut, and a mark of the byte order before them is passed over."""
    text = b"\xef\xbb\xbf" + json.dumps([{"at": at} for at in range(1000)]).encode()
    sizes = [len(block) for block in blocks([text[at : at + 64] for at in range(0, len(text), 64)], 1000)]
    assert all(1000 <= size <= 3000 for size in sizes[:-1])
    assert len(sizes) > 3
