"""Names are safe on every store and in every reference."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplat.errors import BadName
from dataplat.lake.stores import MemoryStore
from dataplat.versioning import names


@pytest.mark.parametrize(
    "name", ["main", "exp-2", "quarantine/flights/ab12", "v1.0", "é", "2026", "feature/x_y", "abcdef"]
)
def test_good_names(name):
    """Ordinary names, slashes, dots and other alphabets may be given to anything."""
    assert names.check_branch_name(name) == name
    assert names.check_tag_name(name) == name
    assert names.check_dataset_name(name) == name


@pytest.mark.parametrize("name", ["a b", "a\u00a0b", "a/ b"])
def test_new_branches_and_tags_hold_no_white_space(name):
    """A space is refused in a new name, and read in one that is there."""
    assert names.check_branch_name(name) == name
    assert names.without_space("a-b", "branch") == "a-b"
    with pytest.raises(BadName, match="white space"):
        names.without_space(name, "branch")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "empty"),
        (" x", "white space"),
        ("-m", "flag"),
        ("a@b", "'@'"),
        ("a~1", "'~'"),
        ("id:abc", "':'"),
        ('a"b', "references"),
        ("a\x00b", "control"),
        ("a\u200bb", "control"),
        ("..", "'..'"),
        ("a/../b", "'..'"),
        ("a//b", "empty, '.'"),
        ("/a", "empty, '.'"),
        ("x" * 300, "too long"),
        ("ü" * 40, "too long"),
    ],
)
def test_bad_names(name, why):
    """What would be unsafe or ambiguous is refused for branches, tags and datasets, with the reason."""
    for check in (names.check_branch_name, names.check_tag_name, names.check_dataset_name):
        with pytest.raises(BadName, match=why):
            check(name)


@pytest.mark.parametrize("name", ["deadbeef", "1234567", "ABCDEF0", "2026-11-01", "2026-11", "2026-11-01T00:00"])
def test_ids_and_dates_are_no_names_for_refs(name):
    """A branch or tag that looks like an id or a date is refused."""
    with pytest.raises(BadName):
        names.check_branch_name(name)
    with pytest.raises(BadName):
        names.check_tag_name(name)


def test_dataset_may_look_like_an_id():
    """Datasets stand before the `@`, so they cannot be taken for an id or a date."""
    assert names.check_dataset_name("2026-11-01") == "2026-11-01"


@given(st.text(min_size=1, max_size=20))
def test_segment_is_a_key(name):
    """The segment of any allowed name is one that every store takes, and comes back as the folded name."""
    try:
        name = names.check_dataset_name(name)
    except BadName:
        return
    segment = names.segment(name)
    assert "/" not in segment
    MemoryStore().create(f"refs/tags/{segment}.json", b"")
    assert names.same_name(unquote(segment), name)
    assert names.segment(unquote(segment)) == segment


def test_case_is_no_difference():
    """Main and MAIN, STRASSE and straße are one name; composed and decomposed letters too."""
    assert names.segment("Main") == names.segment("MAIN") == "main"
    assert names.same_name("straße", "STRASSE")
    assert names.same_name("e\u0301", "é")
    assert not names.same_name("a", "b")


def test_no_two_names_share_a_segment():
    """What a name has of percent signs and slashes does not make it another's."""
    assert len({names.segment(name) for name in ("a/b", "a%2Fb", "a%252Fb", "a.b", "a b")}) == 5
