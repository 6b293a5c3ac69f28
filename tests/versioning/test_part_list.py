"""Parts are a list whose runs are made when they are touched; statistics come with those that follow."""

from __future__ import annotations

from collections import Counter

import pytest

from dataplat.versioning._part_list import PartList, Statistics


@pytest.fixture
def made():
    """Return how often each run was made."""
    return Counter()


@pytest.fixture
def parts(make_part, made):
    """Return ten parts in runs of 3, 0, 1 and 6."""

    def run(first, count):
        def make():
            made[first] += 1
            return [make_part(n) for n in range(first, first + count)]

        return count, make

    return PartList([run(0, 3), run(-1, 0), run(3, 1), run(4, 6)])


def test_it_is_the_list(parts, make_part):
    """Every index, slice and comparison gives what a list would."""
    plain = [make_part(n) for n in range(10)]
    assert list(parts) == plain
    assert parts == plain
    assert parts != plain[1:]
    assert [parts[at] for at in range(-10, 10)] == [plain[at] for at in range(-10, 10)]
    assert [parts[2:5], parts[::-3], parts[20:]] == [plain[2:5], plain[::-3], []]
    assert repr(parts) == repr(plain)
    for beyond in (10, -11):
        with pytest.raises(IndexError, match="of 10"):
            parts[beyond]


def test_only_what_is_touched_is_made(parts, made):
    """To count parts makes none; to look at one makes its run, once."""
    assert len(parts) == 10
    assert not made
    assert parts[3] is parts[3]
    assert made == {3: 1}


def test_an_empty_one():
    """There may be no part at all."""
    assert len(PartList([])) == 0
    assert not PartList([])


class FakeSegment:
    """A segment that answers with its number."""

    def __init__(self, number):
        self.number = number

    def column(self, name):
        """Return what tells which segment was asked."""
        return name, self.number


@pytest.mark.parametrize("at_once", [1, 8])
def test_statistics_come_ahead(at_once):
    """Who looks through segments waits less and less often, and each is fetched once."""
    fetched = []

    def fetch(number):
        def get():
            fetched.append(number)
            return FakeSegment(number)

        return get

    found = Statistics([fetch(number) for number in range(100)], at_once)
    assert found.column(7, "x") == ("x", 7)
    assert fetched == [7]
    assert found.column(8, "x") == ("x", 8)
    assert sorted(fetched) == [7, 8, 9]
    assert [found.column(number, "y") for number in range(100)] == [("y", number) for number in range(100)]
    assert sorted(fetched) == list(range(100))
