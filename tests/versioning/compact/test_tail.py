"""Compaction after small commits: few parts, and few rewrites of each row, whatever the sizes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from dataplat.lake.digest import Digest
from dataplat.lake.part import Part
from dataplat.versioning._root import Root
from dataplat.versioning.compact import Target, is_due, plan_tail, spread

TARGET = Target(nbytes=1 << 30, rows=16**4)


@dataclass
class Branch:
    """A version that is appended to and compacts itself; counts how often each row was written."""

    parts: list[Part] = field(default_factory=list)
    appended: int = 0
    writes: Counter[int] = field(default_factory=Counter)  # rows rewritten, by tier of the part that came of it

    def append(self, *rows: int) -> None:
        """Append parts of so many rows in one commit."""
        for count in rows:
            self.parts.append(_part(self.appended * 4096, count))
            self.appended += 1
        if not is_due(Root(schema=[], next=self.appended * 4096), len(rows)):
            return
        for run in reversed(plan_tail(self.parts, self.appended * 4096, TARGET)):
            at = self.parts.index(run.parts[0])
            whole, rest = divmod(run.rows, TARGET.rows)
            sizes = [TARGET.rows] * whole + ([rest] if rest else [])
            places = spread(run.parts[0].place, run.end, len(sizes), ())
            assert places is not None
            self.parts[at : at + len(run.parts)] = map(_part, places, sizes)
            self.writes["rows"] += run.rows  # type: ignore[index]


def _part(place: int, rows: int) -> Part:
    return Part(f"{place:064x}", rows, rows, "", Digest(rows), place=place)


@pytest.mark.parametrize("rows", [1, 3, 15, 16, 40, 300])
def test_equal_commits(rows: int) -> None:
    """Of 5,000 equal commits: at most 16 parts of a tier, and each row is rewritten once a tier."""
    branch = Branch()
    most = 0
    for _ in range(5_000):
        branch.append(rows)
        full = sum(not TARGET.is_small(part) for part in branch.parts)
        most = max(most, len(branch.parts) - full)
    assert most <= 16 * 5
    assert sum(part.rows for part in branch.parts) == 5_000 * rows
    assert branch.writes["rows"] <= 4 * 5_000 * rows  # type: ignore[index]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.integers(1, 70_000), min_size=1, max_size=5))
def test_commits_of_all_sizes(seed: int, kinds: list[int]) -> None:
    """Large commits between small ones strand none for long, and rows are rewritten no more often than tiers allow."""
    rng, branch, rows = Random(seed), Branch(), 0
    for _ in range(800):
        commit = [rng.choice([1, 1, 1, *kinds]) for _ in range(rng.choice([1, 1, 2]))]
        rows += sum(commit)
        branch.append(*commit)
        small = sum(TARGET.is_small(part) for part in branch.parts)
        full = len(branch.parts) - small
        assert small <= 64 * 4 + 4 * full + 32
    assert sum(part.rows for part in branch.parts) == rows
    assert branch.writes["rows"] <= 6 * rows  # type: ignore[index]


def test_parts_with_many_deleted_rows_are_folded() -> None:
    """A part of more than a megabyte that lost 30 % of its rows is written anew alone."""
    large = Part("a" * 64, 100, 2 << 20, "", Digest(100), deletes="b" * 64, deleted=31, place=0)
    small = Part("c" * 64, 100, 2 << 10, "", Digest(100), deletes="b" * 64, deleted=90, place=4096)
    (run,) = plan_tail([large, small], 8192)
    assert run.parts == (large,)
    assert plan_tail([large.with_deletes("b" * 64, 30), small], 8192) == []


def test_it_is_looked_at_once_in_sixteen_parts() -> None:
    """However parts are split over commits, every sixteenth part appended is one look; deletes alone are none."""
    looks = [is_due(Root(schema=[], next=n * 4096), 1) for n in range(1, 65)]
    assert [n for n, look in enumerate(looks, 1) if look] == [16, 32, 48, 64]
    assert is_due(Root(schema=[], next=50 * 4096), 10)
    assert not is_due(Root(schema=[], next=32 * 4096), 0)
