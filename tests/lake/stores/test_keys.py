"""Keys: what is accepted leads to exactly one place inside the store."""

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplat.errors import StoreError
from dataplat.lake.stores._keys import check_key, check_prefix


@given(st.text(st.sampled_from("./ab\\\0~ü%tmp "), max_size=12))
def test_an_accepted_key_cannot_leave_the_store(key):
    """Whatever is accepted is already normal, relative, and outside the staging folder."""
    try:
        check_key(key)
    except StoreError:
        return
    assert posixpath.normpath(key) == key
    assert not key.startswith(("/", "../"))
    assert key.split("/")[0] not in {"", ".", "..", "tmp"}
    assert key.isascii()
    assert key.isprintable()


@given(
    st.lists(
        st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="/\\"), min_size=1, max_size=9),
        min_size=1,
        max_size=5,
    )
)
def test_printable_segments_make_a_key(segments):
    """Any printable ASCII segments do, but for the two that mean a folder and the one that is taken."""
    key = "/".join(segments)
    if {".", ".."} & set(segments) or segments[0] == "tmp":
        with pytest.raises(StoreError):
            check_key(key)
    else:
        check_key(key)
        check_prefix(key + "/")


def test_a_line_break_at_the_end_is_seen():
    """`$` would let it pass."""
    with pytest.raises(StoreError):
        check_key("a\n")
