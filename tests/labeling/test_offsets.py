"""Spans in code points, whichever way they were counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplat.labeling._offsets import Shown, from_units

LETTERS = st.text(alphabet="ab é\u2028😀👩🏽‍🔬", max_size=12)


def units(text: str) -> int:
    """Return how long a browser calls a text."""
    return len(text.encode("utf-16-le")) // 2


@given(LETTERS, st.data())
def test_units_and_code_points_name_the_same_text(text: str, data: st.DataObject) -> None:
    """Units of any span come back as its code points."""
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    assert from_units(text, units(text[:start]), units(text[:end])) == (start, end)


def test_a_character_cut_in_two_counts() -> None:
    """A span that begins or ends within an emoji takes all of it; beyond the ends there is nothing."""
    assert from_units("a😀b", 2, 4) == (1, 3)
    assert from_units("a😀b", 0, 2) == (0, 2)
    assert from_units("a😀b", -5, 99) == (0, 3)


@pytest.mark.parametrize(("column", "expected"), [("text", (1, 2)), ("other", (2, 3)), (None, (1, 2))])
def test_the_config_says_which_text_is_meant(column: str | None, expected: tuple[int, int]) -> None:
    """The text under the span's name decides; without one, any of the task that says what the span says."""
    shown = Shown.of({"text": "😀b", "other": "plain", "n": 5})
    assert shown is not None
    assert shown.span(column, 2, 3, "b") == expected


def test_what_no_text_says_stays_as_it_came() -> None:
    """Where no text of the task holds what the span says, its offsets are not touched."""
    shown = Shown.of({"text": "😀b"})
    assert shown is not None
    assert shown.span(None, 2, 3, "z") == (2, 3)


def test_where_both_counts_agree_nothing_is_looked_up() -> None:
    """A task without a character beyond the first plane has nothing to tell."""
    assert Shown.of({"text": "é ü \uffff", "n": 5}) is None
